"""Adversarial training by the fast gradient sign (E.3; Goodfellow et al. 2014)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from .remedy import Batch, Remedy, Step, check_movable


@dataclasses.dataclass(frozen=True)
class Adversarial(Remedy):
    """Half the loss is that of examples moved against the network: x + epsilon sign(dL/dx).

    Batch norm's running statistics see the clean examples twice, once to find where to move them, and the moved ones
    once.

    Args:
        epsilon: how far each input moves, as there for MNIST.
        share: of the loss that the clean examples keep, as there.
        clip: keep pixels in [0, 1]; False for inputs that are no pixels.

    Raises:
        ValueError: for numbers out of range, for inputs beyond 0 to 1 where they are to be clipped, and for whole
            numbers, which cannot be moved.

    Source: E.3; Goodfellow et al. 2014, section 6.
    """

    epsilon: float = 0.25
    share: float = 0.5
    clip: bool = True

    cost = 3.0

    def __post_init__(self):
        self._number("epsilon", 0)
        self._number("share", 0, 1)
        self._choice("clip")

    def loss(self, step: Step, batch: Batch) -> torch.Tensor:
        """The loss of clean and moved examples together."""
        check_movable(batch.inputs)
        against = fgsm(lambda inputs: Step.loss(step, batch._replace(inputs=inputs)), batch.inputs, self.epsilon)
        if self.clip:
            low, high = batch.inputs.aminmax()
            if max(-low, high - 1) > 1e-3:  # an augmented pixel may be beyond by a rounding
                raise ValueError(f"inputs go from {low:g} to {high:g}; expected pixels from 0 to 1, or clip=False")
            against = against.clamp(0, 1)
        return self.share * Step.loss(step, batch) + (1 - self.share) * Step.loss(step, batch._replace(inputs=against))


def fgsm(loss: Callable, inputs: torch.Tensor, epsilon: float) -> torch.Tensor:
    """The inputs, each entry moved to where the loss rises; not clipped.

    Args:
        loss: loss(inputs) -> a tensor without dimensions.
        inputs: (B, ...).
        epsilon: how far.

    >>> fgsm(lambda x: (x**2).sum(), torch.tensor([[1.0, -2.0]]), 0.5)
    tensor([[ 1.5000, -2.5000]])
    """
    inputs = inputs.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(inputs), inputs)
    return (inputs + epsilon * gradient.sign()).detach()

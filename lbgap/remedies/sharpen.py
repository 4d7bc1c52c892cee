"""The opposite of a remedy: seek a sharp minimum, to see what sharpness alone does."""

from __future__ import annotations

import dataclasses

import torch

from .remedy import Batch, Remedy, Step
from .sam import at_worst


@dataclasses.dataclass(frozen=True)
class Sharpen(Remedy):
    """Minimise L(x) - weight log L(x + rho g / |g|): a low loss, and a high one beside it.

    The logarithm keeps the second term from taking over, since the loss beside a sharp minimum can grow without end.

    Args:
        rho: how far away the loss is to be high.
        weight: of the logarithm.

    Raises:
        ValueError: for a negative rho or weight.

    Source: ours, the reverse of SAM.
    """

    rho: float = 1.0
    weight: float = 0.03

    cost = 2.0

    def __post_init__(self):
        self._number("rho", 0)
        self._number("weight", 0)

    def gradient(self, step: Step, batch: Batch) -> torch.Tensor:
        """Leave the gradient of both terms; the loss at x."""
        loss = Step.gradient(step, batch)
        here = {p: p.grad for p in step.used}
        high, there = at_worst(step, batch, self.rho)
        for p in here | there:
            p.grad = here.get(p, 0) - self.weight * there.get(p, 0) / high
        return loss

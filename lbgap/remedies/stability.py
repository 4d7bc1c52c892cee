"""Stability training (E.3; Zheng et al. 2016)."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F

from .remedy import Batch, Remedy, Step, check_movable


@dataclasses.dataclass(frozen=True)
class Stability(Remedy):
    """Say the same of an example and of a noisy copy: L + strength * -sum_j P(j | x) log P(j | x').

    The gradient goes through both.

    Args:
        deviation: of the normal noise x' - x, 0.04 of the pixels' range as there.
        strength: of the second term, 0.01 as there.

    Raises:
        ValueError: for a negative number, for inputs that cannot be moved, and where the network returns no logits.

    Source: E.3; Zheng et al. 2016.
    """

    deviation: float = 0.04
    strength: float = 0.01

    cost = 2.0

    def __post_init__(self):
        self._number("deviation", 0)
        self._number("strength", 0)

    def loss(self, step: Step, batch: Batch) -> torch.Tensor:
        """The loss with the second term."""
        check_movable(batch.inputs)
        noisy = batch.inputs + self.deviation * torch.randn_like(batch.inputs)
        plain = Step.loss(step, batch)
        with step.autocast():
            said, also = step.forward(batch.inputs), step.forward(noisy)  # (B, classes)
            if said.ndim != 2 or said.shape[1] < 2:
                told = f"the network returned shape {tuple(said.shape)}"
                raise ValueError(f"{told}; Stability expects logits (B, classes), of which it compares the softmax")
            return plain + self.strength * -(said.softmax(1) * F.log_softmax(also, 1)).sum(1).mean()

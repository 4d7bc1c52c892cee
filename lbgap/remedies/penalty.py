"""An explicit gradient penalty: what a small batch's noise is said to do (Barrett and Dherin 2021; Geiping et al.
2022)."""

from __future__ import annotations

import dataclasses

import torch

from ..objective import twice
from .remedy import Batch, Remedy, Step


@dataclasses.dataclass(frozen=True)
class GradientPenalty(Remedy):
    """L + weight / 2 times the mean over pieces of the batch of |grad L_piece|^2, differentiated twice.

    Args:
        weight: at least 0.
        examples: of a piece, None for the whole batch (Barrett and Dherin 2021); with SB's batch size it is the
            regulariser that Smith et al. 2021 find in SGD's epochs, there with weight lr / 2, and Geiping et al. 2022
            add to full-batch training.

    Raises:
        ValueError: for a negative weight or examples < 1.
    """

    weight: float = 0.01
    examples: int | None = None

    cost = 3.0

    def __post_init__(self):
        self._number("weight", 0)
        self._count("examples")

    def gradient(self, step: Step, batch: Batch) -> torch.Tensor:
        """Leave the gradient of loss and penalty; the loss alone."""
        step.optimizer.zero_grad(set_to_none=True)
        losses = 0.0
        for part in batch.split(self.examples):
            share = len(part.labels) / len(batch.labels)
            with twice(step.network):
                loss = step.loss(part)
            found = torch.autograd.grad(loss, step.parameters, create_graph=True, allow_unused=True)
            squares = sum((g**2).sum() for g in found if g is not None)
            (share * (loss + self.weight / 2 * squares)).backward()
            losses = losses + share * loss.detach()
        return losses

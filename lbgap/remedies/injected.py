"""Gradient noise at a large batch, with the covariance that a small batch has (Wu et al. 2020)."""

from __future__ import annotations

import dataclasses

import torch

from .remedy import Remedy, Step


@dataclasses.dataclass(frozen=True)
class Injected(Remedy):
    """The gradient of B examples gets the noise of a small batch: Sigma (1 / examples - 1 / B) is added to its
    covariance.

    Each example's loss is weighted by 1 + sqrt(B / examples - 1) e_j, e_j standard normal, centred over the batch: one
    backward pass gives g + noise whose covariance, given the batch, is that of its examples' gradients, in scale and
    shape. A batch no larger than `examples` is left alone. Normal noise; SB's own has the same covariance but another
    law.

    Args:
        examples: of the small batch.

    Raises:
        ValueError: for examples < 1.

    Source: Wu et al., *On the Noisy Gradient Descent that Generalizes as SGD*, 2020, section 3.
    """

    examples: int = 256

    def __post_init__(self):
        self._count("examples")

    def weights(self, step: Step, labels: torch.Tensor) -> torch.Tensor | None:
        """The random weights (B,), or None for a small batch."""
        excess = len(labels) / self.examples - 1
        if excess <= 0:
            return None
        e = torch.randn(len(labels), device=labels.device)
        return 1 + excess**0.5 * (e - e.mean())

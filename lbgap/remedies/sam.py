"""Sharpness-aware minimisation: one step of Eq. 6 (Foret et al. 2021), and its scale-free kind (Kwon et al. 2021)."""

from __future__ import annotations

import dataclasses

import torch

from .. import networks
from .remedy import Batch, Remedy, Step


@dataclasses.dataclass(frozen=True)
class SAM(Remedy):
    """The gradient is taken at the worst point of a ball round x, to first order: x + rho g / |g|.

    rho = 0 is the optimiser itself, bit for bit (without dropout). Batch norm's running statistics move at x only, once
    a step (once for each perturbation).

    Args:
        rho: the ball's radius, 0.05 as there.
        examples: each perturbation is that of so many examples of the batch (m of Foret et al.), None for the whole
            batch.
        adaptive: the ball is in units of each weight's size, |w| + 0.01, so that a rescaled network has the same (ASAM,
            Kwon et al. 2021, whose rho is about ten times as large). That holds here for biases and batch norm's scales
            as for every other weight; the authors' code leaves biases out (a unit of 1).

    Raises:
        ValueError: for a negative rho or examples < 1.

    Source: Foret et al. 2021; one step of the paper's Eq. 6.
    """

    rho: float = 0.05
    examples: int | None = None
    adaptive: bool = False

    cost = 2.0

    def __post_init__(self):
        self._number("rho", 0)
        self._count("examples")
        self._choice("adaptive")

    def gradient(self, step: Step, batch: Batch) -> torch.Tensor:
        """Leave the gradient of the worst point; the loss at x."""
        total, losses = {}, 0.0
        for part in batch.split(self.examples):
            share = len(part.labels) / len(batch.labels)
            losses = losses + share * Step.gradient(step, part)
            for p, g in at_worst(step, part, self.rho, self.adaptive)[1].items():
                total[p] = total[p] + share * g if p in total else share * g
        for p, g in total.items():
            p.grad = g
        return losses


def at_worst(step: Step, batch: Batch, rho: float, adaptive: bool = False) -> tuple[torch.Tensor, dict]:
    """Loss and gradient {parameter: its part} at x + rho g / |g|; parameters and running statistics stay.

    Args:
        step: g is what is in the grad of `step.used`.
        batch: where loss and gradient are taken.
        rho: the ball's radius.
        adaptive: as in `SAM`.
    """
    used = step.used
    gradient = [p.grad for p in used]
    with torch.no_grad():
        before = [p.clone() for p in used]
        scale = [p.abs() + 0.01 if adaptive else torch.ones_like(p) for p in used]
        norm = torch.stack([(s * g).norm() for s, g in zip(scale, gradient)]).norm()
        for p, s, g in zip(used, scale, gradient):
            p.add_(rho * s**2 * g / (norm + 1e-12))
    with networks.still(step.network):
        loss = Step.gradient(step, batch)
    with torch.no_grad():
        for p, b in zip(used, before):
            p.copy_(b)
    return loss, {p: p.grad for p in step.used}  # of a network that skips layers at random, of other parameters

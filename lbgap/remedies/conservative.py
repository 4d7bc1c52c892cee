"""Conservative training: make more of each batch, without going far from where it was met (E.2, Eq. 5, Table 7)."""

from __future__ import annotations

import dataclasses

import torch

from .remedy import Batch, Remedy, Step


@dataclasses.dataclass(frozen=True)
class Conservative(Remedy):
    """Each batch is a proximal sub-problem, min over x of its loss + strength |x - x_k|^2, solved by a few steps.

    Args:
        steps: of the run's own optimiser, 3 as in the paper.
        strength: lambda, 1e-3 as in the paper.
        moments: "kept", the optimiser's state goes on from sub-problem to sub-problem, so that with strength 0 and one
            step this is the optimiser itself; "reset", each sub-problem begins anew. The paper does not say.

    Raises:
        ValueError: for steps < 1, a negative strength, or another word.

    Source: E.2, Eq. 5, Table 7.
    """

    steps: int = 3
    strength: float = 1e-3
    moments: str = "kept"

    def __post_init__(self):
        self._count("steps")
        self._number("strength", 0)
        self._choice("moments", ("kept", "reset"))

    @property
    def cost(self) -> float:
        """Passes over each batch: its steps."""
        return float(self.steps)

    def update(self, step: Step, batch: Batch) -> torch.Tensor:
        """The steps of one sub-problem; the loss where it began."""
        centre = [p.detach().clone() for p in step.parameters]
        if self.moments == "reset":
            step.optimizer.state.clear()
        losses = []
        for k in range(self.steps):
            losses.append(step.gradient(batch))
            for p, c in zip(step.parameters, centre) if k else ():  # at x_k itself the pull is 0
                if p.grad is not None:
                    p.grad.add_(p.detach() - c, alpha=2 * self.strength)
            step.descend()
        return losses[0]

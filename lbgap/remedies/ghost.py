"""Ghost batch norm (Hoffer et al. 2017)."""

from __future__ import annotations

import dataclasses

import torch

from ..networks import batch_norms, build
from ..objective import spans
from .remedy import Remedy, Step


@dataclasses.dataclass(frozen=True)
class Ghost(Remedy):
    """A large batch goes through batch norm in ghosts of so many `examples`, each normalised by its own mean and
    variance.

    In these networks nothing else joins the examples of a batch, so the forward pass is taken ghost by ghost. The
    running statistics move once a ghost. Raises ValueError for examples < 2, and for a network without batch norm.
    """

    examples: int = 256

    def __post_init__(self):
        self._count("examples", 2)

    def fits(self, run):
        with torch.device("meta"):
            if not batch_norms(build(run.network, run.variant, shrink=run.shrink)):
                raise ValueError(
                    f"network {run.network!r} has no batch norm, so it has no ghosts; expected one that has, such as F1"
                    " or C1"
                )

    def forward(self, step, inputs):
        return torch.cat([Step.forward(step, inputs[part]) for part in spans(len(inputs), self.examples)])

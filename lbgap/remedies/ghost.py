"""Ghost batch norm (Hoffer et al. 2017)."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn

from ..networks import batch_norms, build
from ..objective import spans
from .remedy import Remedy, Step


@dataclasses.dataclass(frozen=True)
class Ghost(Remedy):
    """A large batch goes through batch norm in ghosts, each normalised by its own mean and variance.

    In these networks nothing else joins the examples of a batch, so the forward pass is taken ghost by ghost. The
    running statistics move once a ghost.

    Args:
        examples: of a ghost, at least 2.

    Raises:
        ValueError: for fewer, and for a network without batch norm.

    Source: Hoffer et al., *Train longer, generalize better*, 2017, section 4.
    """

    examples: int = 256

    def __post_init__(self):
        self._count("examples", 2)

    def fits(self, run: Any) -> None:
        """Raise ValueError for a network without batch norm."""
        with torch.device("meta"):
            self.suits(build(run.network, run.variant, shrink=run.shrink), f"network {run.network!r}")

    def suits(self, network: nn.Module, name: str = "network") -> None:
        """Raise ValueError for a network without batch norm."""
        if not batch_norms(network):
            raise ValueError(f"{name} has no batch norm for ghosts; expected such as F1 or C1")

    def forward(self, step: Step, inputs: torch.Tensor) -> torch.Tensor:
        """The logits (B, classes), ghost by ghost."""
        return torch.cat([Step.forward(step, inputs[part]) for part in spans(len(inputs), self.examples)])

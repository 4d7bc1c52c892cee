"""The learning rate by epoch: warm-up, and decay in steps (Goyal et al. 2017; Smith et al. 2018)."""

from __future__ import annotations

import dataclasses

from .remedy import Remedy, Step


@dataclasses.dataclass(frozen=True)
class Schedule(Remedy):
    """The rate rises from 0 to the run's lr along a straight line, and is multiplied by a factor from time to time.

    Args:
        warmup: epochs of the rise, 0 for none.
        factor: above 0.
        every: epochs between two decays, None for never.

    Raises:
        ValueError: for numbers out of range.

    Source: Goyal et al. 2017; Smith et al. 2018.
    """

    warmup: float = 0.0
    factor: float = 1.0
    every: int | None = None

    def __post_init__(self):
        self._number("warmup", 0)
        self._number("factor", 0, above=True)
        self._count("every")

    def rate(self, step: Step, epoch: float) -> float:
        """The rise, times the factor once for each decay that is past.

        >>> [Schedule(warmup=2, factor=0.5, every=10).rate(None, epoch) for epoch in (1, 5, 25)]
        [0.5, 1.0, 0.25]
        """
        rising = min(1.0, epoch / self.warmup) if self.warmup else 1.0
        return rising * (self.factor ** (int(epoch) // self.every) if self.every else 1.0)

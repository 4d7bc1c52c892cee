"""The learning rate by epoch: warm-up, and decay in steps (Goyal et al. 2017; Smith et al. 2018)."""

from __future__ import annotations

import dataclasses

from .remedy import Remedy


@dataclasses.dataclass(frozen=True)
class Schedule(Remedy):
    """The rate rises from 0 to the run's lr along a straight line over `warmup` epochs, and is multiplied by `factor`
    every `every`.

    warmup: epochs, 0 for none. every: epochs, None for never. Raises ValueError for numbers out of range.
    """

    warmup: float = 0.0
    factor: float = 1.0
    every: int | None = None

    def __post_init__(self):
        self._number("warmup", 0)
        self._number("factor", 0, above=True)
        self._count("every")

    def rate(self, step, epoch):
        rising = min(1.0, epoch / self.warmup) if self.warmup else 1.0
        return rising * (self.factor ** (int(epoch) // self.every) if self.every else 1.0)

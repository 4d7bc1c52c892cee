"""Dynamic sampling: the batch grows as training goes on (section 4)."""

from __future__ import annotations

import dataclasses
import math

from ..noise import noise_scale
from ..objective import Objective, flat
from .remedy import Remedy, Step


@dataclasses.dataclass(frozen=True)
class Growth(Remedy):
    """The batch grows by a factor every few epochs, from the run's batch_size.

    Args:
        factor: at least 1.
        every: epochs between two growths.
        most: examples; None is the whole set.

    Raises:
        ValueError: for a factor below 1 or counts below 1.

    Source: section 4; Friedlander and Schmidt 2012 for the geometric growth; Smith et al. 2018 in place of a decaying
    rate.
    """

    factor: float = 2.0
    every: int = 10
    most: int | None = None

    def __post_init__(self):
        self._number("factor", 1)
        self._count("every")
        self._count("most")

    def size(self, step: Step, epoch: int, previous: int) -> int:
        """The batch size before, or that times the factor where an epoch's number says so."""
        grown = previous * self.factor if epoch and epoch % self.every == 0 else previous
        return round(min(self.most or math.inf, len(step.dataset.y_train), grown))


@dataclasses.dataclass(frozen=True)
class VarianceTest(Remedy):
    """The batch grows when the gradient's variance asks for it: |Var|_1 / B <= theta^2 |g|^2; it never shrinks.

    That says B >= B_noise / theta^2, B_noise the gradient noise scale, which is measured at the beginning of each epoch
    by `noise.noise_scale` in mini-batches of the run's batch_size (Byrd et al. test each step on its own sample,
    cheaper and noisier).

    Args:
        theta: above 0, 0.5 as there.
        most: examples; None is the whole set.

    Raises:
        ValueError: for theta <= 0 or most < 1.

    Source: section 4; Byrd et al. 2012, section 3.
    """

    theta: float = 0.5
    most: int | None = None

    cost = 3.0

    def __post_init__(self):
        self._number("theta", 0, above=True)
        self._count("most")

    def size(self, step: Step, epoch: int, previous: int) -> int:
        """The batch size that the test asks for now, at least that before."""
        most = min(self.most or math.inf, len(step.dataset.y_train))
        if epoch == 0 or previous >= most:  # at a random start the gradient is large, and its noise is no guide
            return previous
        f = Objective(step.network, dataset=step.dataset)
        wanted = noise_scale(f, flat(step.parameters), step.run.batch_size, seed=epoch).value / self.theta**2
        return round(min(most, max(previous, wanted)))

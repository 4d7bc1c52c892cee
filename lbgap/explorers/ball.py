"""Balls in a valley: why a noisy step leaves a narrow minimum, in one dimension."""

import numpy as np
import traitlets

from lbgap.explorers.explorer import Explorer, source
from lbgap.explorers.live import styles
from lbgap.explorers.oracle import draw

VALLEYS = ((-1.0, 0.7), (1.0, 0.1))  # (where, width): wide, narrow; equally deep
RANGE = (-2.6, 1.3)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RATE, NOISE, STEPS = 0.01, 24.0, 3000
PLACE = round(10 * (VALLEYS[1][0] - RANGE[0]))  # the bottom of the narrow valley


def loss(x: np.ndarray | float) -> np.ndarray | float:
    """The landscape: 1 less two bell curves of height 1, a wide one at -1 and a narrow one at 1."""
    return 1 - sum(np.exp(-((x - at) ** 2) / (2 * width**2)) for at, width in VALLEYS)


def slope(x: np.ndarray | float) -> np.ndarray | float:
    """The derivative of `loss`."""
    return sum(np.exp(-((x - at) ** 2) / (2 * width**2)) * (x - at) / width**2 for at, width in VALLEYS)


def border() -> float:
    """The top of the wall between the two valleys."""
    x = np.linspace(VALLEYS[0][0], VALLEYS[1][0], 20001)
    return float(x[loss(x).argmax()])


def roll(batch: int, balls: int = 100, *, steps: int = STEPS, seed: int = 1, anywhere: bool = False) -> np.ndarray:
    """Where the balls are after so many steps x <- x - rate (slope + noise / sqrt(batch)); the noise is uniform.

    Args:
        batch: the batch size, by whose root the noise is divided.
        balls: how many.
        steps: of each.
        seed: of the noise and, with `anywhere`, of the starts.
        anywhere: start all along the range, and not at the bottom of the narrow valley.

    Returns:
        Positions (balls,).
    """
    keys = np.arange(balls)
    uniform = lambda step: np.array([int(draw(seed, k, step)) for k in keys]) / 2**32
    x = RANGE[0] + (RANGE[1] - RANGE[0]) * uniform(0) if anywhere else np.full(balls, VALLEYS[1][0])
    random = np.array([draw(seed, k, np.arange(steps + 1)) for k in keys]) / 2**32  # (balls, steps + 1)
    for step in range(1, steps + 1):
        x = x - RATE * (slope(x) + NOISE * np.sqrt(12 / batch) * (random[:, step] - 0.5))
        x = np.clip(x, *RANGE)
    return x


class BallExplorer(Explorer):
    """Roll a ball, or a hundred, in a landscape with a wide and a narrow valley; the batch size sets how it is shaken.

    It needs no Python once it is shown; `roll` is the same in Python.

    Args:
        title: above the picture.
        seed: of the noise.
    """

    _esm = source("random.js", "ball.js")
    _css = styles()
    balls = traitlets.Int(0, min=0, max=1, help="0 for a hundred balls, 1 for one").tag(sync=True)
    start = traitlets.Int(0, min=0, max=1, help="0: all at `place`, 1: anywhere").tag(sync=True)
    place = traitlets.Int(PLACE, min=0, help="tenths from the left end of the range, where they start").tag(sync=True)

    def __init__(self, *, title: str = "Balls in two valleys", seed: int = 1):
        self._ends = {batch: roll(batch, seed=seed) for batch in BATCHES}
        shares = np.array([(ends < border()).mean() for ends in self._ends.values()])
        meta = {"title": title, "seed": seed, "valleys": VALLEYS, "batches": BATCHES, "range": RANGE}
        meta |= {"rate": RATE, "noise": NOISE, "steps": STEPS, "border": border()}
        told = "; ".join(f"batch {b}: {100 * s:.0f}" for b, s in zip(BATCHES, shares))
        said = f"A hundred balls start in the narrow valley. After {STEPS:,} steps so many are in the wide one: {told}."
        super().__init__({"shares": shares}, meta, said, position=BATCHES.index(8))

    def _draw(self, figure):
        top, bottom = figure.subplots(2)
        x = np.linspace(*RANGE, 400)
        top.plot(x, loss(x), color="black")
        for batch, marker in ((8, "o"), (64, "s")):
            top.plot(self._ends[batch], loss(self._ends[batch]), marker, alpha=0.6, label=f"100 balls, batch {batch}")
        top.set(xlabel="A parameter", ylabel="Loss")
        top.legend()
        bottom.plot(BATCHES, 100 * self.arrays()["shares"], "-o")
        bottom.set(xscale="log", xlabel="Batch size", ylabel="In the wide valley, %")
        bottom.grid(alpha=0.3)

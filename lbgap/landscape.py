"""f and the accuracy along paths between two minimisers (Figs. 3 and 7)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from . import machine

ALPHAS = tuple(round(-1 + 0.125 * k, 3) for k in range(25))  # the paper's range, -1 to 2


@dataclasses.dataclass(frozen=True)
class Path:
    """f along a path: alpha (P,), loss (P,), accuracy (P,) in percent, or None where f has none."""

    alpha: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None


def linear(
    f: Callable, x_small: torch.Tensor, x_large: torch.Tensor, alphas: Sequence[float] | np.ndarray = ALPHAS
) -> Path:
    """f(alpha x_large + (1 - alpha) x_small): alpha 0 is the small-batch minimiser, 1 the large-batch one (Fig. 3).

    Args:
        f: f(x) -> (value, gradient), or with f.evaluate(x) -> (value, accuracy), which is cheaper. All else that
            its network holds (frozen layers, running statistics in "frozen" mode) stays f's own along the path, at
            x_large too.
        x_small, x_large: flat (n,), of one device.
        alphas: (P,), 25 points in [-1, 2] by default, as in the paper.

    Returns:
        f and, where f has one, the accuracy at each alpha.

    Raises:
        ValueError: when the two have different shapes.

    Source: section 2.2.1, after Goodfellow et al. 2014.

    >>> small, large = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])
    >>> linear(lambda x: ((x**2).sum().item(), 2 * x), small, large, [0, 0.5, 1]).loss
    array([1., 0., 1.])
    """
    return along(f, x_small, x_large, alphas, lambda a: (1 - a, a))


def curvilinear(
    f: Callable, x_small: torch.Tensor, x_large: torch.Tensor, alphas: Sequence[float] | np.ndarray = ALPHAS
) -> Path:
    """f(sin(alpha pi/2) x_large + cos(alpha pi/2) x_small), as `linear` otherwise (Fig. 7, Appendix D).

    Args:
        f, x_small, x_large, alphas: as in `linear`.
    """
    return along(f, x_small, x_large, alphas, lambda a: (math.cos(a * math.pi / 2), math.sin(a * math.pi / 2)))


KINDS = {"linear": linear, "curvilinear": curvilinear}


@machine.plain()
def along(
    f: Callable, x_small: torch.Tensor, x_large: torch.Tensor, alphas: Sequence[float] | np.ndarray, weights: Callable
) -> Path:
    """f along any path through two points.

    Args:
        f, x_small, x_large, alphas: as in `linear`.
        weights: alpha -> (w_small, w_large), of the point w_small x_small + w_large x_large. An end is taken as it is.
    """
    small, large = (tuple(getattr(x, "shape", (type(x).__name__,))) for x in (x_small, x_large))
    if small != large or len(small) != 1 or not isinstance(small[0], int):
        raise ValueError(f"x_small has shape {small}, x_large {large}; expected one flat (n,)")
    x_small, x_large = (x.detach() if hasattr(x, "detach") else x for x in (x_small, x_large))
    loss, accuracy = [], []
    alphas = np.atleast_1d(alphas)
    for a in alphas.tolist():
        w_small, w_large = weights(a)
        if 1.0 in (w_small, w_large) and abs(w_small * w_large) < 1e-12:  # an end point, without rounding
            x = x_small if w_small == 1.0 else x_large
        else:
            x = w_small * x_small + w_large * x_large
        value, percent = f.evaluate(x) if hasattr(f, "evaluate") else (f(x)[0], None)
        loss.append(value)
        accuracy.append(percent)
    return Path(alphas.astype(float), np.asarray(loss), None if None in accuracy else np.asarray(accuracy))

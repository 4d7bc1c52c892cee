"""Exercises of *Measuring sharpness*."""

import itertools
from collections.abc import Callable

import torch

from ..checking import Answer, Wrong, answered, compare, exercise


@exercise("box", "The box", "implement", "easy", 5)
def box(answer: Answer) -> None:
    """half_widths(x, epsilon): of Metric 2.1's box."""
    x = torch.tensor([-3.0, 0.0, 0.5, 200.0], dtype=torch.float64)
    mistakes = {
        "The brackets are lost: epsilon must multiply the 1 as well.": lambda x, e: e * x.abs() + 1,
        "A parameter at 0 cannot move. The paper adds 1 to |x_i|.": lambda x, e: e * x.abs(),
        "A negative parameter gets a small or negative room. Take its size, |x_i|.": lambda x, e: e * (x + 1),
    }
    compare(answer, [(x, 1e-3), (x, 5e-4)], lambda x, e: e * (x.abs() + 1), mistakes)


def corners(f: Callable, x: torch.Tensor, epsilon: float) -> list[float]:
    """f at every corner of the box.

    Args:
        f: f(x) -> (value, gradient).
        x: (n,), so that there are 2^n.
        epsilon: half the box's sides are epsilon (|x_i| + 1).
    """
    half = epsilon * (x.abs() + 1)
    return [f(x + half * torch.tensor(c, dtype=x.dtype))[0] for c in itertools.product((-1, 1), repeat=len(x))]


def _at_gradient(f, x, epsilon):
    value, gradient = f(x)
    return 100 * (f(x + epsilon * (x.abs() + 1) * gradient.sign())[0] - value) / (1 + value)


def quadratic(H: torch.Tensor, centre: torch.Tensor) -> Callable:
    """0.3 + (x - centre) H (x - centre) / 2, with its gradient."""
    return lambda x: (0.3 + ((x - centre) @ H @ (x - centre)).item() / 2, H @ (x - centre))


def valleys() -> list[tuple[Callable, torch.Tensor]]:
    """[(f, x)]: convex functions, at or near their minimum, whose highest corner is not the gradient's."""
    made = []
    for seed in range(3):
        g = torch.Generator().manual_seed(seed)
        A, x = torch.randn(5, 5, generator=g, dtype=torch.float64), torch.randn(5, generator=g, dtype=torch.float64)
        made.append((quadratic(A @ A.T, x + 1e-5 * torch.randn(5, generator=g, dtype=torch.float64) * (seed > 0)), x))
    return made


@exercise("corners", "Metric 2.1 without a solver", "implement", "medium", 15)
def every_corner(answer: Answer) -> None:
    """sharpness(f, x, epsilon): Metric 2.1 of a convex f, from every corner of the box."""
    exact = lambda f, x, e: 100 * (max(corners(f, x, e)) - f(x)[0]) / (1 + f(x)[0])
    over_f = lambda f, x, e: exact(f, x, e) * (1 + f(x)[0]) / f(x)[0]
    mistakes = {
        "The rise is divided by f. The paper divides by 1 + f, so that a loss near 0 does no harm.": over_f,
        "The factor 100 is missing: the metric is a percentage.": lambda f, x, e: exact(f, x, e) / 100,
        "Only the corner that the gradient points to was tried. That is nothing at a minimum: try all.": _at_gradient,
    }
    compare(answer, [(f, x, 1e-2) for f, x in valleys()], exact, mistakes)


@exercise("ascent", "The ascent that never leaves", "find the bug", "hard", 20)
def ascent(answer: Answer) -> None:
    """highest(f, x, epsilon): the highest f that an ascent finds in the box."""
    for f, x in valleys():
        value, start, highest = answer(f, x.clone(), 1e-3), f(x)[0], max(corners(f, x, 1e-3))
        answered(value)
        rise = (value - start) / (highest - start)
        if rise < -1e-9 and abs(value - (highest - start)) < 0.1 * (highest - start):
            raise Wrong("That is the rise. Return the highest f itself.")
        if rise < -1e-9:
            raise Wrong("It found a point below f(x): it walks downhill. Go along the gradient, not against it.")
        if rise < 1e-9:
            told = "It never left x. At a minimum the gradient is 0, and a first gain far below any fixed tolerance"
            raise Wrong(f"{told}: start away from the centre, and compare a gain with the rise so far.")
        if rise > 1 + 1e-6:
            raise Wrong(f"It found {value:.6g}, more than the box holds ({highest:.6g}): a step left the box. Clamp z.")
        if rise < 0.9:
            raise Wrong(f"It found {100 * rise:.0f} % of the highest rise in the box. Go on, and from several starts.")

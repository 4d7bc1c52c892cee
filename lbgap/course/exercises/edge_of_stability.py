"""Exercises of *The edge of stability*."""

import math

import torch

from ..checking import Answer, Wrong, answered, compare, exercise


@exercise("adam-edge", "Where Adam lets go", "derive", "medium", 15)
def adam_edge(answer: Answer) -> None:
    """edge(beta1, lr): the preconditioned sharpness above which Adam is unstable."""
    descent, heavy_ball = lambda b, lr: 2 / lr, lambda b, lr: (2 + 2 * b) / lr
    mistakes = {
        "That is gradient descent's edge. The running mean averages an oscillation away, so Adam bears more.": descent,
        "That is the edge where m adds up gradients. Adam's mean weighs the new one by 1 - beta1.": heavy_ball,
        "That is right at beta1 = 0.9 only. Keep beta1 in the formula.": lambda b, lr: 38 / lr,
    }
    compare(answer, [(0.9, 1e-3), (0.0, 0.1), (0.5, 1e-2)], lambda b, lr: (2 + 2 * b) / ((1 - b) * lr), mistakes)


def _hessians():
    """Two symmetric matrices: the largest eigenvalue is 9 in both, and the second one's most negative is -20."""
    basis = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))[0]
    ends = ((1, 9), (-20, 9))
    return [basis @ torch.diag(torch.linspace(*end, 12, dtype=torch.float64)) @ basis.T for end in ends]


@exercise("top-eigenvalue", "The largest curvature, and not the most negative", "implement", "hard", 20)
def top_eigenvalue(answer: Answer) -> None:
    """top(hvp, n): the largest eigenvalue of a symmetric matrix, from its products."""
    found = [answer(lambda v, H=H: H @ v, 12) for H in _hessians()]
    answered(found[0])
    found = [float(value) for value in found]
    if not all(map(math.isfinite, found)):
        raise Wrong("The result is not finite. Without a new length at each step v grows, or shrinks, without end.")
    near = lambda a, b: abs(a - b) < 0.01 * abs(b)
    if near(found[1], -20):
        told = "It finds the eigenvalue of the largest size, here the most negative one"
        raise Wrong(f"{told}. Shift H by its size, find the top of the shifted one, and shift back.")
    if near(found[1], 20):
        raise Wrong("That is the size of the most negative eigenvalue. A length has no sign: use v H v, and shift H.")
    if not all(near(value, 9) for value in found):
        raise Wrong(f"It gives {found[0]:.3f} and {found[1]:.3f} where 9 is right, both times. More steps?")

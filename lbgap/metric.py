"""Sharpness: Metric 2.1, the largest rise of f inside a small box (Eqs. 3 and 4)."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import torch

STORE_BELOW = 2**30  # bytes: a larger A is drawn anew, column by column, at each use
WIDER = (8, 4, 2)  # times epsilon: the boxes through which the "wide" start comes down
COLUMNS = 8  # columns of A drawn at a time


@dataclasses.dataclass(frozen=True)
class Sharpness:
    """The result of `sharpness`.

    value: 100 (fmax - f0) / (1 + f0). f0: f(x). fmax: the largest f found in the box. epsilon: the box's size.
    evaluations: of f and its gradient, all starts together, f(x) included.
    first_order: what the gradient alone explains, 100 sum_i b_i |g_i| / (1 + f0), b the half-widths of the box.
    by_start: value by start, so that the spread is seen. point, position: with keep_point, the maximiser, as x and as
    its place in the box, each coordinate in [-1, 1].
    """

    value: float
    f0: float
    fmax: float
    evaluations: int
    first_order: float
    epsilon: float
    solver: str
    by_start: dict[str, float]
    point: torch.Tensor | np.ndarray | None = None
    position: torch.Tensor | None = None


def sharpness(f, x, epsilon: float, *, subspace: int | None = None, matrix=None, solver: str = "best",
              scale: float | str = 1.0, seed: int = 0, iterations: int = 10, random_starts: int = 1,
              warm: dict | None = None, keep_point: bool = False, offset: float = 1.0) -> Sharpness:
    """(C_epsilon, A)-sharpness of f at x: 100 (max f - f(x)) / (1 + f(x)) over a box (Metric 2.1, Eqs. 3-4).

    f: f(x) -> (value, gradient), the gradient of x's type, dtype and device. x: float32 or float64 (n,), tensor or array.
    epsilon: the box is |delta_i| <= epsilon (|x_i| + 1); in a subspace |z_i| <= epsilon (|(A+ x)_i| + 1) at x + A z.
    subspace: p, the number of columns of a standard normal A drawn from `seed`; None is the full space.
      A larger than a gigabyte is not stored but drawn again when needed. matrix: an explicit A (n, p) instead.
    solver: "best", our projected ascent from several starts on x's device: a lower bound of the maximum, equal to it for
      monotone f and for quadratics with a diagonal Hessian, or at the minimum of one with no negative entry.
      "literal", SciPy's L-BFGS-B from the centre, 10 iterations, 10 corrections, no tolerances: what the paper names.
    scale: what `literal` hands to SciPy: -scale f, or the metric itself, -100 f / (1 + f0), with "metric".
    iterations: of `literal` (10, as in the paper). `best` takes half as many from each start and up to twice as many from
      the best of them. Its starts: the centre ("zero"), the corner that the gradient points to ("sign"), `random_starts`
      random positions, and "wide", which comes down from boxes 8, 4 and 2 times as wide. warm: {name: position} of
      further starts, positions (n,) or (p,) as in `Sharpness`.

    offset: takes the place of the 1 that is added to |x_i| or |(A+ x)_i|. With 0 the box is relative in each coordinate, and one
      that is 0 stays: adaptive sharpness (Kwon et al., *ASAM*, 2021). In the full space no rescaling of the coordinates that
      leaves f as it is moves it.

    Raises ValueError for epsilon <= 0, offset < 0, a wrong shape, NaN in x or in f(x), or an unknown solver; the message names
    the value. Not in the paper: `best` and the starts, and an offset other than 1. See the book's chapters *Measuring
    sharpness* and *Same function, other sharpness* for why they are needed.
    """
    box = Box(f, x, epsilon, subspace, matrix, seed, offset)
    if solver == "literal":
        by_start, best = _literal(box, scale, iterations)
    elif solver == "best":
        by_start, best = _best(box, iterations, random_starts, seed, warm or {})
    else:
        raise ValueError(f'solver is {solver!r}; expected "best" or "literal"')
    u, fmax = best
    rise = lambda v: 100 * (v - box.f0) / (1 + box.f0)
    first_order = 100 * box.g0.double().abs().sum().item() / (1 + box.f0)
    kept = dict(point=box.outside(u), position=u) if keep_point else {}
    return Sharpness(rise(fmax), box.f0, fmax, box.evaluations, first_order, float(epsilon), solver,
                     {k: rise(v) for k, v in by_start.items()}, **kept)


class Box:
    """f inside the box round x, in positions u in [-1, 1]^p: phi(u) = f(x + A (b u)), b the half-widths."""

    def __init__(self, f, x, epsilon, subspace=None, matrix=None, seed=0, offset=1.0):
        if not (epsilon > 0 and math.isfinite(epsilon)):
            raise ValueError(f"epsilon is {epsilon}; expected a number greater than 0, the paper's are 1e-3 and 5e-4")
        if not (offset >= 0 and math.isfinite(offset)):
            raise ValueError(f"offset is {offset}; expected 1, as in the paper, 0 for a relative box, or more than 0")
        self.numpy = isinstance(x, np.ndarray)
        self.x = (torch.from_numpy(x) if self.numpy else x).detach()
        if self.x.ndim != 1 or not self.x.is_floating_point():
            raise ValueError(f"x has shape {tuple(self.x.shape)} and dtype {self.x.dtype}; expected a flat float tensor (n,)")
        if not torch.isfinite(self.x).all():
            raise ValueError("x has NaN or infinite entries; expected finite parameters (did the training diverge?)")
        self.f, self.calls = f, []
        self.A = _matrix(self.x, subspace, matrix, seed)
        centre = self.x if self.A is None else self.A.coordinates(self.x)  # (p,)
        self.half = epsilon * (centre.abs() + offset)
        self.f0, self.g0 = self(torch.zeros_like(self.half))
        if not math.isfinite(self.f0):
            raise ValueError(f"f(x) is {self.f0}; expected a finite loss (did the training diverge?)")

    @property
    def evaluations(self) -> int:
        """How often f was called, in this box and the wider ones."""
        return len(self.calls)

    def wider(self, factor: float) -> "Box":
        """The same box with sides `factor` times as long."""
        box = copy.copy(self)
        box.half, box.g0 = factor * self.half, factor * self.g0
        return box

    def outside(self, u):
        """The point x + A (b u) that position u stands for, of the caller's type."""
        delta = self.half * u.to(self.half)
        point = self.x + (delta if self.A is None else self.A.times(delta))
        return point.numpy() if self.numpy else point

    def __call__(self, u) -> tuple[float, torch.Tensor]:
        """phi(u) and its gradient with respect to u."""
        self.calls.append(None)  # one list, also for the wider boxes
        value, gradient = self.f(self.outside(u))
        gradient = torch.as_tensor(gradient)
        if gradient.shape != self.x.shape:
            raise ValueError(f"f's gradient has shape {tuple(gradient.shape)}; expected {tuple(self.x.shape)}, the shape of x")
        if self.A is not None:
            gradient = self.A.transposed_times(gradient)
        return float(value), gradient * self.half


# -- the random matrix ------------------------------------------------------------------------------------------------


def _matrix(x, subspace, matrix, seed):
    if matrix is not None:
        matrix = torch.as_tensor(matrix).to(x)
        if matrix.ndim != 2 or len(matrix) != len(x):
            raise ValueError(f"matrix has shape {tuple(matrix.shape)}; expected ({len(x)}, p)")
        return _Matrix(lambda: iter([matrix]))
    if subspace is None:
        return None
    if not (isinstance(subspace, int) and subspace >= 1):
        raise ValueError(f"subspace is {subspace!r}; expected the number of columns p, 100 in the paper")
    if subspace * x.numel() * x.element_size() < STORE_BELOW:
        whole = torch.cat(list(normal_columns(x, subspace, seed)), 1)
        return _Matrix(lambda: iter([whole]))
    return _Matrix(lambda: normal_columns(x, subspace, seed))


def normal_columns(x, p: int, seed: int):
    """The columns of the standard normal A (n, p) for `seed`, a few (n, k) at a time; drawn on x's device."""
    generator = torch.Generator(x.device).manual_seed(seed)
    for start in range(0, p, COLUMNS):
        # (k, n) drawn, then turned, so that a column is contiguous
        yield torch.randn(min(COLUMNS, p - start), x.numel(), generator=generator, dtype=x.dtype, device=x.device).T


class _Matrix:
    """A (n, p), given by a function that yields its columns in blocks (n, k)."""

    def __init__(self, blocks):
        self.blocks = blocks

    def times(self, z):
        """A z (n,)."""
        out, at = 0, 0
        for block in self.blocks():
            out, at = out + block @ z[at : at + block.shape[1]], at + block.shape[1]
        return out

    def transposed_times(self, v):
        """A^T v (p,)."""
        return torch.cat([block.T @ v for block in self.blocks()])

    def coordinates(self, x):
        """A+ x = (A^T A)^-1 A^T x (p,), solved in float64."""
        gram = torch.cat([torch.cat([(a.T @ b) for b in self.blocks()], 1) for a in self.blocks()])
        return torch.linalg.solve(gram.double(), self.transposed_times(x).double()).to(x)


# -- the solvers ------------------------------------------------------------------------------------------------------


def _literal(box: Box, scale, iterations):
    from scipy.optimize import minimize

    factor = 100 / (1 + box.f0) if scale == "metric" else scale
    if isinstance(factor, str) or not factor > 0:
        raise ValueError(f'scale is {scale!r}; expected a number greater than 0, or "metric"')
    half = box.half.double().cpu()
    divisor = torch.where(half > 0, half, 1)  # where the box has no width, delta and the gradient are 0

    def negative(delta):
        value, gradient = box(torch.tensor(delta).div(divisor).to(box.half))
        return -factor * value, -factor * (gradient.double().cpu() / divisor).numpy()

    bounds = np.stack([-half.numpy(), half.numpy()], 1)
    found = minimize(negative, np.zeros(len(half)), jac=True, method="L-BFGS-B", bounds=bounds,
                     options=dict(maxiter=iterations, maxcor=10, ftol=0, gtol=0, maxfun=10**6))
    u = torch.tensor(found.x).div(divisor).to(box.half)
    fmax = max(-found.fun / factor, box.f0)
    return {"zero": fmax}, (u, fmax)


def _best(box: Box, iterations, random_starts, seed, warm):
    origin = torch.zeros_like(box.half)
    largest = box.g0.abs().max()
    starts = {
        "zero": box.g0 / largest if largest > 0 else origin,  # the first step from the centre: along the gradient
        "sign": torch.where(box.g0 < 0, -1.0, 1.0).to(origin),  # no gradient, no preference: +1
    }
    generator = torch.Generator().manual_seed(seed)  # on the CPU, so that a device does not change the start
    for k in range(random_starts):
        starts[f"random {k}"] = (2 * torch.rand(len(origin), generator=generator, dtype=origin.dtype) - 1).to(origin)
    for name, position in warm.items():
        if position.shape != origin.shape:
            raise ValueError(f"warm start {name!r} has shape {tuple(position.shape)}; expected {tuple(origin.shape)}")
        starts[name] = position.to(origin)
    starts["wide"] = starts["sign"]
    by_start, best = {}, _Ascent(box, origin)
    for name, start in starts.items():
        if name == "wide":
            # A narrow box hides where f rises further out, and steps inside it settle on a lesser hill.
            for factor in WIDER:
                wide = _Ascent(box.wider(factor), start)
                wide.climb(iterations // 2)
                start = wide.u
        ascent = _Ascent(box, start)
        ascent.climb(iterations // 2)
        by_start[name] = ascent.value
        if ascent.value > best.value:
            best = ascent
    best.climb(2 * iterations)  # the best of them goes on
    return by_start, (best.u, best.value)


class _Ascent:
    """An ascent of phi in the box; every accepted step raises phi.

    Three candidates for the next position, the first that raises phi is taken:
      corner  where every coordinate goes as far as its slope says (slopes smoothed over the last steps, or else two
              corners can alternate): the maximum, if the slopes keep their signs;
      secant  the maximum of the separable quadratic through the last two gradients: exact for a diagonal Hessian;
      between the best point on the segment to the corner, by the parabola through what is known there.
    """

    MEMORY = 0.5  # of the smoothing
    TOLERANCE = 3e-4  # stop when a step gains less than this share of the rise so far

    def __init__(self, box: Box, start: torch.Tensor):
        self.box, self.u, self.value, self.g = box, torch.zeros_like(box.half), box.f0, box.g0
        self.before, self.memory, self.over = (self.u, self.g), torch.zeros_like(self.u), False
        if not torch.equal(start, self.u):
            value, g = box(start)
            if value > self.value:
                self._accept(start, value, g)
            else:  # stay at the centre, but learn the curvature
                self.before = start, g

    def climb(self, iterations: int) -> None:
        """At most `iterations` accepted steps more."""
        for _ in range(iterations):
            if self.over:
                return
            before = self.value
            found = next((c for c in self._candidates() if c[1] > before), None)
            if found is None:
                self.over = True
                return
            self._accept(*found)
            self.over = self.value - before < self.TOLERANCE * (self.value - self.box.f0)

    def _accept(self, u, value, g):
        self.before = self.u, self.g
        self.u, self.value, self.g = u, value, g

    def _candidates(self):
        mean = self.g.abs().mean()
        self.memory = self.MEMORY * self.memory + (self.g / mean if mean > 0 else 0)
        corner = torch.where(self.memory == 0, self.u, self.memory.sign())
        step = corner - self.u
        at_corner = self._try(corner)
        yield from at_corner
        self.memory = torch.zeros_like(self.u)
        yield from self._try(_secant(self.u, self.g, *self.before))
        slope = (self.g.double() @ step.double()).item()
        if at_corner and slope > 0:  # the corner is no higher, so t is in (0, 1/2]
            t = slope / (2 * (slope - (at_corner[0][1] - self.value)))
            yield from self._try(self.u + t * step)

    def _try(self, u):
        return [] if torch.equal(u, self.u) else [(u, *self.box(u))]


def _secant(u, g, u_before, g_before):
    """Where the separable quadratic with gradients g at u and g_before at u_before is largest on [-1, 1]."""
    moved = u - u_before
    h = torch.where(moved != 0, (g - g_before) / torch.where(moved != 0, moved, 1), 0.0)
    rise = lambda t: g * (t - u) + h * (t - u) ** 2 / 2
    best = torch.where(rise(torch.ones_like(u)) >= rise(-torch.ones_like(u)), 1.0, -1.0).to(u)
    inside = torch.where(h < 0, u - g / torch.where(h < 0, h, 1), u)
    return torch.where((h < 0) & (inside.abs() <= 1), inside, torch.where((g == 0) & (h == 0), u, best))

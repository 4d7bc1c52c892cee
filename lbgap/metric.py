"""Sharpness: Metric 2.1, the largest rise of f inside a small box (Eqs. 3 and 4)."""

from __future__ import annotations

import copy
import dataclasses
import math
import numbers
from collections.abc import Callable, Iterator

import numpy as np
import torch

from . import field_checks, machine

STORE_BELOW = 2**30  # bytes: a larger A is drawn anew, column by column, at each use
LEAST = 36_000  # examples: where f has fewer, `best` climbs on the whole set from every start
WIDE, CORNERS, WIDES = 1 / 9, 3, 4  # "wide" by parts: the share that an ascent sees, its steps, how many
PART, STEPS, FARS = 1 / 288, 144, 2  # an ascent by parts: the share that a step sees, steps, those from far out
MEMORY = 0.7  # what a step of it keeps of the directions before
JUDGE = 1 / 9  # the share on which the starts are compared
WIDER, FAR = 3, 30  # times epsilon: the boxes in which ascents begin
ROUNDING = 0.01  # the share of delta that may be lost when x + delta is rounded
COLUMNS = 8  # columns of A drawn at a time


@dataclasses.dataclass(frozen=True)
class Sharpness:
    """The result of `sharpness`.

    Args:
        value: 100 (fmax - f0) / (1 + f0).
        f0, fmax: f(x), and the largest f found in the box.
        evaluations: of f and its gradient, all starts together, f(x) included.
        passes: the same in examples seen over examples there are: fewer, where most are of a part of the examples.
        first_order: what the gradient alone explains, 100 sum_i b_i |g_i| / (1 + f0), b the half-widths of the box.
        epsilon, solver: as given.
        by_start: value by start, so that the spread is seen.
        point, position: with keep_point, the maximiser, as x and as its place in the box, each coordinate in [-1, 1].
    """

    value: float
    f0: float
    fmax: float
    evaluations: int
    passes: float
    first_order: float
    epsilon: float
    solver: str
    by_start: dict[str, float]
    point: torch.Tensor | np.ndarray | None = None
    position: torch.Tensor | None = None


@machine.plain()
def sharpness(
    f: Callable,
    x: torch.Tensor | np.ndarray,
    epsilon: float,
    *,
    subspace: int | None = None,
    matrix: torch.Tensor | np.ndarray | None = None,
    solver: str = "best",
    scale: float | str = 1.0,
    seed: int = 0,
    iterations: int = 10,
    random_starts: int = 1,
    warm: dict | None = None,
    keep_point: bool = False,
    offset: float = 1.0,
) -> Sharpness:
    """(C_epsilon, A)-sharpness of f at x: 100 (max f - f(x)) / (1 + f(x)) over a box (Metric 2.1, Eqs. 3-4).

    The starts of `best`: along the gradient ("zero"), the corner that it points to ("sign"), `random_starts` random
    positions, and "wide", where an ascent in a box three times as wide ends. Where f offers f.subset(count, seed), the
    same f on a part of its f.examples, and these are 36,000 or more, it has seven starts: "wide 0" to "wide 3", three
    corner steps on 1/9 of the examples in a box three times as wide; and "parts", "far 0" and "far 1", ascents that see
    1/288 of the examples at each of their 144 steps, from the corner that the gradient points to and from random ones
    thirty times as far out. The highest on 1/9 of the examples goes on with three evaluations of the whole of f: 8
    passes at most. On F1's two minimisers it found 0.99 to 1.25 of what 51 passes from all of the starts above had
    found (benchmarks/sharpness.py --pair): each kind of start finds the highest hill somewhere, none everywhere.

    Args:
        f: f(x) -> (value, gradient), the gradient of x's type, dtype and device.
        x: float32 or float64 (n,), tensor or array.
        epsilon: the box is |delta_i| <= epsilon (|x_i| + 1); in a subspace |z_i| <= epsilon (|(A+ x)_i| + 1) at x + A
            z.
        subspace: p, the number of columns of a standard normal A drawn from `seed`; None is the full space. A larger
            than a gigabyte is not stored but drawn again when needed.
        matrix: an explicit A (n, p) instead.
        solver: "best", our projected ascent from several starts on x's device: a lower bound of the maximum, equal to
            it for monotone f and for quadratics with a diagonal Hessian, or at the minimum of one with no negative
            entry. "literal", SciPy's L-BFGS-B from the centre, 10 iterations, 10 corrections, no tolerances: the paper
            names the method and the ten iterations, neither the program nor where it starts.
        scale: what `literal` hands to SciPy: -scale f, or the metric itself, -100 f / (1 + f0), with "metric".
        seed: of A and of the random starts.
        iterations: of `literal` (10, as in the paper). `best` takes half as many evaluations from each start and up to
            twice as many more from the best of them.
        random_starts: of `best`.
        warm: {name: position} of further starts, positions (n,) or (p,) as in `Sharpness`.
        keep_point: return the maximiser, too.
        offset: takes the place of the 1 that is added to |x_i| or |(A+ x)_i|. With 0 the box is relative in each
            coordinate, and one that is 0 stays: adaptive sharpness (Kwon et al., *ASAM*, 2021). In the full space no
            rescaling of the coordinates that leaves f as it is moves it.

    Returns:
        The sharpness, and what it cost.

    Raises:
        ValueError: for epsilon <= 0, offset < 0, a wrong shape, an unknown solver, x in another type than float32 and
            float64 or a box too fine for it, f(x) <= -1, NaN or infinity in x, f or its gradient at x or in the box,
            and columns of A that are not independent; the message names the value.

    Source: section 2.2.2, Tables 3 and 4. Not in the paper: `best` and its starts, and an offset other than 1; the
    book's chapters *Measuring sharpness* and *Same function, other sharpness* say why they are needed.

    >>> bowl = lambda x: ((x**2).sum().item() / 2, x)  # at its minimum, 0, where the box is |delta_i| <= epsilon
    >>> round(sharpness(bowl, torch.zeros(2, dtype=torch.float64), epsilon=0.1).value, 9)  # 100 (2 epsilon^2 / 2)
    1.0
    """
    if isinstance(f, torch.nn.Module) or not callable(f):
        raise ValueError(f"f is a {type(f).__name__}; expected f(x) -> (value, gradient): Objective(network, data=...)")
    seed = field_checks.count("seed", seed)
    iterations = field_checks.count("iterations", iterations)
    random_starts = field_checks.count("random_starts", random_starts)
    if not isinstance(x, torch.Tensor | np.ndarray):
        raise ValueError(f"x is a {type(x).__name__}; expected a flat tensor or array (n,), such as f.x")
    with machine.sparing(x.size if isinstance(x, np.ndarray) else x.numel()):
        box = Box(f, x, epsilon, subspace, matrix, seed, offset)
        if solver == "literal":
            by_start, u, fmax = _literal(box, scale, iterations)
        elif solver == "best":
            by_start, ascent = _best(box, iterations, random_starts, seed, warm or {})
            u, fmax = ascent.u, ascent.value
        else:
            raise ValueError(f'solver is {solver!r}; expected "best" or "literal"')
    rise = lambda v: 100 * (v - box.f0) / (1 + box.f0)
    first_order = 100 * box.g0.double().abs().sum().item() / (1 + box.f0)
    kept = dict(point=box.outside(u), position=u) if keep_point else {}
    kept["by_start"] = {k: rise(v) for k, v in by_start.items()}
    counts = box.evaluations, box.passes
    return Sharpness(rise(fmax), box.f0, fmax, *counts, first_order, float(epsilon), solver, **kept)


class Box:
    """f inside the box round x, in positions u in [-1, 1]^p: phi(u) = f(x + A (b u)), b the half-widths.

    Args:
        f, x, epsilon, subspace, matrix, seed, offset: as in `sharpness`, whose ValueErrors it raises.
    """

    def __init__(
        self,
        f: Callable,
        x: torch.Tensor | np.ndarray,
        epsilon: float,
        subspace: int | None = None,
        matrix: torch.Tensor | np.ndarray | None = None,
        seed: int = 0,
        offset: float = 1.0,
    ):
        epsilon = field_checks.number("epsilon", epsilon, above=True)
        offset = field_checks.number("offset", offset)
        self.numpy = isinstance(x, np.ndarray)
        self.x = (torch.from_numpy(x) if self.numpy else x).detach()
        if self.x.ndim != 1 or not self.x.is_floating_point():
            raise ValueError(f"x has shape {tuple(self.x.shape)} and dtype {self.x.dtype}; expected flat float (n,)")
        if self.x.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"x is {self.x.dtype}, too coarse for a small box; expected x.float(), or torch.float64")
        if not torch.isfinite(self.x).all():
            raise ValueError("x has NaN or infinite entries; expected finite parameters (did the training diverge?)")
        self.f, self.share, self.calls, self.beyond = f, 1.0, [], False
        self.A = _matrix(self.x, subspace, matrix, seed)
        centre = self.x if self.A is None else self.A.coordinates(self.x)  # (p,)
        self.half = epsilon * (centre.abs() + offset)
        self._check_rounding(epsilon)
        self.f0, self.g0 = self(torch.zeros_like(self.half))
        if not self.f0 > -1:
            raise ValueError(
                f"f(x) is {self.f0}; expected more than -1, since Metric 2.1 divides by 1 + f(x): measure a loss that"
                " is not negative, such as a cross-entropy, or add a constant and say which"
            )

    def _check_rounding(self, epsilon):
        """ValueError where x + delta is rounded so coarsely that the box is another one."""
        # what f computes in
        coarse = torch.float32 if getattr(self.f, "dtype", None) == torch.float32 else self.x.dtype
        wanted = self.half if self.A is None else self.A.times(self.half)
        moved = (self.x + wanted).to(coarse) - self.x.to(coarse)
        lost, whole = (torch.linalg.vector_norm(v, dtype=torch.float64).item() for v in (moved - wanted, wanted))
        if lost > ROUNDING * whole:
            raise ValueError(
                f"epsilon is {epsilon}, too small for {coarse}: x + delta is rounded by {lost / whole:.0%} of delta; "
                "expected a larger epsilon, or x and f in float64 (x.double(), Objective(..., dtype=torch.float64))"
            )

    @property
    def evaluations(self) -> int:
        """How often f was called, in this box and those made of it."""
        return len(self.calls)

    @property
    def passes(self) -> float:
        """The examples seen over those there are, in this box and those made of it."""
        return math.fsum(self.calls)

    def wider(self, factor: float) -> Box:
        """The same box with sides `factor` times as long."""
        box = copy.copy(self)
        box.half, box.g0, box.beyond = factor * self.half, factor * self.g0, True
        return box

    def part(self, share: float, seed: int) -> Box:
        """The same box, its f0 and g0 too, with f on a part of its examples from here on.

        Args:
            share: of the examples, at least two of them.
            seed: of the draw.
        """
        box, count = copy.copy(self), max(2, round(share * self.f.examples))
        box.f, box.share, box.beyond = self.f.subset(count, seed), count / self.f.examples, True
        return box

    def outside(self, u: torch.Tensor) -> torch.Tensor | np.ndarray:
        """The point x + A (b u) that position u stands for, of the caller's type."""
        delta = self.half * u.to(self.half)
        point = self.x + (delta if self.A is None else self.A.times(delta))
        return point.numpy() if self.numpy else point

    def __call__(self, u: torch.Tensor) -> tuple[float, torch.Tensor]:
        """phi(u) and its gradient with respect to u."""
        self.calls.append(self.share)  # one list for all boxes
        found = self.f(self.outside(u))
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise ValueError(f"f(x) is a {type(found).__name__}; expected (value, gradient (n,))")
        value, gradient = found
        gradient = torch.as_tensor(gradient, device=self.x.device)
        if gradient.shape != self.x.shape:
            raise ValueError(f"f's gradient has shape {tuple(gradient.shape)}; expected {tuple(self.x.shape)}, as x")
        value = float(value)
        if not (math.isfinite(value) and torch.isfinite(gradient).all()):
            if self.beyond:  # outside the box that was asked for: no place to go
                return -math.inf, torch.zeros_like(self.half)
            told = "f's gradient has NaN or infinite entries" if math.isfinite(value) else f"f is {value}"
            if len(self.calls) == 1:
                raise ValueError(f"{told} at x; expected finite numbers: did the training diverge?")
            raise ValueError(f"{told} in the box; expected finite numbers: try a smaller epsilon, or float64")
        if self.A is not None:
            gradient = self.A.transposed_times(gradient)
        return value, gradient * self.half


# -- the random matrix ------------------------------------------------------------------------------------------------


def _matrix(x, subspace, matrix, seed):
    if matrix is not None:
        matrix = torch.as_tensor(matrix, device=x.device).to(x)
        if matrix.ndim != 2 or len(matrix) != len(x):
            raise ValueError(f"matrix has shape {tuple(matrix.shape)}; expected ({len(x)}, p)")
        if not torch.isfinite(matrix).all():
            raise ValueError("matrix has NaN or infinite entries; expected finite ones")
        return _Matrix(lambda: iter([matrix]))
    if subspace is None:
        return None
    if not (isinstance(subspace, numbers.Integral) and 1 <= subspace <= len(x)):
        raise ValueError(f"subspace is {subspace!r}; expected p, 100 in the paper, at most the {len(x)} of x")
    if subspace * x.numel() * x.element_size() < STORE_BELOW:
        whole = torch.cat(list(normal_columns(x, subspace, seed)), 1)
        return _Matrix(lambda: iter([whole]))
    return _Matrix(lambda: normal_columns(x, subspace, seed))


def normal_columns(x: torch.Tensor, p: int, seed: int) -> Iterator[torch.Tensor]:
    """The columns of a standard normal A (n, p), a few (n, k) at a time.

    Args:
        x: (n,), whose dtype and device A has; it is drawn there.
        p: columns in all.
        seed: of the draw.
    """
    generator = torch.Generator(x.device).manual_seed(seed)
    for start in range(0, p, COLUMNS):
        # (k, n) drawn, then turned, so that a column is contiguous
        yield torch.randn(min(COLUMNS, p - start), x.numel(), generator=generator, dtype=x.dtype, device=x.device).T


class _Matrix:
    """A (n, p), given by a function that yields its columns in blocks (n, k)."""

    def __init__(self, blocks):
        self.blocks = blocks

    def times(self, z: torch.Tensor):
        """A z (n,)."""
        out, at = 0, 0
        for block in self.blocks():
            out, at = out + block @ z[at : at + block.shape[1]], at + block.shape[1]
        return out

    def transposed_times(self, v: torch.Tensor):
        """A^T v (p,)."""
        return torch.cat([block.T @ v for block in self.blocks()])

    def coordinates(self, x: torch.Tensor):
        """A+ x = (A^T A)^-1 A^T x (p,), solved in float64."""
        gram = torch.cat([torch.cat([(a.T @ b) for b in self.blocks()], 1) for a in self.blocks()])
        self._check_rank(gram.double(), len(x), x.dtype)
        return torch.linalg.solve(gram.double(), self.transposed_times(x).double()).to(x)

    @staticmethod
    def _check_rank(gram, n, dtype):
        """ValueError unless the columns, from their products (p, p), are independent, so that A+ x is what it says."""
        p, lengths = len(gram), gram.diagonal().sqrt()
        least = torch.linalg.eigvalsh(gram / lengths.outer(lengths))[0].item() if p <= n and lengths.all() else 0.0
        if not least > 10 * p * torch.finfo(dtype).eps:
            told = f"A, the matrix, has {p} columns of {n} entries that are not independent"
            raise ValueError(f"{told}; expected at most {n} columns, none a sum of others")


# -- the solvers ------------------------------------------------------------------------------------------------------


def _literal(box: Box, scale, iterations):
    from scipy.optimize import minimize

    factor = 100 / (1 + box.f0) if scale == "metric" else scale
    if isinstance(factor, str) or not factor > 0:
        raise ValueError(f'scale is {scale!r}; expected a number greater than 0, or "metric"')
    half = box.half.double().cpu()
    divisor = torch.where(half > 0, half, 1)  # where the box has no width, delta and the gradient are 0

    def negative(delta):
        value, gradient = box(torch.tensor(delta, device="cpu").div(divisor).to(box.half))
        return -factor * value, -factor * (gradient.double().cpu() / divisor).numpy()

    bounds = np.stack([-half.numpy(), half.numpy()], 1)
    options = dict(maxiter=iterations, maxcor=10, ftol=0, gtol=0, maxfun=10**6)
    found = minimize(negative, np.zeros(len(half)), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    u = torch.tensor(found.x, device="cpu").div(divisor).to(box.half)
    fmax = max(-found.fun / factor, box.f0)
    return {"zero": fmax}, u, fmax


def _best(box: Box, iterations, random_starts, seed, warm):
    """(value by start, the highest ascent): by parts where f offers subsets and has enough examples."""
    warm = {name: torch.as_tensor(position, device=box.half.device) for name, position in warm.items()}
    for name, position in warm.items():
        if position.shape != box.half.shape:
            raise ValueError(f"warm start {name!r} has shape {tuple(position.shape)}; expected {tuple(box.half.shape)}")
    warm, half = {name: position.to(box.half) for name, position in warm.items()}, iterations // 2

    if not (hasattr(box.f, "subset") and by_parts(box.f.examples)):
        starts = {"zero": _stretched(box.g0), "sign": _sign(box.g0), **_random(box, random_starts, seed), **warm}
        return _climb(box, {**starts, "wide": _from_wider(box, half)}, 1 + half, 2 * iterations)
    wider = box.wider(WIDER)
    found = {f"wide {k}": _corners(wider.part(WIDE, WIDES * seed + k), CORNERS) for k in range(WIDES)}
    found["parts"] = _in_parts(box, _sign(box.g0), WIDER, seed)
    far = _random(box, FARS, seed)
    found |= {f"far {k}": _in_parts(box, _sign(start), FAR, seed) for k, start in enumerate(far.values())}
    judge = box.part(JUDGE, WIDES * (seed + 1))  # a part that none of "wide" has climbed
    first = max(found, key=lambda name: judge(found[name])[0])
    last = {first: found[first], **warm}
    return _climb(box, last, 1, half - 2 - len(last))


def by_parts(examples: int) -> bool:
    """Whether `best` looks for its start on parts of so many examples."""
    return examples >= LEAST


def _climb(box, starts, each, more):
    """(value by start, the highest ascent): `each` evaluations from every start, its own included, `more` by the
    highest."""
    by_start, best = {}, None
    for name, start in starts.items():
        ascent = _Ascent(box, start)
        ascent.climb(each - 1)
        by_start[name] = ascent.value
        if best is None or ascent.value > best.value:
            best = ascent
    best.climb(more)
    return by_start, best


def _sign(slopes):
    """The corner that the slopes point to; +1 where there is none."""
    return torch.where(slopes < 0, -1.0, 1.0).to(slopes)


def _stretched(slopes):
    """The slopes as a position: as far from the centre along them as the box allows."""
    largest = slopes.abs().max()
    return slopes / largest if largest > 0 else slopes


def _random(box, count, seed):
    """{name: position} drawn on the CPU, so that a device does not change them."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.rand(len(box.half), generator=generator, dtype=box.half.dtype, device="cpu").to(box.half)
    return {f"random {k}": 2 * draw() - 1 for k in range(count)}


def _corners(box, steps):
    """The corner that the slopes point to, at the centre and then at each corner found so."""
    u = _sign(box.g0)
    for _ in range(steps):
        u = _corner(u, box(u)[1])
    return u


def _corner(u, slopes):
    """The corner that the slopes point to; where there is none, u stays."""
    return torch.where(slopes == 0, u, slopes.sign())


def _in_parts(box, u, far, seed):
    """The corner where an ascent from corner u ends that sees another small part of the examples at each step.

    From corner to corner, each the sign of a running sum of gradients, in a box that shrinks from `far` to 1 by the
    middle of the way. As in training, the noise of small parts leads past lesser hills, where the gradient of the whole
    of f stops; from far out one sees the highest hills of a sharp minimum, and misses those of a flat one.
    """
    u, total = far * u, torch.zeros_like(box.half)
    for k in range(STEPS):
        _, slopes = box.part(PART, STEPS * seed + k)(u)
        total = MEMORY * total + slopes / slopes.abs().mean().clamp(min=torch.finfo(slopes.dtype).tiny)
        u = max(1.0, far ** (1 - 2 * (k + 1) / STEPS)) * _corner(u.sign(), total)
    return u


def _from_wider(box, steps):
    """Where an ascent in a wider box ends: a narrow one hides where f rises further out, and settles on a lesser
    hill."""
    wide = _Ascent(box.wider(WIDER), _sign(box.g0))
    wide.climb(steps)
    return wide.u


class _Ascent:
    """An ascent of phi in the box from a start, or from the centre where that is higher; every step taken raises phi.

    Three proposals for the next position, of which the first that raises phi is taken:
      corner  where every coordinate goes as far as its slope says: the maximum, if the slopes keep their signs;
      secant  the maximum of the separable quadratic through the gradients here and at the place tried last: exact for a
              diagonal Hessian;
      slope   a short way along the gradient.
    """

    TOLERANCE = 3e-4  # stop when a step gains less than this share of the rise so far
    SHORT = 0.25  # half-widths of the box that the mean coordinate goes along the slope

    def __init__(self, box: Box, start: torch.Tensor):
        self.box, self.u, self.value, self.g = box, torch.zeros_like(box.half), box.f0, box.g0
        self.other, self.over = (self.u, self.g), False
        self._try(start)

    def climb(self, evaluations: int) -> None:
        """Go on until no proposal gains enough, or for at most so many evaluations."""
        end = self.box.evaluations + evaluations
        while not self.over:
            before = self.value
            for propose in (self._corner, self._secant, self._slope):
                if self.box.evaluations >= end:
                    return
                if self._try(propose()):
                    break
            self.over = self.value - before <= self.TOLERANCE * (before - self.box.f0)

    def _try(self, u) -> bool:
        """Go to u if that is higher."""
        if torch.equal(u, self.u):
            return False
        value, g = self.box(u)
        if value > self.value:
            self.other, self.u, self.value, self.g = (self.u, self.g), u, value, g
            return True
        self.other = u, g  # no step, but it tells the curvature on the way there
        return False

    def _corner(self):
        return _corner(self.u, self.g)

    def _secant(self):
        (u, g), (v, g_v) = (self.u, self.g), self.other
        h = torch.where(u != v, (g - g_v) / torch.where(u != v, u - v, 1), 0.0)
        top = (u - g / torch.where(h < 0, h, 1)).clamp(-1, 1)
        end = _sign(g - h * u)  # its slope in the middle of the box says which end is higher
        return torch.where(h < 0, top, torch.where((g == 0) & (h == 0), u, end))

    def _slope(self):
        mean = self.g.abs().mean()
        return (self.u + self.SHORT * self.g / mean).clamp(-1, 1) if mean > 0 else self.u

"""The Hessian of f at a point: its ends, its density, and how far f rises along directions (Section 2.2.2).

curvlinops does much of this too, and is what the tests compare with; it is not used here, since it returns no
eigenvectors or residuals, does not reorthogonalise, and its Hessian is wrong through PyTorch's batch norm
(tests/test_spectrum.py).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from . import field_checks, machine


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """The result of `spectrum`: eigenvalues of the Hessian, in units of f over units of x squared.

    Args:
        top: the k largest (k,), descending; a Ritz value, so never too large.
        bottom: the smallest, never too small; negative at a saddle point (conjecture (ii) of Section 2.1).
        top_residuals, bottom_residual: (k,) and one, |H v - value v| of the unit Ritz vectors v; so near, at most, is
            an eigenvalue.
        nodes, weights: (probes * steps,) each, the density of all n eigenvalues as a sum of points; weights sum to 1.
        products: Hessian-vector products used.
        vectors: with keep_vectors, the orthonormal Ritz vectors of `top`, (n, k).
    """

    top: np.ndarray
    bottom: float
    top_residuals: np.ndarray
    bottom_residual: float
    nodes: np.ndarray
    weights: np.ndarray
    products: int
    vectors: torch.Tensor | None = None


@machine.plain()
def spectrum(
    f: Callable,
    x: torch.Tensor,
    *,
    top: int = 10,
    probes: int = 4,
    steps: int = 32,
    seed: int = 0,
    keep_vectors: bool = False,
) -> Spectrum:
    """Both ends of the Hessian's spectrum at x, and its density, by stochastic Lanczos quadrature.

    How many steps: look at the residuals. On a trained "mlp-bn" (1000 images) 20 give the first three eigenvalues to
    1e-6 and 32 the first eight to 1e-4, with the tenth 2 % and bottom 3 % too near 0; 48 give all ten, 64 bottom too,
    to 1e-3. In float32 products are rounded at about 1e-6 of the largest eigenvalue: a smaller residual means no more
    than that.

    Args:
        f: anything with f.hvp(x, v) -> (n,), as `Objective`.
        x: flat float32 or float64 (n,), on any device.
        top: how many of the largest.
        probes: Lanczos runs, each from a random start. The density is their mean; top is that of the run whose sum is
            greatest, bottom the smallest of all runs.
        steps: Hessian-vector products in a run, at most n. It stores `steps` vectors of n numbers: in float32 32 steps
            are 0.2 GB for F1's 1.5 million parameters, 2 GB for C2's 15 million; with keep_vectors top / steps of that
            twice again.
        seed: of the starts, drawn on x's device.
        keep_vectors: return the vectors of `top`, too.

    Raises:
        ValueError: when f has no hvp or it returns another shape or NaN, when x is not flat, finite and floating, and
            for probes or steps < 1, or top outside [1, min(steps, n)].

    Source: Section 2.2.2 says that Metric 2.1 relates to these eigenvalues, but does not compute them. Method: Ghorbani
    et al. 2019, Algorithm 1 (Golub and Welsch 1969), with full reorthogonalisation, so that no eigenvalue comes twice.
    """
    _check(f, x)
    probes = field_checks.count("probes", probes, 1)
    steps = min(field_checks.count("steps", steps, 1), len(x))
    top = field_checks.count("top", top)
    if not 1 <= top <= steps:
        raise ValueError(f"top is {top}; expected 1 to {steps}, the steps (at most n): raise steps or lower top")
    x, generator = x.detach(), torch.Generator(x.device).manual_seed(field_checks.count("seed", seed))
    nodes, weights, best, lowest = [], [], None, (math.inf, 0.0)
    for _ in range(probes):
        Q, alpha, beta = _lanczos(f, x, steps, generator)
        values, S = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
        residuals = beta[-1] * np.abs(S[-1])
        nodes.append(values)
        weights.append(S[0] ** 2 / probes)
        lowest = min(lowest, (values[0].item(), residuals[0].item()))
        largest = np.arange(steps - 1, steps - 1 - top, -1)
        if best is None or values[largest].sum() > best[0].sum():
            # the coefficients first, then turned, so that a column is contiguous
            vectors = (torch.from_numpy(S.T[largest]).to(x) @ Q).T if keep_vectors else None
            best = values[largest], residuals[largest], vectors
    (largest, residuals, vectors), (bottom, bottom_residual) = best, lowest
    density = np.concatenate(nodes), np.concatenate(weights)
    return Spectrum(largest, bottom, residuals, bottom_residual, *density, probes * steps, vectors)


@machine.plain()
def edge(
    f: Callable, x: torch.Tensor, preconditioner: torch.Tensor | None = None, steps: int = 16, seed: int = 0
) -> tuple[float, float]:
    """The largest eigenvalue of the Hessian at x, or of P^-1/2 H P^-1/2, and its residual.

    Gradient descent at rate eta is unstable where the first is above 2 / eta (Cohen et al. 2021), Adam, with P its
    sqrt(v) + epsilon, where the second is above (2 + 2 beta1) / ((1 - beta1) eta), 38 / eta at 0.9 (Cohen et al. 2022).

    Args:
        f, x, steps, seed: as in `spectrum`, whose errors it raises; one run of Lanczos.
        preconditioner: the diagonal of P (n,), `Minimizer.preconditioner`; None is the plain Hessian. Of an Adam of
            your own it is sqrt(exp_avg_sq / (1 - beta2^t)) + eps, flat, in the network's order.
    """
    if preconditioner is not None:
        f = _Preconditioned(f, torch.as_tensor(preconditioner, device=x.device).to(x).rsqrt())
    found = spectrum(f, x, top=1, probes=1, steps=steps, seed=seed)
    return float(found.top[0]), float(found.top_residuals[0])


class _Preconditioned:
    """f whose Hessian is D H D, D a diagonal (n,)."""

    def __init__(self, f, diagonal):
        self.f, self.diagonal = f, diagonal

    def hvp(self, x: torch.Tensor, v: torch.Tensor):
        return self.diagonal * self.f.hvp(x, self.diagonal * v)


@machine.plain()
def rises(f: Callable, x: torch.Tensor, directions: Iterable[torch.Tensor], length: float) -> np.ndarray:
    """How far f rises at distance `length` along each direction, the steeper of both signs, in the units of Metric 2.1.

    Args:
        f: f(x) -> (value, gradient), or with f.evaluate(x) -> (value, accuracy), which is cheaper. 2 K + 1 evaluations.
        x: flat (n,).
        directions: K vectors d (n,) of any length, read once.
        length: the Euclidean distance from x.

    Returns:
        100 (max f(x +- length d / |d|) - f(x)) / (1 + f(x)), (K,); negative where f falls to both sides.

    Raises:
        ValueError: for length <= 0, a direction of another shape or of no length, f(x) <= -1, and f infinite or NaN.

    Source: the end of Section 2.2.2: "it rises steeply only along a small dimensional subspace (e.g. 5% of the whole
    space)".
    """
    if not (length > 0 and math.isfinite(length)):
        raise ValueError(f"length is {length}; expected a number greater than 0, the Euclidean distance from x")
    x = x.detach()
    value = lambda y: (f.evaluate(y) if hasattr(f, "evaluate") else f(y))[0]
    f0, out = _above(value(x)), []
    for k, d in enumerate(directions):
        d = torch.as_tensor(d, device=x.device)
        if d.shape != x.shape:
            raise ValueError(f"direction {k} has shape {tuple(d.shape)}; expected {tuple(x.shape)}, the shape of x")
        norm = torch.linalg.vector_norm(d, dtype=torch.float64).item()
        if not (norm > 0 and math.isfinite(norm)):
            raise ValueError(f"direction {k} has length {norm}; expected a finite vector other than 0")
        step = d.detach().to(x) * (length / norm)
        beside = value(x + step), value(x - step)
        if not all(map(math.isfinite, beside)):
            raise ValueError(f"f is {beside} along direction {k}; expected finite values: lower length, or use float64")
        out.append(100 * (max(beside) - f0) / (1 + f0))
    return np.asarray(out, float)


def random_directions(x: torch.Tensor, count: int, seed: int = 0) -> Iterator[torch.Tensor]:
    """`count` standard normal vectors of x's shape, one at a time, drawn from `seed` on x's device in x's dtype."""
    generator = torch.Generator(x.device).manual_seed(field_checks.count("seed", seed))
    for _ in range(count):
        yield _normal(x, generator)


@machine.plain()
def ritz(f: Callable, x: torch.Tensor, matrix: torch.Tensor) -> np.ndarray:
    """The Ritz values (p,), descending, of the Hessian at x in the column space of a matrix: the eigenvalues of Q^T H
    Q.

    Args:
        f, x: as in `spectrum`. p Hessian-vector products.
        matrix: (n, p) with independent columns, of which Q is an orthonormal basis; as much memory again is taken.

    Raises:
        ValueError: as `spectrum` does, for a matrix of another shape, and for dependent columns.

    Source: Section 2.2.2: with a random A, Metric 2.1 "approximates the Ritz value ... projected onto the column-space
    of A".
    """
    _check(f, x)
    x, matrix = x.detach(), torch.as_tensor(matrix, device=x.device).detach().to(x)
    if matrix.ndim != 2 or len(matrix) != len(x) or not 1 <= matrix.shape[1] <= len(x):
        raise ValueError(f"matrix has shape {tuple(matrix.shape)}; expected ({len(x)}, p) with 1 <= p <= {len(x)}")
    Q, R = torch.linalg.qr(matrix)
    pivots = R.diagonal().abs() / torch.linalg.vector_norm(matrix, dim=0)  # what is new in each column
    if not (pivots > 10 * torch.finfo(x.dtype).eps).all():
        raise ValueError(f"matrix has rank below {matrix.shape[1]}, its columns; pass independent, finite columns")
    projected = torch.stack([Q.T @ _product(f, x, q) for q in Q.T]).double().cpu().numpy()
    return np.linalg.eigvalsh((projected + projected.T) / 2)[::-1].copy()


@machine.plain()
def quadratic_sharpness(f: Callable, x: torch.Tensor, epsilon: float, spectrum: Spectrum) -> float:
    """Metric 2.1 in the space of the top eigenvectors, as gradient and eigenvalues alone predict it.

    To be held against `sharpness(f, x, epsilon, matrix=spectrum.vectors)`: what they differ by is f's third order and,
    with ReLU, its kinks.

    Args:
        f: f(x) -> (value, gradient).
        x: flat (n,).
        epsilon: as in `sharpness`.
        spectrum: of `spectrum(f, x, keep_vectors=True)`, at the same x.

    Returns:
        100 / (1 + f) times the maximum of c.z + sum_i top_i z_i^2 / 2 over |z_i| <= epsilon (|(Q^T x)_i| + 1), Q the
        vectors and c = Q^T g.

    Raises:
        ValueError: for epsilon <= 0, a spectrum without vectors or of another n, f(x) <= -1, and NaN or infinity in f
            or its gradient.

    Source: Section 2.2.2: for small epsilon the metric "relates to the largest eigenvalue"; Eqs. 3-4.
    """
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon is {epsilon}; expected a number greater than 0, the paper's are 1e-3 and 5e-4")
    Q = spectrum.vectors
    if Q is None or len(Q) != len(x):
        raise ValueError(
            f"spectrum has vectors of shape {None if Q is None else tuple(Q.shape)}; expected ({len(x)}, k): "
            "compute it at this x with keep_vectors=True"
        )
    x = x.detach()
    value, gradient = f(x)
    _above(value)
    if not torch.isfinite(gradient).all():
        raise ValueError("f's gradient has NaN or infinite entries at x; expected finite ones: did training diverge?")
    c, centre = ((Q.T @ v).double().cpu().numpy() for v in (gradient, x))
    # Ritz vectors make Q^T H Q diagonal, converged or not, so each coordinate has its own maximum: at the side of the
    # box that the slope points to, or, where f curves down, where the slope ends before that.
    h, half, slope = spectrum.top, epsilon * (np.abs(centre) + 1), np.abs(c)
    z = np.where(h < 0, np.minimum(half, slope / np.where(h < 0, -h, 1)), half)
    return float(100 * (slope * z + h * z**2 / 2).sum() / (1 + value))


# -- Lanczos ----------------------------------------------------------------------------------------------------------


def _lanczos(f, x, steps, generator):
    """Q (steps, n) with orthonormal rows, and the diagonal (steps,) and sides (steps,) of Q H Q^T, in float64.

    The last of the sides is not in the matrix: it tells how far Q is from an invariant subspace.
    """
    Q, alpha, beta = x.new_empty(steps, len(x)), np.zeros(steps), np.zeros(steps)
    w = _normal(x, generator)
    for j in range(steps):
        Q[j] = w / torch.linalg.vector_norm(w)
        w, alpha[j] = _orthogonal(_product(f, x, Q[j]), Q[: j + 1])
        beta[j] = torch.linalg.vector_norm(w).item()
        if beta[j] <= 10 * torch.finfo(x.dtype).eps * max(np.abs(alpha).max(), beta.max()):
            # all that this start can reach has been found: go on from another, that equal eigenvalues need
            beta[j] = 0
            w = _orthogonal(_normal(x, generator), Q[: j + 1])[0]
    return Q, alpha, beta


def _orthogonal(w, Q):
    """w less its part in the rows of Q, and how much of the last row was in it; twice, since once leaves rounding."""
    last = 0.0
    for _ in range(2):
        c = Q @ w
        w, last = w - c @ Q, last + c[-1].item()
    return w, last


def _product(f, x, v):
    out = f.hvp(x, v)
    if out.shape != x.shape:
        raise ValueError(f"f.hvp returned shape {tuple(out.shape)}; expected {tuple(x.shape)}, the shape of x")
    if not torch.isfinite(out).all():
        raise ValueError("f.hvp returned NaN or infinite entries; expected finite ones (did the training diverge?)")
    return out.to(x)


def _above(f0):
    """f(x), if Metric 2.1 can divide by 1 + f(x)."""
    if not -1 < f0 < math.inf:
        raise ValueError(f"f(x) is {f0}; expected a finite number above -1, since the metric divides by 1 + f(x)")
    return f0


def _normal(x, generator):
    return torch.randn(len(x), generator=generator, dtype=x.dtype, device=x.device)


def _check(f, x):
    if not hasattr(f, "hvp"):
        raise ValueError(f"f is a {type(f).__name__} without hvp; expected f.hvp(x, v) -> (n,), as lbgap.Objective has")
    if x.ndim != 1 or x.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"x has shape {tuple(x.shape)} and dtype {x.dtype}; expected (n,) in float32 or float64")
    if not torch.isfinite(x).all():
        raise ValueError("x has NaN or infinite entries; expected finite parameters (did the training diverge?)")

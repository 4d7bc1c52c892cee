"""Metric 2.1 against maxima known in closed form, brute force, SciPy called by hand and a long solve."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import scipy.optimize
import torch

import lbgap
from lbgap import metric
from lbgap.metric import sharpness

EPS = 1e-3


def half_widths(x, epsilon, offset=1):
    return epsilon * (x.abs() + offset)


def value_of(f, x, fmax):
    f0 = f(x)[0]
    return 100 * (fmax - f0) / (1 + f0)


class Quadratic:
    """c + g.(x - m) + (x - m) H (x - m) / 2; `calls` counts."""

    def __init__(self, hessian, centre, slope=None, constant=0.5):  # a loss is never negative: choose it so
        self.H, self.m, self.c, self.calls = hessian, centre, constant, 0
        self.slope = torch.zeros_like(centre) if slope is None else slope

    def __call__(self, x):
        self.calls += 1
        d = x.to(self.m) - self.m
        Hd = self.H @ d if self.H.ndim == 2 else self.H * d
        return (self.c + self.slope @ d + d @ Hd / 2).item(), (self.slope + Hd).to(x)


def diagonal_maximum(f, x, half):
    """The greatest value of a quadratic with a diagonal Hessian in the box: each coordinate by itself, in NumPy."""
    h, g, b = f.H.numpy(), f(x)[1].double().numpy(), half.double().numpy()
    inside = np.where(h < 0, -g / np.where(h < 0, h, 1), np.inf)
    candidates = [b, -b, np.where(np.abs(inside) <= b, inside, b)]
    return f(x)[0] + np.max([g * t + h * t * t / 2 for t in candidates], axis=0).sum()


def draw(n=40, seed=0):
    g = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*(shape or (n,)), generator=g, dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- closed-form maxima


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, 0.1])
def test_a_monotone_function_is_greatest_in_a_corner(epsilon):
    a, x = draw()(), draw(seed=1)()
    f = lambda x: ((a * x).exp().sum().item(), a * (a * x).exp())
    s = sharpness(f, x, epsilon, keep_point=True)
    corner = x + a.sign() * half_widths(x, epsilon)
    assert s.value == pytest.approx(value_of(f, x, f(corner)[0]), rel=1e-9)
    assert s.fmax == pytest.approx(f(corner)[0], rel=1e-12) and s.f0 == f(x)[0]
    torch.testing.assert_close(s.point, corner)
    torch.testing.assert_close(s.position, a.sign())
    corners = sharpness(f, x, epsilon, iterations=0)  # the starts alone: the sign of the gradient is that corner
    assert corners.by_start["sign"] == pytest.approx(s.value, rel=1e-9)
    assert 0 < corners.by_start["zero"] < s.value


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("epsilon", [1e-3, 0.3])
def test_a_diagonal_quadratic_of_mixed_signs(seed, epsilon):
    new = draw(seed=seed)
    f, x = Quadratic(30 * new(), new(), new(), 1000), new()
    best = diagonal_maximum(f, x, half_widths(x, epsilon))
    assert sharpness(f, x, epsilon).value == pytest.approx(value_of(f, x, best), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_of_a_quadratic_without_a_negative_entry(seed):
    new = draw(seed=seed)
    root = new(40, 40).abs()
    x = new()
    f, b = Quadratic(root @ root.T, x), half_widths(x, EPS)
    s = sharpness(f, x, EPS)
    assert s.value == pytest.approx(100 * (b @ f.H @ b).item() / 2 / 1.5, rel=1e-9)
    assert s.first_order == 0 and s.by_start.keys() == {"zero", "sign", "random 0", "wide"}


def test_the_type_of_x_is_that_of_the_gradient_and_the_point():
    new = draw()
    f, x = Quadratic(new(), new(), new()), new()
    expected = sharpness(f, x, EPS).value
    for y in (x, x.numpy(), x.float(), x.float().numpy()):
        seen = []

        def g(z):
            seen.append(z)
            value, gradient = f(torch.as_tensor(z))
            return value, gradient.numpy() if isinstance(z, np.ndarray) else gradient

        s = sharpness(g, y, EPS, keep_point=True)
        assert all(type(z) is type(y) and z.dtype == y.dtype and z.shape == y.shape for z in [*seen, s.point])
        assert s.value == pytest.approx(expected, rel=1e-9 if "64" in str(y.dtype) else 1e-4)
        assert isinstance(s.value, float)


# ------------------------------------------------------------------------------------------------------- the offset


def with_zeros(new):
    """A point of which every fourth coordinate is 0: at offset 0 the box has no width there."""
    x = new()
    x[::4] = 0
    return x


@pytest.mark.parametrize("offset", [0.0, 0.25, 1.0, 3.0])
def test_an_offset_in_closed_form(offset):
    """A linear f rises by sum b_i |a_i|, a diagonal quadratic as far as each coordinate by itself; b the
    half-widths."""
    new = draw()
    a, x = new(), with_zeros(new)
    s = sharpness(lambda x: (5 + (a @ x).item(), a), x, EPS, offset=offset)
    expected = 100 * (half_widths(x, EPS, offset) @ a.abs()).item() / (6 + (a @ x).item())
    assert s.value == pytest.approx(expected, rel=1e-9) and s.first_order == pytest.approx(expected, rel=1e-9)
    f = Quadratic(30 * new(), new(), new(), 1000)
    for epsilon in (EPS, 0.3):
        best = diagonal_maximum(f, x, half_widths(x, epsilon, offset))
        assert sharpness(f, x, epsilon, offset=offset).value == pytest.approx(value_of(f, x, best), rel=1e-9)
    A = new(40, 3)
    inside = half_widths(torch.linalg.pinv(A) @ x, EPS, offset)
    s = sharpness(lambda x: (5 + (a @ x).item(), a), x, EPS, offset=offset, matrix=A)
    assert s.value == pytest.approx(100 * (inside @ (A.T @ a).abs()).item() / (6 + (a @ x).item()), rel=1e-9)


def test_the_offset_is_one_unless_said_otherwise():
    new = draw()
    f, x = Quadratic((lambda r: r + r.T)(new(40, 40)), new(), constant=1000), new()
    for settings in ({}, {"solver": "literal"}, {"subspace": 5}):
        plain, one, other = (
            sharpness(f, x, EPS, **settings, **offset) for offset in ({}, {"offset": 1.0}, {"offset": 0.9})
        )
        assert plain == one != other


@pytest.mark.parametrize("solver", ["best", "literal"])
def test_a_coordinate_without_room_stays_and_is_as_if_it_were_not_there(solver):
    new = draw()
    x, free = with_zeros(new), torch.arange(40) % 4 > 0
    f = Quadratic(new().abs(), new(), new(), 100)
    rest = Quadratic(
        f.H[free], f.m[free], f.slope[free], f(x)[0] - Quadratic(f.H[free], f.m[free], f.slope[free], 0)(x[free])[0]
    )
    whole, part = (
        sharpness(g, at, 0.1, offset=0.0, solver=solver, keep_point=True, random_starts=0)
        for g, at in ((f, x), (rest, x[free]))
    )
    assert whole.value == pytest.approx(part.value, rel=1e-9) and whole.value > 0
    assert (whole.point[~free] == 0).all()
    torch.testing.assert_close(whole.point[free], part.point, rtol=1e-9, atol=1e-12)
    assert sharpness(f, torch.zeros_like(x), 0.1, offset=0.0, solver=solver).value == 0  # no room at all


def test_at_offset_0_a_rescaling_of_the_coordinates_changes_nothing():
    """By powers of two not one bit: g(d x) = f(x) at every x, so the two boxes hold the same values."""
    new = draw()
    f, x = Quadratic((lambda r: r + r.T)(new(40, 40)), new(), constant=1000), new()
    d = torch.tensor([0.125, 1.0, 8.0, 2.0], dtype=torch.float64).repeat(10)

    def g(y):
        value, gradient = f(y / d)
        return value, gradient / d

    assert sharpness(g, d * x, 0.1, offset=0.0) == sharpness(f, x, 0.1, offset=0.0)
    assert sharpness(g, d * x, 0.1).value != pytest.approx(sharpness(f, x, 0.1).value, rel=0.1)


# ------------------------------------------------------------------------------------------------------- subspaces


def test_a_given_matrix_against_a_brute_force_grid():
    new = draw()
    for p, points in ((1, 1001), (2, 61)):
        A, x = new(40, p), new()
        f = Quadratic(new(), new(), new(), 100)
        z0 = torch.linalg.pinv(A) @ x
        half = half_widths(z0, 0.05)
        axis = torch.linspace(-1, 1, points, dtype=torch.float64)
        grid = torch.cartesian_prod(*p * [axis]).reshape(-1, p) * half
        fmax = max(f(x + A @ z)[0] for z in grid)
        s = sharpness(f, x, 0.05, matrix=A, keep_point=True)
        reached = value_of(f, x, fmax)
        assert reached * (1 - 1e-9) <= s.value <= reached * 1.001
        z = torch.linalg.lstsq(A, (s.point - x)[:, None]).solution[:, 0]
        assert (A @ z - (s.point - x)).abs().max() < 1e-12 and (z.abs() <= half * (1 + 1e-9)).all()
        assert sharpness(f, x, 0.05, matrix=A.numpy()).value == s.value


def test_the_identity_as_matrix_is_the_full_space():
    new = draw()
    f, x = Quadratic(new(), new(), new()), new()
    full, matrix = sharpness(f, x, EPS), sharpness(f, x, EPS, matrix=torch.eye(40))
    assert matrix.value == pytest.approx(full.value, rel=1e-9)
    assert matrix.first_order == pytest.approx(full.first_order, rel=1e-9)


def columns(x, p, seed):
    return torch.cat(list(metric.normal_columns(x, p, seed)), 1)


def test_the_seeded_matrix_is_standard_normal_and_its_own_seeds():
    x = torch.zeros(5000, dtype=torch.float64)
    A = columns(x, 20, 3)
    assert A.shape == (5000, 20) and A.dtype == x.dtype
    assert torch.equal(A, columns(x, 20, 3)) and not torch.equal(A, columns(x, 20, 4))
    assert A.mean().abs() < 4 / math.sqrt(1e5) and A.var().item() == pytest.approx(1, abs=0.02)
    assert (A.T @ A / 5000 - torch.eye(20)).abs().max() < 0.08  # columns are independent


def test_a_seeded_subspace_is_that_matrix_given():
    new = draw()
    f, x = Quadratic(new(), new(), new()), new()
    rng = torch.get_rng_state()
    a, b = sharpness(f, x, EPS, subspace=12, seed=5), sharpness(f, x, EPS, matrix=columns(x, 12, 5), seed=5)
    assert a.value == b.value and a.by_start == b.by_start
    assert a.value != sharpness(f, x, EPS, subspace=12, seed=6).value
    assert torch.equal(rng, torch.get_rng_state())


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_the_pseudo_inverse(dtype, tolerance):
    x = torch.randn(300, dtype=dtype)
    matrix = metric._matrix(x, 20, None, 0)
    expected = torch.linalg.pinv(columns(x, 20, 0).double()) @ x.double()
    torch.testing.assert_close(matrix.coordinates(x).double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("solver", ["best", "literal"])
def test_a_matrix_drawn_anew_gives_what_the_stored_one_gives(monkeypatch, solver):
    new = draw()
    f, x = Quadratic(new(), new(), new()), new()
    stored = sharpness(f, x, EPS, subspace=20, solver=solver)
    drawn, draw_columns = [], metric.normal_columns
    monkeypatch.setattr(metric, "normal_columns", lambda *a: drawn.append(a) or draw_columns(*a))
    monkeypatch.setattr(metric, "STORE_BELOW", 0)
    again = sharpness(f, x, EPS, subspace=20, solver=solver)
    assert len(drawn) > 10
    assert again.value == pytest.approx(stored.value, rel=1e-9) and again.evaluations == stored.evaluations


# --------------------------------------------------------------------------------------------- the literal solver


@pytest.mark.parametrize("scale", [1.0, 50.0, "metric"])
@pytest.mark.parametrize("space", ["full", "matrix"])
def test_literal_is_scipy_called_by_hand(scale, space):
    new = draw()
    f, x, A = Quadratic((lambda r: r + r.T)(new(40, 40)), new(), new(), 100), new(), new(40, 3)
    if space == "full":
        A = torch.eye(40, dtype=torch.float64)
    factor = 100 / (1 + f(x)[0]) if scale == "metric" else scale

    def objective(z):
        value, gradient = f(x + A @ torch.from_numpy(z))
        return -factor * value, -factor * (A.T @ gradient).numpy()

    b = half_widths(torch.linalg.pinv(A) @ x, 0.1).numpy()
    found = scipy.optimize.minimize(
        objective,
        np.zeros(len(b)),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(-b, b)),
        options=dict(maxiter=10, maxcor=10, ftol=0, gtol=0),
    )
    s = sharpness(f, x, 0.1, solver="literal", scale=scale, matrix=None if space == "full" else A, keep_point=True)
    assert s.value == pytest.approx(value_of(f, x, -found.fun / factor), rel=1e-6)
    torch.testing.assert_close(s.point, x + A @ torch.from_numpy(found.x), rtol=1e-6, atol=1e-9)
    assert s.solver == "literal" and list(s.by_start) == ["zero"]


def test_literal_stops_at_an_exact_minimum_and_best_does_not():
    """The trap: a gradient of nothing reads as a sharpness of nothing."""
    new = draw()
    x = new()
    f = Quadratic(100 * new().abs(), x)
    assert sharpness(f, x, EPS, solver="literal").value == 0
    expected = 100 * (f.H @ half_widths(x, EPS) ** 2).item() / 2 / 1.5
    assert sharpness(f, x, EPS).value == pytest.approx(expected, rel=1e-9)


def test_literals_answer_depends_on_the_units_of_f_where_the_gradient_is_small():
    new = draw()
    x = new()
    f = Quadratic(1e-3 * new().abs(), x + 1e-6 * new())
    low, high = (sharpness(f, x, EPS, solver="literal", scale=s).value for s in (1.0, 1e4))
    best = sharpness(f, x, EPS).value
    assert 0 <= low < 0.1 * high and high <= best * (1 + 1e-9)


def test_literal_has_no_tolerances():
    """SciPy's own would stop at once where no entry of the gradient is over 1e-5."""
    new = draw()
    x = new()
    f = Quadratic(0.01 * new().abs(), x + 1e-6 * new())
    assert f(x)[1].abs().max() < 1e-7
    assert sharpness(f, x, EPS, solver="literal").value > 0.3 * sharpness(f, x, EPS).value


# -------------------------------------------------------------------------------------------- what any answer obeys


@pytest.mark.parametrize("solver", ["best", "literal"])
@pytest.mark.parametrize("space", [{}, {"subspace": 5}])
def test_the_sign_is_right(solver, space):
    """On a convex function the metric is positive and grows with the box; a solver of the wrong sign goes down."""
    new = draw()
    root = new(40, 40)
    f, x = Quadratic(root @ root.T, new()), new()
    values = [sharpness(f, x, e, solver=solver, **space).value for e in (1e-4, 5e-4, 1e-3, 1e-2)]
    assert values[0] > 0 and values == sorted(values) and values[-1] > 50 * values[0]
    down = sharpness(lambda x: (1e4 - f(x)[0], -f(x)[1]), x, 1e-3, solver=solver, **space)
    assert 100 * (down.fmax - down.f0) >= 0  # never below f(x), whichever way f goes


def test_a_point_found_lies_in_the_box_and_has_the_value_told():
    new = draw()
    f, x = Quadratic((lambda r: r + r.T)(new(40, 40)), new(), new(), 1000), new()
    for solver in ("best", "literal"):
        s = sharpness(f, x, 0.01, solver=solver, keep_point=True)
        assert ((s.point - x).abs() <= half_widths(x, 0.01) * (1 + 1e-9)).all()
        assert f(s.point)[0] == pytest.approx(s.fmax, rel=1e-12)
        assert s.value == pytest.approx(value_of(f, x, s.fmax), rel=1e-9)
        assert s.value >= max(s.by_start.values()) - 1e-9
    assert sharpness(f, x, 0.01).point is None


@pytest.mark.parametrize("solver", ["best", "literal"])
@pytest.mark.parametrize("space", [{}, {"subspace": 5}])
def test_every_evaluation_is_counted(solver, space):
    new = draw()
    f, x = Quadratic(new(40, 40), new(), new()), new()
    for iterations in (1, 10):
        f.calls = 0
        assert sharpness(f, x, EPS, solver=solver, iterations=iterations, **space).evaluations == f.calls > 1


def test_the_first_order_part_is_the_gradients_and_does_not_grow_with_the_number_of_copies():
    new = draw()
    f, x = Quadratic(new(), new(), new()), new()
    s = sharpness(f, x, EPS)
    expected = 100 * (half_widths(x, EPS) @ f(x)[1].abs()).item() / (1 + f(x)[0])
    assert s.first_order == pytest.approx(expected, rel=1e-12)

    def mean_of_copies(y):
        parts = [f(part) for part in y.split(40)]
        return sum(v for v, _ in parts) / len(parts), torch.cat([g for _, g in parts]) / len(parts)

    copies = sharpness(mean_of_copies, x.repeat(7), EPS)
    assert copies.first_order == pytest.approx(s.first_order, rel=1e-12)
    assert copies.value == pytest.approx(s.value, rel=1e-9)


def test_for_a_linear_function_it_is_all_first_order():
    x, a = draw()(), draw(seed=1)()
    s = sharpness(lambda x: (2 + 1e-3 * (a @ x).item(), 1e-3 * a), x, EPS)
    assert s.value == pytest.approx(s.first_order, rel=1e-9)


def test_more_starts_and_warm_starts_can_only_help_and_are_named():
    new = draw()
    f, x = Quadratic((lambda r: r + r.T)(new(40, 40)), new(), constant=1000), new()
    few = sharpness(f, x, 0.01, random_starts=0)
    many = sharpness(f, x, 0.01, random_starts=3, warm={"from a": torch.ones(40)})
    assert list(few.by_start) == ["zero", "sign", "wide"]
    assert list(many.by_start) == ["zero", "sign", "random 0", "random 1", "random 2", "from a", "wide"]
    assert many.value >= few.value
    known = sharpness(f, x, 0.01, keep_point=True)
    warm = sharpness(f, x, 0.01, iterations=1, random_starts=0, warm={"known": known.position})
    assert warm.value >= known.value * (1 - 1e-12)


def test_x_is_left_as_it_was_and_the_same_seed_gives_the_same_bits():
    new = draw()
    f, x = Quadratic((lambda r: r + r.T)(new(40, 40)), new(), constant=1000), new()
    before = x.clone()
    a, b = sharpness(f, x, EPS), sharpness(f, x, EPS)
    assert a == b and torch.equal(x, before)


# -------------------------------------------------------------------------------------------------- by parts


class Examples:
    """The mean of one quadratic per example, with one Hessian and slopes of their own; `seen` counts examples, in
    subsets too."""

    def __init__(self, hessian, slopes, seen=None):
        self.H, self.slopes, self.examples, self.seen = hessian, slopes, len(slopes), [0, 0] if seen is None else seen

    def __call__(self, x):
        self.seen[0] += 1
        self.seen[1] += self.examples
        slope, curved = self.slopes.mean(0), self.H @ x
        return (1e4 + slope @ x + x @ curved / 2).item(), slope + curved

    def subset(self, count, seed):
        chosen = torch.randperm(self.examples, generator=torch.Generator().manual_seed(seed))[:count]
        return Examples(self.H, self.slopes[chosen], self.seen)


def many(seed=0, count=36_000):
    new = draw(seed=seed)
    hessian, common = (lambda r: r + r.T)(new(40, 40)), new()
    return Examples(hessian, common + new(count, 40)), torch.zeros(40, dtype=torch.float64)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"subspace": 7},
        {"warm": {"a": torch.ones(40)}},
        {"iterations": 4, "random_starts": 0},
        {"solver": "literal"},
    ],
    ids=str,
)
def test_passes_are_the_examples_seen_over_those_there_are(settings):
    f, x = many()
    s = sharpness(f, x, 1.0, **settings)
    assert s.evaluations == f.seen[0]
    assert s.passes == pytest.approx(f.seen[1] / f.examples, rel=1e-12)
    if "solver" in settings:
        assert s.passes == s.evaluations
    else:
        assert s.passes <= 8 < 15 < s.evaluations


def test_by_parts_finds_what_every_start_over_the_whole_finds():
    """The whole is near its subsets here, and three steps from the corner are not enough."""
    shares, corners = [], []
    for seed in range(8):
        f, x = many(seed)
        plain = sharpness(lambda x: f(x), x, 1.0)
        s = sharpness(f, x, 1.0)
        assert plain.passes == plain.evaluations > 2 * s.passes and "wide" in plain.by_start
        (start,) = s.by_start
        assert start.split()[0] in ("wide", "parts", "far") and s.value >= s.by_start[start]
        assert s.f0 == plain.f0 and s.first_order == plain.first_order  # of the whole, not of a subset
        shares.append(s.value / plain.value)
        corners.append(sharpness(lambda x: f(x), x, 1.0, iterations=0, random_starts=0).by_start["sign"] / plain.value)
    assert sorted(shares)[3] > 0.99 and min(shares) > 0.97 and sorted(corners)[4] < 0.9


def test_a_function_without_subsets_or_with_few_examples_is_climbed_whole():
    f, x = many(count=2000)
    s, plain = (sharpness(g, x, 1.0) for g in (f, lambda x: f(x)))
    assert s == plain and s.passes == s.evaluations
    assert metric.by_parts(36_000) and not metric.by_parts(35_999)


def test_a_warm_start_helps_by_parts_too():
    """It is tried over the whole set, so that no value is below it."""
    f, x = many(3)
    known = sharpness(lambda x: f(x), x, 1.0, iterations=50, random_starts=30, keep_point=True)
    cold, warm = sharpness(f, x, 1.0), sharpness(f, x, 1.0, warm={"known": known.position})
    assert warm.value >= known.value * (1 - 1e-12) and known.value > cold.value
    assert warm.by_start["known"] == pytest.approx(known.value, rel=1e-12)
    smaller = sharpness(f, x, 0.5, keep_point=True)
    from_smaller = sharpness(f, x, 1.0, iterations=0, random_starts=0, warm={"from 0.5": smaller.position * 0.5})
    assert from_smaller.by_start["from 0.5"] == pytest.approx(smaller.value, rel=1e-9)


@pytest.fixture(scope="module")
def small_network():
    return lbgap.train(lbgap.Run("mlp-bn", "mnist-1k", 100, epochs=8, shrink=8), progress=False)


@pytest.mark.parametrize("batch_norm", ["batch", "frozen"])
def test_a_subset_is_f_on_fewer_examples(small_network, batch_norm):
    """Two halves, one of them drawn, average to the whole, where an example does not see its batch."""
    m = small_network
    settings = dict(batch_norm=batch_norm, dtype=torch.float64)
    f, x = lbgap.Objective(m, **settings), m.x.double()
    first, images = f.subset(500, 3), lbgap.load("mnist-1k")
    assert (
        first.examples == 500 and f.examples == 1000 and f.subset(500, 3)(x)[0] == first(x)[0] != f.subset(500, 4)(x)[0]
    )
    rest = torch.randperm(1000, generator=torch.Generator().manual_seed(3))[500:]
    others = dataclasses.replace(images, x_train=images.x_train[rest], y_train=images.y_train[rest])
    second = lbgap.Objective(m, dataset=others, **settings)
    (a, g), (b, h), (whole, slope) = first(x), second(x), f(x)
    if batch_norm == "frozen":
        assert (a + b) / 2 == pytest.approx(whole, rel=1e-12)
        torch.testing.assert_close((g + h) / 2, slope, rtol=1e-9, atol=1e-12)
    else:  # each half is a batch of its own, with its own statistics
        assert 1e-4 < abs((a + b) / 2 / whole - 1) < 0.1
    assert f.subset(1000, 3).evaluate(x)[0] == pytest.approx(f.evaluate(x)[0], rel=1e-9)
    fewer = f.subset(200, 3)
    assert torch.equal(fewer.labels, first.labels[:200]) and torch.equal(fewer.inputs, first.inputs[:200])
    for count in (0, 1001):
        with pytest.raises(ValueError, match=f"count is {count}; expected 1 to 1000"):
            f.subset(count)


@pytest.mark.parametrize("batch_size, epochs", [(32, 12), (400, 30)], ids=["SB", "LB"])
def test_by_parts_is_within_one_percent_of_a_long_solve_on_a_real_network(monkeypatch, batch_size, epochs):
    """A network so small, 13,000 parameters, that 14 images at a time say where it rises."""
    monkeypatch.setattr(metric, "LEAST", 4000)
    m = lbgap.train(lbgap.Run("mlp", "mnist-5k", batch_size, epochs=epochs, shrink=8), progress=False)
    f = lbgap.Objective(m)
    before, state, rng = m.x.clone(), copy.deepcopy(m.network().state_dict()), torch.get_rng_state()
    s = sharpness(f, m.x, EPS)
    assert s.value > 0.99 * value_of(f, m.x, long_solve(f, m.x, EPS)) and s.passes <= 8
    assert torch.equal(m.x, before) and torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(a, b) for a, b in zip(state.values(), m.network().state_dict().values()))
    assert s == sharpness(f, m.x, EPS)


# -------------------------------------------------------------------------------------------------- a real network


def long_solve(f, x, epsilon):
    """The greatest f that long sign-gradient ascents find, from the centre and at random, with ever smaller steps.

    (SciPy's L-BFGS-B in the units of the box, f scaled, finds half of it in sixty iterations.)"""
    half, greatest = half_widths(x, epsilon), -math.inf
    generator = torch.Generator().manual_seed(1)
    for u in (torch.zeros_like(x), 2 * torch.rand(len(x), generator=generator) - 1):
        for step in 20 * [2.0] + 40 * [0.1] + 20 * [0.02]:
            value, gradient = f(x + half * u)
            greatest = max(greatest, value)
            u = (u + step * gradient.sign()).clamp(-1, 1)
    return greatest


@pytest.mark.parametrize("batch_size", [50, 1000], ids=["SB", "LB"])
def test_ten_iterations_are_within_one_percent_of_a_long_solve(batch_size):
    m = lbgap.train(lbgap.Run("mlp-bn", "mnist-1k", batch_size, epochs=150, stop_loss=0.02), progress=False)
    assert m.history["running_loss"][-1] < 0.02  # well trained
    f = lbgap.Objective(m)
    before = m.x.clone()
    s = sharpness(f, m.x, EPS)
    assert s.value > 0.99 * value_of(f, m.x, long_solve(f, m.x, EPS))
    assert s.value > sharpness(f, m.x, EPS, solver="literal").value
    assert s.evaluations < 80
    assert torch.equal(m.x, before)


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "words, settings",
    {
        "epsilon is 0": dict(epsilon=0),
        r"epsilon is \(0.001, 0.0005\); expected a number above 0": dict(epsilon=(1e-3, 5e-4)),
        "iterations is -1; expected": dict(iterations=-1),
        "random_starts is -1; expected": dict(random_starts=-1),
        "epsilon is -0.001": dict(epsilon=-1e-3),
        "epsilon is nan": dict(epsilon=math.nan),
        "epsilon is inf": dict(epsilon=math.inf),
        "offset is -0.5; expected a number of at least 0": dict(offset=-0.5),
        "offset is nan": dict(offset=math.nan),
        "offset is inf": dict(offset=math.inf),
        "solver is 'sam'.*literal": dict(solver="sam"),
        "subspace is 0": dict(subspace=0),
        "subspace is 2.5": dict(subspace=2.5),
        r"matrix has shape \(3, 40\).*\(40, p\)": dict(matrix=torch.ones(3, 40)),
        r"matrix has shape \(40,\)": dict(matrix=torch.ones(40)),
        "matrix has NaN": dict(matrix=torch.full((40, 2), math.nan)),
        "subspace is 41; .*at most the 40": dict(subspace=41),
        "41 columns of 40 entries": dict(matrix=torch.randn(40, 41)),
        "2 columns of 40 entries that are not independent": dict(matrix=torch.ones(40, 2)),
        "3 columns.*none a sum of others": dict(matrix=torch.randn(40, 2) @ torch.tensor([[1.0, 0, 1], [0, 1, 1e-9]])),
        "1 columns.*not independent": dict(matrix=torch.zeros(40, 1)),
        "scale is -1": dict(solver="literal", scale=-1),
        "scale is 'big'.*metric": dict(solver="literal", scale="big"),
        r"warm start 'w' has shape \(3,\).*\(40,\)": dict(warm={"w": torch.ones(3)}),
    }.items(),
)
def test_bad_settings_are_refused_by_name(words, settings):
    new = draw()
    with pytest.raises(ValueError, match=words):
        sharpness(Quadratic(new(), new(), constant=100), new(), **{"epsilon": EPS, **settings})


def test_parameters_that_are_not_flat_are_told():
    network = torch.nn.Linear(3, 2)
    for given, words in ((network.parameters(), "x is a generator"), (network, "x is a Linear")):
        with pytest.raises(ValueError, match=f"{words}; expected a flat tensor or array"):
            sharpness(lambda x: (x.sum().item(), x), given, EPS)


def test_a_bad_point_value_or_gradient_is_refused_by_name():
    new = draw()
    f, x = Quadratic(new(), new(), constant=100), new()
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="x has NaN"):
            sharpness(f, torch.full_like(x, bad), EPS)
        with pytest.raises(ValueError, match=f"is {bad} at x; expected finite"):
            sharpness(lambda x: (bad, x), x, EPS)
        with pytest.raises(ValueError, match="gradient has NaN or infinite entries at x"):
            sharpness(lambda x: (1.0, torch.full_like(x, bad)), x, EPS)
        for wrong in (lambda y: (bad, f(y)[1]), lambda y: (f(y)[0], torch.full_like(y, bad))):
            for solver in ("best", "literal"):
                with pytest.raises(ValueError, match="in the box; expected finite"):
                    sharpness(lambda y: f(y) if torch.equal(y, x) else wrong(y), x, EPS, solver=solver)
    for wrong in (x[None], torch.arange(40)):
        with pytest.raises(ValueError, match=r"shape \(.*dtype.*expected flat float"):
            sharpness(f, wrong, EPS)
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\); expected \(40,\)"):
        sharpness(lambda x: (1.0, x[:3]), x, EPS)


@pytest.mark.parametrize("solver", ["best", "literal"])
@pytest.mark.parametrize("space", [{}, {"subspace": 5}])
def test_a_box_finer_than_the_dtype_is_refused_not_answered_with_zero(solver, space):
    """f = |x|^2 at x = 1: 100 n ((1 + 2 epsilon)^2 - 1) / (1 + n). float32 tells 1 from 1 + 1.2e-7, and no less."""
    f = lambda x: (x.double().square().sum().item(), 2 * x)
    x, exact = torch.ones(100), lambda e: 100 * 100 * ((1 + 2 * e) ** 2 - 1) / 101
    for epsilon in (1e-9, 1e-8, 1e-7):
        with pytest.raises(ValueError, match=f"epsilon is {epsilon}, too small for torch.float32.*float64"):
            sharpness(f, x, epsilon, solver=solver, **space)
        assert space or sharpness(f, x.double(), epsilon, solver=solver).value == pytest.approx(
            exact(epsilon), rel=1e-5
        )
    if not space:
        assert sharpness(f, x, 1e-5, solver=solver).value == pytest.approx(exact(1e-5), rel=0.01)
    for coarse in (torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match=f"x is {coarse}, too coarse.*float"):
            sharpness(f, x.to(coarse), EPS, solver=solver, **space)


def test_a_box_finer_than_what_f_computes_in_is_refused():
    """x in float64, but f rounds it to float32 inside, as an Objective in float32 does."""
    f = lambda x: (x.float().double().square().sum().item(), 2 * x)
    f.dtype = torch.float32
    with pytest.raises(ValueError, match="too small for torch.float32"):
        sharpness(f, torch.ones(100, dtype=torch.float64), 1e-8)


@pytest.mark.parametrize("shift", [5, 4.9999, 8])
def test_f_below_minus_one_has_no_metric(shift):
    """1 + f(x) would be 0, or turn the sign round; just above -1 the metric still stands."""
    f = lambda x: (x.square().sum().item() - shift, 2 * x)
    x = torch.ones(4, dtype=torch.float64)
    if shift < 5:
        assert sharpness(f, x, EPS).value == pytest.approx(100 * 4 * (1.002**2 - 1) / (5 - shift), rel=1e-6)
    else:
        with pytest.raises(ValueError, match=f"f\\(x\\) is {4.0 - shift}; expected more than -1"):
            sharpness(f, x, EPS)


def test_infinity_outside_the_box_does_not_matter():
    """The start from a wider box looks further out than the metric does."""
    x = torch.zeros(5, dtype=torch.float64)
    f = lambda y: (1 + y.sum().item() if y.abs().max() < 2 * EPS else math.inf, torch.ones_like(y))
    assert sharpness(f, x, EPS).value == pytest.approx(100 * 5 * EPS / 2, rel=1e-9)


def test_whole_numbers_and_x_may_come_from_numpy_or_a_graph():
    f = lambda x: (float((x**2).sum()), 2 * x.detach())
    x = torch.ones(40, requires_grad=True)
    plain = sharpness(f, x.detach(), EPS, subspace=5, seed=3)
    assert sharpness(f, x, np.float64(EPS), subspace=np.int64(5), seed=np.int64(3)) == plain

"""Eigenvalues against quadratics made from known ones, PyTorch's own Hessian, and curvlinops."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import lbgap
from lbgap import networks
from lbgap.metric import sharpness
from lbgap.objective import flat
from lbgap.spectrum import Spectrum, edge, quadratic_sharpness, random_directions, rises, ritz, spectrum

N = 60


class Quadratic:
    """c + g.x + x H x / 2, H with the given eigenvalues, in a rotated frame unless `rotate` is false."""

    def __init__(self, eigenvalues, rotate=True, slope=None, constant=0.5):
        self.eigenvalues = torch.as_tensor(eigenvalues, dtype=torch.float64)
        n, g = len(self.eigenvalues), torch.Generator().manual_seed(3)
        frame = torch.linalg.qr(torch.randn(n, n, generator=g, dtype=torch.float64))[0]
        self.frame = frame if rotate else torch.eye(n, dtype=torch.float64)
        self.H = self.frame @ self.eigenvalues.diag() @ self.frame.T
        self.slope, self.c = torch.zeros(n).double() if slope is None else slope, constant
        self.products = self.calls = 0

    def __call__(self, x):
        self.calls += 1
        Hx = self.H.to(x) @ x
        return (self.c + self.slope.to(x) @ x + x @ Hx / 2).item(), self.slope.to(x) + Hx

    def hvp(self, x, v):
        assert v.dtype == x.dtype and v.shape == x.shape and not v.requires_grad
        self.products += 1
        return self.H.to(v) @ v


def indefinite():
    """Ten outliers, a bulk near 0 and one well negative: what is seen at a minimiser, or a saddle."""
    return [*range(20, 10, -1), *np.linspace(0, 1, N - 11), -3.0]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ------------------------------------------------------------------------------------------------ known eigenvalues


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 2e-6)])
def test_the_ends_of_a_known_spectrum(rotate, dtype, tolerance):
    f, x = Quadratic(indefinite(), rotate), draw(N).to(dtype)
    s = spectrum(f, x, top=10, probes=2, steps=40, keep_vectors=True)
    assert np.allclose(s.top, range(20, 10, -1), rtol=tolerance) and s.bottom == pytest.approx(-3, rel=tolerance)
    assert s.top.shape == s.top_residuals.shape == (10,) and max(*s.top_residuals, s.bottom_residual) < 1e-6
    assert s.products == f.products == 80 and s.nodes.shape == s.weights.shape == (80,)
    assert s.vectors.shape == (N, 10) and s.vectors.dtype == dtype
    same = (f.frame[:, :10] * s.vectors.double()).sum(0).abs()  # up to sign
    assert (same > 1 - 1e-6).all()


def test_residuals_are_those_of_the_vectors_and_bound_the_error():
    f = Quadratic(np.linspace(-1, 5, N))  # no gaps: hard
    s = spectrum(f, draw(N), top=4, probes=1, steps=12, keep_vectors=True)
    actual = (f.H @ s.vectors - s.vectors * torch.from_numpy(s.top)).norm(dim=0)
    assert np.allclose(s.top_residuals, actual, rtol=1e-9) and s.top_residuals.max() > 0.01  # far from converged
    for value, residual in [*zip(s.top, s.top_residuals), (s.bottom, s.bottom_residual)]:
        assert (f.eigenvalues - value).abs().min() <= residual
    assert (s.top <= f.eigenvalues.flip(0)[:4].numpy()).all() and s.bottom >= -1
    assert torch.dist(s.vectors.T @ s.vectors, torch.eye(4)) < 1e-12
    errors = [5 - spectrum(f, draw(N), top=1, probes=1, steps=k).top[0] for k in (4, 8, 16, 32)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-4 < errors[0]


def test_the_best_of_several_runs_is_kept():
    f, x = Quadratic(np.linspace(-1, 5, N)), draw(N)
    one, two, many = (spectrum(f, x, top=4, probes=p, steps=12, keep_vectors=True) for p in (1, 2, 6))
    assert one.top.sum() <= two.top.sum() <= many.top.sum() and one.top.sum() < many.top.sum()
    assert one.bottom >= two.bottom >= many.bottom and one.bottom > many.bottom
    quotients = (many.vectors * (f.H @ many.vectors)).sum(0)
    assert np.allclose(many.top, quotients, rtol=1e-9)  # vectors and values are of one run
    assert np.array_equal(one.nodes, many.nodes[:12]) and np.allclose(one.weights / 6, many.weights[:12])


def test_equal_eigenvalues_are_counted_and_none_comes_twice():
    f = Quadratic([7.0, 7.0, 7.0, 2.0, 2.0, *[0.0] * 25])
    s = spectrum(f, draw(30), top=6, probes=1, steps=30)
    assert np.allclose(s.top, [7, 7, 7, 2, 2, 0], atol=1e-9)
    assert np.allclose(np.sort(s.nodes), np.sort(f.eigenvalues), atol=1e-9)
    for rotate, dtype in ((True, torch.float32), (False, torch.float64)):
        zero = spectrum(Quadratic([0.0] * 5, rotate), torch.zeros(5, dtype=dtype), top=5, steps=99)
        assert (zero.top == 0).all() and zero.bottom == 0 and zero.weights.sum() == pytest.approx(1)
    long = spectrum(Quadratic([100.0, *np.linspace(0, 1, 299)]), torch.zeros(300), top=2, steps=60, probes=1)
    assert long.top[0] == pytest.approx(100, rel=1e-5) and long.top[1] < 1.001  # no ghost of 100, in float32


# ---------------------------------------------------------------------------------------------------------- density


@pytest.mark.parametrize("probes", [4, 400])
def test_the_density_has_the_moments_of_the_spectrum(probes):
    f = Quadratic(np.linspace(-1, 5, N) ** 2)
    s = spectrum(f, draw(N), top=1, probes=probes, steps=6)
    assert s.weights.sum() == pytest.approx(1, rel=1e-12) and (s.weights >= 0).all()
    for k in (1, 2, 3):
        powers = f.eigenvalues**k
        error = powers.std().item() * math.sqrt(2 / (N + 2) / probes)  # of v H^k v, v uniform on the sphere
        assert s.weights @ s.nodes**k == pytest.approx(powers.mean().item(), abs=4 * error)


def test_quadrature_is_exact_for_the_start_it_was_drawn_with():
    f, x = Quadratic(indefinite()), draw(N)
    s = spectrum(f, x, top=1, probes=1, steps=5, seed=8)
    v = torch.randn(N, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    v /= v.norm()
    for k in range(2 * 5):  # Gauss: exact up to degree 2 steps - 1
        assert s.weights @ s.nodes**k == pytest.approx((v @ torch.linalg.matrix_power(f.H, k) @ v).item(), rel=1e-9)


def test_a_seed_fixes_every_bit_and_nothing_else_is_touched():
    f, x = Quadratic(indefinite()), draw(N)
    before, rng = x.clone(), torch.get_rng_state()
    a, b, c = (spectrum(f, x, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(a.nodes, b.nodes) and np.array_equal(a.top, b.top) and not np.array_equal(a.nodes, c.nodes)
    assert torch.equal(x, before) and torch.equal(rng, torch.get_rng_state()) and a.vectors is None


# ------------------------------------------------------------------------------------------------------- a network


def tiny(n=40, seed=0):
    g = torch.Generator().manual_seed(seed)
    images = lambda k: (torch.rand(k, 1, 28, 28, generator=g), torch.randint(10, (k,), generator=g))
    return lbgap.data.Data("tiny", *images(n), *images(20), 10, "")


class Small(nn.Module):
    """Few parameters, smooth, and batch norm."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(9, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 10))

    def forward(self, x):
        return self.layers(x[:, 0, ::12, ::12].flatten(1))


def test_against_the_whole_hessian_of_a_small_network():
    torch.manual_seed(4)
    network, data = Small().double(), tiny()
    f = lbgap.Objective(network, dataset=data, dtype=torch.float64)
    x, inputs = flat(network.parameters()), data.x_train.double()

    def loss(x):
        w, b, scale, shift, v, c = (
            p.view(q.shape) for p, q in zip(x.split([q.numel() for q in network.parameters()]), network.parameters())
        )
        h = inputs[:, 0, ::12, ::12].flatten(1) @ w.T + b
        h = (h - h.mean(0)) / (h.var(0, correction=0) + 1e-5).sqrt() * scale + shift
        return nn.functional.cross_entropy(h.tanh() @ v.T + c, data.y_train)

    eigenvalues = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, x)).numpy()
    s = spectrum(f, x, top=10, probes=1, steps=len(x))
    assert np.allclose(s.top, eigenvalues[::-1][:10], rtol=1e-8) and s.bottom == pytest.approx(eigenvalues[0], rel=1e-8)
    assert s.bottom < -1e-4  # not at a minimum
    assert np.allclose(np.sort(s.nodes), eigenvalues, atol=1e-10)


class ByHand(nn.Module):
    """Batch norm from elementary operations.

    curvlinops 3.0 differentiates by jvp(jacrev), which through PyTorch 2.13's own batch norm gives a wrong product,
    without a word (pytorch/pytorch#198017 collects such rules). `Objective.hvp` differentiates twice in reverse, which
    is right.
    """

    def __init__(self, norm):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, h):
        return (h - h.mean(0)) / (h.var(0, correction=0) + self.eps).sqrt() * self.weight + self.bias


@pytest.fixture(scope="module")
def pair():
    """(f, x, curvlinops' Hessian of the same loss): mlp-bn on 40 random images, in float64."""
    curvlinops = pytest.importorskip("curvlinops")
    network, data = networks.build("mlp-bn", seed=1).double(), tiny()
    f = lbgap.Objective(network, dataset=data, dtype=torch.float64)
    network = nn.Sequential(*(ByHand(m) if isinstance(m, nn.BatchNorm1d) else m for m in network))
    H = curvlinops.HessianLinearOperator(
        network,
        nn.CrossEntropyLoss(),
        list(network.parameters()),
        [(data.x_train.double(), data.y_train)],
        check_deterministic=False,
    )
    return f, flat(network.parameters()), H


def test_products_are_those_of_curvlinops(pair):
    f, x, H = pair
    v = draw(f.n, seed=1)
    torch.testing.assert_close(f.hvp(x, v), H @ v, rtol=1e-9, atol=1e-12)


def test_nodes_weights_and_density_are_those_of_curvlinops(pair):
    from curvlinops.papyan2020traces import spectrum as papyan

    f, x, H = pair
    steps = 8
    s = spectrum(f, x, top=1, probes=1, steps=steps, seed=11)
    torch.manual_seed(11)  # the same start
    values, vectors = papyan.fast_lanczos(H, steps)
    assert np.allclose(s.nodes, values, rtol=1e-8, atol=1e-12) and np.allclose(s.weights, vectors[0] ** 2, rtol=1e-6)

    # and with starts of its own, after it has smeared the density out: mass, mean and variance, less the smear's
    grid, density = papyan.lanczos_approximate_spectrum(H, steps, 4096, 3, boundaries=(s.bottom, s.top[0]))
    width = (grid[-1] - grid[0]) / (steps - 1) / math.sqrt(8 * math.log(3))
    mass, mean, square = (torch.trapezoid(density * grid**k, grid).item() for k in range(3))
    ours = [s.weights @ s.nodes**k for k in (1, 2)]
    assert mass == pytest.approx(1, abs=0.1) and abs(mean - ours[0]) < 0.1 * width
    assert square == pytest.approx(ours[1] + width**2, rel=0.25)


def test_the_top_is_what_scipy_finds_with_curvlinops(pair):
    from scipy.sparse.linalg import eigsh

    f, x, H = pair
    expected = eigsh(H.to_scipy(), k=3, which="LA", tol=1e-6, return_eigenvectors=False, v0=np.ones(f.n))
    assert np.allclose(spectrum(f, x, top=3, probes=1, steps=48).top, np.sort(expected)[::-1], rtol=1e-6)


# ------------------------------------------------------------------------------------ directions, subspaces, boxes


def test_rises_along_known_directions():
    f = Quadratic([8.0, 2.0, -1.0, 0.0], rotate=False, slope=torch.tensor([0, 3.0, 0, -1.0]).double())
    x = torch.zeros(4).double()
    found = rises(f, x, (k * v for k, v in zip((1, -5, 0.1, 7), torch.eye(4).double())), 0.1)
    # the length of d and its sign do not matter: 100 (|slope| t + h t^2 / 2) / 1.5
    assert np.allclose(found, 100 * np.array([0.04, 0.31, -0.005, 0.1]) / 1.5, rtol=1e-9)
    assert f.calls == 9
    f.evaluate = lambda x: (f.H.diagonal().dot(x * x).item() / 2 + 0.5, None)  # without the slope: seen in the result
    assert np.allclose(rises(f, x, [torch.ones(4)], 2.0), 100 * (9 / 4 * 4 / 2) / 1.5) and f.calls == 9
    assert rises(f, x, [], 1.0).shape == (0,)


def test_rises_of_a_network_leave_it_and_take_no_gradient():
    network = networks.build("mlp-bn")
    f, x = lbgap.Objective(network, dataset=tiny()), flat(network.parameters())
    d = torch.randn(f.n)
    f0, a, b = (f.evaluate(x + t * d / d.norm())[0] for t in (0, 0.5, -0.5))
    assert rises(f, x, [3 * d], 0.5) == pytest.approx(100 * (max(a, b) - f0) / (1 + f0), rel=1e-3)
    assert f.evaluations == 0 and torch.equal(x, flat(network.parameters()))


def test_random_directions_are_standard_normal_and_seeded():
    x = torch.zeros(5000, dtype=torch.float64)
    a, b, c = (list(random_directions(x, 4, seed)) for seed in (0, 0, 1))
    assert len(a) == 4 and all(map(torch.equal, a, b)) and not torch.equal(a[0], c[0])
    stack = torch.stack(a)
    assert stack.dtype == x.dtype and (stack @ stack.T / 5000 - torch.eye(4)).abs().max() < 0.1


def test_ritz_values():
    f, x = Quadratic(indefinite()), draw(N)
    A = draw(N, 7)
    gram = np.linalg.solve((A.T @ A).numpy(), (A.T @ f.H @ A).numpy())  # the same values without an orthonormal basis
    found = ritz(f, x, A)
    assert np.allclose(found, np.sort(np.linalg.eigvals(gram).real)[::-1], rtol=1e-9) and f.products == 7
    assert found[0] < 20 and found[-1] > -3  # inside
    assert np.allclose(ritz(f, x, A @ draw(7, 7)), found, rtol=1e-9)  # of the space, not of the columns
    assert np.allclose(ritz(f, x.float(), A.numpy()), found, rtol=1e-4)
    mixed = f.frame[:, [0, 4, N - 1]] @ draw(3, 3)
    assert np.allclose(ritz(f, x, mixed), [20, 16, -3], rtol=1e-9)


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 1.0])
def test_the_quadratics_own_sharpness_is_what_the_metric_finds(epsilon):
    # four are kept, one of them negative: there the greatest value may lie inside the box
    f = Quadratic([9.0, 4.0, 0.0, -2.0, *np.linspace(-6, -3, 26)], slope=3 * draw(30), constant=40)
    x = draw(30, seed=2)
    s = spectrum(f, x, top=4, probes=1, steps=30, keep_vectors=True)
    predicted = quadratic_sharpness(f, x, epsilon, s)
    assert isinstance(predicted, float)
    assert predicted == pytest.approx(sharpness(f, x, epsilon, matrix=s.vectors).value, rel=1e-9)
    # and by brute force over each eigenvector's interval
    grid, rise = np.linspace(-1, 1, 20001), 0
    for i in range(4):
        q, h = s.vectors[:, i], s.top[i]
        z = grid * epsilon * (abs((q @ x).item()) + 1)
        rise += (z * (q @ f(x)[1]).item() + h * z**2 / 2).max()
    assert predicted == pytest.approx(100 * rise / (1 + f(x)[0]), rel=1e-6)


def test_vectors_that_have_not_converged_still_predict_exactly():
    f, x = Quadratic(np.linspace(0, 5, N)), draw(N)
    s = spectrum(f, x, top=4, probes=1, steps=6, keep_vectors=True)
    assert s.top_residuals.max() > 0.1
    assert quadratic_sharpness(f, x, 0.01, s) == pytest.approx(sharpness(f, x, 0.01, matrix=s.vectors).value, rel=1e-9)


def test_the_edge_is_the_top_eigenvalue_in_adams_units():
    f, x, P = Quadratic(indefinite()), draw(N), draw(N, seed=5).abs() + 0.1
    assert edge(f, x, steps=N) == pytest.approx((20, 0), rel=1e-9, abs=1e-7)
    root = P.numpy() ** -0.5
    every = np.linalg.eigvalsh(root[:, None] * f.H.numpy() * root)
    assert max(np.linalg.eigvals(f.H.numpy() / P.numpy()[:, None]).real) == pytest.approx(every[-1])  # of P^-1 H, too
    assert edge(f, x, P, steps=N) == pytest.approx((every[-1], 0), rel=1e-9, abs=1e-7)
    value, residual = edge(f, x, P.float(), steps=4)
    assert value < every[-1] and residual > 1e-3 and abs(every - value).min() <= residual * 1.001
    assert f.products == 2 * N + 4


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "words, settings",
    {
        "steps is 0": dict(steps=0),
        "probes is 0": dict(probes=0),
        "top is 0": dict(top=0),
        "top is 33; expected 1 to 32": dict(top=33),
        "top is 61; expected 1 to 60": dict(top=61, steps=99),
    }.items(),
)
def test_bad_settings_are_refused_by_name(words, settings):
    with pytest.raises(ValueError, match=words):
        spectrum(Quadratic(indefinite()), draw(N), **settings)


def test_bad_points_functions_and_matrices_are_refused_by_name():
    f, x = Quadratic(indefinite()), draw(N)
    for call in (spectrum, lambda f, x: ritz(f, x, draw(N, 2))):
        with pytest.raises(ValueError, match="function without hvp.*expected f.hvp"):
            call(lambda x: (0.0, x), x)
        with pytest.raises(ValueError, match=r"shape \(1, 60\).*float32 or float64"):
            call(f, x[None])
        with pytest.raises(ValueError, match="x has NaN"):
            call(f, x * math.nan)
        for out, words in (
            (x[:3], r"returned shape \(3,\); expected \(60,\)"),
            (x * math.inf, "returned NaN or infinite"),
        ):
            bad = Quadratic(indefinite())
            bad.hvp = lambda x, v: out
            with pytest.raises(ValueError, match=words):
                call(bad, x)
    for matrix, words in (
        (draw(3, N), r"shape \(3, 60\); expected \(60, p\)"),
        (x, r"shape \(60,\)"),
        (torch.stack([x, x], 1), "rank below 2"),
        (draw(N, 2) * math.nan, "rank below 2"),
    ):
        with pytest.raises(ValueError, match=words):
            ritz(f, x, matrix)
    for length in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"length is {length}"):
            rises(f, x, [x], length)
    for directions, words in (([x, x[:2]], r"direction 1 has shape \(2,\)"), ([0 * x], "direction 0 has length 0.0")):
        with pytest.raises(ValueError, match=words):
            rises(f, x, directions, 0.1)
    s = spectrum(f, x)
    assert isinstance(s, Spectrum)
    with pytest.raises(ValueError, match="vectors of shape None.*keep_vectors=True"):
        quadratic_sharpness(f, x, 1e-3, s)
    s = spectrum(f, x, keep_vectors=True)
    with pytest.raises(ValueError, match=r"shape \(60, 10\); expected \(3, k\)"):
        quadratic_sharpness(f, x[:3], 1e-3, s)
    for epsilon in (0, -1, math.nan):
        with pytest.raises(ValueError, match=f"epsilon is {epsilon}"):
            quadratic_sharpness(f, x, epsilon, s)

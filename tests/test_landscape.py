"""Paths between two minimisers, on a quadratic whose values along them are known in closed form."""

import math

import numpy as np
import pytest
import torch

import lbgap
from lbgap import landscape, networks
from lbgap.objective import flat


@pytest.fixture
def quadratic():
    """f(x) = x H x / 2 + 1, and two points."""
    g = torch.Generator().manual_seed(0)
    a, b, root = (torch.randn(*shape, generator=g, dtype=torch.float64) for shape in ((9,), (9,), (9, 9)))
    H = root @ root.T
    return lambda x: ((x @ H @ x / 2 + 1).item(), H @ x), a, b, H


def test_the_papers_range():
    assert len(landscape.ALPHAS) == 25 and landscape.ALPHAS[0] == -1 and landscape.ALPHAS[-1] == 2
    assert {0.0, 1.0} <= set(landscape.ALPHAS)
    assert np.allclose(np.diff(landscape.ALPHAS), 0.125)


def test_a_quadratic_along_a_line_is_a_parabola(quadratic):
    f, a, b, H = quadratic
    path = landscape.linear(f, a, b)
    t, d = np.array(landscape.ALPHAS), b - a
    expected = f(a)[0] + t * (a @ H @ d).item() + t**2 * (d @ H @ d).item() / 2
    assert np.allclose(path.loss, expected, rtol=1e-12) and np.array_equal(path.alpha, t)
    assert path.accuracy is None  # a quadratic has none


def test_a_quadratic_along_the_circle(quadratic):
    f, a, b, H = quadratic
    path = landscape.curvilinear(f, a, b)
    s, c = np.sin(path.alpha * np.pi / 2), np.cos(path.alpha * np.pi / 2)
    form = lambda u, v: (u @ H @ v).item() / 2
    expected = 1 + s**2 * form(b, b) + 2 * s * c * form(a, b) + c**2 * form(a, a)
    assert np.allclose(path.loss, expected, rtol=1e-12)
    assert path.loss[path.alpha == -1] == pytest.approx(f(-b)[0]) and path.loss[path.alpha == 2] == pytest.approx(
        f(-a)[0]
    )


@pytest.mark.parametrize("kind", ["linear", "curvilinear"])
def test_the_ends_are_the_minimisers_to_the_last_bit(kind):
    dataset = lbgap.data.Data(
        "tiny",
        torch.rand(30, 1, 28, 28),
        torch.arange(30) % 10,
        torch.rand(20, 1, 28, 28),
        torch.arange(20) % 10,
        10,
        "",
    )
    small, large = (flat(networks.build("mlp-bn", seed=s).parameters()) for s in (1, 2))
    f = lbgap.Objective(networks.build("mlp-bn"), dataset=dataset)
    path = getattr(landscape, kind)(f, small, large, alphas=(0, 0.5, 1))
    ends = f.evaluate(small), f.evaluate(large)
    assert (path.loss[0], path.accuracy[0]) == ends[0] and (path.loss[2], path.accuracy[2]) == ends[1]
    w = 0.5 if kind == "linear" else math.sqrt(0.5)
    assert path.loss[1] == pytest.approx(f.evaluate(w * small + w * large)[0], rel=1e-6)
    assert f.evaluations == 0  # no gradient was computed for a picture


def test_points_are_given_as_they_are_at_the_ends():
    seen = []
    f = lambda x: (seen.append(x) or 0.0, x)
    a, b = torch.tensor([0.1, 1e12]), torch.tensor([1e12, 0.7])  # cos(pi / 2) is 6e-17 in floating point, not 0
    for kind in ("linear", "curvilinear"):
        seen.clear()
        getattr(landscape, kind)(f, a, b, alphas=(0, 1))
        assert torch.equal(seen[0], a) and torch.equal(seen[1], b)


@pytest.mark.parametrize("kind", ["linear", "curvilinear"])
def test_points_of_other_shapes_are_refused(kind, quadratic):
    f, a, b, _ = quadratic
    for x, y in ((a, b[:3]), (a[None], b[None])):
        with pytest.raises(ValueError, match=r"x_small has shape \(.*x_large \(.*expected one flat"):
            getattr(landscape, kind)(f, x, y)

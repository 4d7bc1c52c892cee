"""The gradient noise scale of a linear regression, whose gradient by example is known in closed form."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import lbgap
from lbgap import networks
from lbgap.noise import noise_scale
from lbgap.objective import flat

N, DIMENSION = 50, 6


class Regression:
    """Mean of (a.x - y)^2 / 2 over N examples: the gradient of one is (a.x - y) a."""

    def __init__(self, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.a, self.y = torch.randn(N, DIMENSION, generator=g).double(), torch.randn(N, generator=g).double()
        self.seeds = []

    def by_example(self, x):
        return (self.a @ x.double() - self.y)[:, None] * self.a

    def gradients(self, x, batch_size, seed):
        self.seeds.append(seed)
        for part in torch.randperm(N, generator=torch.Generator().manual_seed(seed)).split(batch_size):
            yield self.by_example(x)[part].mean(0).to(x), len(part)

    def known(self, x):
        """(tr(Sigma), |G|^2), by NumPy."""
        h = self.by_example(x).numpy()
        return np.trace(np.cov(h, rowvar=False)), (h.mean(0) ** 2).sum()


@pytest.fixture
def f():
    return Regression()


X = torch.linspace(-1, 1, DIMENSION, dtype=torch.float64)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_batches_of_one_are_exact(f, dtype, tolerance):
    trace, squared = f.known(X)
    s = noise_scale(f, X.to(dtype), 1)
    assert s.trace == pytest.approx(trace, rel=tolerance) and s.squared_gradient == pytest.approx(
        squared, rel=tolerance
    )
    assert s.value == pytest.approx(trace / squared, rel=tolerance) and (s.batch_size, s.batches) == (1, 2 * N)


@pytest.mark.parametrize("batch_size", [7, 10, 20, 30])  # 7, 20 and 30 do not divide N
def test_over_many_shuffles_the_trace_is_unbiased_and_the_gradient_exact(f, batch_size):
    trace, squared = f.known(X)
    found = [noise_scale(f, X, batch_size, seed=seed) for seed in range(300)]
    assert all(s.squared_gradient == pytest.approx(squared, rel=1e-10) for s in found)
    traces = np.array([s.trace for s in found])
    error = traces.std() / math.sqrt(len(traces))
    assert abs(traces.mean() - trace) < 4 * error and error < 0.08 * trace  # 30 of 50: (1 - b / N) would be 0.4


def test_with_a_few_batches_both_are_unbiased(f):
    trace, squared = f.known(X)
    found = [noise_scale(f, X, 5, seed=seed, count=3) for seed in range(2000)]
    for values, expected in (([s.trace for s in found], trace), ([s.squared_gradient for s in found], squared)):
        error = np.std(values) / math.sqrt(len(values))
        assert abs(np.mean(values) - expected) < 4 * error and error < 0.1 * expected
    assert found[0].batches == 6
    assert noise_scale(f, X, 5, count=99) == noise_scale(f, X, 5)


def test_a_gradient_lost_in_the_noise_is_told_as_such(f):
    minimiser = torch.linalg.lstsq(f.a, f.y[:, None]).solution[:, 0]
    found = [noise_scale(f, minimiser, 5, seed=seed, count=3) for seed in range(20)]
    assert any(s.squared_gradient < 0 for s in found) and any(s.squared_gradient > 0 for s in found)
    assert all((s.value == math.inf) == (s.squared_gradient < 0) for s in found)


def test_where_gradients_are_equal_there_is_no_noise():
    class Same:
        def gradients(self, x, batch_size, seed):
            yield from 4 * [(x, batch_size)]

    s = noise_scale(Same(), X, 3)
    assert s.value == pytest.approx(0, abs=1e-12) and s.squared_gradient == pytest.approx((X @ X).item())


def test_noise_that_comes_from_the_company_is_not_taken_for_gradient():
    """With batch norm a mini-batch's gradient depends on who is in it, so the mean of a pass is noisy too."""

    class Company:
        def gradients(self, x, batch_size, seed):
            g = torch.Generator().manual_seed(seed)
            for _ in range(N // batch_size):
                yield 0.01 * torch.ones(2000) + torch.randn(2000, generator=g) / math.sqrt(batch_size), batch_size

    s = noise_scale(Company(), X, 5)  # |G|^2 = 0.2, tr(Sigma) = 2000; |M|^2 would be 2000 / 50 more
    assert s.trace == pytest.approx(2000, rel=0.05) and abs(s.squared_gradient - 0.2) < 4 * 40 / math.sqrt(2000)


def test_two_seeds_are_two_different_pairs_of_shuffles(f):
    assert noise_scale(f, X, 5) == noise_scale(f, X, 5) != noise_scale(f, X, 5, seed=1)
    f.seeds.clear()
    for seed in range(3):
        noise_scale(f, X, 5, seed=seed)
    assert len(set(f.seeds)) == 6


@pytest.mark.parametrize("name", ["mlp", "mlp-bn"])
def test_a_network(name):
    g = torch.Generator().manual_seed(0)
    images = lambda k: (torch.rand(k, 1, 28, 28, generator=g), torch.randint(10, (k,), generator=g))
    network = networks.build(name, seed=1)
    f = lbgap.Objective(network, dataset=lbgap.data.Data("tiny", *images(64), *images(20), 10, ""), dtype=torch.float64)
    x = flat(network.parameters()).double()
    before = x.clone()
    s = noise_scale(f, x, 16)
    if name == "mlp":  # no batch norm: all examples one by one
        losses = nn.functional.cross_entropy(network.double()(f.inputs.double()), f.labels, reduction="none")
        gradients = torch.stack(
            [flat(torch.autograd.grad(l, list(network.parameters()), retain_graph=True)) for l in losses]
        )
        assert s.squared_gradient == pytest.approx(gradients.mean(0).square().sum().item(), rel=1e-9)
        assert s.squared_gradient == pytest.approx(f(x)[1].square().sum().item(), rel=1e-9)
        assert noise_scale(f, x, 2).trace == pytest.approx(gradients.var(0).sum().item(), rel=0.1)
    assert s.value == s.trace / s.squared_gradient > 0 and s.batches == 8
    assert torch.equal(x, before) and torch.equal(flat(network.parameters()).double(), before)


@pytest.mark.parametrize(
    "words, settings",
    {
        "batch_size is 0": dict(batch_size=0),
        "count is 1": dict(batch_size=5, count=1),
        "batch_size is 50, which makes 1 mini-batch of 50.*lower batch_size": dict(batch_size=50),
    }.items(),
)
def test_bad_settings_are_refused_by_name(f, words, settings):
    with pytest.raises(ValueError, match=words):
        noise_scale(f, X, **settings)
    with pytest.raises(ValueError, match="Quadratic without gradients.*expected f.gradients"):
        noise_scale(type("Quadratic", (), {})(), X, 5)

"""f of Eq. 1 against the same loss written out by hand in NumPy, and its derivatives against finite differences."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lbgap import data, networks
from lbgap.objective import Objective, flat, recalibrate, unflat

N, TEST = 70, 23


def tiny(shape=(1, 28, 28), n=N, test=TEST, seed=0):
    """A data set of random images that no network can tell apart."""
    g = torch.Generator().manual_seed(seed)
    draw = lambda k: (torch.rand(k, *shape, generator=g), torch.randint(10, (k,), generator=g))
    return data.Data("tiny", *draw(n), *draw(test), 10, "no checksum")


@pytest.fixture(scope="module")
def dataset():
    return tiny()


@pytest.fixture(params=["mlp", "mlp-bn"])
def network(request):
    network = networks.build(request.param, seed=1)
    with torch.no_grad():  # no zero biases, no unit scales: nothing may be right by accident
        for p in network.parameters():
            p += 0.05 * torch.randn_like(p)
    for m in networks.batch_norms(network):
        m.running_mean.normal_()
        m.running_var.uniform_(0.5, 2)
        m.num_batches_tracked.fill_(7)
    return network


def by_hand(network, x, inputs, labels, size, statistics=None):
    """Sum of the losses, number right, and each layer's (mean, unbiased variance) by batch; all float64 NumPy.

    statistics: (mean, variance) for each batch-norm layer; None is those of the batch.
    """
    x, inputs, labels = x.double().numpy(), inputs.double().numpy().reshape(len(labels), -1), labels.numpy()
    norm = bool(networks.batch_norms(network))
    total, right, seen = 0.0, 0, []
    for start in range(0, len(labels), size):
        h, y, at, seen_here = inputs[start : start + size], labels[start : start + size], 0, []

        def take(*shape):
            nonlocal at
            at += int(np.prod(shape))
            return x[at - int(np.prod(shape)) : at].reshape(shape)

        for layer, (a, b) in enumerate(((784, 128), (128, 128), (128, 10))):
            weight, bias = take(b, a), take(b)
            h = h @ weight.T + bias
            if layer < 2:
                if norm:
                    scale, shift = take(b), take(b)
                    seen_here.append((h.mean(0), h.var(0, ddof=1)))
                    mean, variance = statistics[layer] if statistics else (h.mean(0), h.var(0))
                    h = (h - mean) / np.sqrt(variance + 1e-5) * scale + shift
                h = np.maximum(h, 0)
        assert at == len(x)
        top = h.max(1, keepdims=True)
        logp = h - top - np.log(np.exp(h - top).sum(1, keepdims=True))
        total -= logp[np.arange(len(y)), y].sum()
        right += (h.argmax(1) == y).sum()
        seen.append(seen_here)
    return total, right, seen


def start(network):
    return flat(network.parameters())


# ---------------------------------------------------------------------------------------------------------- value


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("size", [5000, N, 32, 7])
def test_value_and_accuracy_are_those_written_out_by_hand(network, dataset, split, size):
    """In `batch` mode each fixed, ordered batch is normalised by itself, the partial one at the end too."""
    inputs, labels = dataset.split(split)
    total, right, _ = by_hand(network, start(network), inputs, labels, size)
    f = Objective(network, split, batch_size=size, dataset=dataset, dtype=torch.float64)
    x = start(network).double()
    assert f(x)[0] == pytest.approx(total / len(labels), rel=1e-12)
    assert f.evaluate(x) == pytest.approx((total / len(labels), 100 * right / len(labels)), rel=1e-12)
    assert f.accuracy(x) == f.evaluate(x)[1]
    assert f.n == len(x) and f.evaluations == 1


def test_a_rest_of_one_example_joins_the_batch_before_it(dataset):
    network = networks.build("mlp-bn")
    f = Objective(network, batch_size=N - 1, dataset=dataset)
    assert f(start(network))[0] == pytest.approx(Objective(network, dataset=dataset)(start(network))[0], rel=1e-6)


def test_frozen_is_the_network_in_eval_mode(network, dataset):
    f = Objective(network, "test", "frozen", dataset=dataset, batch_size=10)
    with torch.no_grad():
        logits = copy.deepcopy(network).eval()(dataset.x_test)
    expected = torch.nn.functional.cross_entropy(logits, dataset.y_test).item()
    assert f(start(network))[0] == pytest.approx(expected, rel=1e-6)
    norms = [(m.running_mean.double().numpy(), m.running_var.double().numpy()) for m in networks.batch_norms(network)]
    total, right, _ = by_hand(network, start(network), dataset.x_test, dataset.y_test, 10, norms)
    assert f.evaluate(start(network)) == pytest.approx((total / TEST, 100 * right / TEST), rel=1e-6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_recalibrated_uses_the_means_of_the_training_batches_statistics(network, dataset, split):
    size = 35
    _, _, seen = by_hand(network, start(network), dataset.x_train, dataset.y_train, size)
    means = [tuple(np.mean(part, 0) for part in zip(*layer)) for layer in zip(*seen)]
    inputs, labels = dataset.split(split)
    total, right, _ = by_hand(network, start(network), inputs, labels, size, means)
    f = Objective(network, split, "recalibrated", size, dataset=dataset, dtype=torch.float64)
    x = start(network).double()
    for _ in range(2):  # the first evaluation leaves nothing behind
        assert f.evaluate(x) == pytest.approx((total / len(labels), 100 * right / len(labels)), rel=1e-12)


def test_recalibrate_leaves_mode_and_momentum_as_they_were(network, dataset):
    network.train()
    recalibrate(network, dataset.x_train, 35)
    assert network.training and all(m.training and m.momentum == 0.1 for m in networks.batch_norms(network))


# ---------------------------------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("mode", ["batch", "frozen"])
def test_the_gradient_is_that_of_finite_differences_of_the_value_by_hand(network, dataset, mode):
    f = Objective(network, batch_norm=mode, batch_size=35, dataset=dataset, dtype=torch.float64)
    x = start(network).double()
    norms = [(m.running_mean.double().numpy(), m.running_var.double().numpy()) for m in networks.batch_norms(network)]
    value = lambda x: (
        by_hand(network, x, dataset.x_train, dataset.y_train, 35, norms if mode == "frozen" else None)[0] / N
    )
    g = f(x)[1]
    assert g.dtype == torch.float64 and g.shape == x.shape
    for _ in range(3):
        v = torch.randn(len(x), dtype=torch.float64)  # a short step, or it crosses a kink of ReLU
        slope = (value(x + 1e-8 * v) - value(x - 1e-8 * v)) / 2e-8
        assert (g @ v).item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("mode", ["batch", "frozen"])
def test_a_hessian_product_is_that_of_finite_differences_of_the_gradient(network, dataset, mode):
    f = Objective(network, batch_norm=mode, batch_size=35, dataset=dataset, dtype=torch.float64)
    x = start(network).double()
    v = torch.randn(len(x), dtype=torch.float64)
    difference = (f(x + 1e-7 * v)[1] - f(x - 1e-7 * v)[1]) / 2e-7
    assert (f.hvp(x, v) - difference).norm() < 1e-4 * difference.norm()


def test_float32_agrees_with_float64(network, dataset):
    x = start(network)
    single, double = (Objective(network, dataset=dataset, dtype=t) for t in (torch.float32, torch.float64))
    (a, ga), (b, gb) = single(x), double(x.double())
    assert a == pytest.approx(b, rel=1e-5)
    assert ga.dtype == torch.float32 and (ga - gb).norm() < 1e-5 * gb.norm()
    assert double(x)[1].dtype == torch.float32  # the gradient has x's dtype


def test_dropout_is_off():
    dataset = tiny((3, 32, 32), 6, 4)
    network = networks.build("C1", "text", seed=2)
    f, x = Objective(network, dataset=dataset), start(network)
    assert f(x)[0] == f(x)[0] == pytest.approx(f.evaluate(x)[0], rel=1e-6)
    without = copy.deepcopy(network).train()
    for m in without:
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    with torch.no_grad():
        expected = nn.functional.cross_entropy(without(dataset.x_train), dataset.y_train).item()
    assert f(x)[0] == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------------------------------------- nothing is changed


@pytest.mark.parametrize("training", [True, False])
def test_the_network_and_the_random_state_are_left_exactly_as_they_were(network, dataset, training):
    network.train(training)
    parameters = list(network.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.ones_like(parameters[1])
    x = flat(parameters[1:]) + 0.1
    state, again, rng = copy.deepcopy(network.state_dict()), x.clone(), torch.get_rng_state()
    for mode in ("batch", "recalibrated", "frozen"):
        f = Objective(network, batch_norm=mode, batch_size=35, dataset=dataset)
        f.evaluate(x)
        if mode != "recalibrated":
            f(x), f.hvp(x, x)
    assert torch.equal(rng, torch.get_rng_state()) and torch.equal(x, again)
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())
    assert all(m.training is training for m in network.modules())
    assert all(m.track_running_stats for m in networks.batch_norms(network))
    assert not parameters[0].requires_grad and (parameters[1].grad == 1).all() and parameters[2].grad is None


def test_a_network_of_the_readers_own(dataset):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(784, 10)

        def forward(self, x):
            return self.layer(x.flatten(1))

    own = Own()
    expected = nn.functional.cross_entropy(own(dataset.x_train), dataset.y_train).item()
    assert Objective(own, dataset=dataset)(start(own))[0] == pytest.approx(expected, rel=1e-6)


def test_flat_and_unflat_are_inverse(network):
    parts = unflat(start(network), list(network.parameters()))
    assert all(map(torch.equal, parts, network.parameters()))
    assert start(network).data_ptr() != next(network.parameters()).data_ptr()


# ------------------------------------------------------------------------------------------------------ bad input


def test_bad_settings_are_refused_by_name(dataset):
    network = networks.build("mlp")
    for words, settings in {
        "split is 'valid'.*train": dict(split="valid"),
        "batch_norm is 'eval'.*frozen": dict(batch_norm="eval"),
        "batch_size is 0": dict(batch_size=0),
    }.items():
        with pytest.raises(ValueError, match=words):
            Objective(network, dataset=dataset, **settings)
    with pytest.raises(ValueError, match="data is missing.*load"):
        Objective(network)


def test_a_bad_point_is_refused_by_name(dataset):
    network = networks.build("mlp")
    f, x = Objective(network, dataset=dataset), start(network)
    for wrong in (x[:-1], x[None], torch.cat([x, x])):
        with pytest.raises(ValueError, match=rf"shape \({', '.join(map(str, wrong.shape))},?\).*\({len(x)},\)"):
            f(wrong)
    for bad in (float("nan"), float("inf")):
        x[3] = bad
        for call in (f, f.evaluate, lambda x: f.hvp(x, x)):
            with pytest.raises(ValueError, match="NaN"):
                call(x)


def test_recalibrated_has_no_derivatives_and_says_what_has(dataset):
    network = networks.build("mlp-bn")
    f, x = Objective(network, batch_norm="recalibrated", dataset=dataset), start(network)
    for call in (f, lambda x: f.hvp(x, x)):
        with pytest.raises(ValueError, match="recalibrated.*batch_norm='batch'"):
            call(x)


def test_hits_are_the_examples_that_accuracy_counts(network, dataset):
    for mode in ("batch", "recalibrated", "frozen"):
        f = Objective(network, batch_norm=mode, dataset=dataset, batch_size=20)
        x = flat(f.parameters)
        hits = f.hits(x)
        assert hits.dtype == torch.bool and hits.shape == dataset.y_train.shape
        assert 100 * hits.double().mean().item() == pytest.approx(f.accuracy(x))


def test_mini_batch_gradients_cover_a_shuffled_pass(network, dataset):
    """Without batch norm their weighted mean is the gradient of f; with it each batch normalises itself, so not."""
    f = Objective(network, dataset=dataset)
    x = flat(f.parameters)
    parts = list(f.gradients(x, 16, seed=1))
    count = len(dataset.y_train)
    assert sum(size for _, size in parts) == count and {size for _, size in parts[:-1]} == {16}
    mean = sum(g.double() * size for g, size in parts) / count
    exact = f(x)[1].double()
    close = torch.allclose(mean, exact, rtol=1e-4, atol=1e-6)
    assert close != bool(networks.batch_norms(network))
    assert torch.equal(parts[0][0], next(f.gradients(x, 16, seed=1))[0])
    assert not torch.equal(parts[0][0], next(f.gradients(x, 16, seed=2))[0])
    with pytest.raises(ValueError, match="recalibrated.*no gradient"):
        next(Objective(network, batch_norm="recalibrated", dataset=dataset).gradients(x, 16))

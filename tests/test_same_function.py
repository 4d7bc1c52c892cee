"""Other weights, the same function: against the network written out in float64, norms against NumPy's, t against a
scan."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from lbgap import data, networks, sharpness, training
from lbgap.objective import Objective, flat, unflat
from lbgap.same_function import match_loss, match_norms, twin
from lbgap.training import Minimizer, Run

MLP, CONV = Run("mlp-bn", "mnist-1k", 16), Run("C1", "cifar10", 16, variant="text")
PLAIN = Run("mlp", "mnist-1k", 16)


def at(run, seed, spread=1.0, dtype=torch.float64):
    """A minimiser with random parameters and statistics; each filter has a norm of its own."""
    network, g = networks.build(run.network, run.variant, seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p += 0.05 * torch.randn(p.shape, generator=g)
            p *= (spread * torch.randn((len(p), *[1] * (p.ndim - 1)), generator=g)).exp() if p.ndim > 1 else 1
        for m in networks.batch_norms(network):
            m.running_mean.copy_(torch.randn(m.num_features, generator=g))
            m.running_var.copy_(0.5 + torch.rand(m.num_features, generator=g))
            m.num_batches_tracked.fill_(7)
    buffers = {k: b.to(dtype if b.is_floating_point() else b.dtype) for k, b in network.named_buffers()}
    return Minimizer(run, flat(network.parameters()).to(dtype), buffers, {"train_loss": [1.0]})


def images(run, count, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(count, *networks.input_shape(run.network), generator=g, dtype=torch.float64)


@torch.no_grad()
def logits(minimizer, inputs, mode, epsilon=1e-5):
    """The network's output in float64, each layer normalised by the batch or by the running statistics."""
    network = minimizer.network().double()
    for m in networks.batch_norms(network):
        m.eps, m.momentum = epsilon, None
    if mode == "batch":
        for m in networks.batch_norms(network):
            m.train()
    names = [k for k, _ in network.named_parameters()]
    parts = unflat(minimizer.x.double(), list(network.parameters()))
    return functional_call(
        network, dict(zip(names, parts)) | {k: b.clone() for k, b in minimizer.buffers.items()}, inputs
    )


def filters(minimizer):
    """{name: the norm of each filter} of the layers before a batch norm, in NumPy; and the names' places in x."""
    network, norms, places, start = minimizer.network(), {}, {}, 0
    for name, p in network.named_parameters():
        part = minimizer.x[start : start + p.numel()].numpy()
        layer = int(name.split(".")[0])
        if not isinstance(network[layer], nn.modules.batchnorm._BatchNorm) and layer < len(network) - 1:
            places[name] = slice(start, start + p.numel())
            if p.ndim > 1:
                norms[name] = np.sqrt((part.reshape(len(p), -1).astype(float) ** 2).sum(1))
        start += p.numel()
    return norms, places


@pytest.fixture(scope="module", params=[MLP, CONV], ids=lambda run: run.network)
def pair(request):
    return at(request.param, 1), at(request.param, 2)


# ------------------------------------------------------------------------------------------------------- match_norms


@pytest.mark.parametrize("mode", ["batch", "frozen"])
def test_the_function_is_the_same(pair, mode):
    """To rounding without batch norm's epsilon; with it, the difference shrinks as epsilon does, and is small."""
    x, like = pair
    same, inputs = match_norms(x, like), images(x.run, 9)

    def difference(epsilon):
        one, other = (logits(m, inputs, mode, epsilon) for m in (x, same))
        return ((other - one).abs().max() / one.abs().max()).item()

    assert difference(1e-300) < 1e-12  # PyTorch refuses 0, and this is it beside any variance
    assert 1e-9 < difference(1e-7) < difference(1e-5) < 5e-2


def test_each_filter_has_the_references_norm_and_all_else_its_bits(pair):
    x, like = pair
    same = match_norms(x, like)
    (found, places), (wanted, _), (before, _) = filters(same), filters(like), filters(x)
    assert found.keys() == before.keys() and len(found) == len(networks.batch_norms(x.network()))
    rest = torch.ones(len(x.x), dtype=bool)
    for name, norms in found.items():
        np.testing.assert_allclose(norms, wanted[name], rtol=1e-12)
        c = torch.from_numpy(wanted[name] / before[name])
        assert (c / c.mean()).std() > 0.1  # each filter by itself
        bias, following = name.replace("weight", "bias"), int(name.split(".")[0]) + 1
        rest[places[name]] = rest[places[bias]] = False
        torch.testing.assert_close(same.x[places[bias]], x.x[places[bias]] * c, rtol=1e-12, atol=0)
        torch.testing.assert_close(
            same.x[places[name]].view(len(c), -1), x.x[places[name]].view(len(c), -1) * c[:, None], rtol=1e-12, atol=0
        )
        for what, factor in ("running_mean", c), ("running_var", c**2), ("num_batches_tracked", 1):
            key = f"{following}.{what}"
            torch.testing.assert_close(same.buffers[key], x.buffers[key] * factor, rtol=1e-12, atol=0)
    assert rest.any() and torch.equal(same.x[rest], x.x[rest])
    assert same.run == x.run and same.history == x.history


def test_float32_stays_float32_and_f_hardly_moves_in_any_mode():
    x, like = at(MLP, 1, 0.3, torch.float32), at(MLP, 2, 0.3, torch.float32)
    same, dataset = match_norms(x, like), few()
    assert same.x.dtype == torch.float32 and same.buffers["2.running_var"].dtype == torch.float32
    for mode in ("batch", "recalibrated", "frozen"):
        values = [Objective(m, "train", mode, dataset=dataset).evaluate(m.x)[0] for m in (x, same)]
        assert values[0] == pytest.approx(values[1], rel=1e-3) and values[0] != values[1]


def test_a_minimiser_matched_with_itself_is_itself_and_none_is_written_to(pair):
    x, like = pair
    kept = copy.deepcopy((x, like))
    same, itself = match_norms(x, like), match_norms(x, x)
    for now, then in zip((x, like, itself), (*kept, kept[0])):
        assert torch.equal(now.x, then.x) and all(torch.equal(b, then.buffers[k]) for k, b in now.buffers.items())
    same.x.zero_(), [b.zero_() for b in same.buffers.values()]
    assert torch.equal(x.x, kept[0].x) and all(torch.equal(b, kept[0].buffers[k]) for k, b in x.buffers.items())


def test_the_metric_moves_although_the_function_does_not():
    """What the control is for: small weights are cheap to turn, so ten times the norm looks flatter in the same box."""
    x = at(MLP, 1, 0.1, torch.float32)
    large = dataclasses.replace(x, x=x.x.clone())
    for place in filters(x)[1].values():
        large.x[place] *= 10
    same, f = match_norms(x, large), Objective(x, dataset=few())
    values = [sharpness(f, m.x, 1e-3, iterations=2, random_starts=0) for m in (x, same)]
    assert values[1].f0 == pytest.approx(values[0].f0, rel=1e-3)
    assert 0 < values[1].value < 0.5 * values[0].value


def test_what_cannot_be_matched_is_refused_by_name():
    x, like = at(MLP, 1), at(MLP, 2)
    with pytest.raises(ValueError, match=r"layer 1.weight has shape \(128, 784\).*\(64,\).*one network"):
        match_norms(x, at(CONV, 1))
    with pytest.raises(ValueError, match="'mlp' has no batch norm.*F1"):
        match_norms(at(PLAIN, 1), at(PLAIN, 2))
    weight = filters(x)[1]["4.weight"]
    for value in (0, float("nan"), float("inf")):
        broken = dataclasses.replace(x, x=x.x.clone())
        broken.x[weight].view(128, 128)[5] = value
        with pytest.raises(ValueError, match=f"^filter 5 of layer 4 has norm {float(value)}; expected"):
            match_norms(broken, like)
        with pytest.raises(ValueError, match=f"^the reference's filter 5 of layer 4 has norm {float(value)}; expected"):
            match_norms(like, broken)


# -------------------------------------------------------------------------------------------------------------- twin


def far(one, other):
    return ((other - one).abs().max() / one.abs().max()).item()


@pytest.mark.parametrize("factor", [1 / 8, 0.3, 8.0])
def test_a_twin_without_batch_norm_is_the_same_function(factor):
    x = at(PLAIN, 1)
    assert all(b.any() for b in x.network().parameters())  # biases too
    one, other = (logits(m, images(PLAIN, 9), "frozen") for m in (x, twin(x, factor)))
    assert far(one, other) < 1e-13 and (torch.equal(one, other) or factor == 0.3)  # powers of two round nothing
    layers = {"1": (factor, factor), "3": (1, factor), "5": (1 / factor, 1)}
    moved = dict(twin(x, factor).network().named_parameters())
    for name, p in x.network().named_parameters():
        layer, what = name.split(".")
        torch.testing.assert_close(moved[name], p * layers[layer][what == "bias"])


@pytest.mark.parametrize("mode", ["batch", "frozen"])
@pytest.mark.parametrize("factor", [1 / 4, 0.3, 8.0])
def test_a_twin_with_batch_norm_is_the_same_function_but_for_its_epsilon(pair, mode, factor):
    """To rounding with epsilon times factor^2; with epsilon as it is, the logits move: of C1 by 16 % at 1/4, where nine
    random
    images leave some channels hardly any variance."""
    x, inputs = pair[0], images(pair[0].run, 9)
    other = twin(x, factor)
    assert far(logits(x, inputs, mode, 1e-5), logits(other, inputs, mode, 1e-5 * factor**2)) < 1e-12
    assert 1e-9 < far(logits(x, inputs, mode), logits(other, inputs, mode)) < {"mlp-bn": 5e-3, "C1": 0.2}[x.run.network]
    rest = torch.ones(len(x.x), dtype=bool)
    for place in filters(x)[1].values():
        rest[place] = False
        torch.testing.assert_close(other.x[place], factor * x.x[place], rtol=1e-12, atol=0)
    assert rest.any() and torch.equal(other.x[rest], x.x[rest])
    for key, b in x.buffers.items():
        power = {"running_mean": 1, "running_var": 2}.get(key.split(".")[1], 0)
        torch.testing.assert_close(other.buffers[key], b * factor**power if power else b)


@pytest.mark.parametrize("run", [PLAIN, MLP], ids=lambda run: run.network)
def test_the_twin_of_a_twin_is_the_minimiser_again_and_none_is_written_to(run):
    x = at(run, 1)
    kept = copy.deepcopy(x)
    back = twin(twin(x, 8.0), 1 / 8)
    for now in (x, back):
        assert torch.equal(now.x, kept.x) and all(torch.equal(b, kept.buffers[k]) for k, b in now.buffers.items())
    assert back.run == x.run and back.history == x.history


@pytest.mark.parametrize("run", [PLAIN, MLP], ids=lambda run: run.network)
def test_metric_2_1_of_twins_goes_through_a_range_and_the_adaptive_one_stays(run):
    """Dinh et al.: any value above a floor. Kwon et al.: in a relative box none moves; the epsilon of batch norm is
    made up for."""
    x, inputs = at(run, 1, 0.1), images(run, 32).float()
    labels = logits(x, inputs.double(), "batch").argmax(1)
    dataset = data.Data("few", inputs, labels, inputs, labels, 10, "no checksum")
    paper, adaptive = {}, {}
    for factor in (1.0, 2**-10, 2**-6, 2**-3, 2.0**3, 2.0**6, 2.0**10):
        other = twin(x, factor)
        f = Objective(other, dataset=dataset, dtype=torch.float64)
        for m in networks.batch_norms(f.network):
            m.eps *= factor**2
        paper[factor], adaptive[factor] = (
            sharpness(f, other.x, 1e-3, offset=offset, iterations=4) for offset in (1.0, 0.0)
        )
        assert paper[factor].f0 == pytest.approx(paper[1.0].f0, rel=1e-12)
        assert adaptive[factor].value == pytest.approx(adaptive[1.0].value, rel=1e-9)
    values = np.array([paper[factor].value for factor in sorted(paper)])
    assert (values > adaptive[1.0].value).all()  # the paper's box holds the relative one, whatever the factor
    if run == PLAIN:  # sharp at both ends: small first weights, or small last ones
        assert values[0] > 1000 * values.min() and values[-1] > 50 * values.min() and 0 < values.argmin() < 6
    else:  # the larger the filters the flatter, down to a floor, where the box is relative for them
        # at the two smallest f is hundreds of nats up, and which hill an ascent ends on is chance
        assert (np.diff(values[1:]) < 0).all() and values[0] > 100 * values[-1] > 80 * values[-2]


def test_a_factor_or_a_network_without_a_twin_is_refused_by_name():
    for factor in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"factor is {factor}; expected a finite number greater than 0"):
            twin(at(MLP, 1), factor)
    tanh = dataclasses.replace(PLAIN, activation="tanh")
    with pytest.raises(ValueError, match="layer 2 of network 'mlp' is Tanh.*expected ReLU"):
        twin(at(tanh, 1), 2.0)
    assert twin(at(dataclasses.replace(MLP, activation="tanh"), 1), 2.0).x.any()  # batch norm comes before it


# -------------------------------------------------------------------------------------------------------- match_loss


def few(wrong=0):
    """32 random images with the labels that the network of seed 1 gives them; `wrong` of them another."""
    inputs = images(MLP, 32).float()
    labels = logits(at(MLP, 1, 0.3), inputs.double(), "batch").argmax(1)
    labels[:wrong] = (labels[:wrong] + 1) % 10
    return data.Data("few", inputs, labels, inputs, labels, 10, "no checksum")


def scan(minimizer, f, factors):
    """f with the last layer times each factor, the logits taken once: a second way to what `match_loss` solves."""
    out = logits(minimizer, f.inputs.double(), "batch")
    return np.array([nn.functional.cross_entropy(t * out, f.labels).item() for t in factors])


@pytest.mark.parametrize("wrong", [0, 3])
def test_f_is_the_value_and_no_accuracy_changes(wrong):
    x = at(MLP, 1, 0.3)
    f = Objective(x, dataset=few(wrong), dtype=torch.float64)
    factors = np.geomspace(1e-2, 1e2, 4001)
    values = scan(x, f, factors)
    lowest = values.argmin()
    assert (f.accuracy(x.x), lowest == 4000) == ((100.0, True) if not wrong else (100 * 29 / 32, False))
    kept = x.x.clone()
    for value in np.quantile(values[: lowest + 1], [0.1, 0.5, 0.9]):
        matched, t = match_loss(x, value, f)
        assert f.evaluate(matched.x) == (pytest.approx(value, rel=1e-7), f.accuracy(x.x))
        first = np.argmax(values < value)  # on the falling side, the only place where f crosses the value
        assert factors[first - 1] <= t * (1 + 1e-6) and t <= factors[first] * (1 + 1e-6)
        torch.testing.assert_close(matched.x[-1290:], x.x[-1290:] * t, rtol=1e-12, atol=0)
        assert torch.equal(matched.x[:-1290], x.x[:-1290]) and torch.equal(x.x, kept)


class Two:
    """Two classes told apart by the last weight alone."""

    def evaluate(self, x):
        return np.log1p(np.exp(-2 * x[-1].item())), 100.0


def test_the_factor_in_closed_form():
    """f = log(1 + exp(-2 t w)), so t = -log(e^value - 1) / (2 w)."""
    x = at(MLP, 1)
    x.x[-1] = 0.75
    assert match_loss(x, 0.01, Two())[1] == pytest.approx(-np.log(np.expm1(0.01)) / 1.5, rel=1e-8)
    x.x[-1] = 10.0  # f(100 w) is 0 in floating point, and no loss to match
    with pytest.raises(ValueError, match="value is 0;"):
        match_loss(x, 0, Two())


@pytest.mark.parametrize("wrong, values", [(0, [0.0, -1.0, 100.0, float("nan")]), (3, [0.01, 100.0])])
def test_a_value_out_of_reach_is_refused_with_what_can_be_reached(wrong, values):
    x = at(MLP, 1, 0.3)
    f = Objective(x, dataset=few(wrong))
    for value in values:
        with pytest.raises(ValueError, match=rf"value is {value}; expected .* t = 0.01 to .* t = .*right"):
            match_loss(x, value, f)


def test_the_packaged_small_batch_minimiser_has_the_longer_filters():
    """The book says so, beside Table 3."""
    small, large = (training.minimizer(f"F1-{arm}").network() for arm in ("SB", "LB"))
    for a, b in list(zip(small, large))[1:-1:3]:  # the layers before a batch norm
        assert isinstance(a, nn.Linear) and (a.weight.norm(dim=1) > b.weight.norm(dim=1)).all()

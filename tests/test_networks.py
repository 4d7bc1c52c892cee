"""The networks of Table 1 against the paper's shapes, counted by hand, and their starts against Glorot's bounds."""

import math

import pytest
import torch
from torch import nn

from lbgap import networks

PAPER = ("F1", "F2", "C1", "C2", "C3", "C4")
EVERY = (*PAPER, "mlp", "mlp-bn", "wide", "conv")


def count(network):
    return sum(p.numel() for p in network.parameters())


def dropouts(network):
    return [m.p for m in network if isinstance(m, nn.Dropout)]


def test_the_table_has_the_papers_networks_and_the_laboratorys():
    assert set(networks.NETWORKS) == set(EVERY)


@pytest.mark.parametrize(
    "name, expected",
    {
        "F1": 1_462_794,
        "F2": 2_780_085,
        "C1": 1_757_834,
        "C3": 1_775_204,
        "C2": 14_991_946,
        "C4": 15_038_116,
        "mlp": 785 * 128 + 129 * 128 + 129 * 10,
        "mlp-bn": 785 * 128 + 129 * 128 + 129 * 10 + 4 * 128,
        "wide": 785 * 256 + 257 * 256 + 257 * 10 + 4 * 256,
        "conv": (25 + 1) * 16 + 2 * 16 + (9 * 16 + 1) * 32 + 2 * 32 + (7 * 7 * 32 + 1) * 10,
    }.items(),
)
def test_parameter_counts_and_the_shape_of_the_output(name, expected):
    network = networks.build(name)
    assert count(network) == expected
    assert network.training
    classes = {"F2": 1973, "C3": 100, "C4": 100}.get(name, 10)
    assert network(torch.zeros(2, *networks.input_shape(name))).shape == (2, classes)


def test_c1_as_printed_strides_by_two_and_is_smaller():
    code, text = networks.build("C1"), networks.build("C1", "text")
    strides = lambda network: [m.stride for m in network if isinstance(m, nn.Conv2d)]
    assert (strides(code), strides(text)) == ([(1, 1)] * 2, [(2, 2)] * 2)
    convolutions = (75 + 1) * 64 + (1600 + 1) * 64 + 2 * 128
    dense = 385 * 192 + 193 * 10 + 2 * (384 + 192)
    assert count(code) == convolutions + (64 * 8 * 8 + 1) * 384 + dense
    assert count(text) == convolutions + (64 * 2 * 2 + 1) * 384 + dense
    assert dropouts(code) == dropouts(text) == [0.5, 0.5]  # "for the two dense layers"
    assert text(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_c2_as_printed_has_no_dropout_between_convolutions():
    code, text = networks.build("C2"), networks.build("C2", "text")
    assert count(code) == count(text)
    assert dropouts(code) == [0.3, 0.4, *4 * [0.4], *2 * [0.4], 0.5, 0.5]  # 1 a block of two, 2 a block of three
    assert dropouts(text) == [0.5]
    widths = [m.out_channels for m in text if isinstance(m, nn.Conv2d)]
    assert widths == 2 * [64] + 2 * [128] + 3 * [256] + 6 * [512]


@pytest.mark.parametrize("name", ["F1", "mlp", "mlp-bn"])
def test_the_text_changes_nothing_elsewhere(name):
    a, b = networks.build(name), networks.build(name, "text")
    assert str(a) == str(b) and all(map(torch.equal, a.parameters(), b.parameters()))


def fans(weight):
    field = weight[0, 0].numel() if weight.ndim == 4 else 1
    return weight.shape[1] * field, weight.shape[0] * field


@pytest.mark.parametrize("name", ["F1", "C1", "mlp"])
def test_glorot_fills_its_bounds_and_biases_are_zero(name):
    for module in networks.build(name, seed=3):
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            bound = math.sqrt(6 / sum(fans(module.weight)))
            # a uniform draw of so many comes this near to both bounds, and its variance is bound^2 / 3
            assert module.weight.max() <= bound and module.weight.min() >= -bound
            assert module.weight.max() > 0.99 * bound and module.weight.min() < -0.99 * bound
            assert module.weight.var().item() == pytest.approx(bound**2 / 3, rel=0.1)
            assert not module.bias.any()
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert (module.weight == 1).all() and not module.bias.any()


def test_he_and_orthogonal_starts():
    for module in networks.build("mlp", init="he"):
        if isinstance(module, nn.Linear):
            bound = math.sqrt(6 / module.in_features)
            assert 0.98 * bound < module.weight.abs().max() <= bound and not module.bias.any()
    for module in networks.build("mlp", init="orthogonal"):
        if isinstance(module, nn.Linear):
            torch.testing.assert_close(
                module.weight @ module.weight.T, 2 * torch.eye(module.out_features), atol=1e-5, rtol=0
            )


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    a, b, other = (networks.build("mlp-bn", seed=s) for s in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, a.parameters(), b.parameters()))
    assert not torch.equal(next(a.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("F9",), "network 'F9'.*F1"),
        (("F1", "book"), "variant 'book'.*text"),
        (("F1", "code", 0, "zeros"), "init 'zeros'.*glorot"),
        (("F1", "code", -1), "seed is -1; expected a whole number of at least 0"),
        (("F1", "code", "3"), "seed is '3'; expected a whole number"),
    ],
)
def test_an_unknown_name_is_refused_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        networks.build(*arguments)


@pytest.mark.parametrize("name", EVERY)
def test_tanh_no_dropout_and_an_eighth_of_the_width(name):
    plain, tanh = (networks.build(name, shrink=8, activation=a) for a in ("relu", "tanh"))
    kinds = [type(m) for m in tanh]
    assert nn.ReLU not in kinds and kinds == [nn.Tanh if isinstance(m, nn.ReLU) else type(m) for m in plain]
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), tanh.parameters()))  # the same start
    assert not any(dropouts(networks.build(name, shrink=8, dropout=False)))
    hidden = lambda network: [m.weight.shape[0] for m in network if isinstance(m, (nn.Linear, nn.Conv2d))][:-1]
    assert hidden(plain) == [width // 8 for width in hidden(networks.build(name))]
    inputs = torch.zeros(2, *networks.input_shape(name))
    assert plain(inputs).shape == networks.build(name)(inputs).shape

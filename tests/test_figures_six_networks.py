"""The networks as they are drawn and counted, against Appendix B by hand."""

import math

import pytest

from lbgap import networks
from lbgap.figures import six_networks


def outs(network):
    return [layer.out for layer in six_networks.layers(network)]


def test_the_layers_are_those_of_appendix_b():
    assert outs("F1") == [512] * 5 + [10] and outs("F2") == [512] * 7 + [1973]
    assert outs("C1") == outs("C1-text") == [64, 64, 384, 192, 10] and outs("C3") == [64, 64, 384, 192, 100]
    assert outs("C2") == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6 + [512, 10]
    kinds = [layer.kind for layer in six_networks.layers("C2")]
    assert kinds == ["convolution"] * 13 + ["dense"] * 2


@pytest.mark.parametrize("network, side", {"C1": 8, "C1-text": 2, "C2": 1}.items())
def test_the_sides_are_halved_until_the_dense_layers_see_what_is_left(network, side):
    found = six_networks.layers(network)
    assert 32 / 2 ** sum(layer.halved for layer in found) == side
    dense = next(k for k, layer in enumerate(found) if layer.kind == "dense")
    inputs = found[dense - 1].out * side**2
    assert found[dense].parameters == (inputs + 1) * found[dense].out + 2 * found[dense].out  # batch norm's two


def test_dropout_is_marked_where_the_code_has_it():
    assert [layer.dropout for layer in six_networks.layers("C1")] == [False, False, True, True, False]
    assert not any(layer.dropout for layer in six_networks.layers("F1"))


def test_the_columns_stand_in_proportion_to_the_parameters():
    (ax,) = six_networks.drawn(("F1",)).axes
    heights = [bar.get_height() for bar in ax.patches[::2]]
    first, other, last = 785 * 512 + 1024, 513 * 512 + 1024, 5130
    assert heights == pytest.approx([1, *[other / first] * 4, last / first])
    assert ax.get_title("left") == f"F1: {first + 4 * other + last:,} parameters, up to {first:,} in a layer"


def test_every_network_is_counted_and_every_epoch_in_steps():
    counted, steps = str(six_networks.table1()), str(six_networks.batches())
    assert "| F2 | timit | 360 | 721,329 | 310,621 | 1,973 | 2,780,085 |" in counted
    assert "| C4 | cifar100 | 3 × 32 × 32 | 50,000 | 10,000 | 100 | 15,038,116 |" in counted
    for network in networks.FORMS:
        assert network == "F2-timit" or f"| {network} |" in counted
    assert f"| F1 | 256 | 6,000 | 10 % | {math.ceil(60000 / 256)} | 10 |" in steps
    assert "| mlp | 32 | 1,000 | 100 % | 32 | 1 |" in steps


def test_the_prose_on_the_networks_is_true():
    """C1 has six times C1-text's parameters, most of them in one layer; 20 and 280 times as many steps."""
    code, text = (sum(layer.parameters for layer in six_networks.layers(n)) for n in ("C1", "C1-text"))
    assert 5.5 < code / text < 6.5 and six_networks.layers("C1")[2].parameters > 0.85 * code
    assert round(math.ceil(50000 / 256) / 10) == 20 and 275 < math.ceil(721329 / 256) / 10 < 285


def test_examples_are_one_of_each_digit_and_as_many_windows_of_speech():
    figure = six_networks.examples()
    pictures = [ax.images[0].get_array() for ax in figure.axes]
    assert [p.shape for p in pictures] == [(28, 28)] * 10 + [(40, 9)] * 10
    assert pictures[1].sum() < pictures[0].sum()  # a one has less ink than a zero

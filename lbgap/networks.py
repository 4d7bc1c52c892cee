"""The six networks of Table 1 and Appendix B, and small ones for the laboratories."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from . import field_checks, machine

INPUT = {
    "F1": (1, 28, 28),
    "F2": (360,),
    **dict.fromkeys(("mlp", "mlp-bn", "wide", "conv"), (1, 28, 28)),
}  # all others (3, 32, 32)


class Form(NamedTuple):
    """A network under another name: in another variant, on other data, or ended otherwise.

    Args:
        network: of NETWORKS, whose form it is.
        variant: as in `build`.
        beside_paper: whether the paper's numbers of that network stand beside it.
    """

    network: str
    variant: str = "code"
    beside_paper: bool = True


FORMS = {  # the one table of which network is a form of which; `campaign.scales` has their data sets and stopping rules
    "C1-text": Form("C1", "text"),  # as the paper prints it
    "C1-bf16": Form("C1"),  # trained in bfloat16
    "F2-lj": Form("F2"),  # on one human voice
    "F2-timit": Form("F2"),  # on TIMIT itself
    "F1-5k": Form("F1", beside_paper=False),  # on 4,000 images, until f is small
}
INITS = ("glorot", "he", "orthogonal")
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def _dense(sizes: list[int], classes: int, norm: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if norm else []), nn.ReLU()]
    return [*layers, nn.Linear(sizes[-1], classes)]


def _conv(a: int, b: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, kernel, stride, kernel // 2), nn.BatchNorm2d(b)]


def _alexnet(classes: int, variant: str, shrink: int) -> list[nn.Module]:
    # B.3 writes stride 2; the authors' code has stride 1. ReLU after the pool is the same function, and cheaper.
    stride, side = (1, 8) if variant == "code" else (2, 2)
    width, first, second = 64 // shrink, 384 // shrink, 192 // shrink
    layers: list[nn.Module] = []
    for channels in (3, width):
        layers += [*_conv(channels, width, 5, stride), nn.MaxPool2d(3, 2, 1), nn.ReLU()]
    layers.append(nn.Flatten())
    for a, b in ((width * side * side, first), (first, second)):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(0.5)]
    return [*layers, nn.Linear(second, classes)]


def _vgg(classes: int, variant: str, shrink: int) -> list[nn.Module]:
    # The authors' code also has dropout inside the blocks and before the dense layer; B.4 has neither.
    code, channels, dense = variant == "code", 3, 512 // shrink
    layers: list[nn.Module] = []
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        width //= shrink
        for i in range(depth):
            layers += [*_conv(channels, width, 3), nn.ReLU()]
            if code and i < depth - 1:
                layers.append(nn.Dropout(0.3 if channels == 3 else 0.4))
            channels = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), *([nn.Dropout(0.5)] if code else [])]
    layers += [nn.Linear(dense, dense), nn.BatchNorm1d(dense), nn.ReLU(), nn.Dropout(0.5)]
    return [*layers, nn.Linear(dense, classes)]


def _small(first: int, second: int) -> list[nn.Module]:
    # two convolutions on MNIST, which a laptop trains in seconds
    layers = [*_conv(1, first, 5, 2), nn.ReLU(), *_conv(first, second, 3, 2), nn.ReLU()]
    return [*layers, nn.Flatten(), nn.Linear(49 * second, 10)]


NETWORKS = {
    "F1": lambda variant, shrink: _dense([784] + 5 * [512 // shrink], 10),
    "F2": lambda variant, shrink: _dense([360] + 7 * [512 // shrink], 1973),
    "C1": lambda variant, shrink: _alexnet(10, variant, shrink),
    "C2": lambda variant, shrink: _vgg(10, variant, shrink),
    "C3": lambda variant, shrink: _alexnet(100, variant, shrink),
    "C4": lambda variant, shrink: _vgg(100, variant, shrink),
    "mlp": lambda variant, shrink: _dense([784] + 2 * [128 // shrink], 10, norm=False),
    "mlp-bn": lambda variant, shrink: _dense([784] + 2 * [128 // shrink], 10),
    "wide": lambda variant, shrink: _dense([784] + 2 * [256 // shrink], 10),
    "conv": lambda variant, shrink: _small(16 // shrink, 32 // shrink),
}


def form(name: str) -> Form:
    """What a network's name stands for: an entry of FORMS, or the network itself.

    >>> form("C1-text")
    Form(network='C1', variant='text', beside_paper=True)
    >>> form("C1").network
    'C1'
    """
    return FORMS.get(name, Form(name))


def build(
    name: str,
    variant: str = "code",
    seed: int = 0,
    init: str = "glorot",
    activation: str = "relu",
    dropout: bool = True,
    shrink: int = 1,
    classes: int | None = None,
) -> nn.Module:
    """Build a network of Table 1 with seeded weights and zero biases; the global random state is left as it was.

    Args:
        name: F1, F2, C1, C2, C3, C4, or mlp, mlp-bn (784-128-128-10 without and with batch norm), wide (784-256-256-10
            with), or conv (two convolutions with batch norm, on MNIST).
        variant: "code" as in the authors' code, "text" as printed; they differ for C1-C4 only.
        seed: of the weights.
        init: "glorot" (uniform, the authors' code's), "he" (uniform) or "orthogonal".
        activation: "relu" or "tanh", in every hidden layer.
        dropout: False lets every dropout layer pass all.
        shrink: every hidden layer's width is divided by it; 1 is the paper's, 8 makes a tiny copy for tests.
        classes: of the last layer, those of Table 1 by default.

    Returns:
        An nn.Sequential in training mode that maps (B, *input_shape(name)) to logits (B, classes).

    Raises:
        ValueError: for an unknown name, variant, init or activation, a shrink other than 1, 2, 4, 8, and a seed
            that is no whole number of at least 0.

    Source: Table 1, Appendix B.

    >>> sum(p.numel() for p in build("F1").parameters())
    1462794
    """
    for what, value, known in (
        ("network", name, NETWORKS),
        ("variant", variant, ("code", "text")),
        ("init", init, INITS),
        ("activation", activation, ACTIVATIONS),
        ("shrink", shrink, (1, 2, 4, 8)),
    ):
        field_checks.choice(what, value, known)
    with machine.float32(), torch.random.fork_rng(devices=[]):
        # torch.manual_seed would reseed a GPU too
        torch.default_generator.manual_seed(field_checks.count("seed", seed))
        layers = NETWORKS[name](variant, shrink)
        if classes not in (None, layers[-1].out_features):
            layers[-1] = nn.Linear(layers[-1].in_features, classes)
        network = nn.Sequential(*(ACTIVATIONS[activation]() if isinstance(m, nn.ReLU) else m for m in layers))
        for module in network:
            if isinstance(module, nn.Dropout) and not dropout:
                module.p = 0.0
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                initialise(module, init)
    return network


def initialise(module: nn.Module, init: str) -> None:
    """Draw the weight of one layer anew from the global generator, and set its bias to zero.

    Args:
        module: an nn.Linear or nn.Conv2d.
        init: of INITS.
    """
    if init == "glorot":
        nn.init.xavier_uniform_(module.weight)
    elif init == "he":
        nn.init.kaiming_uniform_(module.weight, a=0.0, nonlinearity="relu")
    else:
        nn.init.orthogonal_(module.weight, gain=math.sqrt(2))
    nn.init.zeros_(module.bias)


def input_shape(name: str) -> tuple[int, ...]:
    """The shape of one example: (1, 28, 28), (360,) or (3, 32, 32)."""
    return INPUT.get(name, (3, 32, 32))


@contextlib.contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """A context in which running statistics do not move; in training batch norm normalises by the batch as ever."""
    held = {m: ("track_running_stats", False) for m in batch_norms(network)}
    held |= {m: ("momentum", 0.0) for m in network.modules() if isinstance(m, nn.modules.instancenorm._InstanceNorm)}
    before = {m: getattr(m, name) for m, (name, _) in held.items()}
    for m, (name, value) in held.items():
        setattr(m, name, value)
    try:
        yield
    finally:
        for m, (name, _) in held.items():
            setattr(m, name, before[m])


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """The batch-norm layers of a network, in order."""
    return [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]

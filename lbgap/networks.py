"""The six networks of Table 1 and Appendix B, and two small ones for the one-minute laboratory."""

from __future__ import annotations

import math

import torch
from torch import nn

INPUT = {"F1": (1, 28, 28), "F2": (360,), "mlp": (1, 28, 28), "mlp-bn": (1, 28, 28)}  # all others (3, 32, 32)
INITS = ("glorot", "he", "orthogonal")


def _dense(sizes: list[int], classes: int, norm: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if norm else []), nn.ReLU()]
    return [*layers, nn.Linear(sizes[-1], classes)]


def _conv(a: int, b: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, kernel, stride, kernel // 2), nn.BatchNorm2d(b)]


def _alexnet(classes: int, variant: str) -> list[nn.Module]:
    # B.3 writes stride 2; the authors' code has stride 1. ReLU after the pool is the same function, and cheaper.
    stride, flat = (1, 64 * 8 * 8) if variant == "code" else (2, 64 * 2 * 2)
    layers: list[nn.Module] = []
    for channels in (3, 64):
        layers += [*_conv(channels, 64, 5, stride), nn.MaxPool2d(3, 2, 1), nn.ReLU()]
    layers.append(nn.Flatten())
    for a, b in ((flat, 384), (384, 192)):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(0.5)]
    return [*layers, nn.Linear(192, classes)]


def _vgg(classes: int, variant: str) -> list[nn.Module]:
    # The authors' code also has dropout inside the blocks and before the dense layer; B.4 has neither.
    code, channels = variant == "code", 3
    layers: list[nn.Module] = []
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for i in range(depth):
            layers += [*_conv(channels, width, 3), nn.ReLU()]
            if code and i < depth - 1:
                layers.append(nn.Dropout(0.3 if channels == 3 else 0.4))
            channels = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), *([nn.Dropout(0.5)] if code else [])]
    layers += [nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.5)]
    return [*layers, nn.Linear(512, classes)]


NETWORKS = {
    "F1": lambda variant: _dense([784] + 5 * [512], 10),
    "F2": lambda variant: _dense([360] + 7 * [512], 1973),
    "C1": lambda variant: _alexnet(10, variant),
    "C2": lambda variant: _vgg(10, variant),
    "C3": lambda variant: _alexnet(100, variant),
    "C4": lambda variant: _vgg(100, variant),
    "mlp": lambda variant: _dense([784, 128, 128], 10, norm=False),
    "mlp-bn": lambda variant: _dense([784, 128, 128], 10),
}


def build(name: str, variant: str = "code", seed: int = 0, init: str = "glorot") -> nn.Module:
    """Build a network of Table 1 with seeded weights and zero biases (Appendix B).

    name: F1, F2, C1, C2, C3, C4, or mlp, mlp-bn (784-128-128-10 without and with batch norm).
    variant: "code" as in the authors' code, "text" as printed; they differ for C1-C4 only.
    init: "glorot" (uniform, the default), "he" (uniform) or "orthogonal". The global random state is left as it was.
    Returns an nn.Sequential in training mode that maps (B, *input_shape(name)) to logits (B, classes).
    Raises ValueError for an unknown name, variant or init.
    """
    for what, value, known in (
        ("network", name, NETWORKS), ("variant", variant, ("code", "text")), ("init", init, INITS),
    ):
        if value not in known:
            raise ValueError(f"{what} {value!r} is unknown; expected one of {', '.join(known)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed a GPU too
        network = nn.Sequential(*NETWORKS[name](variant))
        for module in network:
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                initialise(module, init)
    return network


def initialise(module: nn.Module, init: str) -> None:
    """Draw the weight of one layer anew from the global generator, and set its bias to zero."""
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


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """The batch-norm layers of a network, in order."""
    return [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]

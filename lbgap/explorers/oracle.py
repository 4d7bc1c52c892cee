"""The live laboratory in PyTorch: images, start and batches as in `trainer.js`, so that each checks the other.

Both count in float64: in float32 the rounding of some thousand steps sends the two to different minima.
"""

import dataclasses
import functools
import math
import zlib
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lbgap import machine
from lbgap.data import Data
from lbgap.metric import sharpness
from lbgap.objective import Objective, flat

TRAIN, SIDE, LEVELS = 1000, 14, 15
START, LABELS, ORDER = 1, 2, 3  # streams of random numbers
# Chosen on seeds 0 to 9, so that gap and contrast show clearly; proved on STORED.
SETTING = {"small": 8, "large": 1000, "rate": 3e-3, "goal": 3e-3, "epochs": 3000}
SETTING |= {"hidden": 128, "norm": False, "wrong": 0.0}
EPSILONS = (5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3, 4e-3, 5e-3)
STORED = tuple(range(100, 110))


def pack(data: Data) -> bytes:
    """`digits.bin` of a data set of 28 x 28 images: averaged to 14 x 14, 16 levels, two in a byte, compressed.

    Args:
        data: 1,000 images to train, the rest to test; of an even number.

    Returns:
        Deflated bytes, pixel by pixel over all images, the labels last.
    """
    images, labels = (torch.cat([a, b]).numpy() for a, b in ((data.x_train, data.x_test), (data.y_train, data.y_test)))
    small = images.reshape(-1, SIDE, 2, SIDE, 2).mean((2, 4)).reshape(len(labels), -1)
    rows = np.vstack([np.rint(small * LEVELS).astype(np.uint8).T, labels.astype(np.uint8)[None]])
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress((rows[:, 0::2] << 4 | rows[:, 1::2]).tobytes()) + deflate.flush()


@functools.cache
def digits() -> Data:
    """The images of the page: "mnist-1k" at 14 x 14 and 16 levels, (N, 1, 14, 14) in [0, 1], float64."""
    packed = (files(__package__) / "digits.bin").read_bytes()
    both = np.frombuffer(zlib.decompress(packed, -15), np.uint8).reshape(SIDE * SIDE + 1, -1)
    rows = np.stack([both >> 4, both & 15], -1).reshape(len(both), -1)
    x = torch.from_numpy(rows[:-1].T.reshape(-1, 1, SIDE, SIDE).astype(float) / LEVELS)
    y = torch.from_numpy(rows[-1].astype(np.int64))
    return Data("mnist-1k, 14 x 14", x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:], 10, f"crc32 {zlib.crc32(packed):08x}")


def draw(seed: int, stream: int, places: np.ndarray | int) -> np.ndarray:
    """Random 32 bits for each of some places: by counting, so that any of them can be drawn alone.

    Args:
        seed: of a pair.
        stream: what for; START, LABELS, or ORDER and the epoch.
        places: counted from 0, of any shape.

    Source: the mixing function is Chris Wellons's `lowbias32` (2018).
    """

    def mix(x):
        x = (x + np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
        for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
            x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
        return x ^ (x >> np.uint64(15))

    key = mix(np.uint64(stream) + mix(np.uint64(seed)))
    return mix((np.asarray(places, np.uint64) + key) & np.uint64(0xFFFFFFFF))


def build(seed: int, hidden: int = SETTING["hidden"], norm: bool = False) -> nn.Sequential:
    """The network at its start x0: Glorot's uniform weights, zero biases.

    Args:
        seed: of the weights.
        hidden: units in each of its two layers.
        norm: a batch norm before each ReLU.
    """
    layers, count, sizes = [nn.Flatten()], 0, (SIDE * SIDE, hidden, hidden, 10)
    for inputs, outputs in zip(sizes, sizes[1:]):
        limit = math.sqrt(6 / (inputs + outputs))
        uniform = 2 * draw(seed, START, np.arange(count, count + inputs * outputs)).astype(float) / 2**32 - 1
        count += inputs * outputs
        layer = nn.Linear(inputs, outputs, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(limit * uniform.reshape(inputs, outputs).T))
            layer.bias.zero_()
        layers += [layer, *([nn.BatchNorm1d(outputs, dtype=torch.float64)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers[: -2 if norm else -1])


def answers(seed: int, wrong: float = 0.0) -> torch.Tensor:
    """The training labels, some of them replaced by another digit.

    Args:
        seed: of the draw.
        wrong: the share that is replaced.
    """
    y, places = digits().y_train, np.arange(TRAIN)
    other = (y.numpy() + 1 + draw(seed, LABELS, TRAIN + places) % 9) % 10
    return torch.from_numpy(np.where(draw(seed, LABELS, places) < wrong * 2**32, other, y).astype(np.int64))


def train(
    seed: int,
    batch: int,
    *,
    rate: float = SETTING["rate"],
    goal: float = SETTING["goal"],
    epochs: int = SETTING["epochs"],
    hidden: int = SETTING["hidden"],
    norm: bool = False,
    wrong: float = 0.0,
    steps: int | None = None,
) -> tuple[nn.Sequential, list[float]]:
    """Train one arm as the page does: Adam, until f is below the goal after an epoch (three running with batch norm).

    Args:
        seed: of the start and of the order; of the wrong labels too.
        batch: examples a step.
        rate, goal, epochs, hidden, norm, wrong: as in SETTING; epochs is a cap.
        steps: stop after so many steps instead.

    Returns:
        (network, f at the start and after every epoch).
    """
    network, x, y = build(seed, hidden, norm), digits().x_train, answers(seed, wrong)
    f = Objective(network, data=(x, y))
    adam, history, below, taken = torch.optim.Adam(network.parameters(), lr=rate), [], 0, 0
    with machine.sparing(f.n):
        for epoch in range(epochs + 1):
            history.append(f.evaluate(flat(network.parameters()))[0])
            below = below + 1 if history[-1] < goal else 0
            if below == (3 if norm else 1) or epoch == epochs:
                break
            keys = draw(seed, ORDER + epoch, np.arange(TRAIN))
            order = np.arange(TRAIN) if batch >= TRAIN else np.argsort(keys, kind="stable")
            for start in range(0, TRAIN, batch):
                chosen = torch.from_numpy(order[start : start + batch])
                adam.zero_grad()
                F.cross_entropy(network(x[chosen]), y[chosen]).backward()
                adam.step()
                taken += 1
                if taken == steps:
                    return network, history
    return network, history


def measure(
    network: nn.Sequential, epsilons: Sequence[float] = EPSILONS, labels: torch.Tensor | None = None
) -> tuple[float, list[float]]:
    """(test accuracy in percent, Metric 2.1 at each epsilon) of a trained network, by lbgap's own means.

    Args:
        network: as `train` left it.
        epsilons: of the boxes.
        labels: those it was trained on, where they are others.
    """
    data = digits() if labels is None else dataclasses.replace(digits(), y_train=labels)
    f, x = Objective(network, data=data), flat(network.parameters())
    accuracy = Objective(network, "test", "recalibrated", data=data).accuracy(x)
    return accuracy, [sharpness(f, x, epsilon, random_starts=0).value for epsilon in epsilons]

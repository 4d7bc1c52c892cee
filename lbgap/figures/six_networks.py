"""Table 1, Table 5 and Appendices A and B, drawn: what the networks are made of, and what they see."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import nn

from .. import data, networks
from ..campaign import scales
from .panels import COLOR, Picture, canvas
from .words import Text, number, table

FILLED = {"convolution": "#dfe8f4", "dense": "#f7e3da"}


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution or a dense layer, with its batch norm.

    kind: a key of FILLED. out: channels or units. parameters: trainable ones. halved: how many times its sides are
    halved, by a stride or by the pooling after it. dropout: whether one follows.
    """

    kind: str
    out: int
    parameters: int
    halved: int = 0
    dropout: bool = False


def _built(network: str, classes: int | None = None) -> nn.Sequential:
    of = networks.form(network)
    with torch.device("meta"):  # shapes alone, no weights
        return networks.build(of.network, of.variant, classes=classes)


def layers(network: str) -> list[Layer]:
    """The layers of a network, or of a form of one, that have weights, in order: read off the network itself."""
    found = []
    for module in _built(network):
        count = sum(p.numel() for p in module.parameters())
        if isinstance(module, nn.Conv2d):
            found.append(Layer("convolution", module.out_channels, count, int(module.stride[0] > 1)))
        elif isinstance(module, nn.Linear):
            found.append(Layer("dense", module.out_features, count))
        elif count:  # batch norm's scale and shift
            found[-1] = dataclasses.replace(found[-1], parameters=found[-1].parameters + count)
        elif isinstance(module, nn.MaxPool2d):
            found[-1] = dataclasses.replace(found[-1], halved=found[-1].halved + 1)
        elif isinstance(module, nn.Dropout):
            found[-1] = dataclasses.replace(found[-1], dropout=True)
    return found


def drawn(shown: Iterable[str] = ("F1", "F2", "C1", "C1-text", "C2")) -> Picture:
    """Each network as a row of boxes, a layer each, with its channels or units; above it a column as high as it has
    parameters."""
    figure, axes = canvas(len(shown), columns=1, height=1.15)
    for ax, network in zip(axes, shown):
        found = layers(network)
        highest = max(layer.parameters for layer in found)
        for k, layer in enumerate(found):
            color = COLOR["SB" if layer.kind == "convolution" else "LB"]
            ax.bar(k, layer.parameters / highest, 0.5, 1.0, color=color)
            ax.bar(k, 0.9, 0.94, 0, color=FILLED[layer.kind], edgecolor=color)
            ax.text(k, 0.45, f"{layer.out:,}", ha="center", va="center", fontsize=8)
            ax.text(k + 0.5, -0.1, layer.halved * "½", ha="center", va="top", fontsize=9)
            if layer.dropout:
                ax.plot(k, -0.25, "x", color="k", ms=4, clip_on=False)
        total = sum(layer.parameters for layer in found)
        ax.set(xlim=(-0.6, 14.6), ylim=(-0.5, 2.1))
        ax.set_title(f"{network}: {total:,} parameters, up to {highest:,} in a layer", fontsize=10, loc="left")
        ax.set_axis_off()
    return figure


def examples(classes: int = 10) -> Picture:
    """One digit of each class of MNIST, as F1 sees them, and as many windows of speech, as F2 does."""
    figure, axes = canvas(2 * classes, columns=classes, height=0.9)
    digits, frames = data.load("mnist-1k"), data.load("speech-lj")
    for k in range(classes):
        first = int((digits.y_train == k).nonzero()[0])
        window = frames.x_train[len(frames.x_train) * (2 * k + 1) // (2 * classes)].view(9, -1).T
        for ax, picture, origin in ((axes[k], digits.x_train[first, 0], "upper"), (axes[classes + k], window, "lower")):
            aspect = "equal" if origin == "upper" else "auto"
            ax.imshow(picture.numpy(), cmap="Greys", interpolation="none", origin=origin, aspect=aspect)
            ax.grid(False)
            ax.set(xticks=[], yticks=[])
    axes[0].set_ylabel("MNIST")
    axes[classes].set_ylabel("speech")
    return figure


FULL = scales.SCALES["full"]
ALL = (*scales.PAPER, "C1-bf16", "C1-text", "F2-lj", "F1-5k", *scales.LABS)


def table1(shown: Iterable[str] = ALL) -> Text:
    """Tables 1 and 5: what each network sees, how many examples and classes there are, and its parameters, counted."""
    rows = []
    for name in shown:
        dataset = "timit" if name == "F2" else FULL.datasets[name]
        seen = " × ".join(map(str, data.shape(dataset)))
        counts = *data.examples(dataset), data.CLASSES[dataset]
        weights = sum(p.numel() for p in _built(name, data.CLASSES[dataset]).parameters())
        rows.append([name, dataset, seen, *(f"{n:,}" for n in (*counts, weights))])
    return table("network | data set | an example | to train | to test | classes | parameters", rows)


def batches(shown: Iterable[str] = ALL) -> Text:
    """What small and large batch mean for each network, and how many steps an epoch takes with either."""
    rows = []
    for name in shown:
        train = data.examples(FULL.datasets[name])[0]
        small, large = FULL.smaller.get(name, FULL.small), FULL.large[name]
        steps = [f"{-(-train // batch):,}" for batch in (small, large)]
        rows.append([name, f"{small:,}", f"{large:,}", f"{number(100 * large / train, 0)} %", *steps])
    return table("network | SB | LB | of the training set | steps an epoch, SB | LB", rows)

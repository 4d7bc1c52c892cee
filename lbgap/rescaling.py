"""The same function at other weights: a filter before a batch norm has no scale, and the last layer has a temperature."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math

import scipy.optimize
import torch
from torch import nn

from . import networks
from .objective import unflat
from .training import Minimizer

FACTORS = (1e-2, 1e2)  # between which `match_loss` looks


def match_norms(minimizer: Minimizer, reference: Minimizer) -> Minimizer:
    """The minimiser with each filter before a batch norm at the norm that the reference's same filter has.

    A filter is one row of a Linear's weight, or one output channel of a Conv2d's, followed at once by a batch norm. It
    and its bias are multiplied by one c > 0, and the layer's running mean and variance there by c and c^2; every other
    entry stays, bit for bit. The minimiser passed in is left as it was; run and history stay those of the training.

    In each `batch_norm` mode f is the same but for batch norm's epsilon, 1e-5, which now weighs as 1e-5 / c^2 does
    beside a channel's variance: 7e-5 of f at the packaged F1-LB with F1-SB's norms (c about 3), and some percent where
    c is 0.1 and less. So measure f at both before a comparison.
    Raises ValueError if the two are not of one network, if it has no batch norm, and for a filter whose norm is 0,
    infinite or NaN; the message names the layer, by its place in the network.
    Not in the paper; Li et al., *Visualizing the Loss Landscape of Neural Nets*, 2018, section 3, on why it is needed.
    """
    network = minimizer.network()
    shapes, others = ({k: tuple(p.shape) for k, p in m.network().named_parameters()} for m in (minimizer, reference))
    for name in shapes | others:
        if shapes.get(name) != others.get(name):
            raise ValueError(f"layer {name} has shape {shapes.get(name)}, and the reference's {others.get(name)}; "
                             "expected two minimisers of one network")
    norms = networks.batch_norms(network)
    if not norms:
        raise ValueError(f"network {minimizer.run.network!r} has no batch norm, so a filter's norm matters; "
                         "expected a network that has, such as F1 or C1")
    x, buffers = minimizer.x.clone(), {name: b.clone() for name, b in minimizer.buffers.items()}
    parameters = list(network.parameters())
    ours, theirs = (dict(zip(shapes, unflat(flat, parameters))) for flat in (x, reference.x.to(x.device)))
    for (name, layer), (following, norm) in itertools.pairwise(network.named_children()):
        if norm in norms and isinstance(layer, (nn.Linear, nn.Conv2d)):
            weight = ours[f"{name}.weight"]
            old, new = _lengths(weight, name), _lengths(theirs[f"{name}.weight"], name, "the reference's ")
            c = new / old  # (filters,) float64
            weight *= c.view(-1, *[1] * (weight.ndim - 1))
            ours[f"{name}.bias"] *= c
            buffers[f"{following}.running_mean"] *= c
            buffers[f"{following}.running_var"] *= c**2
    return dataclasses.replace(minimizer, x=x, buffers=buffers)


def match_loss(minimizer: Minimizer, value: float, f) -> tuple[Minimizer, float]:
    """The minimiser with its last layer's weight and bias times one t > 0, so that f there is `value`; and t.

    f: f.evaluate(x) -> (value, accuracy), x flat (n,), such as an `Objective` of this minimiser. t multiplies the
    logits: it is the inverse of a softmax's temperature. No prediction changes, so accuracies stay, but for ties.
    f is convex in t: it falls without end where every example is classified right, and otherwise to a minimum and then
    rises; t is sought on the falling side, from 0.01 to 100. The minimiser passed in is left as it was.

    Raises ValueError if f does not reach `value` there; it names the values that f does reach.
    Not in the paper.
    """
    tail = sum(p.numel() for p in minimizer.network()[-1].parameters())

    def times(t):
        x = minimizer.x.clone()
        x[-tail:] *= t
        return x

    @functools.cache
    def loss(s):  # f at t = e^s
        return f.evaluate(times(math.exp(s)))[0]

    low, high = map(math.log, FACTORS)
    if loss(high) > value:
        high = scipy.optimize.minimize_scalar(loss, bounds=(low, high), method="bounded").x
    if not (value > 0 and loss(low) >= value >= loss(high)):
        raise ValueError(f"value is {value}; expected one that f takes as it falls, from {loss(low):.6g} at "
                         f"t = {math.exp(low):.6g} to {loss(high):.6g} at t = {math.exp(high):.6g}; "
                         "it falls to 0 only where every example is classified right")
    t = math.exp(scipy.optimize.brentq(lambda s: loss(s) - value, low, high, xtol=1e-9))
    return dataclasses.replace(minimizer, x=times(t)), t


def _lengths(weight: torch.Tensor, layer: str, whose: str = "") -> torch.Tensor:
    """The norm of each filter of a weight, (filters,) in float64."""
    lengths = weight.double().flatten(1).norm(dim=1)
    for k, length in enumerate(lengths.tolist()):
        if not (length > 0 and math.isfinite(length)):
            raise ValueError(f"{whose}filter {k} of layer {layer} has norm {length}; expected a finite one greater than 0")
    return lengths

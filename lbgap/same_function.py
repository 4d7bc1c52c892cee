"""The same function at other weights: filters before a batch norm have no scale, ReLU passes a factor on; and the
temperature."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable

import scipy.optimize
import torch
from torch import nn

from . import networks
from .objective import Objective, typed, unflat
from .own_network import FEW
from .training import Minimizer

FACTORS = (1e-2, 1e2)  # between which `match_loss` looks
# these pass a factor on, beside their biases
HOMOGENEOUS = (nn.Flatten, nn.Linear, nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.Dropout)


def match_norms(minimizer: Minimizer, reference: Minimizer) -> Minimizer:
    """The minimiser with each filter before a batch norm at the norm that the reference's same filter has.

    A filter is one row of a Linear's weight, or one output channel of a Conv2d's, followed at once by a batch norm. It
    and its bias are multiplied by one c > 0, and the layer's running mean and variance there by c and c^2; every other
    entry stays, bit for bit. The minimiser passed in is left as it was; run and history stay those of the training.

    In each `batch_norm` mode f is the same but for batch norm's epsilon, 1e-5, which now weighs as 1e-5 / c^2 does
    beside a channel's variance: 7e-5 of f at the packaged F1-LB with F1-SB's norms (c about 3), and some percent where
    c is 0.1 and less. So measure f at both before a comparison.

    Args:
        minimizer: whose filters are scaled.
        reference: another one of the same network.

    Raises:
        ValueError: if the two are not of one network, if it has no batch norm, and for a filter whose norm is 0,
            infinite or NaN; the message names the layer, by its place in the network.

    Source: not in the paper; Li et al., *Visualizing the Loss Landscape of Neural Nets*, 2018, section 3, on why it is
    needed.
    """
    network = _network(minimizer)
    shapes, others = ({k: tuple(p.shape) for k, p in _network(m).named_parameters()} for m in (minimizer, reference))
    for name in shapes | others:
        if shapes.get(name) != others.get(name):
            told = f"layer {name} has shape {shapes.get(name)}, and the reference's {others.get(name)}"
            raise ValueError(f"{told}; expected two minimisers of one network")
    layers = _normalised(network)
    if not layers:
        told = f"network {minimizer.run.network!r} has no batch norm, so a filter's norm matters"
        raise ValueError(f"{told}; expected a network that has, such as F1 or C1")
    ours, theirs = (_parts(network, m.x.to(minimizer.x.device)) for m in (minimizer, reference))
    factors = {}
    for name in layers:
        old, new = _lengths(ours[f"{name}.weight"], name), _lengths(theirs[f"{name}.weight"], name, "the reference's ")
        factors[name] = new / old
    return _scaled(minimizer, network, factors)


def match_filters(f: Objective, reference: Objective) -> torch.Tensor:
    """`match_norms` for networks of the reader's own: f.x with each filter before a batch norm at the reference's norm.

    `lbgap.sharpness(f, match_filters(f, reference), epsilon)` is then to be held against `lbgap.sharpness(reference,
    ...)`.

    Args:
        f: of a network; which layers feed a batch norm is seen in one forward pass.
        reference: of a network of the same layers, such as the small batch's.

    Returns:
        x (n,), at which f is the same but for batch norm's epsilon.

    Raises:
        ValueError: for two networks of other layers; no layer with a batch norm at once after it; batch_norm="frozen",
            whose statistics belong to the old filters; and where outputs change by more than 5 %, as when a layer's
            output goes past its batch norm too.
    """
    for given in (f, reference):
        if not isinstance(given, Objective):
            raise ValueError(f"a {type(given).__name__} is given; expected two of Objective(network, data=...)")
    if f.batch_norm == "frozen":
        raise ValueError("batch_norm is 'frozen', and the running statistics belong to f.x; expected 'batch'")
    layers, others = _before_norms(f), _before_norms(reference)
    if not layers or {k: w.shape for k, w in layers.items()} != {k: w.shape for k, w in others.items()}:
        raise ValueError(
            f"layers with a batch norm at once after them are {list(layers)}, and the reference's {list(others)};"
            " expected the same ones in both, of the same shapes, and at least one"
        )
    places = dict(zip(map(id, f.parameters), unflat(x := f.x.clone(), f.parameters)))
    ours, theirs = (dict(zip(map(id, g.parameters), unflat(g.x, g.parameters))) for g in (f, reference))
    for name, weight in layers.items():
        old, new = _lengths(ours[id(weight)], name), _lengths(theirs[id(others[name])], name, "the reference's ")
        places[id(weight)].mul_((new / old).to(x).view(-1, *[1] * (weight.ndim - 1)))
        bias = f.network.get_submodule(name).bias
        if bias is not None and id(bias) in places:
            places[id(bias)].mul_((new / old).to(x))
    before, after = f.outputs(f.x, FEW), f.outputs(x, FEW)
    if not (after - before).norm() <= 0.05 * before.norm():
        raise ValueError(
            "with the reference's norms the network's outputs change by more than 5 %; expected the same ones, as where"
            " each layer's output goes into its batch norm and nowhere else, and no norm is too small for batch norm's"
            " epsilon"
        )
    return x


@torch.no_grad()
def _before_norms(f: Objective) -> dict[str, torch.Tensor]:
    """{name: weight} of the layers that train and whose output goes into a batch norm, seen in a forward pass."""
    outputs, found, hooks = [], {}, []

    def meets(module, inputs):
        for name, layer, output in outputs:
            if output is inputs[0] and any(layer.weight is p for p in f.parameters):
                if not any(layer.weight is seen for seen in found.values()):  # one weight in two layers is scaled once
                    found[name] = layer.weight

    for name, m in f.network.named_modules():
        if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            hooks.append(m.register_forward_hook(lambda m, _, out, name=name: outputs.append((name, m, out))))
        elif isinstance(m, nn.modules.batchnorm._BatchNorm):
            hooks.append(m.register_forward_pre_hook(meets))
    try:
        f.network(typed(f.inputs[:FEW], f.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def twin(minimizer: Minimizer, factor: float) -> Minimizer:
    """The minimiser's twin: the same function at other weights, one for every factor > 0.

    With batch norm: every filter before one and its bias times `factor`, the running mean and variance there times it
    and its square. Without: the first layer's weight and bias and every later bias but the last times `factor`, the
    last weight divided by it, since ReLU(c z) = c ReLU(z). The minimiser passed in is left as it was.

    Without batch norm f is the same to rounding, and for a power of two bit for bit, unless an entry leaves float32's
    range. With it, batch norm's epsilon weighs as 1e-5 / factor^2 does beside a channel's variance, as in
    `match_norms`; in a network whose every m.eps is multiplied by factor^2, it too is the same to rounding. So measure
    f at both before a comparison.

    Args:
        minimizer: whose twin.
        factor: above 0.

    Raises:
        ValueError: for a factor that is not finite and greater than 0, and for a network without batch norm that has
            another activation than ReLU; the message names it.

    Source: not in the paper; Dinh et al., *Sharp Minima Can Generalize For Deep Nets*, 2017, whose alpha-scale
    transformation it is.
    """
    if not (factor > 0 and math.isfinite(factor)):
        raise ValueError(f"factor is {factor}; expected a finite number greater than 0, such as 0.25 or 4")
    network = _network(minimizer)
    if layers := _normalised(network):
        c = torch.tensor(factor, dtype=torch.float64).to(minimizer.x.device)
        return _scaled(minimizer, network, dict.fromkeys(layers, c))
    for name, layer in network.named_children():
        if not isinstance(layer, HOMOGENEOUS):
            raise ValueError(
                f"layer {name} of network {minimizer.run.network!r} is {type(layer).__name__}, which passes no factor "
                "on, and there is no batch norm; expected ReLU as activation, or batch norm as in F1"
            )
    x = minimizer.x.clone()
    first, *between, last, _ = _parts(network, x).values()  # every layer has a weight and then a bias
    for part in (first, *between[::2]):
        part *= factor
    last /= factor
    return dataclasses.replace(minimizer, x=x)


def match_loss(minimizer: Minimizer, value: float, f: Callable) -> tuple[Minimizer, float]:
    """The minimiser with its last layer's weight and bias times one t > 0, so that f there is a given value.

    t multiplies the logits: it is the inverse of a softmax's temperature. No prediction changes, so accuracies stay,
    but for ties. f is convex in t: it falls without end where every example is classified right, and otherwise to a
    minimum and then rises; t is sought on the falling side, from 0.01 to 100. The minimiser passed in is left as it
    was.

    Args:
        minimizer: whose loss is changed.
        value: what f is to be.
        f: f.evaluate(x) -> (value, accuracy), x flat (n,), such as an `Objective` of this minimiser.

    Returns:
        The minimiser there, and t.

    Raises:
        ValueError: if f does not reach the value; it names those that f does reach.

    Source: not in the paper.
    """
    tail = sum(p.numel() for p in _network(minimizer)[-1].parameters())

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
        raise ValueError(
            f"value is {value}; expected one that f takes as it falls, from {loss(low):.6g} at "
            f"t = {math.exp(low):.6g} to {loss(high):.6g} at t = {math.exp(high):.6g}; "
            "it falls to 0 only where every example is classified right"
        )
    t = math.exp(scipy.optimize.brentq(lambda s: loss(s) - value, low, high, xtol=1e-9))
    return dataclasses.replace(minimizer, x=times(t)), t


def _network(minimizer: Minimizer) -> nn.Module:
    """The minimiser's network; ValueError for what is none."""
    if not isinstance(minimizer, Minimizer):
        raise ValueError(
            f"a {type(minimizer).__name__} is given; expected a Minimizer, as lbgap.train gives it; for a network of"
            " your own there is match_filters(f, reference)"
        )
    return minimizer.network()


def _normalised(network: nn.Module) -> dict[str, str]:
    """{layer: the batch norm that follows at once}, of the layers with filters that have one."""
    norms = networks.batch_norms(network)
    return {
        name: following
        for (name, layer), (following, norm) in itertools.pairwise(network.named_children())
        if norm in norms and isinstance(layer, (nn.Linear, nn.Conv2d))
    }


def _parts(network: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Each parameter by name, as a view into x (n,)."""
    named = dict(network.named_parameters())
    return dict(zip(named, unflat(x, list(named.values()))))


def _scaled(minimizer: Minimizer, network: nn.Module, factors: dict[str, torch.Tensor]) -> Minimizer:
    """The minimiser with the filters of each layer before a batch norm times c (filters,) or () in float64, by the
    layer's name."""
    x, buffers = minimizer.x.clone(), {name: b.clone() for name, b in minimizer.buffers.items()}
    parts, following = _parts(network, x), _normalised(network)
    for name, c in factors.items():
        weight = parts[f"{name}.weight"]
        weight *= c.view(-1, *[1] * (weight.ndim - 1))
        parts[f"{name}.bias"] *= c
        buffers[f"{following[name]}.running_mean"] *= c
        buffers[f"{following[name]}.running_var"] *= c**2
    return dataclasses.replace(minimizer, x=x, buffers=buffers)


def _lengths(weight: torch.Tensor, layer: str, whose: str = "") -> torch.Tensor:
    """The norm of each filter of a weight, (filters,) in float64."""
    lengths = weight.double().flatten(1).norm(dim=1)
    for k, length in enumerate(lengths.tolist()):
        if not (length > 0 and math.isfinite(length)):
            raise ValueError(f"{whose}filter {k} of layer {layer} has norm {length}; expected a finite one above 0")
    return lengths

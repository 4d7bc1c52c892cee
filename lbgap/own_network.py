"""A reader's own network: copied as it is, tried on a few examples, and refused where f would be no function of x."""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from . import machine
from .data import FEW


def copied(network: nn.Module) -> nn.Module:
    """A copy of a reader's network as it is, weight_norm's and spectral_norm's layers included.

    Raises:
        ValueError: for a network that cannot be copied, that PyTorch cannot look into, or that has no shapes yet.
    """
    if any(isinstance(m, torch.jit.ScriptModule) for m in network.modules()):
        raise ValueError("network has a TorchScript module, whose batch norm is unseen; expected the nn.Module itself")
    if any(isinstance(t, nn.parameter.UninitializedTensorMixin) for t in [*network.parameters(), *network.buffers()]):
        raise ValueError("network has lazy layers without a shape yet; expected one that has seen a batch")
    try:
        with _Detached():
            network = copy.deepcopy(getattr(network, "_orig_mod", network))
    except Exception as error:
        raise ValueError(
            f"network cannot be copied ({type(error).__name__}: {error}); expected one that copy.deepcopy takes; of a "
            "DistributedDataParallel pass network.module"
        ) from error
    for m in network.modules():  # parts of torch.compile too, whose graphs are differentiated but once
        m._modules.update({k: c._orig_mod for k, c in m._modules.items() if hasattr(c, "_orig_mod")})
    return network


class _Detached(TorchFunctionMode):
    """While it is on, a deep copy of a tensor that was computed is that tensor off its graph, in place of an error."""

    def __torch_function__(self, function, types, arguments=(), settings=None):
        if function is torch.Tensor.__deepcopy__ and not arguments[0].is_leaf:
            tensor, memo = arguments
            return memo.setdefault(id(tensor), tensor.detach().clone())
        return function(*arguments, **(settings or {}))


def few(labels: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """FEW of the examples, on which a network is tried: of whole-number labels as many different ones as there are.

    A loss with class weights, or with labels that it ignores (-100, the lowest), is no mean only where labels differ.

    Args:
        labels: (N, ...).
        order: (N,) the examples' numbers, shuffled.

    >>> few(torch.tensor([1, 1, 1, 0, 1, 1, 1, 1, 1, 1]), torch.arange(10))
    tensor([3, 0, 1, 2, 4, 5, 6, 7])
    """
    first = [0]
    if not (labels.is_floating_point() or labels.is_complex()):
        lowest = labels[order].flatten(1).amin(1) if labels.ndim > 1 else labels[order]
        first = np.unique(lowest.numpy(force=True), return_index=True)[1].tolist()
    places = dict.fromkeys([first[0], *sorted(first[1:]), *range(min(FEW, len(order)))])
    return order[[*places][:FEW]]


@contextlib.contextmanager
def still(modules: list[nn.Module]) -> Iterator[None]:
    """A context in which modules compute as in eval mode; `eval` itself might do more in a reader's own.

    Args:
        modules: their modes are put back.
    """
    modes = [m.training for m in modules]
    try:
        for m in modules:
            m.training = False
        yield
    finally:
        for m, training in zip(modules, modes):
            m.training = training


def tried(network: nn.Module, inputs: torch.Tensor, joins: bool) -> object:
    """What a network returns for a few examples, tried twice; the caller's random state stays as it is.

    Args:
        network: in eval mode.
        inputs: the examples (B, ...).
        joins: its batch norm may join the examples of a batch; otherwise the last, which a recurrent network may have
            taken for the end of a sequence, is also tried alone.

    Raises:
        ValueError: for a network that does not take them, answers otherwise the second time, draws random numbers,
            computes in 16 bits, or whose answer to an example depends on the others.
    """
    with machine.chance_kept():
        before = machine.chance()
        try:
            output, again = (network(inputs) for _ in range(2))
            tensor = isinstance(output, torch.Tensor)
            apart = tensor and output.ndim and len(output) == len(inputs) > 1 and not joins
            if apart:
                among, alone = output[-1].reshape(-1), network(inputs[-1:]).reshape(-1)
        except Exception as error:
            told = f"inputs of shape {tuple(inputs.shape)} and {inputs.dtype}"
            raise ValueError(f"the network does not take {told}: {type(error).__name__}: {error}") from error
        fault = "draws random numbers" if machine.chance() != before else ""
    if tensor and output.dtype in (torch.bfloat16, torch.float16):
        told = f"the network computes in {output.dtype}, too coarse for a small box"
        raise ValueError(f"{told}; expected no autocast in its forward")
    if tensor and not torch.allclose(output, again, rtol=1e-3, equal_nan=True):
        fault = "gives another answer the second time"
    if fault:
        raise ValueError(
            f"the network {fault}, so f is not a function of x: does it draw random numbers in eval mode (F.dropout"
            " without training=self.training)? Expected one that does not"
        )
    if apart and (among.shape != alone.shape or (among - alone).abs().max() > 1e-3 * output.abs().max()):
        raise ValueError(
            "the network's answer to an example depends on the others of its batch, so f depends on batch_size;"
            " expected one that takes each example by itself, inputs (B, ...): is it an LSTM without batch_first=True?"
            " A graph goes in whole, as one example"
        )
    return output


def check_logits(output: torch.Tensor, count: int) -> None:
    """Raise ValueError unless a network's output is logits (count, classes).

    Args:
        output: what it returned.
        count: the examples it was given.
    """
    expected = (
        f"expected logits ({count}, classes), one row an example: wrap the network so that it returns them, or pass "
        "loss=, a function of its output and the labels"
    )
    if not isinstance(output, torch.Tensor):
        raise ValueError(f"the network returned a {type(output).__name__}; {expected}")
    if output.ndim != 2 or len(output) != count or output.shape[1] < 2 or not output.is_floating_point():
        told = f"{output.dtype} of shape {tuple(output.shape)} for {count} examples and their labels"
        raise ValueError(f"the network returned {told}; {expected}")
    if (output >= 0).all() and (output.sum(1) - 1).abs().max() < 1e-4:
        raise ValueError(
            "the network returned probabilities (each row sums to 1), of which a cross-entropy is another number;"
            " expected logits: leave the softmax out, or pass loss=lambda p, labels: F.nll_loss(p.log(), labels)"
        )


def class_labels(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Labels as `F.cross_entropy` takes them: (N,) int64 in [0, classes), or (N, classes) shares that sum to 1.

    Args:
        labels: these, or a column or one-hot rows of them.
        classes: the network's outputs.

    Raises:
        ValueError: for other labels.

    >>> class_labels(torch.tensor([[0, 1, 0], [1, 0, 0]]), 3)
    tensor([1, 0])
    """
    told = f"labels are {labels.dtype} of shape {tuple(labels.shape)}"
    labels = labels.int() if labels.dtype == torch.bool else labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] == classes:
        if not ((labels >= 0).all() and (labels.double().sum(1) - 1).abs().max() < 1e-3):
            raise ValueError(f"{told}, and not every row sums to 1; for several labels an example pass loss=")
        return labels.argmax(1) if (labels.max(1).values == 1).all() else labels
    if labels.ndim != 1:
        expected = f"(N,), one class an example, or (N, {classes})"
        raise ValueError(f"{told}; expected {expected}; for one label a pixel or token pass loss=")
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"{told}; expected whole numbers, the classes; to fit other numbers pass loss=")
    low, high = labels.min().item(), labels.max().item()
    if not 0 <= low <= high < classes:
        hint = ": leave out the ignored examples" if low < 0 else ": subtract 1" if high == classes else ""
        told = f"labels go from {low} to {high}; expected 0 to {classes - 1}"
        raise ValueError(f"{told}, as the network has {classes} outputs{hint}")
    return labels.long()


@torch.no_grad()
def check_mean(loss: Callable, whole: tuple, parts: Iterable[tuple]) -> None:
    """Raise ValueError unless a loss of a few examples is the mean of its values on parts of one size.

    Args:
        loss: loss(output, labels) -> a tensor without dimensions.
        whole: (output, labels) of the network, and of the data, for the same few examples.
        parts: the same for each example alone, or another division in which each comes as often.
    """
    shapes = [f"{getattr(t, 'dtype', type(t).__name__)} of shape {tuple(getattr(t, 'shape', ()))}" for t in whole]
    told = f"the network's output ({shapes[0]}) and labels ({shapes[1]})"
    try:
        value, values = loss(*whole), [loss(*part) for part in parts]
    except Exception as error:
        raise ValueError(f"loss does not take {told}: {type(error).__name__}: {error}") from error
    if not (isinstance(value, torch.Tensor) and value.ndim == 0):
        raise ValueError(f"loss returned {value!r:.60}; expected one number, a tensor without dimensions, the mean")
    if not math.isfinite(value.item()):
        raise ValueError(f"loss of {told} is {value.item()}; expected a finite number: did the training diverge?")
    mean = torch.stack(values).double().mean().item()
    if not abs(value.item() - mean) <= 1e-3 * abs(mean) + 1e-6:
        raise ValueError(
            f"loss of {told} is {value.item():.6g}, but the mean over parts of the same examples {mean:.6g}; expected a"
            " mean over examples: no sum, no class weights, no ignored labels, and no shape that is spread to another's"
        )


def cuts(loss: torch.Tensor) -> list[str]:
    """The names of the autograd Functions of a reader's own in a loss's graph: only they know their second derivative.

    Args:
        loss: with its graph.

    >>> cuts(torch.ones(2, requires_grad=True).exp().sum())
    []
    """
    seen, found, ahead = set(), [], [loss.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead += [following for following, _ in node.next_functions]
            if isinstance(node, torch.autograd.function.BackwardCFunction) or "CppFunction" in node.name():
                found.append(node.name().removesuffix("Backward"))
    return sorted(set(found))


def check_uses(loss: torch.Tensor, network: nn.Module, originals: list[nn.Module]) -> None:
    """Raise ValueError unless a loss depends on a network's parameters and on no original's; warn if not on all.

    Args:
        loss: computed from the network's output.
        network: its parameters are those that train, at least one.
        originals: the modules of which its own are copies, and which it may still hold on to.
    """
    names, parameters = zip(*((name, p) for name, p in network.named_parameters() if p.requires_grad))
    held = [p for m in originals for p in m.parameters(recurse=False) if p.requires_grad and not p.is_inference()]
    found = [None]
    if loss.requires_grad:
        try:
            found = torch.autograd.grad(loss, [*parameters, *held], allow_unused=True)
        except RuntimeError as error:
            raise ValueError(f"the network has no gradient for torch.autograd.grad: {error}") from error
    if any(g is not None for g in found[len(parameters) :]):
        raise ValueError(
            "the network's copy computes with parameters of the network itself, so f is not a function of x;"
            " expected no function, hook or bound method that holds on to it, but a method of its class, and no loss"
            " that does: a penalty on its weights goes beside f, as c |x|^2 does in"
            " lambda x: (f(x)[0] + c * (x @ x).item(), f(x)[1] + 2 * c * x)"
        )
    used = [g is not None for g in found[: len(parameters)]]
    if not any(used):
        raise ValueError(
            "the network's output does not depend on any parameter that trains; expected no torch.no_grad() and"
            " no .detach() in its forward"
        )
    if not all(used):
        warnings.warn(
            f"f does not change with {names[used.index(False)]} ({used.count(False)} of {len(used)} such tensors in"
            " x): the network does not use it here, or its eval() has merged it into another",
            stacklevel=6,
        )

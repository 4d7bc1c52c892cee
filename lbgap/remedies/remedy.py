"""One step of training on a mini-batch, in layers; a remedy stands in for one or more of them."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .. import field_checks
from ..objective import spans


class Batch(NamedTuple):
    """Examples of one step.

    Args:
        inputs: (B, ...).
        labels: (B,).
        weights: (B,) of their losses, or None where all weigh 1.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor | None = None

    def split(self, size: int | None) -> list[Batch]:
        """In pieces of `size` examples, as `objective.spans` says; None is one piece."""
        parts = spans(len(self.labels), size or len(self.labels))
        return [Batch(*(None if t is None else t[part] for t in self)) for part in parts]


class Step:
    """What training does with a mini-batch, in layers: the outer method calls the inner one, so a remedy may replace
    any.

    `step(inputs, labels)` prepares a batch (`inputs`, `weights`) and calls `update`, that calls `gradient`, that calls
    `loss`, that calls `forward`. `size` and `rate` are asked once an epoch and once a step. `updates` counts the steps
    that the optimiser has taken, `parameters` are those it moves.

    Args:
        run: the `Run`, whose remedies it takes.
        network: in training mode.
        optimizer: of its parameters.
        dataset: its `Data`, or None in a loop of the reader's own.
        autocast: () -> the context of a forward pass.
        graph: a faster forward pass for batches of exactly `graph_size`, or None.
        graph_size: examples.
        loss: `F.cross_entropy`, or another mean loss with its `reduction`.
    """

    def __init__(
        self,
        run: Any,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        dataset: Any,
        autocast: Callable = contextlib.nullcontext,
        graph: Callable | None = None,
        graph_size: int | None = None,
        loss: Callable = F.cross_entropy,
    ):
        self.run, self.network, self.optimizer, self.dataset, self.autocast = run, network, optimizer, dataset, autocast
        self.graph, self.graph_size, self.criterion = graph, graph_size, loss
        self.updates = 0
        for remedy in run.remedies:
            for layer in layers(remedy):
                setattr(self, layer, functools.partial(getattr(remedy, layer), self))

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        for name, given in (("inputs", inputs), ("labels", labels)):
            if not isinstance(given, torch.Tensor):
                told = "expected a tensor, a row an example: of several inputs make one tensor"
                raise ValueError(f"{name} are a {type(given).__name__}; {told}, which the network takes apart")
        if not torch.is_grad_enabled():
            raise ValueError("gradients are switched off (torch.no_grad); expected a step of training outside of that")
        return self.update(Batch(self.inputs(inputs), labels, self.weights(labels)))

    @property
    def parameters(self) -> list[torch.Tensor]:
        """What the optimiser moves now: a loop may freeze a part, or thaw it."""
        return [p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]

    @property
    def used(self) -> list[torch.Tensor]:
        """The parameters that the last backward pass gave a gradient: all but those that the network does not use."""
        return [p for p in self.parameters if p.grad is not None]

    def inputs(self, inputs: torch.Tensor) -> torch.Tensor:
        """The examples (B, ...) as the network is to see them."""
        return inputs

    def weights(self, labels: torch.Tensor) -> torch.Tensor | None:
        """How much each example's loss weighs (B,); None, all alike."""
        return None

    def update(self, batch: Batch) -> torch.Tensor:
        """Move the parameters; the loss where it began."""
        loss = self.gradient(batch)
        self.descend()
        return loss

    def gradient(self, batch: Batch) -> torch.Tensor:
        """Leave the gradient in each parameter's grad; the loss here."""
        loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return loss.detach()

    def loss(self, batch: Batch) -> torch.Tensor:
        """The batch's mean loss, to be differentiated (Eq. 2)."""
        with self.autocast():
            logits = self.forward(batch.inputs)  # (B, classes)
            if batch.weights is None:
                return self.criterion(logits, batch.labels)
            return (batch.weights * self._each(logits, batch.labels)).mean()

    def _each(self, output, labels):
        """The loss of each example (B,), whose mean is the loss."""
        expected = "expected loss(output, labels, reduction='none') to be that of each example, whose mean is the loss"
        try:
            if isinstance(self.criterion, nn.Module):
                criterion = copy.copy(self.criterion)
                criterion.reduction = "none"
                losses = criterion(output, labels)
            else:
                losses = self.criterion(output, labels, reduction="none")
        except TypeError as error:
            raise ValueError(f"loss gives no loss of each example ({error}); {expected}") from error
        if losses.ndim == 0 or len(losses) != len(labels):
            told = f"loss with reduction='none' has shape {tuple(losses.shape)} for {len(labels)} examples"
            raise ValueError(f"{told}; {expected}")
        losses = losses.flatten(1).mean(1) if losses.ndim > 1 else losses
        if not self.updates:  # once is enough
            mean, whole = losses.mean().item(), self.criterion(output, labels).item()
            if abs(mean - whole) > 1e-3 * abs(whole) + 1e-6:
                told = f"loss is {whole:.6g}, and the mean of each example's {mean:.6g}"
                raise ValueError(f"{told}; {expected}: no class weights, no ignored labels")
        return losses

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The logits (B, classes)."""
        return (self.graph if self.graph and len(inputs) == self.graph_size else self.network)(inputs)

    def size(self, epoch: int, previous: int) -> int:
        """The batch size of an epoch.

        Args:
            epoch: counted from 0.
            previous: that of the epoch before, or the run's own.
        """
        return previous

    def rate(self, epoch: float) -> float:
        """The factor of the learning rate.

        Args:
            epoch: so many are done, parts of one included.
        """
        return 1.0

    def descend(self) -> None:
        """One step of the optimiser along the gradients that are there."""
        self.optimizer.step()
        self.updates += 1


def check_movable(inputs: torch.Tensor) -> None:
    """Raise ValueError for inputs, such as token ids, to which no small number can be added.

    Args:
        inputs: (B, ...).
    """
    if not inputs.is_floating_point():
        told = f"inputs are {inputs.dtype}"
        raise ValueError(f"{told}; expected floating-point numbers, which can be moved a little: no token ids")


LAYERS = ("inputs", "weights", "update", "gradient", "loss", "forward", "size", "rate")


class Remedy:
    """A change of training: a frozen dataclass of its numbers, with a method for each layer of a `Step` it stands in
    for.

    Such a method gets the `Step` first; the plain layer under it is `Step.<layer>(step, ...)`. `cost` is what its
    training costs, in forward and backward passes over each batch.
    """

    cost = 1.0

    def fits(self, run: Any) -> None:
        """Raise ValueError where it cannot be used."""

    def suits(self, network: nn.Module, name: str = "network") -> None:
        """Raise ValueError where it cannot be used on a network, by its name."""

    def _number(self, name: str, low: float, high: float = math.inf, *, above=False):
        """Raise ValueError unless a field lies in [low, high], or above low; a whole number is held as an int."""
        value = field_checks.number(name, getattr(self, name), low, high, above=above)
        object.__setattr__(self, name, int(value) if value.is_integer() else value)

    def _count(self, name: str, low: int = 1):
        """Raise ValueError unless a field is a whole number of at least `low`, or None where that is its default."""
        value = getattr(self, name)
        if value is not None or getattr(type(self), name, 0) is not None:
            object.__setattr__(self, name, field_checks.count(name, value, low))

    def _choice(self, name: str, known: tuple = (True, False)):
        """Raise ValueError unless a field is one of those that are known."""
        object.__setattr__(self, name, field_checks.choice(name, getattr(self, name), known))


def layers(remedy: Remedy) -> list[str]:
    """The layers of a step that a remedy stands in for."""
    return [layer for layer in LAYERS if hasattr(remedy, layer)]

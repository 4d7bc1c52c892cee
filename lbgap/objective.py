"""f of Eq. 1: the mean cross-entropy over a whole data set, as a function of the flat parameters x."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from . import data as datasets
from . import field_checks, machine, networks, own_network

MODES = ("batch", "recalibrated", "frozen")


def _plain(method):
    """A method of an Objective on as many threads as suit its network, whatever the caller has switched on."""

    @functools.wraps(method)
    def plain(self, *arguments):
        with machine.sparing(self.n), machine.plain():
            return method(self, *arguments)

    return plain


class Objective:
    """f(x) -> (value, gradient) over a whole split, with dropout off and no augmentation (Eq. 1).

    `f.x` is the x that the network came with: flat float (n,), all parameters that train (requires_grad), in the
    network's order, tied ones once. Gradients have x's dtype and device. The sum over examples is float64.

    Args:
        minimizer: a `Minimizer`, or any nn.Module together with `data`. It is copied, never written to.
        split: "train" or "test".
        batch_norm: which statistics the batch-norm layers use: "batch", those of each fixed, ordered batch of
            `batch_size` examples, as the authors' code; "recalibrated", means over the training set at x, gathered in
            "batch" mode, a value only and no gradient; "frozen", the running statistics the minimiser was trained to.
        batch_size: examples a batch, 5000 as in the authors' code; clipped to the data set.
        data: with a network, what it was trained on: (inputs, labels) as tensors or arrays, a Dataset or a DataLoader
            (see `data.own`), or `lbgap.load(name)`. Labels are (N,) whole numbers from 0, a column of them, one-hot
            rows, or rows of shares that sum to 1.
        test: the same for split="test".
        loss: loss(output, labels) -> the mean over a batch of examples, in place of the cross-entropy of logits (B,
            classes).
        dataset: the older name of data.
        dtype: torch.float32 or torch.float64, to measure a copy in that; by default the network's own.
        device: where to measure; by default where the network is.
        progress: show how many passes over the data have been made.

    Raises:
        ValueError: for an unknown split, mode or batch size, for x of another shape or with NaN, and for a network,
            data or a loss of which f is not the mean over the examples of a function of x; the message names what is
            wrong.
    """

    @machine.plain()
    def __init__(
        self,
        minimizer: object,
        split: str = "train",
        batch_norm: str = "batch",
        batch_size: int = 5000,
        *,
        data: datasets.Examples | None = None,
        test: datasets.Examples | None = None,
        loss: Callable | None = None,
        dataset: datasets.Examples | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        progress: bool = False,
    ):
        if batch_norm not in MODES:
            raise ValueError(f"batch_norm is {batch_norm!r}; expected one of {', '.join(MODES)}")
        if dtype is not None and not isinstance(dtype, torch.dtype):
            raise ValueError(f"dtype is {dtype!r}; expected torch.float32 or torch.float64")
        batch_size = field_checks.count("batch_size", batch_size, 1)
        if data is not None and dataset is not None:
            raise ValueError("data and dataset are both given; expected one of them")
        data = dataset if data is None else data
        if isinstance(minimizer, nn.Module):
            if data is None:
                raise ValueError("data is missing; with a network pass data=(inputs, labels) or data=lbgap.load(name)")
            network = own_network.copied(minimizer)
        elif not hasattr(minimizer, "run"):
            given = type(minimizer).__name__
            raise ValueError(
                f"minimizer is a {given}; expected a Minimizer, or an nn.Module with data=(inputs, labels)"
            )
        else:
            network, dtype = minimizer.network(), dtype or torch.float32
            data = datasets.load(minimizer.run.dataset, "cpu", *minimizer.run.noise) if data is None else data
        ours = not isinstance(minimizer, nn.Module)
        checked = ours and loss is None and isinstance(data, datasets.Data)
        data = data if checked else datasets.own(data, test)
        for p in network.parameters():  # frozen ones too
            if p.is_complex() or p.is_floating_point() and (dtype or p.dtype) not in (torch.float32, torch.float64):
                kind = p.dtype if p.is_complex() else dtype or p.dtype
                told = f"network is in {kind}, where f needs float32 or float64"
                raise ValueError(f"{told}: dtype=torch.float32 measures a copy; of complex numbers, take the parts")
        self.network = network.to(dtype=dtype, **({} if device is None else {"device": device})).eval()
        if ours and any(isinstance(m, nn.Conv2d) for m in self.network.modules()):
            self.network = self.network.to(memory_format=torch.channels_last)  # a reader's network keeps its own
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        if not self.parameters:
            raise ValueError("network has no parameter that trains (requires_grad), so no x; expected at least one")
        self.dtype, self.device = self.parameters[0].dtype, self.parameters[0].device
        self.n, self.x = sum(p.numel() for p in self.parameters), flat(self.parameters)
        self.split, self.batch_norm, self.batch_size, self.loss = split, batch_norm, batch_size, loss
        self.inputs, self.labels = (t.to(self.device) for t in data.split(split))
        self._train = data.x_train.to(self.device) if batch_norm == "recalibrated" else None
        self._norms = networks.batch_norms(self.network)
        if batch_norm == "batch":
            for m in self._norms:  # without running statistics PyTorch normalises by the batch in eval mode too
                m.running_mean = m.running_var = m.num_batches_tracked = None
                m.track_running_stats = False
        elif any(m.running_mean is None for m in self._norms):
            raise ValueError(f"batch_norm is {batch_norm!r}, but a layer keeps no running statistics; expected 'batch'")
        for m in self.network.modules():
            if isinstance(m, nn.RNNBase) and self.device.type == "cuda":  # cuDNN's have no backward pass in eval mode
                m.train().dropout = 0.0
            if getattr(m, "sparse", False) is True:  # sparse gradients have no second derivative
                m.sparse = False
        self.evaluations, self._counts, self._cuts = 0, True, []
        told = "{n:.1f} passes over the data in {elapsed}"
        self._bar = machine.bar(bar_format=told) if progress else None
        if not checked:
            originals = [] if ours else [*minimizer.modules()]
            with own_network.still(originals):
                self._try(originals)
        machine.keep_memory()

    @_plain
    def __call__(self, x: torch.Tensor) -> tuple[float, torch.Tensor]:
        """f(x) and its gradient (n,)."""
        if self.batch_norm == "recalibrated":
            raise ValueError("batch_norm='recalibrated' has no gradient; use f.evaluate(x), or batch_norm='batch'")
        self._set(x)
        total, gradients = 0.0, [torch.zeros_like(p) for p in self.parameters]
        for inputs, labels in self._batches():
            loss = self._loss(inputs, labels)
            for g, part in zip(gradients, torch.autograd.grad(loss, self.parameters, allow_unused=True)):
                if part is not None:  # the network does not use that parameter
                    g += part
            total = total + loss.detach()  # stays on the device: one number crosses over in an evaluation
        self.evaluations += 1
        return total.item(), flat(gradients).to(x)

    @property
    def examples(self) -> int:
        """How many examples f is the mean over."""
        return len(self.labels)

    def subset(self, count: int, seed: int = 0) -> Objective:
        """f on some of its examples, drawn at random: the same x and batch-norm mode.

        The same seed draws the same examples, fewer of them where `count` is smaller, on every device. The network is
        shared with this f, which is no worse for it: each call sets the parameters.

        Args:
            count: how many, at least 1.
            seed: of the draw.

        Raises:
            ValueError: for a count below 1 or above the number of examples.
        """
        if not 1 <= count <= self.examples:
            raise ValueError(f"count is {count}; expected 1 to {self.examples}, the examples there are")
        chosen, part = self._shuffled(seed)[:count], copy.copy(self)
        part.inputs, part.labels, part.evaluations = self.inputs[chosen], self.labels[chosen], 0
        return part

    def _shuffled(self, seed):
        """The examples' numbers in a random order, drawn on the CPU, so that a device does not change it."""
        generator = torch.Generator().manual_seed(field_checks.count("seed", seed))
        return torch.randperm(self.examples, generator=generator, device="cpu").to(self.device)

    def gradients(self, x: torch.Tensor, batch_size: int, seed: int = 0) -> Iterator[tuple[torch.Tensor, int]]:
        """The gradient of each mini-batch's mean loss, of one shuffled pass.

        Batch norm takes each mini-batch's own statistics in "batch" mode, as in training.

        Args:
            x: flat (n,).
            batch_size: examples a mini-batch.
            seed: of the shuffle.

        Returns:
            (gradient (n,), its examples) for each.

        Raises:
            ValueError: in "recalibrated" mode.
        """
        if self.batch_norm == "recalibrated":
            raise ValueError("batch_norm='recalibrated' has no gradient; use batch_norm='batch'")
        order = self._shuffled(seed)
        self._set(x)
        for part in spans(len(order), batch_size):  # what is switched off in `_gradient` is not off where this yields
            yield self._gradient(order[part]).to(x), len(order[part])

    @_plain
    def _gradient(self, chosen):
        """The gradient (n,) of the mean loss of some examples, at the present x."""
        inputs, labels = typed(self.inputs[chosen], self.dtype), self.labels[chosen]
        loss = (self.loss or F.cross_entropy)(self.network(inputs), labels)
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return flat(torch.zeros_like(p) if g is None else g for g, p in zip(found, self.parameters))

    @_plain
    @torch.no_grad()
    def evaluate(self, x: torch.Tensor) -> tuple[float, float | None]:
        """f(x) and the accuracy in percent, without a gradient: a third of the cost.

        The accuracy is None where `loss` is not of logits (B, classes) and whole numbers.
        """
        self._place(x)
        total, right = 0.0, 0
        for inputs, labels in self._batches():
            output = self.network(inputs)
            total = total + self._summed(output, labels)
            if self._counts:
                right = right + (output.argmax(1) == _classes(labels)).sum()
        value = total.item() / len(self.labels)
        return value, 100 * right.item() / len(self.labels) if self._counts else None

    @_plain
    @torch.no_grad()
    def hits(self, x: torch.Tensor) -> torch.Tensor:
        """Which examples are classified right at x: (N,) bool. ValueError where `evaluate` gives no accuracy."""
        if not self._counts:
            raise ValueError("f has no accuracy: loss is not of logits (B, classes) and labels that are whole numbers")
        self._place(x)
        return torch.cat([self.network(inputs).argmax(1) == _classes(labels) for inputs, labels in self._batches()])

    @_plain
    @torch.no_grad()
    def outputs(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """What the network returns for the first `count` examples, at x."""
        self._place(x)
        return self.network(typed(self.inputs[:count], self.dtype))

    def accuracy(self, x: torch.Tensor) -> float | None:
        """Share of examples classified right at x, in percent; None as in `evaluate`."""
        return self.evaluate(x)[1]

    @_plain
    def hvp(self, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """The Hessian of f at x times v (n,), by differentiating twice; not in "recalibrated" mode."""
        if self.batch_norm == "recalibrated":
            raise ValueError("batch_norm='recalibrated' has no Hessian; use batch_norm='batch'")
        if self._cuts:
            self._check_twice()
        try:
            return self._product(x, v)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ValueError(
                f"the network cannot be differentiated twice ({error}); expected layers that can;"
                " sharpness needs one derivative only"
            ) from error

    def _check_twice(self):
        """ValueError where a Hessian product is not a difference of gradients: a Function of the reader's own may cut
        its graph, and torch.autograd.grad then takes its gradient for a constant."""
        cuts, self._cuts = self._cuts, []
        few, x = self.subset(min(own_network.FEW, self.examples)), self.x
        gradient = few(x)[1]
        v = gradient * (x.norm() / gradient.norm())
        found, rounding = few.hvp(x, v), 10 * torch.finfo(x.dtype).eps * gradient.norm()
        for step in (0.1, 1e-2, 1e-3, 1e-4):  # a large one is coarse, a small one is lost in rounding
            wanted = (few(x + step * v)[1] - few(x - step * v)[1]) / (2 * step)
            if not (found - wanted).norm() > 0.1 * wanted.norm() + rounding / step:
                return
        self._cuts = cuts
        raise ValueError(
            f"the second derivative of {', '.join(cuts)} is not that of what it computes; expected an autograd Function"
            " whose backward can be differentiated (no once_differentiable, no .detach()); sharpness needs one"
            " derivative only"
        )

    def _product(self, x, v):
        """`hvp`, unchecked."""
        self._set(x)
        v = v.detach().to(self.parameters[0])
        parts = unflat(v.clone() if v.is_inference() else v, self.parameters)
        out = [torch.zeros_like(p) for p in self.parameters]
        with twice(self.network):
            for inputs, labels in self._batches():
                loss = self._loss(inputs, labels)
                first = torch.autograd.grad(loss, self.parameters, create_graph=True, allow_unused=True)
                product = sum((g * p).sum() for g, p in zip(first, parts) if g is not None)
                if not product.requires_grad:  # f is linear in x
                    continue
                second = torch.autograd.grad(product, self.parameters, allow_unused=True)  # unused: f linear in it
                for o, s in zip(out, second):
                    if s is not None:
                        o += s
        return flat(out).to(x)

    def _loss(self, inputs, labels):
        """The batch's share of f: its summed loss over the size of the whole set."""
        return self._summed(self.network(inputs), labels) / len(self.labels)

    def _summed(self, output, labels):
        """The summed loss of a batch, in float64."""
        if self.loss:
            return self.loss(output, labels).double() * len(labels)
        return F.cross_entropy(output, labels, reduction="none").double().sum()

    def _batches(self):
        for part in spans(len(self.labels), self.batch_size):
            yield typed(self.inputs[part], self.dtype), self.labels[part]
            if self._bar is not None:
                self._bar.update(len(self.labels[part]) / len(self.labels))

    def _place(self, x):
        """Set the parameters, and the statistics where they depend on them."""
        self._set(x)
        if self.batch_norm == "recalibrated":
            recalibrate(self.network, self._train, self.batch_size)

    @_plain
    def _try(self, originals):
        """Try a reader's network on a few examples, and bring the labels into the form that f knows.

        originals: the modules of which its own are copies, and which it may still hold on to.
        """
        chosen = own_network.few(self.labels, self._shuffled(0))
        inputs = typed(self.inputs[chosen], self.dtype)
        output = own_network.tried(self.network, inputs, joins=bool(self._norms) and self.batch_norm == "batch")
        if self.loss is None:
            own_network.check_logits(output, len(inputs))
            self.labels = own_network.class_labels(self.labels, output.shape[1])
        else:
            tensor, labels = isinstance(output, torch.Tensor), typed(self.labels[chosen], self.dtype)
            each = [[k] for k in range(len(labels))]
            if not tensor and self._norms and self.batch_norm == "batch":
                each = [2 * sum(each, [])]  # batch norm knows no single example, but the same ones twice
            of = (lambda some: output.detach()[some]) if tensor else (lambda some: self.network(inputs[some]))
            own_network.check_mean(self.loss, (output, labels), ((of(some), labels[some]) for some in each))
            whole = self.labels.ndim == 1 and not (self.labels.is_floating_point() or self.labels.is_complex())
            classes = output.shape[-1] if tensor and output.ndim == 2 and whole else 0
            self._counts = classes > 1 and bool(0 <= self.labels.min() <= self.labels.max() < classes)
        self.labels = typed(self.labels, self.dtype)
        loss = self._summed(output, self.labels[chosen])
        own_network.check_uses(loss, self.network, originals)
        self._cuts = own_network.cuts(loss)

    @torch.no_grad()
    def _set(self, x):
        if not (isinstance(x, torch.Tensor) and x.is_floating_point()):
            told = f"{x.dtype} tensor" if isinstance(x, torch.Tensor) else type(x).__name__
            raise ValueError(f"x is a {told}; expected a float tensor, as f.x")
        if tuple(x.shape) != (self.n,):
            told = f"x has shape {tuple(x.shape)}; expected ({self.n},)"
            raise ValueError(f"{told}, all parameters that train (requires_grad), flat, as f.x")
        if not torch.isfinite(x).all():
            raise ValueError("x has NaN or infinite entries; expected finite parameters (did the training diverge?)")
        for p, part in zip(self.parameters, unflat(x, self.parameters)):
            p.copy_(part)


class _Unfused(TorchFunctionMode):
    """While it is on, weight_norm is computed in steps: the second derivative of PyTorch's kernel takes |v| for a
    constant."""

    def __torch_function__(self, function, types, arguments=(), settings=None):
        if function is torch._weight_norm:
            v, g, axis = arguments
            return v * (g / torch.norm_except_dim(v, 2, axis))
        return function(*arguments, **(settings or {}))


def twice(network: nn.Module) -> contextlib.ExitStack:
    """A context in which what the network does can be differentiated twice: not so in every fused kernel."""
    context = contextlib.ExitStack()
    context.enter_context(nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH))
    context.enter_context(_Unfused())
    if any(isinstance(m, nn.RNNBase) for m in network.modules()):
        context.enter_context(torch.backends.cudnn.flags(enabled=False))
    return context


def typed(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The tensor in a dtype, but whole numbers (token ids, pixels, classes) as they are."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _classes(labels):
    """The class of each example, of soft labels (N, classes) the likeliest."""
    return labels.argmax(1) if labels.ndim > 1 else labels


def tally(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The summed cross-entropy (in float64) of logits (B, classes), and how many labels (B,) they hit; on their
    device."""
    loss = F.cross_entropy(logits, labels, reduction="none").double().sum()
    return loss, (logits.argmax(1) == labels).sum()


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Tensors, one after another, as one flat copy (n,)."""
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def unflat(x: torch.Tensor, like: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The inverse of `flat`: views into x (n,) in the shapes of the tensors `like`."""
    parts = x.split([t.numel() for t in like])
    return [part.view(t.shape) for part, t in zip(parts, like)]


def spans(count: int, size: int) -> list[slice]:
    """Slices that cover so many examples; the last is partial, and a rest of one joins the batch before it.

    Batch norm cannot normalise a single example.

    Args:
        count: of the examples.
        size: of a batch.

    >>> spans(7, 3)
    [slice(0, 3, None), slice(3, 7, None)]
    """
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], count])]


@torch.no_grad()
def recalibrate(
    network: nn.Module, inputs: torch.Tensor, batch_size: int = 5000, visit: Callable | None = None
) -> None:
    """Set the running statistics of a network to their mean over examples, dropout off; without batch norm, only visit.

    Args:
        network: it is changed in place; its modes are put back.
        inputs: the examples (N, ...), taken in fixed batches.
        batch_size: of these.
        visit: visit(logits (B, classes), start), if given, sees each batch's output: the same pass then measures a
            loss.
    """
    norms, modes = networks.batch_norms(network), {m: m.training for m in network.modules()}
    momenta = [m.momentum for m in norms]
    network.eval()
    for m in norms:
        m.reset_running_stats()
        m.train()
        m.momentum = None  # a plain mean over the batches
    dtype = next(p.dtype for p in network.parameters() if p.is_floating_point())
    for part in spans(len(inputs), batch_size) if norms or visit else ():
        logits = network(typed(inputs[part], dtype))
        if visit:
            visit(logits, part.start)
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
    for m, training in modes.items():
        m.training = training

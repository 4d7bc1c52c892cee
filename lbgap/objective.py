"""f of Eq. 1: the mean cross-entropy over a whole data set, as a function of the flat parameters x."""

from __future__ import annotations

import copy
import functools

import torch
import torch.nn.functional as F
from torch import nn

from . import data, machine, networks

MODES = ("batch", "recalibrated", "frozen")


def _sparing(method):
    """A method of an Objective on as many threads as suit its network."""

    @functools.wraps(method)
    def spared(self, *arguments):
        with machine.sparing(self.n):
            return method(self, *arguments)

    return spared


class Objective:
    """f(x) -> (value, gradient) over a whole split, with dropout off and no augmentation (Eq. 1).

    minimizer: a `Minimizer`, or an nn.Module together with `dataset`. It is copied, never written to.
    split: "train" (default) or "test".
    batch_norm: which statistics the batch-norm layers use.
      "batch"        those of each fixed, ordered batch of `batch_size` examples, as the authors' code (default);
      "recalibrated" means over the training set at x, gathered in "batch" mode: a value only, no gradient;
      "frozen"       the running statistics the minimiser was trained to.
    batch_size: examples a batch, 5000 as in the authors' code; clipped to the data set.
    dtype: torch.float32 (default) or torch.float64; the sum over examples is float64 in both.
    x: flat float tensor (n,) of all trainable parameters in the network's order. Gradients have x's dtype and device.

    Raises ValueError for an unknown split, mode or batch size, and for x of another shape or with NaN.
    """

    def __init__(
        self,
        minimizer,
        split="train",
        batch_norm="batch",
        batch_size=5000,
        *,
        dataset: data.Data | None = None,
        dtype=torch.float32,
        device=None,
    ):
        if batch_norm not in MODES:
            raise ValueError(f"batch_norm is {batch_norm!r}; expected one of {', '.join(MODES)}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; expected at least 1")
        if isinstance(minimizer, nn.Module):
            if dataset is None:
                raise ValueError("dataset is missing; with a network, pass dataset=lbgap.load(name)")
            network = copy.deepcopy(minimizer)
        else:
            network = minimizer.network()
            dataset = dataset or data.load(minimizer.run.dataset, "cpu", *minimizer.run.noise)
        device = device or next(network.parameters()).device
        self.network = network.to(device=device, dtype=dtype).eval().requires_grad_(True)
        if any(isinstance(m, nn.Conv2d) for m in self.network.modules()):
            self.network = self.network.to(memory_format=torch.channels_last)
        self.parameters = list(self.network.parameters())
        self.n = sum(p.numel() for p in self.parameters)
        self.split, self.batch_norm, self.batch_size, self.dtype = split, batch_norm, batch_size, dtype
        self.inputs, self.labels = (t.to(device) for t in dataset.split(split))
        self._train = dataset.x_train.to(device) if batch_norm == "recalibrated" else None
        self._norms = networks.batch_norms(self.network)
        if batch_norm == "batch":
            for m in self._norms:  # without running statistics PyTorch normalises by the batch in eval mode too
                m.running_mean = m.running_var = m.num_batches_tracked = None
                m.track_running_stats = False
        self.evaluations = 0
        machine.keep_memory()

    @_sparing
    def __call__(self, x: torch.Tensor) -> tuple[float, torch.Tensor]:
        """f(x) and its gradient (n,)."""
        if self.batch_norm == "recalibrated":
            raise ValueError("batch_norm='recalibrated' has no gradient; use f.evaluate(x), or batch_norm='batch'")
        self._set(x)
        total, gradients = 0.0, [torch.zeros_like(p) for p in self.parameters]
        for inputs, labels in self._batches():
            loss = self._loss(inputs, labels)
            for g, part in zip(gradients, torch.autograd.grad(loss, self.parameters)):
                g += part
            total = total + loss.detach()  # stays on the device: one number crosses over in an evaluation
        self.evaluations += 1
        return total.item(), flat(gradients).to(x)

    @property
    def examples(self) -> int:
        """How many examples f is the mean over."""
        return len(self.labels)

    def subset(self, count: int, seed: int = 0) -> "Objective":
        """f on `count` of its examples, drawn at random: the same x and batch-norm mode.

        The same seed draws the same examples, fewer of them where `count` is smaller, on every device. The network is shared with
        this f, which is no worse for it: each call sets the parameters.

        Raises ValueError for a count below 1 or above the number of examples.
        """
        if not 1 <= count <= self.examples:
            raise ValueError(f"count is {count}; expected 1 to {self.examples}, the examples there are")
        chosen = torch.randperm(self.examples, generator=torch.Generator().manual_seed(seed))[:count].to(
            self.labels.device
        )
        part = copy.copy(self)
        part.inputs, part.labels, part.evaluations = self.inputs[chosen], self.labels[chosen], 0
        return part

    def gradients(self, x: torch.Tensor, batch_size: int, seed: int = 0):
        """(gradient (n,) of a mini-batch's mean loss, its examples) for each mini-batch of one shuffled pass.

        Batch norm takes each mini-batch's own statistics in "batch" mode, as in training. ValueError in "recalibrated" mode.
        """
        if self.batch_norm == "recalibrated":
            raise ValueError("batch_norm='recalibrated' has no gradient; use batch_norm='batch'")
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed)).to(self.labels.device)
        self._set(x)
        for part in spans(len(order), batch_size):
            chosen = order[part]
            loss = F.cross_entropy(self.network(self.inputs[chosen].to(self.dtype)), self.labels[chosen])
            yield flat(torch.autograd.grad(loss, self.parameters)).to(x), len(chosen)

    @_sparing
    @torch.no_grad()
    def evaluate(self, x: torch.Tensor) -> tuple[float, float]:
        """f(x) and the accuracy in percent, without a gradient: a third of the cost."""
        self._place(x)
        total, right = 0.0, 0
        for inputs, labels in self._batches():
            loss, hits = tally(self.network(inputs), labels)
            total, right = total + loss, right + hits
        return total.item() / len(self.labels), 100 * right.item() / len(self.labels)

    @_sparing
    @torch.no_grad()
    def hits(self, x: torch.Tensor) -> torch.Tensor:
        """Which examples are classified right at x: (N,) bool."""
        self._place(x)
        return torch.cat([self.network(inputs).argmax(1) == labels for inputs, labels in self._batches()])

    def accuracy(self, x: torch.Tensor) -> float:
        """Share of examples classified right at x, in percent."""
        return self.evaluate(x)[1]

    @_sparing
    def hvp(self, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """The Hessian of f at x times v (n,), by differentiating twice; not in "recalibrated" mode."""
        if self.batch_norm == "recalibrated":
            raise ValueError("batch_norm='recalibrated' has no Hessian; use batch_norm='batch'")
        self._set(x)
        parts = unflat(v.to(self.parameters[0]), self.parameters)
        out = [torch.zeros_like(p) for p in self.parameters]
        for inputs, labels in self._batches():
            first = torch.autograd.grad(self._loss(inputs, labels), self.parameters, create_graph=True)
            product = sum((g * p).sum() for g, p in zip(first, parts))
            second = torch.autograd.grad(product, self.parameters, allow_unused=True)  # unused: f linear in it
            for o, s in zip(out, second):
                if s is not None:
                    o += s
        return flat(out).to(x)

    def _loss(self, inputs, labels):
        """The batch's share of f: its summed loss over the size of the whole set."""
        return F.cross_entropy(self.network(inputs), labels, reduction="none").double().sum() / len(self.labels)

    def _batches(self):
        for part in spans(len(self.labels), self.batch_size):
            yield self.inputs[part].to(self.dtype), self.labels[part]

    def _place(self, x):
        """Set the parameters, and the statistics where they depend on them."""
        self._set(x)
        if self.batch_norm == "recalibrated":
            recalibrate(self.network, self._train, self.batch_size)

    @torch.no_grad()
    def _set(self, x):
        if tuple(x.shape) != (self.n,):
            raise ValueError(f"x has shape {tuple(x.shape)}; expected ({self.n},), all trainable parameters, flat")
        if not torch.isfinite(x).all():
            raise ValueError("x has NaN or infinite entries; expected finite parameters (did the training diverge?)")
        for p, part in zip(self.parameters, unflat(x, self.parameters)):
            p.copy_(part)


def tally(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The summed cross-entropy (in float64) of logits (B, classes), and how many labels (B,) they hit; on their device."""
    loss = F.cross_entropy(logits, labels, reduction="none").double().sum()
    return loss, (logits.argmax(1) == labels).sum()


def flat(tensors) -> torch.Tensor:
    """Tensors, one after another, as one flat copy (n,)."""
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def unflat(x: torch.Tensor, like) -> list[torch.Tensor]:
    """The inverse of `flat`: views into x (n,) in the shapes of the tensors `like`."""
    parts = x.split([t.numel() for t in like])
    return [part.view(t.shape) for part, t in zip(parts, like)]


def spans(count: int, size: int) -> list[slice]:
    """Slices of `size` examples that cover `count`; the last is partial, and a rest of one joins the batch before it.

    Batch norm cannot normalise a single example.
    """
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], count])]


@torch.no_grad()
def recalibrate(network: nn.Module, inputs: torch.Tensor, batch_size: int = 5000, visit=None) -> None:
    """Set the running statistics of `network` to their mean over `inputs`, in fixed batches, dropout off.

    visit(logits (B, classes), start), if given, sees each batch's output: the same pass then measures a loss.
    A network without batch norm is only visited.
    """
    norms, training = networks.batch_norms(network), network.training
    momenta = [m.momentum for m in norms]
    network.eval()
    for m in norms:
        m.reset_running_stats()
        m.train()
        m.momentum = None  # a plain mean over the batches
    dtype = next(network.parameters()).dtype
    for part in spans(len(inputs), batch_size) if norms or visit else ():
        logits = network(inputs[part].to(dtype))
        if visit:
            visit(logits, part.start)
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
    network.train(training)

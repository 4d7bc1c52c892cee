"""Training: `train` does what a `Run` says, and a Minimizer is where it ended (Eq. 2, section 2)."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import hashlib
import json
import math
import os
import pathlib
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from . import data, machine
from .objective import flat, recalibrate, spans, tally, unflat
from .remedies import Step
from .run import Run

PACKAGED = pathlib.Path(__file__).parent / "minimizers"
EVALUATION_BATCH = 5000  # as in the authors' code
CHECKPOINT = {"run", "order", "network", "optimizer", "cpu_rng", "cuda_rng", "history", "epoch", "diverged", "seconds"}


@dataclasses.dataclass
class Minimizer:
    """Where a run ended.

    Args:
        run: what was trained.
        x: (n,) float32, all trainable parameters, flat, in the network's order.
        buffers: the network's buffers by name.
        history: lists with one entry for each epoch of "epoch", after which f was measured (see `Run.looks`).
            "train_loss" and "train_accuracy" are f and its accuracy (percent) in `batch` mode; "test_loss" and
            "test_accuracy" are recalibrated; "running_loss" is the mean mini-batch loss seen while training; "distance"
            is ||x - x0||. With remedies also "batch_size" and "updates", the optimiser's steps, of every epoch; their
            running loss is what they minimise.
        diverged: the loss became infinite or NaN, and training stopped there.
        seconds: of wall time that training took, all sittings together.
        preconditioner: (n,), what Adam divides its mean gradient by where training ended, sqrt(v) + epsilon, v
            corrected for its bias; None for other optimisers and for a minimiser from a file.
    """

    run: Run
    x: torch.Tensor
    buffers: dict[str, torch.Tensor]
    history: dict[str, list[float]]
    diverged: bool = False
    seconds: float = 0.0
    preconditioner: torch.Tensor | None = None

    @property
    def epochs(self) -> int:
        """How many epochs it was trained."""
        return self.history["epoch"][-1]

    @property
    def checksum(self) -> str:
        """The first 16 hex digits of the sha256 of x: two minimisers that differ in a bit have different ones."""
        return hashlib.sha256(self.x.detach().cpu().numpy().tobytes()).hexdigest()[:16]

    def network(self) -> nn.Module:
        """A fresh network at x, in eval mode."""
        with machine.on_cpu():
            network = self.run.build().to(self.x.device)
        with torch.no_grad():
            for p, part in zip(network.parameters(), unflat(self.x, list(network.parameters()))):
                p.copy_(part)
            for name, b in network.named_buffers():
                b.copy_(self.buffers[name])
        return network.eval()

    def save(self, path: str | os.PathLike) -> None:
        """Write x, buffers, history and run, with their checksum, as one safetensors file, whole or not at all."""
        save_file = machine.needs("safetensors.torch", "data").save_file
        meta = {"run": self.run.spec, "history": self.history, "diverged": self.diverged, "seconds": self.seconds}
        meta = {k: json.dumps(v) for k, v in meta.items()}
        tensors = {"x": self.x.cpu(), **{f"buffer.{k}": v.cpu() for k, v in self.buffers.items()}}
        with machine.replacing(path) as fresh:
            save_file(tensors, str(fresh), meta | {"sha256": _digest(tensors, meta)})

    @classmethod
    def open(cls, path: str | os.PathLike) -> Minimizer:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: where there is no such file.
            ValueError: for a damaged file or another one.
        """
        safetensors = machine.needs("safetensors", "data")
        if not pathlib.Path(path).exists():
            raise FileNotFoundError(f"{path} does not exist; expected a minimiser saved as safetensors")
        try:
            with safetensors.safe_open(str(path), "pt") as f:
                meta, tensors = f.metadata() or {}, {k: f.get_tensor(k) for k in f.keys()}
                told = meta.pop("sha256", None)  # older files have none
                if told and told != _digest(tensors, meta):
                    raise ValueError("its content does not match its checksum")
                meta = {k: json.loads(v) for k, v in meta.items()}
                meta["run"] = Run(**meta["run"])
                meta["history"].setdefault("epoch", list(range(1, len(meta["history"]["train_loss"]) + 1)))
                buffers = {k[7:]: v for k, v in tensors.items() if k.startswith("buffer.")}
                return cls(x=tensors["x"], buffers=buffers, **meta)
        except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged or no minimiser ({type(error).__name__}: {error}); expected a file that"
                " Minimizer.save wrote. Of a network of your own: lbgap.Objective(network, data=...)"
            ) from error


def _digest(tensors, meta) -> str:
    """The checksum of a minimiser's file: of its tensors and its words, by name."""
    digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return digest.hexdigest()


def minimizer(name: str) -> Minimizer:
    """A packaged minimiser: "F1-SB" or "F1-LB", trial 0 of Table 2.

    Raises:
        ValueError: for another name.
    """
    known = sorted(path.stem for path in PACKAGED.glob("*.safetensors"))
    if name not in known:
        raise ValueError(f"minimizer {name!r} is unknown; expected one of {', '.join(known)}")
    return Minimizer.open(PACKAGED / f"{name}.safetensors")


@functools.cache
def _packaged() -> dict[str, str]:
    """{id of its run: name} of the packaged minimisers."""
    return {minimizer(path.stem).run.id: path.stem for path in PACKAGED.glob("*.safetensors")}


def packaged(run: Run) -> Minimizer | None:
    """The packaged minimiser of a run, or None; it has no `preconditioner`.

    Args:
        run: what was trained.
    """
    name = _packaged().get(run.id)
    return name and minimizer(name)


class OutOfTime(Exception):
    """The deadline came; what was done so far is in the checkpoint."""


def train(
    run: Run,
    *,
    device: str | torch.device = "cpu",
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: float = 30.0,
    deadline: float | None = None,
    progress: bool = True,
    on_epoch: Callable | None = None,
    keep: Iterable[int] = (),
) -> Minimizer:
    """Train a network as a run says, and return where it ended (Eq. 2).

    Args:
        run: what to train. On the CPU the same run on the same machine with as many threads gives the same bits.
        device: where.
        checkpoint: a file; training goes on from it if it exists, bit for bit as if it had never stopped (on CPU), and
            writes it at the end of an epoch when `checkpoint_every` seconds have passed, and at the very end. Beside
            it, in files named by their id, it looks for `run.start` and for the same run at an earlier epoch, and goes
            on from there. A damaged file that is named by its run's id is renamed, and said in a line; of any other
            name, refused.
        checkpoint_every: seconds.
        deadline: a time.monotonic() after which OutOfTime is raised at the end of an epoch, the checkpoint written.
        progress: show a bar.
        on_epoch: on_epoch(epoch, network), called after each epoch; it must leave the network as it is.
        keep: epochs at which to leave a checkpoint of the run up to there, beside `checkpoint`, whole and in float32.

    Raises:
        ValueError: if the batch is larger than the training set.
        ArithmeticError: if the run it starts from diverged.
    """
    machine.keep_memory()
    sitting = _Sitting(device, checkpoint and pathlib.Path(checkpoint), checkpoint_every, deadline, progress, on_epoch)
    with machine.float32(), machine.on_cpu(), machine.plain():
        return _train(run, sitting, keep).minimizer()


class _Sitting(NamedTuple):
    """How one call of `train` goes about it, as its arguments say: nothing here changes where a run ends."""

    device: str | torch.device
    checkpoint: pathlib.Path | None
    checkpoint_every: float
    deadline: float | None
    progress: bool
    on_epoch: Callable | None = None


@dataclasses.dataclass
class _Training:
    """A training under way, which is what its checkpoint holds, with the random state that dropout draws from."""

    run: Run
    network: nn.Module
    optimizer: torch.optim.Optimizer
    order: torch.Generator  # of the examples
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    epoch: int = 0
    diverged: bool = False
    seconds: float = 0.0

    @classmethod
    def fresh(cls, run: Run, device: str | torch.device) -> _Training:
        """At the seeded start of a run (`start` is not looked at)."""
        network = run.build().to(device)
        if any(isinstance(m, nn.Conv2d) for m in network):
            network = network.to(memory_format=torch.channels_last)
        optimizer = make_optimizer(run, list(network.parameters()))
        return cls(run, network, optimizer, torch.Generator().manual_seed(run.order_seed))

    @property
    def cuda(self) -> list[torch.device]:
        """The GPU whose random state dropout draws from, if it is one."""
        device = next(self.network.parameters()).device
        return [device] if device.type == "cuda" else []

    @property
    def finished(self) -> bool:
        """Whether the run ends here: diverged, at its last epoch, or by a stopping rule."""
        run, f = self.run, self.history.get("train_loss", [])
        if self.diverged or self.epoch >= run.epochs:
            return True
        if run.stop_loss is not None and f and self.history["running_loss"][-1] < run.stop_loss:
            return True
        if run.stop_f is not None and len(f) >= run.stop_epochs and max(f[-run.stop_epochs :]) < run.stop_f:
            return True
        return run.patience is not None and len(f) > run.patience and min(f[-run.patience :]) >= min(f[: -run.patience])

    def save(self, path: str | os.PathLike, run: Run | None = None) -> None:
        """Write the checkpoint; run: of which it is one, where that is this run up to the present epoch."""
        parts = {name: getattr(self, name) for name in ("history", "epoch", "diverged", "seconds")}
        states = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        random = {"cpu_rng": torch.get_rng_state(), "cuda_rng": [torch.cuda.get_rng_state(d) for d in self.cuda]}
        _save(path, {"run": (run or self.run).spec, "order": self.order.get_state(), **states, **random, **parts})

    def load(self, state: dict) -> None:
        """Go on from what a checkpoint holds."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.order.set_state(state["order"].cpu())
        torch.set_rng_state(state["cpu_rng"].cpu())
        for device, random in zip(self.cuda, state["cuda_rng"]):
            torch.cuda.set_rng_state(random.cpu(), device)
        self.history, self.epoch = state["history"], state["epoch"]
        self.diverged, self.seconds = state["diverged"], state["seconds"]

    def start_from(self, other: _Training) -> None:
        """Put the network where another training ended, and with `carry` the optimiser too."""
        if other.diverged:
            raise ArithmeticError(f"the run it starts from diverged: {other.run.spec}; expected one that trains")
        self.network.load_state_dict(other.network.state_dict())
        if self.run.carry:
            own = [{k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups]
            self.optimizer.load_state_dict(other.optimizer.state_dict())
            for group, settings in zip(self.optimizer.param_groups, own):
                group.update(settings)  # the moments come over, the rate and the betas do not

    def record(self, running: float, dataset: data.Data, x0: torch.Tensor) -> None:
        """Measure where training is and write it into the history; running: the epoch's mean loss, x0: where it
        began."""
        measured = {
            "epoch": self.epoch,
            "running_loss": running,
            **measure(self.network, dataset),
            "distance": (flat(self.network.parameters()) - x0).double().norm().item(),
        }
        if self.run.optimizer == "adam":
            measured["adam_idle"] = adam_idle(self.optimizer)
        for key, value in measured.items():
            self.history.setdefault(key, []).append(value)
        self.diverged = not all(map(math.isfinite, measured.values()))

    def minimizer(self) -> Minimizer:
        """Where training is now."""
        buffers = {name: b.clone() for name, b in self.network.named_buffers()}
        divisor = None
        if self.run.optimizer == "adam" and self.optimizer.state:
            divisor = flat(root + epsilon for root, epsilon in adam_roots(self.optimizer))
        x = flat(self.network.parameters())
        return Minimizer(self.run, x, buffers, self.history, self.diverged, self.seconds, divisor)


def _checkpoint(run: Run, path: pathlib.Path | None) -> dict | None:
    """What the checkpoint of a run holds, or that of the same run at the latest earlier epoch, or None."""
    if path is None:
        return None
    earlier = range(run.epochs - 1, 0, -1) if run.lr_end is None else ()
    for of in (run, *map(run.until, earlier)):
        file = path if of is run else path.with_name(f"{of.id}.pt")
        if file.exists():
            try:
                return _read(file, of)
            except ValueError as error:
                if file.stem != of.id:  # a file that the caller named is the caller's
                    raise ValueError(f"{error}; delete it or name another file, and training begins anew") from error
                machine.set_aside(file, error)
    return None


def _read(file: pathlib.Path, run: Run) -> dict:
    """What the checkpoint of a run holds, on the CPU. ValueError if it is damaged or another's."""
    try:
        with zipfile.ZipFile(file) as whole:  # torch.load looks at no checksum
            if bad := whole.testzip():
                raise ValueError(bad)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # what a damaged pickle can raise has no end
        raise ValueError(f"{file} is damaged ({type(error).__name__})") from error
    if not (isinstance(state, dict) and CHECKPOINT <= set(state)):
        raise ValueError(f"{file} is no checkpoint of a run")
    if state["run"] != run.spec:
        raise ValueError(f"{file} belongs to another run ({state['run']})")
    return state


def _train(run: Run, sitting: _Sitting, keep: Iterable[int] = ()) -> _Training:
    """`train`, with the optimiser's state at the end."""
    device, checkpoint = sitting[:2]
    dataset = data.load(run.dataset, device, *run.noise)
    inputs = dataset.x_train
    if run.batch_size > len(inputs):
        raise ValueError(f"batch_size is {run.batch_size}; expected at most {len(inputs)}, all of {run.dataset}")
    training, state = _Training.fresh(run, device), _checkpoint(run, checkpoint)
    if any(isinstance(m, nn.Conv2d) for m in training.network):
        inputs = inputs.to(memory_format=torch.channels_last)
    if run.start and (state is None or state["epoch"] < run.epochs):
        beside = checkpoint and checkpoint.with_name(f"{run.start.id}.pt")
        training.start_from(_train(run.start, sitting._replace(checkpoint=beside, on_epoch=None)))
    x0 = flat(training.network.parameters())
    random, precision = torch.random.fork_rng(devices=training.cuda), _precision(run.precision, device)
    with random, precision as autocast, machine.sparing(len(x0)):
        torch.manual_seed(run.order_seed)  # dropout
        if state:
            training.load(state)
        if training.finished:
            return training
        kept = {} if run.lr_end is not None else {k: run.until(k) for k in keep if k < run.epochs}
        _go_on(training, sitting, dataset, inputs, x0, autocast, kept)
    return training


def _go_on(training: _Training, sitting: _Sitting, dataset, inputs, x0, autocast, keep) -> None:
    """Train epoch by epoch until it is finished, or late; keep: {epoch: the run up to there, whose checkpoint to
    leave}."""
    _, checkpoint, checkpoint_every, deadline, progress, on_epoch = sitting
    run, history, network = training.run, training.history, training.network
    told = f"{run.network} batch {run.batch_size} seed {run.init_seed}"
    bar = machine.bar(total=run.epochs, initial=training.epoch, desc=told, unit="epoch") if progress else None
    saved = last = time.monotonic()
    # A large batch is not bound by launches, and a graph would hold its activations a second time.
    graphed = training.cuda and run.batch_size <= 2048 and not run.remedies
    graph = _graphed(network, inputs[: run.batch_size], autocast) if graphed else None
    step = Step(run, network, training.optimizer, dataset, autocast, graph, run.batch_size)
    done = False
    while not done:
        size = step.size(training.epoch, history.get("batch_size", [run.batch_size])[-1])
        running = _epoch(step, inputs, training.order, size, training.epoch)
        training.epoch += 1
        if run.remedies:
            history.setdefault("batch_size", []).append(size)
            history.setdefault("updates", []).append(step.updates)
            step.updates = 0
        if not math.isfinite(running) or training.epoch in keep or run.looks(training.epoch, len(inputs)):
            training.record(running, dataset, x0)
        if on_epoch:
            on_epoch(training.epoch, network)
        if bar is not None:
            bar.set_postfix_str(f"f {history['train_loss'][-1]:.2e}, test {history['test_accuracy'][-1]:.2f} %")
            bar.update()
        now = time.monotonic()
        training.seconds, last = training.seconds + now - last, now
        late, done = deadline is not None and now > deadline, training.finished
        if checkpoint and training.epoch in keep:
            until = keep[training.epoch]
            training.save(checkpoint.with_name(f"{until.id}.pt"), until)
        if checkpoint and (late or done or now - saved >= checkpoint_every):
            training.save(checkpoint)
            saved = time.monotonic()
        if late and not done:
            raise OutOfTime(f"{run.network} at batch {run.batch_size}: {training.epoch} epochs done")
    if bar is not None:
        bar.close()
    if graphed:  # reference cycles would keep the graph's memory through the measurements that follow
        del graph, step
        gc.collect()
        torch.cuda.empty_cache()


def _epoch(step: Step, inputs, order, batch_size: int, epoch: int = 0) -> float:
    """One pass over the shuffled training set; the mean running loss."""
    run, labels = step.run, step.dataset.y_train
    step.network.train()
    total = torch.zeros((), dtype=torch.float64, device=inputs.device)
    parts = batches(torch.randperm(len(inputs), generator=order).to(inputs.device), batch_size)
    for i, chosen in enumerate(parts):
        now = epoch + i / len(parts)
        rate = run.lr if run.lr_end is None else run.lr + (run.lr_end - run.lr) * now / run.epochs
        for group in step.optimizer.param_groups:
            group["lr"] = rate * step.rate(now)
        total += step(inputs[chosen], labels[chosen]) * len(chosen)
    return total.item() / len(inputs)


@torch.no_grad()
def adam_roots(optimizer: torch.optim.Optimizer) -> Iterator[tuple[torch.Tensor, float]]:
    """(sqrt(v), epsilon) of every parameter, v Adam's second moment, corrected for its bias."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            state = optimizer.state[p]
            yield (state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))).sqrt(), group["eps"]


def adam_idle(optimizer: torch.optim.Optimizer) -> float:
    """Share of coordinates, in percent, in which Adam's sqrt(v) is under 10 epsilon, so that it steps less than it
    means to."""
    idle = total = 0
    for root, epsilon in adam_roots(optimizer):
        idle, total = idle + (root < 10 * epsilon).sum(), total + root.numel()
    return 100 * idle.item() / total


class _Forward(nn.Module):
    """A network's forward pass under autocast, so that the network itself keeps its own."""

    def __init__(self, network, autocast):
        super().__init__()
        self.network, self.autocast = network, autocast

    def forward(self, inputs: torch.Tensor):
        with self.autocast():
            return self.network(inputs)


def _graphed(network, sample, autocast):
    """The forward and backward pass for batches like `sample` as one CUDA graph: F1 at 256 is bound by launches.

    Capturing runs the network, so its buffers and the device's random state are put back. Where a graph cannot be
    captured, a warning says so.
    """
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    random = torch.cuda.get_rng_state(sample.device)  # dropout draws from it
    try:
        with torch.cuda.device(sample.device):
            return torch.cuda.make_graphed_callables(_Forward(network.train(), autocast), (sample.clone(),))
    except RuntimeError as error:
        warnings.warn(f"no CUDA graph could be captured ({error}); training goes on, more slowly", stacklevel=2)
        return network
    finally:
        torch.cuda.set_rng_state(random, sample.device)
        with torch.no_grad():
            for name, b in network.named_buffers():
                b.copy_(buffers[name])


def batches(permutation: torch.Tensor, size: int) -> list[torch.Tensor]:
    """A permutation (N,) in batches, as `objective.spans` says."""
    return [permutation[part] for part in spans(len(permutation), size)]


def make_optimizer(run: Run, parameters: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    """The optimiser a run names, fused where PyTorch has it."""
    kinds = {
        "adam": lambda: torch.optim.Adam(
            parameters, run.lr, (run.beta1, run.beta2), run.adam_epsilon, run.weight_decay, fused=True
        ),
        "sgd": lambda: torch.optim.SGD(parameters, run.lr, run.momentum, weight_decay=run.weight_decay, fused=True),
        "adagrad": lambda: torch.optim.Adagrad(parameters, run.lr, weight_decay=run.weight_decay),
    }
    return kinds[run.optimizer]()


@torch.no_grad()
def measure(network: nn.Module, dataset: data.Data) -> dict[str, float]:
    """Loss and accuracy (percent): train in `batch` mode, test recalibrated; the network is left as it was.

    The pass over the training set that measures f also gathers the statistics for the test set.

    Args:
        network: at the point that is measured.
        dataset: its training and test set.

    Returns:
        {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}.
    """
    was_training = network.training
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    tallies = {"train": [], "test": []}
    count = lambda logits, at: tallies["train"].append(tally(logits, dataset.y_train[at : at + len(logits)]))
    recalibrate(network, dataset.x_train, EVALUATION_BATCH, count)
    network.eval()
    for inputs, labels in zip(dataset.x_test.split(EVALUATION_BATCH), dataset.y_test.split(EVALUATION_BATCH)):
        tallies["test"].append(tally(network(inputs), labels))
    for name, b in network.named_buffers():
        b.copy_(buffers[name])
    network.train(was_training)
    out = {}
    for split, parts in tallies.items():
        size = len(dataset.split(split)[1])
        loss, right = (sum(of).item() for of in zip(*parts))
        out |= {f"{split}_loss": loss / size, f"{split}_accuracy": 100 * right / size}
    return out


@contextlib.contextmanager
def _precision(precision: str, device):
    """A context for training in a precision, whatever the caller has switched on; it yields what a step is to be taken
    in."""
    kind = torch.device(device).type
    with machine.plain(tf32=precision == "tf32"):
        yield lambda: torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


def _save(path, state) -> None:
    """Write a checkpoint beside the old one, then put it in its place, so that a kill leaves one of the two whole."""
    try:
        with machine.replacing(path) as fresh:
            torch.save(state, fresh)
    except RuntimeError as error:  # what PyTorch makes of a full disk
        raise OSError(f"{path} could not be written ({error}); is the disk full?") from error

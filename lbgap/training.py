"""Training: a Run says what, `train` does it, a Minimizer is where it ended (Eq. 2, section 2)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import time
import warnings

import torch
import torch.nn.functional as F
from torch import nn

from . import data, networks
from .objective import flat, recalibrate, spans, tally, unflat
from .results import content_id

EVALUATION_BATCH = 5000  # as in the authors' code


@dataclasses.dataclass(frozen=True)
class Run:
    """What to train: everything that can change the result; its `id` is a hash of its content.

    network, dataset, batch_size: as `networks.build` and `data.load` name them; batch_size in examples.
    seed: sets init_seed (the start x0) and order_seed (order of examples, dropout) unless these are given;
      runs of one init_seed start at one x0, whatever their batch size.
    optimizer: "adam" (default, the paper's), "sgd" (with `momentum`) or "adagrad"; lr 1e-3 at every batch size,
      beta1 0.9, beta2 0.999 and adam_epsilon 1e-8, the defaults of the authors' Keras; weight_decay is L2.
    epochs: how many, 100 by default; a cap when a stopping rule is given:
      patience: stop when f has not improved for so many epochs; stop_loss: stop at a mean running loss below this.
    precision: "float32", or "tf32" and "bf16", which round inside matrix products of the training only.
    label_noise, noise_seed: share of training labels replaced, and the seed of the draw.

    Raises ValueError when a value makes no sense; it names the value and what was expected.
    """

    network: str
    dataset: str
    batch_size: int
    seed: dataclasses.InitVar[int] = 0
    variant: str = "code"
    init: str = "glorot"
    optimizer: str = "adam"
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    adam_epsilon: float = 1e-8
    momentum: float = 0.9
    weight_decay: float = 0.0
    epochs: int = 100
    patience: int | None = None
    stop_loss: float | None = None
    precision: str = "float32"
    label_noise: float = 0.0
    noise_seed: int = 0
    init_seed: int | None = None
    order_seed: int | None = None

    def __post_init__(self, seed):
        if seed and seed not in (self.init_seed, self.order_seed) and None not in (self.init_seed, self.order_seed):
            raise ValueError(f"seed is {seed}, but init_seed is {self.init_seed} and order_seed {self.order_seed}, so it would "
                             "do nothing; expected seed alone, or these two")
        for name in ("init_seed", "order_seed"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, seed)
        known = {
            "network": networks.NETWORKS, "dataset": data.CLASSES, "variant": ("code", "text"),
            "init": networks.INITS, "optimizer": ("adam", "sgd", "adagrad"), "precision": ("float32", "tf32", "bf16"),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(values)}")
        for name, low in (("batch_size", 1), ("epochs", 1), ("lr", 0), ("patience", 1), ("stop_loss", 0)):
            value = getattr(self, name)
            if value is not None and not (value >= low and value > 0):
                raise ValueError(f"{name} is {value}; expected a number greater than 0")
        if not 0 <= self.label_noise < 1:
            raise ValueError(f"label_noise is {self.label_noise}; expected a share in [0, 1)")

    @property
    def spec(self) -> dict:
        """The content that is hashed: what must always be told, and every other field that is not its default.

        A field added later, with a default that means "as before", therefore leaves every id as it was.
        """
        always = ("network", "dataset", "batch_size", "init_seed", "order_seed")
        return {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self)
            if f.name in always or getattr(self, f.name) != f.default
        }

    @property
    def id(self) -> str:
        """The first 24 hex digits of the sha256 of `spec`."""
        return content_id(self.spec)

    @property
    def noise(self) -> tuple[float, int]:
        """(label_noise, noise_seed), as `data.load` takes them."""
        return self.label_noise, self.noise_seed


@dataclasses.dataclass
class Minimizer:
    """Where a run ended.

    x: (n,) float32, all trainable parameters, flat, in the network's order. buffers: the network's buffers by name.
    history: lists with one entry an epoch. "train_loss" and "train_accuracy" are f and its accuracy (percent) in
      `batch` mode; "test_loss" and "test_accuracy" are recalibrated; "running_loss" is the mean mini-batch loss seen
      while training; "distance" is ||x - x0||. diverged: the loss became infinite or NaN, and training stopped there.
    """

    run: Run
    x: torch.Tensor
    buffers: dict[str, torch.Tensor]
    history: dict[str, list[float]]
    diverged: bool = False
    seconds: float = 0.0  # of wall time that training took, all sittings together

    def network(self) -> nn.Module:
        """A fresh network at x, in eval mode."""
        network = networks.build(self.run.network, self.run.variant, self.run.init_seed, self.run.init).to(self.x.device)
        with torch.no_grad():
            for p, part in zip(network.parameters(), unflat(self.x, list(network.parameters()))):
                p.copy_(part)
            for name, b in network.named_buffers():
                b.copy_(self.buffers[name])
        return network.eval()

    def save(self, path) -> None:
        """Write x, buffers, history and run as one safetensors file."""
        from safetensors.torch import save_file

        meta = {"run": self.run.spec, "history": self.history, "diverged": self.diverged, "seconds": self.seconds}
        meta = {k: json.dumps(v) for k, v in meta.items()}
        save_file({"x": self.x.cpu(), **{f"buffer.{k}": v.cpu() for k, v in self.buffers.items()}}, str(path), meta)

    @classmethod
    def open(cls, path) -> "Minimizer":
        """Read what `save` wrote. Raises FileNotFoundError."""
        from safetensors import safe_open

        if not pathlib.Path(path).exists():
            raise FileNotFoundError(f"{path} does not exist; expected a minimiser saved as safetensors")
        with safe_open(str(path), "pt") as f:
            meta = {k: json.loads(v) for k, v in f.metadata().items()}
            meta["run"] = Run(**meta["run"])
            buffers = {k[7:]: f.get_tensor(k) for k in f.keys() if k.startswith("buffer.")}
            return cls(x=f.get_tensor("x"), buffers=buffers, **meta)


def minimizer(name: str) -> Minimizer:
    """A packaged minimiser: "F1-SB" or "F1-LB", trial 0 of Table 2. Raises ValueError for another name."""
    folder = pathlib.Path(__file__).parent / "minimizers"
    known = sorted(path.stem for path in folder.glob("*.safetensors"))
    if name not in known:
        raise ValueError(f"minimizer {name!r} is unknown; expected one of {', '.join(known)}")
    return Minimizer.open(folder / f"{name}.safetensors")


class OutOfTime(Exception):
    """The deadline came; what was done so far is in the checkpoint."""


def train(run: Run, *, device="cpu", checkpoint=None, checkpoint_every: float = 30.0, deadline: float | None = None,
          progress: bool = True, on_epoch=None) -> Minimizer:
    """Train a network as `run` says, and return where it ended (Eq. 2).

    device: where; on CPU the same run on the same machine with the same number of threads gives the same bits.
    checkpoint: a file; training goes on from it if it exists, bit for bit as if it had never stopped (on CPU), and
      writes it at the end of an epoch when `checkpoint_every` seconds have passed, and at the very end.
    deadline: a time.monotonic() after which OutOfTime is raised at the end of an epoch, the checkpoint written.
    progress: show a bar. on_epoch(epoch, network): called after each epoch; it must leave the network as it is.

    Raises ValueError if the batch is larger than the training set.
    """
    dataset = data.load(run.dataset, device, *run.noise)
    inputs, labels = dataset.x_train, dataset.y_train
    if run.batch_size > len(inputs):
        raise ValueError(f"batch_size is {run.batch_size}, more than the {len(inputs)} examples of {run.dataset}; "
                         f"expected at most {len(inputs)}")
    network = networks.build(run.network, run.variant, run.init_seed, run.init).to(device)
    if any(isinstance(m, nn.Conv2d) for m in network):
        network, inputs = (t.to(memory_format=torch.channels_last) for t in (network, inputs))
    parameters = list(network.parameters())
    x0 = flat(parameters)
    optimizer = make_optimizer(run, parameters)
    order = torch.Generator().manual_seed(run.order_seed)
    history: dict[str, list[float]] = {}
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []

    with torch.random.fork_rng(devices=cuda), _precision(run.precision, device) as autocast:
        torch.manual_seed(run.order_seed)  # dropout
        state = None
        if checkpoint and pathlib.Path(checkpoint).exists():
            state = torch.load(checkpoint, map_location=device, weights_only=True)
            if state["run"] != run.spec:
                raise ValueError(f"{checkpoint} belongs to another run ({state['run']}); delete it or name another file")
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            order.set_state(state["order"].cpu())
            torch.set_rng_state(state["cpu_rng"].cpu())
            for d, s in zip(cuda, state["cuda_rng"]):
                torch.cuda.set_rng_state(s.cpu(), d)
            history = state["history"]
        epoch = len(history.get("train_loss", ()))
        bar = _bar(run, epoch) if progress else None
        saved = started = time.monotonic()
        earlier = state["seconds"] if state else 0.0
        diverged = bool(state and state["diverged"])
        forward = _graphed(network, inputs[: run.batch_size], autocast) if cuda else network
        while not diverged and not _finished(run, history):
            running = _epoch(run, network, forward, optimizer, inputs, labels, order, autocast)
            measured = {"running_loss": running, **measure(network, dataset),
                        "distance": (flat(parameters) - x0).double().norm().item()}
            for key, value in measured.items():
                history.setdefault(key, []).append(value)
            diverged = not all(map(math.isfinite, measured.values()))
            epoch += 1
            if on_epoch:
                on_epoch(epoch, network)
            if bar is not None:
                bar.set_postfix_str(f"f {measured['train_loss']:.2e}, test {measured['test_accuracy']:.2f} %")
                bar.update()
            late = deadline is not None and time.monotonic() > deadline
            done = diverged or _finished(run, history)
            if checkpoint and (late or done or time.monotonic() - saved >= checkpoint_every):
                _save(checkpoint, {
                    "run": run.spec, "network": network.state_dict(), "optimizer": optimizer.state_dict(),
                    "order": order.get_state(), "cpu_rng": torch.get_rng_state(),
                    "cuda_rng": [torch.cuda.get_rng_state(d) for d in cuda], "history": history, "diverged": diverged,
                    "seconds": earlier + time.monotonic() - started,
                })
                saved = time.monotonic()
            if late and not done:
                raise OutOfTime(f"{run.network} at batch {run.batch_size}: {epoch} epochs done")
        if bar is not None:
            bar.close()
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    return Minimizer(run, flat(parameters), buffers, history, diverged,
                     earlier + time.monotonic() - started)


def _finished(run: Run, history: dict) -> bool:
    f = history.get("train_loss", [])
    if len(f) >= run.epochs:
        return True
    if run.stop_loss is not None and f and history["running_loss"][-1] < run.stop_loss:
        return True
    return run.patience is not None and len(f) > run.patience and min(f[-run.patience:]) >= min(f[:-run.patience])


def _epoch(run, network, forward, optimizer, inputs, labels, order, autocast) -> float:
    """One pass over the shuffled training set; the mean running loss. `forward` serves batches of the full size."""
    network.train()
    total = torch.zeros((), dtype=torch.float64, device=inputs.device)
    permutation = torch.randperm(len(inputs), generator=order).to(inputs.device)
    for chosen in batches(permutation, run.batch_size):
        with autocast():
            logits = (forward if len(chosen) == run.batch_size else network)(inputs[chosen])  # (B, classes)
            loss = F.cross_entropy(logits, labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(chosen)
    return total.item() / len(inputs)


class _Forward(nn.Module):
    """A network's forward pass under autocast, so that the network itself keeps its own."""

    def __init__(self, network, autocast):
        super().__init__()
        self.network, self.autocast = network, autocast

    def forward(self, inputs):
        with self.autocast():
            return self.network(inputs)


def _graphed(network, sample, autocast):
    """The forward and backward pass for batches like `sample` as one CUDA graph: F1 at 256 is bound by launches.

    Capturing runs the network, so its buffers are put back. Where a graph cannot be captured, a warning says so.
    """
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    try:
        return torch.cuda.make_graphed_callables(_Forward(network.train(), autocast), (sample.clone(),))
    except RuntimeError as error:
        warnings.warn(f"no CUDA graph could be captured ({error}); training goes on without it, more slowly")
        return network
    finally:
        with torch.no_grad():
            for name, b in network.named_buffers():
                b.copy_(buffers[name])


def batches(permutation: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Split a permutation (N,) into batches, as `objective.spans` says."""
    return [permutation[part] for part in spans(len(permutation), size)]


def make_optimizer(run: Run, parameters) -> torch.optim.Optimizer:
    """The optimiser a run names, fused where PyTorch has it."""
    kinds = {
        "adam": lambda: torch.optim.Adam(parameters, run.lr, (run.beta1, run.beta2), run.adam_epsilon,
                                         run.weight_decay, fused=True),
        "sgd": lambda: torch.optim.SGD(parameters, run.lr, run.momentum, weight_decay=run.weight_decay, fused=True),
        "adagrad": lambda: torch.optim.Adagrad(parameters, run.lr, weight_decay=run.weight_decay),
    }
    return kinds[run.optimizer]()


@torch.no_grad()
def measure(network: nn.Module, dataset: data.Data) -> dict[str, float]:
    """Loss and accuracy (percent): train in `batch` mode, test recalibrated; the network is left as it was.

    The pass over the training set that measures f also gathers the statistics for the test set.
    """
    was_training = network.training
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    tallies = {"train": [], "test": []}
    recalibrate(network, dataset.x_train, EVALUATION_BATCH, lambda logits, start: tallies["train"].append(
        tally(logits, dataset.y_train[start : start + len(logits)])))
    network.eval()
    for inputs, labels in zip(dataset.x_test.split(EVALUATION_BATCH), dataset.y_test.split(EVALUATION_BATCH)):
        tallies["test"].append(tally(network(inputs), labels))
    for name, b in network.named_buffers():
        b.copy_(buffers[name])
    network.train(was_training)
    out = {}
    for split, parts in tallies.items():
        size = len(dataset.split(split)[1])
        out |= {f"{split}_loss": sum(loss for loss, _ in parts) / size,
                f"{split}_accuracy": 100 * sum(right for _, right in parts) / size}
    return out


@contextlib.contextmanager
def _precision(precision: str, device):
    """A context for autocast; TF32 is switched on for the duration only."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    kind = torch.device(device).type
    try:
        yield lambda: torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def _bar(run: Run, epoch: int):
    try:
        from tqdm.auto import tqdm
    except ImportError:  # a bare machine with torch, numpy and scipy only trains without a bar
        return None
    return tqdm(total=run.epochs, initial=epoch, desc=f"{run.network} batch {run.batch_size} seed {run.init_seed}",
                unit="epoch", mininterval=1)


def _save(path, state) -> None:
    """Write a checkpoint beside the old one, then put it in its place, so that a kill leaves one of the two whole."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    torch.save(state, fresh)
    os.replace(fresh, path)

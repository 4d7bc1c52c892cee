"""A Run: what to train (section 2). Its id is a hash of its content."""

from __future__ import annotations

import dataclasses
from functools import partial

from torch import nn

from . import data, field_checks, networks, remedies
from .results import content_id

DEAR = 10_000  # training examples: with more, f is not measured after every epoch where no rule needs it
_KNOWN = {
    "network": networks.NETWORKS,
    "dataset": data.CLASSES,
    "variant": ("code", "text"),
    "init": networks.INITS,
    "optimizer": ("adam", "sgd", "adagrad"),
    "precision": ("float32", "tf32", "bf16"),
    "activation": networks.ACTIVATIONS,
    "shrink": (1, 2, 4, 8),
    "carry": (True, False),
    "dropout": (True, False),
}
_above, _share = partial(field_checks.number, above=True), partial(field_checks.number, high=1, below=True)
CHECKS = {  # of each field but start and remedies
    **{name: partial(field_checks.choice, known=known) for name, known in _KNOWN.items()},
    **dict.fromkeys(("batch_size", "epochs", "patience", "stop_epochs"), partial(field_checks.count, low=1)),
    **dict.fromkeys(("init_seed", "order_seed", "noise_seed"), field_checks.count),
    **dict.fromkeys(("lr", "stop_loss", "stop_f"), _above),
    **dict.fromkeys(("adam_epsilon", "weight_decay", "lr_end"), field_checks.number),
    **dict.fromkeys(("beta1", "beta2", "momentum", "label_noise"), _share),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """What to train: everything that can change the result; its `id` is a hash of its content.

    Args:
        network, variant, init, activation, dropout, shrink: as in `networks.build`.
        dataset, label_noise, noise_seed: as in `data.load`.
        batch_size: examples a step; the paper's are 256 (SB) and 10 % of the training set (LB).
        seed: sets init_seed (the start x0) and order_seed (order of examples, dropout) unless these are given; runs of
            one init_seed start at one x0, whatever their batch size.
        optimizer: "adam" (the paper's), "sgd" (with `momentum`) or "adagrad".
        lr: the same at every batch size; it, beta1, beta2 and adam_epsilon are the defaults of the authors' Keras.
        weight_decay: L2.
        epochs: how many; a cap when a stopping rule is given.
        patience: stop when f has not improved for so many epochs.
        stop_loss: stop at a mean running loss below this.
        stop_f, stop_epochs: stop at an f below this in so many epochs running, f measured after each epoch as in Eq. 1.
            With batch norm f jumps from one epoch to the next, and one epoch below is no end.
        lr_end: if given, the rate falls from lr to it along a straight line, step by step, over `epochs`.
        start: another Run, where this one starts in place of a fresh x0 (Fig. 5's warm start); its order of examples is
            its own.
        carry: take over the optimiser's state from there too (Adam's moments); False resets it.
        precision: "float32", or "tf32" and "bf16", which round inside matrix products of the training only.
        remedies: of `lbgap.remedies`; one, several, or their specs.

    Raises:
        ValueError: when a value makes no sense; it names the value and what was expected.

    Source: section 2.2 for batch sizes and optimiser; the paper names no rate, so it is the authors' code's.

    >>> Run("F1", "mnist", 256).id  # a hash of the content: on every machine the same
    'f20eb39302c6a143de43c383'
    >>> Run("F1", "mnist", 256, lr=1e-3).id == Run("F1", "mnist", 256).id  # a default that is written out
    True
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
    activation: str = "relu"
    dropout: bool = True
    shrink: int = 1
    lr_end: float | None = None
    start: Run | None = None
    carry: bool = False
    stop_f: float | None = None
    stop_epochs: int = 1
    remedies: tuple = ()
    init_seed: int | None = None
    order_seed: int | None = None

    def __post_init__(self, seed):
        seed = field_checks.count("seed", seed)
        if seed and seed not in (self.init_seed, self.order_seed) and None not in (self.init_seed, self.order_seed):
            raise ValueError(
                f"seed is {seed}, but init_seed is {self.init_seed} and order_seed {self.order_seed}, so it would "
                "do nothing; expected seed alone, or these two"
            )
        for name in ("init_seed", "order_seed"):
            if getattr(self, name) is None:
                self._set(name, seed)
        for field in _FIELDS:
            value = getattr(self, field.name)
            if field.name in CHECKS and value is not field.default:  # which is in its form
                self._set(field.name, CHECKS[field.name](field.name, value))
        if (wanted := networks.input_shape(self.network)) != data.shape(self.dataset):
            fitting = [name for name in data.CLASSES if data.shape(name) == wanted]
            raise ValueError(
                f"dataset {self.dataset!r} has examples of shape {data.shape(self.dataset)}, but network "
                f"{self.network!r} takes {wanted}; expected one of {', '.join(fitting)}"
            )
        self._set("remedies", remedies.make(self.remedies))
        for remedy in self.remedies:
            remedy.fits(self)
        if isinstance(self.start, dict):
            try:
                self._set("start", Run(**self.start))
            except TypeError as error:  # a field that there is not, or one that is missing
                raise ValueError(f"start is {self.start} ({error}); expected a Run or its spec") from error
        if self.start is not None and not isinstance(self.start, Run):
            raise ValueError(f"start is {self.start!r}; expected a Run or its spec")
        for name in ("network", "variant", "activation", "shrink", "optimizer") if self.start else ():
            own, other = getattr(self, name), getattr(self.start, name)
            if own != other and (name != "optimizer" or self.carry):
                raise ValueError(f"{name} is {own!r}, but the run it starts from has {other!r}; expected the same")
        if self.carry and not self.start:
            raise ValueError("carry is True, but there is no start; expected start=, whose optimiser to take over")

    def _set(self, name: str, value):
        object.__setattr__(self, name, value)

    @property
    def spec(self) -> dict:
        """The content that is hashed: what must always be told, and every other field that is not its default.

        A field added later, with a default that means "as before", therefore leaves every id as it was.
        """
        always = ("network", "dataset", "batch_size", "init_seed", "order_seed")
        told = {f.name: vars(self)[f.name] for f in _FIELDS if f.name in always or vars(self)[f.name] != f.default}
        if self.remedies:
            told["remedies"] = [remedies.spec(remedy) for remedy in self.remedies]
        return told | ({"start": self.start.spec} if self.start else {})

    @property
    def id(self) -> str:
        """The first 24 hex digits of the sha256 of `spec`."""
        return content_id(self.spec)

    @property
    def trajectory(self) -> str:
        """The same for runs that differ in `epochs` only: they go along one path, as far as each goes."""
        return content_id({k: v for k, v in self.spec.items() if k != "epochs"})

    @property
    def noise(self) -> tuple[float, int]:
        """(label_noise, noise_seed), as `data.load` takes them."""
        return self.label_noise, self.noise_seed

    def looks(self, epoch: int, examples: int) -> bool:
        """Whether f, accuracy and all else in the history are measured after an epoch.

        After each one where a stopping rule needs it or the training set is small; else, as that would be a quarter of
        the work, after epochs 1, 2 and 4, every fifth and the last.

        Args:
            epoch: counted from 1.
            examples: in the training set.

        >>> [k for k in range(1, 13) if Run("F1", "mnist", 256, epochs=12).looks(k, 60_000)]
        [1, 2, 4, 5, 10, 12]
        """
        needed = self.patience or self.stop_loss is not None or self.stop_f is not None
        return bool(needed) or examples <= DEAR or epoch in (1, 2, 4, self.epochs) or epoch % 5 == 0

    def build(self) -> nn.Module:
        """The network at its seeded start (`start` is not looked at)."""
        form = self.variant, self.init_seed, self.init, self.activation, self.dropout, self.shrink
        return networks.build(self.network, *form, data.classes(self.dataset))

    def until(self, epoch: int) -> Run:
        """The same run up to an epoch: its iterate there, for Figs. 5 and 6.

        Args:
            epoch: the last one, counted from 1.

        Raises:
            ValueError: where another end is another path, since the rate falls towards it.
        """
        if self.lr_end is not None:
            raise ValueError(f"lr_end is {self.lr_end}, so the last epoch sets the rate; expected a constant rate")
        return dataclasses.replace(self, epochs=epoch)


_FIELDS = dataclasses.fields(Run)  # asked for with every run that is made

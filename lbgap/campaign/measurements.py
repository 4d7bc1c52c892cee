"""What each kind of unit measures, on minimisers that are trained first: one function a kind."""

from __future__ import annotations

import dataclasses
import pathlib
import time

import numpy as np
import torch

from .. import data, landscape, machine, metric, performance_model, same_function, speech, training
from .. import noise as gradient_noise
from .. import spectrum as hessian
from ..objective import Objective
from ..remedies import Augmentation
from ..training import Minimizer, OutOfTime, packaged
from .scales import EPSILONS
from .units import Unit, runs_of, subjects

OBJECTIVE = "split", "batch_size"  # settings of a unit that are the objective's, not the metric's
OURS = "kind run epsilons examples neighbours dtype match to twin augmented revision".split() + list(OBJECTIVE)


@dataclasses.dataclass(frozen=True)
class Subject:
    """What a unit is measured on.

    Args:
        minimizers: of the unit's runs, in the order of `runs_of`; none where a step is timed.
        dataset: of the first run, or None.
        device: where, as PyTorch names it.
        deadline: a time.monotonic() after which measuring raises OutOfTime, or None.
    """

    minimizers: list[Minimizer]
    dataset: data.Data | None = None
    device: str = "cpu"
    deadline: float | None = None

    def objective(self, minimizer: Minimizer, *arguments: object, **settings: object) -> _Punctual:
        """f of a minimiser on the data set, which raises OutOfTime after the deadline.

        Args:
            minimizer: of these.
            arguments, settings: of `Objective`.
        """
        return _Punctual(Objective(minimizer, *arguments, **{"dataset": self.dataset, **settings}), self.deadline)

    def few(self, count: int | None) -> data.Data:
        """The data set with so many of its training examples, evenly spaced, or with all of them without a count."""
        x, y = self.dataset.split("train")
        at = torch.arange(count or len(y), device=y.device) * len(y) // (count or len(y))
        return dataclasses.replace(self.dataset, x_train=x[at], y_train=y[at])


def compute(
    unit: Unit,
    work: pathlib.Path,
    device: str | torch.device = "cpu",
    deadline: float | None = None,
    progress: bool = True,
    keep: dict[str, list[int]] | None = None,
) -> tuple[dict, dict]:
    """Measure a unit on its minimisers, which are trained first where they are not there.

    A packaged minimiser is taken as it is, but where Adam's state at its end is measured, which it lacks.

    Args:
        unit: what to measure, see `units`.
        work: the folder of checkpoints.
        device: where.
        deadline: a time.monotonic() after which OutOfTime is raised, to go on another time.
        progress: show bars.
        keep: {Run.trajectory: epochs}, where training leaves checkpoints for units still to come.

    Returns:
        The result; and for its provenance the checksum of its data, None if it reads none, the threads it took, and
        {Run.id: checksum} of each x that was measured.
    """
    measure = KINDS[unit["kind"]]
    if unit["kind"] == "throughput":  # of a step, which needs no minimiser and no data
        return {"diverged": False, **measure(unit, Subject([], device=device))}, {"data": None}
    there = packaged if unit["kind"] != "edge" else lambda of: None
    settings = {"device": device, "deadline": deadline, "progress": progress}
    minimizers = [
        there(of)
        or training.train(of, checkpoint=work / f"{of.id}.pt", keep=(keep or {}).get(of.trajectory, ()), **settings)
        for of in runs_of(unit)
    ]
    of, n = minimizers[0].run, len(minimizers[0].x)
    dataset = data.load(of.dataset, device, *of.noise)
    if any(m.diverged for m in minimizers):
        result = {"diverged": True}
        if unit["kind"] == "train":
            result["history"] = looked_at(minimizers[0], len(dataset.y_train))
    else:
        # a GPU would round convolutions to TF32 by default, as coarsely as epsilon
        with machine.plain(), machine.sparing(n):
            result = {"diverged": False, **measure(unit, Subject(minimizers, dataset, device, deadline))}
    measured = {m.run.id: m.checksum for m in minimizers}
    return result, {"data": dataset.checksum, "threads": machine.threads(n), "x": measured}


def train(unit: Unit, on: Subject) -> dict:
    """History, distance, and loss and accuracy on both splits in all three batch-norm modes.

    Args:
        unit, on: what, and on what.

    Returns:
        With "hits", which test examples are classified right (recalibrated), eight to a byte in hex, to compare
        networks image by image; not of speech, whose neighbouring frames are no independent examples. With label noise
        "memorised", the share of the changed training labels that the network gives, in percent.
    """
    (m,) = on.minimizers
    final = {"batch": {}, "recalibrated": {}, "frozen": {}}
    for mode in final:
        for split in ("train", "test"):
            found = Objective(m, split, mode, dataset=on.dataset).evaluate(m.x)
            final[mode][split] = dict(zip(("loss", "accuracy"), found))
    told = {}
    if m.run.dataset.removesuffix("-val") not in speech.CLASSES:
        hits = Objective(m, "test", "recalibrated", dataset=on.dataset).hits(m.x)
        told["hits"] = np.packbits(hits.cpu().numpy()).tobytes().hex()
    if m.run.label_noise:
        changed = on.dataset.y_train != data.load(m.run.dataset, on.dataset.y_train.device).y_train
        learned = Objective(m, "train", "recalibrated", dataset=on.dataset).hits(m.x)
        told["memorised"] = 100 * learned[changed].double().mean().item()
    return {
        **told,
        "epochs": m.epochs,
        "distance": m.history["distance"][-1],
        "final": final,
        "history": looked_at(m, len(on.dataset.y_train)),
        "seconds": m.seconds,
    }


def looked_at(m: Minimizer, examples: int) -> dict:
    """The history at the epochs of `Run.looks` alone: where else training looked depends on what else was wanted.

    Args:
        m: whose history.
        examples: in the training set.
    """
    at = [k for k, epoch in enumerate(m.history["epoch"]) if m.run.looks(epoch, examples) or epoch == m.epochs]
    of_every_epoch = ("batch_size", "updates")
    return {key: values if key in of_every_epoch else [values[k] for k in at] for key, values in m.history.items()}


def sharpness(unit: Unit, on: Subject) -> dict:
    """Metric 2.1 at each epsilon, with the controls that are stored beside every value."""
    m, reference = (*on.minimizers, None)[:2]
    dataset = augmented(on.dataset) if unit.get("augmented") else on.dataset
    settings = {k: v for k, v in unit.items() if k not in OURS}
    dtype = getattr(torch, unit.get("dtype", "float32"))
    options = dict(dataset=dataset, dtype=dtype, **{k: unit[k] for k in OBJECTIVE if k in unit})
    out = {}
    if reference or "twin" in unit:
        m, out["match"] = matched(unit, m, reference, dataset)
        if m is None:
            return {**out, "values": []}
    f, x = Objective(m, **options), m.x.to(dtype)
    others = {mode: Objective(m, batch_norm=mode, **options) for mode in ("recalibrated", "frozen")}
    f0 = {mode: other.evaluate(x)[0] for mode, other in others.items()}
    g, found = _Punctual(f, on.deadline), {}
    smaller = None  # a box holds every smaller one, so a warm start makes sharpness grow with epsilon
    for epsilon in sorted(unit["epsilons"]):
        warm = {f"from {smaller:g}": found[smaller].position * (smaller / epsilon)} if smaller else {}
        found[epsilon] = metric.sharpness(g, x, epsilon, warm=warm, keep_point=True, **settings)
        smaller = epsilon if unit.get("neighbours") else None
    values = []
    for epsilon in unit["epsilons"]:
        s = found[epsilon]
        record = {field.name: getattr(s, field.name) for field in dataclasses.fields(s)}
        del record["point"], record["position"]
        record["accuracy_at_maximizer"] = f.accuracy(s.point)
        for mode, other in others.items():
            fmax = other.evaluate(s.point)[0]
            record[mode] = {"f0": f0[mode], "fmax": fmax, "value": 100 * (fmax - f0[mode]) / (1 + f0[mode])}
        double = found.get(2 * epsilon)
        if double and s.value > 0 and double.value > 0:
            record["exponent"] = float(torch.tensor(double.value / s.value).log2())
        values.append(record)
    return {**out, "values": values}


def matched(unit: Unit, m: Minimizer, reference: Minimizer | None, dataset: data.Data) -> tuple[Minimizer | None, dict]:
    """The minimiser rescaled, or None where that cannot be, and how far that changed f.

    Args:
        unit: says how: twin, by this factor; match="norms", to the reference's filter norms; match="loss", by a
            temperature to its loss, where that is higher.
        m: what is rescaled.
        reference: to what; None for a twin.
        dataset: on which f is measured.
    """
    f, told, how = Objective(m, dataset=dataset), {}, unit.get("match")
    before = f.evaluate(m.x)[0]
    if "twin" in unit:
        m = same_function.twin(m, unit["twin"])
    elif how == "norms":
        m = same_function.match_norms(m, reference)
    elif how == "loss":
        higher = Objective(reference, dataset=dataset).evaluate(reference.x)[0]
        if higher > before:  # a loss can be raised to that of any network that has learned something
            try:
                m, told["factor"] = same_function.match_loss(m, higher, f)
            except ValueError as error:  # no factor brings f there, which is a result, too
                return None, {"impossible": str(error)}
    else:
        raise ValueError(f'match is {how!r}; expected "norms" or "loss"')
    return m, {"f_before": before, "f_after": Objective(m, dataset=dataset).evaluate(m.x)[0], **told}


def path(unit: Unit, on: Subject) -> dict:
    """Loss and accuracy along a path, on both splits; with match="norms" to the large end at the small end's filter
    norms."""
    small, large = on.minimizers
    out = {}
    if "match" in unit:
        large, out["match"] = matched(unit, large, small, on.dataset)
    alphas = np.linspace(-1, 2, unit["points"]) if "points" in unit else landscape.ALPHAS
    for split in ("train", "test"):
        f = on.objective(small, split)
        p = landscape.KINDS[unit["path"]](f, small.x, large.x, alphas)
        out |= {"alpha": p.alpha.tolist(), f"{split}_loss": p.loss.tolist(), f"{split}_accuracy": p.accuracy.tolist()}
    return out


def spectrum(unit: Unit, on: Subject) -> dict:
    """The Hessian of f: both ends and its density; and Metric 2.1 in the space of its top eigenvectors, with what they
    predict."""
    (m,) = on.minimizers
    f = on.objective(m, dataset=on.few(unit.get("examples")))
    settings = {k: v for k, v in unit.items() if k not in OURS}
    s = hessian.spectrum(f, m.x, keep_vectors=True, **settings)
    out = {field.name: getattr(s, field.name) for field in dataclasses.fields(s) if field.name != "vectors"}
    out = {k: v.tolist() if isinstance(v, (np.ndarray, torch.Tensor)) else v for k, v in out.items()}
    out["in_top_space"] = []
    for e in EPSILONS:
        predicted, measured = hessian.quadratic_sharpness(f, m.x, e, s), metric.sharpness(f, m.x, e, matrix=s.vectors)
        out["in_top_space"].append({"epsilon": e, "predicted": predicted, "measured": measured.value})
    return out


def directions(unit: Unit, on: Subject) -> dict:
    """How f rises along random directions and along the Hessian's top ones, all as long as the box's half-diagonal."""
    (m,) = on.minimizers
    f = on.objective(m)
    count, steps = unit.get("count", 100), unit.get("steps", 48)
    length = (unit["epsilon"] * (m.x.abs() + 1)).double().norm().item()
    of_few = on.objective(m, dataset=on.few(unit.get("examples")))
    top = hessian.spectrum(of_few, m.x, top=min(10, steps), probes=1, steps=steps, keep_vectors=True).vectors
    return {
        "length": length,
        "random": hessian.rises(f, m.x, hessian.random_directions(m.x, count, 0), length).tolist(),
        "hessian": hessian.rises(f, m.x, top.T, length).tolist(),
    }


def noise(unit: Unit, on: Subject) -> dict:
    """The gradient noise scale in mini-batches of the unit's size."""
    (m,) = on.minimizers
    f = Objective(m, dataset=on.dataset)
    found = gradient_noise.noise_scale(f, m.x, unit["batch_size"])
    return {"f": f.evaluate(m.x)[0], **dataclasses.asdict(found)}


def edge(unit: Unit, on: Subject) -> dict:
    """The largest eigenvalue of the Hessian and of Adam's preconditioned Hessian, against the edge of stability."""
    (m,) = on.minimizers
    f = on.objective(m)
    settings = {k: unit[k] for k in ("steps",) if k in unit}
    out = {"f": f.evaluate(m.x)[0]}
    for name, preconditioner in (("plain", None), ("preconditioned", m.preconditioner)):
        out[name], out[f"{name}_residual"] = hessian.edge(f, m.x, preconditioner, **settings)
    return out


def augmented(dataset: data.Data) -> data.Data:
    """The data set with each training image mirrored, turned and shifted once, always alike, by E.1's numbers."""
    x = dataset.x_train
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        torch.manual_seed(0)
        return dataclasses.replace(dataset, x_train=torch.cat([*map(Augmentation().augmented, x.split(5000))]))


def throughput(unit: Unit, on: Subject) -> dict:
    """Examples a second of a training step.

    Args:
        unit, on: what, and on which device.

    Raises:
        ValueError: on another kind of device than the unit's, whose speed it is.
    """
    kind = torch.device(on.device).type
    if kind != unit["device"]:
        raise ValueError(f"device is {kind}, but the unit times a step on {unit['device']}; expected that device")
    settings = {k: unit[k] for k in ("seconds",) if k in unit}
    return dataclasses.asdict(performance_model.throughput(subjects(unit)[0], on.device, **settings))


KINDS = {m.__name__: m for m in (train, sharpness, path, spectrum, directions, noise, edge, throughput)}


class _Punctual:
    """f, which raises OutOfTime after a deadline."""

    def __init__(self, f, deadline):
        self.f, self.deadline = f, deadline

    def __getattr__(self, name):  # evaluate, hvp, examples
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime("in the middle of a measurement")
        return getattr(self.f, name)

    def __call__(self, x):
        return self.__getattr__("__call__")(x)

    def subset(self, count, seed=0):
        return _Punctual(self.f.subset(count, seed), self.deadline)

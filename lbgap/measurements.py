"""What each kind of unit measures, on minimisers that are trained first: one function a kind."""

from __future__ import annotations

import dataclasses
import pathlib
import time

import numpy as np
import torch

from . import data, landscape, metric, noise, rescaling, spectrum
from .objective import Objective
from .training import OutOfTime, float32, train
from .units import EPSILONS, runs_of

OBJECTIVE = ("split", "batch_size")  # settings of a unit that are the objective's, not the metric's
OURS = ("kind", "run", "epsilons", "neighbours", "dtype", "match", "to", *OBJECTIVE)


def compute(unit: dict, work: pathlib.Path, device="cpu", deadline=None, progress=True, ways=None) -> tuple[dict, str]:
    """The result of a unit, and the checksum of its data. Trains what it needs, from the checkpoint where there is one.

    work: the folder of checkpoints. deadline: a time.time() after which OutOfTime is raised, to go on another time.
    ways: {Run.trajectory: epochs}, where training leaves checkpoints for units still to come.
    """
    minimizers = [train(of, device=device, checkpoint=work / f"{of.id}.pt", deadline=deadline, progress=progress,
                        keep=(ways or {}).get(of.trajectory, ())) for of in runs_of(unit)]
    of = minimizers[0].run
    dataset = data.load(of.dataset, device, *of.noise)
    if any(m.diverged for m in minimizers):
        result = {"diverged": True}
        if unit["kind"] == "train":
            result["history"] = minimizers[0].history
    else:
        with float32(device):  # a GPU would round convolutions to TF32 by default, as coarsely as epsilon
            result = {"diverged": False, **KINDS[unit["kind"]](unit, minimizers, dataset, deadline)}
    return result, dataset.checksum


def trained(unit, minimizers, dataset, deadline) -> dict:
    """History, distance, and loss and accuracy on both splits in all three batch-norm modes (reading.md, 7).

    hits: which test examples are classified right (recalibrated), eight to a byte in hex, for a bootstrap over them.
    """
    (m,) = minimizers
    final = {mode: {split: dict(zip(("loss", "accuracy"), Objective(m, split, mode, dataset=dataset).evaluate(m.x)))
                    for split in ("train", "test")} for mode in ("batch", "recalibrated", "frozen")}
    hits = Objective(m, "test", "recalibrated", dataset=dataset).hits(m.x)
    return {"epochs": len(m.history["train_loss"]), "distance": m.history["distance"][-1], "final": final,
            "hits": np.packbits(hits.cpu().numpy()).tobytes().hex(), "history": m.history, "seconds": m.seconds}


def measured(unit, minimizers, dataset, deadline) -> dict:
    """Metric 2.1 at each epsilon, with the controls that are stored beside every value."""
    m, *reference = minimizers
    settings = {k: v for k, v in unit.items() if k not in OURS}
    dtype = getattr(torch, unit.get("dtype", "float32"))
    options = dict(dataset=dataset, dtype=dtype, **{k: unit[k] for k in OBJECTIVE if k in unit})
    out = {}
    if reference:
        m, out["match"] = matched(unit["match"], m, *reference, dataset)
        if m is None:
            return {**out, "values": []}
    f, x = Objective(m, **options), m.x.to(dtype)
    others = {mode: Objective(m, batch_norm=mode, **options) for mode in ("recalibrated", "frozen")}
    g, found = _Punctual(f, deadline), {}
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
            at = other.evaluate(x)[0], other.evaluate(s.point)[0]
            record[mode] = {"f0": at[0], "fmax": at[1], "value": 100 * (at[1] - at[0]) / (1 + at[0])}
        double = found.get(2 * epsilon)
        if double and s.value > 0 and double.value > 0:
            record["exponent"] = float(torch.tensor(double.value / s.value).log2())
        values.append(record)
    return {**out, "values": values}


def matched(how: str, m, reference, dataset):
    """The minimiser rescaled, or None where that cannot be, and how far that changed f.

    "norms": to the reference's filter norms. "loss": by a temperature to the reference's loss, where that is higher.
    """
    f, told = Objective(m, dataset=dataset), {}
    before = f.evaluate(m.x)[0]
    if how == "norms":
        m = rescaling.match_norms(m, reference)
    elif how == "loss":
        higher = Objective(reference, dataset=dataset).evaluate(reference.x)[0]
        if higher > before:  # a loss can be raised to that of any network that has learned something
            try:
                m, told["factor"] = rescaling.match_loss(m, higher, f)
            except ValueError as error:  # no factor brings f there, which is a result, too
                return None, {"impossible": str(error)}
    else:
        raise ValueError(f'match is {how!r}; expected "norms" or "loss"')
    return m, {"f_before": before, "f_after": Objective(m, dataset=dataset).evaluate(m.x)[0], **told}


def walked(unit, minimizers, dataset, deadline) -> dict:
    """Loss and accuracy along a path, on both splits; with match="norms" to the large end at the small end's filter norms."""
    small, large = minimizers
    out = {}
    if "match" in unit:
        large, out["match"] = matched(unit["match"], large, small, dataset)
    alphas = np.linspace(-1, 2, unit["points"]) if "points" in unit else landscape.ALPHAS
    for split in ("train", "test"):
        f = _Punctual(Objective(small, split, dataset=dataset), deadline)
        p = landscape.KINDS[unit["path"]](f, small.x, large.x, alphas)
        out |= {"alpha": p.alpha.tolist(), f"{split}_loss": p.loss.tolist(), f"{split}_accuracy": p.accuracy.tolist()}
    return out


def spectral(unit, minimizers, dataset, deadline) -> dict:
    """The Hessian of f: both ends and its density; and Metric 2.1 in the space of its top eigenvectors, with what they predict."""
    (m,) = minimizers
    f = _Punctual(Objective(m, dataset=dataset), deadline)
    settings = {k: v for k, v in unit.items() if k not in OURS}
    s = spectrum.spectrum(f, m.x, keep_vectors=True, **settings)
    out = {field.name: getattr(s, field.name) for field in dataclasses.fields(s) if field.name != "vectors"}
    out = {k: v.tolist() if isinstance(v, (np.ndarray, torch.Tensor)) else v for k, v in out.items()}
    out["in_top_space"] = [
        {"epsilon": e, "predicted": spectrum.quadratic_sharpness(f, m.x, e, s),
         "measured": metric.sharpness(f, m.x, e, matrix=s.vectors).value} for e in EPSILONS]
    return out


def directed(unit, minimizers, dataset, deadline) -> dict:
    """How f rises along random directions and along the Hessian's top ones, all as long as the box's half-diagonal."""
    (m,) = minimizers
    f = _Punctual(Objective(m, dataset=dataset), deadline)
    count, steps = unit.get("count", 100), unit.get("steps", 48)
    length = (unit["epsilon"] * (m.x.abs() + 1)).double().norm().item()
    top = spectrum.spectrum(f, m.x, top=min(10, steps), probes=1, steps=steps, keep_vectors=True).vectors
    return {"length": length,
            "random": spectrum.rises(f, m.x, spectrum.random_directions(m.x, count, 0), length).tolist(),
            "hessian": spectrum.rises(f, m.x, top.T, length).tolist()}


def noisy(unit, minimizers, dataset, deadline) -> dict:
    """The gradient noise scale in mini-batches of the unit's size."""
    (m,) = minimizers
    f = Objective(m, dataset=dataset)
    found = noise.noise_scale(f, m.x, unit["batch_size"])
    return {"f": f.evaluate(m.x)[0], **dataclasses.asdict(found)}


KINDS = {"train": trained, "sharpness": measured, "path": walked, "spectrum": spectral, "directions": directed, "noise": noisy}


class _Punctual:
    """f, which raises OutOfTime after a deadline."""

    def __init__(self, f, deadline):
        self.f, self.deadline = f, deadline

    def __call__(self, x):
        self._check()
        return self.f(x)

    def evaluate(self, x):
        self._check()
        return self.f.evaluate(x)

    def hvp(self, x, v):
        self._check()
        return self.f.hvp(x, v)

    def _check(self):
        if self.deadline is not None and time.time() > self.deadline:
            raise OutOfTime("in the middle of a measurement")

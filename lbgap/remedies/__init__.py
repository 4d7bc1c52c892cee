"""Remedies: what may help a large batch, each a frozen dataclass of its numbers in one short file, and a row in
REMEDIES.

Appendix E and section 4 of the paper, and what came after it. `Run(..., remedies=[Conservative()])` trains with them.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn

from .. import field_checks
from .adversarial import Adversarial
from .augmentation import Augmentation
from .conservative import Conservative
from .ghost import Ghost
from .growth import Growth, VarianceTest
from .injected import Injected
from .penalty import GradientPenalty
from .remedy import Batch, Remedy, Step, layers
from .sam import SAM
from .schedule import Schedule
from .sharpen import Sharpen
from .stability import Stability

REMEDIES = {
    "augmentation": Augmentation,  # E.1
    "conservative": Conservative,  # E.2
    "adversarial": Adversarial,  # E.3
    "stability": Stability,  # E.3
    "growth": Growth,  # section 4
    "variance_test": VarianceTest,  # section 4
    "ghost": Ghost,
    "schedule": Schedule,
    "injected": Injected,
    "sam": SAM,
    "sharpen": Sharpen,  # a control
    "penalty": GradientPenalty,
}
_NAMES = {cls: name for name, cls in REMEDIES.items()}
Some = Remedy | dict | Iterable[Remedy | dict]  # a remedy or its spec, or several


def spec(remedy: Remedy) -> dict:
    """{"name": ..., and every field that is not its default}: what is hashed.

    >>> spec(SAM(rho=0.05)), spec(SAM(rho=0.1))
    ({'name': 'sam'}, {'name': 'sam', 'rho': 0.1})
    """
    told = {f.name: getattr(remedy, f.name) for f in dataclasses.fields(remedy) if getattr(remedy, f.name) != f.default}
    return {"name": _NAMES[type(remedy)], **told}


def use(network: nn.Module, optimizer: torch.optim.Optimizer, remedies: Some, loss: Callable = F.cross_entropy) -> Step:
    """Remedies in a training loop of the reader's own: step(inputs, labels) in place of zero_grad, backward and step.

    ```python
    step = lbgap.remedies.use(network, optimizer, [SAM(rho=0.05)])
    for inputs, labels in loader:
        loss = step(inputs, labels)
    ```

    Args:
        network: in training mode, on the data's device.
        optimizer: of its parameters, any that needs no closure.
        remedies: one or several that act inside a step; the loop itself chooses batch sizes and rates.
        loss: loss(output, labels), a mean over examples; for `Injected` one of PyTorch's modules, or a function that
            also takes reduction="none".

    Raises:
        ValueError: for a remedy that changes batch sizes or rates, that `make` refuses, or that needs a batch norm
            where there is none; and for an optimiser of another network.
    """
    if not isinstance(optimizer, torch.optim.Optimizer) or isinstance(optimizer, torch.optim.LBFGS):
        told = f"optimizer is a {type(optimizer).__name__}"
        raise ValueError(f"{told}; expected a torch.optim.Optimizer whose step() needs no closure")
    remedies = make(remedies)
    for remedy in remedies:
        if asked := {"size", "rate"} & set(layers(remedy)):
            what = " and ".join({"size": "batch size", "rate": "learning rate"}[layer] for layer in sorted(asked))
            told = f"{type(remedy).__name__} sets the {what} by epoch"
            raise ValueError(f"{told}, as your own loop does; expected such as act in a step, SAM or Ghost")
        remedy.suits(network)
    step = Step(types.SimpleNamespace(remedies=remedies), network, optimizer, None, loss=loss)
    if not {*step.parameters} & {*network.parameters()}:
        raise ValueError("optimizer moves no parameter of the network; expected one that was made of them")
    return step


def make(remedies: Some) -> tuple[Remedy, ...]:
    """Remedies in the order of REMEDIES, so that the same ones are the same.

    Args:
        remedies: one or several, themselves or their specs.

    Raises:
        ValueError: for an unknown name or number, and for two that would stand in for one layer of a step.

    >>> make([{"name": "ghost", "examples": 32}, SAM(rho=0.05)])
    (Ghost(examples=32), SAM(rho=0.05, examples=None, adaptive=False))
    """
    out = []
    several = isinstance(remedies, Iterable) and not isinstance(remedies, dict | str)
    for given in remedies if several else [remedies]:
        if isinstance(given, dict):
            name, numbers = given.get("name"), {k: v for k, v in given.items() if k != "name"}
            known = [f.name for f in dataclasses.fields(REMEDIES[field_checks.choice("remedy", name, REMEDIES)])]
            if unknown := set(numbers) - set(known):
                told = ", ".join(sorted(map(str, unknown)))
                raise ValueError(f"remedy {name} has no {told}; expected {', '.join(known)}")
            given = REMEDIES[name](**numbers)
        if type(given) not in _NAMES:
            raise ValueError(f"remedies has {given!r}; expected remedies such as lbgap.remedies.Conservative()")
        out.append(given)
    out.sort(key=lambda r: list(REMEDIES).index(_NAMES[type(r)]))
    taken = {}
    for remedy in out:
        for layer in layers(remedy):
            if layer in taken:
                both = f"{_NAMES[type(taken[layer])]} and {_NAMES[type(remedy)]}"
                raise ValueError(f"remedies {both} both stand in for the step's {layer}; expected one of them")
            taken[layer] = remedy
    return tuple(out)

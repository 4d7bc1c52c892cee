"""Sliders over what is measured, which work in a page without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .comparisons import EPSILON
from .words import NOT_YET, Text, known

if TYPE_CHECKING:
    from ..explorers import SweepExplorer

Slider: TypeAlias = "SweepExplorer | Text"  # a sentence where nothing is measured

LANDING = {"mlp": "without batch norm", "mlp-bn": "with batch norm"}  # what a reader calls the laboratory's networks
ACCURACY = {"test accuracy": {"percent": True, "short": "accuracy"}}
LOSS = {"training loss f": {"log": True, "short": "f"}}
SHARPNESS = {"sharpness": {"log": True, "label": f"Sharpness at ε = {EPSILON:g}"}}


def slider(found: dict[str, list[tuple]], panels: dict[str, dict], **words: Any) -> Slider:
    """A slider over the choices of which the last series is measured, on all of their places; a sentence where none is.

    Args:
        found: {choice: its places (k,) and values (series, k, trials), for each panel}.
        panels: what the panels show, as `SweepExplorer` takes it, but for the values.
        words: more for `SweepExplorer`.
    """
    from ..explorers import SweepExplorer

    at = sorted({place for of in found.values() for places, _ in of for place in places})
    found = {choice: of for choice, of in found.items() if any(len(known(values[-1])) for _, values in of)}
    if not found:
        return NOT_YET
    series, _, trials = np.max([np.shape(values) for of in found.values() for _, values in of], 0)
    whole = np.full((len(panels), len(found), series, len(at), trials), np.nan)
    for c, of in enumerate(found.values()):
        for p, (places, values) in enumerate(of):
            whole[p, c][:, np.searchsorted(at, places), : np.shape(values)[2]] = values
    shown = {name: {**panel, "values": values} for (name, panel), values in zip(panels.items(), whole)}
    return SweepExplorer(at, shown, choices=[LANDING.get(choice, choice) for choice in found], **words)

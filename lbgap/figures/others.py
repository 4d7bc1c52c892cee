"""What others have measured, from others.json, beside ours where the two can be compared."""

from __future__ import annotations

import json
import pathlib

from ..campaign import scales
from ..results import arrays
from .comparisons import KEY
from .statistics import ahead, gap
from .words import Text, known, spread

FILE = pathlib.Path(__file__).parent.parent / "others.json"


def _on_f1(**settings) -> str:
    found = {key: arrays.sharpness(arrays.pairs("F1")["LB"], epsilon, **settings) for epsilon, key in KEY.items()}
    told = [f"{spread(values)} at {key}" for key, values in found.items() if len(known(values))]
    return "; ".join(told) or "not measured yet"


def _batches(small: int, large: int) -> str:
    runs = [[scales.laboratory("mlp", b, t) for t in scales.scale().trials] for b in (small, large)]
    found = gap(*runs)
    return "not measured yet" if found.interval is None else f"`mlp`: {ahead(found, f'batch {small}', f'{large}')}"


OURS = {  # what of ours stands beside an entry, by its name there
    "sharpness of F1": _on_f1,
    "ten iterations on F1": lambda: _on_f1(solver="literal"),
    "32 against 512": lambda: _batches(32, 512),
}


def others() -> Text:
    """Every entry of others.json: who, what, what they found, and ours; a line each, which a phone can show."""
    lines = []
    for entry in json.loads(FILE.read_text(encoding="utf-8")):
        ours = OURS[entry["ours"]]() if entry["ours"] else "nothing comparable"
        who = f"[{entry['who']}]({entry['source']})"
        lines.append(f"- **{who}**: {entry['what']}. *They found* {entry['found']}. *Ours:* {ours}.")
    return Text("\n".join(lines))

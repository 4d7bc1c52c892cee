"""How the stored results were made: of what kind they are, by which machines, and when."""

from __future__ import annotations

from collections import Counter

from .. import results
from .words import Text, number, table

KINDS = {  # of a unit, in words
    "train": "a network, trained",
    "sharpness": "a sharpness, at one or several epsilons",
    "path": "a walk between two minima",
    "spectrum": "the Hessian's eigenvalues",
    "directions": "the rise along single directions",
    "edge": "the curvature along training",
    "throughput": "the speed of a step",
}


def how_made() -> Text:
    """How many stored documents there are of each kind, what they cost, and which machines and versions made them."""
    documents = [results.read(path) for path in results.Store().paths()]
    if not documents:
        return Text("Nothing is stored yet.")
    kinds, hours = Counter(), Counter()
    for document in documents:
        kinds[document["spec"]["kind"]] += 1
        hours[document["spec"]["kind"]] += document["provenance"].get("seconds", 0) / 3600
    rows = [[KINDS.get(kind, kind), f"{n:,}", number(hours[kind], 1)] for kind, n in kinds.most_common()]
    made = [document["provenance"] for document in documents]
    devices = Counter(of["device"] for of in made)
    days = sorted(of["date"][:10] for of in made)
    torch = sorted({of["versions"]["torch"] for of in made})
    return Text(
        f"{table('what was measured | documents | hours', rows)}\n\nThey were made from {days[0]} to {days[-1]}, on"
        f" {', '.join(f'{device} ({n:,})' for device, n in devices.most_common())}, with PyTorch {', '.join(torch)},"
        f" from {len({of['commit'] for of in made})} states of the code. The hours are those of one processor core or"
        " device at a time, as each document notes them."
    )

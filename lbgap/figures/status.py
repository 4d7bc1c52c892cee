"""Status: which experiments are done, and what is missing."""

from __future__ import annotations

from ..campaign import experiments, order
from ..results import arrays
from .words import Networks, Text, names, table


def progress(networks: Networks = order.CPU) -> Text:
    """Which experiments are done, and what is missing."""
    rows, networks = [], [network for network in names(networks) if not arrays.waiting(network)]
    for name, experiment in experiments.EXPERIMENTS.items():
        wanted = order.wanted([name], networks)
        done = sum(arrays.document(unit) is not None for unit in wanted)
        if wanted:
            rows.append([experiment.title, f"{done} of {len(wanted)}", "done" if done == len(wanted) else "missing"])
    return table(f"experiment, {', '.join(networks)} | measurements | ", rows, (1,))

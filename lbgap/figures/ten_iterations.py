"""The solver story of section 2.2.2: what ten iterations of L-BFGS-B find, beside the best that we can."""

from __future__ import annotations

import numpy as np

from .. import paper
from ..campaign import experiments, scales
from ..results import arrays
from .comparisons import EPSILON, KEY, training_loss
from .panels import Picture, canvas, look
from .words import ARMS, NOT_YET, Networks, Text, known, short, spread

SOLVERS = {"best": {}, "literal": {"solver": "literal"}}
MEASURED = (*scales.SHOWN, *scales.LABS)


def found(networks: Networks = MEASURED) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """{(network, arm): {solver: sharpness (T,)}} of the trials that both solvers have measured; of the laboratory its
    smallest and its largest batch."""
    out = {}
    for network in networks:
        ends = [] if arrays.waiting(network) else [experiments.ends(network, t) for t in scales.scale().trials]
        for arm, runs in zip(ARMS, zip(*ends)):
            both = {solver: arrays.sharpness(runs, EPSILON, **settings) for solver, settings in SOLVERS.items()}
            there = ~np.isnan(sum(both.values()))
            if there.any():
                out[network, arm] = {solver: values[there] for solver, values in both.items()}
    return out


def drawn(networks: Networks = MEASURED) -> Picture:
    """What either solver finds at either end of each network: a line from ten iterations (hollow) to our best
    (filled)."""
    every = found(networks)
    figure, (ax,) = canvas(1, columns=1, height=max(1.5, 0.4 * len(every)))
    for k, ((_, arm), of) in enumerate(every.items()):
        ax.plot([of["literal"], of["best"]], np.full((2, len(of["best"])), -k), color=look(arm)["color"], lw=1)
        for solver, values in of.items():
            style = look(arm, ls="", ms=6, mfc="white" if solver == "literal" else None)
            ax.plot(values, np.full(len(values), -k), **style, label=f"{arm}, {solver}")
    ax.set_yticks(-np.arange(len(every)), [", ".join(key) for key in every])
    ax.set(xscale="log" if every else "linear", xlabel=f"sharpness, epsilon {EPSILON:g}")
    return figure


def reached(networks: Networks = MEASURED) -> Text:
    """How much of what `best` finds the ten iterations reach, by network: the median over the trials."""
    every = found(networks)
    share = {key: short(np.median(100 * of["literal"] / of["best"])) for key, of in every.items()}
    both = lambda network: [f"{share[network, arm]} % for {arm}" for arm in ARMS if (network, arm) in share]
    lines = [f"- {network}: {' and '.join(both(network))}" for network in dict.fromkeys(n for n, _ in every)]
    return Text("\n".join(lines)) if lines else NOT_YET


def trained_as_far(network: str = "F1") -> Text:
    """Whether our minima are trained as far as the paper's, by their training accuracy."""
    said, theirs = [], paper.cell("table2", network)["train"]
    for arm, runs in arrays.pairs(network).items():
        ours, f = arrays.final(runs, "train"), training_loss(runs)
        if len(known(ours)):
            mean, deviation = theirs[arm]
            said.append(f"{arm}: ours {spread(ours)} % (f {spread(f)}), the paper's {mean:.2f} ± {deviation:.2f} %")
    return Text(f"Training accuracy on {network}: {'; '.join(said)}.") if said else NOT_YET


def in_other_units(network: str = "F1", scale: float | str = "metric") -> Text:
    """What the ten iterations find for either end where they are handed the metric itself, beside the paper's Table
    3."""
    said, theirs = [], paper.cell("table3", network)
    for epsilon, key in KEY.items():
        for arm, runs in arrays.pairs(network).items():
            values = arrays.sharpness(runs, epsilon, solver="literal", scale=scale)
            if len(known(values)):
                mean, deviation = theirs[key][arm]
                said.append(f"- {arm}, epsilon {key}: {spread(values)}; the paper has {mean:.2f} ± {deviation:.2f}")
    return Text("\n".join(said)) if said else NOT_YET

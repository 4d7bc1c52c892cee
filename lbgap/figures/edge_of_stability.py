"""The edge of stability: how curved f is along training, against what the step size can bear (Cohen et al. 2021,
2022)."""

from __future__ import annotations

import math

import numpy as np

from ..campaign import scales, units
from ..results import arrays
from ..run import Run
from .comparisons import networks_of
from .panels import Picture, each, look
from .words import ARMS, Networks, Text, by_network, folded, number

KINDS = {"plain": "Hessian", "preconditioned": "preconditioned Hessian"}
NEAR = 0.8  # of the edge: a run that comes so near is said to reach it


def levels(of: Run) -> dict[str, float]:
    """The edge by kind: 2 / eta of gradient descent, and of Adam (2 + 2 beta1) / ((1 - beta1) eta), 38 / eta at 0.9."""
    return {"plain": 2 / of.lr, "preconditioned": (2 + 2 * of.beta1) / ((1 - of.beta1) * of.lr)}


def along(of: Run) -> dict[str, np.ndarray]:
    """Of a run's measured iterates: epoch, step, "plain" and "preconditioned" eigenvalue, and the largest share "off"
    that is their residual.

    An epoch after the run's end is the end, once. Adam divides its mean gradient by 1 - beta1^t at step t, as if the
    preconditioner were so much smaller: so is the preconditioned eigenvalue corrected, as Cohen et al. do.
    """
    batches, end = arrays.batches(of), arrays.epochs([of])[0]
    found = {}
    for k in scales.scale().iterates:
        r = arrays.result(units.edge(scales.iterate(of, k)))
        epoch = int(np.nanmin([k, end, of.epochs]))
        if r and epoch not in found:
            off = max(r[f"{kind}_residual"] / abs(r[kind]) for kind in KINDS)
            corrected = r["preconditioned"] / (1 - of.beta1 ** (epoch * batches))
            found[epoch] = epoch, epoch * batches, r["plain"], corrected, off
    return dict(zip(("epoch", "step", *KINDS, "off"), np.array(list(found.values()), float).reshape(-1, 5).T))


def first_epoch(network: str) -> int:
    """The first epoch that the verdict counts, in both arms alike: by then either has taken 1 / (1 - beta1) steps.

    Adam's mean gradient is no mean before that, and the preconditioner of the very first steps is one gradient's size:
    a run passes through them whatever the curvature.
    """
    return max(math.ceil(1 / (1 - of.beta1) / arrays.batches(of) - 1e-9) for of in scales.pair(network, 0))


def edge(networks: Networks = None) -> Picture:
    """The largest eigenvalue of the Hessian and of Adam's preconditioned Hessian along training, each with its edge as
    a line.

    Grey: the epochs that the verdict does not count.
    """

    def draw(ax, panel):
        network, kind = panel
        for arm, runs in arrays.pairs(network, arrays.trials("edge")).items():
            for of in runs:
                found = along(of)
                if len(found["epoch"]):
                    ax.plot(found["epoch"], found[kind], **look(arm, lw=1.2), label=arm)
                    ax.set(xscale="log", yscale="log")
                    ax.axhline(levels(of)[kind], color="k", lw=0.9, ls=":", label="edge of stability")
        if kind == "preconditioned" and ax.has_data() and (first := first_epoch(network)) > 1:
            ax.axvspan(ax.get_xlim()[0], first, color="0.9", zorder=0, label="not counted")
        label = "largest eigenvalue" if kind == "plain" else None
        ax.set(title=f"{network}, {KINDS[kind]}", xlabel="epoch", ylabel=label)

    return each([(network, kind) for network in networks_of("edge", networks) for kind in KINDS], draw)


def edge_verdict(networks: Networks = None) -> Text:
    """Whether LB reaches Adam's edge along training and SB stays below it, trial by trial.

    Judged from `first_epoch` on, in both arms.
    """

    def sentence(network):
        if arrays.waiting(network):
            return None
        said, reach, off, early, first = [], {}, [], {}, first_epoch(network)
        for arm, runs in arrays.pairs(network, arrays.trials("edge")).items():
            each = [along(of) for of in runs]
            near = [found["preconditioned"] / levels(of)["preconditioned"] for found, of in zip(each, runs)]
            late = [found["epoch"] >= first for found in each]
            shares = [share[there] for share, there in zip(near, late) if there.any()]
            if not shares:
                return None
            off += [value for found in each for value in found["off"]]
            early[arm] = max((value for share, there in zip(near, late) for value in share[~there]), default=0)
            reach[arm] = [bool(s.max() >= NEAR) for s in shares]
            said += [
                f"{arm} comes up to {' and '.join(number(s.max()) for s in shares)} times the edge and ends at "
                f"{' and '.join(number(s[-1]) for s in shares)}"
            ]
        words = {
            (True, False): "LB reaches the edge and SB stays below it",
            (True, True): "both reach the edge",
            (False, False): "neither reaches the edge",
            (False, True): "SB reaches the edge and LB stays below it",
        }
        settled = all(len(set(reach[arm])) == 1 for arm in ARMS)
        word = words[reach["LB"][0], reach["SB"][0]] if settled else "the trials disagree"
        some = {arm: len(shares) for arm, shares in reach.items()}
        before = (
            f"Counted from epoch {first} on, in both arms; before it SB comes up to {number(early['SB'])} times the"
            f" edge and LB up to {number(early['LB'])}. "
        )
        return folded(
            f"**Verdict, {network}: {word}{f', from epoch {first} on' if any(early.values()) else ''}.**",
            f"Preconditioned, trial by trial: {'; '.join(said)} (trials: SB {some['SB']}, LB {some['LB']};"
            f' "reaches" means at least {NEAR} of it). {before if any(early.values()) else ""}An eigenvalue is at most'
            f" {number(100 * max(off), 1)} % off.",
        )

    return by_network(networks_of("edge", networks), sentence)

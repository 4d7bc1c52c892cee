"""In which order units are computed: most valuable first, none twice."""

from __future__ import annotations

from collections.abc import Iterable

from . import experiments
from .scales import LABS, run, scale
from .treatments import TREATMENTS
from .units import Unit

Names = Iterable[str] | None
# one whole trial of these is worth more than five of the first
CORE = ("laboratory", "table2", "table3", "fig3", "fig7", "literal")
CPU = ("F1", *LABS, "F1-5k", "wide", "F2-lj", "C1-text")  # what two cores can do in hours or days
_WHOLE = ("table2", "table3", "literal", "norm_matched", "fig3", "fig7", "table4", "solvers", "settled")
# what two cores compute first, row by row, a row trial by trial: (experiments, networks, trials, all by default)
FIRST = (
    (("laboratory", "benches", "bench_paths", "causal_grid", "twins", "edge", "tuning", *TREATMENTS), LABS, None),
    (("laboratory_way", "laboratory_hessian", "laboratory_rates"), LABS, None),
    (_WHOLE, ("C1-text",), (0, 1, 2)),
    (("matched_loss",), ("C1-text",), (0,)),
    (_WHOLE, ("F1",), (0, 1, 2)),
    (("matched_loss",), ("F1",), (0,)),
    (("table2", "table3", "norm_matched", "fig3", "fig7"), ("C1",), (0,)),
    (("table2", "table3", "norm_matched", "fig3", "fig7"), ("C1-bf16",), (0, 1)),
    (("table2", "table3", "norm_matched", "fig3", "fig7"), ("C1",), (1,)),
    (("fig6",), ("C1-text",), (0, 1)),
    (("fig6",), ("F1",), (0,)),
    (("spectrum", "directions"), ("C1-text", "F1"), (0,)),
    (("fig4",), ("C1-text",), (0, 1, 2)),
    (("fig4",), ("F1",), (0,)),
    (("fig5", "fig5_controls"), ("C1-text",), (0,)),
    (_WHOLE, ("C1-text", "F1"), (3, 4)),
)


def wanted(names: Names = None, networks: Names = None, trials: Iterable[int] | None = None) -> list[Unit]:
    """The units of the named experiments at the present scale, most valuable first, none twice.

    First the experiments of CORE, trial by trial, then the others, each trial by trial.

    Args:
        names: of EXPERIMENTS, all by default.
        networks: those that have a data set at this scale by default, but for F2 on TIMIT, which few hold.
        trials: the scale's own by default, and no others where an experiment has fewer.

    Raises:
        ValueError: for an unknown experiment or network.
    """
    names = _names(names)
    for network in networks or ():
        if network not in scale().datasets:
            run(network, 1, 0)  # says which there are, and why this one is not
    networks, found = networks or [network for network in scale().datasets if network != "F2-timit"], {}
    for stage in [[name for name in names if name in CORE], *([name] for name in names if name not in CORE)]:
        chosen = {name: experiments.trials_of(name, trials) for name in stage}
        for trial in sorted(set().union(*chosen.values())):
            for name in stage:
                for network in networks if trial in chosen[name] else ():
                    if has(name, network):
                        found.update({repr(unit): unit for unit in experiments.EXPERIMENTS[name].units(network, trial)})
    return list(found.values())


def has(name: str, network: str) -> bool:
    """Whether an experiment is for a network.

    >>> has("fig4", "F1"), has("fig4", "mlp")
    (True, False)
    """
    return {"F2-timit": "F2"}.get(network, network) in experiments.EXPERIMENTS[name].networks


def check(names: Names = None, networks: Names = None, trials: Iterable[int] | None = None) -> None:
    """Raise ValueError for an experiment, network or trial that there is not, or that none of the experiments has.

    Args:
        names, networks, trials: as in `wanted`.
    """
    names = _names(names)
    for network in networks or ():
        run(network, 1, 0)  # says which there are, if it is not there
        if not any(has(name, network) for name in names):
            known = dict.fromkeys(n for name in names for n in experiments.EXPERIMENTS[name].networks)
            raise ValueError(f"network {network!r} has no {' or '.join(names)}; expected one of {', '.join(known)}")
    known = set().union(*map(experiments.trials_of, names))
    for trial in trials or ():
        if trial not in known:
            told = ", ".join(map(str, sorted(known)))
            raise ValueError(f"trial {trial} is not one of these experiments'; expected one of {told}")


def _names(names) -> list[str]:
    for name in names or ():
        if name not in experiments.EXPERIMENTS:
            raise ValueError(f"experiment {name!r} is unknown; expected one of {', '.join(experiments.EXPERIMENTS)}")
    return list(names or experiments.EXPERIMENTS)


def rows() -> list[tuple[str, list[Unit]]]:
    """FIRST, row by row.

    Returns:
        (what, its units, trial by trial and without those of a row before) for each row.
    """
    out, seen = [], set()
    for names, networks, trials in FIRST:
        chosen = scale().trials if trials is None else trials
        found = {repr(unit): unit for trial in chosen for unit in wanted(names, networks, [trial])}
        what = f"{', '.join(networks)}: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"
        what += f", trial{'' if len(chosen) == 1 else 's'} {', '.join(map(str, chosen))}"
        out.append((what, [unit for name, unit in found.items() if name not in seen]))
        seen |= set(found)
    return out


def first() -> list[Unit]:
    """The units of `rows`, and after them all others that two cores can do: what a CPU computes by default, in this
    order."""
    found = [unit for _, units in rows() for unit in units]
    return list({repr(unit): unit for unit in [*found, *wanted(networks=CPU)]}.values())

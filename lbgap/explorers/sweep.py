"""Slide along any rising axis: one to three charts, each with one to three series, every trial a dot."""

from collections.abc import Sequence

import traitlets

from lbgap.explorers.explorer import Explorer, Values, array, axis, human, mean, np, source


def listed(name: str, given: Sequence[str], count: int | None = None) -> list[str]:
    """What a caller gave as a list of names.

    Args:
        name: of the argument, for the message.
        given: the names.
        count: how many there must be; at least one by default.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(given, str) or not len(given) or len(given) != (count or len(given)):
        many = f"{count} names" if count else f"at least one name: {name}=({given!r},)"
        raise ValueError(f"{name} is {given!r}; expected a sequence of {many}")
    return [str(one) for one in given]


class SweepExplorer(Explorer):
    """Charts against one axis, along which a slider goes. Its caption tells mean ± deviation at the slider's place, and
    compares: a single series with the axis' first place, else the last series with each other at this place.

    Args:
        at: (K,), rising: the slider's places.
        panels: one to three, by what they show, such as "test accuracy": dict(values=(choices, series, K, trials)), and
            if need be percent=True, log=True, label= above the chart and short=, its name in comparisons.
        label: of the axis, such as "Batch size".
        place: of the slider in a sentence, such as "after epoch {}"; the axis' label and the value by default.
        series: one to three names, such as ("SB", "LB").
        choices: one name for each network, or whatever the reader chooses among, such as ("mlp", "mlp-bn").
        offered: what the choices are.
        names: (K,), of the places, where their numbers are not.
        log: whether the axis is logarithmic.
        position: where the slider begins, counted from 0, or from the end as -1.
        title: above the picture.

    Raises:
        ValueError: when a shape, a unit or an order is wrong.
    """

    _esm = source("sweep.js")
    arm = traitlets.Int(0, min=0, help="which choice is shown, counted from 0").tag(sync=True)

    def __init__(
        self,
        at: Values,
        panels: dict[str, dict],
        *,
        label: str,
        place: str = "",
        series: Sequence[str] = ("",),
        choices: Sequence[str] = ("",),
        offered: str = "Networks",
        names: Sequence[str] | None = None,
        log: bool = False,
        position: int = -1,
        title: str = "",
        **more: dict,
    ):
        at, series, choices = axis("at", at, positive=log), listed("series", series), listed("choices", choices)
        if not 0 < len(panels) <= 3 or len(series) > 3:
            raise ValueError(f"{len(panels)} panels of {len(series)} series; expected one to three of either")
        meta = {"title": title, "at": at.tolist(), "axis": label, "series": series, "choices": choices, "log": log}
        meta |= {"lower": label[:1].lower() + label[1:], "offered": offered, "others": "The others"}
        meta |= {"names": names and listed("names", names, len(at)), "panels": [], **more.get("meta", {})}
        meta["place"] = place or meta["lower"] + " {}"
        arrays, shape = {**more.get("arrays", {})}, (len(choices), len(series), len(at), "trials")
        for name, panel in panels.items():
            told, values = _panel(name, len(series), **panel)
            values = array(f"panels[{name!r}]['values']", values, shape, percent=bool(told["unit"]))
            arrays |= {key: values[:, s] for s, key in enumerate(told["keys"])}
            meta["panels"].append(told)
        super().__init__(arrays, meta, _summary(arrays, meta), position=range(len(at))[position])

    def _draw(self, figure):
        data, meta = self.arrays(), self.meta
        several = len(meta["series"]) > 1  # a column for each choice, else one for all
        columns, lines = (meta["choices"], meta["series"]) if several else ([""], meta["choices"])
        figure.set_size_inches(max(6.6, 2.6 * len(columns)), 4.6)
        grid = figure.subplots(len(meta["panels"]), len(columns), sharex=True, sharey="row", squeeze=False)
        for row, panel in zip(grid, meta["panels"]):
            for ax, shown in zip(row, np.stack([data[key] for key in panel["keys"]], several)):
                for values, name, (mark, dash) in zip(shown, lines, zip("osDv^" * 9, ("-", "--", ":", "-.") * 9)):
                    drawn = ax.plot(meta["at"], mean(values, -1), dash + mark, label=name)
                    ax.plot(meta["at"], values, mark, color=drawn[0].get_color(), markersize=3, alpha=0.4)
                if (paper := f"paper_{panel['keys'][0]}") in data:
                    ax.plot(meta["paper"], data[paper], "D", color="black", fillstyle="none", label="the paper")
                ax.set(xscale="log" if meta["log"] else "linear")
                ax.set(yscale="log" if panel["log"] and (shown > 0).any() else "linear")
                if meta["names"]:
                    ax.set_xticks(meta["at"], meta["names"], fontsize="small", rotation=30 * several)
                    ax.set_xticks([], minor=True)
                ax.grid(alpha=0.3)
            row[0].set_ylabel(_capital(panel["name"]) + panel["unit"].replace(" ", ", "))
        for top, bottom, choice in zip(grid[0], grid[-1], columns):
            top.set_title(choice, fontsize="medium")
            bottom.set_xlabel(meta["axis"])
        if any(lines) or "paper" in meta:
            grid[0, 0].legend()


def _capital(text):
    return text[:1].upper() + text[1:]


def _panel(name, count, *, values, percent=False, log=False, label="", short=""):
    """What the browser is told of a panel with `count` series, and its values."""
    told = {"name": name, "short": short or name, "unit": " %" if percent else "", "log": log}
    told["keys"] = [told["short"], *(f"{told['short']}.{s}" for s in range(1, count))]
    return {**told, "label": label or _capital(name) + (" (%)" if percent else "")}, values


def _summary(arrays, meta):
    """The picture in words: of all choices from the first place to the last; of the first alone with several series."""
    said, places = [], meta["names"] or [f"{place:,g}" for place in meta["at"]]
    for k, choice in enumerate(meta["choices"][: 1 if meta["series"][1:] else None]):
        ends = lambda key: " to ".join(map(human, mean(arrays[key][k], -1)[[0, -1]]))
        parts = (
            f"{panel['name']}{' of ' if series else ''}{series} goes from {ends(key)}{panel['unit']}"
            for panel in meta["panels"]
            for key, series in zip(panel["keys"], meta["series"])
        )
        said.append(f"{choice}{': ' if choice else ''}{' and '.join(parts)}")
    shown, along = " and ".join(panel["name"] for panel in meta["panels"]), f"from {places[0]} to {places[-1]}"
    return f"{_capital(shown)} against {meta['lower']}, {along}. {_capital('; '.join(said))}."

"""Slide through the remedies: how many points each gains, and how sharp it ends."""

from collections.abc import Sequence

import traitlets

from lbgap.explorers.explorer import Explorer, Values, array, human, source


class ScoreboardExplorer(Explorer):
    """Points of test accuracy over plain LB against sharpness over plain LB's, a mark for each remedy.

    The chosen one has its intervals. `figures.scoreboard_data` gives all of these.

    Args:
        remedies: (R,), names.
        gain: (N, R, 3), points over plain LB, a value and both ends of its 95 % interval; NaN = not measured, or
            without an interval.
        ratio: (N, R, 3), sharpness over plain LB's.
        left: (N, R, 3), points that plain SB is ahead of the remedy.
        trials: (N, R).
        networks: (N,), names.
        small: the remedy that is called so, plain SB, has a mark of its own.
        title: above the picture.

    Raises:
        ValueError: when a shape or a unit is wrong.
    """

    _esm = source("scoreboard.js")
    network = traitlets.Int(0, min=0, help="which network is shown, counted from 0").tag(sync=True)

    def __init__(
        self,
        remedies: Sequence[str],
        gain: Values,
        ratio: Values,
        left: Values,
        trials: Values,
        *,
        networks: Sequence[str] = ("",),
        small: str = "plain SB",
        title: str = "",
    ):
        for name, given in (("remedies", remedies), ("networks", networks)):
            if isinstance(given, str) or not len(given):
                raise ValueError(f"{name} is {given!r}; expected a sequence of at least one name: {name}=({given!r},)")
        shape = len(networks), len(remedies)
        given = {"gain": gain, "ratio": ratio, "left": left}
        arrays = {name: array(name, values, (*shape, 3)) for name, values in given.items()}
        arrays["trials"] = array("trials", trials, shape)
        if (bad := arrays["ratio"][arrays["ratio"] <= 0]).size:
            told = "positive numbers, since its axis is logarithmic, and NaN where there is none"
            raise ValueError(f"ratio has {bad[0]:g}; expected {told}")
        meta = {"title": title, "small": small, "remedies": [str(name) for name in remedies]}
        meta["networks"] = [str(name) for name in networks]
        said = []
        for network, gains, ratios in zip(meta["networks"], arrays["gain"], arrays["ratio"], strict=True):
            known = [line for line in zip(meta["remedies"], gains, ratios, strict=True) if line[1][0] == line[1][0]]
            told = (f"{who} {human(g)} points at {human(r)} times the sharpness" for who, (g, *_), (r, *_) in known)
            said.append(f"{network + ': ' if network else ''}{', '.join(told) or 'not measured'}")
        said = f"Points of test accuracy over plain LB, and sharpness over plain LB's. {'; '.join(said)}."
        super().__init__(arrays, meta, said)

    def _draw(self, figure):
        data, networks = self.arrays(), self.meta["networks"]
        panels = figure.subplots(1, len(networks), squeeze=False)[0]
        for k, (network, panel) in enumerate(zip(networks, panels, strict=True)):
            panel.axvline(1, color="grey", linestyle=":", label="plain LB")
            panel.axhline(0, color="grey", linestyle=":")
            for i, name in enumerate(self.meta["remedies"]):
                (g, *y), (r, *x) = data["gain"][k, i].tolist(), data["ratio"][k, i].tolist()
                small = name == self.meta["small"]
                style = {"color": "black", "fillstyle": "none", "label": name} if small else {"color": "C0"}
                panel.plot(r, g, "D" if small else "o", **style)
                panel.plot((r, r), y, "-", x, (g, g), "-", color="C0", alpha=0.3)
                if g == g and r == r and not small:
                    panel.annotate(name, (r, g), xytext=(3, 3), textcoords="offset points", fontsize=5)
            panel.set(title=network, xscale="log", xlabel="sharpness over plain LB's")
            panel.set_ylabel(None if k else "points over plain LB")
            panel.xaxis.set_minor_formatter("")
            panel.grid(alpha=0.3)
        figure.axes[0].legend(fontsize="small")

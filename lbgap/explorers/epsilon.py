"""Slide over the size of the box: how sharpness depends on epsilon, the space and the solver (Tables 3 and 4)."""

import numpy as np
import traitlets

from lbgap.explorers.explorer import Explorer, Values, array, axis, human, keys, mean, source


class EpsilonExplorer(Explorer):
    """Sharpness of small- and large-batch minimisers against epsilon, both axes logarithmic, every trial a dot.

    Args:
        epsilons: (E,), positive, rising.
        curves: label -> dict(small=(trials, E), large=(trials, E)), labels such as "full space, best" or "subspace p =
            100, best". NaN = not measured at that epsilon; values of zero or less lie on a floor line.
        title: above the picture.

    Raises:
        ValueError: when a key, a shape or an order is wrong.
    """

    _esm = source("epsilon.js")
    curve = traitlets.Int(0, min=0, help="which curve is shown, counted from 0").tag(sync=True)

    def __init__(self, epsilons: Values, curves: dict[str, dict[str, Values]], *, title: str = ""):
        eps = axis("epsilons", epsilons, positive=True)
        if not isinstance(curves, dict) or not curves:
            told = "a dict with at least one curve: {label: dict(small=..., large=...)}"
            raise ValueError(f"curves is {curves!r:.60}; expected {told}")
        arrays = {}
        for c, (label, given) in enumerate(curves.items()):
            keys(f"curves[{label!r}]", given, ("small", "large"))
            for side in ("small", "large"):
                arrays[f"{c}.{side}"] = array(f"curves[{label!r}][{side!r}]", given[side], ("trials", len(eps)))
        meta = {"title": title, "epsilons": eps.tolist(), "curves": [str(label) for label in curves]}
        start = int(np.abs(np.log(eps / 1e-3)).argmin())
        at = lambda c, side: human(mean(arrays[f"{c}.{side}"])[start])
        told = "{}: {} for the small batch, {} for the large"
        said = [told.format(label, at(c, "small"), at(c, "large")) for c, label in enumerate(meta["curves"])]
        super().__init__(arrays, meta, f"Sharpness at epsilon {eps[start]:g}. " + "; ".join(said) + ".", position=start)

    def _draw(self, figure):
        data, labels = self.arrays(), self.meta["curves"]
        columns = 2 if len(labels) in (2, 4) else min(3, len(labels))
        panels = figure.subplots(-(-len(labels) // columns), columns, sharex=True, sharey=True, squeeze=False)
        for panel in panels.flat[len(labels) :]:
            panel.set_axis_off()
        drawable = any((values > 0).any() for values in data.values())
        for c, (panel, label) in enumerate(zip(panels.flat, labels, strict=False)):
            for side, style in (("small", "-o"), ("large", "--s")):
                values = data[f"{c}.{side}"]
                drawn = panel.plot(self.meta["epsilons"], mean(values), style, label=side + " batch")
                dots = {"color": drawn[0].get_color(), "markersize": 3, "alpha": 0.4}
                panel.plot(self.meta["epsilons"], values.T, style[-1], **dots)
            panel.set(xscale="log", yscale="log" if drawable else "linear", xlabel="ε")
            panel.set_title(label, fontsize="small")
            panel.tick_params(labelbottom=True)
            panel.grid(alpha=0.3)
        for row in panels:
            row[0].set_ylabel("Sharpness")
        panels[0, 0].legend()

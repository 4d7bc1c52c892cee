"""Slide over the size of the box: how sharpness depends on epsilon, the space and the solver (Tables 3 and 4)."""

from lbgap.explorers.explorer import Values, array, axis, keys, np
from lbgap.explorers.sweep import SweepExplorer

SIDES = "small", "large"


class EpsilonExplorer(SweepExplorer):
    """Sharpness of small- and large-batch minimisers against epsilon, both axes logarithmic, every trial a dot.

    Args:
        epsilons: (E,), positive, rising.
        curves: label -> dict(small=(trials, E), large=(trials, E)), labels such as "full space, best" or "subspace p =
            100, best". NaN = not measured at that epsilon; values of zero or less lie on a floor line.
        title: above the picture.

    Raises:
        ValueError: when a key, a shape or an order is wrong.
    """

    def __init__(self, epsilons: Values, curves: dict[str, dict[str, Values]], *, title: str = ""):
        eps, parts = axis("epsilons", epsilons, positive=True), []
        if not isinstance(curves, dict) or not curves:
            raise ValueError(f"curves is {curves!r:.60}; expected a dict with at least one curve, {{label: dict(...)}}")
        for label, given in curves.items():
            keys(f"curves[{label!r}]", given, SIDES)
            parts += [array(f"curves[{label!r}][{side!r}]", given[side], ("trials", len(eps))) for side in SIDES]
        values = np.full((len(parts), len(eps), max(map(len, parts))), np.nan)
        for whole, part in zip(values, parts):
            whole[:, : len(part)] = part.T
        panels = {"sharpness": {"values": values.reshape(-1, len(SIDES), *values.shape[1:]), "log": True}}
        told = {"label": "Box size ε", "place": "ε = {}", "series": [f"{side} batch" for side in SIDES], "log": True}
        start = int(np.abs(np.log(eps / 1e-3)).argmin())
        super().__init__(eps, panels, choices=tuple(curves), offered="Measured", position=start, title=title, **told)

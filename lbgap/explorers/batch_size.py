"""Slide over the batch size: test accuracy and sharpness (Figure 4)."""

from collections.abc import Sequence

import traitlets

from lbgap.explorers.explorer import Explorer, Values, array, axis, human, mean, source


class BatchSizeExplorer(Explorer):
    """Test accuracy and sharpness against the batch size, every trial a dot.

    Args:
        batch_sizes: (K,), rising.
        accuracy: (arms, K, trials), test accuracy in percent; NaN = not measured.
        sharpness: (arms, K, trials), Metric 2.1 at `epsilon`; NaN = not measured.
        title: above the picture.
        epsilon: of the sharpness.
        arms: one name for each arm, such as ("without batch norm", "with batch norm").
        paper: the paper's own points, drawn hollow: dict(batch_sizes=(M,), accuracy=(M,) and/or sharpness=(M,)).
        sharpness_axis: "log" or "linear".

    Raises:
        ValueError: when a shape, a unit or an order is wrong.
    """

    _esm = source("batch_size.js")
    arm = traitlets.Int(0, min=0, help="which arm is shown, counted from 0").tag(sync=True)

    def __init__(
        self,
        batch_sizes: Values,
        accuracy: Values,
        sharpness: Values,
        *,
        title: str = "",
        epsilon: float = 1e-3,
        arms: Sequence[str] = ("",),
        paper: dict[str, Values] | None = None,
        sharpness_axis: str = "log",
    ):
        sizes = axis("batch_sizes", batch_sizes, positive=True)
        if isinstance(arms, str) or not len(arms):
            raise ValueError(f"arms is {arms!r}; expected a sequence of at least one name: arms=({arms!r},)")
        if not epsilon > 0:
            raise ValueError(f"epsilon is {epsilon!r}; expected a positive number, such as 1e-3")
        if sharpness_axis not in ("log", "linear"):
            raise ValueError(f'sharpness_axis is {sharpness_axis!r}; expected "log" or "linear"')
        shape = (len(arms), len(sizes), "trials")
        arrays = {"accuracy": array("accuracy", accuracy, shape, percent=True)}
        arrays["sharpness"] = array("sharpness", sharpness, shape)
        meta = {"title": title, "batch_sizes": sizes.tolist(), "epsilon": float(epsilon)}
        meta |= {"log": sharpness_axis == "log", "arms": [str(name) for name in arms]}
        if paper is not None:
            known = {"batch_sizes", "accuracy", "sharpness"}
            if not isinstance(paper, dict) or not {"batch_sizes"} < set(paper) <= known:
                told = "dict(batch_sizes=(M,), accuracy=(M,), sharpness=(M,)), with either of the last two or both"
                raise ValueError(f"paper is {paper!r}; expected {told}")
            meta["paper"] = axis("paper['batch_sizes']", paper["batch_sizes"], positive=True).tolist()
            for name in set(paper) - {"batch_sizes"}:
                shape, percent = (len(meta["paper"]),), name == "accuracy"
                arrays[f"paper_{name}"] = array(f"paper[{name!r}]", paper[name], shape, percent=percent)
        said, means = [], (mean(arrays[name], -1) for name in ("accuracy", "sharpness"))
        for name, a, s in zip(meta["arms"], *means, strict=True):
            told = f"{name + ': ' if name else ''}from batch size {sizes[0]:,g} to {sizes[-1]:,g} test accuracy goes"
            told += f" from {human(a[0])} to {human(a[-1])} % and sharpness at epsilon {epsilon:g}"
            said.append(f"{told} from {human(s[0])} to {human(s[-1])}")
        said = f"Test accuracy and sharpness against batch size. {'; '.join(said)}."
        super().__init__(arrays, meta, said, position=len(sizes) - 1)

    def _draw(self, figure):
        top, bottom = figure.subplots(2, sharex=True)
        data, sizes = self.arrays(), self.meta["batch_sizes"]
        for panel, name, label in ((top, "accuracy", "Test accuracy, %"), (bottom, "sharpness", "Sharpness")):
            looks = zip("osDv^" * 9, ("-", "--", ":", "-.") * 9)
            for values, arm, (marker, line) in zip(data[name], self.meta["arms"], looks):
                drawn = panel.plot(sizes, mean(values, -1), line + marker, label=arm)
                panel.plot(sizes, values, marker, color=drawn[0].get_color(), markersize=3, alpha=0.4)
            if "paper_" + name in data:
                hollow = {"color": "black", "fillstyle": "none", "label": "the paper"}
                panel.plot(self.meta["paper"], data["paper_" + name], "D", **hollow)
            panel.set(ylabel=label, xscale="log")
            panel.grid(alpha=0.3)
        log = self.meta["log"] and (data["sharpness"] > 0).any()
        bottom.set(xlabel="Batch size", yscale="log" if log else "linear")
        if any(self.meta["arms"]) or "paper" in self.meta:
            top.legend()

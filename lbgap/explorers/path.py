"""Slide along a path from the small-batch to the large-batch minimiser: loss and accuracy (Figures 3 and 8)."""

import numpy as np
import traitlets

from lbgap.explorers.explorer import Explorer, Values, array, axis, human, keys, mean, source

CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


class PathExplorer(Explorer):
    """Cross-entropy loss and accuracy along paths through two minimisers: alpha = 0 is the small batch, 1 the large.

    Args:
        paths: name -> dict(alpha=(P,), train_loss, test_loss, train_accuracy, test_accuracy=(trials, P)), the
            accuracies in percent; alpha rises; P and trials may differ from path to path. NaN = not measured. Names
            such as "linear", "curvilinear".
        title: above the picture.
        small_label, large_label: of both ends.

    Raises:
        ValueError: when a key, a shape, a unit or an order is wrong.
    """

    _esm = source("path.js")
    path = traitlets.Int(0, min=0, help="which path is shown, counted from 0").tag(sync=True)
    trial = traitlets.Int(0, min=0, help="0 for the mean of all trials, or a trial counted from 1").tag(sync=True)
    loss_axis = traitlets.Int(0, min=0, max=1, help="0 for a logarithmic axis, 1 for a linear one").tag(sync=True)

    def __init__(
        self,
        paths: dict[str, dict[str, Values]],
        *,
        title: str = "",
        small_label: str = "small batch (256)",
        large_label: str = "large batch (6,000)",
    ):
        if not isinstance(paths, dict) or not paths:
            told = "a dict with at least one path, such as {'linear': dict(alpha=...)}"
            raise ValueError(f"paths is {paths!r:.60}; expected {told}")
        arrays, listed = {}, []
        for p, (name, given) in enumerate(paths.items()):
            keys(f"paths[{name!r}]", given, ("alpha", *CURVES))
            alpha = axis(f"paths[{name!r}]['alpha']", given["alpha"])
            trials = "trials"
            for key in CURVES:
                shape, percent = (trials, len(alpha)), key.endswith("accuracy")
                value = array(f"paths[{name!r}][{key!r}]", given[key], shape, percent=percent)
                trials = len(value)
                arrays[f"{p}.{key}"] = value
            listed.append({"name": str(name), "alpha": alpha.tolist(), "trials": trials})
        meta = {"title": title, "paths": listed, "small_label": small_label, "large_label": large_label}
        said = []
        for p, path in enumerate(listed):
            values = mean(arrays[f"{p}.test_accuracy"])
            ends = [human(values[np.abs(np.subtract(path["alpha"], a)).argmin()]) for a in (0, 1)]
            told = f"{ends[0]} % at the {small_label}, {ends[1]} % at the {large_label}"
            said.append(f"{path['name']} path: test accuracy {told}")
        said = f"Loss and accuracy between two minimisers. {'; '.join(said)}."
        super().__init__(arrays, meta, said, position=int(np.abs(listed[0]["alpha"]).argmin()))

    def _draw(self, figure):
        data, paths = self.arrays(), self.meta["paths"]
        panels = figure.subplots(2, len(paths), sharex="col", sharey="row", squeeze=False)
        for p, path in enumerate(paths):
            kinds = ("loss", "Cross-entropy loss"), ("accuracy", "Accuracy, %")
            for panel, (quantity, label) in zip(panels[:, p], kinds):
                for split, line in (("train", "-"), ("test", "--")):
                    panel.plot(path["alpha"], mean(data[f"{p}.{split}_{quantity}"]), line, label=split)
                for a in (0, 1):
                    panel.axvline(a, color="grey", linestyle=":", linewidth=1)
                if p == 0:
                    panel.set_ylabel(label)
                panel.grid(alpha=0.3)
            if any((data[f"{q}.{split}_loss"] > 0).any() for q in range(len(paths)) for split in ("train", "test")):
                panels[0, p].set_yscale("log")
            panels[0, p].set_title(path["name"], fontsize="medium")
            small, large = self.meta["small_label"], self.meta["large_label"]
            panels[1, p].set_xlabel(f"α (0: {small}, 1: {large})", fontsize="small")
        panels[0, 0].legend()

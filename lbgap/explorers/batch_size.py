"""Slide over the batch size: test accuracy and sharpness (Figure 4)."""

from collections.abc import Sequence

from lbgap.explorers.explorer import Values, array, axis, human
from lbgap.explorers.sweep import SweepExplorer, listed


class BatchSizeExplorer(SweepExplorer):
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
        sizes, arms = axis("batch_sizes", batch_sizes, positive=True), listed("arms", arms)
        if not epsilon > 0:
            raise ValueError(f"epsilon is {epsilon!r}; expected a positive number, such as 1e-3")
        if sharpness_axis not in ("log", "linear"):
            raise ValueError(f'sharpness_axis is {sharpness_axis!r}; expected "log" or "linear"')
        shape, words, theirs = (len(arms), len(sizes), "trials"), {"others": "The larger batches"}, {}
        accuracy = array("accuracy", accuracy, shape, percent=True)
        sharpness = array("sharpness", sharpness, shape)
        if paper is not None:
            known = {"batch_sizes", "accuracy", "sharpness"}
            if not isinstance(paper, dict) or not {"batch_sizes"} < set(paper) <= known:
                told = "dict(batch_sizes=(M,), accuracy=(M,), sharpness=(M,)), with either of the last two or both"
                raise ValueError(f"paper is {paper!r}; expected {told}")
            words["paper"] = axis("paper['batch_sizes']", paper["batch_sizes"], positive=True).tolist()
            for name in set(paper) - {"batch_sizes"}:
                shape, percent = (len(words["paper"]),), name == "accuracy"
                theirs[f"paper_{name}"] = array(f"paper[{name!r}]", paper[name], shape, percent=percent)
        label, log = f"Sharpness at ε = {human(epsilon)}", sharpness_axis == "log"
        panels = {
            "test accuracy": {"values": accuracy[:, None], "percent": True, "short": "accuracy"},
            "sharpness": {"values": sharpness[:, None], "log": log, "label": label},
        }
        words = {"title": title, "choices": arms, "log": True, "arrays": theirs, "meta": words}
        super().__init__(sizes, panels, label="Batch size", **words)

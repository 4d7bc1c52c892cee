"""Slide over Appendix C's model: when is training with a large batch the faster one?"""

import numpy as np
import traitlets

from lbgap.explorers.explorer import Explorer, Values, axis, human, source
from lbgap.performance_model import break_even, time

RATIOS = tuple(float(f"{m}e{k}") for k in (-2, -1, 0) for m in (1, 1.5, 2, 3, 5, 7)) + (10.0,)  # I_LB / I_SB


class ScalingExplorer(Explorer):
    """LB's training time over SB's against I_LB / I_SB, both axes logarithmic, with the break-even of Appendix C.

    Args:
        efficiencies: (F,), rising, SB's parallel efficiencies f(P), at most 1; LB's is 1.
        batch_ratios: (R,), rising, B_SB / B_LB, at most 1.
        iterations: (I,), rising, the ratios I_LB / I_SB.
        start: the values of these three that are shown first, the nearest ones; the paper's example and its break-even
            by default.
        title: above the picture.

    Raises:
        ValueError: when a value or an order is wrong.
    """

    _esm = source("scaling.js")
    efficiency = traitlets.Int(0, min=0, help="which efficiency is shown, counted from 0").tag(sync=True)
    batches = traitlets.Int(0, min=0, help="which ratio of the batch sizes is shown, counted from 0").tag(sync=True)

    def __init__(
        self,
        efficiencies: Values = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0),
        batch_ratios: Values = (0.01, 256 / 6000, 0.1, 0.25, 0.5),
        iterations: Values = RATIOS,
        *,
        start: tuple[float, float, float] = (0.2, 0.1, 0.5),
        title: str = "",
    ):
        f = axis("efficiencies", efficiencies, positive=True)
        b = axis("batch_ratios", batch_ratios, positive=True)
        i = axis("iterations", iterations, positive=True)
        if f[-1] > 1:
            raise ValueError(f"efficiencies ends at {f[-1]:g}; expected shares of perfect scaling, at most 1")
        # SB takes one iteration, of as many examples as the ratio says, and LB i iterations of one example
        times = lambda of, ratio: [time(k, 1) / time(1, ratio, efficiency=of) for k in i]
        arrays = {"times": [[times(of, ratio) for ratio in b] for of in f]}
        arrays["even"] = [[break_even(of, ratio) for ratio in b] for of in f]
        near = [int(abs(values - at).argmin()) for values, at in zip((f, b, i), start, strict=True)]
        even = arrays["even"][near[0]][near[1]]
        meta = {"title": title, "efficiencies": f.tolist(), "batch_ratios": b.tolist(), "iterations": i.tolist()}
        summary = (
            "Time of the large batch over that of the small one against the ratio of their iterations. With an"
            f" efficiency of the small batch of {human(f[near[0]])} and batch sizes in the ratio {human(b[near[1]])}"
            f" both take as long where the large batch needs {human(even)} times as many iterations as the small one."
        )
        arrays = {k: np.array(v) for k, v in arrays.items()}
        super().__init__(arrays, meta, summary, efficiency=near[0], batches=near[1], position=near[2])

    def _draw(self, figure):
        panel, data = figure.subplots(), self.arrays()
        for k, (of, line) in enumerate(zip(self.meta["efficiencies"], ("-", "--", ":", "-.") * 9, strict=False)):
            times = data["times"][k, self.batches]
            drawn = panel.plot(self.meta["iterations"], times, line, label=f"f_SB = {human(of)}")
            panel.plot(data["even"][k, self.batches], 1, "o", color=drawn[0].get_color())
        panel.axhline(1, color="grey", linestyle=":")
        ratio = human(self.meta["batch_ratios"][self.batches])
        panel.set(xscale="log", yscale="log", xlabel=f"I_LB / I_SB, at B_SB / B_LB = {ratio}")
        panel.set_ylabel("time of LB / time of SB; a dot is the break-even")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")

"""The live laboratory: two networks train in the page itself, small batch and large, from one start to one loss."""

import base64
import json
from importlib.resources import files

import numpy as np

from lbgap.explorers.explorer import Explorer, human, source
from lbgap.explorers.oracle import EPSILONS, SETTING

FIRST = EPSILONS.index(3e-3)  # the box that the slider opens on
SEED = 1000  # of a reader's first pair: neither of those the setting was chosen on, nor of the stored ones


def module() -> str:
    """The laboratory as one ES module, with its kernels and its images inside: it asks for no file."""
    inside = {
        name: base64.b64encode((files(__package__) / file).read_bytes()).decode()
        for name, file in (("KERNELS", "kernels.wasm"), ("DIGITS", "digits.bin"))
    }
    constants = [f"const {name} = {json.dumps(value)};" for name, value in inside.items()]
    return "\n".join([source("random.js", "trainer.js", "live.js"), *constants])


def styles() -> str:
    """The kit's style sheet, and what the explorers with buttons have beside it."""
    return Explorer._css + (files(__package__) / "live.css").read_text(encoding="utf-8")


def stored() -> dict:
    """The stored pairs of `live.json`: seeds, accuracy in percent and sharpness of both sides, and provenance."""
    return json.loads((files(__package__) / "live.json").read_text(encoding="utf-8"))


def told() -> str:
    """How the page's setting was chosen, and what the stored pairs say of it, in words."""
    from scipy import stats

    pairs = stored()
    gap = np.subtract(pairs["small"]["accuracy"], pairs["large"]["accuracy"])
    ratio = np.log(np.divide(pairs["large"]["sharpness"], pairs["small"]["sharpness"])[:, FIRST])
    mean, ends = gap.mean(), stats.t.interval(0.95, len(gap) - 1, gap.mean(), stats.sem(gap))
    low, high = np.exp(stats.t.interval(0.95, len(ratio) - 1, ratio.mean(), stats.sem(ratio)))
    f = {side: f"{min(pairs[side]['f']):.4f} to {max(pairs[side]['f']):.4f}" for side in ("small", "large")}
    behind = (gap < 0).sum()
    return (
        f"**How it was chosen.** This set-up (learning rate {SETTING['rate']:g}, until f, the loss over the training "
        f"images, is below {SETTING['goal']:g}, with both batches) was picked on seeds 0 to 9 because it shows the "
        f"effect clearly; other rates and goals show less of it. Then we trained {len(gap)} other pairs with PyTorch. "
        f"The small batch leads by {mean:.1f} points of test accuracy (95 % interval {ends[0]:.1f} to {ends[1]:.1f}), "
        f"and the large batch's end is {np.exp(ratio.mean()):.0f} times as sharp at ε = {EPSILONS[FIRST]:g} ({low:.0f} "
        f"to {high:.0f}). {behind or 'None'} of the {len(gap)} pairs went the other way.\n\n"
        "**Not trained equally far.** f is looked at after every time through the images. That is one step of the "
        f"large batch and {1000 // SETTING['small']} of the small one, which so overshoots the goal: f ended at "
        f"{f['small']} with the small batch, at {f['large']} with the large one. Whoever stops earlier has more slope "
        "left, and at a small ε that slope is a part of the sharpness."
    )


class LiveLaboratory(Explorer):
    """Train a small and a large batch in the page, measure both, and do it again; it needs no Python once it is shown.

    Behind the reader's own pairs lie the stored ones, which `oracle` trained.

    Args:
        title: above the picture.
    """

    _esm = module()
    _css = styles()

    def __init__(self, *, title: str = "The live laboratory"):
        pairs = stored()
        arrays = {side: np.array(pairs[side]["accuracy"]) for side in ("small", "large")}
        arrays |= {f"{side}_sharpness": np.array(pairs[side]["sharpness"]) for side in ("small", "large")}
        meta = {
            "title": title,
            "usual": {key: SETTING[key] for key in ("small", "large", "rate", "wrong", "norm")},
            **{key: SETTING[key] for key in ("hidden", "goal", "epochs")},
            "batches": [[4, 8, 16, 32], [200, 500, 1000]],
            "rates": [1e-3, 3e-3, 5e-3],
            "epsilons": list(EPSILONS),
            "first": FIRST,
            "seed": SEED,
        }
        ratio = np.log(arrays["large_sharpness"] / arrays["small_sharpness"])[:, FIRST]
        said = (
            f"A laboratory that trains two networks in the page. In {len(ratio)} stored pairs "
            f"batch {SETTING['small']} reads {human(arrays['small'].mean())} % of 4,000 new digits right on average, "
            f"batch {SETTING['large']:,} {human(arrays['large'].mean())} %, and the larger one's end is "
            f"{np.exp(ratio.mean()):.0f} times as sharp at "
            f"epsilon {EPSILONS[FIRST]:g}."
        )
        super().__init__(arrays, meta, said, position=FIRST + 1)

    def _draw(self, figure):
        panel, data = figure.subplots(), self.arrays()
        for side, marker in (("small", "o"), ("large", "s")):
            label = f"{side} batch ({SETTING[side]:,})"
            panel.plot(data[f"{side}_sharpness"][:, FIRST], data[side], marker, label=label)
        panel.set(xscale="log", xlabel=f"Sharpness at ε = {EPSILONS[FIRST]:g}", ylabel="Test accuracy, %")
        panel.grid(alpha=0.3)
        panel.legend()

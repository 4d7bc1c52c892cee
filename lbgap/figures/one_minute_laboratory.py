"""The one-minute laboratory: accuracy and sharpness of a small network against its batch size; and the landing page."""

from __future__ import annotations

import numpy as np

from .. import claims
from ..campaign import scales, units
from ..campaign.scales import LABS
from ..results import arrays
from .comparisons import sharpness_of, training_loss
from .panels import Picture, against_batch, each
from .sliders import ACCURACY, LANDING, SHARPNESS, Slider, slider
from .statistics import ahead, gap, lost, ratio, sharper
from .words import NOT_YET, Networks, Text, capital, clause, counted, ended, folded, known, names, spread


def laboratory(networks: Networks = LABS) -> Picture:
    """The one-minute laboratory: test accuracy and sharpness against the batch size; dots are trials, lines their
    means."""
    sizes = list(scales.scale().laboratory)

    def draw(ax, network):
        return against_batch(ax, network, lambda what: arrays.there(sizes, arrays.laboratory(what, [network])[0]))

    return each(names(networks), draw)


def laboratory_verdict(network: str, small_batch: int | None = None) -> Text:
    """A small against the largest batch of the one-minute laboratory: accuracy and sharpness with intervals, and
    epochs."""
    sizes = scales.scale().laboratory
    small, large = (
        [scales.laboratory(network, b, t) for t in scales.scale().trials] for b in (small_batch or sizes[0], sizes[-1])
    )
    both = [arrays.sharpness(runs, 1e-3) for runs in (small, large)]
    gone = sum(lost(runs, values, units.sharpness).sum() for runs, values in zip((small, large), both))
    tests, steep = gap(small, large), ratio(*both, diverged=int(gone))
    if tests.interval is None or steep.interval is None:
        return Text(f"**Verdict: {claims.UNDECIDED}** for {network}.") if tests.diverged or gone else NOT_YET
    first, second = f"batch {small[0].batch_size:,}", f"batch {large[0].batch_size:,}"
    said = claims.verdict(tests, 0).direction, claims.verdict(steep, 1).direction
    finals = arrays.final(small) * arrays.final(large)
    return Text(
        folded(
            f"**`{network}`: {ahead(tests, first, second, brief=True)}, and {sharper(steep, second, first, True)}.**",
            f"That the small batch tests better {clause(said[0])}; that the large batch is sharper {clause(said[1])}."
            f" {capital(ahead(tests, first, second))}, and {sharper(steep, second, first)};"
            f" {counted(len(known(finals)), int(np.isnan(finals).sum()) if tests.diverged else 0)}. They took"
            f" {spread(arrays.epochs(small), 0)} and {spread(arrays.epochs(large), 0)} epochs, and ended at a training"
            f" loss of {' and of '.join(spread(training_loss(runs), 4) for runs in (small, large))}.",
        )
    )


def landing(networks: Networks = LABS) -> Slider:
    """The landing page's picture, which can be moved: the laboratory's accuracy and sharpness against the batch size.

    `where_ended` is its caption. Redraw the README's from it with
    `pathlib.Path("book/images/phenomenon.png").write_bytes(figures.landing().png())`.
    """
    part = lambda network, what: (scales.scale().laboratory, arrays.laboratory(what, [network]))
    found = {network: [part(network, what) for what in (arrays.final, sharpness_of)] for network in names(networks)}
    title = "A small network on 1,000 digits"
    return slider(found, ACCURACY | SHARPNESS, label="Batch size", log=True, title=title)


def where_ended(networks: Networks = LABS) -> Text:
    """The landing page's caption: at which f the laboratory's runs ended, and whether that is one training loss."""
    said, s = [], scales.scale()
    for network in names(networks):
        runs = {b: [scales.laboratory(network, b, t) for t in s.trials] for b in s.laboratory}
        f = {f"batch {b:,}": training_loss(of) for b, of in runs.items()}
        said += [f"{LANDING[network]}, {ended(f)}"] if all(len(known(v)) for v in f.values()) else []
    if not said:
        return NOT_YET
    told = ". ".join(map(capital, said))
    return Text(f"How far was each batch size trained? f is the loss over the whole training set. {told}.")

"""What F2 sees and on which frames, and whether a human voice says what the synthetic stand-in says."""

from __future__ import annotations

import base64
import pathlib
from typing import Any

import numpy as np

from .. import data, machine, speech
from ..results import arrays
from ..speech import features, lj
from .comparisons import sharpness_of, trained
from .panels import Picture, canvas
from .statistics import ahead, gap, ratio, sharper
from .words import NOT_YET, Networks, Text, folded, number, table, trials

WHAT = {  # of a corpus: whose voice, where its classes come from
    "timit": ("630 people, read sentences", "Kaldi's forced alignment"),
    "speech": ("4 synthetic voices, random words", "the synthesiser's own phone times"),
    "speech-lj": ("1 reader, a book", "the Montreal Forced Aligner"),
}


def corpora() -> Text:
    """The corpora that F2 can be trained on: their sizes, voices and classes."""
    rows = []
    for name, (voices, source) in WHAT.items():
        train, test = data.examples(name)
        classes = speech.CLASSES[name]
        counts = f"{train:,}", f"{test:,}", f"{classes:,}", number(train / classes, 0)
        rows.append([f"`{name}`", voices, *counts, source])
    return table("corpus | voices | frames to train | to test | classes | frames a class | phones from", rows)


def utterance(name: str = "LJ001-0002", seconds: float = 1.2, at: float = 0.6) -> Picture:
    """The log-mel frames of the embedded voice with its phones, the nine frames that F2 sees at once, and its classes.

    name: an utterance of the training set; the first `seconds` of it are drawn, and the nine frames round the time
    `at`.
    """
    said = lj.phones()
    names = [n for n in said if n[-1] not in "369"]
    x, y, *_, lengths, _ = data.raw("speech-lj")
    first, count = int(lengths[: names.index(name)].sum()), int(seconds * features.RATE / features.HOP)
    frames, labels = x[first : first + count] * features.STEP, y[first : first + count]
    times = (np.arange(count) * features.HOP + features.WINDOW / 2) / features.RATE  # of each frame's middle
    half = features.HOP / features.RATE / 2
    figure, (ax,) = canvas(1, 1, 3.2)
    ax.grid(False)
    extent = (times[0] - half, times[-1] + half, 0, features.BANDS)
    ax.imshow(frames.T, origin="lower", aspect="auto", cmap="Greys", interpolation="none", extent=extent)
    for i, (end, phone) in enumerate(said[name]):
        start = said[name][i - 1][0] if i else 0.0
        if end < times[-1]:
            ax.axvline(end, color="#123f73", lw=0.8)
        if (start + end) / 2 < times[-1]:
            at_top = {"ha": "center", "va": "bottom", "fontsize": 8, "color": "#123f73"}
            ax.text((start + end) / 2, features.BANDS + 0.6, phone, **at_top)
    for change in np.nonzero(np.diff(labels))[0]:
        ax.plot(2 * [times[change] + half], [0, 1.5], color="#c1440e", lw=1)
    middle = int(np.abs(times - at).argmin())
    width = (2 * features.CONTEXT + 1) * 2 * half
    corner, box = (times[middle - features.CONTEXT] - half, 0), machine.needs("matplotlib.patches", "plots").Rectangle
    ax.add_patch(box(corner, width, features.BANDS, fill=False, ec="#c1440e", lw=2))
    ax.set(xlabel="seconds", ylabel="mel band, low to high", xlim=(times[0] - half, times[-1] + half))
    ax.set_title("box: what F2 sees at once; ticks below: the class changes", fontsize=9, pad=16)
    return figure


SOUNDS = {  # in the package, as MP3
    "human": "LJ001-0002 of LJ Speech: in being comparatively modern",
    "stand-in": "the first test utterance of the stand-in: teeple yuzong martinson farmer sedler depressurizes waage",
}


def listen(which: str) -> Any:
    """A player for a "human" utterance or one of the "stand-in", which holds its sound. ValueError for another word."""
    if which not in SOUNDS:
        raise ValueError(f"sound {which!r} is unknown; expected one of {', '.join(SOUNDS)}")
    sound = base64.b64encode((pathlib.Path(speech.__file__).parent / f"{which}.mp3").read_bytes()).decode()
    return machine.needs("IPython.display", "plots").HTML(
        f'<audio controls preload="none" aria-label="{SOUNDS[which]}" src="data:audio/mpeg;base64,{sound}"></audio>'
    )


def human_verdict() -> Text:
    """What F2 says on a human voice, and whether the synthetic stand-in says the same: the gap in accuracy, and the
    sharpness."""
    lines, sides = [], {}
    for network in ("F2", "F2-lj"):
        runs = arrays.pairs(network)
        lead, steep = gap(*runs.values()), ratio(*(sharpness_of(of) for of in runs.values()))
        if lead.interval and steep.interval:
            sides[network] = lead.side(0), steep.side(1)
            lines.append(
                f"- {arrays.stand_in(network)}, {trials(*map(arrays.final, runs.values()))}:"
                f" {ahead(lead, more=f', {lead.how}')}; {sharper(steep)}."
            )
    if not sides:
        return NOT_YET
    word = "the two agree" if len(set(sides.values())) == 1 else "the two do not agree"
    word = word if len(sides) == 2 else "open, since one of the two is not measured"
    said = f"**Does a human voice say what the stand-in says? Verdict: {word}.**"
    return Text(folded(said, "\n".join(lines)))


def known_voices(networks: Networks = None) -> Text:
    """F2 tested on other sentences of the voices that it was trained on: is the gap one between batches or between
    voices?"""
    words = "a sixth of the training utterances held out, to test on"
    return trained("known_voices", networks, labels=lambda _: words)

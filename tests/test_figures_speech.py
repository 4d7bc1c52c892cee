"""F2 on other data than the paper's: every table and verdict says so; and the pictures of its frames."""

import base64
import io
import re

import numpy as np
import pytest
from test_figures import AHEAD, made, row  # noqa: F401

from lbgap import data, figures, speech
from lbgap.campaign import experiments, scales
from lbgap.figures import speech as module
from lbgap.results import arrays


def test_f2_stands_beside_the_papers_numbers_and_says_that_these_are_of_timit(made):
    made.pairs("F2", accuracy=AHEAD)
    made.pairs("F2-lj", accuracy=([31.0, 31.2, 30.9], [30.0, 30.1, 29.9]))
    for network, words in (
        ("F2", "a synthetic stand-in for TIMIT (`speech`)"),
        ("F2-lj", "one human voice (`speech-lj`)"),
    ):
        table, verdict = figures.table2(network), str(figures.verdict2(network))
        assert row(table, network, "test")[3] == "64.02 ± 0.20" and f"{network} is trained on {words}" in str(table)
        assert (
            f"Verdict: holds, on {words}.**" in verdict
            and "The paper has, on TIMIT, 4.57" in verdict
            and "another data set, so sizes are not compared" in verdict
        )
        assert "Size: not compared, on other data." in str(figures.verdict3(network)) and words in str(
            figures.table3(network)
        )
        assert "Size:" not in verdict and "The paper has, on TIMIT, " in str(figures.verdict3(network))
    made.pairs("F1")
    assert "TIMIT" not in str(figures.verdict2("F1")) + str(figures.table2("F1"))
    made.pairs("F2-timit", accuracy=AHEAD)  # the paper's own data are compared as such
    assert "Size: differs" in str(figures.verdict2("F2-timit")) and "stand-in" not in str(figures.table2("F2-timit"))


@pytest.mark.parametrize(
    "human, word",
    [
        (([31.0, 31.2], [30.0, 30.21]), "the two agree"),
        (([30.0, 30.21], [31.0, 31.2]), "the two do not agree"),
        (None, "open, since one of the two is not measured"),
    ],
)
def test_whether_a_human_voice_says_what_the_stand_in_says(made, human, word):
    assert "Not measured yet" in str(figures.human_verdict())
    sharp = (1.0, 1.1), (100.0, 110.0)
    made.pairs("F2", accuracy=([31.0, 31.2], [30.0, 30.21]), sharp=sharp)
    if human:
        made.pairs("F2-lj", accuracy=human, sharp=sharp)
    text = str(figures.human_verdict())
    assert f"Verdict: {word}.**" in text and "LB is 100 times as sharp" in text
    assert ("`speech-lj`)" in text) == (human is not None)


def test_the_gap_before_and_after_the_rate_falls_is_of_the_same_trials(made):
    made.pairs("F2-lj", accuracy=([30.0, 31.0, 99.0], [32.0, 32.0, 1.0]))
    assert "Not measured yet" in str(figures.settled_verdict("F2-lj"))
    for trial in (0, 1):
        for of, value in zip(scales.pair("F2-lj", trial), (33.0 + trial, 32.0)):
            made.train(experiments.settled(of), value, loss=0.002)
    text = str(figures.settled_verdict("F2-lj"))
    assert (
        "2 trials: at a constant rate LB is ahead of SB by 1.50 points" in text
        and "fallen to 0 SB is ahead of LB by 1.50 points" in text
    )
    assert "loss of 0.1000 ± 0.0000 against 0.1000" in text and "loss of 0.0020 ± 0.0000 against 0.0020" in text


def test_speech_is_compared_over_seeds_since_frames_are_not_independent(made):
    made.pairs("F2-lj")
    assert figures.gap(*arrays.pairs("F2-lj").values()).how == "paired by seed"


def test_the_corpora_are_told_by_their_sizes():
    assert row(figures.corpora(), "`speech`")[2:6] == ["721,329", "310,621", "1,973", "366"]
    arrays = data.raw("speech-lj")
    assert row(figures.corpora(), "`speech-lj`")[2:5] == [
        f"{len(arrays[1]):,}",
        f"{len(arrays[3]):,}",
        f"{arrays[1].max() + 1:,}",
    ]
    assert set(module.WHAT) == {name for name in speech.CLASSES if not name.startswith("tiny")}


@pytest.mark.parametrize("which, seconds", [("human", 1.9), ("stand-in", 3.93)])
def test_a_player_holds_its_sound_and_says_what_is_said(which, seconds):
    html = figures.listen(which).data
    assert re.search(r'<audio controls .*aria-label="[^"]{30,}" src="data:audio/mpeg;base64,', html)
    soundfile = pytest.importorskip("soundfile", reason="NO SOUNDFILE HERE: the sounds are not decoded")
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1))))
    assert len(sound) / rate == pytest.approx(seconds, abs=0.15) and np.abs(sound).max() > 0.1
    with pytest.raises(ValueError, match="'robot' is unknown; expected one of human, stand-in"):
        figures.listen("robot")


def test_an_utterance_is_drawn_with_its_phones_and_class_changes():
    """LJ001-0002, "in being comparatively modern": its frames follow those of LJ001-0001 in the training set."""
    (ax,) = figures.utterance(seconds=0.5).axes
    x, y, *_, lengths, _ = data.raw("speech-lj")
    first = lengths[0]
    assert np.array_equal(ax.images[0].get_array(), x[first : first + 50].T * 0.1)
    assert [text.get_text() for text in ax.texts] == ["ih", "n", "b", "iy", "ih", "ng", "k", "ah"]
    changes = [line for line in ax.lines if line.get_color() == "#c1440e"]
    assert len(changes) == (np.diff(y[first : first + 50]) != 0).sum()
    (box,) = ax.patches
    assert box.get_width() == pytest.approx(0.09)

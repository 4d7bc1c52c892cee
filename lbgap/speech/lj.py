"""speech-lj: 100 utterances of a human voice, with the phones that a forced aligner found in them.

The audio is LJ Speech 1.1 (https://keithito.com/LJ-Speech-Dataset, public domain), LJ001-0001 to LJ001-0100. The
phones, in lj-phones.json.xz, are the Montreal Forced Aligner's, as carried by FastSpeech2 and its fork
SitholeDavid/masters-final (MIT licence).
"""

from __future__ import annotations

import json
import lzma
import os
import pathlib
import wave

import numpy as np
from scipy.signal import resample_poly

from . import features, states
from .corpora import assemble

RATE = 22050
PAUSES = ("", "sp", "sil")  # the aligner's words for silence; "spn" is a noise, or a word it does not know


def phones() -> dict[str, list]:
    """{utterance: [(end in seconds, phone of `states.PHONES`)]}; the stress of vowels is left out."""
    path = pathlib.Path(__file__).parent / "lj-phones.json.xz"
    found = json.loads(lzma.decompress(path.read_bytes()))["utterances"]
    plain = lambda phone: "pau" if phone in PAUSES else phone.rstrip("012").lower()
    return {name: [(end, plain(phone)) for end, phone in segments] for name, segments in found.items()}


def wavs(folder: str | None) -> pathlib.Path:
    """The folder that holds LJ001-0001.wav.

    Args:
        folder: it, or one with a folder with it in wavs/; None is the present one.

    Raises:
        FileNotFoundError: where there is none.
    """
    here, first = pathlib.Path(folder or "."), "LJ001-0001.wav"
    for path in (here / first, *sorted(here.glob(f"*/wavs/{first}"))):
        if path.exists():
            return path.parent
    raise FileNotFoundError(
        f"{first} was not found in {folder or 'the present folder'} or in a wavs/ of a folder there; get LJ"
        " Speech 1.1 from https://keithito.com/LJ-Speech-Dataset and name the folder that holds LJSpeech-1.1/ in"
        " LBGAP_DATA"
    )


def read(path: str | os.PathLike) -> np.ndarray:
    """The signal of a wav file in [-1, 1], at 16 kHz.

    Args:
        path: of the file.

    Raises:
        ValueError: for another format than LJ Speech's.
    """
    with wave.open(str(path)) as file:
        found = file.getframerate(), file.getnchannels(), file.getsampwidth()
        if found != (RATE, 1, 2):
            raise ValueError(
                f"{path} has {found[0]} samples a second, {found[1]} channels and {found[2]} bytes a sample; "
                f"expected {RATE}, 1 and 2, as in LJ Speech 1.1"
            )
        signal = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    return resample_poly(signal, 320, 441)  # 22.05 to 16 kHz


def make(folder: str | None, progress: bool = True) -> tuple[tuple[np.ndarray, ...], int]:
    """The six arrays of the corpus and how many classes it has, as many as the training set carries.

    The utterances whose number ends in 3, 6 or 9 are the test set.

    Args:
        folder: with the wav files, see `wavs`.
        progress: not looked at; it takes seconds.

    Raises:
        FileNotFoundError: as `wavs` does.
    """
    parts, source = {False: [], True: []}, wavs(folder)
    for name, segments in phones().items():
        frames = features.normalised(read(source / f"{name}.wav"))
        parts[name[-1] in "369"].append((frames, states.contexts(segments, len(frames))))
    return assemble(parts[False], parts[True], None)

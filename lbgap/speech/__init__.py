"""Frames of speech for F2: TIMIT for those who hold a licence, a free stand-in for everyone, and a human voice at small
scale."""

from __future__ import annotations

from .corpora import CLASSES, inputs, validation

__all__ = ["CLASSES", "inputs", "make", "validation"]


def make(name: str, folder: str | None = None, progress: bool = True) -> tuple[tuple, int]:
    """Make a corpus.

    Args:
        name: "speech", which takes minutes, or "speech-lj".
        folder: with the wav files of the latter, see `lj.wavs`.
        progress: show bars.

    Returns:
        The six arrays, see `corpora`, and how many classes they have.

    Raises:
        ValueError: for another name; and what `flite.make` and `lj.make` raise.
    """
    if name == "speech":
        from . import flite as maker
    elif name == "speech-lj":
        from . import lj as maker
    else:
        raise ValueError(f'{name!r} is no corpus that can be made; expected "speech" or "speech-lj"')
    return maker.make(folder, progress)

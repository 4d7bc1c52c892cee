"""Log-mel features of 10 ms frames, and their context: what F2 sees of speech (360 = 40 bands x 9 frames)."""

from __future__ import annotations

import functools

import numpy as np
import torch

RATE = 16000  # samples a second, as in TIMIT
WINDOW, HOP, FFT = 400, 160, 512  # samples: 25 ms every 10 ms
BANDS = 40
CONTEXT = 4  # frames on either side
STEP = 0.1  # of the stored logarithms: int8 reaches 12.7 on either side of an utterance's mean, about 55 dB
FLOOR = 1e-10  # of the power, so that digital silence has a logarithm


@functools.cache
def mel_filters() -> np.ndarray:
    """Triangular filters (40, 257) over the spectrum's bins, their corners equally spaced on HTK's mel scale from 20 to
    8000 Hz."""
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)
    corners = 700 * (10 ** (np.linspace(mel(20.0), mel(RATE / 2), BANDS + 2) / 2595) - 1)  # Hz
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))


def log_mel(signal: np.ndarray) -> np.ndarray:
    """The logarithm of the power in 40 mel bands, (T, 40) float64.

    Frame i is a Hamming window of 25 ms that starts at 10 i ms, and none reaches beyond the signal: T = 1 + (N - 400)
    // 160.

    Args:
        signal: (N,) in [-1, 1] at 16 kHz.

    Raises:
        ValueError: for a signal shorter than a window.

    >>> log_mel(np.zeros(RATE)).shape  # a second of silence
    (98, 40)
    """
    if signal.ndim != 1 or len(signal) < WINDOW:
        raise ValueError(f"the signal has shape {signal.shape}; expected one channel, at least {WINDOW} samples, 25 ms")
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]  # (T, 400)
    power = np.abs(np.fft.rfft(frames * np.hamming(WINDOW + 1)[:-1], FFT)) ** 2  # (T, 257)
    return np.log(np.maximum(power @ mel_filters().T, FLOOR))


def normalised(signal: np.ndarray) -> np.ndarray:
    """`log_mel` less its mean over the utterance, in steps of 0.1: (T, 40) int8.

    So coarse a step is far below any noise, and makes the same bytes on every machine.

    Args:
        signal: as in `log_mel`.
    """
    features = log_mel(signal)
    return np.clip(np.rint((features - features.mean(0)) / STEP), -127, 127).astype(np.int8)


def spliced(frames: torch.Tensor, lengths: torch.Tensor, context: int = CONTEXT) -> torch.Tensor:
    """Each frame between its neighbours: (T, D) -> (T, (2 context + 1) D).

    No frame sees another utterance: at an end the last frame stands in for those beyond it, as in Kaldi's splice-feats.

    Args:
        frames: (T, D), utterance after utterance.
        lengths: (U,) frames of each utterance.
        context: frames on either side.

    Raises:
        ValueError: if the lengths do not add up to T.
    """
    if (total := int(lengths.sum())) != len(frames):
        raise ValueError(f"the utterances have {total} frames in all, but there are {len(frames)}; expected the same")
    ends = lengths.cumsum(0)
    first, last = (torch.repeat_interleave(e, lengths)[:, None] for e in (ends - lengths, ends - 1))  # (T, 1)
    count = lambda first, end: torch.arange(first, end, device=frames.device)
    near = count(0, len(frames))[:, None] + count(-context, context + 1)
    return frames[near.clamp(first, last)].flatten(1)

"""A corpus: six arrays, made of utterances, and the tensors that F2 trains on.

The arrays are frames (T, D) and classes (T,) of the training and of the test set, and how many frames each utterance of
theirs has (U,), (U,). Frames lie in the order of their utterances.
"""

from __future__ import annotations

import numpy as np
import torch

from . import features, states

# of TIMIT as in Appendix B.2; a reader's own may have another number
CLASSES = {**dict.fromkeys(("timit", "speech", "tiny-timit"), 1973), "speech-lj": 345}
Utterances = list[tuple[np.ndarray, np.ndarray]]  # (frames (T, 40) int8, contexts (T, 4)) of each


def assemble(train: Utterances, test: Utterances, classes: int | None) -> tuple[tuple[np.ndarray, ...], int]:
    """The six arrays of a corpus, and how many classes it has.

    Args:
        train, test: utterances, of which `states.tie` makes the classes.
        classes: so many; None for as many as the training set carries.

    Raises:
        ValueError: as `states.tie` does.
    """
    frames, contexts = ([np.concatenate([u[i] for u in part]) for part in (train, test)] for i in (0, 1))
    classify, found = states.tie(contexts[0], frames[0], classes)
    lengths = [np.array([len(u[0]) for u in part], np.int64) for part in (train, test)]
    return (frames[0], classify(contexts[0]), frames[1], classify(contexts[1]), *lengths), found


def inputs(
    frames: np.ndarray, labels: np.ndarray, lengths: np.ndarray, device: str | torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What F2 trains on: (N, 360) float32 and (N,) int64 on a device, in one fixed random order.

    The order matters to f's batches of 5000, which normalise by their own statistics: in the order of time each would
    be a few seconds of one speaker.

    Args:
        frames: (N, 40), which are spliced with four neighbours on either side, or (N, 360), which come spliced.
        labels: (N,).
        lengths: (U,) frames of each utterance.
        device: where.
    """
    x = torch.from_numpy(frames).to(device)
    if frames.shape[1] == features.BANDS:
        x = features.spliced(x, torch.from_numpy(lengths).to(device))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).to(device)
    x, y = x[order], torch.from_numpy(labels).to(device)[order]
    return x.float().mul_(features.STEP) if x.dtype == torch.int8 else x.float(), y


def validation(arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The six arrays of the training set alone, every sixth utterance of it in place of the test set.

    By utterance: a frame's neighbours are in its own input.

    Args:
        arrays: the six of a corpus.
    """
    x, y, _, _, lengths, _ = arrays
    held = np.arange(len(lengths)) % 6 == 5
    inside = np.repeat(held, lengths)
    return x[~inside], y[~inside], x[inside], y[inside], lengths[~held], lengths[held]

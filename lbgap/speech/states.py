"""The classes of F2: three states a phone, in left and right context, tied to a given number by a decision tree."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from .features import HOP, RATE, WINDOW

SETS = {  # questions about a neighbour: how and where a sound is made
    "vowel": "aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw",
    "front": "ae eh ey ih iy",
    "central": "ah ax er",
    "back": "aa ao ow uh uw",
    "high": "ih iy uh uw",
    "low": "aa ae ao aw ay",
    "diphthong": "aw ay ey ow oy",
    "rounded": "ao ow oy uh uw w",
    "stop": "b d g k p t",
    "affricate": "ch jh",
    "fricative": "dh f hh s sh th v z zh",
    "sibilant": "ch jh s sh z zh",
    "nasal": "m n ng",
    "liquid": "l r",
    "glide": "w y",
    "rhotic": "er r",
    "voiceless": "ch f hh k p s sh t th",
    "voiced": "b d dh g jh v z zh",
    "labial": "b f m p v w",
    "dental": "dh th",
    "alveolar": "d l n s t z",
    "palatal": "ch jh sh y zh",
    "velar": "g k ng",
}
# a pause, a noise, 40 phones
PHONES = ("pau", "spn", *sorted({phone for members in SETS.values() for phone in members.split()}))
CODE = {phone: i for i, phone in enumerate(PHONES)}
LEAST = 100  # training frames on either side of a split


def contexts(segments: list[tuple[float, str]], frames: int) -> np.ndarray:
    """(phone, state, phone before, phone after) of each frame (T, 4) int, from the phones of an utterance and their
    ends.

    A phone has three states, each a third of it, and a frame is in the state that its middle falls into. Outside the
    utterance is a pause.

    Args:
        segments: [(end in seconds, phone of PHONES)], ascending; the first begins at 0.
        frames: how many there are, T.

    Raises:
        ValueError: for an unknown phone, for ends that do not ascend, and for frames beyond the last end by over 50 ms.
    """
    ends = np.array([end for end, _ in segments], float)
    unknown = {phone for _, phone in segments} - set(PHONES)
    if unknown:
        raise ValueError(f"phone {sorted(unknown)[0]!r} is unknown; expected one of {', '.join(PHONES)}")
    starts = np.concatenate([[0.0], ends[:-1]])
    if not (ends > starts).all():
        raise ValueError(f"the phones' ends are {ends.tolist()}; expected seconds in ascending order")
    middle = (np.arange(frames) * HOP + WINDOW / 2) / RATE
    if len(middle) and middle[-1] > ends[-1] + 0.05:
        told = f"the phones end at {ends[-1]:.3f} s, but there are frames up to {middle[-1]:.3f} s"
        raise ValueError(f"{told}; expected phones for all")
    at = np.minimum(np.searchsorted(ends, middle, "right"), len(ends) - 1)
    state = np.clip(3 * (middle - starts[at]) / (ends - starts)[at], 0, 2).astype(int)
    phone = np.array([CODE["pau"], *(CODE[p] for _, p in segments), CODE["pau"]])
    return np.stack([phone[at + 1], state, phone[at], phone[at + 2]], 1)


def questions(found: np.ndarray) -> np.ndarray:
    """The answers (N, Q) bool: of either neighbour, which phone it is and in which sets.

    Args:
        found: contexts (N, 4).
    """
    which = np.eye(len(PHONES), dtype=bool)
    in_sets = np.array([[phone in members.split() for members in SETS.values()] for phone in PHONES])
    of = np.concatenate([which, in_sets], 1)  # (phones, questions)
    return np.concatenate([of[found[:, 2]], of[found[:, 3]]], 1)


def tie(train: np.ndarray, features: np.ndarray, classes: int | None = None) -> tuple[Callable, int]:
    """A function from contexts (N, 4) to classes (N,) int64, learned from the training set alone, and how many it has.

    Each state of each phone is a class at first; then the class whose squared deviation from its mean a question about
    a neighbour reduces most is split by it, again and again. No half of a split has fewer than 100 training frames.

    Args:
        train: contexts (T, 4) of its frames.
        features: theirs (T, D).
        classes: split until there are so many; None for as many as the data carry.

    Raises:
        ValueError: if so many classes cannot be had; and the function, for a state of a phone that was not in training.

    Source: Young, Odell and Woodland 1994, with one variance for all.
    """
    # frames of one context give the same answers, so their number and sum serve for them all
    seen, which, count = np.unique(train, axis=0, return_inverse=True, return_counts=True)
    total = np.zeros((len(seen), features.shape[1]))
    np.add.at(total, which.ravel(), features)
    asked = questions(seen)
    roots, label = np.unique(seen[:, :2], axis=0, return_inverse=True)
    label = label.ravel()
    splits, heap = [], []  # splits: (class, question, the class of those that answer yes)

    def offer(leaf):
        """Put the leaf's best split on the heap, if it has one."""
        inside = label == leaf
        yes, n, s = asked[inside].T.astype(float), count[inside], total[inside]
        n_yes, s_yes = yes @ n, yes @ s  # (Q,), (Q, D)
        n_no, s_no = n.sum() - n_yes, s.sum(0) - s_yes
        allowed = (n_yes >= LEAST) & (n_no >= LEAST)
        if allowed.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                gain = (s_yes**2).sum(1) / n_yes + (s_no**2).sum(1) / n_no - (s.sum(0) ** 2).sum() / n.sum()
            best = int(np.argmax(np.where(allowed, gain, -np.inf)))
            heapq.heappush(heap, (-gain[best], leaf, best))

    for leaf in range(len(roots)):
        offer(leaf)
    while heap and (classes is None or len(roots) + len(splits) < classes):
        _, leaf, question = heapq.heappop(heap)
        new = len(roots) + len(splits)
        splits.append((leaf, question, new))
        label[(label == leaf) & asked[:, question]] = new
        offer(leaf)
        offer(new)
    found = len(roots) + len(splits)
    if classes is not None and found != classes:
        raise ValueError(
            f"{classes} classes were asked for, but there are {len(roots)} states of phones, and {len(train)} frames "
            f"carry no more than {found} classes; expected a number between, or more frames"
        )
    first = {tuple(root): i for i, root in enumerate(roots.tolist())}

    def classify(contexts):
        different, which = np.unique(contexts, axis=0, return_inverse=True)
        missing = [root for root in map(tuple, different[:, :2].tolist()) if root not in first]
        if missing:
            phone, state = missing[0]
            told = f"state {state + 1} of phone {PHONES[phone]!r} is not in the training set"
            raise ValueError(f"{told}; expected it there")
        answers = questions(different)
        out = np.array([first[root] for root in map(tuple, different[:, :2].tolist())], np.int64)
        for leaf, question, new in splits:
            out[(out == leaf) & answers[:, question]] = new
        return out[which.ravel()]

    return classify, found

"""Exercises of *The causal grid*."""

import numpy as np

from ..checking import Answer, compare, exercise


def _answer(gain, left, margin):
    if gain[0] > 0:
        return "closes the gap" if left[1] < margin else "narrows the gap"
    if gain[1] < 0:
        return "hurts"
    return "does nothing" if gain[1] < margin else "not settled"


def _by_middle(gain, left, margin):
    middle = sum(gain) / 2
    return _answer((middle, middle), (sum(left) / 2,) * 2, margin)


@exercise("registered-rule", "A rule without a way out", "judge", "medium", 15)
def registered_rule(answer: Answer) -> None:
    """verdict(gain, left, margin): the rule's word for two intervals and a margin."""
    cases = [((0.4, 0.9), (-0.3, 0.2), 0.5), ((0.1, 0.5), (0.2, 0.9), 0.5), ((-0.2, 0.3), (0.3, 1.1), 0.5)]
    cases += [((-0.4, 1.2), (-0.2, 1.0), 0.5), ((-1.3, -0.2), (0.9, 2.0), 0.5), ((0.2, 0.9), (-0.6, 0.7), 0.5)]
    unsettled = lambda *a: "does nothing" if _answer(*a) == "not settled" else _answer(*a)
    harmless = lambda *a: "does nothing" if _answer(*a) == "hurts" else _answer(*a)
    mistakes = {
        "It judges by the middle of the interval. The rule asks for its ends: what is shown excludes 0.": _by_middle,
        "A wide interval is taken for no effect. Where a gain of the margin is possible, it is not settled.": unsettled,
        "A loss that is shown is called nothing. An interval wholly below 0 hurts.": harmless,
    }
    compare(answer, cases, _answer, mistakes)


def holm(p: list[float]) -> np.ndarray:
    """Holm's adjusted p values."""
    p, out, largest = np.asarray(p, float), np.empty(len(p)), 0.0
    for rank, i in enumerate(np.argsort(p)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        out[i] = largest
    return out


def _not_monotone(p):
    p, out = np.asarray(p, float), np.empty(len(p))
    for rank, i in enumerate(np.argsort(p)):
        out[i] = min(1.0, (len(p) - rank) * p[i])
    return out


@exercise("holm", "Six questions, one false alarm", "implement", "medium", 15)
def six_questions(answer: Answer) -> None:
    """holm(p): the adjusted p values, in p's order."""
    bonferroni = lambda p: np.minimum(1, len(p) * np.asarray(p, float))
    mistakes = {
        "That is Bonferroni's, stricter than need be. The second smallest takes one question less.": bonferroni,
        "Nothing was corrected. Of twenty true nulls, one comes out below 0.05 by chance.": np.asarray,
        "A larger p came out smaller than one before it: each adjusted value is at least that.": _not_monotone,
    }
    compare(answer, [([0.01, 0.04, 0.03],), ([0.5, 0.001, 0.3, 0.02],)], holm, mistakes)

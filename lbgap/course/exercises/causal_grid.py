"""Exercises of *The causal grid*."""

import numpy as np

from ..checking import compare, exercise


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
def registered_rule(answer):
    cases = [((0.4, 0.9), (-0.3, 0.2), 0.5), ((0.1, 0.5), (0.2, 0.9), 0.5), ((-0.2, 0.3), (0.3, 1.1), 0.5)]
    cases += [((-0.4, 1.2), (-0.2, 1.0), 0.5), ((-1.3, -0.2), (0.9, 2.0), 0.5), ((0.2, 0.9), (-0.6, 0.7), 0.5)]
    unsettled = lambda *a: "does nothing" if _answer(*a) == "not settled" else _answer(*a)
    harmless = lambda *a: "does nothing" if _answer(*a) == "hurts" else _answer(*a)
    mistakes = {
        "It judges by the middle of the interval. The rule asks for its ends: what is shown is what excludes 0.": (
            _by_middle
        ),
        (
            "A wide interval is taken for no effect. Where a gain as large as the margin is still"
            " possible, the answer is not settled."
        ): (unsettled),
        "A loss that is shown is called nothing. An interval wholly below 0 hurts.": harmless,
    }
    compare(answer, cases, _answer, mistakes)


def holm(p):
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
def six_questions(answer):
    mistakes = {
        (
            "All were multiplied by the number of questions: that is Bonferroni's, and stricter than"
            " need be. The second smallest takes one less."
        ): lambda p: np.minimum(1, len(p) * np.asarray(p, float)),
        "Nothing was corrected. Of twenty true nulls, one comes out below 0.05 by chance.": lambda p: np.asarray(
            p, float
        ),
        "A larger p came out smaller than one before it. Each adjusted value is at least the one before.": (
            _not_monotone
        ),
    }
    compare(answer, [([0.01, 0.04, 0.03],), ([0.5, 0.001, 0.3, 0.02],)], holm, mistakes)

"""Exercises of *The one-minute laboratory*."""

import numpy as np

from ..checking import Unanswered, Wrong, compare, exercise, number


@exercise("updates", "How many more steps?", "predict then measure", "easy", 10)
def updates(answer):
    from ...campaign import scales
    from ...results import arrays

    predicted, measured = answer
    if predicted is ... or measured is ...:
        raise Unanswered
    if not predicted > 0:
        raise Wrong(
            "A prediction is a number above 0, written down before the measurement. Being far off costs nothing."
        )
    runs = [[scales.laboratory("mlp", size, trial) for trial in scales.scale().trials] for size in (32, 1000)]
    (small, large), (steps_small, steps_large) = ([f(r).mean() for r in runs] for f in (arrays.epochs, arrays.updates))
    if np.isnan(small + large):
        raise Wrong(
            "The laboratory's runs are not stored here, so there is nothing to compare with. Unset LBGAP_SCALE."
        )
    mistakes = {
        "That is the ratio of epochs. An epoch of batch 32 has many steps, one of batch 1,000 has one.": small / large,
        "That is the large batch's updates over the small one's. Turn it round.": steps_large / steps_small,
        "An epoch has 32 steps, not 31.25: the last 8 images are a batch, too.": small * 31.25 / large,
    }
    number(measured, steps_small / steps_large, mistakes, tolerance=0.01)
    return f"Your prediction was {max(predicted / measured, measured / predicted):.1f} times off."


@exercise("matched", "Trained equally far?", "judge", "easy", 5)
def matched(answer):
    cases = [(0.005, 0.004), (0.004, 0.005), (0.001, 0.004), (0.004, 0.001), (0.9, 0.5), (0.002, 0.0028)]
    mistakes = {
        "It looks one way only: the loss that is named second may be the lower or the higher one.": lambda a, b: (
            b / a <= 1.5
        ),
        (
            "A difference of losses says little where both are small: 0.001 and 0.004 differ by"
            " nothing and are four times apart. Compare a ratio."
        ): (lambda a, b: abs(a - b) <= 0.5),
        "Equal to the last digit is never reached. The page calls losses within a factor of 1.5 alike.": lambda a, b: (
            a == b
        ),
    }
    compare(answer, cases, lambda a, b: max(a, b) / min(a, b) <= 1.5, mistakes)

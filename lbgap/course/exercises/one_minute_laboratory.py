"""Exercises of *The one-minute laboratory*."""

import operator

import numpy as np

from ..checking import Answer, Wrong, answered, compare, exercise, number


@exercise("updates", "How many more steps?", "predict then measure", "easy", 10)
def updates(answer: Answer) -> str | None:
    """(predicted, measured): how many times as many steps the small batch takes."""
    from ...campaign import scales
    from ...results import arrays

    predicted, measured = map(answered, answer)
    if not predicted > 0:
        raise Wrong("A prediction is a number above 0, written down before the measurement. Being far off is free.")
    runs = [[scales.laboratory("mlp", size, trial) for trial in scales.scale().trials] for size in (32, 1000)]
    (small, large), (steps_small, steps_large) = ([f(r).mean() for r in runs] for f in (arrays.epochs, arrays.updates))
    if np.isnan(small + large):
        raise Wrong("The laboratory's runs are not stored here: there is nothing to compare with. Unset LBGAP_SCALE.")
    mistakes = {
        "That is the ratio of epochs. An epoch of batch 32 has many steps, one of batch 1,000 has one.": small / large,
        "That is the large batch's updates over the small one's. Turn it round.": steps_large / steps_small,
        "An epoch has 32 steps, not 31.25: the last 8 images are a batch, too.": small * 31.25 / large,
    }
    number(measured, steps_small / steps_large, mistakes, tolerance=0.01)
    return f"Your prediction was {max(predicted / measured, measured / predicted):.1f} times off."


@exercise("matched", "Trained equally far?", "judge", "easy", 5)
def matched(answer: Answer) -> None:
    """alike(a, b): whether two losses are within a factor of 1.5."""
    one_way, difference = lambda a, b: b / a <= 1.5, lambda a, b: abs(a - b) <= 0.5
    cases = [(0.005, 0.004), (0.004, 0.005), (0.001, 0.004), (0.004, 0.001), (0.9, 0.5), (0.002, 0.0028)]
    mistakes = {
        "It looks one way only: the loss that is named second may be the lower or the higher one.": one_way,
        "A difference says little where both are small: 0.001 and 0.004 are four times apart. Use ratios.": difference,
        "Equal to the last digit is never reached. The page calls losses within a factor of 1.5 alike.": operator.eq,
    }
    compare(answer, cases, lambda a, b: max(a, b) / min(a, b) <= 1.5, mistakes)

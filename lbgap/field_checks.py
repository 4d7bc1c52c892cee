"""Checks of the fields of a `Run` and of the remedies: each is held in one form, so that 1, 1.0 and NumPy's 1 are one
id."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable

import numpy as np

MOST = 2**63 - 1  # of a whole number, seeds included


def count(name: str, value: object, low: int = 0) -> int:
    """A whole number from `low` to MOST as an int.

    Args:
        name: of the field, for the message.
        value: what was given, 1.0 and NumPy's numbers included.
        low: the least.

    Raises:
        ValueError: for anything else, True and "1" included.

    >>> count("epochs", 3.0, low=1)
    3
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (real and low <= value <= MOST and value == int(value)):
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least {low}, at most {MOST}")
    return int(value)


def number(
    name: str, value: object, low: float = 0, high: float = math.inf, *, above: bool = False, below: bool = False
) -> float:
    """A number in [low, high] as a float.

    Args:
        name: of the field, for the message.
        value: what was given, NumPy's numbers included.
        low: the least; with `above` the number lies above it.
        high: the most; with `below` the number lies below it.

    Raises:
        ValueError: for anything else, NaN, infinity, True and "1" included.
    """
    value = value.item() if isinstance(value, np.generic) else value
    real = isinstance(value, numbers.Real) and not isinstance(value, bool) and abs(value) < 1e308
    if not (real and low <= value <= high and (value > low or not above) and (value < high or not below)):
        wanted = f"a number above {low:g}" if above else f"a number of at least {low:g}"
        most = f", {'below' if below else 'at most'} {high:g}" if high < math.inf else ""
        raise ValueError(f"{name} is {value!r}; expected {wanted}{most}")
    return float(value)


def choice(name: str, value: object, known: Iterable) -> str | bool | float:
    """The one of the known words, or numbers, that was given; (True, False) takes NumPy's and 1 and 0 too.

    Args:
        name: of the field, for the message.
        value: what was given.
        known: what there is to choose from.

    Raises:
        ValueError: for anything else.
    """
    found = [one for one in known if isinstance(value, str | np.bool_ | numbers.Real) and one == value]
    if not found:
        raise ValueError(f"{name} {value!r} is unknown; expected one of {', '.join(map(str, known))}")
    return found[0]

"""Numbers in words, and Markdown tables."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from .. import claims
from ..results import arrays

ARMS = ("SB", "LB")
Networks = str | Iterable[str] | None  # one's name or several; None for those of the experiment
FACTOR = 1.5  # mean training losses farther apart than this are nowhere called the same


class Text:
    """Markdown that shows itself in a notebook and prints itself elsewhere."""

    def __init__(self, text: str):
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


NOT_YET = Text("Not measured yet. [What is measured, and what is not](status.ipynb) says what it takes.")


def names(networks: Networks) -> tuple:
    """One network's name, or several."""
    return (networks,) if isinstance(networks, str) else tuple(networks)


def known(values: ArrayLike) -> np.ndarray:
    """The values that are not NaN."""
    values = np.asarray(values, float)
    return values[~np.isnan(values)]


def number(value: float, digits: int = 2) -> str:
    """A number with so many decimals, or two significant digits where that would show none."""
    return f"{value:,.{digits}f}" if abs(value) >= 10.0**-digits or abs(value) < 1e-12 else f"{value:.2g}"


def spread(values: ArrayLike, digits: int = 2) -> str:
    """mean ± standard deviation (ddof 1) in words; nothing with no value, no deviation with one."""
    values = known(values)
    if not len(values):
        return ""
    deviation = f" ± {number(values.std(ddof=1), digits)}" if len(values) > 1 else ""
    return number(values.mean(), digits) + deviation


def points(values: ArrayLike, digits: int = 2) -> str:
    """All values."""
    return ", ".join(number(v, digits) for v in known(values)) or "none"


def dots(values: ArrayLike, digits: int = 2) -> str:
    """`spread`, and all values behind it where there are several."""
    return spread(values, digits) + (f" ({points(values, digits)})" if len(known(values)) > 1 else "")


def short(value: float) -> str:
    """A number with two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"


def apart(*values: float) -> list[str]:
    """Numbers with two significant digits each, or up to five where that tells them from one another.

    >>> apart(938.2, 267.6, 3289.7), apart(1.0312, 1.0249, 1.0374), apart(2, 2)
    (['940', '270', '3,300'], ['1.03', '1.02', '1.04'], ['2.0', '2.0'])
    """
    every = [[_significant(value, digits) for value in values] for digits in range(2, 6)]
    return next((said for said in every if len(set(said)) == len(values)), every[0])


def _significant(value, digits) -> str:
    if not 1e-3 <= abs(value) < math.inf:
        return f"{value:.{digits}g}"
    value = float(f"{value:.{digits}g}")
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def told(value: float, pair: tuple[float, float] | None) -> tuple[str, str]:
    """A value and its 95 % interval in words, by `apart`."""
    said, *ends = apart(value, *(pair or ()))
    return said, f"95 % interval {' to '.join(ends)}" if ends else "no interval"


def by_side(found: claims.Contrast, null: float, above: str, below: str, neither: str, alone: str = "open") -> str:
    """The word for the side of `null` on which an interval lies; `alone` for a contrast without an interval."""
    return alone if found.interval is None else {1: above, -1: below, 0: neither}[found.side(null)]


def judged(found: claims.Contrast, p: float, null: float, above: str, below: str) -> str:
    """The same where Holm's p says that it is settled."""
    return "not settled" if p >= 0.05 else by_side(found, null, above, below, "not settled")


def with_interval(found: claims.Contrast) -> str:
    """A contrast in a cell: "1.30 (0.20 to 2.40)", or nothing."""
    if np.isnan(found.value):
        return ""
    ends = f" ({' to '.join(map(number, found.interval))})" if found.interval else ""
    return f"{number(found.value)}{ends}"


def interval(pair: tuple[float, float] | None, digits: int = 2) -> str:
    """A 95 % interval in words."""
    return "no interval" if pair is None else f"95 % interval {number(pair[0], digits)} to {number(pair[1], digits)}"


def clause(direction: str) -> str:
    """A verdict's word as the end of a clause that begins with "that ..."."""
    return f"is {direction}" if direction == claims.UNDECIDED else direction


def capital(words: str) -> str:
    """The words with a capital at their start."""
    return words[:1].upper() + words[1:]


def matched(*losses: ArrayLike) -> bool:
    """Whether some arms ended at one training loss: the means of f, each over its runs (R,), lie within FACTOR of each
    other.

    The book says "the same training loss" of no others. False while an arm has no f.
    """
    if not all(len(known(f)) for f in losses):
        return False
    means = [known(f).mean() for f in losses]
    return bool(min(means) > 0 and max(means) <= FACTOR * min(means))


def ended(losses: dict) -> str:
    """At which f, the loss over the whole training set, each arm ended, and whether that is one training loss; {arm:
    (R,)}."""
    if not all(len(known(f)) for f in losses.values()):
        return "where f ended is not measured"
    means = {arm: known(f).mean() for arm, f in losses.items()}
    low, high = min(means, key=means.get), max(means, key=means.get)
    if len(losses) > 2:
        said = f"f ended at {number(means[low], 4)} ({low}) to {number(means[high], 4)} ({high})"
    else:
        said = "f ended at " + " and ".join(f"{spread(f, 4)} for {arm}" for arm, f in losses.items())
    if matched(*losses.values()):
        return f"{said}: the same training loss, within a factor of {FACTOR:g}"
    return f"{said}: not the same training loss, the highest is {number(means[high] / means[low], 1)} times the lowest"


def plural(n: int, what: str = "trial") -> str:
    """So many of something: "1 trial", "5 trials"."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def counted(n: int, gone: int = 0) -> str:
    """How many trials there are, and how many are gone for good."""
    return plural(n) + (f", {gone} diverged or without a value" if gone else "")


def trials(*arrays: np.ndarray) -> str:
    """How many trials all of some values (T,) are there of."""
    return plural(min(len(known(values)) for values in arrays))


def marked(words: str, gone: int) -> str:
    """A cell of a table, and how many of its runs diverged or have no value."""
    said = f"{gone} diverged or without a value"
    return words if not gone else f"{words} ({said})" if words else said


def table(
    head: str, rows: list[list[str]], ours: tuple[int, ...] | None = None, below: str = "", shown: tuple[int, ...] = ()
) -> Text:
    """A Markdown table of what is measured; one sentence where nothing is.

    Args:
        head: the columns' names, with " | " between them.
        rows: a cell for each column, "" where nothing is measured; the first names the network, where there is one.
        ours: the columns that are measured, those after the second by default; a row that has none of them is left out.
        below: what is said below it.
        shown: the columns that a reader sees, all by default; the whole table is folded under these, with `below`.
    """
    rows = [row for row in rows if any(row[k] for k in ours or range(2, len(row)))]
    if not rows:
        return NOT_YET
    columns = head.split(" | ")
    lines = columns, ["---"] * len(columns), *rows
    grid = lambda chosen: "\n".join("| " + " | ".join(line[k] for k in chosen) + " |" for line in lines)
    whole = "\n\n".join(filter(None, (grid(range(len(columns))), below)))
    whole = folded(grid(shown), whole, "Every column") if shown else whole
    return Text("\n\n".join(filter(None, (whole, _stand_ins(dict.fromkeys(row[0] for row in rows))))))


def _stand_ins(networks: Iterable[str]) -> str:
    """Which of the networks are not on the paper's data."""
    return " ".join(
        f"{n} is trained on {arrays.stand_in(n)}, where the paper has TIMIT." for n in networks if arrays.stand_in(n)
    )


def joined(*texts: Text) -> Text:
    """Several texts, one below the other, those of which nothing is measured left out."""
    there = [str(text) for text in texts if text is not NOT_YET]
    return Text("\n\n".join(there)) if there else NOT_YET


def folded(said: str, details: str, name: str = "Trials, intervals and rules") -> str:
    """A sentence, and under it, behind a line to press, what it rests on."""
    return f"{said}\n\n<details><summary>{name}</summary>\n\n{details}\n\n</details>"


def by_network(networks: Networks, sentence: Callable[[str], str | None], below: str = "") -> Text:
    """What is to be said of each network that is measured: one paragraph, or a list of them.

    Args:
        networks: of which.
        sentence: network -> words, or None where nothing is measured.
        below: what is said below, where there is anything.
    """
    found = {network: words for network in names(networks) if (words := sentence(network))}
    if not found:
        return NOT_YET
    lines = [f"- {textwrap.indent(words, '  ')[2:]}" for words in found.values()]
    alone = len(names(networks)) == 1  # its page has told what it is trained on
    said = next(iter(found.values())) if alone else "\n".join(lines)
    return Text("\n\n".join(filter(None, (said, below, "" if alone else _stand_ins(found)))))

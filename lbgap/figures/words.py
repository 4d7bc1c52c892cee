"""Numbers in words, and Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import claims
from ..results import arrays

ARMS = ("SB", "LB")
Networks = str | Iterable[str] | None  # one's name or several; None for those of the experiment
PENDING = "pending"
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


def known(values) -> np.ndarray:
    """The values that are not NaN."""
    values = np.asarray(values, float)
    return values[~np.isnan(values)]


def number(value: float, digits: int = 2) -> str:
    """A number with so many decimals, or two significant digits where that would show none."""
    return f"{value:,.{digits}f}" if abs(value) >= 10.0**-digits or abs(value) < 1e-12 else f"{value:.2g}"


def spread(values, digits: int = 2) -> str:
    """mean ± standard deviation (ddof 1) in words; "pending" with no value, no deviation with one."""
    values = known(values)
    if not len(values):
        return PENDING
    deviation = f" ± {number(values.std(ddof=1), digits)}" if len(values) > 1 else ""
    return number(values.mean(), digits) + deviation


def percent(values) -> str:
    """`spread` with a percent sign, where there is a value."""
    return spread(values) + (" %" if len(known(values)) else "")


def points(values, digits: int = 2) -> str:
    """All values."""
    return ", ".join(number(v, digits) for v in known(values)) or "none"


def dots(values, digits: int = 2) -> str:
    """`spread`, and all values behind it where there are several."""
    return spread(values, digits) + (f" ({points(values, digits)})" if len(known(values)) > 1 else "")


def short(value: float) -> str:
    """A number with two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"


def by_side(found, null: float, above: str, below: str, neither: str, alone: str = "open") -> str:
    """The word for the side of `null` on which an interval lies; `alone` for a contrast without an interval."""
    return alone if found.interval is None else {1: above, -1: below, 0: neither}[found.side(null)]


def judged(found, p: float, null: float, above: str, below: str) -> str:
    """The same where Holm's p says that it is settled."""
    return "not settled" if p >= 0.05 else by_side(found, null, above, below, "not settled")


def with_interval(found, digits: int = 2, unit="") -> str:
    """A contrast in a cell: "1.30 (0.20 to 2.40)", or "pending"."""
    if np.isnan(found.value):
        return PENDING
    ends = f" ({' to '.join(number(v, digits) for v in found.interval)})" if found.interval else ""
    return f"{number(found.value, digits)}{unit}{ends}"


def interval(pair, digits: int = 2) -> str:
    """A 95 % interval in words."""
    return "no interval" if pair is None else f"95 % interval {number(pair[0], digits)} to {number(pair[1], digits)}"


def leads(found, first="SB", second="LB", more="") -> str:
    """Who leads in test accuracy, by how much, how sure: the leader stands first, so that the difference has no sign.

    found: a `Compared` difference, first less second. more: goes into the brackets, after the interval.
    """
    value, pair = found.value, found.interval
    if value < 0:
        first, second, value, pair = second, first, -value, pair and (-pair[1], -pair[0])
    return f"{first} is ahead of {second} by {number(value)} points ({interval(pair)}{more})"


def clause(direction: str) -> str:
    """A verdict's word as the end of a clause that begins with "that ..."."""
    return f"is {direction}" if direction == claims.UNDECIDED else direction


def capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def matched(*losses) -> bool:
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
        return f"where f ended is {PENDING}"
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


def trials(*arrays) -> str:
    """How many trials there are of those that there should be."""
    n, of = min(len(known(a)) for a in arrays), len(arrays[0])
    return plural(n) + ("" if n >= of else f" of {of}, the others pending")


def counted(of: int, n: int, gone=0) -> str:
    """How many of `of` trials there are, how many are `gone` for good, and whether others are pending."""
    said = plural(n) + ("" if n >= of else f" of {of}")
    if gone:
        said += f", {gone} diverged or without a value"
    return said + (", the others pending" if n + gone < of else "")


def marked(words: str, gone: int) -> str:
    """A cell of a table, and how many of its runs diverged or have no value."""
    said = f"{gone} diverged or without a value"
    return words if not gone else said if words == PENDING else f"{words} ({said})"


def table(head: str, rows: list[list[str]], networks: Networks = ()) -> Text:
    """A Markdown table, and what is to be known of its networks.

    Args:
        head: the columns' names, with " | " between them.
        rows: a cell for each column.
        networks: those that it is of, by name.
    """
    head = head.split(" | ")
    lines = ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]
    return Text("\n".join(lines) + note(networks))


def collapsed(rows) -> list:
    """The rows, (network, what, numbers ...), with one for a network of which all is pending."""
    out = []
    for network in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == network]
        empty = all(cell == PENDING for row in mine for cell in row[2:])
        out += [[network, f"{len(mine)} settings", *mine[0][2:]]] if empty and len(mine) > 1 else mine
    return out


def note(networks: Networks) -> str:
    """A paragraph that says which networks have to wait and why, and which are not on the paper's data."""
    reasons = [f"{n} is waiting: {arrays.waiting(n)}." for n in names(networks) if arrays.waiting(n)]
    reasons += [
        f"{n} is trained on {arrays.stand_in(n)}; the paper's numbers are of TIMIT, which is sold under a licence."
        for n in names(networks)
        if arrays.stand_in(n)
    ]
    return "\n\n" + " ".join(reasons) if reasons else ""


def by_network(networks: Networks, sentence) -> Text:
    """sentence(network) of each network, None where it is pending: one paragraph, or a list of them."""
    found = {network: sentence(network) for network in names(networks)}
    lines = [words for words in found.values() if words]
    missing = [network for network, words in found.items() if not words]
    lines = [f"- {words}" for words in lines] if len(found) > 1 else lines
    if missing:
        lines.append(f"\n**Verdict: pending** for {', '.join(missing)}: no pair is stored yet.")
    alone = len(found) == 1 and arrays.stand_in(names(networks)[0])  # its page has told what it is trained on
    return Text("\n".join(lines).strip() + ("" if alone else note(networks)))

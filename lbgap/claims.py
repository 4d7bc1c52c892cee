"""Every claim of the paper, how it is tested, and the one rule that gives every verdict.

The claims stand in claims.json, with the rules; which measurements came before them, the book says. No verdict is
stored: `verdict` gives that of one network, `combined` that of several, `corrected` those of all claims.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from . import paper
from .campaign import experiments, scales

FILE = pathlib.Path(__file__).parent / "claims.json"
HOLDS, PART, FAILS = "holds", "holds in part", "does not hold here"
UNDECIDED, UNMEASURED = "undecided", "not measured"
DIRECTIONS = HOLDS, PART, FAILS, UNDECIDED, UNMEASURED
REPRODUCED, DIFFERS, _ = SIZES = ("reproduced", "differs", UNDECIDED)
Numbers = Sequence[float] | np.ndarray  # one a seed, or one a comparison
FACTOR = 2.0  # a size is reproduced within it
LEVEL, ALPHA = 0.95, 0.05


# -- contrasts --------------------------------------------------------------------------------------------------------


class Contrast(NamedTuple):
    """How far one side is from another.

    Args:
        value: a difference, or a ratio of geometric means.
        interval: at 95 %, or None with fewer than two seeds.
        how: the interval's kind.
        p: two-sided, that there is no difference.
        n: seeds.
        diverged: runs that have no value for good.
        scale: "difference" or "ratio".
        error: the standard error of the value, or of a ratio's logarithm.
        df: Student's degrees of freedom.
    """

    value: float
    interval: tuple[float, float] | None
    how: str
    p: float = math.nan
    n: int = 0
    diverged: int = 0
    scale: str = "difference"
    error: float = math.nan
    df: float = math.nan

    def side(self, null: float) -> int:
        """1 or -1 when the interval lies above or below the null, else 0.

        >>> Contrast(1.0, (0.5, 1.5), "").side(0), Contrast(1.0, (-0.5, 2.5), "").side(0)
        (1, 0)
        """
        return 0 if self.interval is None else int(self.interval[0] > null) - int(self.interval[1] < null)


def contrast(
    a: Numbers, b: Numbers | None = None, *, scale: str = "difference", seeds: str = "paired", diverged: int = 0
) -> Contrast:
    """a - b or a / b over seeds, with its interval.

    Args:
        a, b: one number a seed (S,), NaN where there is none; without b, a is the contrast of each seed.
        scale: "difference" of means, or "ratio" of geometric means.
        seeds: "paired", entry by entry, Student's t; "independent", Welch's t.
        diverged: how many runs have no value for good, to be shown beside it.

    Returns:
        The contrast; NaN without a value, and for a ratio where a value is not above 0, which counts as diverged.

    Raises:
        ValueError: another scale or kind of seeds; paired sides of different lengths.

    >>> found = contrast([91.0, 92.0, 93.0], [90.0, 90.5, 92.5])
    >>> found.value, found.n, found.how
    (1.0, 3, 'paired by seed')
    """
    for value, known in ((scale, ("difference", "ratio")), (seeds, ("paired", "independent"))):
        if value not in known:
            raise ValueError(f"{value!r} is unknown; expected {' or '.join(known)}")
    sides = [np.asarray(side, float) for side in (a, b) if side is not None]
    if seeds == "paired" and len({len(side) for side in sides}) > 1:
        lengths = " and ".join(str(len(side)) for side in sides)
        raise ValueError(f"paired sides have {lengths} seeds; expected as many, NaN where one is missing")
    if scale == "ratio":
        impossible = sum(int((side <= 0).sum()) for side in sides)
        if impossible:
            return Contrast(math.nan, None, "", diverged=diverged + impossible, scale=scale)
        sides = [np.log(side) for side in sides]
    if seeds == "paired":
        d = sides[0] - sides[1] if b is not None else sides[0]
        (mean, deviation, n), how = _summary(d), "paired by seed" if b is not None else "over seeds"
        return _made(mean, deviation / n**0.5 if n > 1 else math.nan, n - 1, scale, how, n, diverged)
    return _welch(*map(_summary, sides), scale, "Welch over seeds", diverged)


def summarised(
    a: Sequence[float], b: Sequence[float], *, scale: str = "difference", n: int = 5, unit: float = 0.01
) -> Contrast:
    """a - b or a / b of what the paper prints, by Welch's t; what rounding leaves open counts as one more deviation.

    A ratio is one of means; its interval takes a deviation over its mean for one of the logarithm.

    Args:
        a, b: [mean, standard deviation].
        scale: "difference" or "ratio".
        n: trials of each.
        unit: of the last digit that is printed: a mean of 0.05 may be 0.045 or 0.055.
    """
    both = [(mean, math.hypot(sd, unit * math.sqrt(n / 12))) for mean, sd in (a, b)]  # over n: a rounding's variance
    sides = [(math.log(mean), sd / mean, n) if scale == "ratio" else (mean, sd, n) for mean, sd in both]
    return _welch(*sides, scale, "Welch from means and deviations", 0)


def _summary(values) -> tuple[float, float, int]:
    values = values[~np.isnan(values)]
    n = len(values)
    return float(values.mean()) if n else math.nan, float(values.std(ddof=1)) if n > 1 else math.nan, n


def _welch(a, b, scale, how, diverged):
    (mean_a, sd_a, n_a), (mean_b, sd_b, n_b) = a, b
    error = df = math.nan
    if min(n_a, n_b) > 1:
        u, v = sd_a**2 / n_a, sd_b**2 / n_b
        error = math.sqrt(u + v)
        df = (u + v) ** 2 / (u**2 / (n_a - 1) + v**2 / (n_b - 1)) if error else n_a + n_b - 2
    return _made(mean_a - mean_b, error, df, scale, how, min(n_a, n_b), diverged)


def _made(estimate, error, df, scale, how, n, diverged) -> Contrast:
    back = math.exp if scale == "ratio" else float
    if math.isnan(error):  # fewer than two seeds
        return Contrast(back(estimate), None, how if n else "", math.nan, n, diverged, scale)
    half = stats.t.ppf((1 + LEVEL) / 2, df) * error
    p = min(1.0, 2 * _tail(abs(estimate), error, df))
    interval = back(estimate - half), back(estimate + half)
    return Contrast(back(estimate), interval, how, p, n, diverged, scale, error, df)


def _tail(above, error, df) -> float:
    """The one-sided p of an estimate that lies so far on the claimed side of a border; without any error, 0 or 1."""
    return float(stats.t.sf(above / error, df)) if error else float(above <= 0)


def holm(p: Numbers) -> np.ndarray:
    """The p values, adjusted by Holm's step-down method for being so many.

    Args:
        p: (K,); NaN is no comparison, and stays.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p, float)
    out, order = np.full(len(p), np.nan), np.argsort(p)  # NaN last
    m, least = int((~np.isnan(p)).sum()), 0.0
    for i, k in enumerate(order[:m]):
        least = max(least, (m - i) * p[k])
        out[k] = min(1.0, least)
    return out


# -- verdicts ---------------------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What one network says of a claim.

    Args:
        direction: one of DIRECTIONS.
        size: one of SIZES, None without the paper's number.
        value, interval, how, n, diverged: our `Contrast`'s.
        p: two-sided, that the claim does not hold.
        quotient: the 95 % interval of ours over the paper's.
    """

    direction: str
    size: str | None
    value: float
    interval: tuple[float, float] | None
    how: str
    n: int
    diverged: int
    p: float
    quotient: tuple[float, float] | None


def verdict(ours: Contrast, claimed: float | Sequence[float | None], theirs: Contrast | None = None) -> Verdict:
    """The verdict on one claim from our contrast: of its direction, and apart from that of its size.

    Args:
        ours: our contrast.
        claimed: a number, where the claim is that the value lies above it; or (low, high), that it lies between, None
            for no bound.
        theirs: the paper's contrast, on our scale, where its size can be compared.

    Returns:
        The verdict. Its direction *holds* where our interval lies within `claimed`, *does not hold here* where it lies
        outside, else it is *undecided*, as it is with one seed; with a diverged run it *holds in part* at best.

    Raises:
        ValueError: theirs is on another scale than ours.

    Source: the rules in claims.json.
    """
    if theirs and theirs.scale != ours.scale:
        raise ValueError(f"the paper's contrast is a {theirs.scale}; expected a {ours.scale}, as ours")
    low, high = claimed if isinstance(claimed, (tuple, list)) else (claimed, None)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if math.isnan(ours.value):
        direction = UNDECIDED if ours.diverged else UNMEASURED
    elif ours.interval is None:
        direction = UNDECIDED
    elif _within(ours.interval, low, high):
        direction = PART if ours.diverged else HOLDS
    else:
        direction = FAILS if ours.interval[1] <= low or ours.interval[0] >= high else UNDECIDED
    size = quotient = None
    if theirs and direction != UNMEASURED:
        quotient = over(ours, theirs)
        size = _size(quotient)
    p = _p(ours, low, high)
    return Verdict(direction, size, ours.value, ours.interval, ours.how, ours.n, ours.diverged, p, quotient)


def _within(interval, low, high) -> bool:
    """Whether an interval lies between two bounds; one without width may lie on them."""
    point = interval[0] == interval[1] and low == high
    return (low < interval[0] and interval[1] < high) or (point and interval[0] == low)


def _p(ours, low, high) -> float:
    """Twice the one-sided p that the value lies on or beyond the border of what is claimed, of two the greater."""
    if math.isnan(ours.error):
        return math.nan
    of = math.log if ours.scale == "ratio" else float
    above = [of(ours.value) - of(low)] if low > -math.inf and not (ours.scale == "ratio" and low <= 0) else []
    above += [of(high) - of(ours.value)] if high < math.inf else []
    return min(1.0, 2 * max((_tail(x, ours.error, ours.df) for x in above), default=0.0))


def over(ours: Contrast, theirs: Contrast) -> tuple[float, float] | None:
    """The 95 % interval of our value over the paper's, made of the two intervals.

    Of their logarithms, by MOVER: with values x, y and intervals (l, u), (m, v) it goes from x - y - sqrt((x - l)^2 +
    (v - y)^2) to x - y + sqrt((u - x)^2 + (y - m)^2). A value of another sign than the paper's counts as 0.

    Args:
        ours, theirs: contrasts on one scale.

    Returns:
        Its ends; None where one has no interval, or the paper's value is 0.

    Source: Zou and Donner 2008, Construction of confidence limits about effect measures, Statistics in Medicine 27.
    """
    if not (ours.interval and theirs.interval and theirs.value):
        return None
    x, (l, u), y, (m, v) = ours.value, ours.interval, theirs.value, theirs.interval
    if y < 0:
        x, l, u, y, m, v = -x, -u, -l, -y, -v, -m
    if u <= 0:
        return 0.0, 0.0
    if x <= 0:  # no logarithm: what the ends alone allow
        return 0.0, u / m if m > 0 else math.inf
    x, l, u, y, m, v = (math.log(z) if z > 0 else -math.inf for z in (x, l, u, y, m, v))
    return math.exp(x - y - math.hypot(x - l, v - y)), math.exp(x - y + math.hypot(u - x, y - m))


def _size(quotient) -> str:
    if quotient is None:
        return UNDECIDED
    low, high = quotient
    if 1 / FACTOR < low and high < FACTOR:
        return REPRODUCED
    return DIFFERS if high < 1 / FACTOR or low > FACTOR else UNDECIDED


class Combined(NamedTuple):
    """What several networks say together: one of DIRECTIONS, and p, that the claim holds on none of them."""

    direction: str
    p: float


def combined(cells: Iterable[tuple[str, Verdict]], least: int = 1) -> Combined:
    """The verdict of several cells, (network, verdict), a network once for each of its settings.

    Args:
        cells: what was asked; those that are not measured do not count.
        least: so many networks of Table 1 have to be among them, or the claim holds in part at best.

    Returns:
        The direction before, and the p for, Holm's correction over all claims (`corrected`).

    Source: the rules in claims.json; Fisher's combination of the networks' p values, of each its greatest.
    """
    cells = [(network, of) for network, of in cells if of.direction != UNMEASURED]
    said = [of.direction for _, of in cells]
    forms = {paper.column(network) for network, _ in cells}
    if not cells:
        return Combined(UNMEASURED, math.nan)
    if all(word == HOLDS for word in said) and len(forms) >= least:
        direction = HOLDS
    elif any(word in (HOLDS, PART) for word in said):
        direction = PART
    else:
        direction = FAILS if all(word == FAILS for word in said) else UNDECIDED
    if all(math.isnan(of.p) for _, of in cells):  # one seed, or arithmetic: no test
        return Combined(direction, math.nan)
    p: dict[str, float] = {}
    for network, of in cells:
        p[network] = max(p.get(network, 0.0), 1.0 if math.isnan(of.p) else of.p)
    statistic = -2 * sum(math.log(max(of, 1e-300)) for of in p.values())
    return Combined(direction, float(stats.chi2.sf(statistic, 2 * len(p))))


def corrected(found: dict[str, Combined]) -> dict[str, str]:
    """The directions of all claims after Holm's correction over those measured: what does not stand it is undecided.

    Args:
        found: {id: its networks' verdicts combined}.
    """
    adjusted = holm([of.p for of in found.values()])
    stands = lambda of, p: of.direction not in (HOLDS, PART) or not p >= ALPHA
    return {id: of.direction if stands(of, p) else UNDECIDED for (id, of), p in zip(found.items(), adjusted)}


# -- the file ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Test:
    """The one primary test of a claim.

    Args:
        networks, experiments: on which networks, measured by which of `experiments.EXPERIMENTS`.
        statistic: in words.
        measure: its name for a machine, or None.
        scale: "difference" or "ratio".
        null: in words.
        claimed: (low, high), what the value is claimed to lie between, None for no bound.
        seeds: what the interval is over, and how.
        least: see `combined`.
        refuted: what would refute the claim.
    """

    networks: tuple[str, ...]
    experiments: tuple[str, ...]
    statistic: str
    measure: str | None
    scale: str
    null: str
    claimed: tuple[float | None, float | None]
    seeds: str
    least: int
    refuted: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Args:
        id: a short name.
        section, element, page: where it stands.
        says: what it says.
        numbers: whether the paper prints numbers for it.
        paper: the table by which its size is judged, or None.
        test: how it is judged.
        seen: what had been measured and looked at when it was registered.
    """

    id: str
    section: str
    element: str
    page: int
    says: str
    numbers: bool
    paper: str | None
    test: Test
    seen: str

    def verdict(self, ours: Contrast, theirs: Contrast | None = None) -> Verdict:
        """The `verdict` of one network by this claim's test."""
        return verdict(ours, self.test.claimed, theirs)


SEEDS = ("paired", "independent", "networks", "minimisers", "none")


@functools.cache
def load() -> tuple[Claim, ...]:
    """Every claim, in the paper's order."""
    return read(FILE.read_text())


def get(id: str) -> Claim:
    """A claim by its id.

    Raises:
        ValueError: for an unknown one.
    """
    found = {claim.id: claim for claim in load()}
    if id not in found:
        raise ValueError(f"claim {id!r} is unknown; expected one of {', '.join(found)}")
    return found[id]


@functools.cache
def rules() -> dict:
    """The rules of the verdicts in words, by name."""
    return json.loads(FILE.read_text())["rules"]


@functools.cache
def amendments() -> dict[str, str]:
    """What was changed in a claim's test after its result was seen, and why, by the claim's id."""
    return {of["claim"]: f"Amended on {of['date']}. {of['says']}" for of in json.loads(FILE.read_text())["amendments"]}


def read(text: str) -> tuple[Claim, ...]:
    """The claims of a file like claims.json.

    Args:
        text: of the file.

    Raises:
        ValueError: for a claim that is not as it should be; it names it.
    """
    found: dict[str, Claim] = {}
    for i, entry in enumerate(json.loads(text)["claims"]):
        name = f"claim {entry.get('id', f'number {i + 1}')!r}"
        claim = _read(Claim, entry, name)
        claim = dataclasses.replace(claim, test=_read(Test, claim.test, f"{name}, test"))
        _check(claim, name)
        if claim.id in found:
            raise ValueError(f"{name} stands there twice; expected an id of its own")
        found[claim.id] = claim
    return tuple(found.values())


def _read(kind, entry, name):
    """A dataclass from an object that has its fields and no others; lists become tuples."""
    wanted = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(entry, dict):
        raise ValueError(f"{name} is {type(entry).__name__}; expected one object with {', '.join(sorted(wanted))}")
    if wanted != set(entry):
        raise ValueError(f"{name} has {sorted(set(entry) - wanted)} too much, lacks {sorted(wanted - set(entry))}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})


def _check(claim: Claim, name: str) -> None:
    test, datasets, tables = claim.test, scales.SCALES["full"].datasets, paper.numbers()
    table = claim.paper and claim.paper.split("/")[0]
    unknown = set(test.experiments) - set(experiments.EXPERIMENTS)
    low, high = test.claimed if len(test.claimed) == 2 else (None, None)
    empty = [key for of in (claim, test) for key, value in vars(of).items() if value == ""]
    wrong = [
        f"{what} {value!r}; expected {expected}"
        for ok, what, value, expected in (
            (not empty, "empty", empty, "words"),
            (re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", claim.id), "id", claim.id, "small letters, digits and hyphens"),
            (1 <= claim.page <= 16, "page", claim.page, "1 to 16"),
            (table is None or table in tables, "paper", claim.paper, f"one of {', '.join(tables)}"),
            (claim.numbers or claim.paper is None, "numbers", claim.numbers, "true, where `paper` names a table"),
            (set(test.networks) <= set(datasets), "networks", test.networks, f"some of {', '.join(datasets)}"),
            (not unknown, "experiments", sorted(unknown), "those of `lbgap status`"),
            (test.scale in ("difference", "ratio"), "scale", test.scale, "difference or ratio"),
            (test.seeds in SEEDS, "seeds", test.seeds, f"one of {', '.join(SEEDS)}"),
            (low != high or low is not None, "claimed", test.claimed, "[low, high], one of them not null"),
            (None in (low, high) or low <= high, "claimed", test.claimed, "[low, high], the lower first"),
            (0 <= test.least <= len(test.networks), "least", test.least, "a count, at most that of the networks"),
        )
        if not ok
    ]
    if wrong:
        raise ValueError(f"{name}: {'; '.join(wrong)}")

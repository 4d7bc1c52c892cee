"""What every exercise shares: its entry in the list, and comparing an answer with the right one and with known
mistakes."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import numbers
import traceback
from collections.abc import Callable, Sequence

import numpy as np
import torch

KINDS = ("predict then measure", "implement", "find the bug", "derive", "judge")
LEVELS = ("easy", "medium", "hard")
EMPTY = "There is no answer yet: put it where the dots are, and let a function return it."
Answer = Callable | float | tuple  # what an exercise asks for; the learner's may be anything


class Unanswered(Exception):
    """The answer is still the dots of the exercise."""

    def __str__(self) -> str:
        return EMPTY


def answered(value: object) -> object:
    """The value, unless it is still the dots of the exercise, or nothing: then Unanswered is raised."""
    if value is None or value is ...:
        raise Unanswered
    return value


@dataclasses.dataclass(frozen=True)
class Exercise:
    """An exercise of the book.

    Args:
        name: as in `check(name, answer)`.
        title: its heading.
        chapter: the page it stands in.
        kind: of KINDS.
        level: of LEVELS.
        minutes: it takes.
        verify: verify(answer) returns None or a comment where the answer is right, and otherwise raises ValueError with
            a hint.
    """

    name: str
    title: str
    chapter: str
    kind: str
    level: str
    minutes: int
    verify: Callable


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and what is to be said about it; true or false as a condition."""

    right: bool
    message: str

    def __bool__(self) -> bool:
        return self.right

    def __str__(self) -> str:
        return f"{'Right.' if self.right else 'Not yet.'} {self.message}".strip()

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return f"**{'Right.' if self.right else 'Not yet.'}** {self.message}".strip()


EXERCISES: dict[str, Exercise] = {}


def exercise(name: str, title: str, kind: str, level: str, minutes: int) -> Callable:
    """Enter the decorated `verify(answer)` in the list, under the chapter that its module is named after.

    Args:
        name, title, kind, level, minutes: as in `Exercise`.
    """
    if kind not in KINDS or level not in LEVELS or name in EXERCISES:
        raise ValueError(f"exercise {name!r}: {kind!r}, {level!r}; expected a new name, of {KINDS}, and of {LEVELS}")

    def enter(verify):
        chapter = verify.__module__.rsplit(".", 1)[-1]
        EXERCISES[name] = Exercise(name, title, chapter, kind, level, minutes, verify)
        return verify

    return enter


def check(name: str, answer: Answer) -> Verdict:
    """Whether an answer to an exercise is right, and if not, what is wrong and why it may be.

    Args:
        name: of the exercise, as it stands in the book.
        answer: the function, number or tuple that the exercise asks for. It is run, and what it raises is caught.

    Returns:
        True as a condition where the answer is right; as the last line of a cell it shows itself.

    Raises:
        ValueError: for a name that no exercise has.

    >>> check("box", lambda x, epsilon: epsilon * x.abs() + 1)
    Not yet. The brackets are lost: epsilon must multiply the 1 as well.
    """
    if name not in EXERCISES:
        near = difflib.get_close_matches(name, EXERCISES) or sorted(EXERCISES)
        raise ValueError(f"no exercise is called {name!r}; expected for example {', '.join(near)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return Verdict(True, EXERCISES[name].verify(answered(answer)) or "")
        except (Unanswered, Wrong) as wrong:
            return Verdict(False, str(wrong))
        except Exception as error:  # the learner's own code may raise anything
            file = getattr(getattr(answer, "__code__", None), "co_filename", None)
            own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
            where = f"Your code raised, at `{own[-1].line}`," if own else "The answer has not the form asked for:"
            return Verdict(False, f"{where} {type(error).__name__}: {error}")


def catalogue() -> str:
    """Every exercise with its page, kind, level and time, as a Markdown table in the order of the book's chapters."""
    rows = ["| exercise | page | kind | level | minutes |", "| --- | --- | --- | --- | --- |"]
    for one in (one for one in EXERCISES.values() if one.chapter != "assignments"):
        page = one.chapter.replace("_", " ")
        rows.append(f"| {one.title} | [{page}]({one.chapter}.ipynb) | {one.kind} | {one.level} | {one.minutes} |")
    return "\n".join(rows)


class Wrong(ValueError):
    """What is wrong with an answer, as a hint."""


def function(answer: object) -> None:
    """Raises Wrong for an answer that cannot be called."""
    if not callable(answer):
        raise Wrong(f"The answer is {answer!r}; a function is expected. Pass it by its name, without calling it.")


def compare(
    answer: object, cases: Sequence[tuple], solution: Callable, mistakes: dict[str, Callable], tolerance: float = 1e-5
) -> None:
    """Run a function on each case, beside the right one and beside known mistakes.

    Args:
        answer, solution: functions of a case's arguments; numbers, arrays, tensors, strings, or tuples of these come
            out.
        cases: tuples of arguments.
        mistakes: {hint: the function that makes this mistake}.
        tolerance: relative, and as much of 1e-3 absolute.

    Raises:
        Wrong: with the hint of the mistake that the answer makes on every case, or else with the first case that
            differs.
    """
    function(answer)
    given, expected = [], [solution(*copy.deepcopy(case)) for case in cases]
    for case in cases:
        passed = copy.deepcopy(case)
        given.append(answered(answer(*passed)))
        if not all(same(a, b, 0.0) for a, b in zip(passed, case) if not callable(a)):
            raise Wrong("The function changes what it is given. Work on a copy, so that the caller's values stay.")
    if all(same(a, b, tolerance) for a, b in zip(given, expected)):
        return
    for hint, mistake in mistakes.items():
        if all(same(a, mistake(*copy.deepcopy(case)), tolerance) for a, case in zip(given, cases)):
            raise Wrong(hint)
    case, a, b = next(found for found in zip(cases, given, expected) if not same(*found[1:], tolerance))
    if _several(b) and isinstance(a, tuple | list) and len(a) == len(b):
        a, b = next(pair for pair in zip(a, b) if not same(*pair, tolerance))
    if isinstance(b, dict) and isinstance(a, dict) and a.keys() == b.keys():
        a, b = next(({k: a[k]}, {k: b[k]}) for k in b if not same(a[k], b[k], tolerance))
    said = ", ".join(shown(value) for value in case if not callable(value))
    digits = 4 if shown(a) != shown(b) else 8
    told = f"It gives {shown(a, digits)} where {shown(b, digits)} is right"
    raise Wrong(told + (f"; called with {said}." if said else "."))


def number(answer: object, solution: float, mistakes: dict[str, float], tolerance: float = 5e-3) -> None:
    """`compare` for an answer that is a number.

    Args:
        answer, solution: the learner's and the right one.
        mistakes: {hint: the number that this mistake gives}.
        tolerance: relative.
    """
    if isinstance(answer, np.ndarray | torch.Tensor) and answer.ndim == 0:
        answer = answer.item()
    if not isinstance(answer, numbers.Real):
        raise Wrong(f"The answer is {answer!r}; a number is expected.")
    constant = lambda value: lambda: value
    compare(constant(answer), [()], constant(solution), {k: constant(v) for k, v in mistakes.items()}, tolerance)


def same(a: object, b: object, tolerance: float) -> bool:
    """Whether two values agree, entry by entry, and in their shapes.

    Args:
        a, b: the learner's and the right one: numbers, arrays, tensors, words, or tuples, lists and dicts of these.
        tolerance: relative, and as much of 1e-3 absolute.
    """
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in b)
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    if _several(b):
        return isinstance(a, tuple | list) and len(a) == len(b) and all(same(*v, tolerance) for v in zip(a, b))
    a, b = (np.asarray(v.detach() if isinstance(v, torch.Tensor) else v) for v in (a, b))
    if a.shape != b.shape:
        return False
    return np.allclose(a.astype(float), b.astype(float), rtol=tolerance, atol=1e-3 * tolerance, equal_nan=True)


def _several(value) -> bool:
    """Whether these are several values, each by itself, and not one row of numbers."""
    return isinstance(value, tuple | list) and not all(isinstance(v, int | float) for v in value)


def shown(value: object, digits: int = 4) -> str:
    """A value in few characters.

    Args:
        value: as in `same`.
        digits: after the point.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    words = isinstance(value, str) or _several(value)
    text = repr(value) if words else np.array2string(np.asarray(value), precision=digits, threshold=6)
    return f"`{' '.join(text.split())[:80]}`"

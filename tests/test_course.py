"""The exercises: right answers are right, planted mistakes get hints of their own, and the pages agree with the
list."""

import ast
import copy
import dataclasses
import itertools
import json
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from conftest import ROOT
from scipy import stats
from torch.nn.utils import vector_to_parameters

import lbgap
from lbgap import course, paper, results
from lbgap.campaign import scales
from lbgap.course import assignments
from lbgap.course.checking import EMPTY, Unanswered, Wrong
from lbgap.results import arrays

# ------------------------------------------------------------------------------------------- planted wrong answers
# {exercise: [(a wrong answer as a learner may write it, words that only its own hint has)]}


def unpaired(small, large):
    a, b = np.array(small), np.array(large)
    middle, half = a.mean() - b.mean(), (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) ** 0.5
    return middle - stats.t.ppf(0.975, len(a) - 1) * half, middle + stats.t.ppf(0.975, len(a) - 1) * half


def paired(quantile, ddof):
    def interval(small, large):
        d = [a - b for a, b in zip(small, large)]
        half = quantile(len(d)) * np.std(d, ddof=ddof) / math.sqrt(len(d))
        return np.mean(d) - half, np.mean(d) + half

    return interval


def in_training_mode(network, inputs, labels, batch_size):
    return 100 * (network(inputs).argmax(1) == labels).double().mean().item()


def never_back(network, inputs, labels, batch_size):
    network.eval()
    return in_training_mode(network, inputs, labels, batch_size)


def mean_of_means(network, inputs, labels, batch_size):
    network.eval()
    parts = zip(inputs.split(batch_size), labels.split(batch_size))
    found = [in_training_mode(network, x, y, batch_size) for x, y in parts]
    network.train()
    return sum(found) / len(found)


def hill(f, x_small, x_large, alphas, a=lambda t: t, over=None):
    at = lambda t: f(a(t) * x_large + (1 - a(t)) * x_small)[0]
    return max(at(t) - (over(at) if over else (1 - t) * at(0) + t * at(1)) for t in alphas)


def between(alphas):
    return [t for t in alphas if 0 <= t <= 1]


def walked(prepare):
    def loss_along(network, x_small, x_large, alphas, inputs, labels):
        network, losses = prepare(network), []
        for t in alphas:
            vector_to_parameters(t * x_large + (1 - t) * x_small, network.parameters())
            losses.append(F.cross_entropy(network(inputs), labels).item())
        return losses

    return loss_along


def dropout_off(network):
    network[3].eval()
    return network


def every_corner(f, x, epsilon, divide=lambda f0: 1 + f0, percent=100):
    room, f0 = epsilon * (abs(x) + 1), f(x)[0]
    top = max(f(x + room * torch.tensor(s, dtype=x.dtype))[0] for s in itertools.product((1, -1), repeat=len(x)))
    return percent * (top - f0) / divide(f0)


def gradient_corner(f, x, epsilon):
    f0, g = f(x)
    return 100 * (f(x + epsilon * (abs(x) + 1) * torch.sign(g))[0] - f0) / (1 + f0)


def stays(f, x, epsilon):
    return f(x)[0]


def leaves(f, x, epsilon):
    return max(
        f(x + 3 * epsilon * (x.abs() + 1) * torch.tensor(s, dtype=x.dtype))[0]
        for s in itertools.product((1, -1), repeat=5)
    )


def runs(size):
    return [scales.laboratory("mlp", size, trial) for trial in range(5)]


def epochs(size):
    return arrays.epochs(runs(size)).mean()


def pulled(pull):
    def solve(gradient, x_k, strength, lr, steps):
        x = x_k.clone()
        for _ in range(steps):
            x = x - lr * gradient(x) - lr * pull(x, x_k, strength)
        return x

    return solve


def ghosts(x, size, unbiased=False, by=lambda part, x: part):
    return torch.cat(
        [(p - by(p, x).mean(0)) / torch.sqrt(by(p, x).var(0, unbiased=unbiased) + 1e-5) for p in x.split(size)]
    )


def sam(sign=1.0, back=True, each=False):
    def sam_gradient(network, inputs, labels, rho):
        network = copy.copy(network) if back else network
        parameters = list(network.parameters())
        g = torch.autograd.grad(F.cross_entropy(network(inputs), labels), parameters)
        norm = math.sqrt(sum((v**2).sum().item() for v in g))
        kept = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, v in zip(parameters, g):
                p.add_(sign * rho * v / (v.norm() if each else norm))
        out = torch.autograd.grad(F.cross_entropy(network(inputs), labels), parameters)
        with torch.no_grad():
            for p, k in zip(parameters, kept) if back else ():
                p.copy_(k)
        return out

    return sam_gradient


def question_1(gain, left, margin, wide="not settled", below="hurts"):
    if gain[0] > 0:
        return "closes the gap" if left[1] < margin else "narrows the gap"
    if gain[1] < 0:
        return below
    return "does nothing" if gain[1] < margin else wide


def question_1_by_mean(gain, left, margin):
    gain, left = sum(gain) / 2, sum(left) / 2
    if gain > 0:
        return "closes the gap" if left < margin else "narrows the gap"
    return "hurts" if gain < 0 else "does nothing"


def holm_not_monotone(p):
    ranks = stats.rankdata(p, method="ordinal")
    return [min(1, (len(p) - r + 1) * v) for r, v in zip(ranks, p)]


def power(hvp, n, steps=3000, unit=True):
    v = torch.ones(n, dtype=torch.float64) + 0.1 * torch.arange(n)
    for _ in range(steps):
        v = hvp(v)
        v = v / v.norm() if unit else v
    return v, hvp(v)


def by_frame(utterance, share, seed):
    return torch.rand(len(utterance), generator=torch.Generator().manual_seed(seed)) < share


def whole(count, seeded=True):
    def test_frames(utterance, share, seed):
        known = utterance.unique()
        random = torch.Generator().manual_seed(seed if seeded else 0)
        return torch.isin(
            utterance, known[torch.randperm(len(known), generator=random)[: round(count(share) * len(known))]]
        )

    return test_frames


def spliced(frames, context, step=1, outside="clamp"):
    n, rows = len(frames), []
    for i in range(n):
        row = []
        for k in range(-context, context + 1):
            j = i + step * k
            if outside == "clamp":
                row.append(frames[min(max(j, 0), n - 1)])
            elif outside == "wrap":
                row.append(frames[j % n])
            else:
                row.append(frames[j] if 0 <= j < n else torch.zeros_like(frames[0]))
        rows.append(torch.cat(row))
    return torch.stack(rows)


def table3(epsilon, of):
    return {name: of(row[epsilon]["SB"][0], row[epsilon]["LB"][0]) for name, row in paper.numbers()["table3"].items()}


def scaled(weight, bias, reference, c, with_bias=True):
    return c * weight, (c.flatten() * bias if with_bias else bias)


def ascended(f, x, epsilon, room=lambda x, e: e * (x.abs() + 1), below=1, begin=1.0, up=1.0):
    half, f0 = room(x, epsilon), f(x)[0]
    z = begin * half * torch.sign(torch.sin(torch.arange(len(x)) + 1.0))
    best = f0
    for _ in range(20):
        value, g = f(x + z)
        best, z = max(best, value), up * half * torch.sign(g)
    return 100 * (best - f0) / (below + f0)


def grouped(factors, values, errors, kept):
    groups = {}
    for member, value, error in zip(factors, values, errors):
        groups.setdefault(tuple(v for k, v in member.items() if kept(k)), []).append((value, error))
    return np.mean([stats.kendalltau(*zip(*group))[0] for group in groups.values()])


STUDENT, NORMAL = (lambda n: stats.t.ppf(0.975, n - 1)), (lambda n: 1.96)
PLANTED = {
    "gap-interval": lambda: [(unpaired, "two independent"), (paired(NORMAL, 1), "1.96"), (paired(STUDENT, 0), "ddof=1")],
    "evaluate": lambda: [(in_training_mode, "running statistics"), (never_back, "evaluation mode"), (mean_of_means, "smaller")],
    "barrier": lambda: [
        (lambda f, s, l, a: hill(f, s, l, between(a), a=lambda t: 1 - t), "wrong way"),
        (hill, "Only the stretch"),
        (lambda f, s, l, a: hill(f, s, l, between(a), over=lambda at: at(0)), "above one end"),
    ],
    "landscape-bug": lambda: [
        (walked(lambda network: network), "dropout is still on"),
        (walked(lambda network: copy.deepcopy(network).eval()), "running statistics"),
        (walked(dropout_off), "as it was"),
    ],
    "box": lambda: [
        (lambda x, e: e * abs(x) + 1, "brackets"),
        (lambda x, e: e * abs(x), "cannot move"),
        (lambda x, e: e * x + e, "negative parameter"),
    ],
    "corners": lambda: [
        (lambda f, x, e: every_corner(f, x, e, divide=lambda f0: f0), "1 + f"),
        (lambda f, x, e: every_corner(f, x, e, percent=1), "factor 100"),
        (gradient_corner, "Only the corner"),
    ],
    "ascent": lambda: [(lambda f, x, e: min(f(x)[0] - 1e-6, stays(f, x, e)), "downhill"), (stays, "never left"), (leaves, "left the box")],
    "updates": lambda: [
        ((10, epochs(32) / epochs(1000)), "ratio of epochs"),
        ((10, epochs(1000) / (32 * epochs(32))), "Turn it round"),
        ((10, 31.25 * epochs(32) / epochs(1000)), "32 steps"),
    ],
    "matched": lambda: [
        (lambda s, l: l <= 1.5 * s, "one way only"),
        (lambda s, l: abs(l - s) < 0.5, "difference"),
        (lambda s, l: s == l, "last digit"),
    ],
    "proximal": lambda: [
        (pulled(lambda x, k, s: s * (x - k)), "half as strong"),
        (pulled(lambda x, k, s: 2 * s * (x - x)), "no pull"),
        (pulled(lambda x, k, s: 2 * s * (k - x)), "away"),
    ],
    "variance-test": lambda: [
        (lambda g, t: math.ceil((g.var(0).sum() / (t * (g.mean(0) ** 2).sum())).item()), "not squared"),
        (lambda g, t: math.ceil((g.var(0).mean() / (t**2 * (g.mean(0) ** 2).sum())).item()), "not their mean"),
        (lambda g, t: math.ceil(((g**2).sum() / (len(g) - 1) / (t**2 * (g.mean(0) ** 2).sum())).item()), "second moment"),
    ],
    "ghost": lambda: [
        (lambda x, size: ghosts(x, len(x)), "whole batch"),
        (lambda x, size: ghosts(x, size, unbiased=True), "n - 1"),
        (lambda x, size: ghosts(x, size, by=lambda part, x: x[:size]), "the first"),
        (lambda x, size: torch.cat([(p - p.mean(0)) / (p.std(0, unbiased=False) + 1e-5) for p in x.split(size)]), "It gives"),
    ],
    "sam-counts-twice": lambda: [(sam(), "twice"), (sam(back=False), "Put them back"), (sam(sign=-1.0), "downhill"), (sam(each=True), "one ball")],
    "twin": lambda: [
        (lambda W1, b1, W2, b2, W3, b3, c: (W1 * c, b1, W2, b2 * c, W3 / c, b3), "first bias"),
        (lambda W1, b1, W2, b2, W3, b3, c: (W1 * c, b1 * c, W2, b2, W3 / c, b3), "middle layer"),
        (lambda W1, b1, W2, b2, W3, b3, c: (W1 * c, b1 * c, W2 / c, b2, W3, b3), "It gives"),
        (lambda W1, b1, W2, b2, W3, b3, c: (W1 * c, b1 * c, W2, b2 * c, W3 / c, b3 / c), "last bias"),
        (lambda W1, b1, W2, b2, W3, b3, c: (W1 * c, b1 * c, W2, b2 * c, W3 * c, b3), "last weights"),
    ],
    "adaptive-toy": lambda: [
        (lambda a, e: 50 * ((a + e * a + e) * (1 / a + e / a + e) - 1) ** 2, "grows with a"),
        (lambda a, e: 50 * ((1 + e) - 1) ** 2, "Only one"),
        (lambda a, e: 0.5 * ((1 + e) ** 2 - 1) ** 2, "the rise of f"),
    ],
    "registered-rule": lambda: [
        (question_1_by_mean, "middle"),
        (lambda g, l, m: question_1(g, l, m, wide="does nothing"), "wide interval"),
        (lambda g, l, m: question_1(g, l, m, below="does nothing"), "wholly below"),
    ],
    "holm": lambda: [
        (lambda p: [min(1, len(p) * v) for v in p], "Bonferroni"),
        (lambda p: p, "Nothing was corrected"),
        (holm_not_monotone, "smaller than one before"),
    ],
    "memorised": lambda: [
        (lambda p, g, t: 100 * (p == g).double().mean(), "All labels"),
        (lambda p, g, t: 100 * ((p == g) * (g != t)).double().mean(), "all images"),
        (lambda p, g, t: 100 * (p != t)[g != t].double().mean(), "how often the network is wrong"),
    ],
    "right-share": lambda: [
        (lambda p, b, n: math.sqrt(p * (1 - p) / b), "without replacement"),
        (lambda p, b, n: p * (1 - p) / b * (n - b) / (n - 1), "variance"),
        (lambda p, b, n: math.sqrt(p * (1 - p) * b * (n - b) / (n - 1)), "number of right"),
    ],
    "adam-edge": lambda: [
        (lambda b, lr: 2 / lr, "gradient descent's"),
        (lambda b, lr: 2 * (1 + b) / lr, "adds up"),
        (lambda b, lr: 38 / lr, "at beta1 = 0.9"),
    ],
    "top-eigenvalue": lambda: [
        (lambda hvp, n: (lambda v, w: (v @ w).item())(*power(hvp, n)), "Shift H"),
        (lambda hvp, n: power(hvp, n)[1].norm().item(), "has no sign"),
        (lambda hvp, n: (lambda v, w: (v @ w / (v @ v)).item())(*power(hvp, n, unit=False)), "not finite"),
    ],
    "who-wins": lambda: [(0.625, "Turn it round"), (16 / 3, "efficiency"), (0.025, "cancel")],
    "both-imperfect": lambda: [
        (lambda s, l, r: r / s, "perfectly"),
        (lambda s, l, r: r * s / l, "efficiencies are exchanged"),
        (lambda s, l, r: l / (s * r), "batches are exchanged"),
    ],
    "split": lambda: [(by_frame, "both sides"), (whole(lambda s: 1 - s), "Three quarters"), (whole(lambda s: s, seeded=False), "same seed")],
    "splice": lambda: [
        (lambda f, c: spliced(f, c, outside="wrap"), "circle"),
        (lambda f, c: spliced(f, c, step=-1), "backwards"),
        (lambda f, c: spliced(f, c, outside="zeros"), "noughts"),
    ],
    "paper-ratios": lambda: [
        (table3("1e-3", lambda s, l: s / l), "Turn it round"),
        (table3("1e-3", lambda s, l: l - s), "difference"),
        (table3("5e-4", lambda s, l: l / s), "5e-4"),
    ],
    "half-life": lambda: [
        (lambda b, s, l: b * s / l, "one power"),
        (lambda b, s, l: b ** (s / l), "upside down"),
        (lambda b, s, l: 1 - (1 - b) * l / s, "approximation"),
    ],
    "filter-norms": lambda: [
        (lambda w, b, r: (w * r.norm() / w.norm(), b * r.norm() / w.norm()), "whole layer"),
        (lambda w, b, r: scaled(w, b, r, r.norm(dim=1, keepdim=True) / w.norm(dim=1, keepdim=True), False), "forgotten"),
        (lambda w, b, r: scaled(w, b, r, r.abs().amax(1, keepdim=True) / w.abs().amax(1, keepdim=True)), "2-norm"),
    ],
    # the assignments'
    "own-sharpness": lambda: [
        (lambda f, x, e: ascended(f, x, e, room=lambda x, e: e * x.abs()), "too narrow"),
        (lambda f, x, e: ascended(f, x, e, below=0), "1 + f"),
        (lambda f, x, e: ascended(f, x, e) / 100, "factor 100"),
        (lambda f, x, e: ascended(f, x, e, begin=0.0, up=0.0), "no rise"),
        (lambda f, x, e: ascended(f, x, 2 * e), "left the box"),
        (lambda f, x, e: 0.5 * ascended(f, x, e), "Go on for longer"),
    ],
    "by-factor": lambda: [
        (lambda factors, values, errors, name: stats.kendalltau(values, errors)[0], "all at once"),
        (lambda factors, values, errors, name: grouped(factors, values, errors, lambda k: k == name), "turned round"),
        (lambda factors, values, errors, name: -grouped(factors, values, errors, lambda k: k != name), "sign"),
    ],
    "remedy": lambda: [
        (assignments.plain, "plain LB"),
        (lambda seed: dataclasses.replace(assignments.plain(0), lr=2e-3), "init_seed"),
        (lambda seed: dataclasses.replace(assignments.plain(seed), batch_size=32), "batch_size"),
        (lambda seed: {"weight_decay": 1e-3}, "expected a `lbgap.Run`"),
    ],
}  # fmt: skip


def test_every_exercise_has_three_planted_mistakes():
    assert PLANTED.keys() == course.EXERCISES.keys() and len(IN_PAGES) >= 24
    assert all(len(planted()) >= 3 for planted in PLANTED.values())


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_gets_a_hint_of_its_own(name):
    said = []
    for answer, words in PLANTED[name]():
        verdict = course.check(name, answer)
        assert not verdict and words in str(verdict), f"{words!r} is not in: {verdict}"
        said.append(verdict.message)
    assert len(set(said)) == len(said)


# ------------------------------------------------------------------------------------------------------- the pages


def cells(chapter):
    return {cell["id"]: cell for cell in json.loads((ROOT / "book" / f"{chapter}.ipynb").read_text())["cells"]}


def last_value(source):
    """Run a cell, and give what its last line is."""
    *body, last = ast.parse(source).body
    space = {}
    exec(compile(ast.Module(body, []), "cell", "exec"), space)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space)


IN_PAGES = {name: one for name, one in course.EXERCISES.items() if one.chapter != "assignments"}


@pytest.mark.parametrize("name", IN_PAGES)
def test_an_exercise_stands_in_its_page_whole_and_its_solution_is_right(name):
    one = course.EXERCISES[name]
    page = cells(one.chapter)
    statement, code, solution = (page[f"exercise-{name}{part}"] for part in ("", "-code", "-solution"))
    told = ["skip-execution"] if one.kind == "find the bug" else []  # which is not told of by the page
    tags = [cell["metadata"]["tags"] for cell in (statement, code, solution)]
    assert tags == [["exercise"], ["exercise", *told], ["exercise"]]
    head, label, *_ = "".join(statement["source"]).split("\n\n", 2)
    assert head == f"### {one.title}"
    assert label.startswith(f"*{one.kind.capitalize()} · {one.level} · {one.minutes} minutes.*")
    assert "<summary>Hint</summary>" in "".join(statement["source"])
    (fence,) = re.findall(r"```python\n(.*?)```", "".join(solution["source"]), re.S)
    assert last_value(fence), last_value(fence)
    before = last_value("".join(code["source"]))
    assert not before and (before.message == EMPTY or one.kind == "find the bug"), before
    assert "raised" not in before.message


def test_the_pages_hold_no_exercise_that_the_list_lacks():
    for path in (ROOT / "book").glob("*.ipynb"):
        here = {name for name, one in IN_PAGES.items() if one.chapter == path.stem}
        ids = {re.sub("-(code|solution)$", "", i) for i in cells(path.stem) if i.startswith("exercise-")}
        assert ids == {f"exercise-{name}" for name in here}, path.stem
        assert "## Questions" not in path.read_text(), (
            f"{path.stem} ends in questions: make them exercises, or drop them"
        )


def test_teachers_are_told_what_each_chapter_needs_and_gives():
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
    chapters = [file["file"] for part in parts[:5] for file in part["chapters"]]
    told = (ROOT / "book/for_teachers.md").read_text()
    untold = [name for name in chapters if f"| []({name.removeprefix('book/')}.ipynb) |" not in told]
    assert len(chapters) > 20 and not untold


def test_the_list_names_every_exercise_with_level_and_time():
    rows = course.catalogue().splitlines()[2:]
    assert len(rows) == len(IN_PAGES)
    for row, one in zip(rows, IN_PAGES.values()):
        assert f"]({one.chapter}.ipynb)" in row and row.endswith(f"| {one.level} | {one.minutes} |")


# ----------------------------------------------------------------------------------------------------- the checker


def test_what_a_learners_code_does_is_caught_and_told():
    def fails(x, epsilon):
        return 1 / 0

    def meddles(x, epsilon):
        x.mul_(epsilon)
        return x

    assert "Your code raised, at `return 1 / 0`, ZeroDivisionError" in course.check("box", fails).message
    assert "not the form" in course.check("updates", 2.0).message
    assert course.check("who-wins", "1.6").message == "The answer is '1.6'; a number is expected."
    of_n = lambda p, batch, n: (p * (1 - p) / batch * (n - batch) / n) ** 0.5
    assert "gives `0.08625543` where `0.08626622`" in course.check("right-share", of_n).message
    bias_too = lambda w, b, r: (w * (r.norm(dim=1) / w.norm(dim=1))[:, None], b * 7)
    assert course.check("filter-norms", bias_too).message.startswith("It gives `[-")  # the part that differs
    assert "changes what it is given" in course.check("box", meddles).message
    assert "by its name" in course.check("box", 3.0).message
    assert course.check("box", lambda x, e: ...).message == EMPTY
    assert course.check("box", lambda x, e: 2 * e * x).message.startswith("It gives")
    with pytest.raises(ValueError, match="holm"):
        course.check("hom", None)


def test_checking_leaves_the_random_state_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    course.check("ghost", lambda x, size: ghosts(x, size))
    assert torch.equal(torch.rand(1), expected)


# ------------------------------------------------------------------------------------------------ the assignments


def test_a_students_pair_is_theirs_and_the_key_knows_it():
    pair = assignments.blind_pair(" Ada ")
    assert torch.equal(pair.A, assignments.blind_pair("ada").A)
    assert {assignments.large_of(name) for name in "abcdefghijklmnop"} == {"A", "B"}
    assert len({assignments.seed_of(name) for name in map(str, range(200))}) > 190
    measured = {name: ascended(pair.f, getattr(pair, name), 1e-3) for name in "AB"}  # not by the package's ascent
    large = max(measured, key=measured.get)
    judge = lambda measured, large: assignments.verify_pair("ada", measured, large, ascended)
    judge(measured, large)
    with pytest.raises(Wrong, match="is the small batch"):
        judge(measured, "AB".replace(large, ""))
    with pytest.raises(Wrong, match="A measures 0.01"):
        judge(measured | {"A": 0.01}, large)
    with pytest.raises(Wrong, match="A is said to measure .* measured again, by question 2"):
        judge(measured | {"A": 0.8 * measured["A"]}, large)
    with pytest.raises(Unanswered):
        judge(measured, ...)
    assert assignments.seed_of(4711) == assignments.seed_of("4711")


def test_the_ascent_is_to_be_the_students_own():
    with pytest.raises(Wrong, match="calls this book's package"):
        assignments.verify_sharpness(lambda f, x, epsilon: lbgap.sharpness(f, x, epsilon).value, 0)


def test_valleys_know_their_sharpness():
    for f, x, epsilon, known in assignments.valleys(3):
        room, f0 = epsilon * (x.abs() + 1), f(x)[0]
        tried = torch.stack([room * s for s in torch.linspace(-1, 1, 201, dtype=x.dtype)])
        steps = [max(f(x + torch.where(torch.arange(30) == i, z, 0.0))[0] for z in tried) - f0 for i in range(30)]
        assert abs(100 * sum(steps) / (1 + f0) - known["exact"]) < 1e-9 * known["exact"]


def test_a_measure_is_a_finite_number_that_leaves_x():
    animals = assignments.zoo("ada", batch_size=(1000,), lr=(3e-3,))
    assert [a.factors["shrink"] for a in animals] == [1, 4] and all(0 < a.test_error < 30 for a in animals)
    assert assignments.verify_measure(lambda f, x: x.norm().item(), "ada", animals) == [
        a.x.norm().item() for a in animals
    ]
    for measure, words in (
        (lambda f, x: float(torch.rand(1)), "Asked twice"),
        (lambda f, x: math.inf, "finite"),
        (lambda f, x: x.mul_(2).norm().item(), "changes the x"),
        (lambda f, x: 1.0, "same number"),
        ("norm", "a function is expected"),
    ):
        with pytest.raises(Wrong, match=words):
            assignments.verify_measure(measure, "ada", animals)


RECORDS = [path for path in assignments.RECORDS.iterdir() if path.is_dir()]


@pytest.mark.parametrize("folder", RECORDS, ids=lambda path: path.name)
def test_a_record_keeps_the_rules_and_shows_its_gain(folder):
    found = assignments.judged(folder)
    assert found.n == 5 and found.value > 0 and found.p < assignments.LEVEL
    title, *text = (folder / "README.md").read_text().splitlines()
    assert title.startswith("# ") and "*Predicted:*" in "\n".join(text)
    assert title[2:] in assignments.records()


def test_the_referee_finds_what_is_wrong_with_a_record(tmp_path):
    def copied(keep=lambda number: True):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))  # a new one
        for number, path in enumerate(results.Store(RECORDS[0], packaged=None).paths()):
            if keep(number):
                results.Store(folder, packaged=None).accept(results.read(path))
        return folder

    with pytest.raises(Wrong, match="has seeds"):
        assignments.judged(copied(lambda number: number))
    two = copied()
    for document in map(results.read, results.Store(RECORDS[0], packaged=None).paths()):
        run = document["spec"]["run"] | {"lr": 2e-3}
        spec = document["spec"] | {"run": run}
        results.Store(two, packaged=None).put(spec, document["result"], document["provenance"])
    with pytest.raises(Wrong, match="10 documents, of more than one remedy; expected 5"):
        assignments.judged(two)
    theirs = arrays.final([assignments.plain(seed) for seed in assignments.SEEDS])
    nothing = results.Store(tmp_path / "nothing", packaged=None)
    for path in results.Store(RECORDS[0], packaged=None).paths():
        document = results.read(path)
        result = json.loads(json.dumps(document["result"]))
        result["final"]["recalibrated"]["test"]["accuracy"] = theirs[document["spec"]["run"]["init_seed"]]
        nothing.put(document["spec"], result, document["provenance"])
    with pytest.raises(Wrong, match="it changes nothing"):
        assignments.judged(nothing.folder)
    touched = copied()
    path = results.Store(touched, packaged=None).paths()[0]
    path.write_text(path.read_text().replace('"accuracy":9', '"accuracy":8', 1))
    with pytest.raises(Wrong, match="lbgap verify"):
        assignments.judged(touched)
    other = results.Store(copied(lambda number: number), packaged=None)
    documents = [results.read(path) for path in results.Store(RECORDS[0], packaged=None).paths()]
    (missing,) = [document for document in documents if document["spec"] not in other]
    spec = missing["spec"] | {"run": missing["spec"]["run"] | {"lr": 2e-3}}
    other.put(spec, missing["result"], missing["provenance"])
    with pytest.raises(Wrong, match="not one remedy"):
        assignments.judged(other.folder)

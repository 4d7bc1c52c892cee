"""Exercises of *Every table and figure*."""

from ..checking import Answer, compare, exercise


@exercise("paper-ratios", "Which contrast is the largest?", "predict then measure", "easy", 10)
def paper_ratios(answer: Answer) -> None:
    """ratios(): {network: Table 3's LB over SB at epsilon 1e-3}."""
    from ... import paper

    table = paper.numbers()["table3"]
    read = lambda epsilon, of: {k: of(v[epsilon]["SB"][0], v[epsilon]["LB"][0]) for k, v in table.items()}
    mistakes = {
        "That is SB over LB. Turn it round.": lambda: read("1e-3", lambda s, l: s / l),
        "That is a difference. How many *times* as sharp is asked for.": lambda: read("1e-3", lambda s, l: l - s),
        "These are the values at epsilon 5e-4; 1e-3 is asked for.": lambda: read("5e-4", lambda s, l: l / s),
    }
    compare(lambda: answer, [()], lambda: read("1e-3", lambda s, l: l / s), mistakes, tolerance=1e-2)

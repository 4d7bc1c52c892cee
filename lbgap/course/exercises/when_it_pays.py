"""Exercises of *When a large batch pays*."""

from ..checking import Answer, compare, exercise, number


@exercise("who-wins", "Who wins?", "derive", "easy", 5)
def who_wins(answer: Answer) -> None:
    """LB's time over SB's."""
    mistakes = {
        "That is SB's time over LB's. Turn it round.": 1 / 1.6,
        "The efficiency is left out: SB uses 30 % of the machine, so it takes longer than its examples say.": 16 / 3,
        "The 64 processors cancel: both use the same ones.": 1.6 / 64,
    }
    number(answer, 1.6, mistakes)


@exercise("both-imperfect", "When LB does not scale either", "derive", "medium", 10)
def both_imperfect(answer: Answer) -> None:
    """break_even(f_small, f_large, ratio): of the iterations."""
    perfect, turned = lambda s, l, r: r / s, lambda s, l, r: l / s / r
    mistakes = {
        "LB is still taken to scale perfectly. With f_large below 1 it can afford fewer iterations.": perfect,
        "The efficiencies are exchanged: a wasteful SB should leave LB more room, not less.": lambda s, l, r: r * s / l,
        "The batches are exchanged: the larger LB's batch, the fewer iterations it can afford.": turned,
    }
    compare(answer, [(0.2, 0.9, 0.1), (0.5, 0.6, 0.25)], lambda s, l, r: r * l / s, mistakes)

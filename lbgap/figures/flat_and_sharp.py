"""Flat and sharp: Fig. 1, computed."""

from __future__ import annotations

import numpy as np

from .panels import COLOR, MARK, Picture, canvas


def fig1() -> Picture:
    """Fig. 1: a flat and a sharp minimum of one curve; the test curve is the same, a little to the side."""
    f = lambda x: 1 - np.exp(-((x + 2) ** 2) / 2.4) - 0.99 * np.exp(-((x - 2.6) ** 2) / 0.09)
    x = np.linspace(-5, 5, 800)
    figure, (ax,) = canvas(1, 1, 3.2)
    shift = 0.35
    ax.plot(x, f(x), "k-", label="training function f")
    ax.plot(x, f(x - shift), "k--", label="testing function, shifted")
    for arm, at, name in (("SB", -2.0, "flat minimum"), ("LB", 2.6, "sharp minimum")):
        ax.plot([at, at], [f(at), f(at - shift)], color=COLOR[arm], lw=3)
        ax.plot(at, f(at), MARK[arm], color=COLOR[arm])
        ax.text(at, -0.08, f"{name}: rises by {f(at - shift) - f(at):.2f}", ha="center", va="top", color=COLOR[arm])
    ax.set(xlabel="x, one variable", ylabel="loss", ylim=(-0.25, 1.3))
    ax.set_title("Fig. 1, computed: the same shift, two prices")
    ax.legend(loc="upper center", ncols=2, fontsize=8)
    return figure

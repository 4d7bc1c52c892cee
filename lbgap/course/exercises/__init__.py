"""The exercises, one file a chapter, in the order of the book: a new one is one function here and three cells in its
page."""

from . import (  # isort: skip  (the book's order is the list's)
    generalisation_gap,
    walking_between_minima,
    measuring_sharpness,
    one_minute_laboratory,
    remedies,
    after_the_paper,
    same_function,
    causal_grid,
    noisy_labels,
    edge_of_stability,
    when_it_pays,
    speech,
    tables_and_figures,
    controls,
)

__all__ = [
    "after_the_paper",
    "causal_grid",
    "controls",
    "edge_of_stability",
    "generalisation_gap",
    "measuring_sharpness",
    "noisy_labels",
    "one_minute_laboratory",
    "remedies",
    "same_function",
    "speech",
    "tables_and_figures",
    "walking_between_minima",
    "when_it_pays",
]

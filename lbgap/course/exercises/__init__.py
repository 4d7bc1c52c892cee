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

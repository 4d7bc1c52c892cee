"""The paper's tables and figures from the stored results, beside the paper's own numbers, each with its verdict.

A module a chapter, under the chapter's name; below them `words`, `statistics`, `panels`, `comparisons`, `sliders`,
`scores` and `measures`. ALL: every table, figure and verdict by name, without arguments, the names of
`experiments.EXPERIMENTS` among them; each gives a `Text` or a matplotlib figure of what the store holds.
"""

import functools
import importlib

SHOWN = {  # by chapter, what needs no arguments
    "flat_and_sharp": "fig1",
    "one_minute_laboratory": "laboratory where_ended",
    "generalisation_gap": "table2 verdict2 fig2 peaks modes2 loss2 evaluator benches bench_gaps",
    "walking_between_minima": "fig3 fig7 path_verdict norm_matched_paths weight_decay sisters",
    "measuring_sharpness": "table3 verdict3 table4 epsilon_grid solver_starts solvers literal_ranking",
    "few_steep_directions": "curvature_verdict metric_and_curvature spectrum directions top_space steep_share",
    "same_function": "twins_verdict norm_matched norms_verdict",
    "threshold": "fig4 leap",
    "why_small_batches_escape": "warm_verdict way_down_verdict fig5 fig6 fig6_read distances noise_scale",
    "batch_or_rate": "rates_verdict by_rate rates_and_sharpness optimizers learning_rates",
    "edge_of_stability": "edge edge_verdict",
    "causal_grid": "causal_table causal_checks causal_verdict",
    "remedies": "verdict7 robust robust_verdict",
    "after_the_paper": "tuning scoreboard scoreboard_verdict scoreboard_figure",
    "when_it_pays": "throughput fills pays",
    "noisy_labels": "noisy_curves noisy_verdict",
    "controls": "more_seeds settled settled_verdict text_variant no_dropout temperature test_sharpness matched_loss "
    "patience matrices precision evaluation_batches modes3 half_life adam_epsilon bf16 equal_updates initialisations",
    "speech": "human_verdict known_voices",
    "so_was_the_paper_right": "what_we_found verdicts headline",
    "status": "progress",
}
OTHERWISE = {  # what an experiment is shown by, where that has another name
    **{"literal": "solver_verdict", "fig4_whole": "fig4", "fig5_controls": "fig5", "fig5_all": "fig5"},
    **{"laboratory_way": "warm_verdict", "laboratory_hessian": "curvature", "laboratory_rates": "rates_figure"},
    **{"augmentation": "table6", "augmented_loss": "verdict6", "noisy_labels": "noisy_table"},
    **{"conservative": "table7", "conservative_reset": "moments", "conservative_half": "half_pull"},
    **{"twins": "twins_verdict", "causal_grid": "causal_figure", "sharpness_growth": "growth"},
}
TOOLS = {  # and what else there is, by module
    "words": "ARMS NOT_YET Text ended known matched number spread",
    "statistics": "crossing gap holm ratio",
    "panels": "COLOR DASH MARK",
    "comparisons": "compare row",
    "scores": "judgements treated",
    "one_minute_laboratory": "laboratory_verdict landing",
    "walking_between_minima": "path",
    "measuring_sharpness": "at_every_epsilon epsilon_at_rise growth solver_verdict",
    "few_steep_directions": "curvature",
    "same_function": "twins_slider",
    "why_small_batches_escape": "warm_slider way_slider",
    "batch_or_rate": "rates_figure",
    "causal_grid": "causal_figure causal_slider",
    "remedies": "half_pull moments remedy_paths table6 table7 verdict6 verdict7_paper",
    "after_the_paper": "chosen_numbers scoreboard_data",
    "noisy_labels": "noisy_table noisy_slider",
    "controls": "idle",
    "speech": "corpora listen utterance",
    "measures": "judged_claims",
}
_PLACE = {name: module for table in (SHOWN, TOOLS) for module, names in table.items() for name in names.split()}


def __getattr__(name: str):
    """A module of this room, or what is public of one: loaded where it is first asked for."""
    if name == "ALL":
        found = _all()
    elif name in _PLACE:
        found = getattr(importlib.import_module(f".{_PLACE[name]}", __name__), name)
    elif name in SHOWN or name in TOOLS:
        return importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *_PLACE, *SHOWN, *TOOLS, "ALL"})


def _all() -> dict:
    from ..campaign.experiments import EXPERIMENTS
    from ..campaign.treatments import TREATMENTS
    from ..results import arrays
    from . import after_the_paper, measuring_sharpness, remedies, walking_between_minima

    fig3, networks = walking_between_minima.fig3, lambda name: EXPERIMENTS[name].networks
    public = lambda name: getattr(importlib.import_module(f".{_PLACE[name]}", __name__), name)
    return {
        # a line of the scoreboard, unless it has a table of its own
        **{name: functools.partial(after_the_paper.scoreboard, which=name) for name in TREATMENTS},
        **{name: public(name) for names in SHOWN.values() for name in names.split()},
        **{name: public(shown) for name, shown in OTHERWISE.items()},
        **{f"{n}_paths": functools.partial(remedies.remedy_paths, n) for n, of in TREATMENTS.items() if of.plots},
        "verdict4": lambda: measuring_sharpness.verdict3(table="table4", subspace=100),
        "bench_paths": lambda: fig3(networks("bench_paths")),
        "text_variant_paths": lambda: fig3(networks("text_variant"), variant="text"),
        "no_dropout_paths": lambda: fig3(networks("no_dropout"), trials=arrays.trials("no_dropout"), dropout=False),
    }

"""The paper's tables and figures from the stored results, beside the paper's own numbers, each with its verdict.

ALL: every one of them by name, without arguments, the names of `experiments.EXPERIMENTS` among them; each gives a
`Text` or a matplotlib figure of what the store holds, and says what is pending.
"""

import functools

from ..campaign.experiments import EXPERIMENTS
from ..campaign.scales import PAPER
from ..campaign.treatments import TREATMENTS
from ..results import arrays
from .causal import causal_checks, causal_grid, causal_table, causal_verdict
from .controls import (
    adam_epsilon,
    bf16,
    compare,
    equal_updates,
    evaluation_batches,
    evaluator,
    fig6_read,
    half_life,
    idle,
    initialisations,
    known_voices,
    learning_rate_table,
    literal_ranking,
    matched_loss,
    matrices,
    modes3,
    more_seeds,
    no_dropout,
    norm_matched,
    optimizers,
    patience,
    precision,
    row,
    settled,
    settled_verdict,
    solvers,
    steep_share,
    temperature,
    test_sharpness,
    text_variant,
    top_space,
)
from .edge import edge_of_stability, edge_verdict
from .found import headline, verdicts, what_we_found
from .in_the_laboratory import (
    curvature,
    curvature_verdict,
    metric_and_curvature,
    rates_and_sharpness,
    rates_figure,
    rates_verdict,
    warm_starts,
    warm_verdict,
    way_down,
    way_down_verdict,
)
from .noisy_labels import noisy_curves, noisy_table, noisy_verdict
from .plots import (
    COLOR,
    DASH,
    MARK,
    directions,
    epsilon_grid,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    fig7,
    laboratory,
    landing,
    learning_rates,
    noise_scale,
    norm_matched_paths,
    path,
    paths,
    sisters,
    spectrum,
    weight_decay,
    where_ended,
)
from .remedies import (
    bench_gaps,
    benches,
    chosen_numbers,
    half_pull,
    judgements,
    moments,
    remedy_paths,
    robust,
    robust_verdict,
    scoreboard,
    scoreboard_data,
    scoreboard_figure,
    scoreboard_verdict,
    table6,
    table7,
    treated,
    tuning,
    verdict6,
    verdict7,
    verdict7_paper,
)
from .same_function import adaptive, norms_verdict, retrained, twins, twins_verdict
from .scaling import fills, pays, throughput
from .speech import corpora, human_verdict, listen, utterance
from .statistics import difference, gap, holm, meet, ratio, welch
from .tables import (
    crossing,
    distances,
    epsilon_at_rise,
    growth,
    laboratory_verdict,
    modes2,
    path_verdict,
    peaks,
    progress,
    solver_starts,
    solver_verdict,
    table2,
    table3,
    table4,
    verdict2,
    verdict3,
)
from .words import ARMS, Text, ended, known, matched, number, percent, spread

_named = lambda *shown: {f.__name__: f for f in shown}
_of = lambda name: EXPERIMENTS[name].networks
ALL = {
    # a line of the scoreboard, unless it has a table of its own
    **{name: functools.partial(scoreboard, which=name) for name in TREATMENTS},
    # of experiments.EXPERIMENTS, in its order
    **_named(laboratory, table2, table3, fig3, fig7),
    "literal": lambda: solver_verdict(PAPER),
    **_named(table4, fig4, fig6, fig5, optimizers, directions, spectrum, norm_matched, twins, text_variant, sisters),
    **_named(more_seeds, settled, temperature, test_sharpness, matched_loss, patience, epsilon_grid),
    "solvers": lambda: solvers(PAPER),
    **_named(matrices, precision, evaluation_batches, half_life, adam_epsilon, weight_decay, no_dropout),
    "initialisations": initialisations,
    "learning_rates": learning_rate_table,
    "noise_scale": noise_scale,
    **dict.fromkeys(("fig5_controls", "fig5_all"), fig5),
    **_named(bf16, known_voices, equal_updates, throughput),
    "fig4_whole": fig4,
    "benches": benches,
    "bench_paths": lambda: fig3(_of("bench_paths")),
    "tuning": tuning,
    "conservative": table7,
    "conservative_reset": moments,
    "conservative_half": half_pull,
    "augmentation": table6,
    "augmented_loss": verdict6,
    "edge": edge_of_stability,
    "causal_grid": causal_grid,
    "noisy_labels": noisy_table,
    # and what goes with them
    **_named(causal_table, causal_checks, causal_verdict, edge_verdict, noisy_curves, noisy_verdict, verdict7, robust),
    **_named(robust_verdict, scoreboard, scoreboard_verdict, scoreboard_figure),
    **{f"{name}_paths": functools.partial(remedy_paths, name) for name in TREATMENTS if TREATMENTS[name].plots},
    "fig1": fig1,
    "fig2": lambda: fig2(PAPER),
    **_named(verdict2, peaks, modes2, distances, verdict3),
    "verdict4": lambda: verdict3(table="table4", subspace=100),
    "sharpness_growth": growth,
    **_named(modes3, solver_starts),
    "path_verdict": lambda: path_verdict(PAPER),
    **_named(fig6_read, steep_share, top_space, norm_matched_paths),
    "text_variant_paths": lambda: fig3(_of("text_variant"), variant="text"),
    "no_dropout_paths": lambda: fig3(_of("no_dropout"), trials=arrays.trials("no_dropout"), dropout=False),
    **_named(twins_verdict, adaptive, norms_verdict),
    "learning_rate_curves": learning_rates,
    "progress": progress,
    "laboratory_way": warm_starts,
    "laboratory_hessian": curvature,
    "laboratory_rates": rates_figure,
    **_named(warm_verdict, way_down, way_down_verdict, curvature_verdict, rates_verdict, rates_and_sharpness),
    "metric_and_curvature": metric_and_curvature,
    **_named(what_we_found, verdicts, headline, pays, fills, literal_ranking, evaluator, bench_gaps, where_ended),
    **_named(human_verdict, settled_verdict),
}

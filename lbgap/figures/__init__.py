"""The paper's tables and figures from the stored results, beside the paper's own numbers, each with its verdict.

ALL: every one of them by name, without arguments, the names of `experiments.EXPERIMENTS` among them; each gives a `Text`
or a matplotlib figure of what the store holds, and says what is pending.
"""

import functools

from .. import stored
from ..experiments import EXPERIMENTS
from ..treatments import TREATMENTS
from ..units import PAPER
from .causal import causal_checks, causal_grid, causal_table, causal_verdict
from .controls import (adam_epsilon, bf16, compare, equal_updates, evaluation_batches, evaluator, fig6_read, half_life, idle, initialisations, known_voices,
                       learning_rate_table, literal_ranking, matched_loss, matrices, modes3, more_seeds, no_dropout, norm_matched, optimizers,
                       patience, precision, row, settled, settled_verdict, solvers, steep_share, temperature, test_sharpness, text_variant, top_space)
from .edge import edge_of_stability, edge_verdict
from .noisy_labels import noisy_curves, noisy_table, noisy_verdict
from .plots import (COLOR, DASH, MARK, directions, epsilon_grid, fig1, fig2, fig3, fig4, fig5, fig6, fig7, laboratory, landing, learning_rates,
                    noise_scale, norm_matched_paths, path, paths, sisters, spectrum, weight_decay, where_ended)
from .remedies import (bench_gaps, benches, chosen_numbers, half_pull, judgements, moments, remedy_paths, robust, robust_verdict, scoreboard, scoreboard_data,
                       scoreboard_figure, scoreboard_verdict, table6, table7, treated, tuning, verdict6, verdict7, verdict7_paper)
from .scaling import fills, pays, throughput
from .same_function import adaptive, norms_verdict, retrained, twins, twins_verdict
from .speech import corpora, human_verdict, listen, utterance
from .statistics import difference, gap, holm, meet, ratio, welch
from .tables import (crossing, distances, epsilon_at_rise, growth, laboratory_verdict, modes2, path_verdict, peaks, progress,
                     solver_verdict, starts, table2, table3, table4, verdict2, verdict3)
from .words import ARMS, Text, ended, known, matched, number, percent, spread

ALL = {
    **{name: functools.partial(scoreboard, which=name) for name in TREATMENTS},  # a line of the scoreboard, unless it has a table of its own
    # of experiments.EXPERIMENTS, in its order
    "laboratory": laboratory, "table2": table2, "table3": table3, "fig3": fig3, "fig7": fig7, "literal": lambda: solver_verdict(PAPER),
    "table4": table4, "fig4": fig4, "fig6": fig6, "fig5": fig5, "optimizers": optimizers, "directions": directions, "spectrum": spectrum,
    "norm_matched": norm_matched, "twins": twins, "text_variant": text_variant, "sisters": sisters, "more_seeds": more_seeds, "settled": settled,
    "temperature": temperature, "test_sharpness": test_sharpness, "matched_loss": matched_loss, "patience": patience,
    "epsilon_grid": epsilon_grid, "scales": lambda: solvers(PAPER), "table4_matrices": matrices, "float64": precision,
    "evaluation_batch": evaluation_batches, "half_life": half_life, "adam_epsilon": adam_epsilon, "weight_decay": weight_decay,
    "no_dropout": no_dropout, "starts": initialisations, "learning_rates": learning_rate_table, "noise_scale": noise_scale,
    "fig5_controls": fig5, "fig5_all": fig5, "bf16": bf16, "known_voices": known_voices, "longer": equal_updates, "throughput": throughput, "fig4_whole": fig4,
    "benches": benches, "bench_paths": lambda: fig3(EXPERIMENTS["bench_paths"].networks), "tuning": tuning, "conservative": table7,
    "conservative_reset": moments, "conservative_half": half_pull, "augmentation": table6, "augmented_loss": verdict6,
    "edge": edge_of_stability, "causal_grid": causal_grid, "noisy_labels": noisy_table,
    # and what goes with them
    "causal_table": causal_table, "causal_checks": causal_checks, "causal_verdict": causal_verdict,
    "edge_verdict": edge_verdict, "noisy_curves": noisy_curves, "noisy_verdict": noisy_verdict,
    "verdict7": verdict7, "robust": robust, "robust_verdict": robust_verdict, "scoreboard": scoreboard, "scoreboard_verdict": scoreboard_verdict,
    "scoreboard_figure": scoreboard_figure,
    **{f"{name}_paths": functools.partial(remedy_paths, name) for name in TREATMENTS if TREATMENTS[name].plots},
    "fig1": fig1, "fig2": lambda: fig2(PAPER), "verdict2": verdict2, "peaks": peaks, "modes2": modes2, "distances": distances,
    "verdict3": verdict3, "verdict4": lambda: verdict3(table="table4", subspace=100), "sharpness_growth": growth, "modes3": modes3,
    "solver_starts": starts, "path_verdict": lambda: path_verdict(PAPER), "fig6_read": fig6_read,
    "steep_share": steep_share, "top_space": top_space, "norm_matched_paths": norm_matched_paths,
    "text_variant_paths": lambda: fig3(EXPERIMENTS["text_variant"].networks, variant="text"),
    "no_dropout_paths": lambda: fig3(EXPERIMENTS["no_dropout"].networks, trials=stored.trials("no_dropout"), dropout=False),
    "twins_verdict": twins_verdict, "adaptive": adaptive, "norms_verdict": norms_verdict, "learning_rate_curves": learning_rates, "progress": progress, "pays": pays, "fills": fills,
    "literal_ranking": literal_ranking, "evaluator": evaluator, "bench_gaps": bench_gaps, "where_ended": where_ended,
    "human_verdict": human_verdict, "settled_verdict": settled_verdict,
}

"""Metric 2.1: what the solver itself costs, and how near its ten iterations come to a long solve.

    python benchmarks/sharpness.py           a minute: F1 over 3,000 random images; mlp-bn trained on 1,000 of MNIST
    python benchmarks/sharpness.py --full    F1 over 60,000 random images; F1 trained on 4,000 of MNIST
    python benchmarks/sharpness.py --pair    six minutes: the packaged pair of F1 over all of MNIST, by parts

share is the CPU time of a solve outside f, one thread, over the whole, and the same with f over 60,000 examples (f
costs in proportion; --full has the subspace of Table 4 too). quality is the value over that of two long sign-gradient
ascents with falling steps, where the greater of the two is 1; literal is SciPy's ten iterations over the same.
Aims: `best` has a share of at most 2 % at 60,000, and a quality of at least 0.99 for SB and LB alike. --pair prints
the value over what the solver before it went by parts found in 43 to 67 passes, and the passes;
aims: at least 0.97 everywhere, a median of 0.99 for SB and for LB, and at most 8 passes.
"""

import os
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / part) for part in ("", "tests")]

import torch
from test_metric import long_solve

import lbgap
from lbgap import data, networks, same_function
from lbgap.objective import flat

EPSILON = 1e-3
CASES = {"best": {}, "literal": {"solver": "literal"}}
BEFORE = {
    ("SB", 1e-3): 0.48712,
    ("SB", 5e-4): 0.13552,
    ("LB", 1e-3): 585.873,
    ("LB", 5e-4): 124.673,
    ("SB with LB's norms", 1e-3): 25.712,
    ("SB with LB's norms", 5e-4): 1.4100,
    ("LB with SB's norms", 1e-3): 52.057,
    ("LB with SB's norms", 5e-4): 1.1970,
}  # F1, trial 0, revision 1
SUBSPACE = {"best, p = 100": {"subspace": 100}}


class Timed:
    """f, and the CPU time inside it."""

    def __init__(self, f):
        self.f, self.inside = f, 0.0

    def __call__(self, x):
        start = time.process_time()
        out = self.f(x)
        self.inside += time.process_time() - start
        return out


def cost(count, full):
    """Print the solvers' own share of a solve over `count` random images."""
    network = networks.build("F1")
    dataset = data.Data(
        "random",
        torch.rand(count, 1, 28, 28),
        torch.arange(count) % 10,
        torch.rand(1, 1, 28, 28),
        torch.zeros(1, dtype=torch.int64),
        10,
        "",
    )
    f, x = Timed(lbgap.Objective(network, dataset=dataset)), flat(network.parameters())
    f(x)
    for name, settings in (CASES | SUBSPACE if full else CASES).items():
        f.inside, start = 0.0, time.process_time()
        found = lbgap.sharpness(f, x, EPSILON, **settings)
        whole = time.process_time() - start
        own, scaled = whole - f.inside, f.inside * 60_000 / count
        print(
            f"{name:<16}{found.evaluations:>4} evaluations, own {own:6.2f} CPU-s, share {100 * own / whole:5.1f} %, "
            f"over 60,000 examples {100 * own / (own + scaled):5.1f} %",
            flush=True,
        )


def quality(network, dataset, batch_sizes):
    """Print the values of `best` and `literal` beside a long solve, for a small and a large batch."""
    for name, batch_size in zip(("SB", "LB"), batch_sizes):
        m = lbgap.train(lbgap.Run(network, dataset, batch_size, epochs=150, stop_loss=0.02), progress=False)
        f = lbgap.Objective(m)
        best, literal = (lbgap.sharpness(f, m.x, EPSILON, solver=s) for s in ("best", "literal"))
        longest = max(100 * (long_solve(f, m.x, EPSILON) - best.f0) / (1 + best.f0), best.value)
        print(
            f"{name} {network} batch {batch_size:<6} best {best.value:9.3f}, quality {best.value / longest:.4f}, "
            f"{best.evaluations} evaluations; literal {literal.value:9.3f}, quality {literal.value / longest:.4f}",
            flush=True,
        )


def pair():
    """Print the packaged pair's sharpness beside what the solver before this one found."""
    small, large = (lbgap.minimizer(f"F1-{arm}") for arm in ("SB", "LB"))
    subjects = {
        "SB": small,
        "LB": large,
        "SB with LB's norms": same_function.match_norms(small, large),
        "LB with SB's norms": same_function.match_norms(large, small),
    }
    for (arm, epsilon), before in BEFORE.items():
        m, start = subjects[arm], time.process_time()
        found = lbgap.sharpness(lbgap.Objective(m), m.x, epsilon)
        print(
            f"F1 {arm} epsilon {epsilon:g}: {found.value:9.4f}, {found.value / before:.3f} of revision 1, "
            f"{found.passes:.1f} passes, {time.process_time() - start:.0f} CPU-s",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    if "--pair" in sys.argv[1:]:
        pair()
        sys.exit()
    full = "--full" in sys.argv[1:]
    cost(60_000 if full else 3_000, full)
    quality(*(("F1", "mnist-5k", (32, 400)) if full else ("mlp-bn", "mnist-1k", (50, 1000))))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")

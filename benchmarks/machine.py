"""What keeping memory and one thread for a small network are worth: ratios from one run.

    python benchmarks/machine.py           two minutes: C1 as printed, and the laboratory's network
    python benchmarks/machine.py --full    ten: C1 too, in float32 and bf16, and F1

memory: examples a CPU-second of training steps with glibc as it comes, and with `machine.keep_memory`, and the most
memory the process held; processes of one thread, in turn. The aim: C1 at least 1.3 times, C1 as printed 1.65, under 8
GB.
threads: seconds of wall time to train and measure `mlp` at batch 32 while another process keeps a core busy, on one
thread, as lbgap chooses it, and on PyTorch's own number, given up after a minute.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CASES = [("C1-text", 256, "float32", 12), ("C1-text", 5000, "float32", 2)]
FULL = [
    *CASES,
    ("C1", 256, "float32", 6),
    ("C1", 5000, "float32", 1),
    ("C1", 256, "bf16", 6),
    ("C1", 5000, "bf16", 1),
    ("F1", 256, "float32", 40),
    ("F1", 6000, "float32", 3),
]
STEPS = """
import resource, sys, time
from types import SimpleNamespace
import torch
from lbgap import machine, networks, training
from lbgap.campaign import scales
network, batch_size, precision, steps, keep = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
torch.set_num_threads(1)
assert keep == "no" or machine.keep_memory()
run = scales.run(network, batch_size, 0, precision=precision)
model, inputs = run.build().train(), torch.rand(batch_size * steps, *networks.input_shape(run.network))
if network != "F1":
    model, inputs = (t.to(memory_format=torch.channels_last) for t in (model, inputs))
labels = torch.arange(len(inputs)) % 10
optimizer, order = training.make_optimizer(run, list(model.parameters())), torch.Generator().manual_seed(0)
with training._precision(precision, "cpu") as autocast:
    step = training.Step(run, model, optimizer, SimpleNamespace(y_train=labels), autocast)
    took = []
    for _ in range(4):
        start = time.process_time()
        training._epoch(step, inputs, order, batch_size)
        took.append(time.process_time() - start)
print(len(inputs) / min(took[1:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
LABORATORY = """
import sys, time
import lbgap
from lbgap import machine
from lbgap.campaign import scales
if sys.argv[1] == "all":
    machine.SMALL = 0
start = time.perf_counter()
m = lbgap.train(scales.laboratory("mlp", 32, 0), progress=False)
lbgap.sharpness(lbgap.Objective(m), m.x, 1e-3)
print(time.perf_counter() - start)
"""


def run(code, *words, limit=None, **environment):
    """The numbers that a new process prints, None after `limit` seconds."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "OMP_", "MKL_"))}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            cwd=ROOT,
            env=clean | environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return None
    return [float(word) for word in done.stdout.split()]


def main(cases):
    print(f"{'memory':<26}{'as it comes':>12}{'kept':>9}{'ratio':>7}{'GB':>7}")
    for case in cases:
        (before, _), (after, held) = (run(STEPS, *case, keep, OMP_NUM_THREADS="1") for keep in ("no", "yes"))
        name = f"{case[0]} batch {case[1]} {case[2]}"
        print(f"{name:<26}{before:>12,.0f}{after:>9,.0f}{after / before:>7.2f}{held:>7.1f}", flush=True)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        time.sleep(0.5)
        one, several = (run(LABORATORY, threads, limit=60) for threads in ("one", "all"))
        busy.kill()
    said = f"{several[0]:.1f} s" if several else "not done after 60 s"
    print(f"threads: one {one[0]:.1f} s, PyTorch's number {said}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main(FULL if "--full" in sys.argv[1:] else CASES)

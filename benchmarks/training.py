"""Training, in samples a CPU-second on one thread: lbgap's loop over the naive one, and the share of a matrix product's
speed.

    python benchmarks/training.py            a minute: a few batches of 256, random images of the right shape
    python benchmarks/training.py --full     whole epochs, and the large batches too

naive is what a tutorial writes: torchvision's data set (its own __getitem__ and ToTensor), a DataLoader, a plain loop,
Adam. GEMM is a float32 matrix product timed in the same run; the work of a network is counted by PyTorch, padding
included, so that a
convolution can exceed 1. All take turns; medians of CPU time. Aims on idle cores: of GEMM, F1 at least 0.80 at batch
256 and 0.88 at 6000, C1 at least 1.0. Two such processes at once, one thread each, do twice the work: then F1 is to be
at least 3 times the
naive loop, C1 2.3 and C1 as printed in the text (stride 2) 2.5.
"""

import os
import sys
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from lbgap import data, networks, training

CASES = [("F1", "code", 256, 12), ("C1", "code", 256, 2), ("C1", "text", 256, 6)]  # ..., batch size, batches an epoch
FULL = [
    ("F1", "code", 256, 234),
    ("F1", "code", 6000, 10),
    ("C1", "code", 256, 20),
    ("C1", "code", 5000, 2),
    ("C1", "text", 256, 195),
]


def seconds(work):
    """CPU-seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def images(network, count):
    """A torchvision data set of random images, made without its files."""
    torchvision = data.import_torchvision()
    kind = torchvision.datasets.MNIST if network == "F1" else torchvision.datasets.CIFAR10
    dataset, rng = kind.__new__(kind), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 28, 28) if network == "F1" else (count, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 10, count)
    dataset.data, dataset.targets = (
        (torch.from_numpy(pixels), torch.from_numpy(labels)) if network == "F1" else (pixels, labels.tolist())
    )
    dataset.transform, dataset.target_transform = torchvision.transforms.ToTensor(), None
    return dataset


def naive(network, variant, batch_size, dataset):
    """An epoch of the plain loop."""
    model = networks.build(network, variant)
    optimizer = torch.optim.Adam(model.parameters())
    loader = DataLoader(dataset, batch_size, shuffle=True)

    def epoch():
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()

    return epoch


def ours(network, variant, batch_size, dataset):
    """An epoch of lbgap's loop, prepared as `lbgap.train` prepares it."""
    pixels = torch.as_tensor(dataset.data)
    inputs = (pixels[:, None] if network == "F1" else pixels.permute(0, 3, 1, 2)).float().div(255)
    labels, model = torch.as_tensor(dataset.targets), networks.build(network, variant)
    if network != "F1":
        model, inputs = (t.to(memory_format=torch.channels_last) for t in (model, inputs))
    run = training.Run(network, "mnist" if network == "F1" else "cifar10", batch_size, variant=variant)
    optimizer, order = training.make_optimizer(run, list(model.parameters())), torch.Generator().manual_seed(0)
    step = training.Step(run, model, optimizer, SimpleNamespace(y_train=labels))
    return lambda: training._epoch(step, inputs, order, batch_size)


def work_of(network, variant, batch_size):
    """Floating-point operations of one training step, a sample."""
    model = networks.build(network, variant)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, *networks.input_shape(network))).sum().backward()
    return counter.get_total_flops() / 2


def main(cases, repeats):
    torch.set_num_threads(1)
    a, b = torch.randn(2, 1024, 1024)
    product, gemm = lambda: [a @ b for _ in range(10)], []
    seconds(product)
    print(f"{'':<24}{'naive':>9}{'lbgap':>9}{'lbgap/naive':>13}{'lbgap/GEMM':>12}")
    for network, variant, batch_size, batches in cases:
        dataset = images(network, batch_size * batches)
        loops = [make(network, variant, batch_size, dataset) for make in (naive, ours)]
        took = ([], [])
        for _ in range(repeats + 1):
            for loop, times in zip(loops, took):
                times.append(seconds(loop))
            gemm.append(seconds(product))
        slow, fast = (len(dataset) / median(times[1:]) for times in took)  # the first warms up
        rate = 10 * 2 * 1024**3 / median(gemm)
        name = f"{network} {'stride 2 ' if variant == 'text' else ''}batch {batch_size}"
        print(
            f"{name:<24}{slow:>9.0f}{fast:>9.0f}{fast / slow:>13.2f}"
            f"{fast * work_of(network, variant, batch_size) / rate:>12.2f}",
            flush=True,
        )
    print(
        f"samples a CPU-second; GEMM {rate / 1e9:.0f} GFLOP/s; load average {os.getloadavg()[0]:.1f} on"
        f" {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    full = "--full" in sys.argv[1:]
    main(FULL if full else CASES, 3)

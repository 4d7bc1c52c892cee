"""When a large batch pays: the performance model of Appendix C, and the one number in it that can be measured on one
device."""

from __future__ import annotations

import dataclasses
import math
from time import perf_counter  # `time` is the model's own

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import networks, training

# steps that are not counted, as memory and Adam's moments come into being; and those that are, at least
WARM, LEAST = 2, 3
SECONDS = 5.0


def time(iterations: float, batch_size: float, processors: float = 1, efficiency: float = 1.0) -> float:
    """How long so many iterations take, I B / (P f), in units of one processor's time for one example.

    Args:
        iterations: I, steps of the optimiser.
        batch_size: B, examples a step.
        processors: P.
        efficiency: f(P), the parallel efficiency, 1 for perfect scaling. One device of R examples a second has P f = R,
            and the time is in seconds.

    Raises:
        ValueError: unless all are positive.

    Source: Appendix C.

    >>> time(1000, 256, processors=64, efficiency=0.5)
    8000.0
    """
    _positive(iterations=iterations, batch_size=batch_size, processors=processors, efficiency=efficiency)
    return iterations * batch_size / (processors * efficiency)


def break_even(f_small: float, batch_ratio: float, f_large: float = 1.0) -> float:
    """The I_LB / I_SB below which LB is faster than SB: batch_ratio f_large / f_small.

    Only the quotient of the efficiencies counts, so the examples a second that one device trains at either batch size
    serve as well.

    Args:
        f_small, f_large: parallel efficiencies f(P) of SB and LB; the paper takes 1 for LB.
        batch_ratio: B_SB / B_LB, at most 1.

    Raises:
        ValueError: for a value that is not positive, and for batches exchanged.

    Source: Appendix C.

    >>> break_even(0.2, 0.1)  # the paper's example: LB may take half as many iterations, and no more
    0.5
    """
    _positive(f_small=f_small, batch_ratio=batch_ratio, f_large=f_large)
    if batch_ratio > 1:
        raise ValueError(f"batch_ratio is {batch_ratio}; expected B_SB / B_LB, at most 1: exchange the two batch sizes")
    return batch_ratio * f_large / f_small


@dataclasses.dataclass(frozen=True)
class Throughput:
    """Training examples a second: at the median step, and at the slower and the faster quartile of so many timed
    steps."""

    value: float
    low: float
    high: float
    steps: int


def throughput(run: training.Run, device: str | torch.device = "cpu", seconds: float = SECONDS) -> Throughput:
    """Examples a second of a run's training step on a device: forward and backward pass and update, and nothing else.

    The step is that of the run's network, batch size, optimiser and precision, on random inputs of the network's shape;
    `lbgap.train` also fetches examples, measures after each epoch, and on CUDA replays batches up to 2048 from a graph.
    Another program at work on the machine makes it less: the quartiles tell. The global random state is left as it was.

    Args:
        run: whose step, without remedies.
        device: where.
        seconds: how long to repeat it, after steps that warm up; at least 3 times are taken, on CUDA of ten steps each,
            so that launches may run ahead.

    Raises:
        ValueError: unless seconds is positive, and for a run with remedies, whose steps are others.
    """
    _positive(seconds=seconds)
    if run.remedies:
        raise ValueError(f"remedies is {run.remedies}; expected a run without, since only the plain step is timed")
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    wait, each = (lambda: torch.cuda.synchronize(device), 10) if cuda else (lambda: None, 1)
    network = run.build().to(device).train()
    with torch.random.fork_rng(devices=cuda), training._precision(run.precision, device) as autocast:
        torch.manual_seed(0)
        inputs = torch.rand(run.batch_size, *networks.input_shape(run.network), device=device)
        if any(isinstance(m, nn.Conv2d) for m in network):  # as in training
            network, inputs = (t.to(memory_format=torch.channels_last) for t in (network, inputs))
        labels = torch.randint(network[-1].out_features, (run.batch_size,), device=device)
        optimizer = training.make_optimizer(run, list(network.parameters()))

        def steps(count):
            started = perf_counter()
            for _ in range(count):
                with autocast():
                    loss = F.cross_entropy(network(inputs), labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            wait()
            return (perf_counter() - started) / count

        steps(WARM)
        taken = []
        while len(taken) < LEAST or each * sum(taken) < seconds:
            taken.append(steps(each))
    low, middle, high = run.batch_size / np.quantile(taken, [0.75, 0.5, 0.25])
    return Throughput(float(middle), float(low), float(high), each * len(taken))


def _positive(**values):
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}; expected a positive number")

"""Exercises of *Walking between two minima*."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ..checking import Answer, Wrong, answered, compare, exercise, same
from .generalisation_gap import network


def _barrier(end, inside=True, above=lambda a, f: (1 - a) * f(0) + a * f(1)):
    def barrier(f, x_small, x_large, alphas):
        at = lambda a: f(end(a) * x_large + (1 - end(a)) * x_small)[0]
        chosen = [a for a in alphas if 0 <= a <= 1 or not inside]
        return max(at(a) - above(a, at) for a in chosen)

    return barrier


@exercise("barrier", "How high is the hill?", "implement", "easy", 10)
def barrier(answer: Answer) -> None:
    """height(f, x_small, x_large, alphas): of the hill above the line between the ends."""
    f = lambda x: ((x[0] ** 2 - 1) ** 2 * (2 + x[0]) + x[1] ** 2 + x[0], None)
    small, large = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.5])
    above_one = _barrier(lambda a: a, above=lambda a, f: f(0))
    cases = [(f, small, large, [-0.5, 0.0, 0.2, 0.3, 0.6, 1.0, 1.4])]
    mistakes = {
        "The walk is the wrong way round: at alpha 0 it must stand at the small-batch end.": _barrier(lambda a: 1 - a),
        "Only the stretch between the ends counts: beyond them the loss rises anyway.": _barrier(lambda a: a, False),
        "That is above one end. Where the ends differ, measure above the straight line between them.": above_one,
    }
    compare(answer, cases, _barrier(lambda a: a), mistakes)


@exercise("landscape-bug", "A landscape with dropout in it", "find the bug", "hard", 20)
def landscape_bug(answer: Answer) -> None:
    """losses(network, x_small, x_large, alphas, inputs, labels): along the line, without dropout."""
    used = network()
    x_small = parameters_to_vector(used.parameters()).detach().clone()
    x_large = x_small + torch.randn(len(x_small))
    inputs, labels, alphas = torch.randn(64, 6), torch.randint(4, (64,)), [0.0, 0.5, 1.0]

    def along(running):
        walker, losses = copy.deepcopy(used).eval(), []
        walker[1].train(not running)
        for alpha in alphas:
            vector_to_parameters(alpha * x_large + (1 - alpha) * x_small, walker.parameters())
            losses.append(F.cross_entropy(walker(inputs), labels).item())
        return losses

    before = {k: v.clone() for k, v in used.state_dict().items()}
    found = [answer(used, x_small.clone(), x_large.clone(), alphas, inputs, labels) for _ in range(2)]
    answered(found[0])
    found = [[float(v) for v in values] for values in found]
    if not same(found[0], found[1], 1e-6):
        raise Wrong("Asked twice, it gives two landscapes. Something in the network is random: dropout is still on.")
    if same(found[0], along(running=True), 1e-4):
        told = "Batch norm uses the running statistics of one end all along the line. They belong to other weights"
        raise Wrong(f"{told}: take the statistics of these inputs at each point.")
    expected = along(running=False)
    if not same(found[0], expected, 1e-4):
        raise Wrong(f"It gives {np.round(found[0], 3)}; expected {np.round(expected, 3)}.")
    if not all(torch.equal(v, before[k]) for k, v in used.state_dict().items()) or not used.training:
        raise Wrong("The network does not come back as it was, in weights, statistics or mode. Walk with a copy.")

"""Exercises of *Same function, other sharpness*."""

import torch

from ..checking import Answer, compare, exercise


def _twin(first=True, later=lambda c: c, output=lambda c: 1.0, last=lambda c: 1 / c):
    def twin(W1, b1, W2, b2, W3, b3, c):
        return c * W1, (c if first else 1) * b1, W2, later(c) * b2, last(c) * W3, output(c) * b3

    return twin


def _run(parts, inputs):
    W1, b1, W2, b2, W3, b3 = parts
    return torch.relu(torch.relu(inputs @ W1.T + b1) @ W2.T + b2) @ W3.T + b3


@exercise("twin", "A twin with biases", "derive", "medium", 15)
def twin(answer: Answer) -> None:
    """twin(W1, b1, W2, b2, W3, b3, c): the same function at other weights and biases."""
    middle, bias, last = _twin(later=lambda c: 1.0), _twin(output=lambda c: 1 / c), _twin(last=lambda c: c)
    double = dict(dtype=torch.float64)
    parts = [torch.randn(*shape, **double) for shape in ((5, 4), (5,), (3, 5), (3,), (2, 3), (2,))]
    inputs = torch.randn(7, 4, **double)

    def computed(make):
        def function(*arguments):
            made = make(*arguments)
            return made if made is None else (_run(made, inputs), made[0], made[2])

        return function

    mistakes = {
        "No bias was changed. Two of the three must be: what enters each ReLU is to grow c times.": _twin(
            first=False, later=lambda c: 1.0
        ),
        "The first bias stayed as it was. Each ReLU then bends elsewhere: it must grow c times.": _twin(first=False),
        "The middle layer's bias stayed as it was. What comes in is c times as large, so must its bias be.": middle,
        "The last bias was divided as well. The last layer's output is to stay, and so is its bias.": bias,
        "The last weights were multiplied by c. What comes in is c times as large already: divide.": last,
    }
    cases = [(*parts, 2.0), (*parts, 0.25)]
    compare(computed(answer), cases, computed(_twin()), {k: computed(v) for k, v in mistakes.items()})


@exercise("adaptive-toy", "A box that no twin fools", "derive", "medium", 10)
def adaptive_toy(answer: Answer) -> None:
    """sharpness(a, epsilon): adaptive sharpness of the toy at (a, 1 / a)."""
    exact, one_moves = lambda a, e: 50 * ((1 + e) ** 2 - 1) ** 2, lambda a, e: 50 * e**2
    papers_box = lambda a, e: 50 * ((a + e * (a + 1)) * (1 / a + e * (1 / a + 1)) - 1) ** 2
    mistakes = {
        "This grows with a: the 1 of the paper's box is still in it. Here |z_i| <= epsilon |x_i|.": papers_box,
        "Only one of the two parameters moves. Both may, and the product rises by (1 + epsilon) twice.": one_moves,
        "That is the rise of f. The metric is 100 times it, over 1 + f; f is 0.": lambda a, e: exact(a, e) / 100,
    }
    compare(answer, [(1.0, 1e-2), (16.0, 1e-2), (4.0, 1e-1)], exact, mistakes)

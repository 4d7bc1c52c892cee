"""Exercises of *Sharper and better*."""

import torch

from ..checking import compare, exercise


def _share(hit, among):
    return lambda predicted, given, true: (
        100 * (hit(predicted, given, true) & among(given, true)).sum().item() / (among(given, true).sum().item())
    )


@exercise("memorised", "How much is memorised?", "implement", "easy", 10)
def memorised(answer):
    true = torch.randint(10, (300,))
    given = torch.where(torch.rand(300) < 0.3, (true + torch.randint(1, 10, (300,))) % 10, true)
    which = torch.rand(300)
    predicted = torch.where(which < 0.4, given, torch.where(which < 0.8, true, torch.randint(10, (300,))))
    wrong, every = lambda given, true: given != true, lambda given, true: given == given
    as_given = lambda p, g, t: p == g
    mistakes = {
        (
            "All labels were counted. A right label that is given back says nothing about memory: look"
            " at the wrong ones only."
        ): _share(as_given, every),
        "That divides by all images. Divide by how many labels are wrong.": lambda p, g, t: (
            100 * ((p == g) & (g != t)).sum().item() / len(p)
        ),
        (
            "That is how often the network is wrong there. Memorised means that it gives just the"
            " wrong label it was shown."
        ): _share(lambda p, g, t: p != t, wrong),
    }
    compare(answer, [(predicted, given, true)], _share(as_given, wrong), mistakes)


@exercise("right-share", "How noisy is a batch of noisy labels?", "derive", "hard", 15)
def right_share(answer):
    exact = lambda p, batch, n: (p * (1 - p) / batch * (n - batch) / (n - 1)) ** 0.5
    mistakes = {
        (
            "A batch is drawn without replacement: the whole set, batch = n, always has the same"
            " share. Multiply the variance by (n - batch) / (n - 1)."
        ): (lambda p, batch, n: (p * (1 - p) / batch) ** 0.5),
        "That is the variance. The deviation is its root.": lambda p, batch, n: exact(p, batch, n) ** 2,
        (
            "That is the deviation of the number of right labels. Divide by the batch size for their share."
        ): lambda p, batch, n: batch * exact(p, batch, n),
    }
    compare(answer, [(0.4, 32, 4000), (0.2, 400, 4000), (0.4, 4000, 4000)], exact, mistakes)

"""Exercises of *Sharper and better*."""

import torch

from ..checking import Answer, compare, exercise


def _share(hit, among):
    def share(predicted, given, true):
        chosen = among(given, true)
        return 100 * hit(predicted, given, true)[chosen].double().mean().item()

    return share


@exercise("memorised", "How much is memorised?", "implement", "easy", 10)
def memorised(answer: Answer) -> None:
    """share(predicted, given, true): of the wrong labels, those given back, in percent."""
    true = torch.randint(10, (300,))
    given = torch.where(torch.rand(300) < 0.3, (true + torch.randint(1, 10, (300,))) % 10, true)
    which = torch.rand(300)
    predicted = torch.where(which < 0.4, given, torch.where(which < 0.8, true, torch.randint(10, (300,))))
    wrong, every = lambda given, true: given != true, lambda given, true: given == given
    as_given = lambda p, g, t: p == g
    at_all, missed = _share(as_given, every), _share(lambda p, g, t: p != t, wrong)
    of_all = _share(lambda p, g, t: (p == g) & (g != t), every)
    mistakes = {
        "All labels were counted. A right one that is given back shows no memory: look at the wrong ones only.": at_all,
        "That divides by all images. Divide by how many labels are wrong.": of_all,
        "That is how often the network is wrong there. Memorised is the very wrong label that it was shown.": missed,
    }
    compare(answer, [(predicted, given, true)], _share(as_given, wrong), mistakes)


@exercise("right-share", "How noisy is a batch of noisy labels?", "derive", "hard", 15)
def right_share(answer: Answer) -> None:
    """deviation(p, batch, n): of the share of right labels in a batch."""
    exact = lambda p, batch, n: (p * (1 - p) / batch * (n - batch) / (n - 1)) ** 0.5
    replaced = lambda p, batch, n: (p * (1 - p) / batch) ** 0.5
    number = lambda p, batch, n: batch * exact(p, batch, n)
    mistakes = {
        "A batch is drawn without replacement: multiply the variance by (n - batch) / (n - 1).": replaced,
        "That is the variance. The deviation is its root.": lambda p, batch, n: exact(p, batch, n) ** 2,
        "That is the deviation of the number of right labels. Divide by the batch size for their share.": number,
    }
    compare(answer, [(0.4, 32, 4000), (0.2, 400, 4000), (0.4, 4000, 4000)], exact, mistakes)

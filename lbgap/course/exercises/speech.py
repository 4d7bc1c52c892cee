"""Exercises of *Speech*."""

import torch

from ..checking import Answer, Wrong, answered, compare, exercise


@exercise("split", "A split that leaks", "find the bug", "medium", 15)
def split(answer: Answer) -> None:
    """test(utterance, share, seed): which frames (T,) are test frames, by utterance."""
    utterance = torch.repeat_interleave(torch.arange(40), torch.randint(20, 200, (40,)))
    masks = [answer(utterance.clone(), 0.25, seed) for seed in (0, 0, 1)]
    answered(masks[0])
    masks = [torch.as_tensor(mask) for mask in masks]
    if any(mask.shape != utterance.shape or mask.dtype != torch.bool for mask in masks):
        raise Wrong(f"Expected True or False for each of the {len(utterance)} frames: true where it is a test frame.")
    per = [torch.stack([mask[utterance == u].double().mean() for u in range(40)]) for mask in masks]
    if any(((p > 0) & (p < 1)).any() for p in per):
        raise Wrong("Frames of one utterance are on both sides. Neighbours share eight parts of nine: draw utterances.")
    counts = [int(p.sum()) for p in per]
    if counts[0] == 30:
        raise Wrong("Three quarters of the utterances are in the test set: share is what is to be tested on.")
    if counts[0] != 10:
        raise Wrong(f"{counts[0]} of 40 utterances are in the test set; a share of 0.25 is 10.")
    if not torch.equal(masks[0], masks[1]) or torch.equal(masks[0], masks[2]):
        raise Wrong("The same seed must draw the same utterances, another seed others. Shuffle them by its generator.")


def _splice(edge=lambda i, n: i.clamp(0, n - 1), order=1):
    def splice(frames, context):
        near = torch.arange(len(frames))[:, None] + order * torch.arange(-context, context + 1)
        padded = torch.cat([frames, 0 * frames[:1]])  # a frame of noughts, for where the edge asks for it
        return padded[edge(near, len(frames))].flatten(1)

    return splice


@exercise("splice", "A frame in its context", "implement", "medium", 10)
def splice(answer: Answer) -> None:
    """spliced(frames, context): each frame between its neighbours."""
    frames, in_a_circle = torch.randn(7, 3, dtype=torch.float64), _splice(lambda i, n: i % n)
    noughts = _splice(lambda i, n: torch.where((i < 0) | (i >= n), n, i))
    mistakes = {
        "The first frame sees the end of the utterance: the context goes round in a circle.": in_a_circle,
        "The context runs backwards: the earliest frame comes first.": _splice(order=-1),
        "Beyond the ends there are noughts. Repeat the first and the last frame: a nought is a sound, too.": noughts,
    }
    compare(answer, [(frames, 1), (frames, 2)], _splice(), mistakes)

"""Aggressive data augmentation (E.1, Table 6)."""

from __future__ import annotations

import dataclasses
import math

import torch
import torch.nn.functional as F

from ..networks import input_shape
from .remedy import Remedy


@dataclasses.dataclass(frozen=True)
class Augmentation(Remedy):
    """Mirror, turn and shift each image of a batch, each by numbers of its own (E.1).

    flip: mirror every other image, on average, left to right. degrees: turn by up to so many either way.
    shift: move by up to this share of the side, along both axes. Pixels are interpolated; what comes in from outside is
    0. Drawn on the batch's device from PyTorch's generator. Raises ValueError for a negative number.

    affine_grid rather than torchvision's transforms, which draw once for a whole batch: that would be another remedy.
    """

    flip: bool = True
    degrees: float = 10.0
    shift: float = 0.2

    def __post_init__(self):
        self._number("degrees", 0, 180)
        self._number("shift", 0, 1)
        self._choice("flip")

    def fits(self, run):
        if len(input_shape(run.network)) != 3:
            raise ValueError(
                f"network is {run.network!r}, whose inputs are no images; expected F1, C1, C2, C3, C4, mlp or mlp-bn"
            )

    def inputs(self, step, inputs):
        return self.augmented(inputs)

    def augmented(self, inputs: torch.Tensor) -> torch.Tensor:
        """Images (B, C, H, W), each with numbers of its own."""
        draw = lambda: 2 * torch.rand(len(inputs), device=inputs.device) - 1  # (B,) in [-1, 1)
        turn, across, down = math.radians(self.degrees) * draw(), self.shift * draw(), self.shift * draw()
        mirrored = draw() < 0 if self.flip else torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
        return affine(inputs, turn, across, down, mirrored)


def affine(
    inputs: torch.Tensor, turn: torch.Tensor, across: torch.Tensor, down: torch.Tensor, mirrored: torch.Tensor
) -> torch.Tensor:
    """Square images (B, C, H, H): each mirrored or not (B,), turned clockwise by an angle (B,), moved right and down by
    shares of its side (B,)."""
    cos, sin, sign = turn.cos(), turn.sin(), 1 - 2 * mirrored.to(turn)
    # Where each pixel of the new image comes from: undo the move, then the turn, then the mirror. A side is 2 long.
    linear = torch.stack([torch.stack([sign * cos, sign * sin], 1), torch.stack([-sin, cos], 1)], 1)  # (B, 2, 2)
    moved = 2 * torch.stack([across, down], 1)[..., None]  # (B, 2, 1)
    theta = torch.cat([linear, -linear @ moved], 2)  # (B, 2, 3)
    grid = F.affine_grid(theta, list(inputs.shape), align_corners=False)
    out = F.grid_sample(inputs, grid, align_corners=False)
    return (
        out.contiguous(memory_format=torch.channels_last)
        if inputs.is_contiguous(memory_format=torch.channels_last)
        else out
    )

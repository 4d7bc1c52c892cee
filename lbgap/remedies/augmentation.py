"""Aggressive data augmentation (E.1, Table 6)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
import torch.nn.functional as F

from ..networks import input_shape
from .remedy import Remedy, Step


@dataclasses.dataclass(frozen=True)
class Augmentation(Remedy):
    """Mirror, turn and shift each image of a batch, each by numbers of its own.

    Pixels are interpolated; what comes in from outside is 0. Drawn on the batch's device from PyTorch's generator. By
    affine_grid rather than torchvision's transforms, which draw once for a whole batch: that would be another remedy.

    Args:
        flip: mirror every other image, on average, left to right.
        degrees: turn by up to so many either way.
        shift: move by up to this share of the side, along both axes.

    Raises:
        ValueError: for a negative number, and for inputs that are no square images of floating-point numbers.

    Source: E.1, Table 6.
    """

    flip: bool = True
    degrees: float = 10.0
    shift: float = 0.2

    def __post_init__(self):
        self._number("degrees", 0, 180)
        self._number("shift", 0, 1)
        self._choice("flip")

    def fits(self, run: Any) -> None:
        """Raise ValueError for a network whose inputs are no images."""
        if len(input_shape(run.network)) != 3:
            raise ValueError(f"network is {run.network!r}, whose inputs are no images; expected such as F1, C1 or mlp")

    def inputs(self, step: Step, inputs: torch.Tensor) -> torch.Tensor:
        """`augmented`, image by image."""
        return self.augmented(inputs)

    def augmented(self, inputs: torch.Tensor) -> torch.Tensor:
        """Images (B, C, H, H), each with numbers of its own."""
        if inputs.ndim != 4 or inputs.shape[2] != inputs.shape[3] or not inputs.is_floating_point():
            told = f"inputs are {inputs.dtype} of shape {tuple(inputs.shape)}"
            raise ValueError(f"{told}; Augmentation expects square images (B, C, H, H) of floating-point numbers")
        draw = lambda: 2 * torch.rand(len(inputs), device=inputs.device) - 1  # (B,) in [-1, 1)
        turn, across, down = math.radians(self.degrees) * draw(), self.shift * draw(), self.shift * draw()
        mirrored = draw() < 0 if self.flip else torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
        return affine(inputs, turn, across, down, mirrored)


def affine(
    inputs: torch.Tensor, turn: torch.Tensor, across: torch.Tensor, down: torch.Tensor, mirrored: torch.Tensor
) -> torch.Tensor:
    """Square images, each mirrored or not, turned clockwise, moved right and down.

    Args:
        inputs: (B, C, H, H).
        turn: (B,) radians.
        across, down: (B,) shares of the side.
        mirrored: (B,) bool.
    """
    cos, sin, sign = turn.cos(), turn.sin(), 1 - 2 * mirrored.to(turn)
    # Where each pixel of the new image comes from: undo the move, then the turn, then the mirror. A side is 2 long.
    linear = torch.stack([torch.stack([sign * cos, sign * sin], 1), torch.stack([-sin, cos], 1)], 1)  # (B, 2, 2)
    moved = 2 * torch.stack([across, down], 1)[..., None]  # (B, 2, 1)
    theta = torch.cat([linear, -linear @ moved], 2)  # (B, 2, 3)
    grid = F.affine_grid(theta, list(inputs.shape), align_corners=False)
    out = F.grid_sample(inputs, grid, align_corners=False)
    last = torch.channels_last
    return out.contiguous(memory_format=last) if inputs.is_contiguous(memory_format=last) else out

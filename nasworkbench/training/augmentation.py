"""Augmentation: random crop, flip and cutout, drawn for every image on its own.

torchvision's transforms, given a batch, draw once for all of it; called image by image, they are
six times slower than this. So the random numbers are drawn here, for a batch at a time and from a
generator of its own, and torchvision's functions do the pixel work.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from .recipe import Recipe

PAD_PART = 8  # of the side: 4 pixels at 32, as AdaNet's NASNet code; the proportion is our choice


class Augmentation:
    """Changes batches of normalised images, as the recipe says.

    Args:
        recipe: its ``crop``, ``flip`` and ``cutout`` are used.
        side: of the images, in pixels.
        generator: of the random numbers; on the CPU, wherever the images are.
    """

    def __init__(self, recipe: Recipe, side: int, generator: torch.Generator) -> None:
        self.recipe, self.side, self.generator = recipe, side, generator
        # Cutout is a crop from a sheet of ones with a hole in its middle: wherever the crop lies,
        # the hole's centre is a pixel of it, each one equally likely.
        first = side - 1 - recipe.cutout // 2
        hole = slice(max(first, 0), first + recipe.cutout)
        self.sheet = torch.ones(1, 2 * side - 1, 2 * side - 1)
        self.sheet[:, hole, hole] = 0

    def __call__(self, images: Tensor) -> Tensor:
        """Images (n, channels, side, side), augmented; 0, the mean, fills what is empty."""
        side = self.side
        if self.recipe.crop == "pad":
            images = functional.pad(images, [max(side // PAD_PART, 1)] * 4)
        elif self.recipe.crop == "upsample":
            images = functional.resize(images, [side * 5 // 4] * 2, antialias=True)
        if self.recipe.crop != "none":
            images = self._crops(images)
        if self.recipe.flip:
            flipped = torch.rand(len(images), generator=self.generator) < 0.5
            flipped = flipped.view(-1, 1, 1, 1).to(images.device, non_blocking=True)
            images = torch.where(flipped, functional.horizontal_flip(images), images)
        if self.recipe.cutout:
            self.sheet = self.sheet.to(images.device)
            images = images * self._crops(self.sheet.expand(len(images), -1, -1, -1))
        return images

    def _crops(self, images: Tensor) -> Tensor:
        """A random square of the final size from each image."""
        positions = images.shape[-1] - self.side + 1
        corners = torch.randint(positions, (len(images), 2), generator=self.generator).tolist()
        crops = [
            functional.crop(image, top, left, self.side, self.side)
            for image, (top, left) in zip(images, corners, strict=True)
        ]
        return torch.stack(crops)

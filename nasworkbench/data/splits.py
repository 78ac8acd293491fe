"""A split: images with their labels, held in memory or read from files when asked for.

Both kinds have ``len()``, ``labels``, ``channels``, ``image_size``, ``select`` and ``resized``;
:class:`nasworkbench.training.batches.Batches` makes batches of both.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import DataError

#: Images resized at once: bounds the memory of the intermediate floats.
RESIZED_AT_ONCE = 1_000

#: What an image file may be (other formats could start other programs), and the most pixels of
#: one, decoded and resized. This project's choice: a photograph of 8,192 x 8,192, and under a
#: gigabyte of memory; of a JPEG, which is decoded at a fraction of its size, many more.
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
MOST_PIXELS = 2**26


@dataclass(frozen=True, eq=False)
class Split:
    """Images in memory.

    Args:
        images: uint8, shape (n, channels, side, side).
        labels: int64, shape (n,), from 0.

    Raises:
        DataError: another type or shape, no image at all, or a negative label.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4:
            raise DataError(
                "images must be a uint8 tensor of shape (n, channels, side, side), got "
                f"{_shown(images)}. Floats in 0..1 become bytes by (images * 255).round().byte()"
            )
        if images.shape[2] != images.shape[3]:
            raise DataError(f"images must be square, got {_shown(images)}; crop or pad them first")
        if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.ndim != 1:
            raise DataError(f"labels must be an int64 tensor of shape (n,), got {_shown(labels)}")
        if len(images) != len(labels) or images.numel() == 0:
            raise DataError(
                "a split needs one or more images and one label for each, got "
                f"images of shape {tuple(images.shape)} and {len(labels)} labels"
            )
        if labels.min() < 0:
            raise DataError(f"labels must be counted from 0, got {int(labels.min())}")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self)} images of {' x '.join(map(str, self.images.shape[1:]))})"

    @property
    def channels(self) -> int:
        """Colour channels of each image."""
        return self.images.shape[1]

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return self.images.shape[2]

    def select(self, indices: Tensor) -> Split:
        """The split of these images, in this order (a copy)."""
        return Split(self.images[indices], self.labels[indices])

    def resized(self, size: int) -> Split:
        """The split with images of side ``size``: bilinear, with antialiasing."""
        if size == self.image_size:
            return self
        from torchvision.transforms.v2 import functional  # slow to import, and rarely needed

        parts = self.images.split(RESIZED_AT_ONCE)
        images = torch.cat([functional.resize(p, [size, size], antialias=True) for p in parts])
        return replace(self, images=images)


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Images in files, read batch by batch: for sets that do not fit into memory.

    Every image is read as RGB, its shorter side resized to ``image_size``, and its centre cut out.

    Args:
        paths: one file an image.
        labels: int64, shape (n,).
        image_size: side of the images that :meth:`batches` yields.
    """

    paths: Sequence[str]
    labels: Tensor
    image_size: int
    channels: ClassVar[int] = 3

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"FileSplit({len(self)} images of 3 x {self.image_size} x {self.image_size})"

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image, uint8 of shape (3, side, side), and its label.

        Raises:
            DataError: the file is missing, empty, corrupt or not an image; the message names it.
        """
        return read_image(self.paths[index], self.image_size), int(self.labels[index])

    def select(self, indices: Tensor) -> FileSplit:
        """The split of these images, in this order."""
        paths = [self.paths[index] for index in indices.tolist()]
        return FileSplit(paths, self.labels[indices], self.image_size)

    def resized(self, size: int) -> FileSplit:
        """The split with images of side ``size``."""
        return replace(self, image_size=size)

    def batches(
        self, batch_size: int, order: Tensor | None = None, workers: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``(images, labels)``, in this order (``None``: as stored); see :func:`shares`.

        ``workers`` processes read ahead (0: this process reads).
        """
        stored = torch.arange(len(self))
        batches = [stored[share].tolist() for share in shares(len(self), batch_size, order)]
        yield from torch.utils.data.DataLoader(
            self,  # type: ignore[arg-type]  # torch takes whatever has [] and len()
            batch_sampler=batches,
            num_workers=workers,
            generator=torch.Generator(),  # else it would draw from the global random state
        )

    def in_memory(self) -> Split:
        """Read every file once and hold the images."""
        images = [read_image(path, self.image_size) for path in self.paths]
        return Split(torch.stack(images), self.labels)


AnySplit = Split | FileSplit


def shares(count: int, batch_size: int, order: Tensor | None = None) -> list:
    """What each batch takes: slices, or parts of ``order``.

    In a given order (training) the images are dealt into ⌈count / batch_size⌉ batches that differ
    by one image at most: none is dropped, and batch norm never meets a last batch of one image.
    """
    if order is None:
        return [slice(start, start + batch_size) for start in range(0, count, batch_size)]
    return list(torch.tensor_split(order, math.ceil(len(order) / batch_size)))


def read_image(path: str, size: int) -> Tensor:
    """One file as a uint8 tensor of shape (3, size, size); errors as :class:`FileSplit`'s."""
    from PIL import Image
    from torchvision.transforms.v2 import functional  # slow to import, and rarely needed

    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError("it is not a regular file")  # a pipe would be waited for
        with Image.open(path, formats=FORMATS) as image:
            image.draft("RGB", (size, size))  # JPEG: decode at a fraction where that is enough
            shorter, longer = sorted(image.size)
            if max(shorter * longer, size * size * longer // shorter) > MOST_PIXELS:
                raise ValueError(f"it has too many pixels, {image.width} x {image.height}")
            pixels = functional.pil_to_tensor(image.convert("RGB"))
    except Exception as error:  # a corrupt file can raise anything
        raise DataError(
            f"{path} cannot be read as an image ({error}); replace or remove the file"
        ) from None
    pixels = functional.resize(pixels, [size], antialias=True)
    return functional.center_crop(pixels, [size, size])


def statistics(split: AnySplit, sample: int = 1_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, for pixels in 0..1.

    Exact for images in memory; for files estimated from the ``sample`` images that a fixed seed
    draws (this project's choice: reading a million files would take an hour).
    """
    if isinstance(split, FileSplit):
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
        split = split.select(order[:sample]).in_memory()
    # Counting the 256 values is exact and needs no float copy of the images.
    channels = split.images.unbind(1)
    counts = torch.stack([torch.bincount(c.flatten(), minlength=256) for c in channels]).double()
    shares_of_values = counts / counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = shares_of_values @ values
    variance = (shares_of_values * (values - mean[:, None]) ** 2).sum(1)
    # A constant channel has no spread: one grey level keeps the division finite.
    return tuple(mean.tolist()), tuple(variance.sqrt().clamp(min=1 / 255).tolist())


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__

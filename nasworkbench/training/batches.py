"""Batches as a network wants them: on its device, as floats, normalised."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..data import Dataset, FileSplit, Split
from ..data.splits import shares

#: Splits up to this size as floats are normalised once and for all; larger ones batch by batch.
NORMALISED_AT_ONCE = 64 * 2**20


class Batches:
    """Normalised batches of one split, on one device.

    Args:
        split: images in memory (taken to the device once) or in files (read batch by batch).
        dataset: gives the mean and deviation to normalise with.
        device: where the batches are wanted.
        workers: processes that read ahead, for files.
    """

    def __init__(
        self, split: Split | FileSplit, dataset: Dataset, device: torch.device, workers: int = 0
    ) -> None:
        self.split, self.device, self.workers = split, device, workers
        # (pixel / 255 - mean) / std = pixel · scale + shift
        mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (dataset.mean, dataset.std))
        self.scale, self.shift = (1 / (255 * std)).to(device), (-mean / std).to(device)
        if isinstance(split, Split):
            self.images, self.labels = split.images.to(device), split.labels.to(device)
            if 4 * split.images.numel() <= NORMALISED_AT_ONCE:
                self.images = self._normalised(self.images)

    def of(self, batch_size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield float images (n, channels, side, side) and labels (n,), n ≤ ``batch_size``.

        In this order, or as stored; see :func:`nasworkbench.data.splits.shares`. (Indexing tensors
        that are in memory is twice as fast for tiny networks as a DataLoader.)
        """
        if isinstance(self.split, FileSplit):
            for images, labels in self.split.batches(batch_size, order, self.workers):
                images = images.to(self.device, non_blocking=True)
                yield self._normalised(images), labels.to(self.device, non_blocking=True)
            return
        if order is not None:
            order = order.to(self.device)
        for indices in shares(len(self.labels), batch_size, order):
            yield self._normalised(self.images[indices]), self.labels[indices]

    def _normalised(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            return images
        return torch.addcmul(self.shift, images.float(), self.scale)

"""Accuracy of a network on a split."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..data import Dataset, FileSplit, Split
from .batches import Batches
from .device import autocast, find_device


def evaluate(
    network: nn.Module,
    split: Split | FileSplit,
    dataset: Dataset,
    device: str | torch.device = "cpu",
    batch_size: int = 250,
    amp: bool = True,
    workers: int = 0,
) -> float:
    """The share of the images, 0 to 1, that the network classifies correctly.

    Args:
        network: ``forward(images)`` gives logits (n, classes) in evaluation mode. It is moved to
            the device, and left in the mode it was in.
        split: the images, for example ``dataset.test``.
        dataset: gives the mean and deviation to normalise with.
        device: where to compute.
        batch_size: images at once; it changes only speed and memory.
        amp, workers: as in :class:`Recipe`.

    Raises:
        SettingsError: a device that this machine does not have.
    """
    device = find_device(device)
    batches = Batches(split, dataset, device, workers)
    correct, _ = count_correct(network.to(device), batches, batch_size, autocast(device, amp))
    return correct / len(split)


def count_correct(
    network: nn.Module,
    batches: Batches,
    batch_size: int,
    precision: contextlib.AbstractContextManager,
    before_batch: Callable[[], None] = lambda: None,
) -> tuple[int, bool]:
    """How many images the network classifies correctly, and whether all its logits were finite."""
    was_training = network.training
    network.eval()
    correct = torch.zeros((), dtype=torch.int64, device=batches.device)
    total = torch.zeros((), device=batches.device)  # becomes NaN or inf if any logit is
    try:
        with torch.no_grad():
            for images, labels in batches.of(batch_size):
                before_batch()
                with precision:
                    logits: Tensor = network(images)
                correct += (logits.argmax(1) == labels).sum()
                total += logits.float().sum()
    finally:
        network.train(was_training)
    return int(correct), bool(total.isfinite())

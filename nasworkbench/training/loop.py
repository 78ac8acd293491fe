"""``train``: one network, one data set, one recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..data import Dataset
from ..errors import SettingsError
from .device import autocast, find_device, seeded
from .evaluation import count_correct
from .feed import Feed
from .optimisation import (
    drop_path_setter,
    make_average,
    make_optimiser,
    set_bn_momentum,
    step_loss,
)
from .recipe import Recipe

#: Steps from one look at the loss to the next on a GPU, where each look makes the CPU wait for it.
STEPS_BETWEEN_LOOKS = 50

#: Validation takes this many training batches at once: it need not keep what backward would read.
VALIDATION_BATCHES = 4


@dataclass(frozen=True)
class TrainingResult:
    """What became of a training run.

    Args:
        status: "ok", "diverged", "timeout" or "stopped".
        cause: a sentence on why it is not ok, else ``None``.
        history: a dict for each finished epoch: ``epoch`` (from 1), ``loss``, ``train_accuracy``,
            ``validation_accuracy`` (``None`` in epochs without one), ``learning_rate`` (of the last
            step) and ``seconds`` (of this epoch).
        validation_accuracy: after the last epoch; ``None`` if the status is not ok.
        best_validation_accuracy: the best of all epochs, ``None`` if there was none.
        seconds: of the whole run.
    """

    status: str
    cause: str | None
    history: tuple[dict[str, Any], ...]
    validation_accuracy: float | None
    best_validation_accuracy: float | None
    seconds: float


class _Stopped(Exception):
    """Ends a run early: ``_Stopped(status, cause)``."""


def train(
    network: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    seed: int = 0,
    device: str | torch.device = "cpu",
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Train a network in place on ``dataset.train``; judge it on ``dataset.validation``.

    The test data are never touched. The same seed, on a CPU with the same number of threads, gives
    the same result; the global random state is left as it was.

    Beware of short trainings: batch norm evaluates with running statistics, and with fewer than
    about 40 steps those have not arrived yet. The accuracy then judges them, not the cell. A
    recipe with ``bn_momentum=0.3`` (PyTorch's default is 0.1) lets them follow quickly enough.

    Args:
        network: any module. ``forward(images)`` gives logits (n, classes), or in training mode
            ``(logits, auxiliary_logits)``. For drop path it needs
            ``set_drop_path(progress, keep, in_depth)``.
        dataset: what to train on.
        recipe: how. With ``ema_decay`` the averaged weights are validated, and in the end they
            are the network's weights.
        seed: of the order of the images, the augmentation, drop path and dropout.
        device: "cpu", "cuda", "cuda:1".
        on_epoch: called with each entry of the history.
        should_stop: asked before every batch; true ends the run as "stopped".

    Raises:
        SettingsError: a device that is not there, drop path for a network without it, or a seed
            out of range. Trouble in training itself is no error: see the result's status.
    """
    device = find_device(device)
    if not isinstance(seed, int) or seed < 0:
        raise SettingsError(f"seed is a whole number from 0, got {seed!r}")
    with seeded(device, seed):
        return _train(network, dataset, recipe, seed, device, on_epoch, should_stop)


def _train(
    network: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[dict[str, Any]], None] | None,
    should_stop: Callable[[], bool] | None,
) -> TrainingResult:
    started = time.monotonic()
    network.to(device)
    set_drop_path = drop_path_setter(network, recipe)
    set_bn_momentum(network, recipe.bn_momentum)
    optimiser = make_optimiser(network, recipe)
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    average = make_average(network, recipe)
    precision = autocast(device, recipe.amp)

    generator = torch.Generator().manual_seed(seed)  # of the shuffling and the augmentation
    augment = _augmentation(recipe, dataset.image_size, generator)
    feed = Feed(dataset.train, dataset.mean, dataset.std, device, recipe.workers)
    judges = Feed(dataset.validation, dataset.mean, dataset.std, device, recipe.workers)
    steps_per_epoch = math.ceil(len(dataset.train) / recipe.batch_size)
    all_steps = steps_per_epoch * recipe.epochs
    look_every = 1 if device.type == "cpu" else STEPS_BETWEEN_LOOKS

    def go_on() -> None:
        if should_stop is not None and should_stop():
            raise _Stopped("stopped", "stopped on request")
        if recipe.time_limit is not None and time.monotonic() - started > recipe.time_limit:
            raise _Stopped("timeout", f"the time limit of {recipe.time_limit:g} s was reached")

    def train_epoch(epoch: int) -> dict[str, Any]:
        network.train()
        loss_sum = torch.zeros((), device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        order = torch.randperm(len(dataset.train), generator=generator)
        step = epoch * steps_per_epoch
        for images, labels in feed.batches(recipe.batch_size, order):
            go_on()
            learning_rate = recipe.learning_rate_at(step / all_steps)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate
            if set_drop_path is not None:
                set_drop_path(step / all_steps)
            if augment is not None:
                images = augment(images)
            with precision:
                outputs = network(images)
                loss, logits = step_loss(outputs, labels, recipe)
            optimiser.zero_grad()
            loss.backward()
            if recipe.clip_norm is not None:
                nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
            optimiser.step()
            if average is not None:
                average.update_parameters(network)
            step += 1
            # A loss that is not finite stays in the sum, so a look now and then is enough.
            loss_sum += loss.detach() * len(labels)
            correct += (logits.detach().argmax(1) == labels).sum()
            if step % look_every == 0:
                _check_finite(loss_sum, epoch)
        _check_finite(loss_sum, epoch)
        count = len(dataset.train)
        return {
            "epoch": epoch + 1,
            "loss": loss_sum.item() / count,
            "train_accuracy": correct.item() / count,
            "validation_accuracy": None,
            "learning_rate": learning_rate,
        }

    def validate(epoch: int) -> float:
        judged = network if average is None else average
        batch_size = VALIDATION_BATCHES * recipe.batch_size
        correct, finite = count_correct(judged, judges, batch_size, precision, go_on)
        if not finite:
            raise _Stopped("diverged", f"the logits were not finite after epoch {epoch + 1}")
        return correct / len(dataset.validation)

    history: list[dict[str, Any]] = []
    status, cause = "ok", None
    try:
        for epoch in range(recipe.epochs):
            epoch_started = time.monotonic()
            record = train_epoch(epoch)
            if (epoch + 1) % recipe.evaluate_every == 0 or epoch + 1 == recipe.epochs:
                record["validation_accuracy"] = validate(epoch)
            record["seconds"] = time.monotonic() - epoch_started
            history.append(record)
            if on_epoch is not None:
                on_epoch(record)
        if average is not None:
            network.load_state_dict(average.module.state_dict())
    except _Stopped as stop:
        status, cause = stop.args
    judgements = [r["validation_accuracy"] for r in history if r["validation_accuracy"] is not None]
    return TrainingResult(
        status=status,
        cause=cause,
        history=tuple(history),
        validation_accuracy=judgements[-1] if status == "ok" else None,
        best_validation_accuracy=max(judgements, default=None),
        seconds=time.monotonic() - started,
    )


def _check_finite(loss_sum: Tensor, epoch: int) -> None:
    if not math.isfinite(loss_sum.item()):
        raise _Stopped(
            "diverged",
            f"the loss was {loss_sum.item():g} in epoch {epoch + 1}; a smaller learning rate or "
            "clip_norm may help",
        )


def _augmentation(recipe: Recipe, side: int, generator: torch.Generator) -> Any:
    if recipe.crop == "none" and not recipe.flip and not recipe.cutout:
        return None
    from .augmentation import Augmentation  # imports torchvision, which plain children do not need

    return Augmentation(recipe, side, generator)

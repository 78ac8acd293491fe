"""``train``: one network, one data set, one recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..checks import whole
from ..data import Dataset
from .batches import Batches
from .device import autocast, find_device, seeded
from .evaluation import count_correct
from .optimisation import find_drop_path, make_average, make_optimiser, step_loss
from .recipe import Recipe

#: Steps from one check of the loss to the next on a GPU, where each check makes the CPU wait.
STEPS_BETWEEN_CHECKS = 50

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
        seconds: of the whole run.
    """

    status: str
    cause: str | None
    history: tuple[dict[str, Any], ...]
    validation_accuracy: float | None
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
    on_step: Callable[[int, int], None] | None = None,
) -> TrainingResult:
    """Train a network in place on ``dataset.train``; measure it on ``dataset.validation``.

    The test data are never touched. The same seed, on a CPU with the same number of threads, gives
    the same result; the global random state is left as it was.

    Beware of short trainings: batch norm evaluates with running statistics, and fewer than about 40
    steps are too few for them to converge. The accuracy then measures them, not the cell. A recipe
    with ``bn_momentum=0.3`` (PyTorch's default is 0.1) lets them follow quickly enough.

    Args:
        network: any module. ``forward(images)`` gives logits (n, classes), or in training mode
            ``(logits, auxiliary_logits)``. For drop path it needs
            ``set_drop_path(progress, keep, in_depth)``.
        dataset: what to train on.
        recipe: how. With ``ema_decay`` the averaged weights are validated, and in the end they
            are the network's weights.
        seed: of the order of the images, the augmentation, drop path and dropout.
        device: "cpu", "cuda", "cuda:1".
        should_stop: asked before every batch; true ends the run as "stopped".
        on_epoch: called with each entry of the history.
        on_step: called after every step of the optimiser with ``(step, steps)``: how many steps
            have been made and how many the whole run has. For progress displays.

    Raises:
        SettingsError: a device that this machine does not have, drop path for a network without
            it, or a seed out of range. Trouble in training itself is not an error: see the
            result's status.
    """
    started = time.monotonic()
    device = find_device(device)
    seed = whole("seed", seed, 0)
    network.to(device)
    set_drop_path = find_drop_path(network, recipe)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and recipe.bn_momentum is not None:
            module.momentum = recipe.bn_momentum
    optimiser = make_optimiser(network, recipe)
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    average = make_average(network, recipe)
    precision = autocast(device, recipe.amp)

    generator = torch.Generator().manual_seed(seed)  # of the shuffling and the augmentation
    augment = None
    if recipe.crop != "none" or recipe.flip or recipe.cutout:
        from .augmentation import Augmentation  # imports torchvision, which few children need

        augment = Augmentation(recipe, dataset.image_size, generator)
    training_batches = Batches(dataset.train, dataset, device, recipe.workers)
    validation_batches = Batches(dataset.validation, dataset, device, recipe.workers)
    images_per_epoch = len(dataset.train)
    steps_per_epoch = math.ceil(images_per_epoch / recipe.batch_size)
    steps = steps_per_epoch * recipe.epochs
    check_every = 1 if device.type == "cpu" else STEPS_BETWEEN_CHECKS

    def check_limits() -> None:
        if should_stop is not None and should_stop():
            raise _Stopped("stopped", "stopped on request")
        if recipe.time_limit is not None and time.monotonic() - started > recipe.time_limit:
            raise _Stopped("timeout", f"the time limit of {recipe.time_limit:g} s was reached")

    def train_epoch(epoch: int) -> dict[str, Any]:
        network.train()
        loss_sum = torch.zeros((), device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        order = torch.randperm(images_per_epoch, generator=generator)
        step = epoch * steps_per_epoch
        for images, labels in training_batches.of(recipe.batch_size, order):
            check_limits()
            learning_rate = recipe.learning_rate_at(step / steps)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate
            if set_drop_path is not None:
                set_drop_path(step / steps, recipe.drop_path_keep, recipe.drop_path_in_depth)
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
            loss_sum += loss.detach() * len(labels)
            correct += (logits.detach().argmax(1) == labels).sum()
            if on_step is not None:
                on_step(step, steps)
            # A loss that is not finite stays in the sum, so that few checks are enough.
            check = step % check_every == 0 or step % steps_per_epoch == 0
            if check and not math.isfinite(loss_sum.item()):
                cause = f"the loss was {loss_sum.item():g} in epoch {epoch + 1}"
                advice = "a smaller learning rate or clip_norm may help"
                raise _Stopped("diverged", f"{cause}; {advice}")
        return {
            "epoch": epoch + 1,
            "loss": loss_sum.item() / images_per_epoch,
            "train_accuracy": correct.item() / images_per_epoch,
            "validation_accuracy": None,
            "learning_rate": learning_rate,
        }

    def validate(epoch: int) -> float:
        validated = network if average is None else average
        batch_size = VALIDATION_BATCHES * recipe.batch_size
        correct, finite = count_correct(
            validated, validation_batches, batch_size, precision, check_limits
        )
        if not finite:
            raise _Stopped("diverged", f"the logits were not finite after epoch {epoch + 1}")
        return correct / len(dataset.validation)

    history: list[dict[str, Any]] = []
    status, cause = "ok", None
    try:
        with seeded(device, seed):
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
    return TrainingResult(
        status=status,
        cause=cause,
        history=tuple(history),
        validation_accuracy=history[-1]["validation_accuracy"] if status == "ok" else None,
        seconds=time.monotonic() - started,
    )

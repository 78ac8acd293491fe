"""Evaluators: from a genotype to a reward.

An evaluator is any callable that takes a genotype (and, if it has such parameters, a ``seed``,
``should_stop`` and ``on_step``) and returns an :class:`Evaluation` or a number.
:class:`TrainingEvaluator` builds the child network and trains it.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..checks import choice
from ..data import Dataset
from ..genotype import Genotype
from ..networks import CellNetwork, build, profile
from .device import find_device, seeded
from .evaluation import evaluate
from .loop import TrainingResult, train
from .recipe import Recipe

STATUSES = ("ok", "diverged", "timeout", "stopped", "error")

#: What a child's training is worth to the controller; the names a TrainingEvaluator takes.
REWARDS: dict[str, Callable[[TrainingResult], float]] = {
    # NASNet (paper, A.3): the accuracy on the validation split after the last epoch
    "accuracy": lambda result: float(result.validation_accuracy or 0.0),
    # NAS 2017: the best accuracy of the last five epochs, cubed
    "cubed": lambda result: max(e["validation_accuracy"] or 0.0 for e in result.history[-5:]) ** 3,
}


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator measured of one genotype."""

    reward: float | None
    status: str = "ok"  #: one of :data:`STATUSES`
    cause: str | None = None
    parameters: int | None = None
    seconds: float | None = None
    curves: list[dict[str, Any]] = field(default_factory=list)  #: a dict per epoch


class TrainingEvaluator:
    """Builds a child network from the genotype, trains it, and returns its validation accuracy.

    The test split is never touched. The same genotype and seed give the same reward.

    Args:
        dataset: from :func:`nasworkbench.data.load`, or your own.
        recipe: how the child is trained.
        cells: N, normal cells per stage (2 in the paper's search).
        filters: F, filters of the first stage (32).
        device: ``cpu``, ``cuda`` or ``cuda:k``.
        reward: ``accuracy`` (NASNet) or ``cubed`` (NAS 2017).
        network: further arguments of :class:`CellNetwork`, e.g. ``dropout``.

    Raises:
        SettingsError: an unknown reward, or a device that this machine does not have.
    """

    def __init__(
        self,
        dataset: Dataset,
        recipe: Recipe,
        cells: int = 2,
        filters: int = 32,
        *,
        device: str = "cpu",
        reward: str = "accuracy",
        **network: Any,
    ) -> None:
        choice("reward", reward, REWARDS)
        self.dataset, self.recipe = dataset, recipe
        self.cells, self.filters = cells, filters
        self.device, self.reward, self.network = str(find_device(device)), reward, network

    def build(self, genotype: Genotype) -> CellNetwork:
        """The child network, with fresh weights from torch's global generator."""
        return build(
            genotype,
            cells=self.cells,
            filters=self.filters,
            classes=self.dataset.classes,
            channels=self.dataset.channels,
            image_size=self.dataset.image_size,
            **self.network,
        )

    def train(
        self, genotype: Genotype, seed: int = 0, **callbacks: Any
    ) -> tuple[CellNetwork, TrainingResult]:
        """A trained child network and what its training measured; global random state is kept.

        ``callbacks``: ``should_stop`` and ``on_step`` of :func:`nasworkbench.training.train`.
        """
        with seeded(torch.device("cpu"), seed):
            network = self.build(genotype)
        return network, train(network, self.dataset, self.recipe, seed, self.device, **callbacks)

    def __call__(
        self,
        genotype: Genotype,
        seed: int = 0,
        should_stop: Callable[[], bool] | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Evaluation:
        network, result = self.train(genotype, seed, should_stop=should_stop, on_step=on_step)
        return Evaluation(
            reward=REWARDS[self.reward](result) if result.status == "ok" else None,
            status=result.status,
            cause=result.cause,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            seconds=result.seconds,
            curves=list(result.history),
        )

    def measure(self, genotype: Genotype, seed: int = 0) -> dict[str, Any]:
        """Train the genotype's network and report everything, the test accuracy included.

        For the comparison of a search's best cells and for tables, never for a search.

        Returns:
            A JSON-ready dict: ``status``, ``cause``, ``validation`` and ``test`` (accuracies from 0
            to 1, None unless the status is ok), ``parameters``, ``mult_adds`` and ``seconds``.
        """
        network, result = self.train(genotype, seed)
        cost = profile(network, self.dataset.image_size)
        ok = result.status == "ok"
        return {
            "status": result.status,
            "cause": result.cause,
            "validation": result.validation_accuracy,
            "test": evaluate(network, self.dataset.test, self.dataset, self.device) if ok else None,
            "parameters": cost.parameters,
            "mult_adds": cost.mult_adds,
            "seconds": round(result.seconds, 3),
        }

    def with_recipe(self, recipe: Recipe) -> TrainingEvaluator:
        """The same evaluator with another recipe."""
        other = copy.copy(self)
        other.recipe = recipe
        return other

    def settings(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset.settings(),
            "recipe": self.recipe.settings(),
            "cells": self.cells,
            "filters": self.filters,
            "device": self.device,
            "reward": self.reward,
            **self.network,
        }


class Task:
    """What an executor runs: the evaluator, called with what its signature has.

    Args:
        evaluator: see this module's first lines.
        should_stop, on_step: passed on, if the evaluator has such parameters.
    """

    def __init__(
        self,
        evaluator: Callable[..., Evaluation | float],
        should_stop: Callable[[], bool] | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.callbacks = {"should_stop": should_stop, "on_step": on_step}

    def __call__(self, genotype: Any, seed: int) -> Evaluation:
        offered = {"seed": seed, **self.callbacks}
        parameters = inspect.signature(self.evaluator).parameters
        result = self.evaluator(genotype, **{k: v for k, v in offered.items() if k in parameters})
        return _checked(result if isinstance(result, Evaluation) else Evaluation(float(result)))


def _checked(evaluation: Evaluation) -> Evaluation:
    """The evaluation in plain numbers, such as the store can hold (tensors become numbers).

    Raises:
        SettingsError, TypeError, ValueError: it holds something else; the trial's cause says so.
    """
    status, cause = choice("status", evaluation.status, STATUSES), evaluation.cause
    try:
        json.dumps(evaluation.curves)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the curves must be ready for JSON: {error}") from None
    reward = None if evaluation.reward is None else float(evaluation.reward)
    if status == "ok" and (reward is None or not math.isfinite(reward)):
        cause = f"the evaluator returned the reward {reward!r}, not a finite number"
        reward, status = None, "diverged"
    return replace(
        evaluation,
        reward=reward,
        status=status,
        cause=None if cause is None else str(cause),
        parameters=None if evaluation.parameters is None else int(evaluation.parameters),
    )

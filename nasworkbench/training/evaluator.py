"""Evaluators: from a genotype to a reward.

An evaluator is any callable that takes a genotype (and, if it has such parameters, a ``seed``,
``should_stop`` and ``on_step``) and returns an :class:`Evaluation` or a number.
:class:`TrainingEvaluator` builds the child network and trains it.
"""

from __future__ import annotations

import copy
import difflib
import inspect
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from .. import zoo
from ..checks import choice, instance, number, optional, whole
from ..data import Dataset
from ..errors import SettingsError, listed
from ..executors import Finished
from ..executors.base import call, one_line
from ..genotype import Genotype
from ..networks import CellNetwork, build, profile
from .device import find_device, seeded
from .evaluation import evaluate
from .loop import TrainingResult, train
from .recipe import Recipe

STATUSES = ("ok", "diverged", "timeout", "stopped", "error")

#: The largest reward: a policy computes in float32, which ends here.
LARGEST = 3.4e38

#: A store takes whole numbers up to this, and this many bytes of curves (this project's choice).
MOST_WHOLE, MOST_CURVES = 2**63 - 1, 10**7

#: What a child's training is worth to the controller; the names a TrainingEvaluator takes.
REWARDS: dict[str, Callable[[TrainingResult], float]] = {
    # NASNet (paper, A.1 and A.6): the accuracy on the validation split after the last epoch
    "accuracy": lambda result: float(result.validation_accuracy or 0.0),
    # NAS 2017: the best accuracy of the last five epochs, cubed
    "cubed": lambda result: max(e["validation_accuracy"] or 0.0 for e in result.history[-5:]) ** 3,
}


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator measured of one genotype.

    Anything else than what is said here makes it a trial of status ``error``.
    """

    reward: float | None  #: of magnitude up to :data:`LARGEST`; one that is not finite: "diverged"
    status: str = "ok"  #: one of :data:`STATUSES`
    cause: str | None = None  #: one line; what is beyond 500 characters is cut off
    parameters: int | None = None  #: from 0
    seconds: float | None = None
    #: a dict per epoch, ready for JSON; numbers in it that are not finite become None
    curves: list[dict[str, Any]] = field(default_factory=list)


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
        SettingsError: something else than a Dataset or a Recipe, an unknown reward, a device that
            this machine does not have, or no such argument of the network.
        NetworkError: no network of a published cell can be built so: a setting out of range, or
            images that are too small.
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
        advice = f"nasworkbench.data.load({dataset if isinstance(dataset, str) else 'digits'!r})"
        self.dataset = instance("dataset", dataset, Dataset, advice)
        self.recipe = instance("recipe", recipe, Recipe, "Recipe(epochs=20) or Recipe.digits()")
        self.reward, self.device = choice("reward", reward, REWARDS), str(find_device(device))
        self.cells = cells if isinstance(cells, Sequence) else whole("cells", cells)
        self.filters, self.network = whole("filters", filters), network
        taken = {"genotype", "cells", "filters", "classes", "channels", "image_size"}
        allowed = sorted(inspect.signature(CellNetwork).parameters.keys() - taken)
        for name in network.keys() - allowed:
            (near,) = difflib.get_close_matches(name, allowed, n=1, cutoff=0.0)
            raise SettingsError(
                f"networks have no argument {name!r}; the nearest one is {near!r}. Beside those of "
                f"TrainingEvaluator there are {listed(allowed)}"
            )
        with torch.device("meta"):  # no memory, no weights: a wrong setting is found here
            self.build(zoo.get("amoebanet-d"))

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
        other.recipe = instance("recipe", recipe, Recipe, "Recipe(epochs=20)")
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
        return checked(result)


def checked(returned: Any) -> Evaluation:
    """What an evaluator returned, in plain numbers and texts such as the store can hold.

    Raises:
        SettingsError, TypeError, ValueError: :class:`Evaluation` does not allow it. Reading
            ``returned`` may raise anything else.
    """
    given = returned if isinstance(returned, Evaluation) else Evaluation(returned)
    status, cause, reward = given.status, given.cause, given.reward
    if reward is None or not math.isfinite(reward):
        if status == "ok":
            status = "diverged"
            cause = f"the evaluator returned the reward {reward!r:.80}, not a finite number"
        reward = None
    else:
        reward = number("reward", reward, -LARGEST, LARGEST)
    curves = [dict(epoch) for epoch in given.curves]
    text = json.dumps(curves, ensure_ascii=False).encode(errors="replace")
    whole("the size of the curves in bytes", len(text), 0, MOST_CURVES)
    return Evaluation(
        reward=reward,
        status=choice("status", status, STATUSES),
        cause=None if cause is None else one_line(cause, 500),
        parameters=optional(whole, "parameters", given.parameters, 0, MOST_WHOLE),
        seconds=optional(number, "seconds", given.seconds, 0.0),
        curves=json.loads(text, parse_constant=lambda name: None),
    )


def checked_end(future: Future[Finished]) -> tuple[Evaluation, int | None]:
    """How an evaluation ended on any executor, one of your own too, and its worker.

    All that comes into a search comes through here, and nothing is raised: what :func:`checked`
    refuses is of status ``error``. The other statuses of :class:`Finished` are kept.
    """

    def check() -> tuple[Evaluation, int | None]:
        ended = instance("what an executor's future gives", future.result(0), Finished, "call()")
        status = choice("status", ended.status, (*STATUSES, "out_of_memory", "crashed"))
        failed = Evaluation(None, status, one_line(ended.cause or status, 500))
        evaluation = checked(ended.value) if status == "ok" else failed
        worker = optional(whole, "worker", ended.worker, 0, MOST_WHOLE)
        return replace(evaluation, seconds=number("seconds", ended.seconds, 0.0)), worker

    done = call(check, ())
    return done.value or (Evaluation(None, "error", done.cause, seconds=0.0), None)

"""The last step of a main job: was the controller better than random search, and how sure is that?

The reward of a search is a quick, noisy measurement, and the best of many measurements is too high.
So the best cells of both searches are trained again, several times, and compared on test data that
neither search has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from ..executors import Executor, Finished, run_all
from ..genotype import Architecture, Genotype, from_text
from ..search import Search, Store
from ..training import TrainingEvaluator
from ..training.evaluator import Task
from .bootstrap import Verdict, bootstrap_difference, concluded

ORIGINS = ("controller", "random")
MEASURED = ("status", "cause", "validation", "test", "seconds")


class TrainOrRetrain:
    """All that the workers of a main job do, so that they are started once.

    Called with a genotype and a seed it is a trial of a search; with ``True`` as a third argument
    it trains one of the best cells again.

    Args:
        evaluator: of the searches.
        final: with the recipe of the last training.
    """

    def __init__(self, evaluator: TrainingEvaluator, final: TrainingEvaluator) -> None:
        self.trial, self.final = Task(evaluator), final

    def __call__(self, genotype: Genotype, seed: int, retrain: bool = False) -> Any:
        return self.final.measure(genotype, seed) if retrain else self.trial(genotype, seed)


def retrain_best(
    store: Store,
    searches: dict[str, Search],
    executor: Executor,
    top: int = 5,
    seeds: int = 3,
    progress: bool | None = None,
) -> None:
    """Train the ``top`` best cells of each search again with each of ``seeds`` seeds.

    What is in the store already is not done again: after an interruption the rest is done.

    Args:
        store: where the results go: :meth:`Store.retrainings`.
        searches: by origin, ``controller`` and ``random``.
        executor: runs a :class:`TrainOrRetrain`.
        top: cells of each search, the best by validation accuracy.
        seeds: trainings of each cell, with the seeds 0, 1, ...
        progress: show a bar; None: if somebody watches.
    """
    done = {(row["origin"], row["key"], row["seed"]) for row in store.retrainings()}
    best = {origin: search.best(top) for origin, search in searches.items()}
    tasks = [
        (origin, trial, seed)
        for seed in range(seeds)
        for origin, trials in best.items()
        for trial in trials
        if (origin, trial.key, seed) not in done
    ]
    if not tasks:
        return

    def keep(index: int, finished: Finished) -> None:
        origin, trial, seed = tasks[index]
        row = {"origin": origin, "key": trial.key, "seed": seed, "reward": trial.reward}
        measured = finished.value or {"status": finished.status, "cause": finished.cause}
        kept = {name: measured.get(name) for name in MEASURED}
        store.retrained(row | {"genotype": trial.genotype.to_json()} | kept)

    arguments = [(trial.genotype, seed, True) for _, trial, seed in tasks]
    run_all(executor, arguments, keep, "training the best again", progress)


def verdict(
    rows: Sequence[dict[str, Any]],
    controller: str,
    trials: int | None = None,
    updates: int | None = None,
) -> Verdict:
    """What to say about this pair of runs, from the rows of :meth:`Store.retrainings`.

    It speaks of these two searches alone: whether the *algorithm* is better takes many searches.
    With less than the minima of :data:`nasworkbench.comparison.MINIMA` it names no winner.

    Args:
        controller: its name.
        trials: of each search, the fewer of both; None: not asked for.
        updates: that the controller has made; None: it makes none, such as evolution.
    """
    cells: dict[str, dict[str, list[float]]] = {origin: {} for origin in ORIGINS}
    for row in rows:
        if row["test"] is not None:
            cells[row["origin"]].setdefault(row["key"], []).append(row["test"])
    a, b = (list(cells[origin].values()) for origin in ORIGINS)
    if not a or not b:
        empty = controller if not a else "random search"
        return Verdict(f"No verdict: not one of the best cells of {empty} could be trained.")
    figures = difference, low, high = bootstrap_difference(a, b)
    means = [100 * numpy.mean([numpy.mean(cell) for cell in side]) for side in (a, b)]
    trainings = min(sum(map(len, side)) for side in (a, b))
    counts = {"cells": min(len(a), len(b)), "trainings": trainings}
    return concluded(
        f"In this pair of runs the {len(a)} best cells of {controller} reach {means[0]:.2f} % on "
        f"test data and the {len(b)} best of random search {means[1]:.2f} %: a difference of "
        f"{100 * difference:+.2f} points, 95 % interval {100 * low:+.2f} to {100 * high:+.2f} "
        "over cells and seeds",
        figures,
        (controller, "random search"),
        counts | {"trials": trials, "updates": updates},
    )


def best_retrained(rows: Sequence[dict[str, Any]]) -> Architecture | None:
    """The controller's cell with the best mean *validation* accuracy over its retrainings.

    The test accuracy has no part in the choice, and so stays an honest estimate.
    """
    validations: dict[str, list[float]] = {}  # by genotype
    for row in rows:
        if row["origin"] == "controller" and row["validation"] is not None:
            validations.setdefault(row["genotype"], []).append(row["validation"])
    if not validations:
        return None
    return from_text(max(validations, key=lambda text: numpy.mean(validations[text])))

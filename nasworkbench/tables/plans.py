"""What a table is made of: which cells, trained how, on what, how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..data import Dataset, load
from ..errors import SettingsError, TableError, listed
from ..genotype import Genotype
from ..networks import CellNetwork, profile
from ..spaces import CellSpace
from ..training import Recipe, evaluate, train
from ..training.device import seeded


@dataclass(frozen=True)
class Plan:
    """All that decides the numbers of a table.

    Args:
        name: of the table.
        space: small enough to be enumerated.
        data: the arguments of :func:`nasworkbench.data.load`.
        recipe: how each child is trained.
        cells, filters: N and F of the child networks.
        seeds: trainings of each cell, with the seeds 0, 1, ...

    Raises:
        SettingsError: a number below one.
    """

    name: str
    space: CellSpace
    data: dict[str, Any]
    recipe: Recipe
    cells: int
    filters: int
    seeds: int

    def __post_init__(self) -> None:
        for name in ("cells", "filters", "seeds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SettingsError(f"{name} must be a whole number from 1, got {value!r}")

    def settings(self) -> dict[str, Any]:
        """A JSON-ready dict, without the number of seeds: more can be added to a table."""
        return {
            "name": self.name,
            "space": self.space.settings(),
            "data": dict(self.data),
            "recipe": self.recipe.settings(),
            "cells": self.cells,
            "filters": self.filters,
        }


class TableChild:
    """What a worker does for a row: train the cell from scratch, judge it on both splits.

    The same numbers as a :class:`nasworkbench.TrainingEvaluator` with these settings and seed.
    """

    def __init__(self, plan: Plan, dataset: Dataset) -> None:
        self.plan, self.dataset = plan, dataset

    def __call__(self, genotype: Genotype, seed: int) -> dict[str, Any]:
        data, plan = self.dataset, self.plan
        with seeded(torch.device("cpu"), seed):
            network = CellNetwork(
                genotype,
                cells=plan.cells,
                filters=plan.filters,
                classes=data.classes,
                channels=data.channels,
                image_size=data.image_size,
            )
        counted = profile(network, data.image_size)
        result = train(network, data, plan.recipe, seed=seed)
        found = {
            "status": result.status,
            "cause": result.cause,
            "seconds": round(result.seconds, 3),
            "parameters": counted.parameters,
            "mult_adds": counted.mult_adds,
        }
        if result.status == "ok":
            found["validation"] = result.validation_accuracy
            found["test"] = evaluate(network, data.test, data)
        return found


#: The operations of ENAS's cells: the two separable convolutions, the two pools, and nothing.
ENAS_OPERATIONS = ("identity", "avg_pool_3x3", "max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5")

# The child is that of the laptop tier: the handwritten digits, N = 1, F = 8, one pass. All of these
# numbers are this project's choice: among eight settings on two data sets it tells cells apart best
# for its price (intraclass correlation 0.88, Kendall's tau between seeds 0.73, over 40 cells).
_CELLS = Plan(
    name="cells",
    space=CellSpace(2, ENAS_OPERATIONS, ("add",), tied=True),
    data={"name": "digits"},
    recipe=Recipe(
        epochs=1,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=5e-4,
        bn_momentum=0.3,
        clip_norm=None,
    ),
    cells=1,
    filters=8,
    seeds=3,
)
PLANS = {plan.name: plan for plan in (_CELLS,)}


def plan(name: str) -> Plan:
    """The plan of a table that the library can build.

    Raises:
        TableError: no plan of that name.
    """
    if name not in PLANS:
        raise TableError(f"there is no plan for a table {name!r}; there is one for {listed(PLANS)}")
    return PLANS[name]


def dataset(plan: Plan) -> Dataset:
    """The plan's data set, its test split read (so that workers are handed all of it)."""
    found = load(**plan.data)
    _ = found.test
    return found

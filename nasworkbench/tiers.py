"""Tiers: the same search at four sizes, from seconds on a laptop to the paper's on 500 GPUs.

A tier is a frozen preset. Everything that the paper does not give is marked here as this project's
choice; see the field comments of each tier.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from .checks import whole
from .data import Dataset
from .errors import SettingsError, listed
from .progress import duration
from .spaces import CellSpace
from .training import Recipe, TrainingEvaluator

VARIABLE = "NASWORKBENCH_TIER"


@dataclass(frozen=True)
class Tier:
    """One size of the main job.

    Args:
        name: ``toy``, ``laptop``, ``gpu`` or ``paper``.
        takes: how long, in a word.
        data: default data set.
        trials: of the controller; random search gets as many.
        cells, filters: N and F of the child networks.
        recipe: how a child is trained in the search.
        final_recipe: how the best are trained again.
        top, seeds: cells of each search that are judged, and trainings of each.
        controller: settings of PPO that differ from the paper's.
        workers: processes.
        time_limit: seconds after which a child is killed.

    Raises:
        SettingsError: a number of anything below one.
    """

    name: str
    takes: str
    data: str
    trials: int
    cells: int
    filters: int
    recipe: Recipe
    final_recipe: Recipe
    top: int = 5
    seeds: int = 3
    controller: dict[str, Any] = field(default_factory=dict)
    workers: int = 2
    time_limit: float | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "workers", "cells", "filters", "top", "seeds"):
            whole(name, getattr(self, name))

    def settings(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Tier:
        """The tier that :meth:`settings` described."""
        recipes = {name: Recipe(**settings[name]) for name in ("recipe", "final_recipe")}
        return cls(**settings | recipes)


# PPO for a few hundred trials: a learning rate thirty times the paper's, whitened advantages, more
# entropy, and a clip that four epochs do not run into at once. This project's choice, tuned on
# synthetic rewards over the same 50 decisions: with the paper's settings, made for 20,000 trials,
# the policy has hardly moved after 300.
_FEW_TRIALS = {
    "learning_rate": 0.01,
    "entropy_weight": 0.01,
    "whiten_advantages": True,
    "clip": 0.5,
}

_TIERS = (
    Tier(
        name="toy",
        takes="seconds",
        data="digits",
        trials=6,
        cells=1,
        filters=4,
        recipe=Recipe.digits(),
        final_recipe=Recipe.digits(),
        top=2,
        seeds=2,
        controller={**_FEW_TRIALS, "batch_size": 3},
    ),
    Tier(
        name="laptop",
        takes="minutes",
        data="digits",
        trials=200,
        cells=1,
        filters=8,
        recipe=Recipe.digits(),
        final_recipe=Recipe.digits(epochs=3),
        controller=_FEW_TRIALS,
        time_limit=60.0,
    ),
    # The paper's child: N = 2, 20 epochs, 45,000 / 5,000 images, enlarge and crop, flip (A.1, A.6);
    # F = 32 is not stated in the paper's last version. Batch 128 and learning rate 0.024 are those
    # of Real et al. 2019 for the larger networks; the number of trials is this project's choice.
    Tier(
        name="gpu",
        takes="hours",
        data="cifar10",
        trials=100,
        cells=2,
        filters=32,
        recipe=replace(Recipe.paper_search(), batch_size=128, learning_rate=0.024),
        final_recipe=replace(Recipe.paper_search(), batch_size=128, learning_rate=0.024, cutout=16),
        controller=_FEW_TRIALS,
        time_limit=7200.0,
    ),
    # 20,000 children, PPO as in A.2, the 250 best trained to convergence.
    Tier(
        name="paper",
        takes="weeks of many GPUs",
        data="cifar10",
        trials=20_000,
        cells=2,
        filters=32,
        recipe=Recipe.paper_search(),
        final_recipe=Recipe.paper_final(),
        top=250,
        seeds=1,
        workers=8,
    ),
)
TIERS = {tier.name: tier for tier in _TIERS}


def get(name: str | None = None) -> Tier:
    """A tier by name; without one, that of the environment variable NASWORKBENCH_TIER, or laptop.

    Raises:
        SettingsError: no tier of that name.
    """
    source = "" if name else f" (from the environment variable {VARIABLE})"
    name = name or os.environ.get(VARIABLE) or "laptop"
    if name not in TIERS:
        raise SettingsError(f"there is no tier {name!r}{source}; the tiers are {listed(TIERS)}")
    return TIERS[name]


@dataclass(frozen=True)
class Forecast:
    """How long a tier takes on this machine, about."""

    child_seconds: float
    total_seconds: float
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def forecast(
    tier: Tier, dataset: Dataset, device: str = "cpu", workers: int | None = None
) -> Forecast:
    """Time a few steps of three random children and reckon from them; takes a few seconds.

    One torch thread, as a worker has; no augmentation and no waiting for data.
    """
    workers = tier.workers if workers is None else workers
    evaluator = TrainingEvaluator(dataset, tier.recipe, tier.cells, tier.filters, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = [_time_steps(evaluator, seed) for seed in range(3)]
    finally:
        torch.set_num_threads(threads)
    step = sum(training for training, _ in timings) / len(timings)
    look = sum(evaluation for _, evaluation in timings) / len(timings)

    def seconds(recipe: Recipe) -> float:
        steps = recipe.epochs * -(-len(dataset.train) // recipe.batch_size)
        judged = len(dataset.validation) * -(-recipe.epochs // recipe.evaluate_every)
        return steps * step + judged / recipe.batch_size * look

    child, final = seconds(tier.recipe), seconds(tier.final_recipe)
    searched, judged = 2 * tier.trials, 2 * tier.top * tier.seeds
    total = (searched * child + judged * final) / max(workers, 1) + 10
    return Forecast(
        child,
        total,
        f"tier {tier.name}: {tier.trials} + {tier.trials} children of about {duration(child)}, "
        f"then {judged} networks of about {duration(final)}, on {workers} worker"
        f"{'s' if workers > 1 else ''}: about {duration(total)} on this machine",
    )


def _time_steps(evaluator: TrainingEvaluator, seed: int) -> tuple[float, float]:
    """Seconds of one training step and of one evaluation of a batch, for one random child."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = evaluator.build(CellSpace().sample(seed)).to(evaluator.device)
        dataset = evaluator.dataset
        side = dataset.image_size
        images = torch.randn(
            evaluator.recipe.batch_size, dataset.channels, side, side, device=evaluator.device
        )

        def clock(work: Any, repeats: int = 3) -> float:
            work()  # the first call is slower
            start = time.perf_counter()
            for _ in range(repeats):
                work()
            if images.is_cuda:
                torch.cuda.synchronize()
            return (time.perf_counter() - start) / repeats

        network.train()
        training = clock(lambda: network(images).sum().backward())
        network.eval()
        with torch.no_grad():
            return training, clock(lambda: network(images))

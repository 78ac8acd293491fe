"""The main job: PPO against random search, the best of both judged on test data, all of it drawn.

A run folder holds the controller's search, the random baseline's search in ``random/``, and what
they came to: ``best.json``, drawings, the reward curve and ``report.html``. Every step looks at
what is there already, so that the job goes on after an interruption wherever it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import report
from .comparison import TrainOrRetrain, Verdict, best_retrained, retrain_best, verdict
from .controllers import PPO, Controller, RandomSearch, RegularizedEvolution, Reinforce
from .data import Dataset, load
from .drawing import draw
from .errors import SettingsError, StoreError, listed
from .executors import ProcessExecutor
from .genotype import Genotype
from .plots import draw_rewards, figure, reward_rows, save
from .search import Search
from .spaces import CellSpace
from .tiers import Tier
from .training import TrainingEvaluator

CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "ppo": PPO,
    "reinforce": Reinforce,
    "evolution": RegularizedEvolution,
    "random": RandomSearch,
}


class Job:
    """One run folder, from an empty one to its report.

    Make one by :meth:`create` or :meth:`resume`, then :meth:`run` it.
    """

    def __init__(self, directory: Path, tier: Tier, search: Search, progress: bool | None) -> None:
        self.directory, self.tier, self.search, self.progress = directory, tier, search, progress

    @classmethod
    def create(
        cls,
        tier: Tier,
        directory: str | Path | None = None,
        *,
        dataset: Dataset | None = None,
        controller: str = "ppo",
        device: str = "cpu",
        seed: int = 0,
        progress: bool | None = None,
    ) -> Job:
        """A new run.

        Args:
            tier: how much of everything; see :mod:`nasworkbench.tiers`.
            directory: the run folder; by default ``runs/<tier>-<time>``.
            dataset: other data than the tier's.
            controller: ``ppo``, ``reinforce``, ``evolution`` or ``random``.
            device: ``cpu`` or ``cuda``.
            seed: of both searches.
            progress: show bars; None: if somebody watches.

        Raises:
            StoreError: the folder holds a run already.
            DataError: the data are not on this machine.
            SettingsError: an unknown controller, a device that is not there.
        """
        if controller not in CONTROLLERS:
            raise SettingsError(
                f"there is no controller {controller!r}; the controllers are {listed(CONTROLLERS)}"
            )
        if directory is None:
            directory = Path("runs") / time.strftime(f"{tier.name}-%Y%m%d-%H%M%S")
        directory = Path(directory)
        dataset = dataset or load(tier.data)
        space = CellSpace()
        settings = tier.controller if controller in ("ppo", "reinforce") else {}
        search = Search(
            space,
            CONTROLLERS[controller](space, seed, **settings),
            TrainingEvaluator(dataset, tier.recipe, tier.cells, tier.filters, device=device),
            directory,
            seed=seed,
            time_limit=tier.time_limit,
            notes={
                "job": {
                    "name": directory.name,
                    "tier": tier.name,
                    "tier_settings": tier.settings(),
                }
            },
        )
        return cls(directory, tier, search, progress)

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        *,
        device: str | None = None,
        workers: int | None = None,
        progress: bool | None = None,
    ) -> Job:
        """The run in a folder, on the same or another device.

        Raises:
            StoreError: no run there, a damaged file, or a search that is not a main job.
        """
        search = Search.resume(directory, device=device)
        notes = search.store.meta("job")
        if notes is None:
            raise StoreError(
                f"{directory} holds a search that was started from Python: go on with it by "
                f"Search.resume({str(directory)!r}).run(...)"
            )
        with search.store.reading("the settings of its tier"):
            tier = Tier.from_settings(notes["tier_settings"])
        if workers is not None:
            tier = replace(tier, workers=workers)
        return cls(Path(directory), tier, search, progress)

    def run(self) -> Verdict:
        """Do what is left to do; returns the verdict. Ctrl-C leaves everything saved."""
        baseline = self._baseline()
        store, tier = self.search.store, self.tier
        searches = {"controller": self.search, "random": baseline}
        evaluator: TrainingEvaluator = self.search.evaluator  # type: ignore[assignment]
        work = TrainOrRetrain(evaluator, evaluator.with_recipe(tier.final_recipe))
        with ProcessExecutor(work, tier.workers, tier.time_limit) as executor:
            for search in searches.values():
                left = tier.trials - search.finished
                if left > 0:
                    search.run(left, executor, progress=self.progress)
            retrain_best(store, searches, executor, tier.top, tier.seeds, self.progress)
        result = verdict(store.retrainings(), type(self.search.controller).__name__)
        store.set_meta(verdict=result.to_dict())
        self.write(baseline)
        return result

    def _baseline(self) -> Search:
        """Random search in ``random/``: same space, same evaluator, same number of trials."""
        folder, evaluator = self.directory / "random", self.search.evaluator
        if (folder / "search.sqlite").exists():
            return Search.resume(folder, evaluator)
        controller = RandomSearch(self.search.space, self.search.seed)
        return Search(
            self.search.space,
            controller,
            evaluator,
            folder,
            seed=self.search.seed,
            time_limit=self.search.time_limit,
        )

    @property
    def best(self) -> Genotype | None:
        """The best cell by validation: of the retrained ones, else of the search."""
        best: Any = best_retrained(self.search.store.retrainings())
        for trial in self.search.best() if best is None else ():
            best = trial.genotype
        return None if best is None else replace(best, name=self.directory.name)

    def write(self, baseline: Search) -> None:
        """Best genotype, drawings, reward curve and report, from what is stored."""
        best = self.best
        if best is not None:
            best.save(self.directory / "best.json")
            network = self.search.evaluator.build(best)  # type: ignore[attr-defined]
            pictures: dict[str, Any] = {
                "normal_cell": best.normal,
                "reduction_cell": best.reduction,
                "genotype": best,
                "network": network,
            }
            for name, thing in pictures.items():
                drawing = draw(thing)
                for suffix in ("svg", "png"):
                    drawing.save(self.directory / f"{name}.{suffix}")
        curve, axes = figure()
        draw_rewards(
            reward_rows(self.search.trials()),
            axes,
            label=type(self.search.controller).__name__,
            baseline_rows=reward_rows(baseline.trials()),
            measure="reward (validation accuracy)",
        )
        for suffix in ("svg", "png"):
            save(curve, self.directory / f"rewards.{suffix}")
        report.write(self.directory)

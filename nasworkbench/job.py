"""The main job: PPO against random search, the best of both compared on test data, all of it drawn.

A run folder holds the controller's search, the random baseline's search in ``random/``, and what
they came to: ``best.json``, ``report.html``, the reward curve and, where graphviz is there to make
them, drawings. Every step looks at what is there already, so that the job goes on after an
interruption wherever it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from . import report
from .checks import choice
from .comparison import TrainOrRetrain, Verdict, best_retrained, retrain_best, verdict
from .controllers import PPO, Controller, RandomSearch, RegularizedEvolution, Reinforce
from .data import Dataset, load
from .drawing import draw
from .drawing.rendering import render
from .errors import StoreError, WorkbenchError, printable
from .executors import ProcessExecutor
from .files import new_directory
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
        self.directory = directory.absolute()  # wherever the program goes meanwhile
        self.tier, self.search, self.progress = tier, search, progress

    @classmethod
    def create(
        cls,
        tier: Tier,
        directory: str | Path | None = None,
        *,
        runs: str | Path = "runs",
        dataset: Dataset | None = None,
        controller: str = "ppo",
        device: str = "cpu",
        seed: int = 0,
        progress: bool | None = None,
    ) -> Job:
        """A new run.

        Args:
            tier: how much of everything; see :mod:`nasworkbench.tiers`.
            directory: the run folder; by default a new one, ``<runs>/<tier>-<time>``.
            runs: the folder of such new ones.
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
        choice("controller", controller, CONTROLLERS)
        dataset = dataset or load(tier.data)
        space = CellSpace()
        learning = dict(tier.controller) if controller in ("ppo", "reinforce") else {}
        if controller == "reinforce":
            learning.pop("clip", None)  # PPO's alone
        policy = CONTROLLERS[controller](space, seed, **learning)
        evaluator = TrainingEvaluator(dataset, tier.recipe, tier.cells, tier.filters, device=device)
        directory = new_directory(runs, tier.name) if directory is None else Path(directory)
        notes = {"name": printable(directory.name), "tier": tier.name}
        search = Search(
            space,
            policy,
            evaluator,
            directory,
            seed=seed,
            time_limit=tier.time_limit,
            notes={"job": notes | {"tier_settings": tier.settings()}},
        )
        return cls(directory, tier, search, progress)

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        *,
        device: str | None = None,
        root: str | Path | None = None,
        workers: int | None = None,
        progress: bool | None = None,
    ) -> Job:
        """The run in a folder, on the same or another device; ``root`` is the folder of the data.

        Raises:
            StoreError: no run there, a damaged file, or a search that is not a main job.
        """
        search = Search.resume(directory, device=device, root=root)
        notes = search.store.meta("job")
        if notes is None or not isinstance(search.evaluator, TrainingEvaluator):
            raise StoreError(
                f"{directory} holds a search that was started from Python; go on with it: "
                f"Search.resume({str(directory)!r}).run(...)"
            )
        with search.store.reading("the settings of its tier"):
            tier = Tier.from_settings(notes["tier_settings"])
        if workers is not None:
            tier = replace(tier, workers=workers)
        return cls(Path(directory), tier, search, progress)

    def run(self, say: Callable[[str], None] = lambda line: None) -> Verdict:
        """Do what is left to do; returns the verdict. Ctrl-C leaves everything saved.

        Args:
            say: e.g. ``print``; is told the verdict as soon as it is known, and, at the start and
                at the end, why there are no drawings.

        Raises:
            StoreError: another process is running this job.
        """
        with self._locked():
            with drawings_or_reason(say):
                render("graph {}", "svg")
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
            controller = self.search.controller
            learns = isinstance(controller, (PPO, Reinforce))
            updates = len(store.updates()) if learns else None  # also of a run that is resumed
            trials = min(search.finished for search in searches.values())
            result = verdict(store.retrainings(), type(controller).__name__, trials, updates)
            store.set_meta(verdict=result.to_dict())
            say(f"\n{result.sentence}\n")
            self.write(baseline, say)
            return result

    def _locked(self) -> AbstractContextManager[object]:
        """The job's lock: not even its last step may be done by two processes at one time."""
        try:
            return FileLock(self.directory / "job.lock").acquire(blocking=False)
        except Timeout:
            raise StoreError(f"another process is running the search in {self.directory}") from None

    def _baseline(self) -> Search:
        """Random search in ``random/``: same space, same evaluator, same number of trials."""
        folder, evaluator = self.directory / "random", self.search.evaluator
        if (folder / "search.sqlite").exists():
            return Search.resume(folder, evaluator)
        space, seed, limit = self.search.space, self.search.seed, self.search.time_limit
        controller = RandomSearch(space, seed)
        return Search(space, controller, evaluator, folder, seed=seed, time_limit=limit)

    @property
    def best(self) -> Genotype | None:
        """The best cell by validation: of the retrained ones, else of the search."""
        best: Any = best_retrained(self.search.store.retrainings())
        for trial in self.search.best() if best is None else ():
            best = trial.genotype
        return None if best is None else replace(best, name=self.directory.name)

    def write(self, baseline: Search, say: Callable[[str], None] = lambda line: None) -> None:
        """Best genotype, report, reward curve and drawings, from what is stored. ``say`` is told
        why there are no drawings."""
        best = self.best
        if best is not None:
            best.save(self.directory / "best.json")
        report.write(self.directory)
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
        if best is None:
            return
        network = self.search.evaluator.build(best)  # type: ignore[attr-defined]
        things = {f"{role}_cell": cell for role, cell in best.cells}
        with drawings_or_reason(say):
            for name, thing in {**things, "genotype": best, "network": network}.items():
                drawing = draw(thing)
                for suffix in ("svg", "png"):
                    drawing.save(self.directory / f"{name}.{suffix}")


@contextmanager
def drawings_or_reason(say: Callable[[str], None]) -> Iterator[None]:
    """Drawings are worth having, but not worth a job: say what is wrong with them, and go on."""
    try:
        yield
    except WorkbenchError as error:
        say(f"no drawings: {error}")

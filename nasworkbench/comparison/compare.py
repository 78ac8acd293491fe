"""``compare``: many seeds of several controllers on one table."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..checks import is_whole, whole
from ..errors import SettingsError, WorkbenchError
from ..executors import Finished, InlineExecutor, ProcessExecutor, Records, run_all
from ..executors.processes import packed
from ..search.rebuilding import describe
from ..spaces import Space
from ..tables import TableEvaluator
from .comparison import Comparison
from .table_run import Factory, Run, TableRun

#: A run ends after so many proposals per evaluation of its budget.
PATIENCE = 20


def compare(
    controllers: Mapping[str, Factory],
    space: Space,
    evaluator: TableEvaluator,
    budget: int = 500,
    seeds: int | Sequence[int] = 30,
    *,
    samples: int | None = None,
    directory: str | Path | None = None,
    workers: int = 2,
    progress: bool | None = None,
) -> Comparison:
    """Run every controller with every seed on a table. With a directory, an interrupted
    comparison goes on, and controllers can be added.

    Args:
        controllers: by the name they are reported under, each a class or ``functools.partial`` of
            one, called with the space and a seed. Random search is the baseline: name whether it
            is uniform over token sequences or, by ``partial(RandomSearch, over="architectures")``,
            over architectures.
        space: the table's.
        evaluator: reads the table.
        budget: different architectures that a run evaluates; to propose a known one again is free.
        seeds: a number of seeds, or the seeds. Runs with one seed are a pair.
        samples: proposals after which a run ends, however many architectures it has evaluated;
            None: 20 times the budget.
        directory: where the runs are kept, a file per controller.
        workers: processes; 1: here, one by one, which also takes controllers that are defined in a
            notebook.
        progress: show a bar; None: if somebody watches.

    Raises:
        TableError: the table is of another space.
        SettingsError: no controllers, no seeds, a budget below one; or a controller that cannot be
            sent to a worker.
        StoreError: the directory holds runs of another comparison under these names.
        WorkbenchError: a run failed.
    """
    budget, workers = whole("budget", budget), whole("workers", workers)
    samples = PATIENCE * budget if samples is None else whole("samples", samples)
    seeds = _checked_seeds(seeds)
    if not isinstance(evaluator, TableEvaluator):
        raise SettingsError(
            "compare runs hundreds of searches, which only a table makes quick enough: evaluator "
            f"must be a TableEvaluator, got {evaluator!r:.80}"
        )
    evaluator.require_space(space)
    _check_controllers(controllers, workers)
    settings = {"evaluator": describe(evaluator), "budget": budget, "samples": samples}
    runs: dict[tuple[str, int], Run] = {}
    records: dict[str, Records] = {}
    with contextlib.ExitStack() as stack:
        if directory is not None:
            for name, factory in controllers.items():
                controller = describe(factory(space, seeds[0]))
                controller["settings"].pop("seed", None)
                work = settings | {"controller": controller}
                path = Path(directory) / _file_name(name)
                records[name] = stack.enter_context(Records(path, work))
                for seed in seeds:
                    stored = records[name].results.get(str(seed))
                    if stored is not None:
                        where = f"{path}, seed {seed}"
                        run = Run.from_dict(stored, len(evaluator.table), budget, where)
                        runs[name, seed] = replace(run, controller=name, seed=seed)
        tasks = [(n, s) for s in seeds for n in controllers if (n, s) not in runs]

        def keep(index: int, finished: Finished) -> None:
            name, seed = tasks[index]
            if finished.status != "ok":
                raise WorkbenchError(f"{name}, seed {seed}: {finished.cause}")
            runs[name, seed] = finished.value
            if name in records:
                records[name].add(str(seed), finished.value.to_dict())

        if tasks:
            task = TableRun(controllers, space, evaluator, budget, samples)
            count = min(workers, len(tasks))
            with InlineExecutor(task) if workers == 1 else ProcessExecutor(task, count) as executor:
                run_all(executor, tasks, keep, "comparing", progress, len(runs))
    return Comparison(evaluator, budget, [runs[n, s] for n in controllers for s in seeds])


def _checked_seeds(seeds: int | Sequence[int]) -> list[int]:
    """The seeds as a list of plain numbers."""
    given = range(int(seeds)) if is_whole(seeds) else seeds  # type: ignore[arg-type]
    numbers = list(given) if isinstance(given, Iterable) else []
    if not len(set(numbers)) == len(numbers) > 0 or not all(is_whole(n, 0) for n in numbers):
        raise SettingsError(
            f"seeds must be how many (from 1), or different whole numbers from 0; got {seeds!r:.80}"
        )
    return [int(seed) for seed in numbers]


def _check_controllers(controllers: Mapping[str, Factory], workers: int) -> None:
    if not isinstance(controllers, Mapping) or not controllers:
        raise SettingsError(
            "controllers must be a dict from a name to a controller's class, with one entry or "
            f"more, got {controllers!r:.80}"
        )
    files: dict[str, str] = {}
    for name, factory in controllers.items():
        if not isinstance(name, str) or not callable(factory):
            raise SettingsError(
                "controllers: each entry must be a text and a class, or a partial of one, that is "
                f"called with the space and a seed; got {name!r:.80}: {factory!r:.80}"
            )
        other = files.setdefault(_file_name(name), name)
        if other != name:
            raise SettingsError(
                f"the controllers {other!r} and {name!r} would share a file: their names must "
                "differ in a letter or a digit"
            )
        if workers > 1:
            try:
                packed(factory)
            except WorkbenchError as error:
                raise SettingsError(f"the controller {name!r}: {error} with workers=1") from None


def _file_name(name: str) -> str:
    return (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "controller") + ".jsonl"

"""``compare``: many seeds of several controllers on one table."""

from __future__ import annotations

import contextlib
import operator
import pickle
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import SettingsError, TableError, WorkbenchError
from ..executors import Finished, InlineExecutor, ProcessExecutor, Records, run_all
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
        budget: different architectures that a run evaluates; a known one is free.
        seeds: a number of seeds, or the seeds. Runs with one seed are a pair.
        samples: proposals after which a run ends, whatever it has found; 20 times the budget
            unless given.
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
    numbers = {"budget": budget, "workers": workers}
    if samples is not None:
        numbers["samples"] = samples
    seeds = _checked(controllers, space, evaluator, seeds, numbers)
    if workers != 1:
        _check_sendable(controllers)
    samples = PATIENCE * budget if samples is None else samples
    contest = TableRun(controllers, space, evaluator, budget, samples)
    about = {
        "evaluator": describe(evaluator),
        "budget": budget,
        "samples": samples,
    }
    done: dict[tuple[str, int], Run] = {}
    with contextlib.ExitStack() as stack:
        records = {}
        for name, factory in controllers.items() if directory is not None else ():
            made = describe(factory(space, seeds[0]))
            made["settings"].pop("seed", None)
            path = Path(str(directory)) / f"{_file_name(name)}.jsonl"
            records[name] = stack.enter_context(Records(path, about | {"controller": made}))
            for seed in seeds:
                if str(seed) in records[name]:
                    record = records[name].results[str(seed)]
                    run = Run.from_dict(record, len(evaluator.table), f"{path}, seed {seed}")
                    done[name, seed] = replace(run, controller=name, seed=seed)
        tasks = [(n, s) for s in seeds for n in controllers if (n, s) not in done]

        def keep(index: int, finished: Finished) -> None:
            name, seed = tasks[index]
            if finished.status != "ok":
                raise WorkbenchError(f"{name}, seed {seed}: {finished.cause}")
            if name in records:
                records[name].add(str(seed), finished.value)
            done[name, seed] = Run(**finished.value)

        if tasks:
            with (
                InlineExecutor(contest)
                if workers == 1
                else ProcessExecutor(contest, min(workers, len(tasks)))
            ) as executor:
                finished = len(controllers) * len(seeds) - len(tasks)
                run_all(executor, tasks, keep, "comparing", progress, finished)
    runs = [done[name, seed] for name in controllers for seed in seeds]
    return Comparison(evaluator, budget, runs)


def _checked(
    controllers: Mapping[str, Factory],
    space: Space,
    evaluator: TableEvaluator,
    seeds: int | Sequence[int],
    numbers: Mapping[str, int],
) -> list[int]:
    """The seeds, if everything can be run."""
    if not isinstance(evaluator, TableEvaluator):
        raise SettingsError(
            f"compare runs hundreds of searches, and takes a TableEvaluator, got {evaluator!r:.80}"
        )
    theirs = evaluator.table.space
    if type(theirs) is not type(space) or theirs.settings() != space.settings():
        raise TableError(
            f"the table {evaluator.table.name!r} is of another space: {theirs!r}, not {space!r}"
        )
    if not isinstance(controllers, Mapping) or not controllers:
        raise SettingsError(
            "controllers is a dict from a name to a controller's class, with one entry or more, "
            f"got {controllers!r:.80}"
        )
    files: dict[str, str] = {}
    for name, factory in controllers.items():
        if not isinstance(name, str) or not callable(factory):
            raise SettingsError(
                f"controllers: {name!r}: {factory!r:.80} must be a text and a class, or a partial "
                "of one, that is called with the space and a seed"
            )
        other = files.setdefault(_file_name(name), name)
        if other != name:
            raise SettingsError(
                f"the controllers {other!r} and {name!r} would share a file: their names must "
                "differ in a letter or a digit"
            )
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SettingsError(f"{name} must be a whole number from 1, got {value!r}")
    try:
        given = range(seeds) if isinstance(seeds, int) else seeds
        found = [operator.index(seed) for seed in given]  # numpy's whole numbers too
    except TypeError:
        found = []
    if not found or min(found) < 0 or len(set(found)) < len(found):
        raise SettingsError(f"seeds must be a number from 1, or different seeds; got {seeds!r}")
    return found


def _check_sendable(controllers: Mapping[str, Factory]) -> None:
    """A worker is a fresh Python: it takes what it can import."""
    prompt = not hasattr(sys.modules["__main__"], "__file__")
    for name, factory in controllers.items():
        try:
            pickle.dumps(factory)
            made = getattr(factory, "func", factory)  # of a partial
            if prompt and getattr(made, "__module__", None) == "__main__":
                raise TypeError("it is defined in a notebook or at a prompt")
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise SettingsError(
                f"the controller {name!r} cannot be sent to a worker process ({error}). Compare "
                "with workers=1, or define it in a .py file and import it"
            ) from None


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "controller"

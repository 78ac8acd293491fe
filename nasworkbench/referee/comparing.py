"""``compare``: many seeds of several controllers on one table, and who was better.

Every run is scored against the number of *different* architectures it has evaluated: that is what a
real search pays for. The one it would pick is the best by validation accuracy; its rank, its
validation regret and, revealed only here, its test regret say how good it is.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import pickle
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy
import pandas

from ..errors import SettingsError, TableError, WorkbenchError, listed
from ..executors import Finished, InlineExecutor, ProcessExecutor, Records, run_all
from ..search import TableEvaluator
from ..search.library import describe
from ..spaces import Space
from .bootstrap import Verdict, bootstrap_mean
from .contest import Contest, Factory, Run, noise

#: Numbers of evaluations that are reported unless others are asked for.
REPORTED = (50, 100, 200, 500)

#: A run ends after so many proposals per evaluation of its budget.
PATIENCE = 20

#: A measure's name -> its words, and whether more is better.
MEASURES = {
    "rank": ("mean validation rank", False),
    "validation_regret": ("mean validation regret", False),
    "test_regret": ("mean test regret", False),
    "top": ("probability of a cell of the best 1 %", True),
    "area": ("mean validation regret so far (area under the curve)", False),
    "samples": ("mean number of proposals", False),
}


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
            one, called with the space and a seed. Random search is the referee: name whether it
            is uniform over strings or (``partial(RandomSearch, over="classes")``) over classes.
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
    contest = Contest(controllers, space, evaluator, budget, samples)
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

        def keep(record: Finished) -> None:
            name, seed = tasks[record.number]
            if record.status != "ok":
                raise WorkbenchError(f"{name}, seed {seed}: {record.cause}")
            if name in records:
                records[name].add(str(seed), record.value)
            done[name, seed] = Run(**record.value)

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


@dataclass(frozen=True)
class Comparison:
    """The runs of :func:`compare`, and what can be said about them."""

    evaluator: TableEvaluator
    budget: int
    runs: Sequence[Run]

    @property
    def controllers(self) -> list[str]:
        """Their names, in the order in which they were given."""
        return list(dict.fromkeys(run.controller for run in self.runs))

    def rows(self, at: Sequence[int] | None = None) -> pandas.DataFrame:
        """A row per controller, seed and number of evaluations.

        Args:
            at: numbers of different architectures evaluated; by default 50, 100, 200, 500 and the
                budget, as far as the budget goes. A run that ended earlier is taken as it ended.

        Returns:
            The columns ``controller``, ``seed``, ``evaluations``, ``samples`` (proposals made for
            them), and, of the architecture with the best reward so far, ``validation``, ``rank``
            (1 is the best of the table), ``validation_regret`` and ``test_regret`` (the table's
            best minus this one, by mean accuracy), ``top`` (1.0 if it is in the best 1 % by
            validation), and ``area`` (mean validation regret over all evaluations so far).
        """
        at = self._points(at)
        table = self.evaluator.table
        validation, test = table.mean_validation, table.mean_test
        best_validation, best_test = validation.max(), test.max()
        leading = math.ceil(len(table) / 100)
        rows = []
        for run in self.runs:
            picked = self.incumbents(run)
            regret = best_validation - validation[picked]
            areas = numpy.cumsum(regret) / numpy.arange(1, len(regret) + 1)
            for evaluations in at:
                place = min(evaluations, len(picked)) - 1
                row = picked[place]
                reached = evaluations <= len(picked)
                missing = evaluations - len(picked)
                area = areas[place]
                if not reached:  # its last architecture is what it would still pick
                    area = (area * len(picked) + missing * regret[place]) / evaluations
                rows.append(
                    {
                        "controller": run.controller,
                        "seed": run.seed,
                        "evaluations": evaluations,
                        "samples": run.at[place] if reached else run.samples,
                        "validation": validation[row],
                        "rank": int(table.ranks[row]),
                        "validation_regret": regret[place],
                        "test_regret": best_test - test[row],
                        "top": float(table.ranks[row] <= leading),
                        "area": area,
                    }
                )
        return pandas.DataFrame(rows)

    def incumbents(self, run: Run) -> numpy.ndarray:
        """The row of the best reward so far, after each evaluation of a run."""
        found = numpy.array(run.found)
        if self.evaluator.average:
            rewards = self.evaluator.table.mean_validation[found]
        else:
            draws = noise(self.evaluator, run.seed)
            rewards = numpy.array([self.evaluator.reward(row, int(draws[row])) for row in found])
        best = numpy.maximum.accumulate(rewards)
        first = numpy.concatenate([[True], best[1:] > best[:-1]])  # of equals the first one stays
        return found[numpy.maximum.accumulate(numpy.where(first, numpy.arange(len(found)), 0))]

    def summary(self, at: Sequence[int] | None = None) -> pandas.DataFrame:
        """A row per controller and number of evaluations: of each measure the mean over the seeds,
        with its 95 % bootstrap interval in ``<measure>_low`` and ``<measure>_high``."""
        rows = []
        for (name, evaluations), own in self.rows(at).groupby(
            ["controller", "evaluations"], sort=False
        ):
            row: dict[str, Any] = {
                "controller": name,
                "evaluations": evaluations,
                "seeds": len(own),
            }
            for measure in MEASURES:
                mean, low, high = bootstrap_mean(own[measure].to_numpy(float))
                row |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
            rows.append(row)
        return pandas.DataFrame(rows)

    def verdict(self, a: str, b: str, at: int, measure: str = "rank") -> Verdict:
        """Was ``a`` better than ``b``? Over paired seeds, with a 95 % bootstrap interval.

        The interval holds the luck of the seeds and is too narrow for fewer than about ten of them;
        one seed has none (NaN) and decides nothing.

        Raises:
            SettingsError: a controller or a measure that is not there.
        """
        if measure not in MEASURES:
            raise SettingsError(f"there is no measure {measure!r}; there are {listed(MEASURES)}")
        for name in (a, b):
            if name not in self.controllers:
                raise SettingsError(
                    f"there is no controller {name!r} here; there are {listed(self.controllers)}"
                )
        rows = self.rows([at]).pivot(index="seed", columns="controller", values=measure)
        mine, theirs = rows[a].to_numpy(float), rows[b].to_numpy(float)
        difference, low, high = bootstrap_mean(mine - theirs)
        words, more_is_better = MEASURES[measure]
        if low > 0 or high < 0:
            judgement = f"{a if (difference > 0) == more_is_better else b} was better"
        else:
            judgement = "not distinguishable"
        return Verdict(
            f"After {at} evaluations on {self.evaluator.table.name}, {len(rows)} paired seeds: "
            f"{words} {_figure(mine.mean())} for {a}, {_figure(theirs.mean())} for {b}; difference "
            f"{_figure(difference, '+')}, 95 % interval {_figure(low, '+')} to "
            f"{_figure(high, '+')}: {judgement}.",
            difference,
            low,
            high,
        )

    def verdicts(self, at: int | None = None, measure: str = "rank") -> list[Verdict]:
        """One for every pair of controllers, after ``at`` evaluations (all of them)."""
        at = self.budget if at is None else at
        return [
            self.verdict(*pair, at, measure) for pair in itertools.combinations(self.controllers, 2)
        ]

    def _points(self, at: Sequence[int] | None) -> list[int]:
        if at is None:
            at = [*(point for point in REPORTED if point < self.budget), self.budget]
        try:
            points = sorted({operator.index(point) for point in at})
        except TypeError:
            points = []
        if not points or points[0] < 1 or points[-1] > self.budget:
            raise SettingsError(
                "at: numbers of evaluations, whole numbers from 1 to the budget of "
                f"{self.budget}; got {at!r}"
            )
        return points


def _figure(value: float, sign: str = "") -> str:
    """Ranks as 308, regrets as 0.0123."""
    return f"{value:{sign}.0f}" if abs(value) >= 20 else f"{value:{sign}.3g}"

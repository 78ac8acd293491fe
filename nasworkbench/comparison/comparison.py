"""What many runs on one table say: how good each controller is, and which of two is better.

Every run is scored against the number of *different* architectures it has evaluated: that is what a
real search pays for. The one it would pick is the best by validation accuracy; its rank, its
validation regret and its test regret, which is read only here, say how good it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas

from ..checks import choice, is_whole
from ..errors import SettingsError
from ..tables import TableEvaluator
from .bootstrap import Verdict, bootstrap_mean, concluded
from .table_run import Run, training_draws

#: Numbers of evaluations that are reported unless others are asked for.
REPORTED = (50, 100, 200, 500)

#: A measure's name -> its words, and whether more is better.
MEASURES = {
    "rank": ("mean validation rank", False),
    "validation_regret": ("mean validation regret", False),
    "test_regret": ("mean test regret", False),
    "top": ("probability of a cell of the best 1 %", True),
    "area": ("mean validation regret so far (area under the curve)", False),
    "samples": ("mean number of proposals", False),
}


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

    def rows(self, at: Sequence[int] | None = None, by: str = "evaluations") -> pandas.DataFrame:
        """A row per controller, seed and number of evaluations.

        Args:
            at: numbers of different architectures evaluated; by default 50, 100, 200, 500 and the
                budget, as far as the budget goes. A run that ended earlier is taken as it ended.
            by: ``evaluations``; or ``samples``: ``at`` are numbers of proposals, known
                architectures counted again.

        Returns:
            The columns ``controller``, ``seed``, ``evaluations``, ``samples`` (proposals made for
            them), and, of the architecture with the best reward so far, ``validation``, ``rank``
            (1 is the best of the table), ``validation_regret`` and ``test_regret`` (the table's
            best minus this one, by mean accuracy), ``top`` (1.0 if it is in the best 1 % by
            validation), and ``area`` (mean validation regret over all evaluations so far).
        """
        points = numpy.array(self._points(at, by))
        table = self.evaluator.table
        validation, test = table.mean_validation, table.mean_test
        leading = math.ceil(len(table) / 100)
        frames = []
        for run in self.runs:
            missing = self.budget - len(run.rows)  # it ended before the budget was spent
            samples = numpy.pad(run.at, (0, missing), constant_values=run.samples)
            picked = numpy.pad(self.incumbents(run), (0, missing), "edge")
            regrets = validation.max() - validation[picked]
            areas = numpy.cumsum(regrets) / numpy.arange(1, self.budget + 1)
            known = points  # architectures at each point
            if by == "samples":
                known = numpy.searchsorted(run.at, points, "right").clip(1)
            row = picked[known - 1]
            columns = {
                "controller": run.controller,
                "seed": run.seed,
                "evaluations": known,
                "samples": samples[known - 1]
                if by == "evaluations"
                else points.clip(0, run.samples),
                "validation": validation[row],
                "rank": table.ranks[row],
                "validation_regret": regrets[known - 1],
                "test_regret": test.max() - test[row],
                "top": (table.ranks[row] <= leading).astype(float),
                "area": areas[known - 1],
            }
            frames.append(pandas.DataFrame(columns))
        return pandas.concat(frames, ignore_index=True)

    def incumbents(self, run: Run) -> numpy.ndarray:
        """The row of the best reward so far, after each evaluation of a run."""
        evaluated = numpy.array(run.rows)
        draws = training_draws(self.evaluator, run.seed)
        rewards = numpy.array([self.evaluator.reward(row, int(draws[row])) for row in evaluated])
        best = numpy.maximum.accumulate(rewards)
        better = numpy.concatenate([[True], best[1:] > best[:-1]])  # of equals the first one stays
        return evaluated[numpy.maximum.accumulate(numpy.arange(len(best)) * better)]

    def summary(self, at: Sequence[int] | None = None) -> pandas.DataFrame:
        """A row per controller and number of evaluations: of each measure the mean over the seeds,
        with its 95 % bootstrap interval in ``<measure>_low`` and ``<measure>_high``."""
        rows = []
        grouped = self.rows(at).groupby(["controller", "evaluations"], sort=False)
        for (name, number), runs in grouped:
            row: dict[str, Any] = {"controller": name, "evaluations": number, "seeds": len(runs)}
            for measure in MEASURES:
                mean, low, high = bootstrap_mean(runs[measure].to_numpy(float))
                row |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
            rows.append(row)
        return pandas.DataFrame(rows)

    def verdict(
        self, a: str, b: str, at: int, measure: str = "rank", by: str = "evaluations"
    ) -> Verdict:
        """Was ``a`` better than ``b``? Over paired seeds, with a 95 % bootstrap interval.

        The interval holds the luck of the seeds, and is too narrow for few of them: with fewer than
        20 the verdict names no winner (:data:`nasworkbench.comparison.MINIMA`). One seed has no
        interval (NaN).

        Raises:
            SettingsError: an unknown controller or measure.
        """
        choice("measure", measure, MEASURES)
        for name in (a, b):
            choice("a controller", name, self.controllers)
        rows = self.rows([at], by).pivot(index="seed", columns="controller", values=measure)
        figures = bootstrap_mean((rows[a] - rows[b]).to_numpy(float))
        difference, low, high = (_figure(value, "+") for value in figures)
        words, more_is_better = MEASURES[measure]
        interval = f"95 % interval {low} to {high}" if len(rows) > 1 else "no interval"
        return concluded(
            f"After {at:,} {by} on {self.evaluator.table.name}, {len(rows)} paired seeds: "
            f"{words} {_figure(rows[a].mean())} for {a}, {_figure(rows[b].mean())} for {b}; "
            f"difference {difference}, {interval}",
            figures,
            (a, b) if more_is_better else (b, a),
            {"paired seeds": len(rows)},
        )

    def verdicts(self, at: int | None = None, measure: str = "rank") -> list[Verdict]:
        """One for every pair of controllers, after ``at`` evaluations (all of them)."""
        at = self.budget if at is None else at
        pairs = itertools.combinations(self.controllers, 2)
        return [self.verdict(a, b, at, measure) for a, b in pairs]

    def _points(self, at: Sequence[int] | None, by: str) -> list[int]:
        choice("by", by, ("evaluations", "samples"))
        most = self.budget if by == "evaluations" else max(run.samples for run in self.runs)
        if at is None:
            return [*(point for point in REPORTED if point < most), most]
        points = set(at) if isinstance(at, Iterable) else set()
        if not points or not all(is_whole(point, 1, most) for point in points):
            limit = "the budget of" if by == "evaluations" else "the longest run's"
            raise SettingsError(
                f"at must be numbers of {by}, whole numbers from 1 to {limit} {most}; got {at!r}"
            )
        return sorted(map(int, points))


def _figure(value: float, sign: str = "") -> str:
    """Ranks as 308, regrets as 0.0123."""
    return f"{value:{sign}.0f}" if abs(value) >= 20 else f"{value:{sign}.3g}"

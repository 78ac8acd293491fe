"""What many runs on one table say: how good each controller is, and which of two is better.

Every run is scored against the number of *different* architectures it has evaluated: that is what a
real search pays for. The one it would pick is the best by validation accuracy; its rank, its
validation regret and, revealed only here, its test regret say how good it is.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pandas

from ..errors import SettingsError, listed
from ..tables import TableEvaluator
from .bootstrap import Verdict, bootstrap_mean
from .table_run import Run, noise

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
        at = self._points(at, by)
        table = self.evaluator.table
        validation, test = table.mean_validation, table.mean_test
        best_validation, best_test = validation.max(), test.max()
        leading = math.ceil(len(table) / 100)
        rows = []
        for run in self.runs:
            picked = self.incumbents(run)
            regret = best_validation - validation[picked]
            areas = numpy.cumsum(regret) / numpy.arange(1, len(regret) + 1)
            for point in at:
                evaluations = point if by == "evaluations" else _known_after(run, point)
                place = min(evaluations, len(picked)) - 1
                row = picked[place]
                missing = evaluations - len(picked)
                area = areas[place]
                if missing > 0:  # its last architecture is what it would still pick
                    area = (area * len(picked) + missing * regret[place]) / evaluations
                rows.append(
                    {
                        "controller": run.controller,
                        "seed": run.seed,
                        "evaluations": evaluations,
                        "samples": _proposals(run, point, evaluations, by),
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

    def verdict(
        self, a: str, b: str, at: int, measure: str = "rank", by: str = "evaluations"
    ) -> Verdict:
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
        rows = self.rows([at], by).pivot(index="seed", columns="controller", values=measure)
        mine, theirs = rows[a].to_numpy(float), rows[b].to_numpy(float)
        difference, low, high = bootstrap_mean(mine - theirs)
        words, more_is_better = MEASURES[measure]
        if low > 0 or high < 0:
            judgement = f"{a if (difference > 0) == more_is_better else b} was better"
        else:
            judgement = "not distinguishable"
        return Verdict(
            f"After {at:,} {by} on {self.evaluator.table.name}, {len(rows)} paired seeds: "
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

    def _points(self, at: Sequence[int] | None, by: str) -> list[int]:
        if by not in ("evaluations", "samples"):
            raise SettingsError(f"by must be 'evaluations' or 'samples', got {by!r}")
        most = self.budget if by == "evaluations" else max(run.samples for run in self.runs)
        if at is None:
            at = [*(point for point in REPORTED if point < most), most]
        try:
            points = sorted({operator.index(point) for point in at})
        except TypeError:
            points = []
        if not points or points[0] < 1 or points[-1] > most:
            what = "the budget of" if by == "evaluations" else "the longest run's"
            raise SettingsError(
                f"at: numbers of {by}, whole numbers from 1 to {what} {most}; got {at!r}"
            )
        return points


def _known_after(run: Run, samples: int) -> int:
    """Different architectures after so many proposals; at least one, the first that it found."""
    return max(1, bisect.bisect_right(run.at, samples))


def _proposals(run: Run, point: int, evaluations: int, by: str) -> int:
    """Proposals made for so many evaluations; all of a run that ended earlier."""
    if by == "samples":
        return min(point, run.samples)
    return run.at[evaluations - 1] if evaluations <= len(run.at) else run.samples


def _figure(value: float, sign: str = "") -> str:
    """Ranks as 308, regrets as 0.0123."""
    return f"{value:{sign}.0f}" if abs(value) >= 20 else f"{value:{sign}.3g}"

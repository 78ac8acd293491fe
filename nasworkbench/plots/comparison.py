"""What ``compare`` measured: how good the best is, and what each controller learned.

A line is the mean over the seeds of one controller, its band the 95 % bootstrap interval of that
mean. Bands that overlap decide nothing, and neither do bands that do not: the runs are paired, and
:func:`nasworkbench.plots.draw_verdicts` shows the interval of the differences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import pandas
from matplotlib.axes import Axes

from ..checks import choice
from ..comparison import MEASURES, Comparison, bootstrap_mean
from ..comparison.table_run import WINDOW
from .lines import draw_lines
from .style import say, styled

#: Points of a line, and resamples of each interval of :func:`learning_rows`: this project's choice.
POINTS, RESAMPLES = 40, 2000

#: A measure's axis, and whether it is drawn on a logarithmic scale.
AXES = {
    "rank": ("mean validation rank (1 is best)", True),
    "validation_regret": ("mean validation regret (0 is best)", True),
    "test_regret": ("mean test regret (0 is best)", True),
    "top": ("probability of an architecture of the best 1 %", False),
    "area": ("mean validation regret so far", True),
    "samples": ("mean number of proposals", True),
}


def comparison_rows(
    comparison: Comparison, measure: str = "rank", at: Sequence[int] | None = None
) -> pandas.DataFrame:
    """A row per controller and number of evaluations.

    Args:
        comparison: what ``compare`` returned.
        measure: one of :data:`nasworkbench.comparison.MEASURES`.
        at: numbers of evaluations; by default 40 from a fiftieth of the budget on, at equal
            distances on a logarithmic scale.

    Returns:
        The columns ``controller``, ``evaluations``, ``measure``, ``mean`` (over the seeds), ``low``
        and ``high`` (its 95 % bootstrap interval) and ``seeds``.

    Raises:
        SettingsError: an unknown measure, or numbers beyond the budget.
    """
    choice("measure", measure, MEASURES)
    if at is None:
        first, last = max(1, comparison.budget // 50), comparison.budget
        at = numpy.geomspace(first, last, POINTS).round().astype(int).tolist()
    rows = []
    seeds = comparison.rows(at).groupby(["controller", "evaluations"], sort=False)
    for (name, evaluations), values in seeds[measure]:
        interval = bootstrap_mean(values.to_numpy(float))
        rows.append((name, evaluations, measure, *interval, len(values)))
    names = ["controller", "evaluations", "measure", "mean", "low", "high", "seeds"]
    return pandas.DataFrame(rows, columns=names)


def draw_comparison(
    rows: pandas.DataFrame, ax: Axes, title: str = "", baselines: Sequence[str] | None = None
) -> Axes:
    """Draw :func:`comparison_rows`: a line with its band per controller, named at its end.

    Args:
        rows: of one measure.
        ax: what to draw on.
        title: of the axes, for example the table's name.
        baselines: controllers that are drawn in the baseline's colour; by default those whose names
            begin with "random".
    """
    words, logarithmic = AXES[rows["measure"].iloc[0]]
    styled(ax, "different architectures evaluated", words, title)
    draw_lines(rows, ax, "evaluations", baselines, logarithmic)
    return ax


def learning_rows(comparison: Comparison, points: int = POINTS) -> pandas.DataFrame:
    """The mean reward of what each controller proposes, as it goes on: what it has learned.

    Known architectures count again here: a policy that has converged on a good one is good. A
    line ends where the shortest run of its controller ends, so that it is a mean of the same seeds
    throughout.

    Args:
        comparison: what ``compare`` returned.
        points: of the longest line, at about equal distances on a logarithmic scale.

    Returns:
        The columns ``controller``, ``samples`` (proposals made), ``mean`` (over the seeds, and over
        the proposals since the row before), ``low`` and ``high`` (its 95 % bootstrap interval over
        the seeds) and ``seeds``. A controller of which a run made fewer than 20 proposals has no
        row.
    """
    means = {}  # (runs, windows) of each controller, windows that all of its runs have filled
    for name in comparison.controllers:
        runs = [run for run in comparison.runs if run.controller == name]
        filled = min(run.samples for run in runs) // WINDOW
        means[name] = numpy.array([run.means[:filled] for run in runs])
    longest = max((table.shape[1] for table in means.values()), default=1)
    ends = numpy.unique(numpy.geomspace(1, max(longest, 1), points).round().astype(int))
    rows = []
    for name, table in means.items():
        start = 0
        for end in ends[ends <= table.shape[1]].tolist():
            interval = bootstrap_mean(table[:, start:end].mean(1), RESAMPLES)
            rows.append((name, end * WINDOW, *interval, len(table)))
            start = end
    names = ["controller", "samples", "mean", "low", "high", "seeds"]
    return pandas.DataFrame(rows, columns=names)


def draw_learning(
    rows: pandas.DataFrame, ax: Axes, title: str = "", baselines: Sequence[str] | None = None
) -> Axes:
    """Draw :func:`learning_rows`; the arguments are those of :func:`draw_comparison`."""
    styled(ax, "proposals, known architectures counted again", "mean reward of proposals", title)
    if rows.empty:
        say(ax, f"no controller has made {WINDOW} proposals yet")
        return ax
    draw_lines(rows, ax, "samples", baselines, logarithmic=False)
    return ax

"""Who was better than a baseline, and how sure is that: paired differences with their intervals."""

from __future__ import annotations

import math
import textwrap

import pandas
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..checks import choice
from ..comparison import MEASURES, Comparison
from .style import BASELINE, BLUE, FAINT, note, positions, say, styled


def verdict_rows(
    comparison: Comparison, baseline: str, at: int | None = None, measure: str = "rank"
) -> pandas.DataFrame:
    """A row per controller: its paired difference from the baseline, the best first.

    Args:
        comparison: what ``compare`` returned.
        baseline: the controller that the others are held against.
        at: number of evaluations; the budget unless given.
        measure: one of :data:`nasworkbench.comparison.MEASURES`.

    Returns:
        The columns ``controller``, ``baseline``, ``evaluations``, ``measure``, ``difference``
        (controller minus baseline), ``low`` and ``high`` (its 95 % bootstrap interval over the
        paired seeds), ``seeds`` and ``judgement`` (``better``, ``worse``,
        ``not distinguishable`` or ``too few to compare``).

    Raises:
        SettingsError: an unknown baseline or measure, or a number beyond the budget.
    """
    choice("measure", measure, MEASURES)
    at = comparison.budget if at is None else at
    seeds, more_is_better = len({run.seed for run in comparison.runs}), MEASURES[measure][1]
    comparison.verdict(baseline, baseline, at, measure)  # raises if there is no such baseline
    rows = []
    for name in comparison.controllers:
        if name == baseline:
            continue
        verdict = comparison.verdict(name, baseline, at, measure)
        difference, low, high = positions([verdict.difference, verdict.low, verdict.high])
        judgement = verdict.conclusion or ""
        if judgement.endswith(" was better"):
            judgement = "better" if (difference > 0) == more_is_better else "worse"
        rows.append((name, baseline, at, measure, difference, low, high, seeds, judgement))
    names = ["controller", "baseline", "evaluations", "measure", "difference", "low", "high"]
    frame = pandas.DataFrame(rows, columns=[*names, "seeds", "judgement"])
    ascending = not more_is_better
    return frame.sort_values("difference", ascending=ascending, kind="stable", ignore_index=True)


def draw_verdicts(rows: pandas.DataFrame, ax: Axes, title: str = "") -> Axes:
    """Draw :func:`verdict_rows`: a dot and its interval per controller, the baseline a line at 0.

    Filled dots are decided: the interval leaves out 0, and there are seeds enough. Which way is
    better is written on the axis.
    """
    if rows.empty:
        styled(ax, "", "", title)
        say(ax, "no controller but the baseline")
        return ax
    first = rows.iloc[0]
    words, more_is_better = MEASURES[first["measure"]]
    way = "further right is better →" if more_is_better else "← further left is better"
    several = f"{first['seeds']} paired seeds, bars: 95 % intervals"
    seeds = several if first["seeds"] > 1 else "one seed, which decides nothing"
    difference = f"{words}: difference from {first['baseline']}"
    counts = f"after {first['evaluations']:,} evaluations, {seeds}"
    styled(ax, f"{difference}\n{counts}\n{way}", "", title, grid="x")
    ax.axvline(0.0, color=BASELINE, linewidth=1.8, zorder=1)
    styles = {"better": (BLUE, "o", BLUE), "worse": (BASELINE, "X", BASELINE)}
    largest = rows["difference"].abs().max() or 1.0
    digits = max(0, 2 - math.floor(math.log10(largest)))  # three that count
    for height, row in enumerate(rows.to_dict("records")):
        colour, marker, face = styles.get(row["judgement"], (FAINT, "o", "white"))
        ax.plot([row["low"], row["high"]], [height] * 2, color=colour, linewidth=2.2)
        ax.plot(
            [row["difference"]], [height], marker, color=colour, markerfacecolor=face, markersize=8
        )
        number = f"{row['difference']:+.{digits}f}".replace("-", "−")
        for points, text, side in ((52, number, "right"), (58, row["judgement"], "left")):
            at, style = (1.0, height), {"ha": side, "va": "center", "annotation_clip": False}
            note(ax, text, at, (points, 0), ("axes fraction", "data"), **style)
    ax.set_yticks(range(len(rows)), [textwrap.fill(name, 26) for name in rows["controller"]])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.4, -0.6)  # the best on top
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    return ax

"""The best cells of each search, trained again and measured on test data.

A dot is one network. Two things vary: which cells a search came up with, and the seed a cell is
trained with. The interval of a search's mean resamples both, cells first, then seeds inside each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy
import pandas
from matplotlib.axes import Axes

from ..comparison import bootstrap_means
from .style import BASELINE, CONTROLLER, FAINT, GREEN, INK, PURPLE, SMALL, legend, say, styled

COLUMNS = ("origin", "cell", "key", "reward", "seed", "status", "cause", "validation", "test")

#: Resamples of the bootstrap: this project's choice.
RESAMPLES = 2000

#: With more cells than this only the searches are named, not each cell.
MOST_NAMED = 40

#: Colour and marker of each search; further ones take turns.
STYLES = {"controller": (CONTROLLER, "o"), "random": (BASELINE, "s")}


def retrained_rows(retrainings: Iterable[dict[str, Any]]) -> pandas.DataFrame:
    """One row per retrained network, from ``store.retrainings()``.

    Returns:
        The columns ``origin`` (which search found the cell), ``cell`` (1 is that search's best by
        reward), ``key``, ``reward`` (in the search), ``seed``, ``status``, ``cause``,
        ``validation`` and ``test`` (accuracies of the retrained network; NaN if it failed),
        controller first.
    """
    frame = pandas.DataFrame(list(retrainings)).reindex(columns=list(COLUMNS))
    frame = frame.astype({name: float for name in ("reward", "validation", "test")})
    frame["test"] = frame["test"].where(frame["status"] == "ok")
    columns, ascending = ["origin", "reward", "key", "seed"], [True, False, True, True]
    frame = frame.sort_values(columns, ascending=ascending, ignore_index=True)
    ranks = frame.groupby("origin")["key"].transform(lambda keys: pandas.factorize(keys)[0] + 1)
    return frame.assign(cell=ranks)


def mean_interval(values: Iterable[Any]) -> tuple[float, float, float]:
    """Mean over all cells, and its 95 % bootstrap interval over cells and seeds: (mean, low, high).

    Args:
        values: a list or array of results per cell, one result per seed; cells without any are
            left out.

    Returns:
        Three NaN if there is no value at all.
    """
    cells = [numpy.asarray(cell, dtype=float) for cell in values if len(cell)]
    if not cells:
        return float("nan"), float("nan"), float("nan")
    means = bootstrap_means(cells, RESAMPLES, numpy.random.default_rng(0))
    low, high = numpy.quantile(means, [0.025, 0.975])
    return float(numpy.mean([cell.mean() for cell in cells])), float(low), float(high)


def draw_retrained(rows: pandas.DataFrame, ax: Axes) -> Axes:
    """Draw :func:`retrained_rows`: a line per cell, a dot per seed, a bar at the cell's mean.

    Below each search's cells is its mean with the bootstrap interval.
    """
    styled(ax, "test accuracy", "", grid="x")
    if not rows["test"].notna().any():
        say(ax, "no network has been retrained yet")
        return ax
    crowded = len(rows[["origin", "cell"]].drop_duplicates()) > MOST_NAMED
    size = 2 if crowded else 6
    ticks: list[tuple[float, str]] = []
    height = 0.0
    for number, (name, cells) in enumerate(rows.groupby("origin", sort=False)):
        colour, marker = STYLES.get(str(name), ((GREEN, PURPLE)[number % 2], "D"))
        results, top = [], height
        for cell, seeds in cells.groupby("cell", sort=True):
            tests = seeds["test"].dropna().to_numpy(dtype=float)
            if not crowded:
                ticks.append((height, f"{name} {cell}  {seeds['key'].iloc[0][:8]}"))
            ax.plot(
                tests, [height] * len(tests), marker, color=colour, alpha=0.6, markersize=size,
                markeredgewidth=0, label="_seeds",
            )  # fmt: skip
            if len(tests) > 1:  # the mean of one is the dot itself
                ax.plot(tests.mean(), height, "|", color=INK, markersize=2 * size, label="_mean")
            results.append(tests)
            height += 1
        mean, low, high = mean_interval(results)
        if not numpy.isnan(mean):
            ticks.append((height, f"{name}: mean"))
            ax.fill_betweenx([top - 0.4, height], low, high, color=colour, alpha=0.12, linewidth=0)
            ax.errorbar(
                [mean], [height], xerr=[[max(mean - low, 0)], [max(high - mean, 0)]], fmt=marker,
                color=colour, markersize=8, capsize=5, linewidth=2.2,
                label=f"{name}: mean {mean:.4f} ({low:.4f} to {high:.4f})",
            )  # fmt: skip
        height += 1.6
    ax.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    ax.tick_params(axis="y", length=0, labelsize=SMALL)
    ax.set_ylim(height - 1.0, -0.8)  # the controller's best cell on top
    ax.spines["left"].set_visible(False)
    legend(ax)
    ax.text(
        1.0, 1.01, "dot: one seed   |: mean of the cell", transform=ax.transAxes,
        ha="right", va="bottom", fontsize=SMALL, color=FAINT,
    )  # fmt: skip
    return ax

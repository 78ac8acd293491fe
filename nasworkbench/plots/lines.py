"""Lines with bands, told apart in black and white too, and named at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import pandas
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, LogLocator, NullFormatter
from scipy.optimize import isotonic_regression

from .style import BASELINE, BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, SMALL, positions

COLOURS = (BLUE, GREEN, PURPLE, ORANGE, INK, SKY, FAINT)
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.2)), (0, (7, 2, 1.5, 2)))
MARKERS = ("o", "^", "D", "v", "P", "*", "X", "<", "h", ">")
BASELINE_MARKERS = ("s", "p", "H", "d")


def line_styles(names: Sequence[str], baselines: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """Colour, dashes and marker of each controller; no two controllers share all three."""
    if baselines is None:
        baselines = [name for name in names if name.lower().startswith("random")]
    others = [name for name in names if name not in baselines]
    theirs = [name for name in names if name in baselines]
    styles = {}
    for group, colours, dashes, markers, layer in (
        (others, COLOURS, DASHES, MARKERS, 3),
        (theirs, (BASELINE,), (*DASHES[1:], DASHES[0]), BASELINE_MARKERS, 4),
    ):
        for number, name in enumerate(group):
            marker = markers[number % len(markers)]
            styles[name] = {
                "color": colours[number % len(colours)], "linestyle": dashes[number % len(dashes)],
                "linewidth": 1.8, "marker": marker, "markersize": 8 if marker == "*" else 6,
                "markeredgewidth": 0, "zorder": layer,
            }  # fmt: skip
    return styles


def draw_lines(
    rows: pandas.DataFrame,
    ax: Axes,
    x: str,
    baselines: Sequence[str] | None,
    logarithmic: bool,
    x_logarithmic: bool = True,
) -> None:
    """A line and a band per controller over the column ``x``, named at their ends.

    Args:
        rows: with the columns ``controller``, ``mean``, ``low`` and ``high``.
        ax: what to draw on.
        x: the column along the axis.
        baselines: names that are drawn in the baseline's colour; None: as they begin with "random".
        logarithmic, x_logarithmic: the scales of the means' axis, and of that along ``x``.
    """
    names = list(dict.fromkeys(rows["controller"]))
    styles, ends = line_styles(names, baselines), {}
    logarithmic = logarithmic and bool((positions(rows["mean"]) > 0).any())  # else all of it is 0
    ax.set_xscale("log" if x_logarithmic else "linear")
    ax.set_yscale("log" if logarithmic else "linear")
    for number, name in enumerate(names):
        line, style = rows[rows["controller"] == name], styles[name]
        at, mean, low, high = (positions(line[column]) for column in (x, "mean", "low", "high"))
        alpha = max(0.06, 0.2 - 0.02 * len(names))
        ax.fill_between(at, low, high, color=style["color"], alpha=alpha, linewidth=0)
        gap = max(1, len(at) // 7)
        first = number * gap // len(names)  # markers of equal lines do not hide each other
        ax.plot(at, mean, **style, markevery=(min(first, len(at) - 1), gap), label=name)
        ends[name] = (at[-1], mean[-1])
    if x_logarithmic:
        at = positions(rows[x])
        single = at.min() == at.max()
        _ticks(ax.xaxis, FixedLocator(at[:1].tolist()) if single else LogLocator(subs=_steps(at)))
        ax.set_xlim(at.min() / 1.05, at.max() * (1.05 if single else 1.0))
    else:
        ax.set_xlim(rows[x].min(), rows[x].max())
    if logarithmic:
        _limits(rows, ax)
    _name_ends(ax, ends, styles)


def _limits(rows: pandas.DataFrame, ax: Axes) -> None:
    """A logarithmic axis as high as the data; whole numbers instead of powers of ten."""
    values = positions(rows[["mean", "low", "high"]]).flatten()
    means, positive = positions(rows["mean"]), values[values > 0]
    if (means == 0).any():
        # the scale's last part is linear, from the smallest mean above 0 down to 0
        least, most = means[means > 0].min(), positive.max() * 1.15
        ax.set_yscale("symlog", linthresh=least, linscale=0.3)
        ticks = LogLocator(subs=_steps(positive)).tick_values(least, most)
        _ticks(ax.yaxis, FixedLocator([0.0, *ticks[ticks >= least]]))
        ax.set_ylim(-0.2 * least, most)
    else:
        _ticks(ax.yaxis, LogLocator(subs=_steps(positive)))
        ax.set_ylim(positive.min() / 1.15, positive.max() * 1.15)


def _ticks(axis: Axis, locator: Locator) -> None:
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def _steps(values: numpy.ndarray) -> Sequence[float]:
    """Where a logarithmic scale has ticks between 1 and 10."""
    return (1.0, 2.0, 5.0) if values.max() < 1e4 * values.min() else (1.0,)


def _name_ends(
    ax: Axes, ends: dict[str, tuple[float, float]], styles: dict[str, dict[str, Any]]
) -> None:
    """A legend to the right, each name at the height of its line's end or as near as there is
    space. A faint leader joins the two where the line reaches that far."""
    bottom, top = ax.get_ylim()
    edges = ax.transData.transform([(1, bottom), (1, top)])[:, 1]
    heights = {
        name: numpy.interp(ax.transData.transform((at, min(max(y, bottom), top)))[1], edges, (0, 1))
        for name, (at, y) in ends.items()
    }
    order = sorted(heights, key=lambda name: heights[name])
    inches = ax.bbox.height / ax.figure.dpi
    apart = spread([heights[name] for name in order], 1.4 * SMALL / 72 / inches)
    for name, height in zip(order, apart, strict=True):
        aside: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False}
        ax.plot([1.03, 1.06, 1.09], [height] * 3, **styles[name], markevery=[1], **aside)
        ax.text(1.105, height, name, va="center", fontsize=SMALL, color=INK, **aside)
        if ends[name][0] == ax.get_xlim()[1]:
            ax.plot([1.0, 1.025], [heights[name], height], color="#999999", linewidth=0.8, **aside)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Sorted places, moved as little as possible so that neighbours are a gap apart, in [0, 1]."""
    distances = gap * numpy.arange(len(places))  # from the first, if all are as close as may be
    moved = isotonic_regression(numpy.array(places) - distances).x
    return (moved.clip(0.0, max(1.0 - distances[-1], 0.0)) + distances).tolist()

"""Recorded experiments over many seeds, with a reader's own few seeds over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes

from ..checks import choice
from ..recordings import Experiment
from .lines import draw_lines, line_styles
from .style import styled


def draw_experiment(
    experiment: Experiment,
    ax: Axes,
    names: Iterable[str] | None = None,
    others: Mapping[str, Any] | None = None,
    title: str = "",
) -> Axes:
    """Draw a recorded experiment: a line with the 95 % band of its mean for each variant.

    A measure of which less is better, as a rank, has a logarithmic axis, and so have its points.

    Args:
        experiment: from :func:`nasworkbench.recordings.experiment`.
        ax: what to draw on.
        names: variants; None: all.
        others: a reader's own measurements, laid over as thin lines in the variant's colour: by
            variant an array of shape (seeds, points), which may end before the last point.
        title: of the axes.

    Raises:
        SettingsError: there is no such variant, or it is not drawn.
    """
    rows = experiment.rows(names)
    logarithmic = not experiment.about["more_is_better"]
    styled(ax, experiment.about["x"], experiment.about["measure"], title)
    draw_lines(rows, ax, "at", None, logarithmic, logarithmic)
    styles = line_styles(list(dict.fromkeys(rows["controller"])), None)
    for name, values in (others or {}).items():
        choice("others: a variant that is drawn", name, styles)
        for seed in values:
            points = experiment.points[: len(seed)]
            ax.plot(points, seed, color=styles[name]["color"], linewidth=0.7, alpha=0.8)
    return ax

"""The report's figures, as PNG inside of the page; None where there is nothing to draw."""

from __future__ import annotations

import base64

import numpy
import pandas
from matplotlib.figure import Figure

from .. import plots
from ..errors import StoreError
from .contents import Contents

#: Windows of the operations' figure; with about so many there is room for numbers in it.
WINDOWS = 12


def _picture(figure: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(plots.png(figure)).decode()


def reward_figure(search: Contents, label: str, baseline: Contents | None) -> str | None:
    if search.trials.empty:
        return None
    figure, ax = plots.figure()
    other = None if baseline is None else plots.reward_rows(baseline.trials)
    rows = plots.reward_rows(search.trials)
    plots.draw_rewards(rows, ax, label, other, measure=search.history.reward_label)
    return _picture(figure)


def operation_figure(search: Contents) -> str | None:
    """Both roles, one above the other: two cells of a genotype want different operations."""
    window = max(10, len(search.trials) // WINDOWS)
    settings = search.history.meta("space")["settings"]
    tied = settings.get("tied", False)
    roles = ("normal",) if tied else ("normal", "reduction")
    tables = [
        plots.operation_rows(search.trials, window, role, settings.get("operations"))
        for role in roles
    ]
    if not any(rows["count"].sum() for rows in tables):
        return None
    figure, axes = plots.figure(rows=len(roles), size=(8.0, 4.2 * len(roles)))
    for ax, role, rows in zip(numpy.ravel(axes), roles, tables, strict=True):
        plots.draw_operations(rows, ax)
        ax.set_title("both cells" if tied else f"{role} cell", loc="left", fontsize=11)
    return _picture(figure)


def update_figure(search: Contents) -> str | None:
    updates = plots.update_rows(search.updates)
    if updates.empty:
        return None
    figure, axes = plots.figure(columns=3, size=(11.0, 3.4))
    plots.draw_updates(updates, axes, _even_entropy(search))
    return _picture(figure)


def _even_entropy(search: Contents) -> float | None:
    """Of the library's spaces; else unknown."""
    try:
        return plots.even_entropy(d.choices for d in search.history.space.decisions)
    except StoreError:
        return None


def retrained_figure(rows: pandas.DataFrame) -> str | None:
    if not rows["test"].notna().any():
        return None
    lines = rows.groupby(["origin", "key"]).ngroups + rows["origin"].nunique()
    figure, ax = plots.figure(size=(8.0, min(1.6 + 0.32 * lines, 14.0)))
    plots.draw_retrained(rows, ax)
    return _picture(figure)

"""The report's figures, as PNG inside of the page; None where there is nothing to draw."""

from __future__ import annotations

import base64
from typing import Any

import numpy
import pandas

from .. import plots
from ..errors import WorkbenchError
from ..search.rebuilding import build_space
from .best import reads_table, tied

#: Windows of the operations' figure; with about so many there is room for numbers in it.
WINDOWS = 12


def _picture(made: Any) -> str:
    return "data:image/png;base64," + base64.b64encode(plots.png(made)).decode()


def reward_figure(
    search: dict[str, Any], label: str, baseline: dict[str, Any] | None
) -> str | None:
    if search["trials"].empty:
        return None
    made, ax = plots.figure()
    other = None if baseline is None else plots.reward_rows(baseline["trials"])
    settings = (search["meta"]["evaluator"] or {}).get("settings", {})
    accuracy = settings.get("reward") == "accuracy" or reads_table(search)
    measure = "reward (validation accuracy)" if accuracy else "reward"
    rows = plots.reward_rows(search["trials"])
    plots.draw_rewards(rows, ax, label, other, measure=measure)
    return _picture(made)


def operation_figure(search: dict[str, Any]) -> str | None:
    """Both roles, one above the other: two cells of a genotype want different operations."""
    window = max(10, len(search["trials"]) // WINDOWS)
    settings = (search["meta"]["space"] or {}).get("settings", {})
    roles = ("normal",) if tied(search) else ("normal", "reduction")
    tables = [
        plots.operation_rows(search["trials"], window, role, settings.get("operations"))
        for role in roles
    ]
    if not any(rows["count"].sum() for rows in tables):
        return None
    made, axes = plots.figure(rows=len(roles), size=(8.0, 4.2 * len(roles)))
    for ax, role, rows in zip(numpy.ravel(axes), roles, tables, strict=True):
        plots.draw_operations(rows, ax)
        ax.set_title("both cells" if tied(search) else f"{role} cell", loc="left", fontsize=11)
    return _picture(made)


def update_figure(search: dict[str, Any]) -> str | None:
    if search["updates"].empty:
        return None
    made, axes = plots.figure(columns=3, size=(11.0, 3.4))
    plots.draw_updates(search["updates"], axes, _even_entropy(search["meta"]["space"]))
    return _picture(made)


def _even_entropy(space: dict[str, Any] | None) -> float | None:
    """Of the library's spaces, whose settings say what their decisions are; else unknown."""
    try:
        return plots.even_entropy(d.choices for d in build_space(space or {}).decisions)
    except (WorkbenchError, KeyError, TypeError):
        return None


def retrained_figure(judged: pandas.DataFrame) -> str | None:
    if not judged["test"].notna().any():
        return None
    lines = judged.groupby(["origin", "key"]).ngroups + judged["origin"].nunique()
    made, ax = plots.figure(size=(8.0, min(1.6 + 0.32 * lines, 14.0)))
    plots.draw_retrained(judged, ax)
    return _picture(made)

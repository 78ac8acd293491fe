"""The report's figures, as WebP inside of the page; None where there is nothing to draw."""

from __future__ import annotations

import base64
import io

import numpy
import pandas
from matplotlib.figure import Figure
from PIL import Image

from .. import plots
from ..errors import StoreError
from .contents import Contents

#: Windows of the operations' figure; with about so many there is room for numbers in it.
WINDOWS = 12


def _picture(figure: Figure) -> str:
    """All colours are kept, as in the PNG, in a third of its bytes."""
    small = io.BytesIO()
    picture = Image.open(io.BytesIO(plots.png(figure))).convert("RGB")
    picture.save(small, "webp", lossless=True, method=2)
    return "data:image/webp;base64," + base64.b64encode(small.getvalue()).decode()


def reward_figure(search: Contents, label: str, baseline: Contents | None) -> str | None:
    if search.trials.empty:
        return None
    figure, ax = plots.figure()
    other = None if baseline is None else plots.reward_rows(baseline.trials)
    rows = plots.reward_rows(search.trials)
    plots.draw_rewards(rows, ax, label, other, measure=search.history.reward_label)
    return _picture(figure)


#: Titles of the operations' figure by what the space calls its cells.
CELLS = {"normal": "normal cell", "reduction": "reduction cell", "both": "both cells"}


def operation_figure(search: Contents) -> str | None:
    """One picture below the other for each kind of cell: two cells want different operations."""
    try:
        space = search.history.space
    except StoreError:  # a space of the user's own
        return None
    operations = [decision for decision in space.decisions if decision.kind == "operation"]
    roles = list(dict.fromkeys(decision.cell for decision in operations))
    if not roles or search.trials.empty:
        return None
    window = max(10, len(search.trials) // WINDOWS)
    figure, axes = plots.figure(rows=len(roles), size=(8.0, 4.2 * len(roles)))
    for ax, role in zip(numpy.ravel(axes), roles, strict=True):
        plots.draw_operations(plots.operation_rows(search.trials, space, window, role), ax)
        ax.set_title(CELLS.get(role, role), loc="left", fontsize=11)
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

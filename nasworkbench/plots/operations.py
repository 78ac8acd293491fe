"""What a search proposes as it goes on: how often each operation, hidden state or combination.

A controller that learns turns its even distribution into a preference; random search never does.
All decisions of all proposals count, also those on blocks that do not reach a cell's output: the
controller decided on each of them.
"""

from __future__ import annotations

import numpy
import pandas
from matplotlib.axes import Axes

from ..checks import choice, whole
from ..spaces import Space
from .style import INK, colour_bar, say, styled

#: Up to so many columns leave space to write the share into each field.
MOST_WRITTEN = 16


def operation_rows(
    trials: pandas.DataFrame,
    space: Space,
    window: int = 20,
    role: str | None = None,
    kind: str = "operation",
) -> pandas.DataFrame:
    """How often each operation was proposed, a row per window of trials and operation.

    Args:
        trials: what ``Search.trials()`` returns.
        space: what was searched; any space with decisions on operations.
        window: trials per window, in the order of completion; the last window takes the remainder
            too.
        role: the cell whose decisions count, as the space's decisions name it: ``"normal"``,
            ``"reduction"``, ``"both"`` in a tied space, ``"network"``; None counts all.
        kind: of the decisions that count: any that the space has, as ``hidden_state``,
            ``combination`` or ``wiring``. A space without operations has no row by default.

    Returns:
        The columns ``first`` and ``last`` (finished trials, counted from 1, of the window),
        ``choice``, ``count`` and ``frequency`` (of all operations proposed in the window), for all
        operations that the space has, in its order.

    Raises:
        SettingsError: an unknown kind or role, or a window that is not a whole number from 1.
    """
    window = whole("window", window)
    choice("kind", kind, dict.fromkeys(["operation", *(d.kind for d in space.decisions)]))
    if role is not None:
        choice("role", role, dict.fromkeys(decision.cell for decision in space.decisions))
    counted = [
        (place, decision.labels)
        for place, decision in enumerate(space.decisions)
        if decision.kind == kind and role in (None, decision.cell)
    ]
    names = list(dict.fromkeys(name for _, labels in counted for name in labels))
    sequences = trials.sort_values("completion_order", kind="stable")["tokens"].tolist()
    tokens = numpy.array(sequences, dtype=int).reshape(len(sequences), len(space.decisions))
    numbers = numpy.empty((len(tokens), len(counted)), dtype=int)  # of the names
    for column, (place, labels) in enumerate(counted):
        numbers[:, column] = numpy.array([names.index(label) for label in labels])[tokens[:, place]]
    windows = max(1, len(tokens) // window) if len(tokens) else 0
    rows = []
    for first in range(0, windows * window, window):
        last = len(tokens) if first == (windows - 1) * window else first + window
        counts = numpy.bincount(numbers[first:last].ravel(), minlength=len(names))
        shares = counts / max(1, counts.sum())
        for name, count, share in zip(names, counts.tolist(), shares.tolist(), strict=True):
            rows.append((first + 1, last, name, count, share))
    return pandas.DataFrame(rows, columns=["first", "last", "choice", "count", "frequency"])


def draw_operations(rows: pandas.DataFrame, ax: Axes, kind: str = "operation") -> Axes:
    """Draw :func:`operation_rows` as a heat map: a row per choice, a column per window.

    The bar at the side carries a mark at the even share, which random search would have.
    """
    what = kind.replace("_", " ")
    styled(ax, "finished trials", "", grid=None)
    if rows.empty:
        say(ax, f"no {what} has been proposed yet")
        return ax
    table = rows.pivot(index="choice", columns="first", values="frequency")
    table = table.reindex(list(dict.fromkeys(rows["choice"])))  # pivot sorts by name
    shares = table.to_numpy(dtype=float)
    edges = numpy.array([*(rows["first"].drop_duplicates() - 0.5), rows["last"].max() + 0.5])
    mesh = ax.pcolormesh(
        edges, numpy.arange(len(table) + 1), shares, cmap="Blues", vmin=0.0, edgecolors="white",
        linewidth=0.5,
    )  # fmt: skip
    ax.set_yticks(numpy.arange(len(table)) + 0.5, table.index)
    ax.invert_yaxis()  # the first choice on top
    ax.tick_params(axis="y", length=0)
    if shares.shape[1] <= MOST_WRITTEN:
        middles, dark = (edges[:-1] + edges[1:]) / 2, 0.7 * shares.max()
        for (row, column), share in numpy.ndenumerate(shares):
            ax.text(
                middles[column], row + 0.5, f"{100 * share:.0f}", ha="center", va="center",
                fontsize=8, color="white" if share > dark else INK,
            )  # fmt: skip
    bar = colour_bar(ax, mesh, f"share of all proposed {what}s")
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    bar.ax.axhline(1 / len(table), color=INK, linewidth=2)
    return ax

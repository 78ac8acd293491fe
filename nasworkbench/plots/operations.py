"""What a search proposes as it goes on: how often each operation, hidden state or combination.

A controller that learns turns its even distribution into a preference; random search never does.
All blocks of all proposals count, also those that do not reach a cell's output: the controller
decided on each of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy
import pandas
from matplotlib.axes import Axes

from ..errors import SettingsError, listed
from ..genotype import COMBINATIONS, FORMAT, OPERATIONS
from .rewards import checked_window
from .style import INK, SMALL, TEXT, say, styled

ROLES = ("normal", "reduction")
KINDS = ("operation", "hidden_state", "combination")

#: Up to so many columns there is room to write the share into each field.
MOST_WRITTEN = 16


def operation_rows(
    trials: pandas.DataFrame,
    window: int = 20,
    role: str | None = None,
    choices: Sequence[str] | None = None,
) -> pandas.DataFrame:
    """How often each operation was proposed, a row per window of trials and operation.

    Args:
        trials: what ``Search.trials()`` returns.
        window: trials per window, in the order in which they ended; the last window takes the
            remainder too.
        role: ``"normal"`` or ``"reduction"``; None counts both cells.
        choices: the operations to list, as the space has them; None: those that occur.

    Returns:
        The columns ``first`` and ``last`` (finished trials, counted from 1, of the window),
        ``choice``, ``count`` and ``frequency`` (of all operations proposed in the window).

    Raises:
        SettingsError: an unknown role or a window that is not a whole number from 1.
    """
    return choice_rows(trials, "operation", window, role, choices)


def choice_rows(
    trials: pandas.DataFrame,
    kind: str,
    window: int = 20,
    role: str | None = None,
    choices: Sequence[str] | None = None,
) -> pandas.DataFrame:
    """:func:`operation_rows` for any kind of decision: ``operation``, ``hidden_state`` or
    ``combination``."""
    checked_window(window)
    if kind not in KINDS:
        raise SettingsError(f"kind must be one of {listed(KINDS)}, got {kind!r}")
    if role is not None and role not in ROLES:
        raise SettingsError(f"role must be one of {listed(ROLES)}, or None for both; got {role!r}")
    texts = trials.sort_values("place", kind="stable")["genotype"].tolist()
    counts = [Counter(_choices(text, kind, ROLES if role is None else (role,))) for text in texts]
    found = set().union(*counts)
    names = list(choices) if choices is not None else _ordered(found)
    rows = []
    starts = range(0, max(1, len(texts) // window) * window, window) if texts else range(0)
    for start in starts:
        end = len(texts) if start == starts[-1] else start + window
        together = sum(counts[start:end], Counter())
        total = together.total()
        for name in names:
            share = together[name] / total if total else 0.0
            rows.append((start + 1, end, name, together[name], share))
    return pandas.DataFrame(rows, columns=["first", "last", "choice", "count", "frequency"])


def draw_operations(rows: pandas.DataFrame, ax: Axes, kind: str = "operation") -> Axes:
    """Draw :func:`operation_rows` as a heat map: a row per choice, a column per window.

    The bar at the side carries a mark at the even share, which random search would have.
    """
    what = kind.replace("_", " ")
    styled(ax, "finished trials", "")
    ax.grid(False)
    if rows.empty:
        say(ax, f"no {what} has been proposed yet")
        return ax
    table = rows.pivot(index="choice", columns="first", values="frequency")
    table = table.reindex(list(dict.fromkeys(rows["choice"])))  # pivot sorts by name
    shares = table.to_numpy(dtype=float)
    edges = [*(rows["first"].drop_duplicates() - 0.5), rows["last"].max() + 0.5]
    mesh = ax.pcolormesh(
        edges, numpy.arange(len(table) + 1), shares, cmap="Blues", vmin=0.0, edgecolors="white",
        linewidth=0.5,
    )  # fmt: skip
    ax.set_yticks(numpy.arange(len(table)) + 0.5, table.index)
    ax.invert_yaxis()  # the first choice on top
    ax.tick_params(axis="y", length=0)
    if shares.shape[1] <= MOST_WRITTEN:
        _write_shares(ax, shares, edges)
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.set_label(f"share of all proposed {what}s", fontsize=TEXT, color=INK)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    bar.ax.tick_params(labelsize=SMALL, colors=INK)
    bar.ax.axhline(1 / len(table), color=INK, linewidth=2)
    return ax


def _write_shares(ax: Axes, shares: numpy.ndarray, edges: Sequence[float]) -> None:
    dark = shares.max() * 0.7  # a field above this is dark, and its text white
    for column in range(shares.shape[1]):
        middle = (edges[column] + edges[column + 1]) / 2
        for row, share in enumerate(shares[:, column]):
            ax.text(
                middle, row + 0.5, f"{100 * share:.0f}", ha="center", va="center",
                fontsize=8, color="white" if share > dark else INK,
            )  # fmt: skip


def _choices(text: str, kind: str, roles: Sequence[str]) -> Iterator[str]:
    """All choices of one kind in a genotype's JSON; none in that of another kind of space.

    Reads the text itself: the store wrote it from a checked genotype, and to check thousands of
    them again would take longer than to draw them.
    """
    record: dict[str, Any] = json.loads(text)
    if record.get("format") != FORMAT:
        return
    for role in roles:
        cell = record[role]
        for block in cell["blocks"]:
            if kind == "combination":
                yield block["combine"]
                continue
            for side in ("left", "right"):
                if kind == "operation":
                    yield block[f"{side}_op"]
                else:
                    yield _state_name(block[side], cell["inputs"])


def _state_name(state: int, inputs: int) -> str:
    if state >= inputs:
        return f"block {state - inputs}"
    back = inputs - 1 - state
    return f"h[i-{back}]" if back else "h[i]"


def _ordered(found: set[str]) -> list[str]:
    """In the order of the house's vocabulary; hidden states from old to new."""
    known = [*OPERATIONS, *COMBINATIONS]
    states = sorted(found - set(known), key=lambda n: (n.startswith("block"), n == "h[i]", n))
    return [name for name in known if name in found] + states

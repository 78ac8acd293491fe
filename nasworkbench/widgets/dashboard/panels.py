"""What the dashboard's tabs show of a watched search: pictures, each with the same in words, and
tables as HTML. Functions of a :class:`DashboardState`, without widgets. :class:`Pace` says how often."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import pandas
from matplotlib.figure import Figure

from ... import plots
from ...drawing import draw
from ...errors import WorkbenchError
from ...plots.rewards import WINDOW
from ...tables import TableEvaluator
from ..common import escaped
from .state import DashboardState

#: Windows in the figure of the operations; with about so many there is room for numbers in it.
WINDOWS = 12

LAST_FAILURES = 5

DPI = 100  #: of a picture; a finer one takes half as long again

Picture = tuple[bytes | None, str]  #: PNG, and what it says


def rewards(watch: DashboardState) -> Picture:
    """Rewards, best so far and running mean, beside the baseline's."""
    made, ax = plots.figure()
    mine, theirs = _draw_rewards(watch, ax)
    words = [
        f"{name}: best reward {rows['best'].iloc[-1]:.4f}, mean of the last {WINDOW} trials "
        f"{rows['mean'].iloc[-1]:.4f}."
        for name, rows in ((watch.name, mine), ("The baseline", theirs))
        if rows is not None and rows["reward"].notna().any()
    ]
    return plots.png(made, DPI), " ".join(words)


def _draw_rewards(
    watch: DashboardState, ax: Any
) -> tuple[pandas.DataFrame, pandas.DataFrame | None]:
    mine, theirs = plots.reward_rows(watch.mine.frame()), None
    if watch.theirs is not None:
        watch.theirs.read()
        theirs = plots.reward_rows(watch.theirs.frame())
    evaluator = watch.search.evaluator
    accuracy = isinstance(evaluator, TableEvaluator) or (
        getattr(evaluator, "reward", None) == "accuracy"
    )
    measure = "reward (validation accuracy)" if accuracy else "reward"
    plots.draw_rewards(mine, ax, watch.name, theirs, measure=measure)
    return mine, theirs


def controller(watch: DashboardState) -> Picture:
    """Entropy, clip fraction and reward by update; no picture of a controller that makes none."""
    if not watch.learns:
        return None, f"{watch.name} makes no updates: it has no entropy and clips nothing."
    made, axes = plots.figure(columns=3, size=(10.0, 3.4))
    _draw_updates(watch, axes)
    if not watch.updates:
        return plots.png(made, DPI), f"{watch.name} has made no update yet."
    last = watch.updates[-1]
    said = f"{watch.name} after {last['update']:,} update{'s' if last['update'] > 1 else ''}"
    measures = {"entropy (nats per decision)": "entropy", "clip fraction": "clip_fraction"}
    words = [f"{word} {last[key]:.3f}" for word, key in measures.items() if key in last]
    return plots.png(made, DPI), f"{said}{': ' if words else ''}{', '.join(words)}."


def _draw_updates(watch: DashboardState, axes: Any) -> None:
    decisions = getattr(watch.search.space, "decisions", ())
    even = plots.even_entropy(decision.choices for decision in decisions) if decisions else None
    plots.draw_updates(plots.update_rows(watch.updates), axes, even)


def operations(watch: DashboardState) -> Picture:
    """Shares of the operations among the proposals, both cells together, of a ``CellSpace``."""
    made, ax = plots.figure()
    window = max(10, -(-watch.done // WINDOWS))
    names = list(watch.search.space.operations)
    rows = plots.operation_rows(watch.mine.frame(), window, None, names)
    plots.draw_operations(rows, ax)
    if rows.empty:
        return plots.png(made, DPI), ""
    last = rows[rows["first"] == rows["first"].max()].nlargest(3, "frequency")
    words = [
        f"{choice} ({100 * share:.0f} %)"
        for choice, share in zip(last["choice"], last["frequency"], strict=True)
    ]
    said = f"Both cells together. Most frequent of late: {', '.join(words)}."
    return plots.png(made, DPI), said


def cell(watch: DashboardState) -> Picture:
    """The genotype with the highest reward; no picture before a trial has succeeded, or of a
    genotype that cannot be drawn."""
    best = watch.best
    if best is None:
        return None, "No trial has succeeded yet."
    parts = [f"Trial {best['number']}", f"reward {best['reward']:.4f}"]
    parts += [f"{best['parameters']:,} parameters"] if best["parameters"] else []
    words = ", ".join([*parts, f"genotype {best['key']}"]) + "."
    try:
        genotype = watch.search.space.decode(tuple(json.loads(best["tokens"])))
        return draw(genotype).png(), words
    except WorkbenchError as error:
        return None, f"{words} No drawing: {error}"


def summary(watch: DashboardState) -> Figure:
    """Rewards, and below them what the controller's updates measured."""
    if not watch.learns:
        made, ax = plots.figure()
        _draw_rewards(watch, ax)
        return made
    made, axes = plots.figure(2, 3, size=(10.0, 7.6))
    grid = axes[0, 0].get_gridspec()
    for ax in axes[0]:
        ax.remove()
    _draw_rewards(watch, made.add_subplot(grid[0, :]))
    _draw_updates(watch, axes[1])
    return made


def workers(watch: DashboardState) -> str:
    """The workers' table."""
    rows = watch.workers()
    if not rows:
        return "No worker: the search does not run here."
    return _table(("worker", "doing", "since"), rows)


def failures(watch: DashboardState) -> str:
    """How many trials failed and of what, and the causes of the last ones."""
    if not watch.failures:
        return "No trial has failed."
    counts = ", ".join(f"{count:,} {status}" for status, count in watch.failure_counts())
    last = [
        (str(row["number"]), row["status"], row["cause"] or "")
        for row in watch.failures[: -LAST_FAILURES - 1 : -1]
    ]
    which = "the last one first" if len(last) == len(watch.failures) else f"the last {len(last)}"
    many = f"{len(watch.failures):,} of {watch.done:,} trials failed ({escaped(counts)}); {which}:"
    return many + _table(("trial", "status", "cause"), last)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "".join(f"<{tag}>{escaped(text)}</{tag}>" for text in cells)

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{line(head, 'th')}</tr>{body}</table>"


class Pace:
    """When the next picture may be drawn: pictures take a share of the time, and no more.

    A picture takes the interpreter a tenth of a second or more, and the search waits meanwhile. The
    first ones are lent, so that a search of a few seconds is seen as well.

    Args:
        share: of the time that pictures may take.
        loan: seconds that may be spent at once.
        clock: seconds, only going forward.
    """

    def __init__(
        self, share: float, loan: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.share, self.loan, self.clock = share, loan, clock
        self._credit, self._then = loan, clock()

    def due(self) -> bool:
        now = self.clock()
        self._credit = min(self.loan, self._credit + self.share * (now - self._then))
        self._then = now
        return self._credit > 0

    def spent(self, seconds: float) -> None:
        """A picture took so long."""
        self._credit -= seconds

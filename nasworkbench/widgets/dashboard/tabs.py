"""The dashboard's tabs: words, and pictures of the same reading of a search; no widgets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from ... import plots
from ...drawing import draw
from ...plots.rewards import WINDOW
from ..common import escaped, image, table
from .state import DashboardState

#: Windows in the figure of the operations; with about so many, numbers fit into it.
WINDOWS = 12

LAST_FAILURES = 5

DPI = 100  #: of a picture; a finer one takes half as long again


@dataclass(frozen=True)
class Tab:
    """One of the dashboard's tabs.

    Args:
        words: what it says, as HTML.
        picture: its picture as HTML; None where there is nothing to draw.
        shows: what of the search a picture shows now: while that is the same, so is the picture.
    """

    words: Callable[[DashboardState], str]
    picture: Callable[[DashboardState], str | None] = lambda state: None
    shows: Callable[[DashboardState], str] = lambda state: f"the first {state.done:,} trials"


def plotted(draw: Callable[[DashboardState, Any], object], **layout: Any) -> Any:
    """A function that gives the picture of a figure, by one that draws on its axes."""

    def picture(state: DashboardState) -> str:
        fig, axes = plots.figure(**layout)
        draw(state, axes)
        width, height = DPI * fig.get_size_inches()  # said beforehand, so that nothing jumps
        style = f"width: {width:g}px; max-width: 100%; aspect-ratio: {width:g} / {height:g}"
        return image("png", plots.png(fig, DPI), plots.described(fig), style)

    return picture


def rewards(state: DashboardState) -> str:
    """Best reward and running mean, of the search and of the baseline."""
    sentences = []
    for name, run in ((state.run.history.name, state.run), ("The baseline", state.baseline)):
        if run is not None and run.best is not None:
            mean = run.trials["reward"].tail(WINDOW).mean()
            sentences.append(
                f"{name}: best reward {run.best.reward:.4f}, "
                f"mean of the last {WINDOW} trials {mean:.4f}."
            )
    return escaped(" ".join(sentences))


def _draw_rewards(state: DashboardState, ax: Any) -> None:
    history, theirs = state.run.history, state.baseline
    plots.draw_rewards(
        plots.reward_rows(state.run.trials),
        ax,
        history.name,
        None if theirs is None else plots.reward_rows(theirs.trials),
        measure=history.reward_label,
    )


def controller(state: DashboardState) -> str:
    """What the controller's last update measured."""
    name = escaped(state.run.history.name)
    if not state.learns:
        return f"{name} makes no updates: it has no entropy and clips nothing."
    if not state.updates:
        return f"{name} has made no update yet."
    last = state.updates[-1]
    measures = {"entropy (nats per decision)": "entropy", "clip fraction": "clip_fraction"}
    numbers = [f"{words} {last[key]:.3f}" for words, key in measures.items() if key in last]
    count = f"{last['update']:,} update{'s' if last['update'] > 1 else ''}"
    numbers += [f"the last one was {escaped(last['cause'])}"] if "cause" in last else []
    return f"{name} after {count}{': ' if numbers else ''}{', '.join(numbers)}."


def controller_picture(state: DashboardState) -> str | None:
    draw = plotted(_draw_updates, columns=3, size=(10.0, 3.4))
    return draw(state) if state.learns else None


def _draw_updates(state: DashboardState, axes: Any) -> None:
    even = plots.even_entropy(decision.choices for decision in state.search.space.decisions)
    plots.draw_updates(plots.update_rows(state.updates), axes, even)


def operations(state: DashboardState) -> str:
    """The operations that were proposed most often of late."""
    window = _window(state)
    late = state.run.trials.tail(window + state.done % window)  # the picture's last column
    rows = plots.operation_rows(late, state.search.space, window).nlargest(3, "frequency")
    if rows.empty:
        return ""
    pairs = zip(rows["choice"], rows["frequency"], strict=True)
    shares = [f"{choice} ({100 * share:.0f} %)" for choice, share in pairs]
    return f"All cells together. Most frequent of late: {escaped(', '.join(shares))}."


def _draw_operations(state: DashboardState, ax: Any) -> None:
    rows = plots.operation_rows(state.run.trials, state.search.space, _window(state))
    plots.draw_operations(rows, ax)


def _window(state: DashboardState) -> int:
    return max(10, -(-state.done // WINDOWS))


def best_cell(state: DashboardState) -> str:
    """The best trial, and why it is not drawn, where it cannot be."""
    best = state.run.best
    if best is None:
        return "No trial has succeeded yet."
    parameters = f", {best.parameters:,} parameters" if best.parameters else ""
    words = f"Trial {best.number}, reward {best.reward:.4f}{parameters}, genotype {best.key}."
    return escaped(words)


def best_cell_picture(state: DashboardState) -> str | None:
    best = getattr(state.run.best, "genotype", None)
    return best and image("png", draw(best).png(), str(best))


def workers(state: DashboardState) -> str:
    """The workers' table."""
    rows = state.workers()
    if not rows:
        return "No worker: the search does not run here."
    return table(rows, ("worker", "doing", "since"))


def failures(state: DashboardState) -> str:
    """How many trials failed and of what, and the causes of the last ones."""
    failed = state.run.failed
    if failed.empty:
        return "No trial has failed."
    counts = ", ".join(f"{n:,} {status}" for status, n in Counter(failed["status"]).most_common())
    last = failed[["number", "status", "cause"]].fillna("").tail(LAST_FAILURES)[::-1]
    which = "the last one first" if len(last) == len(failed) else f"the last {len(last)}"
    words = f"{len(failed):,} of {state.done:,} trials failed ({counts}); {which}:"
    return escaped(words) + table(last.to_numpy().tolist(), ("trial", "status", "cause"))


TABS = {
    "Rewards": Tab(rewards, plotted(_draw_rewards)),
    "Controller": Tab(
        controller, controller_picture, lambda state: f"the first {len(state.updates):,} updates"
    ),
    "Operations": Tab(operations, plotted(_draw_operations)),
    "Best cell": Tab(
        best_cell, best_cell_picture, lambda state: f"trial {getattr(state.run.best, 'number', '')}"
    ),
    "Workers": Tab(workers),
    "Failures": Tab(failures),
}


def summary(state: DashboardState) -> Figure:
    """Rewards, and below them what the controller's updates measured."""
    if not state.learns:
        fig, ax = plots.figure()
        _draw_rewards(state, ax)
        return fig
    fig, axes = plots.figure(2, 3, size=(10.0, 7.6))
    grid = axes[0, 0].get_gridspec()
    for ax in axes[0]:
        ax.remove()
    _draw_rewards(state, fig.add_subplot(grid[0, :]))
    _draw_updates(state, axes[1])
    return fig

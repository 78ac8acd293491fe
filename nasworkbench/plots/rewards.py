"""Rewards over the course of a search: every trial, the best so far, and the running mean.

The running mean says whether the controller has *learned* (what it proposes gets better), the best
so far says what the search has *found*. Random search's running mean is flat, and its best so far
rises all the same: only the two searches side by side tell learning from luck.
"""

from __future__ import annotations

from typing import Any

import pandas
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..checks import whole
from .style import BASELINE, CONTROLLER, legend, positions, say, styled

#: Trials in the running mean; 20 is one update of the paper's controller (A.2).
WINDOW = 20


def reward_rows(trials: pandas.DataFrame, window: int = WINDOW) -> pandas.DataFrame:
    """One row per finished trial, in the order in which they ended.

    Args:
        trials: what ``Search.trials()`` returns.
        window: number of trials that the running mean looks back on, this one included.

    Returns:
        The columns ``finished`` (1, 2, ...), ``number`` (the proposal's), ``reward`` (NaN for a
        failed trial), ``best`` (highest reward so far, NaN before the first), ``mean`` (over those
        of the last ``window`` trials that have a reward), ``status`` and ``cached``.

    Raises:
        SettingsError: a window that is not a whole number from 1.
    """
    window = whole("window", window)
    ended = trials.sort_values("completion_order", kind="stable").reset_index(drop=True)
    reward = ended["reward"].astype(float).where(ended["status"] == "ok")
    return pandas.DataFrame(
        {
            "finished": range(1, len(ended) + 1),
            "number": ended["number"],
            "reward": reward,
            "best": reward.cummax().ffill(),
            "mean": reward.rolling(window, min_periods=1).mean(),
            "status": ended["status"],
            "cached": ended["cached"].astype(bool),
        }
    )


def draw_rewards(
    rows: pandas.DataFrame,
    ax: Axes,
    label: str = "controller",
    baseline_rows: pandas.DataFrame | None = None,
    baseline_label: str = "random search",
    measure: str = "reward",
) -> Axes:
    """Draw :func:`reward_rows`: a dot per trial, a step line (best so far), a line (running mean).

    Failed trials are crosses at the bottom. The baseline's search, if given, is drawn in a second
    colour, with dashed lines and open dots, so that the two differ in black and white too.

    Args:
        rows: of the search.
        ax: what to draw on.
        label: what to call the search.
        baseline_rows: of the search to compare with.
        baseline_label: what to call it.
        measure: what the reward is, for the axis.
    """
    styled(ax, "finished trials", measure)
    searches = [(rows, label, CONTROLLER, "-", True, 0.045, 3.0)]
    if baseline_rows is not None:
        searches.append((baseline_rows, baseline_label, BASELINE, "--", False, 0.015, 2.0))
    for data, name, colour, line, filled, height, layer in searches:
        if data.empty:
            continue
        x = positions(data["finished"])
        good = (data["status"] == "ok").to_numpy()
        ax.scatter(
            x[good], positions(data["reward"])[good], s=12 if len(x) <= 600 else 5, alpha=0.45,
            facecolors=colour if filled else "none", edgecolors=colour,
            linewidths=0.0 if filled else 0.8, zorder=layer, label="_trials",
        )  # fmt: skip
        style: dict[str, Any] = {"color": colour, "linestyle": line, "zorder": layer}
        best, mean = positions(data["best"]), positions(data["mean"])
        ax.step(x, best, where="post", linewidth=1.3, label=f"{name}: best so far", **style)
        ax.plot(x, mean, linewidth=2.6, label=f"{name}: running mean", **style)
        if not good.all():
            ax.plot(
                x[~good], [height] * int((~good).sum()), "x", color=colour, markersize=5,
                transform=ax.get_xaxis_transform(), label=f"{name}: failed",
            )  # fmt: skip
    if all(data.empty for data, *_ in searches):
        say(ax, "no trial has finished yet")
        return ax
    last = max(len(data) for data, *_ in searches)
    ax.set_xlim(0, last + 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any((data["status"] != "ok").any() for data, *_ in searches):
        ax.margins(y=0.12)  # space for the crosses
    if all(data["reward"].isna().all() for data, *_ in searches):
        ax.set_yticks([])  # nothing was measured: a scale would be made up
    legend(ax, columns=len(searches))
    return ax

"""What the controller's updates measured: entropy, clip fraction, baseline and mean reward.

The entropy of an untrained policy is that of an even distribution. It falls as the controller
commits itself; at 0 it always proposes the same cell. PPO's clip fraction is the share of decisions
whose probability has already moved further than the clip allows: 0 means that nothing happens,
close to 1 that the learning rate is too high.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy
import pandas
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..errors import SettingsError
from .style import CONTROLLER, FAINT, GREEN, ORANGE, legend, note, positions, say, styled

#: The axis of rewards shows at least a hundredth from end to end.
LEAST_SPAN = 0.01

COLUMNS = ("update", "told", "reward", "baseline", "entropy", "clip_fraction", "loss", "ratio")


def update_rows(updates: Iterable[dict[str, Any]]) -> pandas.DataFrame:
    """One row per update, from ``store.updates()``.

    Returns:
        The columns ``update`` (from 1), ``told`` (trials told by then), ``reward`` (the batch's
        mean), ``baseline``, ``entropy`` (nats per decision), ``clip_fraction``, ``loss`` and
        ``ratio``; NaN where the controller does not measure it (REINFORCE clips nothing).
    """
    frame = pandas.DataFrame(list(updates))
    return frame.reindex(columns=list(COLUMNS)).astype(float).astype({"update": int, "told": int})


def even_entropy(choices: Iterable[int]) -> float:
    """Nats per decision of a policy that prefers nothing, over decisions with these choices.

    ``even_entropy(decision.choices for decision in space.decisions)``
    """
    counts = list(choices)
    return math.fsum(math.log(count) for count in counts) / len(counts) if counts else 0.0


def draw_updates(
    rows: pandas.DataFrame, axes: Sequence[Axes], even: float | None = None
) -> Sequence[Axes]:
    """Draw :func:`update_rows` on three axes: entropy; clip fraction; reward and baseline.

    Args:
        rows: from :func:`update_rows`.
        axes: three, one above the other or side by side.
        even: the entropy of an even distribution (:func:`even_entropy`), drawn as a line.

    Raises:
        SettingsError: another number of axes.
    """
    panels = list(axes)
    if len(panels) != 3:
        raise SettingsError(f"draw_updates draws on three axes, got {len(panels)}")
    measures = ("entropy (nats per decision)", "clip fraction", "reward")
    for ax, measure in zip(panels, measures, strict=True):
        styled(ax, "trials told to the controller", measure)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    if rows.empty:
        for ax in panels:
            say(ax, "no update yet")
        return axes
    told = positions(rows["told"])
    first, second, third = panels
    mark: dict[str, Any] = {"marker": "o", "markersize": 3.5 if len(rows) <= 40 else 0}
    first.plot(told, positions(rows["entropy"]), color=CONTROLLER, **mark)
    if even is not None:
        first.axhline(even, color=FAINT, linestyle=":", linewidth=1.5)
        where = ("axes fraction", "data")
        note(first, "even distribution", (1.0, even), (0, 4), where, ha="right", color=FAINT)
    highest = numpy.nanmax([*rows["entropy"], even or 0.0])
    first.set_ylim(0, 1.15 * highest or 1.0)
    if rows["clip_fraction"].notna().any():
        second.plot(told, positions(rows["clip_fraction"]), color=ORANGE, **mark)
        second.set_ylim(-0.02, 1)  # a line at 0 is to be seen
    else:
        say(second, "this controller clips nothing")
    third.plot(told, positions(rows["reward"]), color=GREEN, label="mean of the batch", **mark)
    third.plot(told, positions(rows["baseline"]), color=FAINT, linestyle="--", label="baseline")
    low, high = third.get_ylim()
    if high - low < LEAST_SPAN:  # else rounding errors would be taken for changes
        middle = (low + high) / 2
        third.set_ylim(middle - LEAST_SPAN / 2, middle + LEAST_SPAN / 2)
    for ax in panels:
        ax.set_xlim(0, 1.05 * told.max())
    legend(third, columns=2)
    return axes

"""Progress of long work: whether a bar is shown, the bar, and how a duration is written."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm.auto import tqdm

#: Set to 0, this environment variable hides every bar that was not asked for.
VARIABLE = "NASWORKBENCH_PROGRESS"


def is_shown(progress: bool | None) -> bool:
    """Whether to show a bar: ``progress`` itself; None: in a terminal or a notebook, unless the
    environment variable NASWORKBENCH_PROGRESS is 0."""
    if progress is not None:
        return progress
    ipython = sys.modules.get("IPython")
    notebook = ipython is not None and ipython.get_ipython() is not None
    return os.environ.get(VARIABLE, "1") != "0" and (_terminal() or notebook)


def _terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # None: it was closed


def bar(
    title: str, total: int, done: int = 0, progress: bool | None = None, **settings: Any
) -> tqdm:
    """A tqdm bar of ``total`` steps, ``done`` of which were made earlier; use it by ``with``.

    In a file (a batch job's log) it writes a line every five seconds at most.
    """
    return tqdm(
        total=total,
        initial=done,
        desc=title,
        disable=sys.stderr is None or not is_shown(progress),
        dynamic_ncols=True,
        mininterval=0.1 if _terminal() else 5.0,
        **settings,
    )


def duration(seconds: float) -> str:
    """``0.8 s``, ``4 min``, ``2.5 h`` or ``30 days``."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit == "min" and seconds >= 100):
            return f"{seconds / size:.1f} {unit}".replace(".0 ", " ")
    return f"{seconds:.1f} s"

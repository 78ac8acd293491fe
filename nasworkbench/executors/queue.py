"""Feed a list of tasks to an executor, keep what comes back, show a bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tqdm.auto import tqdm

from ..errors import SettingsError
from .base import Executor, Finished


def run_all(
    executor: Executor,
    tasks: Sequence[tuple[Any, ...]],
    keep: Callable[[Finished], None],
    title: str,
    progress: bool | None = None,
    done: int = 0,
) -> None:
    """Run every task, as many at a time as the executor takes.

    Args:
        executor: its function is called with each task's arguments.
        tasks: the arguments; the number of a :class:`Finished` is its task's place in this list.
        keep: called with each record as it comes. It stores the result: an interruption loses only
            what still runs.
        title: of the bar, which is shown as :func:`watched` says.
        progress: see :func:`watched`.
        done: tasks of the same work that were finished earlier, for the bar.

    Raises:
        SettingsError: the executor takes no task, since it has been stopped.
        Whatever ``keep`` raises: the rest is not run.
    """
    total = done + len(tasks)
    with tqdm(
        total=total, initial=done, desc=title, disable=not watched(progress), dynamic_ncols=True,
        mininterval=0.1 if sys.stderr.isatty() else 5.0,
    ) as bar:  # fmt: skip
        submitted = finished = 0
        while finished < len(tasks):
            while executor.free and submitted < len(tasks):
                executor.submit(submitted, *tasks[submitted])
                submitted += 1
            if submitted == finished:  # nothing runs: to wait would be to wait for ever
                raise SettingsError("this executor has been stopped; make a new one")
            for record in executor.wait():
                keep(record)
                finished += 1
                bar.update()


def watched(show: bool | None) -> bool:
    """Whether to show a bar: ``show`` itself; None: in a terminal or a notebook, unless the
    environment variable NASWORKBENCH_PROGRESS is 0."""
    if show is not None:
        return show
    wanted = os.environ.get("NASWORKBENCH_PROGRESS", "1") != "0"
    ipython = sys.modules.get("IPython")
    notebook = ipython is not None and ipython.get_ipython() is not None
    return wanted and (sys.stderr.isatty() or notebook)

"""Feed a list of tasks to an executor, keep what comes back, show a bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import SettingsError
from ..progress import bar
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
        title: of the bar, which is shown as :func:`nasworkbench.progress.is_shown` says.
        progress: see :func:`nasworkbench.progress.is_shown`.
        done: tasks of the same work that were finished earlier, for the bar.

    Raises:
        SettingsError: the executor takes no task, since it has been stopped.
        Whatever ``keep`` raises: the rest is not run.
    """
    with bar(title, done + len(tasks), done, progress) as shown:
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
                shown.update()

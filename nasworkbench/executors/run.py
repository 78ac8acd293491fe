"""Run a list of tasks on an executor, keep what comes back, show a bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from ..errors import SettingsError
from ..progress import bar
from .base import Executor, Finished


def run_all(
    executor: Executor,
    tasks: Sequence[tuple[Any, ...]],
    keep: Callable[[int, Finished], None],
    title: str,
    progress: bool | None = None,
    done: int = 0,
) -> None:
    """Run every task, as many at a time as the executor has workers.

    Args:
        executor: its function is called with each task's arguments.
        tasks: the arguments.
        keep: called with a task's place in ``tasks`` and how it ended, as soon as it has ended.
            It stores the result: an interruption loses only what still runs.
        title: of the bar, which is shown as :func:`nasworkbench.progress.is_shown` says.
        progress: see :func:`nasworkbench.progress.is_shown`.
        done: tasks of the same work that were finished earlier, for the bar.

    Raises:
        SettingsError: the executor has been stopped.
        Whatever ``keep`` raises: the rest is not run.
    """
    waiting = enumerate(tasks)
    running: dict[Future[Finished], int] = {}
    left = len(tasks)
    with bar(title, done + left, done, progress) as shown:
        while left:
            while executor.free and len(running) < left:
                index, arguments = next(waiting)
                running[executor.submit(*arguments)] = index
            if not running:  # a stopped executor takes no task: to wait for one would never end
                raise SettingsError("this executor has been stopped: make a new one")
            for future in executor.wait():
                keep(running.pop(future), future.result())
                left -= 1
                shown.update()

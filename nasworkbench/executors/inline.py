"""Run the function here and now: one task at a time, in this thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ..checks import whole
from .base import Executor, Finished, call


class InlineExecutor(Executor):
    """The simplest executor: nothing is spawned, Ctrl-C reaches the task, prints appear.

    The task runs inside of :meth:`wait`, whatever its timeout. No limit can be enforced from
    outside: a task that hangs, hangs.

    Args:
        function: what is run.
        threads: torch threads of a task. One is what a worker process has: with another number
            sums are rounded differently, and rewards differ from those of workers.

    Raises:
        SettingsError: fewer than one thread.
    """

    def __init__(self, function: Callable[..., Any], threads: int = 1) -> None:
        super().__init__(workers=1)
        self.function, self.threads = function, whole("threads", threads)
        self._arguments: tuple[Any, ...] = ()

    def begin(self, future: Future[Finished], worker: int, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def await_one(self, running: list[Future[Finished]], timeout: float | None) -> None:
        for future in running:
            try:
                future.set_result(call(self.function, self._arguments, threads=self.threads))
            except BaseException:  # Ctrl-C
                self.stop()
                raise

    def stop(self) -> None:
        """Drop a task that has not been run. The executor can still be used."""
        super().stop()
        self.workers = [None]

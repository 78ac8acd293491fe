"""Run the function here and now: one task at a time, in this thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import torch

from .base import Executor, Finished, call


class InlineExecutor(Executor):
    """The simplest executor: nothing is spawned, Ctrl-C reaches the task, prints appear.

    The task runs inside of :meth:`wait`, whatever its timeout, with as many torch threads as there
    were when the executor was made. No limit can be enforced from outside: a task that hangs,
    hangs.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(workers=1)
        self.function = function
        self.threads = torch.get_num_threads()
        self._arguments: tuple[Any, ...] = ()

    def begin(self, future: Future[Finished], worker: int, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def await_one(self, running: list[Future[Finished]], timeout: float | None) -> None:
        for future in running:
            threads = torch.get_num_threads()
            torch.set_num_threads(self.threads)
            try:
                future.set_result(call(self.function, self._arguments))
            except BaseException:  # Ctrl-C
                self.stop()
                raise
            finally:
                torch.set_num_threads(threads)

    def stop(self) -> None:
        """Drop a task that has not been run. The executor can still be used."""
        super().stop()
        self.workers = [None]

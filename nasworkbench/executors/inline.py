"""Run the function here and now: one task at a time, in this thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .base import Executor, Finished, failure


class InlineExecutor(Executor):
    """The simplest executor: nothing is spawned, Ctrl-C reaches the task, prints appear.

    No limit can be enforced from outside: a task that hangs, hangs.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.task: tuple[int, tuple[Any, ...]] | None = None

    @property
    def free(self) -> int:
        return 0 if self.task else 1

    def submit(self, number: int, *arguments: Any) -> None:
        self.task = (number, arguments)

    def wait(self, timeout: float | None = None) -> list[Finished]:
        if self.task is None:
            return []
        (number, arguments), self.task = self.task, None
        start = time.perf_counter()
        try:
            value, status, cause = self.function(*arguments), "ok", None
        except Exception as error:  # a child that raises is a result, not the end of the search
            value, (status, cause) = None, failure(error)
        return [Finished(number, status, value, cause, time.perf_counter() - start)]

    def stop(self) -> None:
        self.task = None

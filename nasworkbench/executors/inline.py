"""Run the function here and now: one task at a time, in this thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from .base import Executor, Finished, attempt


class InlineExecutor(Executor):
    """The simplest executor: nothing is spawned, Ctrl-C reaches the task, prints appear.

    The task has as many torch threads as there were when the executor was made. No limit can be
    enforced from outside: a task that hangs, hangs.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.threads = torch.get_num_threads()
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
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            value, status, cause = attempt(self.function, arguments)
        finally:
            torch.set_num_threads(threads)
        return [Finished(number, status, value, cause, time.perf_counter() - start)]

    def stop(self) -> None:
        self.task = None

"""An executor that says how much there is to do, and roughly how long it takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm

from ..executors import Executor, Finished
from ..progress import duration

#: Tasks of each worker that are measured if it is not known how long one takes (this project's
#: choice).
MEASURED = 5


class Announced(Executor):
    """Takes all tasks before it starts the first, so that it can say how many there are.

    Args:
        make: gives the executor that runs them; called when there is something to run.
        workers: tasks that it runs at a time.
        seconds: how long a task takes; None: to be measured on the first ones.
    """

    def __init__(
        self, make: Callable[[], Executor], workers: int, seconds: float | None = None
    ) -> None:
        self.make, self.workers, self.seconds = make, workers, seconds
        self.runner: Executor | None = None
        self.waiting: deque[tuple[int, tuple[Any, ...]]] = deque()
        self.left = 0
        self.ends: list[float] = []  # the moments at which the first tasks ended

    @property
    def free(self) -> int:
        return 1 if self.runner is None else 0

    def submit(self, number: int, *arguments: Any) -> None:
        self.waiting.append((number, arguments))

    def wait(self, timeout: float | None = None) -> list[Finished]:
        runner = self.runner or self._begun()
        while runner.free and self.waiting:
            number, arguments = self.waiting.popleft()
            runner.submit(number, *arguments)
        records = runner.wait(timeout)
        self.left -= len(records)
        if self.seconds is None:
            self._measure(len(records))
        return records

    def _begun(self) -> Executor:
        self.left = len(self.waiting)
        self._say()
        self.runner = self.make()
        return self.runner

    def _measure(self, count: int) -> None:
        """From the end of the first task on: until then the workers were starting."""
        self.ends += [time.monotonic()] * count
        tasks = len(self.ends) - 1
        if tasks >= MEASURED * self.workers and self.left:
            self.seconds = (self.ends[-1] - self.ends[0]) / tasks * self.workers
            self._say()

    def _say(self) -> None:
        forecast = (
            "the first ones will tell how long they take"
            if self.seconds is None
            else f"about {duration(self.left * self.seconds / self.workers)}"
        )
        # between the lines of a bar, if there is one
        tqdm.write(f"{self.left:,} trainings are left: {forecast}")

    def stop(self) -> None:
        if self.runner is not None:
            self.runner.stop()

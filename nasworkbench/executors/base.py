"""What all executors share: workers, futures, and how the end of a task is described."""

from __future__ import annotations

import os
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy
import torch

from ..controllers.policy import one_thread
from ..errors import printable


@dataclass(frozen=True)
class Finished:
    """How one task ended: the result of its future, also if the task failed.

    ``status`` is ``ok``, ``error`` (it raised), ``out_of_memory``, ``timeout`` (it was killed at
    the limit) or ``crashed`` (its process died).
    """

    status: str
    value: Any = None  #: what the function returned, if ok
    cause: str | None = None  #: one line, if not ok
    seconds: float = 0.0
    worker: int = 0


class Executor(ABC):
    """Runs one function on a number of workers; leave it by ``with``, which stops it.

    Its futures are those of ``concurrent.futures``. They may end in :meth:`wait` only: wait for
    them there, not by their own ``result()``.
    """

    def __init__(self, workers: int) -> None:
        #: what each worker runs now; None for an idle worker
        self.workers: list[Future[Finished] | None] = [None] * workers

    @property
    def free(self) -> int:
        """How many tasks can be submitted now."""
        return self.workers.count(None)

    def submit(self, *arguments: Any) -> Future[Finished]:
        """Give ``function(*arguments)`` to the first idle worker. There must be one: see
        :attr:`free`."""
        worker = self.workers.index(None)
        future: Future[Finished] = Future()
        self.workers[worker] = future
        self.begin(future, worker, arguments)
        return future

    @abstractmethod
    def begin(self, future: Future[Finished], worker: int, arguments: tuple[Any, ...]) -> None:
        """Have a worker run a task; ``future`` gets its result. Must not block."""

    def wait(self, timeout: float | None = None) -> list[Future[Finished]]:
        """The futures that have ended since the last call; waits up to ``timeout`` seconds for
        one, without end if that is None, and not at all if nothing runs.

        Raises:
            WorkbenchError: a worker could not start.
        """
        running = [future for future in self.workers if future is not None]
        self.await_one(running, timeout)
        ended = [future for future in running if future.done()]
        self.workers = [None if future in ended else future for future in self.workers]
        return ended

    def await_one(self, running: list[Future[Finished]], timeout: float | None) -> None:
        """Return when one of these futures has ended, or after ``timeout`` seconds.

        For executors whose futures end by themselves; the others see to it here that one does.
        """
        futures.wait(running, timeout, futures.FIRST_COMPLETED)

    def stop(self) -> None:
        """End at once: what runs is lost, and its futures are cancelled."""
        running, self.workers = self.workers, []
        for future in filter(None, running):
            future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def call(
    function: Callable[..., Any], arguments: tuple[Any, ...], worker: int = 0, threads: int = 1
) -> Finished:
    """Run a task here, with so many torch threads, float32 and gradients. It leaves behind no other
    settings of torch and numpy. One that raises is a result like another; only Ctrl-C is let
    through."""
    start, process = time.perf_counter(), os.getpid()
    plain = torch.autocast("cpu", enabled=False)
    try:
        with one_thread(), torch.enable_grad(), plain, numpy.errstate():
            torch.set_num_threads(threads)
            value, status, cause = function(*arguments), "ok", None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() too
        value, (status, cause) = None, failure(error)
    if os.getpid() != process:  # a fork that the task has let go on: one answer is enough
        os._exit(status != "ok")
    return Finished(status, value, cause, time.perf_counter() - start, worker)


def one_line(value: object, most: int = 300) -> str:
    """The text of anything as files and terminals take it: see :func:`printable`."""
    try:
        return printable(str(value)[: 4 * most], most)
    except Exception:
        return "(its text cannot be read)"


def failure(error: BaseException) -> tuple[str, str]:
    """``(status, cause)`` of an exception that was caught; the cause says where it was raised."""
    try:
        text, name = one_line(error), one_line(type(error).__name__, 60)
        *_, frame = traceback.extract_tb(error.__traceback__)
        where = f"{one_line(Path(frame.filename).name, 60)}, line {frame.lineno}"
        memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or (
            isinstance(error, RuntimeError) and "can't allocate memory" in text
        )
    except Exception:  # it has methods of its own
        return "error", "an exception that cannot be described"
    return ("out_of_memory" if memory else "error"), f"{name}: {text} ({where})"

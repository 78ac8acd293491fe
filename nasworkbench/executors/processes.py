"""Run the function in spawned worker processes that can be killed.

Each worker is a fresh Python with one torch thread: two one-thread processes train tiny networks
twice as fast as one process with two threads. The function travels once, when a worker starts;
tensors inside of it are shared, not copied. A worker that dies, or is killed at the time limit, is
replaced.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.multiprocessing  # registers how tensors travel: by shared memory

from ..errors import SettingsError, WorkbenchError
from .base import Executor, Finished, attempt, failure

READY = -1  # the number of the first message of a worker
LOOK_ROUND = 1.0  # seconds


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    task: int | None = None
    started: float = 0.0


class ProcessExecutor(Executor):
    """``workers`` processes, each with one task at a time.

    Args:
        function: must be importable in a fresh Python: defined in a file, not in a notebook.
        workers: number of processes.
        time_limit: seconds after which a task's process is killed (``timeout``); None for no limit.
        threads: torch threads of each worker.

    Raises:
        SettingsError: fewer than one worker, a time limit that is not positive.
        WorkbenchError: the function cannot be sent to another process, or a worker cannot start.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        workers: int = 2,
        time_limit: float | None = None,
        threads: int = 1,
    ) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise SettingsError(f"workers must be a whole number from 1, got {workers!r}")
        if time_limit is not None and not time_limit > 0:
            raise SettingsError(f"time_limit must be a number of seconds > 0, got {time_limit!r}")
        self.function = function
        self.time_limit = time_limit
        self.threads = threads
        self.workers: list[_Worker] = []
        try:
            for index in range(workers):
                self.workers.append(self._start(index))
        except BaseException:
            self.stop()
            raise

    def _start(self, index: int) -> _Worker:
        packed = _packed(self.function)  # each time anew: a packed tensor can be unpacked only once
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(theirs, self.threads, _gpu(index)), name=f"worker-{index}"
        )
        process.start()
        theirs.close()
        with contextlib.suppress(OSError):  # it has died already: wait() finds out, and says so
            ours.send_bytes(packed)
        return _Worker(index, process, ours)

    @property
    def free(self) -> int:
        return sum(worker.task is None for worker in self.workers)

    def submit(self, number: int, *arguments: Any) -> None:
        worker = next(worker for worker in self.workers if worker.task is None)
        if worker.ready and not worker.process.is_alive():  # it has died with nothing to do
            self._replace(worker, "crashed", None)
            worker = self.workers[worker.index]
        worker.task, worker.started = number, time.monotonic()
        with contextlib.suppress(OSError):  # it has just died: wait() finds out, and says how
            worker.pipe.send((number, arguments))

    def wait(self, timeout: float | None = None) -> list[Finished]:
        finished: list[Finished] = []
        end = None if timeout is None else time.monotonic() + timeout
        while not finished:
            busy = [worker for worker in self.workers if worker.task is not None]
            if not busy:
                return []
            wait([worker.pipe for worker in self.workers], self._patience(busy, end))
            for worker in list(self.workers):
                finished += self._look_at(worker)
            if end is not None and time.monotonic() >= end:
                break
        return finished

    def _patience(self, busy: list[_Worker], end: float | None) -> float:
        """Seconds until the next deadline, of a task or of the caller, or until a look round: a
        dead worker's pipe stays open if a process that it has left behind holds it."""
        moments = [time.monotonic() + LOOK_ROUND] + ([] if end is None else [end])
        if self.time_limit is not None:
            moments += [worker.started + self.time_limit for worker in busy if worker.ready]
        return max(0.0, min(moments) - time.monotonic())

    def _look_at(self, worker: _Worker) -> list[Finished]:
        """Read what the worker has sent; find out whether it has died or is over its limit."""
        dead = not worker.process.is_alive()  # asked first: what it sent before is read below
        try:
            while worker.pipe.poll():
                number, status, value, cause, seconds = worker.pipe.recv()
                if number != READY:
                    worker.task = None
                    return [Finished(number, status, value, cause, seconds, worker.index)]
                if status != "ok":
                    raise WorkbenchError(f"a worker process cannot load the function: {cause}")
                worker.ready = True
                worker.started = time.monotonic()  # its start is not the task's time
        except (EOFError, OSError):
            dead = True
        if dead:
            return self._replace(worker, "crashed", None)
        over = time.monotonic() - worker.started
        if worker.task is not None and worker.ready and self.time_limit and over >= self.time_limit:
            return self._replace(worker, "timeout", f"killed at its limit of {self.time_limit:g} s")
        return []

    def _replace(self, worker: _Worker, status: str, cause: str | None) -> list[Finished]:
        """A new process in the place of one that is dead or must die."""
        if status == "timeout":
            worker.process.kill()
        worker.process.join(5)
        if worker.process.is_alive():  # it has closed its pipe and lives on
            worker.process.kill()
            worker.process.join()
        if not worker.ready:
            raise WorkbenchError(
                "a worker process died while it started. A script that starts workers must do so "
                'under  if __name__ == "__main__":  (each worker imports the script again)'
            )
        worker.pipe.close()
        self.workers[worker.index] = self._start(worker.index)
        if worker.task is None:
            return []
        seconds = time.monotonic() - worker.started
        cause = cause or _death(worker.process.exitcode)
        return [Finished(worker.task, status, None, cause, seconds, worker.index)]

    def stop(self) -> None:
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()
        self.workers = []


def _packed(function: Callable[..., Any]) -> Any:
    """The function as bytes for a worker, or an error that says why it cannot be sent."""
    main = sys.modules["__main__"]
    advice = "Put it into a .py file beside the notebook, import it, or run inline"
    homes = [function, *getattr(function, "__dict__", {}).values()]
    for thing in homes:
        home = getattr(thing, "__module__", None)
        if home == "__main__" and not hasattr(main, "__file__"):
            name = getattr(thing, "__qualname__", type(thing).__qualname__)
            raise WorkbenchError(
                f"{name} is defined in a notebook or at a prompt; a worker process, which starts "
                f"as a fresh Python, cannot import it. {advice}"
            )
    try:
        return ForkingPickler.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise WorkbenchError(
            f"this function cannot be sent to a worker process ({error}). {advice}"
        ) from error


def _gpu(index: int) -> str | None:
    """The GPU of a worker, of those that this process may use; None if there is no choice."""
    count = torch.cuda.device_count()
    if count < 2:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    return visible.split(",")[index % count]


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ": killed from outside, perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"its process died of {name}{hint}"
    return f"its process ended with exit code {code}"


def _work(pipe: Connection, threads: int, gpu: str | None) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    torch.set_num_threads(threads)
    try:
        function = pipe.recv()
    except Exception as error:
        pipe.send((READY, "error", None, failure(error)[1], 0.0))
        return
    pipe.send((READY, "ok", None, None, 0.0))
    while True:
        try:
            number, arguments = pipe.recv()
        except EOFError:
            return
        start = time.perf_counter()
        value, status, cause = attempt(function, arguments)
        seconds = time.perf_counter() - start
        try:
            pipe.send((number, status, value, cause, seconds))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            cause = f"what the function returned cannot be sent back: {failure(error)[1]}"
            pipe.send((number, "error", None, cause, seconds))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

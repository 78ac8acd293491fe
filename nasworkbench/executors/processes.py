"""Run the function in spawned worker processes that can be killed.

Each worker is a fresh Python with one torch thread: two one-thread processes train tiny networks
twice as fast as one process with two threads. The function travels once, when a worker starts;
tensors inside of it are shared, not copied. A worker that dies, or is killed at the time limit, is
replaced.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.multiprocessing  # registers how tensors travel: by shared memory

from ..checks import number, whole
from ..errors import WorkbenchError
from .base import Executor, Finished, call, failure

#: Seconds between two looks whether a silent process still lives. Its end closes its pipe, which is
#: seen at once, unless a process that it has left behind holds the pipe open.
LIFE_CHECK = 1.0


class ProcessExecutor(Executor):
    """``workers`` processes, each with one task at a time.

    Args:
        function: must be importable in a fresh Python: defined in a file, not in a notebook.
        workers: number of processes.
        time_limit: seconds after which a task's process is killed (``timeout``); None for no limit.
        threads: torch threads of each worker.

    Raises:
        SettingsError: fewer than one worker, a time limit that is not positive.
        WorkbenchError: the function cannot be sent to another process.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        workers: int = 2,
        time_limit: float | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__(whole("workers", workers))
        if time_limit is not None:
            number("time_limit", time_limit, 0, above=True)
        self.function = function
        self.time_limit = time_limit
        self.threads = threads
        self._processes: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        lock = threading.Lock()
        try:
            for index in range(workers):
                self._processes.append(_Worker(index, function, threads, lock))
        except BaseException:
            self.stop()
            raise

    def begin(self, future: Future[Finished], worker: int, arguments: tuple[Any, ...]) -> None:
        """A thread talks to the process, so that this one can wait for futures alone."""
        process = self._processes[worker]

        def settle() -> None:
            try:
                finished = process.run(arguments, self.time_limit)
            except BaseException as error:
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)
            else:
                if future.set_running_or_notify_cancel():
                    future.set_result(finished)

        process.thread = threading.Thread(target=settle, daemon=True)
        process.thread.start()

    def stop(self) -> None:
        super().stop()
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.end()
        self._processes = []


class _Worker:
    """A process that runs one task after another; when it has died, the next one is started."""

    def __init__(
        self, index: int, function: Callable[..., Any], threads: int, lock: threading.Lock
    ) -> None:
        self.index, self.function, self.threads = index, function, threads
        self.lock = lock  # two threads that wait for processes take each other's exit codes
        self.thread: threading.Thread | None = None
        self.stopped = False
        self.start()

    def start(self) -> None:
        packed = _packed(self.function)  # each time anew: a packed tensor can be unpacked only once
        context = multiprocessing.get_context("spawn")
        with self.lock:
            if self.stopped:
                raise CancelledError
            self.ready = False
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(
                target=_work,
                args=(theirs, self.index, self.threads, _gpu(self.index)),
                name=f"worker-{self.index}",
            )
            self.process.start()
            theirs.close()
        with contextlib.suppress(OSError):  # it has died already: receive() finds out
            self.pipe.send_bytes(packed)

    def run(self, arguments: tuple[Any, ...], time_limit: float | None) -> Finished:
        """Have the process run a task; blocks until it has ended, by itself or at the limit."""
        if self.ready and not self.process.is_alive():  # it has died with nothing to do
            self.bury()
            self.start()
        if not self.ready:
            self.expect_ready()
        start = time.monotonic()  # the start of the process is not the task's time
        try:
            self.pipe.send(arguments)
            return self.receive(time_limit)
        except TimeoutError:
            self.process.kill()
            status, cause = "timeout", f"killed at its limit of {time_limit:g} s"
        except (EOFError, OSError):
            status, cause = "crashed", None
        seconds = time.monotonic() - start
        code = self.bury()
        self.start()
        return Finished(status, None, cause or _death(code), seconds, self.index)

    def expect_ready(self) -> None:
        """Wait until the process has loaded the function."""
        try:
            cause = self.receive(None)
        except (EOFError, OSError):
            raise WorkbenchError(
                "a worker process died while it started. A script that starts workers must do so "
                'under  if __name__ == "__main__":  (each worker imports the script again)'
            ) from None
        if cause is not None:
            raise WorkbenchError(f"a worker process cannot load the function: {cause}")
        self.ready = True

    def receive(self, limit: float | None) -> Any:
        """What the process sends next.

        Raises:
            TimeoutError: nothing came within ``limit`` seconds.
            EOFError, OSError: the process has died.
        """
        end = math.inf if limit is None else time.monotonic() + limit
        while not self.pipe.poll(max(0.0, min(LIFE_CHECK, end - time.monotonic()))):
            if not self.process.is_alive() and not self.pipe.poll():
                raise EOFError
            if time.monotonic() >= end:
                raise TimeoutError
        return self.pipe.recv()

    def bury(self) -> int | None:
        """See to it that the process has ended; returns its exit code."""
        with self.lock:
            self.process.join(5)
            self.process.kill()  # it has closed its pipe and lives on
            self.process.join()
            self.pipe.close()
            return self.process.exitcode

    def kill(self) -> None:
        """End the process at once; no other is started."""
        with self.lock:
            self.stopped = True
            self.process.kill()

    def end(self) -> None:
        """Wait until process and thread have ended."""
        if self.thread is not None:
            self.thread.join()
        self.bury()


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


def _work(pipe: Connection, worker: int, threads: int, gpu: str | None) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    torch.set_num_threads(threads)
    try:
        function = pipe.recv()
    except Exception as error:
        pipe.send(failure(error)[1])
        return
    pipe.send(None)  # ready
    while True:
        try:
            arguments = pipe.recv()
        except EOFError:
            return
        finished = call(function, arguments, worker)
        try:
            pipe.send(finished)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            cause = f"what the function returned cannot be sent back: {failure(error)[1]}"
            pipe.send(Finished("error", None, cause, finished.seconds, worker))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

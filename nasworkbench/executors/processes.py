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
import pickletools
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.multiprocessing  # registers how tensors travel: by shared memory

from ..checks import number, optional, whole
from ..errors import WorkbenchError
from .base import Executor, Finished, call, failure

#: Seconds between two checks of time limits, and that silent processes still live. The end of a
#: process closes its pipe, which is noticed at once, unless another process that it has left behind
#: holds the pipe open.
CHECK = 0.1

#: A worker that was killed while it started, or stopped, is started so many times more.
MORE_STARTS = 2


class ProcessExecutor(Executor):
    """``workers`` processes, each with one task at a time.

    Args:
        function: must be importable in a fresh Python: defined in a file, not in a notebook.
        workers: number of processes.
        time_limit: seconds after which a task's process is killed (``timeout``); None for no limit.

    Raises:
        SettingsError: fewer than one worker, a time limit that is not positive.
        WorkbenchError: the function cannot be sent to another process.
    """

    #: Seconds that a worker has to start: Python, torch, and the function. This project's choice.
    start_limit = 60.0

    def __init__(
        self, function: Callable[..., Any], workers: int = 2, time_limit: float | None = None
    ) -> None:
        super().__init__(whole("workers", workers))
        optional(number, "time_limit", time_limit, 0, above=True)
        self._processes: list[_Worker] = []
        try:
            for index in range(workers):
                self._processes.append(_Worker(index, function, time_limit))
        except BaseException:
            self.stop()
            raise

    def begin(self, future: Future[Finished], worker: int, arguments: tuple[Any, ...]) -> None:
        self._processes[worker].begin(future, arguments)

    def await_one(self, running: list[Future[Finished]], timeout: float | None) -> None:
        """Read the workers' pipes here: threads that read them would take ten times as long to
        hand over a result."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        busy = [worker for worker in self._processes if worker.future in running]
        while busy:
            patience = max(0.0, min(CHECK, end - time.monotonic()))
            wait([worker.pipe for worker in busy], patience)
            for worker in busy:
                worker.check()
            if time.monotonic() >= end or any(future.done() for future in running):
                return

    def stop(self) -> None:
        super().stop()
        for worker in self._processes:
            worker.process.kill()
        for worker in self._processes:
            worker.end()
        self._processes = []


class _Worker:
    """A process that runs one task after another; when it has died, the next one is started."""

    def __init__(self, index: int, function: Callable[..., Any], time_limit: float | None) -> None:
        self.index, self.function, self.time_limit = index, function, time_limit
        self.future: Future[Finished] = Future()  # of the latest task
        self.failed_starts = 0  # in a row
        self.start()

    def start(self) -> None:
        function = packed(self.function)  # anew: a packed tensor can be unpacked only once
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, self.index, worker_gpu(self.index))
        self.process = context.Process(target=_work, args=arguments, name=f"worker-{self.index}")
        self.process.start()
        theirs.close()
        self.ready, self.since = False, time.monotonic()
        # in a thread: a long function waits in the pipe until the worker reads it
        threading.Thread(target=self._send, args=(self.pipe, function), daemon=True).start()

    @staticmethod
    def _send(pipe: Connection, data: bytes) -> None:
        with contextlib.suppress(OSError, TypeError):  # it has died, and been closed: check() sees
            pipe.send_bytes(data)

    def begin(self, future: Future[Finished], arguments: tuple[Any, ...]) -> None:
        if self.ready and not self.process.is_alive():  # it has died with nothing to do
            self.end()
            self.start()
        self.future, self.arguments = future, arguments
        if self.ready:
            self._send_task()

    def _send_task(self) -> None:
        self.ready, self.since, self.failed_starts = True, time.monotonic(), 0
        self._send(self.pipe, bytes(ForkingPickler.dumps(self.arguments)))

    def check(self) -> None:
        """See whether the task has ended, the process has died, or a limit has been reached."""
        dead = not self.process.is_alive()  # asked first: what it sent before is read below
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, Finished):
                    self.future.set_result(message)
                    return
                if message is not None:
                    raise WorkbenchError(f"a worker process cannot load the function: {message}")
                self._send_task()  # its start is not the task's time
        except (EOFError, OSError):
            dead = True
        seconds = time.monotonic() - self.since
        limit = self.time_limit if self.ready else ProcessExecutor.start_limit
        if not dead and (limit is None or seconds < limit):
            return
        if not dead:
            self.process.kill()
        code = self.end()
        if not self.ready:
            self._start_again("" if dead else f"had not started after {limit:g} s", code)
            return
        self.start()
        status, cause = "crashed", _death(code)
        if not dead:
            status, cause = "timeout", f"killed at its limit of {limit:g} s"
        self.future.set_result(Finished(status, None, cause, seconds, self.index))

    def _start_again(self, late: str, code: int) -> None:
        """After a start that failed; a process that ended by itself would end so again."""
        self.failed_starts += 1
        if code < 0 and self.failed_starts <= MORE_STARTS:
            return self.start()
        advice = "It was started more than once. Use fewer workers, or run inline"
        if code >= 0:
            advice = (
                'A script that starts workers must do so under  if __name__ == "__main__":  (each '
                "worker imports the script again)"
            )
        reason = late or f"died while it started: {_death(code)}"
        raise WorkbenchError(f"a worker process {reason}. {advice}")

    def end(self) -> int:
        """See to it that the process has ended; returns its exit code."""
        self.process.join(5)
        self.process.kill()  # it may have closed its pipe and live on
        self.process.join()
        self.pipe.close()
        return self.process.exitcode or 0


def packed(function: Callable[..., Any]) -> bytes:
    """The function as bytes for a worker, or an error that says why it cannot be sent."""
    advice = "Put it into a .py file, import it from there, or run inline"
    try:
        data = bytes(ForkingPickler.dumps(function))
    except Exception as error:  # of the pickler, or of a class of the user's own
        raise WorkbenchError(
            f"this function cannot be sent to a worker process ({error}). {advice}"
        ) from error
    if not hasattr(sys.modules["__main__"], "__file__"):
        texts = [value for _, value, _ in pickletools.genops(data) if isinstance(value, str)]
        if "__main__" in texts:  # the name of the module, then that of the thing
            raise WorkbenchError(
                f"{texts[texts.index('__main__') + 1]} is defined in a notebook or at a prompt: a "
                f"worker process, which starts as a fresh Python, cannot import it. {advice}"
            )
    return data


def worker_gpu(index: int) -> str | None:
    """The GPU of a worker, of those that this process may use; None if there is no choice."""
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    return visible.split(",")[index % count] if count > 1 else None


def _death(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}"
    if -code == signal.SIGKILL:
        return "its process died of SIGKILL: killed from outside, perhaps for lack of memory"
    return f"its process died of {signal.strsignal(-code)} (signal {-code})"


def _work(pipe: Connection, worker: int, gpu: str | None) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    torch.set_num_threads(1)
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

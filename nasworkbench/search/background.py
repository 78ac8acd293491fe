"""Work in a thread: how it is paused, stopped and waited for."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable

from ..errors import SettingsError


class Background:
    """The thread of a search, and the two events that its loop listens to.

    A search that runs in the foreground has them too: another thread may pause or stop it.
    """

    def __init__(self) -> None:
        self.unpaused, self.stop_event = threading.Event(), threading.Event()
        self.unpaused.set()
        self.thread: threading.Thread | None = None
        #: what ended the last thread, whether or not :meth:`result` has raised it
        self.failure: BaseException | None = None
        self._raised = False

    @property
    def running(self) -> bool:
        """Whether a thread is at work (or paused)."""
        return self.thread is not None and self.thread.is_alive()

    @property
    def paused(self) -> bool:
        """Whether :meth:`pause` was called and not taken back."""
        return not self.unpaused.is_set()

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called since the last start."""
        return self.stop_event.is_set()

    def pause(self) -> None:
        """Start no further trial until :meth:`unpause`; running ones go on."""
        self.unpaused.clear()

    def unpause(self) -> None:
        self.unpaused.set()

    def stop(self) -> None:
        """End soon: an inline child after its batch, workers at once. Their trials run again."""
        self.stop_event.set()
        self.unpaused.set()

    def result(self, timeout: float | None = None) -> None:
        """Wait for the thread and raise what it raised, once.

        Raises:
            TimeoutError: it is still running after ``timeout`` seconds.
        """
        if self.thread is not None:
            self.thread.join(timeout)
            if self.thread.is_alive():
                raise TimeoutError(f"the search is still running after {timeout} s")
        if self.failure is not None and not self._raised:
            self._raised = True
            raise self.failure

    def _reset(self) -> None:
        """Before another run.

        Raises:
            SettingsError: the thread is still at work.
        """
        if self.running:
            raise SettingsError("this search is running already; stop() it or wait for result()")
        self.failure, self._raised = None, False
        self.stop_event.clear()
        self.unpaused.set()

    def _start(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a daemon thread. A program that ends stops it."""

        def body() -> None:
            try:
                work()
            except BaseException as error:
                self.failure = error  # result() raises it where it can be seen
            finally:
                atexit.unregister(self._end)

        atexit.register(self._end)  # else Python would wait, at its end, for the workers
        self.thread = threading.Thread(target=body, name="search", daemon=True)
        self.thread.start()

    def _end(self) -> None:
        """Stop because the program ends; a child that does not listen is left behind."""
        self.stop()
        if self.thread is not None:
            self.thread.join(5)

"""What a dashboard shows of a search, read from its history bit by bit; no widgets here.

A trial is read once, when it has ended: to read a search with thousands of trials again costs no
more than a new one, so that it may be read often and is hardly slowed down. All that is shown at a
time, in numbers and in pictures, comes from one reading.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas

from ...checks import instance
from ...controllers import PolicyGradient
from ...errors import SettingsError, WorkbenchError
from ...executors import Executor
from ...progress import duration
from ...search import History, Search, Trial

#: What each phase of a search means, and the buttons that make sense in it.
PHASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "new": ("Nothing has run yet. Start runs the search in the background.", ("Start",)),
    "starting": ("One moment.", ("Pause", "Stop")),
    "running": ("Running in the background; the notebook stays usable.", ("Pause", "Stop")),
    "pausing": ("Pausing: the trials that run end first.", ("Resume", "Stop")),
    "paused": ("Paused. Resume goes on.", ("Resume", "Stop")),
    "stopping": ("Stopping.", ()),
    "stopped": ("Stopped; nothing is lost. Start goes on.", ("Start",)),
    "finished": ("Finished: the number of trials has been reached.", ("Start",)),
}

#: The phases in which trials may end at any time.
AT_WORK = ("starting", "running", "pausing", "stopping")


class Run:
    """The finished trials of a run folder, each of them read once.

    Attributes:
        trials: as :meth:`History.trials`, those read so far.
        best: the best of them; None before one has succeeded.

    Raises:
        StoreError: the folder holds no search, or is damaged.
    """

    def __init__(self, source: Search | str | Path) -> None:
        if isinstance(source, Search):
            self.history = History(source.directory, source.space)
        else:
            self.history = History(source)
        self.trials = self.history.read()
        self.best: Trial | None = next(iter(self.history.best()), None)

    def read(self) -> bool:
        """Read what has ended since; whether there was anything."""
        new = self.history.read()
        if new.empty:
            return False
        parts = [self.trials, new] if len(self.trials) else [new]  # pandas warns of empty ones
        self.trials = pandas.concat(parts, ignore_index=True)
        self.best = next(iter(self.history.best()), None)
        return True

    @property
    def failed(self) -> pandas.DataFrame:
        """The trials without a reward."""
        return self.trials[self.trials["status"] != "ok"]


class DashboardState:
    """A search as it is to be shown; :meth:`read` brings it up to date.

    Args:
        search: the search.
        baseline: random search to compare with: another search, or its run folder.

    Attributes:
        run, baseline: what has been read of each; the second is None without a baseline.
        updates: as :meth:`History.updates`.
        phase: one of :data:`PHASES`.
        goal: number of trials to be reached.

    Raises:
        SettingsError: ``search`` is not a Search.
        StoreError: the baseline's folder holds no search, or is damaged.
    """

    def __init__(self, search: Search, baseline: Search | str | Path | None = None) -> None:
        self.search = instance("search", search, Search, "Search.resume(directory)")
        self.baseline = None if baseline is None else Run(baseline)
        self.run = Run(search)
        self.updates: list[dict[str, Any]] = []
        self.phase, self.goal = "new", 0
        self._worked = 0.0  # seconds at work since the last start, pauses not counted
        self._read_at = 0.0
        self._done_before = 0  # trials that had ended at the last start
        self.read()

    def close(self) -> None:
        """Close the run folders; the search itself is left alone."""
        for run in filter(None, (self.run, self.baseline)):
            run.history.close()

    # --- driving ------------------------------------------------------------------------------

    def start(self, trials: int, executor: str | Executor, workers: int) -> None:
        """As :meth:`Search.start`, and refused while a notebook cell runs the search.

        Raises:
            SettingsError: the search runs already, or as for :meth:`Search.start`.
        """
        if self.at_work and not self.search.running:
            raise SettingsError(
                "a notebook cell is running this search: wait for it, or press Stop"
            )
        self.search.start(trials, executor, workers)

    def pause(self) -> None:
        """As :meth:`Search.pause`; refused if nothing runs."""
        self._check_work()
        self.search.pause()

    def resume(self) -> None:
        """As :meth:`Search.unpause`; refused if nothing is paused."""
        self._check_work()
        if not self.search.paused:
            raise SettingsError("the search is not paused")
        self.search.unpause()

    def stop(self) -> None:
        """As :meth:`Search.stop`; refused if nothing runs."""
        self._check_work()
        self.search.stop()

    def _check_work(self) -> None:
        if not self.at_work:
            raise SettingsError("the search is not running: Start runs it")

    # --- reading ------------------------------------------------------------------------------

    @property
    def at_work(self) -> bool:
        """Whether a loop of this search runs here, or will after a pause."""
        return self.search.running or bool(self.search.activity)

    def read(self, now: float | None = None) -> bool:
        """Read what is new; whether there was anything.

        Args:
            now: seconds of a clock that only goes forward.

        Raises:
            StoreError: the file has been damaged meanwhile.
        """
        now = time.monotonic() if now is None else now
        phase = self._phase_at_work()  # asked first: what had ended by then is read below
        self._count_seconds(now)
        new = self.run.read()
        updates = self.run.history.updates(len(self.updates))
        self.updates += updates
        if self.baseline is not None:
            self.baseline.read()
        self.goal = self.run.history.meta("goal", 0)
        if not phase:
            rest = "finished" if self.done >= self.goal else "stopped"
            phase = rest if self.done or self.goal else "new"
        self.phase = phase
        return new or bool(updates)

    def _phase_at_work(self) -> str:
        """The phase of a search that is at work here; else nothing."""
        search, workers = self.search, self.search.activity
        if not self.at_work:
            return ""
        if search.stopping:
            return "stopping"
        if search.paused:
            return "pausing" if any(workers) else "paused"
        return "running" if workers else "starting"

    def _count_seconds(self, now: float) -> None:
        if self.phase in AT_WORK:
            self._worked += now - self._read_at
        elif self.phase != "paused":  # if it is at work now, it has been started since
            self._worked, self._done_before = 0.0, self.done
        self._read_at = now

    # --- numbers ------------------------------------------------------------------------------

    @property
    def learns(self) -> bool:
        """Whether the controller makes updates that can be drawn."""
        return isinstance(self.search.controller, PolicyGradient) or bool(self.updates)

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return len(self.run.trials)

    @property
    def left(self) -> int:
        """Trials of the last start that have not ended."""
        return max(0, self.goal - self.done)

    @property
    def rate(self) -> float | None:
        """Trials a minute since the last start, pauses not counted; None: not known yet."""
        ended = self.done - self._done_before
        return 60 * ended / self._worked if ended and self._worked > 0 else None

    def numbers(self) -> str:
        """``12 of 30 trials · 24 a minute · 45 s left · best reward 0.9130 · 2 failed``"""
        parts = [f"{self.done:,} of {max(self.goal, self.done):,} trials"]
        if self.at_work and self.rate:
            seconds = 60 * self.left / self.rate
            parts.append(f"{self.rate:,.{0 if self.rate >= 10 else 1}f} a minute")
            parts.append(f"{f'{seconds:.0f} s' if seconds < 100 else duration(seconds)} left")
        if self.run.best is not None:
            parts.append(f"best reward {self.run.best.reward:.4f}")
        if len(self.run.failed):
            parts.append(f"{len(self.run.failed):,} failed")
        return " · ".join(parts)

    def workers(self, now: float | None = None) -> list[tuple[str, str, str]]:
        """``(worker, trial, since)`` of each worker of a running search, in words."""
        now = time.time() if now is None else now
        rows = []
        for number, work in enumerate(self.search.activity):
            trial, since = "idle", ""
            if work is not None:
                trial = f"trial {work.number}, genotype {work.key}"
                begun = time.strftime("%H:%M:%S", time.localtime(work.since))
                since = f"{begun}, for {max(0.0, now - work.since):.0f} s"
            rows.append((str(number), trial, since))
        return rows


class Pace:
    """When the next picture may be drawn: pictures take a share of the time, and no more.

    A picture takes the interpreter a tenth of a second or more, and the search waits meanwhile. The
    first ones are lent, so that a search of a few seconds is seen as well.

    Args:
        share: of the time that pictures may take.
        loan: seconds that may be spent at once.
        clock: seconds, only going forward.
    """

    def __init__(
        self, share: float, loan: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.share, self.loan, self.clock = share, loan, clock
        self._credit, self._then = loan, clock()

    def due(self) -> bool:
        """Whether a picture may be drawn now."""
        now = self.clock()
        self._credit = min(self.loan, self._credit + self.share * (now - self._then))
        self._then = now
        return self._credit > 0

    def spent(self, seconds: float) -> None:
        """Take what a picture took from the credit."""
        self._credit -= seconds


def in_words(error: BaseException) -> str:
    """What a user is told of an exception: the library's own message, or the kind and the text."""
    words = " ".join(str(error).split())
    return words if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {words}"

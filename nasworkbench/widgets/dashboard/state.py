"""What is to be shown of a search, read from its store piece by piece; no widgets here.

A trial is read once, when it has ended: to look again at a search with thousands of trials costs no
more than at a new one. So whoever watches may look often and hardly slow the search down.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas

from ...controllers import PolicyGradient
from ...errors import SettingsError, WorkbenchError
from ...executors import Executor
from ...progress import duration
from ...search import Search, Store

COLUMNS = (
    "number", "tokens", "key", "status", "reward", "place", "cached", "cause", "parameters",
    "genotype",
)  # fmt: skip

SENTENCES = {
    "new": "Nothing has run yet. Start runs the search in the background.",
    "starting": "One moment.",
    "running": "Running in the background; the notebook stays usable.",
    "pausing": "Pausing: the trials that run end first.",
    "paused": "Paused. Resume goes on.",
    "stopping": "Stopping.",
    "stopped": "Stopped; nothing is lost. Start goes on.",
    "finished": "Finished: the number of trials has been reached.",
}


#: The states in which trials may end at any moment.
AT_WORK = ("starting", "running", "pausing", "stopping")


class Rows:
    """The finished trials of a store, each of them read once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: list[dict[str, Any]] = []
        self._seen: set[int] = set()  # numbers from _first on
        self._first = 0  # all trials before this one have been read

    def read(self) -> list[dict[str, Any]]:
        """The trials that have ended since the last call.

        Raises:
            StoreError: the file has been damaged meanwhile.
        """
        names, found = self.store.frame_rows(self._first)
        places = [names.index(name) for name in COLUMNS]
        new = [
            {name: row[place] for name, place in zip(COLUMNS, places, strict=True)}
            for row in found
            if row[0] not in self._seen
        ]
        self.rows += new
        self._seen.update(row["number"] for row in new)
        while self._first in self._seen:
            self._seen.remove(self._first)
            self._first += 1
        return new

    def frame(self) -> pandas.DataFrame:
        """As ``Search.trials()``, with fewer columns."""
        frame = pandas.DataFrame(list(self.rows), columns=list(COLUMNS))
        return frame.astype({"cached": bool, "reward": float})


class DashboardState:
    """A search as it is to be shown; :meth:`look` brings it up to date.

    Args:
        search: the search.
        baseline: random search to compare with: another search, or its run folder.

    Raises:
        SettingsError: ``search`` is no search.
        StoreError: the baseline's folder holds no search, or is damaged.
    """

    def __init__(self, search: Search, baseline: Search | str | Path | None = None) -> None:
        if not isinstance(search, Search):
            raise SettingsError(
                f"a Search is needed here, got {type(search).__name__}; a run folder becomes one "
                "by Search.resume(directory)"
            )
        self.search = search
        self.mine = Rows(search.store)
        self._opened: Store | None = None
        self.theirs: Rows | None = None
        if baseline is not None:
            if not isinstance(baseline, Search):
                self._opened = Store(baseline)
            self.theirs = Rows(self._opened or baseline.store)  # type: ignore[union-attr]
        self.updates: list[dict[str, Any]] = []
        self.state = "new"  #: at the last look: one of :data:`SENTENCES`
        self.goal = 0
        self.best: dict[str, Any] | None = None
        self.failures: list[dict[str, Any]] = []
        self._worked = 0.0  # seconds at work since the last start, pauses not counted
        self._looked = 0.0
        self._done_before = 0  # trials that had ended at the last start

    # --- driving ------------------------------------------------------------------------------

    def start(self, trials: int, executor: str | Executor, workers: int) -> None:
        """As :meth:`Search.start`, and refused while a cell runs the search.

        Raises:
            SettingsError: the search runs already, or as for :meth:`Search.start`.
        """
        if self.at_work and not self.search.running:
            raise SettingsError("a cell is running this search already: wait for it, or press Stop")
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

    def look(self, now: float | None = None) -> bool:
        """Read what is new; whether there was anything.

        Args:
            now: seconds of a clock that only goes forward.

        Raises:
            StoreError: the file has been damaged meanwhile.
        """
        now = time.monotonic() if now is None else now
        busy = self._busy()  # asked first: what had ended by then is read below
        self._clock(now)
        new = self.mine.read()
        for row in new:
            if row["status"] != "ok":
                self.failures.append(row)
            elif not row["cached"] and self._better(row):
                self.best = row
        last = self.updates[-1]["update"] if self.updates else 0
        updates = self.search.store.updates(last)
        self.updates += updates
        self.goal = self.search.store.meta("goal", 0)
        if not busy:
            rest = "finished" if self.done >= self.goal else "stopped"
            busy = rest if self.done or self.goal else "new"
        self.state = busy
        return bool(new or updates)

    def _busy(self) -> str:
        """The state of a search that is at work here; else nothing."""
        search, workers = self.search, self.search.activity
        if not self.at_work:
            return ""
        if search.stopping:
            return "stopping"
        if search.paused:
            return "pausing" if any(workers) else "paused"
        return "running" if workers else "starting"

    def _clock(self, now: float) -> None:
        if self.state in AT_WORK:
            self._worked += now - self._looked
        elif self.state != "paused":  # if it is at work now, it has been started since
            self._worked, self._done_before = 0.0, self.done
        self._looked = now

    def _better(self, row: dict[str, Any]) -> bool:
        """As :meth:`Search.best` orders: the higher reward, then the earlier proposal."""
        best = self.best
        return best is None or (-row["reward"], row["number"]) < (-best["reward"], best["number"])

    def close(self) -> None:
        """Close what was opened here; the search itself is left alone."""
        if self._opened is not None:
            self._opened.close()

    @property
    def name(self) -> str:
        """The controller's."""
        return type(self.search.controller).__name__

    @property
    def learns(self) -> bool:
        """Whether the controller makes updates that can be drawn."""
        return isinstance(self.search.controller, PolicyGradient) or bool(self.updates)

    # --- numbers ------------------------------------------------------------------------------

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return len(self.mine.rows)

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
        if self.best is not None:
            parts.append(f"best reward {self.best['reward']:.4f}")
        if self.failures:
            parts.append(f"{len(self.failures):,} failed")
        return " · ".join(parts)

    def workers(self, now: float | None = None) -> list[tuple[str, str, str]]:
        """``(worker, trial, since)`` of each worker of a running search, in words."""
        now = time.time() if now is None else now
        return [
            (str(place), "idle", "")
            if work is None
            else (
                str(place),
                f"trial {work.number}, genotype {work.key}",
                f"{time.strftime('%H:%M:%S', time.localtime(work.since))}, "
                f"for {max(0.0, now - work.since):.0f} s",
            )
            for place, work in enumerate(self.search.activity)
        ]

    def failure_counts(self) -> list[tuple[str, int]]:
        """Statuses of failed trials and how many there are of each, the most frequent first."""
        return Counter(row["status"] for row in self.failures).most_common()


def said(error: BaseException) -> str:
    """What a user is told of an exception: the library's own message, or the kind and the text."""
    text = " ".join(str(error).split())
    return text if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {text}"

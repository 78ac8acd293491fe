"""The store: one SQLite file that holds all that a search has measured, at every moment.

One row a trial. It is written when the trial is proposed, and again when it has ended; only then is
the controller told. The controller's state is written with each of its updates. A process may be
killed at any moment: the search loads the newest state, tells the controller of the trials that
have ended since, in their order, and is where it was:

    proposed ──▶ ended (status, reward, completion order) ──▶ told ──▶ update + state

All SQL of the library is in this module and in ``schema.sql``. Every row and every part of a state
has a digest, which is checked when it is read: see ``schema.py``.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..checks import whole
from ..errors import SettingsError, StoreError
from ..files import create
from ..spaces import Space
from . import schema
from .packing import pack_distributions, pack_log_probs, pack_state, pack_tokens, unpack_state
from .sqlite_file import FORMAT, SCHEMA, copied, damaged, has_log, opened, place
from .trial import RETRAINED, Trial, unpack_row

FILE, LOCK = "search.sqlite", "search.lock"

#: SQL: the trial is waiting, running, or was stopped and will run again
UNFINISHED = "status IS NULL OR status = 'stopped'"
#: SQL: the trial measured a reward of its own
MEASURED = "(status = 'ok' AND NOT cached)"


class Store:
    """The SQLite file of one run folder.

    Args:
        directory: the run folder.
        space: decodes the trials' tokens; what reads no trial needs none.
        read_only: write nothing, not even into a folder that could be written.

    Raises:
        StoreError: no such file, a damaged one, or one of another format.
    """

    def __init__(
        self, directory: str | Path, space: Space | None = None, read_only: bool = False
    ) -> None:
        self.path = Path(directory).absolute() / FILE
        self.space = space
        if not self.path.is_file():
            raise StoreError(
                f"{directory} holds no search: there is no file {FILE} in it. Name the folder of a "
                "search, or start one"
            )
        self.connection = opened(self.path, read_only)
        self._place = place(self.path)
        self._lock = threading.RLock()  # a search's thread writes while others read
        self._checkpoint_at = 0.0
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Refuse a store without what every search has, and warn of one that may be behind."""
        meta, order = self._meta(), "completion_order"
        query = f"SELECT count({order}), min({order}), max({order}) FROM trials"
        ((count, first, last),) = self._all(f"{query} WHERE {order} IS NOT NULL")
        missing = [name for name in schema.ALWAYS if name not in meta]
        if missing or (count and (first, last) != (1, count)):
            raise damaged(self.path, f"{[*missing, 'a trial'][0]} is missing")
        lock = self.path.with_name(LOCK)  # of a search that runs, or was killed
        if meta.get("running") and not has_log(self.path) and not lock.exists():
            warnings.warn(
                f"{self.path} was copied without its log {FILE}-wal while its search ran: its last "
                "trials may be missing. Copy it again by `nasworkbench export`",
                stacklevel=4,
            )

    @staticmethod
    def create(directory: str | Path, meta: dict[str, Any]) -> None:
        """Make a new file, complete or not at all.

        Raises:
            StoreError: the folder holds a search already.
        """
        folder = Path(directory)
        rows = schema.meta_rows({"format": FORMAT, "created_at": time.time(), **meta})

        def write(path: Path) -> None:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.executescript(SCHEMA.read_text(encoding="utf-8"))
                connection.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)

        try:
            folder.mkdir(parents=True, exist_ok=True)
            create(
                folder / FILE,
                write,
                f"{folder} holds a search already. Go on with it by Search.resume({str(folder)!r}) "
                f"or `nasworkbench resume {folder}`, or choose another name",
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot make the run folder {folder}: {error}") from None

    def close(self) -> None:
        self.connection.close()

    # --- writing ------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is written, or nothing."""
        try:
            with self._lock, self.connection as connection:
                yield connection
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot write to {self.path}: {error}. What was stored before is safe"
            ) from error
        self.check_place()  # last, so that :meth:`copy_to` has this transaction too

    def check_place(self) -> None:
        """Whether what is written here can be found.

        Raises:
            StoreError: the file was deleted, moved or replaced since it was opened.
        """
        if self._place != place(self.path):
            raise StoreError(
                f"{self.path} was deleted, moved or replaced while its search was open. All "
                f"{self.finished_count} trials that have ended may be in this process only: write "
                "them into another folder by search.save_as(directory), and go on there. If you "
                "moved the folder, go on by Search.resume(its new place)"
            )

    def checkpoint(self, every: float = 0.0) -> None:
        """Bring the file up to date with its log; what is still being read there is left for the
        next time. Nothing is done if the last time was less than ``every`` seconds ago."""
        if time.monotonic() - self._checkpoint_at < every:
            return
        with self._lock, suppress(sqlite3.Error):
            self.connection.execute("PRAGMA busy_timeout = 0")  # wait for no reader
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.connection.execute("PRAGMA busy_timeout = 30000")
        self._checkpoint_at = time.monotonic()

    def begin_run(self, goal: int) -> None:
        """A second from now, and until the run has ended, the file says even without its log that
        it may be behind."""
        self.set_meta(goal=goal, running=True)
        self._checkpoint_at = time.monotonic() - 59  # of the minute from one to the next

    def set_meta(self, **values: Any) -> None:
        """Store JSON values under these names.

        Raises:
            SettingsError: JSON cannot hold one, or the library stores another one by this name.
        """
        rows = schema.meta_rows(values)
        with self._writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", rows)

    def proposed(self, trial: Trial) -> None:
        """A new trial."""
        proposal = trial.proposal
        blobs = {
            "tokens": pack_tokens(proposal.tokens),
            "log_probs": pack_log_probs(proposal.log_probs),
            "distributions": pack_distributions(proposal.distributions),
        }
        names = ("number", "key", "seed", "updates_at_proposal", "attempts", "cause")
        values = {name: getattr(trial, name) for name in names}
        with self._writing() as connection:
            self._insert(connection, "trials", proposed_at=time.time(), **values, **blobs)

    def started(self, trial: Trial) -> None:
        """The evaluation of a trial that was proposed earlier is started (again)."""
        self._update(trial.number, attempts=trial.attempts, cause=trial.cause)

    def ended(self, trial: Trial) -> None:
        """How a trial ended; the controller has not been told yet."""
        names = (
            "attempts", "status", "reward", "told_reward", "updates_at_tell", "completion_order",
            "cached", "cause", "seconds", "parameters", "worker",
        )  # fmt: skip
        values = {name: getattr(trial, name) for name in names}
        curves = None if trial.curves is None else json.dumps(trial.curves)
        self._update(trial.number, **values, curves=curves, ended_at=time.time())

    def _update(self, number: int, **values: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        with self._writing() as connection:
            connection.execute(
                f"UPDATE trials SET {columns} WHERE number = ?", (*values.values(), number)
            )
            self._seal(connection, "trials", number)

    def _insert(self, connection: sqlite3.Connection, table: str, **values: Any) -> None:
        places = "?, " * len(values)
        query = f"INSERT INTO {table} ({', '.join(values)}, digest) VALUES ({places} x'')"
        self._seal(connection, table, connection.execute(query, [*values.values()]).lastrowid)

    def _seal(self, connection: sqlite3.Connection, table: str, place: int | None) -> None:
        """Give a row the digest of what it now holds."""
        query = f"SELECT * FROM {table} WHERE rowid = ?"
        *_, seal = schema.sealed(connection.execute(query, (place,)).fetchone()[:-1])
        connection.execute(f"UPDATE {table} SET digest = ? WHERE rowid = ?", (seal, place))

    def save_state(self, state: Any, told: int, update: dict[str, Any] | None = None) -> None:
        """The controller's state once it has been told of the first ``told`` trials that ended;
        ``update`` is what its update measured, if it has just made one.

        Raises:
            SettingsError: the state holds something other than JSON values and arrays.
        """
        try:
            parts = pack_state({"told": told, "controller": state})
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"the controller's state cannot be stored ({error}). Let its state_dict() return "
                "dicts and lists of numbers, texts, arrays and tensors"
            ) from None
        with self._writing() as connection:
            if update is not None:
                self._insert(connection, "updates", told=told, metrics=json.dumps(update))
            connection.execute("DELETE FROM state")
            rows = map(schema.sealed, parts)
            connection.executemany("INSERT INTO state VALUES (?, ?, ?, ?, ?, ?)", rows)

    def copy_to(self, path: Path, without_state: bool = False, **notes: Any) -> None:
        """Copy the whole search, what is still in its log included, into one new file.

        Args:
            without_state: leave out the controller's state: a recording to look at.
            notes: JSON values to add to the copy.

        Raises:
            StoreError: the file is there already, or cannot be written.
        """
        rows = schema.meta_rows({"running": False, **notes})

        def write(path: Path) -> None:
            with copied(self.connection, path) as target:
                target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", rows)
                if without_state:
                    target.execute("DELETE FROM state")

        try:
            create(path, write, f"{path} is there already: choose another name")
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot copy {self.path} to {path}: {error}") from None

    def retrained(self, row: dict[str, Any]) -> None:
        """One network of the final judgement has been trained (or has failed)."""
        with self._writing() as connection:
            self._insert(connection, "retrainings", **row)

    # --- reading ------------------------------------------------------------------------------

    def meta(self, name: str, default: Any = None) -> Any:
        """A JSON value that was stored under this name."""
        return self._meta("WHERE name = ?", name).get(name, default)

    def _meta(self, where: str = "", *values: Any) -> dict[str, Any]:
        with self.reading("its named values"):
            return schema.read_meta(self._all(f"SELECT * FROM meta {where}", *values))

    def state(self) -> tuple[Any, int]:
        """The controller's newest state, and how many of the trials that ended it was told of;
        ``(None, 0)`` if none is stored."""
        rows = self._all("SELECT * FROM state")
        if not rows:
            return None, 0
        with self.reading("the controller's state"):
            stored = unpack_state(map(schema.unsealed, rows))
            return stored["controller"], whole("told", stored["told"], 0, self.finished_count)

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Whatever reading it raises becomes the error of a damaged file."""
        try:
            yield
        except StoreError:
            raise
        except schema.PROBLEMS as error:
            raise damaged(self.path, f"{what}: {error}") from error

    @property
    def finished_count(self) -> int:
        """Number of trials that have ended."""
        query = "SELECT max(completion_order) FROM trials WHERE completion_order IS NOT NULL"
        return self._all(query)[0][0] or 0

    @property
    def failed_count(self) -> int:
        """Number of trials that ended without a reward."""
        where = "status != 'ok' AND completion_order IS NOT NULL"
        return self._all(f"SELECT count(*) FROM trials WHERE {where}")[0][0]

    def trial(self, number: int) -> Trial | None:
        """The trial of this number; None if there is none."""
        return self._first("WHERE number = ?", number)

    def measured(self, key: str) -> Trial | None:
        """The first trial of this key that measured a reward; None if there is none."""
        return self._first(f"WHERE key = ? AND {MEASURED} ORDER BY completion_order", key)

    def unfinished(self) -> list[Trial]:
        """The trials that wait, run, or were stopped and will run again, by number."""
        return self._trials(f"WHERE {UNFINISHED} ORDER BY number")

    def proposed_from(self, number: int) -> list[Trial]:
        """The trials with this number or a higher one, by number."""
        return self._trials("WHERE number >= ? ORDER BY number", number)

    def finished_after(self, order: int) -> list[Trial]:
        """The trials that ended after the first ``order`` of them, in the order of completion."""
        return self._trials("WHERE completion_order > ? ORDER BY completion_order", order)

    def best(self, k: int) -> list[Trial]:
        """The ``k`` trials with the highest rewards, each of another architecture, best first."""
        limit = 2 * k
        while True:
            trials = self._trials(f"WHERE {MEASURED} ORDER BY reward DESC, number LIMIT ?", limit)
            distinct: dict[str, Trial] = {}
            for trial in trials:
                distinct.setdefault(trial.key, trial)
            if len(distinct) >= k or len(trials) < limit:
                return list(distinct.values())[:k]
            limit *= 4  # an architecture was measured more than once

    def rows(self, after: int = 0) -> list[dict[str, Any]]:
        """The columns of all trials that ended after the first ``after``, in the order of
        completion, tokens and probabilities unpacked; no space is needed."""
        return self._rows("WHERE completion_order > ? ORDER BY completion_order", after)

    def updates(self, after: int = 0) -> list[dict[str, Any]]:
        """One dict per update of the controller, those after number ``after`` (they count from 1):
        ``update``, ``told`` (trials that had ended by then), and what it measured."""
        query = "SELECT * FROM updates WHERE number > ? ORDER BY number"
        with self.reading("the controller's updates"):
            return [schema.read_update(row) for row in self._all(query, after)]

    def retrainings(self) -> list[dict[str, Any]]:
        """A dict per retrained network, with the columns of the table."""
        query = "SELECT * FROM retrainings ORDER BY origin, key, seed"
        with self.reading("the retrained networks"):
            rows = map(schema.unsealed, self._all(query))
            return [dict(zip(RETRAINED, row, strict=True)) for row in rows]

    # --- how rows are read --------------------------------------------------------------------

    def _rows(self, where: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of trials as dicts, checked and unpacked.

        Raises:
            StoreError: a row that has been changed or cannot be read.
        """
        rows = []
        for row in self._all(f"SELECT * FROM trials {where}", *values):
            with self.reading(f"trial {row[0]}"):
                rows.append(unpack_row(schema.unsealed(row)))
        return rows

    def _trials(self, where: str, *values: Any) -> list[Trial]:
        if self.space is None:
            raise StoreError("this store was opened without a space and cannot decode its trials")
        trials = []
        for row in self._rows(where, *values):
            with self.reading(f"trial {row['number']}"):
                trials.append(Trial.from_row(row, self.space))
        return trials

    def _first(self, where: str, *values: Any) -> Trial | None:
        return next(iter(self._trials(f"{where} LIMIT 1", *values)), None)

    def _all(self, query: str, *values: Any) -> list[tuple]:
        try:
            with self._lock:
                return self.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise damaged(self.path, error) from None

"""The store: one SQLite file that holds all that a search has measured, at every moment.

One row a trial. It is written when the trial is proposed, and again when it has ended; only then is
the controller told. The controller's state is written with each of its updates. A process may be
killed at any moment: the search loads the newest state, tells the controller of the trials that
have ended since, in their order, and is where it was:

    proposed ──▶ ended (status, reward, completion order) ──▶ told ──▶ update + state

All SQL of the library is in this module and in ``schema.sql``. Every row and every part of a state
has a digest, which is checked when it is read.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..errors import SettingsError, StoreError, WorkbenchError
from ..files import create
from ..spaces import Space
from .packing import (
    digest,
    pack_distributions,
    pack_log_probs,
    pack_state,
    pack_tokens,
    unpack_state,
)
from .sqlite_file import damaged, opened
from .trial import COLUMNS, Trial, unpack_row

FILE = "search.sqlite"
FORMAT = 2

#: SQL: the trial is waiting, running, or was stopped and will run again
UNFINISHED = "(status IS NULL OR status = 'stopped')"
#: SQL: the trial measured a reward of its own
MEASURED = "(status = 'ok' AND NOT cached)"

SCHEMA = Path(__file__).with_name("schema.sql")

_SELECT = f"SELECT {', '.join(COLUMNS)}, digest FROM trials"


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
        self.path = Path(directory) / FILE
        self.space = space
        if not self.path.is_file():
            raise StoreError(
                f"{directory} holds no search: there is no {FILE} in it. Name the folder of a "
                "search, or start one"
            )
        self.connection = opened(self.path, read_only)
        self._lock = threading.RLock()  # a search's thread writes while others read
        version = self.meta("format")
        if version != FORMAT:
            self.close()
            raise StoreError(
                f"{self.path} has format {version!r}; this version of nasworkbench reads format "
                f"{FORMAT}. Open it with the version that wrote it, or start a new search"
            )

    @staticmethod
    def create(directory: str | Path, meta: dict[str, Any]) -> None:
        """Make a new file, complete or not at all.

        Raises:
            StoreError: the folder holds a search already.
        """
        folder = Path(directory)
        meta = {"format": FORMAT, "created_at": time.time(), **meta}
        rows = [(name, json.dumps(value)) for name, value in meta.items()]

        def write(path: Path) -> None:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.executescript(SCHEMA.read_text(encoding="utf-8"))
                connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)

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

    def set_meta(self, **values: Any) -> None:
        """Store JSON values under these names."""
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in values.items()],
            )

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
        values |= {"proposed_at": time.time(), "digest": b"", **blobs}
        with self._writing() as connection:
            connection.execute(
                f"INSERT INTO trials ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                tuple(values.values()),
            )
            self._seal(connection, trial.number)

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
            self._seal(connection, number)

    def _seal(self, connection: sqlite3.Connection, number: int) -> None:
        """Give a row the digest of what it now holds."""
        row = connection.execute(f"{_SELECT} WHERE number = ?", (number,)).fetchone()
        connection.execute(
            "UPDATE trials SET digest = ? WHERE number = ?", (digest(row[:-1]), number)
        )

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
                connection.execute(
                    "INSERT INTO updates (told, metrics) VALUES (?, ?)", (told, json.dumps(update))
                )
            connection.execute("DELETE FROM state")
            connection.executemany(
                "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?)",
                [(*part, digest(part)) for part in parts],
            )

    def copy_to(self, path: Path, without_state: bool = False, **notes: Any) -> None:
        """Copy the whole search, what is still in its log included, into one file.

        Args:
            path: of the new file.
            without_state: leave out the controller's state: a recording to look at.
            notes: JSON values to add to the copy.

        Raises:
            StoreError: it cannot be read or written.
        """
        try:
            with closing(sqlite3.connect(path)) as target:
                self.connection.backup(target)
                with target:
                    if without_state:
                        target.execute("DELETE FROM state")
                    rows = [(name, json.dumps(value)) for name, value in notes.items()]
                    target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
                target.execute("PRAGMA journal_mode = DELETE")
                target.execute("VACUUM")
        except sqlite3.Error as error:
            raise StoreError(f"cannot copy {self.path} to {path}: {error}") from None

    def retrained(self, row: dict[str, Any]) -> None:
        """One network of the final judgement has been trained (or has failed)."""
        with self._writing() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO retrainings ({', '.join(row)}) "
                f"VALUES ({', '.join('?' * len(row))})",
                tuple(row.values()),
            )

    # --- reading ------------------------------------------------------------------------------

    def meta(self, name: str, default: Any = None) -> Any:
        """A JSON value that was stored under this name."""
        rows = self._all("SELECT value FROM meta WHERE name = ?", name)
        try:
            return json.loads(rows[0][0]) if rows else default
        except (TypeError, ValueError) as error:
            raise damaged(self.path, error) from None

    def state(self) -> tuple[Any, int]:
        """The controller's newest state, and how many of the trials that ended it was told of;
        ``(None, 0)`` if none is stored."""
        rows = self._all("SELECT name, kind, shape, dtype, value, digest FROM state")
        if not rows:
            return None, 0
        try:
            for row in rows:
                if digest(row[:-1]) != row[-1]:
                    raise ValueError(f"part {row[0]!r} does not match its digest")
            stored = unpack_state(row[:-1] for row in rows)
            return stored["controller"], stored["told"]
        except (TypeError, ValueError, LookupError) as error:
            raise damaged(self.path, f"the controller's state: {error}") from error

    @property
    def finished_count(self) -> int:
        """Number of trials that have ended."""
        return self._all("SELECT max(completion_order) FROM trials")[0][0] or 0

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
        where = "WHERE completion_order > ? ORDER BY completion_order"
        return self._rows(where, after)

    def updates(self, after: int = 0) -> list[dict[str, Any]]:
        """One dict per update of the controller, those after number ``after`` (they count from 1):
        ``update``, ``told`` (trials that had ended by then), and what it measured."""
        query = "SELECT number, told, metrics FROM updates WHERE number > ? ORDER BY number"
        try:
            return [
                {"update": number, "told": told, **json.loads(metrics)}
                for number, told, metrics in self._all(query, after)
            ]
        except (TypeError, ValueError) as error:
            raise damaged(self.path, f"the controller's updates: {error}") from None

    def retrainings(self) -> list[dict[str, Any]]:
        """A dict per retrained network, with the columns of the table."""
        names, rows = self._named("SELECT * FROM retrainings ORDER BY origin, key, seed")
        return [dict(zip(names, row, strict=True)) for row in rows]

    # --- how rows are read --------------------------------------------------------------------

    def _rows(self, where: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of trials as dicts, checked and unpacked.

        Raises:
            StoreError: a row that has been changed or cannot be read.
        """
        rows = []
        for *fields, stored in self._all(f"{_SELECT} {where}", *values):
            try:
                if digest(fields) != stored:
                    raise ValueError("it does not match its digest")
                rows.append(unpack_row(fields))
            except (TypeError, ValueError) as error:
                raise damaged(self.path, f"trial {fields[0]}: {error}") from None
        return rows

    def _trials(self, where: str, *values: Any) -> list[Trial]:
        if self.space is None:
            raise StoreError("this store was opened without a space and cannot decode its trials")
        trials = []
        for row in self._rows(where, *values):
            try:
                trials.append(Trial.from_row(row, self.space))
            except WorkbenchError as error:
                raise damaged(self.path, f"trial {row['number']}: {error}") from None
        return trials

    def _first(self, where: str, *values: Any) -> Trial | None:
        return next(iter(self._trials(f"{where} LIMIT 1", *values)), None)

    def _named(self, query: str, *values: Any) -> tuple[list[str], list[tuple]]:
        """Column names and rows of a query."""
        try:
            with self._lock:
                cursor = self.connection.execute(query, values)
                return [column[0] for column in cursor.description], cursor.fetchall()
        except sqlite3.DatabaseError as error:
            raise damaged(self.path, error) from None

    def _all(self, query: str, *values: Any) -> list[tuple]:
        return self._named(query, *values)[1]

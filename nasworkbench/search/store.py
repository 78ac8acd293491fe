"""The store: one SQLite file that holds all that a search has measured, at every moment.

One row a trial. A trial is written when it is proposed, when it has ended, and when the controller
has been told, the last together with the controller's new state in one transaction. So whatever
moment a process is killed at, the file says what remains to be done, and nothing is done twice:

    proposed ──▶ ended (status, reward, told = 0) ──▶ told (told = 1, new state)
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..controllers import Proposal
from ..errors import StoreError, WorkbenchError
from ..spaces import Space
from .sqlite_file import damaged, opened

if TYPE_CHECKING:
    import pandas

#: SQL: the trial is waiting, running, or was stopped and will run again
UNFINISHED = "(status IS NULL OR status = 'stopped')"

FILE = "search.sqlite"
FORMAT = 1

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE updates (number INTEGER PRIMARY KEY, told INTEGER NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,        -- the proposal's number
    tokens TEXT NOT NULL,              -- JSON list
    log_probs TEXT NOT NULL,           -- JSON list: log P of each token when it was drawn
    genotype TEXT NOT NULL,            -- JSON
    key TEXT NOT NULL,                 -- of the canonical genotype
    seed INTEGER NOT NULL,             -- of the child
    proposed_at REAL NOT NULL,         -- seconds since 1970
    status TEXT,                       -- NULL while it is waiting, running or to be run again
    reward REAL,
    told_reward REAL,                  -- what the controller was told; NULL: nothing
    told INTEGER NOT NULL DEFAULT 0,
    place INTEGER,                     -- order in which the trials ended
    cached INTEGER NOT NULL DEFAULT 0, -- 1: an earlier trial of the same key had been measured
    cause TEXT,                        -- why it failed, one line
    curves TEXT,                       -- JSON: the training history by epoch
    seconds REAL,
    parameters INTEGER,
    worker INTEGER,
    ended_at REAL
);
CREATE INDEX trials_key ON trials (key);
CREATE TABLE retrainings (             -- the best cells, trained again and judged on test data
    origin TEXT NOT NULL,              -- 'controller' or 'random'
    key TEXT NOT NULL,
    seed INTEGER NOT NULL,
    genotype TEXT NOT NULL,            -- JSON
    reward REAL,                       -- in the search
    status TEXT NOT NULL,
    cause TEXT,
    validation REAL,                   -- accuracy of the retrained network
    test REAL,
    seconds REAL,
    PRIMARY KEY (origin, key, seed)
);
"""

COLUMNS = (
    "number, tokens, log_probs, genotype, key, seed, status, reward, told_reward, told, place, "
    "cached, cause, curves, seconds, parameters, worker, proposed_at, ended_at"
)


@dataclass
class Trial:
    """One row: a proposal, and how its evaluation ended."""

    proposal: Proposal
    key: str
    seed: int
    status: str | None = None
    reward: float | None = None
    told_reward: float | None = None
    cached: bool = False
    cause: str | None = None
    curves: list[dict[str, Any]] | None = None
    seconds: float = 0.0
    parameters: int | None = None
    worker: int | None = None
    completion_order: int | None = None

    @property
    def number(self) -> int:
        return self.proposal.number

    @property
    def genotype(self) -> Any:
        return self.proposal.genotype

    def __repr__(self) -> str:
        reward = "no reward" if self.reward is None else f"reward {self.reward:.4f}"
        return f"Trial({self.number}, {self.status or 'unfinished'}, {reward}, key {self.key})"


class Store:
    """The SQLite file of one run folder.

    Raises:
        StoreError: no such file, a damaged one, or one of another format.
    """

    def __init__(self, directory: str | Path, space: Space | None = None) -> None:
        self.path = Path(directory) / FILE
        self.space = space
        if not self.path.is_file():
            raise StoreError(
                f"{directory} holds no search: there is no {FILE} in it. Name the folder of a "
                "search, or start one"
            )
        self.connection = opened(self.path)
        self._lock = threading.RLock()  # a search's thread writes while others read
        self._saved: dict[str, Any] = {}
        version = self.meta("format")
        if version != FORMAT:
            self.close()
            raise StoreError(f"{self.path} has format {version!r}; this version reads {FORMAT}")

    @staticmethod
    def create(directory: str | Path, meta: dict[str, Any]) -> None:
        """Make a new file, complete or not at all.

        Raises:
            StoreError: the folder holds a search already.
        """
        folder = Path(directory)
        path, half_made = folder / FILE, folder / (FILE + ".new")
        if path.exists():
            raise StoreError(
                f"{folder} holds a search already. Go on with it by Search.resume({str(folder)!r}) "
                f"or `nasworkbench resume {folder}`, or choose another name"
            )
        meta = {"format": FORMAT, "created_at": time.time(), **meta}
        rows = [(name, json.dumps(value)) for name, value in meta.items()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            half_made.unlink(missing_ok=True)
            with closing(sqlite3.connect(half_made)) as connection, connection:
                connection.executescript(SCHEMA)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
            os.replace(half_made, path)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot make the run folder {folder}: {error}") from None

    def meta(self, name: str, default: Any = None) -> Any:
        """A JSON value that was stored under this name."""
        row = self._one("SELECT value FROM meta WHERE name = ?", name)
        try:
            return default if row is None else json.loads(row[0])
        except (TypeError, ValueError) as error:
            raise damaged(self.path, error) from None

    def set_meta(self, **values: Any) -> None:
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in values.items()],
            )

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

    # --- the three writes of a trial ----------------------------------------------------------

    def proposed(self, trials: Iterable[Trial], state: dict[str, Any]) -> None:
        """New trials, and the controller's state after it was asked for them."""
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO trials (number, tokens, log_probs, genotype, key, seed, proposed_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        t.number,
                        json.dumps(t.proposal.tokens),
                        json.dumps(t.proposal.log_probs),
                        t.genotype.to_json(),
                        t.key,
                        t.seed,
                        time.time(),
                    )
                    for t in trials
                ],
            )
            self._write_state(connection, state)

    def ended(self, trial: Trial) -> None:
        """How a trial ended; the controller has not been told yet."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE trials SET status = ?, reward = ?, told_reward = ?, place = ?, cached = ?, "
                "cause = ?, curves = ?, seconds = ?, parameters = ?, worker = ?, ended_at = ? "
                "WHERE number = ?",
                (
                    trial.status,
                    trial.reward,
                    trial.told_reward,
                    trial.completion_order,
                    trial.cached,
                    trial.cause,
                    json.dumps(trial.curves),
                    trial.seconds,
                    trial.parameters,
                    trial.worker,
                    time.time(),
                    trial.number,
                ),
            )

    def told(
        self, trials: Iterable[Trial], state: dict[str, Any], update: dict[str, float] | None
    ) -> None:
        """The controller has been told; ``update`` is what its update measured, if it made one."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE trials SET told = 1 WHERE number = ?", [(t.number,) for t in trials]
            )
            if update is not None:
                connection.execute(
                    "INSERT INTO updates (told, metrics) "
                    "VALUES ((SELECT count(*) FROM trials WHERE told), ?)",
                    (json.dumps(update),),
                )
            self._write_state(connection, state)

    def retrained(self, row: dict[str, Any]) -> None:
        """One network of the final judgement has been trained (or has failed)."""
        with self._writing() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO retrainings ({', '.join(row)}) "
                f"VALUES ({', '.join('?' * len(row))})",
                tuple(row.values()),
            )

    # --- the controller's state, section by section, when it has changed ----------------------

    def _write_state(self, connection: sqlite3.Connection, state: dict[str, Any]) -> None:
        for name, section in state.items():
            if name in self._saved and _equal(self._saved[name], section):
                continue
            buffer = io.BytesIO()
            torch.save(section, buffer)
            connection.execute(
                "INSERT OR REPLACE INTO state VALUES (?, ?)", (name, buffer.getvalue())
            )
            self._saved[name] = _copy(section)

    def state(self) -> dict[str, Any]:
        """The controller's state as it was last stored; empty if it never was."""
        rows = self._all("SELECT name, value FROM state")
        self._saved.clear()  # a transaction may have been rolled back since
        try:
            return {n: torch.load(io.BytesIO(blob), weights_only=True) for n, blob in rows}
        except Exception as error:
            raise StoreError(f"{self.path}: the controller's state is damaged: {error}") from error

    # --- reading ------------------------------------------------------------------------------

    def trials(self, where: str = "1", *values: Any) -> list[Trial]:
        """The rows for which an SQL condition holds, by number."""
        rows = self._all(f"SELECT {COLUMNS} FROM trials WHERE {where} ORDER BY number", *values)
        return [self._trial(row) for row in rows]

    def count(self, where: str = "1", *values: Any) -> int:
        return self._all(f"SELECT count(*) FROM trials WHERE {where}", *values)[0][0]

    def measured(self, key: str) -> Trial | None:
        """The first trial of this key that was evaluated with success, if there is one."""
        row = self._one(
            f"SELECT {COLUMNS} FROM trials WHERE key = ? AND status = 'ok' AND NOT cached "
            "ORDER BY place LIMIT 1",
            key,
        )
        return None if row is None else self._trial(row)

    def updates(self, after: int = 0) -> list[dict[str, Any]]:
        """One dict per update of the controller, those after number ``after`` (they count from 1):
        number, trials told by then, and its metrics."""
        query = "SELECT number, told, metrics FROM updates WHERE number > ? ORDER BY number"
        rows = self._all(query, after)
        return [{"update": n, "told": told, **json.loads(m)} for n, told, m in rows]

    def retrainings(self) -> list[dict[str, Any]]:
        """A dict per retrained network, with the columns of the table."""
        names, rows = self._named("SELECT * FROM retrainings ORDER BY origin, key, seed")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _trial(self, row: tuple) -> Trial:
        if self.space is None:
            raise StoreError("this store was opened without a space and cannot decode its trials")
        (number, tokens, log_probs, _, key, seed, status, reward, told_reward, _, place, cached,
         cause, curves, seconds, parameters, worker, _, _) = row  # fmt: skip
        try:
            tokens, log_probs = tuple(json.loads(tokens)), tuple(json.loads(log_probs))
            curves = json.loads(curves) if curves else None
            proposal = Proposal(number, tokens, self.space.decode(tokens), log_probs)
        except (TypeError, ValueError, WorkbenchError) as error:
            raise damaged(self.path, f"trial {number}: {error}") from None
        return Trial(
            proposal, key, seed, status, reward, told_reward, bool(cached), cause,
            curves, seconds or 0.0, parameters, worker, place,
        )  # fmt: skip

    def frame_rows(self, first: int = 0) -> tuple[list[str], list[tuple]]:
        """Column names and rows of the finished trials whose number is at least ``first``, in the
        order in which they ended."""
        condition = f"number >= ? AND NOT {UNFINISHED}"
        return self._named(f"SELECT {COLUMNS} FROM trials WHERE {condition} ORDER BY place", first)

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

    def _one(self, query: str, *values: Any) -> tuple | None:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def close(self) -> None:
        self.connection.close()


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


def _copy(section: Any) -> Any:
    if isinstance(section, torch.Tensor):
        return section.clone()
    if isinstance(section, dict):
        return {name: _copy(value) for name, value in section.items()}
    if isinstance(section, list | tuple):
        return type(section)(map(_copy, section))
    return section


def trials_frame(store: Store) -> pandas.DataFrame:
    """All finished trials of a store; see :meth:`Search.trials`."""
    import pandas

    names, rows = store.frame_rows()
    frame = pandas.DataFrame(rows, columns=names)
    return frame.astype({"cached": bool, "told": bool, "reward": float, "told_reward": float})

"""Open the SQLite file of a search, and leave one that is damaged exactly as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ..errors import StoreError

TABLES = {"meta", "state", "updates", "trials", "retrainings"}


def opened(path: Path) -> sqlite3.Connection:
    """A connection for reading and writing.

    Raises:
        StoreError: a damaged file, or one that is no search. Not a byte of it has been changed: it
            is first opened for reading only, so that not even a left-over log is written into it.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader:
            (verdict,) = reader.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            if _cut_short(path, reader):
                raise sqlite3.DatabaseError("its end is missing")
            tables = {name for (name,) in reader.execute("SELECT name FROM sqlite_master")}
            if not tables >= TABLES:
                raise sqlite3.DatabaseError("it has not the tables of a search")
        connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
        # write-ahead log: a killed process loses nothing that was committed, and readers never wait
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        raise damaged(path, error) from None
    return connection


def _cut_short(path: Path, reader: sqlite3.Connection) -> bool:
    """Whether the last page is not all there, which SQLite takes for zeros without a word."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size > 0:
        return False  # the file may be behind its log
    (pages,), (size,) = (
        reader.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
    )
    return path.stat().st_size < pages * size


def damaged(path: Path, error: object) -> StoreError:
    """The error that says so."""
    reason = " ".join(str(error).split())
    return StoreError(
        f"{path} is damaged or no search ({reason}). It was left as it is: restore it from a copy, "
        "or start a search in another folder"
    )

"""Open the SQLite file of a search, and leave one that is damaged exactly as it is.

The file may come from anybody. It is read only if it holds the tables and indexes of ``schema.sql``
and nothing else: no view, trigger or expression that SQLite would run.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import StoreError

SCHEMA, RULES = (Path(__file__).with_name(name) for name in ("schema.sql", "rules.sql"))
FORMAT = 3
#: Bytes of one value (this project's choice): a file of somebody else's must not fill the memory.
LARGEST = 2**28


def opened(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """A connection for reading and writing, or for reading only.

    Raises:
        StoreError: a damaged file, one without a search or of another format, or one that cannot be
            read or written. Not a byte of it has been changed: it is first opened for reading only,
            so that not even a left-over log is written into it.
    """
    try:
        reader = _reader(path)
        try:
            _check(path, reader)
        finally:
            if not read_only:
                reader.close()
    except (sqlite3.Error, OSError) as error:
        if _closed_to_us(error):
            raise StoreError(f"cannot read {path}: {error}") from None
        raise damaged(path, error) from None
    if read_only:
        return reader
    try:
        connection = _connected(path)
        # write-ahead log: a killed process loses nothing that was committed, and readers never wait
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        raise StoreError(
            f"cannot write to {path}: {error}. Look at the search by History(directory), or copy "
            "its folder and go on there"
        ) from None
    return connection


def _connected(database: str | Path, **options: Any) -> sqlite3.Connection:
    """A connection that has read something: SQLite opens a file only then."""
    connection = sqlite3.connect(database, check_same_thread=False, timeout=30, **options)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
    connection.execute("SELECT count(*) FROM sqlite_master")
    return connection


def _reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, wherever the file lies.

    SQLite must be able to write beside a file even to read it. Where it cannot, and where it would
    leave files in a folder of somebody else's, a file without a log is read as one that nobody
    changes; one with a log is copied into memory.
    """
    log, index, journal = (path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))
    if any(os.path.lexists(helper) and not helper.is_file() for helper in (log, index, journal)):
        raise sqlite3.DatabaseError("what lies beside it are not files")
    if journal.exists() and journal.stat().st_size > 0:  # it can name any file, to be deleted
        raise sqlite3.DatabaseError(f"a process was killed that wrote {journal.name}")
    uri = f"{path.as_uri()}?mode=ro"
    if os.access(path, os.W_OK) or index.exists():
        try:
            return _connected(uri, uri=True)
        except sqlite3.OperationalError as error:
            if not _closed_to_us(error):
                raise
    if not has_log(path):
        return _connected(f"{uri}&immutable=1", uri=True)
    memory = _connected(":memory:")
    with tempfile.TemporaryDirectory(prefix="nasworkbench-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(_connected(Path(folder) / path.name)) as copy:
            copy.backup(memory)
    memory.execute("PRAGMA query_only = 1")
    return memory


def has_log(path: Path) -> bool:
    """Whether something may be in the file's log that is not in the file."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def _closed_to_us(error: Exception) -> bool:
    """Whether the file, or the folder that it is in, may not be opened or not be written."""
    name = getattr(error, "sqlite_errorname", "")
    return isinstance(error, OSError) or name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))


def _check(path: Path, reader: sqlite3.Connection) -> None:
    """Raise what is wrong with the file.

    The tables come first: to check the rest, SQLite computes what they define.
    """
    if _tables(reader) != _expected():
        raise sqlite3.DatabaseError(
            f"its tables are not those of a search of format {FORMAT}. If another version of "
            "nasworkbench wrote it, open it with that"
        )
    (verdict,) = reader.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    wrong = reader.execute(RULES.read_text(encoding="utf-8")).fetchone()
    if wrong:
        raise sqlite3.DatabaseError(f"{wrong[0]} holds what no search has written")
    (page,) = reader.execute("PRAGMA page_size").fetchone()
    if path.stat().st_size % page and not has_log(path):  # SQLite takes what is missing for zeros
        raise sqlite3.DatabaseError("its end is missing")


@cache
def _expected() -> list[tuple]:
    """What ``schema.sql`` makes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA.read_text(encoding="utf-8"))
        return _tables(connection)


def _tables(connection: sqlite3.Connection) -> list[tuple]:
    query = "SELECT name, type, tbl_name, sql FROM sqlite_master ORDER BY name, type"
    return connection.execute(query).fetchall()


def place(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file that is there; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def copied(source: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """A copy in one new file, the log included, to be changed inside."""
    with closing(sqlite3.connect(path)) as target:
        source.backup(target)
        with target:
            yield target
        target.execute("PRAGMA journal_mode = DELETE")
        target.execute("VACUUM")


def damaged(path: Path, error: object) -> StoreError:
    """The error that says so."""
    reason = " ".join(str(error).split())
    return StoreError(
        f"{path} is damaged or holds no search ({reason}). Nothing in it was changed: restore it "
        "from a copy, or start a search in another folder"
    )

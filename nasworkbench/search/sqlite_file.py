"""Open the SQLite file of a search, and leave one that is damaged exactly as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import StoreError

TABLES = {"meta", "state", "updates", "trials", "retrainings"}


def opened(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """A connection for reading and writing, or for reading only.

    Raises:
        StoreError: a damaged file, or one without a search. Not a byte of it has been changed: it
            is first opened for reading only, so that not even a left-over log is written into it.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as reader:
            (verdict,) = reader.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            if _cut_short(path, reader):
                raise sqlite3.DatabaseError("its end is missing")
            tables = {name for (name,) in reader.execute("SELECT name FROM sqlite_master")}
            if not tables >= TABLES:
                raise sqlite3.DatabaseError("the tables of a search are missing")
        if read_only:
            return sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=30)
        connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
        # write-ahead log: a killed process loses nothing that was committed, and readers never wait
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error as error:
        raise damaged(path, error) from None
    return connection


def _cut_short(path: Path, reader: sqlite3.Connection) -> bool:
    """Whether the last page is incomplete, which SQLite takes for zeros without a word."""
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
        f"{path} is damaged or holds no search ({reason}). Nothing in it was changed: restore it "
        "from a copy, or start a search in another folder"
    )


@contextmanager
def readable(folder: Path, file: str) -> Iterator[Path]:
    """The folder itself or, where nothing may be written, a copy of its file: SQLite must be able
    to write beside a file even to read it.

    Raises:
        StoreError: the file cannot be read.
    """
    path = folder / file
    if not path.is_file() or (os.access(folder, os.W_OK) and os.access(path, os.W_OK)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="nasworkbench-") as copy:
        try:
            for source in (path, path.with_name(file + "-wal")):
                if source.exists():
                    shutil.copyfile(source, Path(copy) / source.name)
            yield Path(copy)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from None
        except StoreError as error:
            raise StoreError(str(error).replace(copy, str(folder))) from None

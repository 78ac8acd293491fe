"""Recorded searches that come with the library, to look at without waiting for one.

>>> recordings.names()
('laptop', 'laptop-random')
>>> recordings.about("laptop")["command"]
'nasworkbench search --tier laptop --name recorded --seed 0'
>>> search.Recording(recordings.folder("laptop"))

Each is a real run's whole ``search.sqlite``, packed: every trial with its tokens, log-probabilities
and curves. Only the controller's last weights are left out, which can be re-enacted; so such a
search can be read, but not gone on with.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import secrets
import sqlite3
import tempfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import StoreError, listed
from ..search import Store
from ..search.sqlite_file import damaged
from ..search.store import FILE

#: The recordings, and the SHA-256 of the packed file of each.
RECORDINGS: dict[str, str] = {
    "laptop": "3ffcf6a53f55832f8b962f38e148cb1ad4a9405282008b722c646a163619169f",
    "laptop-random": "381ebd9fe9197e1f5450794a99e80d35ea62a94ba886abbfcfe361eefb62abea",
}

_AGAIN = "Install the library again"


def names() -> tuple[str, ...]:
    """The names that :func:`folder` and :func:`about` know."""
    return tuple(RECORDINGS)


def folder(name: str) -> Path:
    """A folder with the recorded search in it, unpacked for this process and gone at its end.

    Raises:
        StoreError: an unknown name, or a packed file that is missing or damaged.
    """
    if name not in RECORDINGS:
        raise StoreError(f"there is no recording {name!r}; the recordings are {listed(RECORDINGS)}")
    place = Path(_home().name) / name
    if not (place / FILE).is_file():
        place.mkdir(exist_ok=True)
        half_made = place / f"{FILE}.{secrets.token_hex(4)}"  # two threads may be here
        half_made.write_bytes(lzma.decompress(_packed(name)))
        os.replace(half_made, place / FILE)
    return place


def about(name: str) -> dict[str, Any]:
    """How a recording was made: command, date, number of trials, controller, and the
    versions and the machine, as in the store's provenance.

    Raises:
        StoreError: as :func:`folder`.
    """
    with closing(Store(folder(name))) as store:
        return {
            "command": store.meta("command"),
            "date": time.strftime("%Y-%m-%d", time.gmtime(store.meta("created_at"))),
            "trials": store.count("place IS NOT NULL"),
            "controller": store.meta("controller")["class"],
            **store.meta("provenance"),
        }


def pack(directory: str | Path, path: str | Path, command: str | None = None) -> str:
    """Make such a file from a run folder, which is only read.

    The controller's state is left out; trials, updates and retrainings are kept.

    Args:
        directory: the run folder.
        path: of the file, which ends in ``.sqlite.xz``.
        command: what the search was started with, for :func:`about`.

    Returns:
        The SHA-256 of the file.

    Raises:
        StoreError: no search there, a damaged one, or a path that cannot be written.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="nasworkbench-") as place:
        copy = Path(place) / FILE
        try:
            with closing(Store(directory)) as store, closing(sqlite3.connect(copy)) as target:
                store.connection.backup(target)  # with all that is still in its log
                with target:
                    target.execute("DELETE FROM state")
                    if command is not None:
                        target.execute(
                            "INSERT OR REPLACE INTO meta VALUES ('command', ?)",
                            (json.dumps(command),),
                        )
                target.execute("PRAGMA journal_mode = DELETE")
                target.execute("VACUUM")
        except sqlite3.Error as error:
            raise damaged(Path(directory) / FILE, error) from None
        packed = lzma.compress(copy.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
    try:
        path.write_bytes(packed)
    except OSError as error:
        raise StoreError(f"cannot write the recording to {path}: {error}") from None
    return hashlib.sha256(packed).hexdigest()


@cache
def _home() -> tempfile.TemporaryDirectory[str]:
    """Removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="nasworkbench-", ignore_cleanup_errors=True)


def _packed(name: str) -> bytes:
    path = Path(__file__).with_name(f"{name}.sqlite.xz")
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise StoreError(f"the recording {path} cannot be read: {error}. {_AGAIN}") from None
    if hashlib.sha256(packed).hexdigest() != RECORDINGS[name]:
        raise StoreError(f"the recording {path} is not the one that was shipped. {_AGAIN}")
    return packed

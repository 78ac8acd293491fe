"""Recorded searches, and experiments over many seeds, that come with the library.

>>> recordings.names()
('laptop', 'laptop-random')
>>> recordings.about("laptop")["command"]
'nasworkbench search --tier laptop --name recorded --seed 0'
>>> History(recordings.folder("laptop"))

Each is a real run's whole ``search.sqlite``, packed: every trial with its tokens, curves, and the
distributions it was drawn from. Only the controller's last weights are left out: such a search can
be read, but not gone on with.
"""

from __future__ import annotations

import hashlib
import lzma
import tempfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import StoreError, listed
from ..files import write_atomically
from ..search import History, Store
from ..search.store import FILE
from .experiments import Experiment, experiment

__all__ = [
    "RECORDINGS",
    "Experiment",
    "about",
    "experiment",
    "folder",
    "names",
    "pack",
]

#: The recordings, and the SHA-256 of the packed file of each.
RECORDINGS: dict[str, str] = {
    "laptop": "5d6973eb7ce1e8a7bf767178c03487fe1b974b0bdb1ce629aa9aa34d334a6bdd",
    "laptop-random": "9e1ad9e1a3d2cf4296fe5c27ae14279b097db66a0783763725465c3ee51a6d4f",
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
    unpacked = Path(_home().name) / name
    if not (unpacked / FILE).is_file():
        unpacked.mkdir(exist_ok=True)  # two threads may be here
        data = lzma.decompress(_packed(name))
        write_atomically(unpacked / FILE, data, f"the recording {name}", StoreError)
    return unpacked


def about(name: str) -> dict[str, Any]:
    """How a recording was made: command, date, number of trials, controller, and the
    versions and the machine, as in the store's provenance.

    Raises:
        StoreError: as :func:`folder`.
    """
    with History(folder(name)) as history:
        return {
            "command": history.meta("command"),
            "date": time.strftime("%Y-%m-%d", time.gmtime(history.meta("created_at"))),
            "trials": history.count,
            "controller": history.name,
            **history.meta("provenance"),
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
    notes = {} if command is None else {"command": command}
    with tempfile.TemporaryDirectory(prefix="nasworkbench-") as temporary:
        copy = Path(temporary) / FILE
        with closing(Store(directory, read_only=True)) as store:
            store.copy_to(copy, without_state=True, **notes)
        packed = lzma.compress(copy.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
    write_atomically(path, packed, "the recording", StoreError)
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

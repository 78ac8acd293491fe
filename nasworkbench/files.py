"""Files that are complete or not there at all, and folders that one process alone has made."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from .errors import StoreError, WorkbenchError


def write_atomically(
    path: str | Path, data: bytes, what: str, error: type[WorkbenchError] = WorkbenchError
) -> Path:
    """Write a file and return its path; what was there before stays until the new one is complete.

    Args:
        path: of the file; its folder exists. Through a symbolic link, the file it leads to.
        data: its bytes.
        what: how messages call it, e.g. ``the report``.
        error: what is raised.

    Raises:
        WorkbenchError: it cannot be written (no such folder, a full disk, no permission), or what
            is there is not a file.
    """
    path, target = Path(path), Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():  # a device would be replaced by a file
            raise OSError("there is something there that is not a file; choose another name")
        with _temporary(target) as temporary:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # some full disks are noticed only now
            os.replace(temporary, target)
    except OSError as problem:
        raise error(f"cannot write {what} to {path}: {problem.strerror or problem}") from None
    return path


def create(path: Path, write: Callable[[Path], object], taken: str) -> None:
    """Make a file that is not there yet, complete or not at all.

    Args:
        path: of the file; its folder exists.
        write: makes the file, under the other name in the same folder that it is given.
        taken: the error's message if the file is there. Of several processes that make it at one
            time, all but one get that error.

    Raises:
        StoreError: the file is there.
        OSError: it cannot be made.
    """
    if os.path.lexists(path):
        raise StoreError(taken)
    with _temporary(path) as temporary:
        write(temporary)
        try:
            os.link(temporary, path)  # unlike a move, this never replaces a file
        except FileExistsError:
            raise StoreError(taken) from None
        except OSError:  # a file system without links
            with FileLock(f"{path}.lock"):
                if os.path.lexists(path):
                    raise StoreError(taken) from None
                os.replace(temporary, path)


def new_directory(parent: str | Path, title: str) -> Path:
    """Make the folder ``<parent>/<title>-<time>``, or one that ends in ``-2``, ``-3``, ...: each
    process gets a folder of its own.

    Raises:
        StoreError: it cannot be made.
    """
    first = directory = Path(parent) / time.strftime(f"{title}-%Y%m%d-%H%M%S")
    number = 1
    while True:
        try:
            directory.mkdir(parents=True)
            return directory
        except OSError as error:
            if not os.path.lexists(directory):
                raise StoreError(f"cannot make the run folder {directory}: {error}") from None
            number += 1
            directory = first.with_name(f"{first.name}-{number}")


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A name in the same folder that nobody else uses; in the end there is nothing of that name."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

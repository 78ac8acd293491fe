"""A table as one file: numpy's npz, read without unpickling, verified by a checksum in the code."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy

from ..checks import file_bytes, json_value
from ..errors import TableError, shown
from ..files import write_atomically
from ..spaces import CellSpace
from .table import Numbers, Table

FORMAT = 1

#: Most bytes of a file, of what is packed in it, and of its description. This project's choice: the
#: shipped table's file has 160,000, and a million architectures of three seeds take a fifth of it.
MOST_BYTES = 64 * 2**20
MOST_UNPACKED = 4 * MOST_BYTES
MOST_ABOUT = 4 * 2**20


def save(table: Table, path: str | Path) -> str:
    """Write a table of a :class:`CellSpace`, complete or not at all; returns its checksum.

    The same table gives the same bytes: there is no time of day in them.

    Raises:
        TableError: a space of another kind, ``info`` that cannot be written as JSON (nor can NaN),
            keys that are not ASCII, faulty test accuracies, or the file cannot be written.
    """
    if not isinstance(table.space, CellSpace):
        raise TableError(f"only tables of a CellSpace can be saved, got one of {table.space!r}")
    about = {
        "format": FORMAT,
        "name": table.name,
        "space": table.space.settings(),
        "info": dict(table.info),
        "columns": sorted(table.columns),
    }
    try:
        text = json.dumps(about, sort_keys=True, allow_nan=False)
        keys = numpy.array(table.keys, dtype="S")
    except (TypeError, ValueError) as error:
        raise TableError(
            f"table {table.name}: its info or its keys cannot be written to a file ({error})"
        ) from None
    arrays = {
        "about": numpy.frombuffer(text.encode(), dtype=numpy.uint8),
        "tokens": table.tokens,
        "keys": keys,
        "validation": table.validation,
        "test": table.test,
        **{f"column_{name}": table.columns[name] for name in sorted(table.columns)},
    }
    if len(text) > MOST_ABOUT or sum(array.nbytes for array in arrays.values()) > MOST_UNPACKED:
        raise TableError(f"table {table.name}: it is too large for a file that can be read again")
    buffer = io.BytesIO()
    contiguous: dict[str, Any] = {k: numpy.ascontiguousarray(v) for k, v in arrays.items()}
    numpy.savez_compressed(buffer, **contiguous)
    write_atomically(path, buffer.getvalue(), "the table", TableError)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read(path: str | Path, checksum: str | None = None) -> Table:
    """The table in a file. Its test accuracies stay in the file's bytes until they are used.

    Args:
        path: a file that :func:`save` wrote.
        checksum: its SHA-256, if known; another one is an error.

    Raises:
        TableError: no such file, another checksum, a damaged file, or a table with a fault.
    """
    path = Path(path)
    data = verified(path, checksum, "To mend it, install the package again")
    with _damage_of(path):
        # numpy need not read a part to its end, where the archive's own check of its bytes is made.
        archive = zipfile.ZipFile(io.BytesIO(data))
        if sum(member.file_size for member in archive.infolist()) > MOST_UNPACKED:
            raise TableError(f"it unpacks to more than {MOST_UNPACKED:,} bytes")
        if (damaged := archive.testzip()) is not None:
            raise ValueError(f"the bytes of {damaged} are not those that were written")
        arrays = numpy.load(io.BytesIO(data), allow_pickle=False)
        about = json_value(arrays["about"].tobytes(), MOST_ABOUT, TableError)
        if about["format"] != FORMAT:
            raise TableError(f"its format is {shown(about['format'])}; this version reads {FORMAT}")
        keys = arrays["keys"]
        if keys.dtype.kind != "S" or not keys.dtype.itemsize:  # billions of them take no bytes
            raise TableError(f"its keys must be bytes, got {keys.dtype}")
        return Table(
            name=about["name"],
            space=CellSpace(**about["space"]),
            tokens=arrays["tokens"],
            keys=tuple(key.decode("ascii") for key in keys.ravel().tolist()),
            validation=arrays["validation"],
            read_test=partial(_test_accuracies, path, data),
            columns={name: arrays[f"column_{name}"] for name in about["columns"]},
            info={**about["info"]},
        )


def _test_accuracies(path: Path, data: bytes) -> Numbers:
    with _damage_of(path):
        return numpy.load(io.BytesIO(data), allow_pickle=False)["test"]


def verified(path: Path, checksum: str | None, advice: str) -> bytes:
    """The bytes of a table's file, before anything reads them.

    Args:
        path: of the file.
        checksum: its SHA-256 as it was published; None: it is the caller's own file.
        advice: the next step, for the message.

    Raises:
        TableError: no such file, or another checksum.
    """
    try:
        data = file_bytes(path, MOST_BYTES, "the table", TableError)
    except TableError as error:
        if checksum is None:
            raise
        raise TableError(f"{error}. {advice}") from None
    actual = hashlib.sha256(data).hexdigest()
    if checksum is not None and actual != checksum:
        raise TableError(
            f"the table {path} is not the one that was published: its SHA-256 must be {checksum}, "
            f"got {actual}. It has been cut short or changed. {advice}"
        )
    return data


@contextlib.contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Inside, whatever is raised becomes a TableError that names the file."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except Exception as error:  # a damaged archive can raise anything
        raise TableError(
            f"{path} is damaged or not a table ({type(error).__name__}: {error})"
        ) from None

"""A table as one file: numpy's npz, read without unpickling, verified by a checksum in the code."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy

from ..errors import TableError
from ..spaces import CellSpace
from .table import Numbers, Table

FORMAT = 1


def save(table: Table, path: str | Path) -> str:
    """Write a table of a :class:`CellSpace`, complete or not at all; returns its checksum.

    Raises:
        TableError: a space of another kind, ``info`` that is no JSON (NaN is none), keys that are
            not ASCII, faulty test accuracies, or the file cannot be written.
    """
    if not isinstance(table.space, CellSpace):
        raise TableError(f"only tables of a CellSpace have a file format, not {table.space!r}")
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
    data = _packed(arrays)
    path = Path(path)
    half_made = path.with_name(path.name + ".new")
    try:
        half_made.write_bytes(data)
        os.replace(half_made, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            half_made.unlink(missing_ok=True)
        raise TableError(f"cannot write the table to {path}: {error}") from None
    return hashlib.sha256(data).hexdigest()


def _packed(arrays: dict[str, Numbers]) -> bytes:
    """An npz file with no time of day in it: the same table gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            numpy.lib.format.write_array(member, numpy.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def read(path: str | Path, checksum: str | None = None) -> Table:
    """The table in a file.

    Args:
        path: a file that :func:`save` wrote.
        checksum: its SHA-256, if known; another one is an error.

    Raises:
        TableError: no such file, another checksum, a damaged file, or a table with a fault.
    """
    path = Path(path)
    data = verified(
        path, checksum, "the one that was published", "To mend it, install the package again"
    )
    with _damage_of(str(path)):
        return _unpacked(path, data)


def verified(path: Path, checksum: str | None, whose: str, advice: str) -> bytes:
    """The bytes of a table's file, before anything reads them.

    Args:
        path: of the file.
        checksum: its SHA-256, if known.
        whose: what a file with that checksum is, for the message.
        advice: the next step, for the message.

    Raises:
        TableError: no such file, or another checksum.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        step = f". {advice}" if checksum is not None else ""  # else it is the caller's own file
        raise TableError(f"cannot read the table {path}: {error}{step}") from None
    found = hashlib.sha256(data).hexdigest()
    if checksum is not None and found != checksum:
        raise TableError(
            f"the table {path} is not {whose}: its SHA-256 is {found}, expected {checksum}. It has "
            f"been cut short or changed. {advice}"
        )
    return data


@contextlib.contextmanager
def _damage_of(path: str) -> Iterator[None]:
    """Inside, whatever is raised becomes a TableError that names the file."""
    try:
        yield
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except Exception as error:  # a damaged archive can raise anything
        raise TableError(
            f"{path} is damaged or no table ({type(error).__name__}: {error})"
        ) from None


def _unpacked(path: Path, data: bytes) -> Table:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        about = json.loads(_array(archive, "about").tobytes())
        if about["format"] != FORMAT:
            raise TableError(f"it has format {about['format']!r}; this version reads {FORMAT}")
        return Table(
            name=about["name"],
            space=CellSpace(**about["space"]),
            tokens=_array(archive, "tokens"),
            keys=tuple(_array(archive, "keys").astype(str).tolist()),
            validation=_array(archive, "validation"),
            read_test=_Member(str(path), data, "test"),
            columns={name: _array(archive, f"column_{name}") for name in about["columns"]},
            info=about["info"],
        )


def _array(archive: zipfile.ZipFile, name: str) -> Numbers:
    """An array of the archive. (``numpy.load`` need not read a member to its end, where the
    archive's own check of its bytes is made.)"""
    member = io.BytesIO(archive.read(f"{name}.npy"))
    return numpy.lib.format.read_array(member, allow_pickle=False)


class _Member:
    """Reads one array of an npz file when it is called; can be sent to another process."""

    def __init__(self, path: str, data: bytes, name: str) -> None:
        self.path, self.data, self.name = path, data, name

    def __call__(self) -> Numbers:
        with _damage_of(self.path), zipfile.ZipFile(io.BytesIO(self.data)) as archive:
            return _array(archive, self.name)

"""A table as one file: numpy's npz, read without unpickling, verified by a checksum in the code."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import numpy

from ..errors import TableError
from ..spaces import CellSpace
from .table import Numbers, Table

FORMAT = 1


def save(table: Table, path: str | Path) -> str:
    """Write a table of a :class:`CellSpace`, complete or not at all; returns its checksum.

    Raises:
        TableError: a space of another kind, or the file cannot be written.
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
    arrays = {
        "about": numpy.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=numpy.uint8),
        "tokens": table.tokens.astype(numpy.uint8),
        "keys": numpy.array(table.keys, dtype="S"),
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
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"cannot read the table {path}: {error}") from None
    found = hashlib.sha256(data).hexdigest()
    if checksum is not None and found != checksum:
        raise TableError(
            f"the table {path} is not the one that was published: its SHA-256 is {found}, expected "
            f"{checksum}. It has been cut short or changed: install the package again"
        )
    try:
        return _unpacked(data)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except Exception as error:  # a damaged archive can raise anything
        raise TableError(
            f"{path} is damaged or no table ({type(error).__name__}: {error})"
        ) from None


def _unpacked(data: bytes) -> Table:
    with numpy.load(io.BytesIO(data), allow_pickle=False) as archive:
        about = json.loads(archive["about"].tobytes())
        if about["format"] != FORMAT:
            raise TableError(f"it has format {about['format']!r}; this version reads {FORMAT}")
        keys = tuple(archive["keys"].astype(str).tolist())
        return Table(
            name=about["name"],
            space=CellSpace(**about["space"]),
            tokens=archive["tokens"],
            keys=keys,
            validation=archive["validation"],
            read_test=_Member(data, "test"),
            columns={name: archive[f"column_{name}"] for name in about["columns"]},
            info=about["info"],
        )


class _Member:
    """Reads one array of an npz file when it is called; can be sent to another process."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name

    def __call__(self) -> Numbers:
        with numpy.load(io.BytesIO(self.data), allow_pickle=False) as archive:
            return archive[self.name]

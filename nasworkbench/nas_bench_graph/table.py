"""NAS-Bench-Graph: published tables of really trained graph networks, an independent baseline.

Qin et al., NeurIPS 2022. The files come with the PyPI package ``nas-bench-graph`` (Apache-2.0);
none of its code is run. They are pickles, and a pickle can run anything: so a file must have the
checksum that is written here, and is read by an unpickler that knows no more than numbers.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
import struct
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy

from ..checks import choice
from ..errors import TableError, WorkbenchError, listed
from ..tables.files import verified
from ..tables.table import Numbers, Table
from .space import GRAPH_OPERATIONS, PROTEINS_OPERATIONS, GraphSpace

PACKAGE = "nas_bench_graph"
VERSION = "1.4.0"
REINSTALL = f"Install it again: pip install --force-reinstall nas-bench-graph=={VERSION}"

#: The tables, and the SHA-256 of the file of each (``light/<data set>.bench``).
GRAPH_TABLES = {
    "graph-arxiv": "7ee21a7653297a806c0ed1be3efe6ecc06acc84e48e942da0bfde0e5d287debe",
    "graph-citeseer": "99c7f79b73372636305bf73fb32a58b63c57bd1871a152dd62ec72d984c8c50f",
    "graph-computers": "fdb3dc0cf405d62322f0ab9614b2083c2a5e6576c2f43e4f2214be64bc62b1b3",
    "graph-cora": "5e69b2f9bb08d8927d9ffd4921f8494a3cea349c9c3a461334cb9dc9e11701a8",
    "graph-cs": "71ae8469930517160b024f52db6000a4897f1aff5d765beb27bb60952ed5bd31",
    "graph-photo": "5511b4dc3f63fa988792177227db7901290fb9b27fc6c02e3036b29e134ed6df",
    "graph-physics": "1e309bafee0b832c8b84fa3c039c36992bc0a910238b128f26b7e9190d7f2aea",
    "graph-proteins": "b9e7fb0902bda44fec32c948e5fde822fb22d38d674c52e43ace5197378f2d21",
    "graph-pubmed": "10b4dcf6cfd3a24f6059f7d541a4a872960b4adac0b3dba26abed1bb9a3d904d",
}

FIELDS = ("valid_perf", "perf", "latency", "para")  # perf is that of the test split

#: What the package's files hold: for each architecture's code the four numbers.
Records = dict[int, dict[str, float]]


def load_graph_table(name: str) -> Table:
    """A table of NAS-Bench-Graph: 26,206 architectures, 2,021 of ``graph-proteins``.

    One value an architecture and split, the mean of three trainings; parameters (a mean too, made
    whole) and latency as published. Every architecture of the space was trained, except the one
    that is not a network: four skips (9 token sequences, key ``input``).

    Args:
        name: out of :data:`GRAPH_TABLES`.

    Raises:
        TableError: an unknown name, a file that is missing or not the published one.
        WorkbenchError: the package is not installed.
    """
    choice("a table of NAS-Bench-Graph", name, GRAPH_TABLES, TableError)
    dataset = name.removeprefix("graph-")
    space = GraphSpace(PROTEINS_OPERATIONS if dataset == "proteins" else GRAPH_OPERATIONS)
    path = _folder() / "light" / f"{dataset}.bench"
    records = read_records(path, GRAPH_TABLES[name])
    tokens = _tokens(list(records), space)
    return Table(
        name=name,
        space=space,
        tokens=tokens,
        keys=tuple(space.decode(row).key for row in tokens.tolist()),
        validation=_column(records, "valid_perf")[:, None],
        read_test=partial(_test_values, path, GRAPH_TABLES[name]),
        columns={
            "parameters": numpy.rint(1e6 * _column(records, "para")).astype(numpy.int64),
            "latency": _column(records, "latency"),
        },
        info={
            "source": f"NAS-Bench-Graph (Qin et al., NeurIPS 2022), data set {dataset}",
            "package": "nas-bench-graph",
            "version": VERSION,
            "licence": "Apache-2.0",
            "complete": True,
            "except": "four skips (9 token sequences, key 'input') were not trained: no network",
        },
    )


def _folder() -> Path:
    """Where the package is installed; it is not imported.

    Raises:
        WorkbenchError: it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WorkbenchError(
            f"the package '{PACKAGE}' is needed here and is not installed. "
            'Install it with: pip install "nasworkbench[graphs]"'
        )
    return Path(spec.submodule_search_locations[0])


def read_records(path: str | Path, checksum: str) -> Records:
    """The numbers in a file of the package.

    Args:
        path: a ``.bench`` file.
        checksum: its SHA-256. Nothing is unpickled of a file that has another one: even numbers and
            texts alone can be packed so that they fill the memory.

    Raises:
        TableError: no such file, another checksum, or content that is not such a table.
    """
    data = verified(Path(path), checksum, REINSTALL)
    try:
        records = _NumbersOnly(io.BytesIO(data)).load()
        _check(records)
    except Exception as error:  # a damaged pickle can raise anything
        raise TableError(
            f"{path} is damaged or not a table of NAS-Bench-Graph "
            f"({type(error).__name__}: {error}). {REINSTALL}"
        ) from None
    return records


class _DType:
    """Stands for ``numpy.dtype``, and what it returns for the dtype itself: 64-bit floats.

    A pickle can set attributes on whatever it holds; on things without any it fails.
    """

    __slots__ = ()

    def __call__(self, *arguments: object) -> _DType:
        if arguments != ("f8", False, True):
            raise pickle.UnpicklingError(f"it asks for the dtype {arguments!r:.80}, not for 'f8'")
        return self

    def __setstate__(self, state: object) -> None:
        if state != (3, "<", None, None, None, -1, -1, 0):  # little-endian, without fields
            raise pickle.UnpicklingError(f"it holds 64-bit floats of another kind: {state!r:.80}")


class _Scalar:
    """Stands for numpy's ``scalar``: a number from its dtype and its bytes."""

    __slots__ = ()

    def __call__(self, dtype: object, data: object) -> float:
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("it holds a number that is not a 64-bit float")
        return struct.unpack("<d", data)[0]


class _NumbersOnly(pickle.Unpickler):
    """Reads dicts, texts, numbers and numpy's 64-bit floats; everything else is refused.

    Two names of numpy are all that such a float needs, and they are answered by this file, so that
    a pickle calls nothing of numpy either.
    """

    ANSWERS: ClassVar = {
        ("numpy", "dtype"): _DType(),
        ("numpy.core.multiarray", "scalar"): _Scalar(),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ANSWERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no table needs")
        return self.ANSWERS[module, name]


def _check(records: object) -> None:
    if not isinstance(records, dict) or not records:
        raise ValueError("it does not hold a dict of architectures")
    for code, record in records.items():
        whole = type(code) is int and isinstance(record, dict) and tuple(record) == FIELDS
        if not whole or not all(type(value) is float for value in record.values()):
            raise ValueError(f"the entry {code!r:.40} does not hold the numbers {listed(FIELDS)}")
        if not 0 <= code < 90_000:
            raise ValueError(f"{code} is not the code of an architecture")


def _column(records: Records, name: str) -> Numbers:
    return numpy.array([record[name] for record in records.values()])


def _tokens(codes: list[int], space: GraphSpace) -> Numbers:
    """(n, 5): an architecture's code has five decimal digits, its wiring and its operations.

    The digits of the operations count all nine, in the file of ``proteins`` too (the authors'
    ``valid_hash()``; their ``hash_arch(use_proteins=True)`` makes other codes than that file has).

    Raises:
        TableError: a code of operations that the space does not have.
    """
    digits = numpy.array(codes)[:, None] // 10 ** numpy.arange(4, -1, -1) % 10
    token_of = numpy.full(10, -1)
    for token, operation in enumerate(space.operations):
        token_of[GRAPH_OPERATIONS.index(operation)] = token
    tokens = numpy.column_stack([digits[:, 0], token_of[digits[:, 1:]]])
    unknown = numpy.flatnonzero((tokens < 0).any(1))
    if len(unknown):
        raise TableError(f"the code {codes[unknown[0]]} is not an architecture of {space!r}")
    return tokens


def _test_values(path: Path, checksum: str) -> Numbers:
    """(n, 1), read from the file only when somebody asks for them."""
    return _column(read_records(path, checksum), "perf")[:, None]

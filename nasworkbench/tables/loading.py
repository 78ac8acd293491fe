"""Tables by name: the library's own, and those of NAS-Bench-Graph."""

from __future__ import annotations

from pathlib import Path

from ..errors import TableError, listed
from ..nas_bench_graph.table import GRAPH_TABLES, load_graph_table
from .files import read
from .table import Table

#: The tables that come with the library, and the SHA-256 of the file of each.
OWN: dict[str, str] = {"cells": "d1b1f715523d4ddc8f39b82743d92784aa74d4b695c75ada010463cfa4660949"}


def names() -> tuple[str, ...]:
    """The names that :func:`load` knows."""
    return (*OWN, *GRAPH_TABLES)


def load(name: str) -> Table:
    """A table by its name; see :func:`names`.

    The file is read and checked anew at every call, which takes up to a second: keep the table. The
    names that begin with ``graph-`` need the package ``nas-bench-graph``
    (``pip install "nasworkbench[graphs]"``).

    Raises:
        TableError: an unknown name, or a file that is missing, damaged or changed.
        WorkbenchError: a package is not installed.
    """
    if name not in names():
        raise TableError(f"there is no table {name!r}; the tables are {listed(names())}")
    if name in OWN:
        return read(Path(__file__).with_name(f"{name}.npz"), OWN[name])
    return load_graph_table(name)

"""NAS-Bench-Graph: the published benchmark of graph networks, with its space, tables and pictures.

Qin et al., NeurIPS 2022. It is one of two kinds of architecture: whatever another kind needs is
here. Importing the package makes its JSON readable (``genotype.FORMATS``) and its architectures
drawable (``drawing.source``).
"""

from .. import tables  # noqa: F401  # first: it imports .table, which imports modules of tables
from .drawing import graph_source
from .space import GRAPH_OPERATIONS, PROTEINS_OPERATIONS, WIRINGS, GraphArchitecture, GraphSpace
from .table import GRAPH_TABLES, load_graph_table

__all__ = [
    "GRAPH_OPERATIONS",
    "GRAPH_TABLES",
    "PROTEINS_OPERATIONS",
    "WIRINGS",
    "GraphArchitecture",
    "GraphSpace",
    "graph_source",
    "load_graph_table",
]

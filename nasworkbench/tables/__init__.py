"""Tables of really trained networks: a search in seconds, and a baseline that can be trusted.

>>> table = tables.load("cells")
>>> search = Search(table.space, PPO(table.space), TableEvaluator(table))
"""

from ..nas_bench_graph.table import GRAPH_TABLES, load_graph_table
from .building import TABLES, TableSettings, build
from .evaluator import TableEvaluator
from .exact import ExactTable, exact_toy
from .files import read, save
from .loading import load, names
from .reliability import Reliability, reliability
from .table import Table

__all__ = [
    "GRAPH_TABLES",
    "TABLES",
    "ExactTable",
    "Reliability",
    "Table",
    "TableEvaluator",
    "TableSettings",
    "build",
    "exact_toy",
    "load",
    "load_graph_table",
    "names",
    "read",
    "reliability",
    "save",
]

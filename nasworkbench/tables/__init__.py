"""Tables of really trained networks: a search in seconds, and a referee that can be trusted.

>>> table = tables.load("cells")
>>> search = Search(table.space, PPO(table.space), TableEvaluator(table))
"""

from .building import build
from .exact import ExactTable, exact_toy
from .files import read, save
from .graphs import GRAPH_TABLES, load_graph_table
from .loading import load, names
from .plans import PLANS, Plan, TableChild
from .reliability import Reliability, reliability
from .table import Table

__all__ = [
    "GRAPH_TABLES",
    "PLANS",
    "ExactTable",
    "Plan",
    "Reliability",
    "Table",
    "TableChild",
    "build",
    "exact_toy",
    "load",
    "load_graph_table",
    "names",
    "read",
    "reliability",
    "save",
]

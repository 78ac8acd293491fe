"""Tables of really trained networks: a search in seconds, and a referee that can be trusted.

>>> table = tables.load("cells")
>>> search = Search(table.space, PPO(table.space), TableEvaluator(table))
"""

from .building import build
from .files import read, save
from .plans import PLANS, Plan, TableChild
from .reliability import Reliability, reliability
from .table import Table

__all__ = [
    "PLANS",
    "Plan",
    "Reliability",
    "Table",
    "TableChild",
    "build",
    "read",
    "reliability",
    "save",
]

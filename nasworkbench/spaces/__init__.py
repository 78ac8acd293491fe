"""Search spaces: what a controller may decide, in which order, and what its decisions mean."""

from .base import Decision, Space, UniqueArchitectures
from .cell_space import CellSpace
from .graph_space import (
    GRAPH_OPERATIONS,
    PROTEINS_OPERATIONS,
    WIRINGS,
    GraphArchitecture,
    GraphSpace,
)

__all__ = [
    "GRAPH_OPERATIONS",
    "PROTEINS_OPERATIONS",
    "WIRINGS",
    "CellSpace",
    "Decision",
    "GraphArchitecture",
    "GraphSpace",
    "Space",
    "UniqueArchitectures",
]

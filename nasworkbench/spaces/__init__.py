"""Search spaces: what a controller may decide, in which order, and what its decisions mean."""

from .cell_space import CellSpace, Decision

__all__ = ["CellSpace", "Decision"]

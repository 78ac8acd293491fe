"""Search spaces: what a controller may decide, in which order, and what its decisions mean."""

from .base import Decision, Space, UniqueArchitectures
from .cell_space import CellSpace

__all__ = ["CellSpace", "Decision", "Space", "UniqueArchitectures"]

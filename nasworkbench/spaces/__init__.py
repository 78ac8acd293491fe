"""Search spaces: what a controller may decide, in which order, and what its decisions mean."""

from .base import Classes, Decision, Space
from .cell_space import CellSpace

__all__ = ["CellSpace", "Classes", "Decision", "Space"]

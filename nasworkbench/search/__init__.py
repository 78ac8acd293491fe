"""The search itself: the ask/tell loop, the store that survives everything, and its history."""

from .history import History
from .search import Search
from .store import Store
from .trial import Trial

__all__ = ["History", "Search", "Store", "Trial"]

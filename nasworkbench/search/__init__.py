"""The search itself: the ask/tell loop, and the store that survives everything."""

from .recording import Recording
from .search import Search
from .store import Store, Trial, trials_frame

__all__ = [
    "Recording",
    "Search",
    "Store",
    "Trial",
    "trials_frame",
]

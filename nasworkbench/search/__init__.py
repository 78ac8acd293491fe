"""The search itself: evaluators, the ask/tell loop, and the store that survives everything."""

from .evaluators import Evaluation, TrainingEvaluator
from .search import Search, trials_frame
from .store import Store, Trial

__all__ = ["Evaluation", "Search", "Store", "TrainingEvaluator", "Trial", "trials_frame"]

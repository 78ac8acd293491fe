"""The search itself: evaluators, the ask/tell loop, and the store that survives everything."""

from .evaluators import Evaluation, TrainingEvaluator
from .search import Search
from .store import Store, Trial, trials_frame
from .table_evaluator import TableEvaluator

__all__ = [
    "Evaluation",
    "Search",
    "Store",
    "TableEvaluator",
    "TrainingEvaluator",
    "Trial",
    "trials_frame",
]

"""The search itself: evaluators, the ask/tell loop, and the store that survives everything."""

from .evaluators import Evaluation, TrainingEvaluator
from .recording import Recording
from .search import Search
from .store import Store, Trial, trials_frame
from .table_evaluator import TableEvaluator

__all__ = [
    "Evaluation",
    "Recording",
    "Search",
    "Store",
    "TableEvaluator",
    "TrainingEvaluator",
    "Trial",
    "trials_frame",
]

"""The baseline: who was better, and how sure is that?

:func:`compare` judges controllers by many searches on a table; ``judging`` judges one pair of real
searches by training their best cells again.
"""

from .bootstrap import Verdict, bootstrap_difference, bootstrap_mean, bootstrap_means
from .compare import compare
from .comparison import MEASURES, Comparison
from .retraining import ORIGINS, TrainOrRetrain, best_retrained, retrain_best, verdict
from .table_result import TableResult, table_result
from .table_run import Run

__all__ = [
    "MEASURES",
    "ORIGINS",
    "Comparison",
    "Run",
    "TableResult",
    "TrainOrRetrain",
    "Verdict",
    "best_retrained",
    "bootstrap_difference",
    "bootstrap_mean",
    "bootstrap_means",
    "compare",
    "retrain_best",
    "table_result",
    "verdict",
]

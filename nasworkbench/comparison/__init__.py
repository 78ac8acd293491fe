"""Comparisons with a baseline: who was better, and how sure is that?

:func:`compare` runs many searches on a table. :func:`retrain_best` trains the best cells of two
real searches again, for the :func:`verdict` on that pair. :func:`table_result` says how good one
search on a table was.
"""

from .bootstrap import MINIMA, Verdict, bootstrap_difference, bootstrap_mean, bootstrap_means
from .compare import compare
from .comparison import MEASURES, Comparison
from .retraining import ORIGINS, TrainOrRetrain, best_retrained, retrain_best, verdict
from .table_result import TableResult, table_result
from .table_run import Run

__all__ = [
    "MEASURES",
    "MINIMA",
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

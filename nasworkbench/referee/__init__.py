"""The referee: who was better, and how sure is that?

:func:`compare` judges controllers by many searches on a table; ``judging`` judges one pair of real
searches by training their best cells again.
"""

from .bootstrap import Verdict, bootstrap_difference, bootstrap_mean, bootstrap_means
from .comparing import compare
from .comparison import MEASURES, Comparison
from .contest import Run
from .judging import ORIGINS, Retrain, Work, best_judged, retrain_best, verdict
from .revealing import Revealed, reveal

__all__ = [
    "MEASURES",
    "ORIGINS",
    "Comparison",
    "Retrain",
    "Revealed",
    "Run",
    "Verdict",
    "Work",
    "best_judged",
    "bootstrap_difference",
    "bootstrap_mean",
    "bootstrap_means",
    "compare",
    "retrain_best",
    "reveal",
    "verdict",
]

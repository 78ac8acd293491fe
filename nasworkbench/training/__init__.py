"""Recipes, the training loop for child networks, and the evaluator that a search calls."""

from .device import find_device
from .evaluation import evaluate
from .evaluator import Evaluation, TrainingEvaluator
from .loop import TrainingResult, train
from .recipe import Recipe

__all__ = [
    "Evaluation",
    "Recipe",
    "TrainingEvaluator",
    "TrainingResult",
    "evaluate",
    "find_device",
    "train",
]

"""Recipes and the training loop for child networks."""

from .device import find_device
from .evaluation import evaluate
from .loop import TrainingResult, train
from .recipe import Recipe

__all__ = ["Recipe", "TrainingResult", "evaluate", "find_device", "train"]

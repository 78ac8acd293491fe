"""Data sets by name, found on this machine, with a test split that a search never touches."""

from .dataset import Dataset
from .loading import Description, default_root, describe, load, names
from .splits import FileSplit, Split

__all__ = [
    "Dataset",
    "Description",
    "FileSplit",
    "Split",
    "default_root",
    "describe",
    "load",
    "names",
]

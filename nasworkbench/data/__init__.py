"""Data sets by name, found on this machine, with a test split that a search never touches."""

from .dataset import Dataset
from .loading import Description, describe, load, names
from .splits import FileSplit, Split

__all__ = ["Dataset", "Description", "FileSplit", "Split", "describe", "load", "names"]

"""From a genotype to a ``torch.nn.Module``: operations, cells, the stacked child network."""

from .. import drawing
from .building import build
from .cell import CellModule
from .drop_path import drop_path, keep_probability
from .layout import STEMS, Layer
from .network import CellNetwork
from .operations import State, build_operation
from .profiling import Profile, profile

__all__ = [
    "STEMS",
    "CellModule",
    "CellNetwork",
    "Layer",
    "Profile",
    "State",
    "build",
    "build_operation",
    "drop_path",
    "keep_probability",
    "profile",
]

drawing.source.register(CellNetwork, drawing.network_source)

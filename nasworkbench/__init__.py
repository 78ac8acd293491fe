"""nasworkbench: a controller designs cells, reinforcement learning trains the controller.

The names below are the library's face. They load when they are first used, so that importing the
package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "errors": ("WorkbenchError",),
    "genotype": ("NASNET_OPERATIONS", "OPERATIONS", "Block", "Cell", "Genotype"),
    "spaces": ("CellSpace",),
    "drawing": ("Drawing", "draw"),
    "networks": ("CellNetwork", "profile"),
    "controllers": (
        "PPO",
        "Outcome",
        "Proposal",
        "RandomSearch",
        "Reinforce",
        "RegularizedEvolution",
    ),
    "training": ("Evaluation", "Recipe", "TrainingEvaluator", "evaluate", "train"),
    "tables": ("TableEvaluator",),
    "nas_bench_graph": ("GraphSpace",),
    "comparison": ("compare",),
    "search": ("History", "Search"),
    "widgets": ("CellEditor", "ControllerStepper", "SearchDashboard", "SearchReplay"),
}
_MODULES = ("data", "dialects", "plots", "recordings", "report", "tables", "tiers", "zoo")
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*_HOME_OF, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'nasworkbench' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

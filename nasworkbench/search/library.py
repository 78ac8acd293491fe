"""How a stored search is built again: settings as JSON, and the classes they may name.

This dict is all there is: a run folder can name these classes and no others. Everything else is
the user's own and is passed to ``Search.resume`` by hand.
"""

from __future__ import annotations

import json
from typing import Any

from ..controllers import PPO, RandomSearch, RegularizedEvolution, Reinforce
from ..data import load
from ..data.dataset import OWN
from ..errors import StoreError
from ..spaces import CellSpace
from ..training import Recipe
from .evaluators import TrainingEvaluator

CLASSES: dict[str, type] = {
    "CellSpace": CellSpace,
    "PPO": PPO,
    "RandomSearch": RandomSearch,
    "Reinforce": Reinforce,
    "RegularizedEvolution": RegularizedEvolution,
    "TrainingEvaluator": TrainingEvaluator,
}


def describe(thing: Any) -> dict[str, Any]:
    """``{"class": name, "settings": {...}}`` of a space, controller or evaluator."""
    own = getattr(thing, "settings", None)
    name = type(thing).__name__ if own else getattr(thing, "__qualname__", type(thing).__name__)
    return {"class": name, "settings": own() if own else {}}


def build_space(record: dict[str, Any]) -> Any:
    return _class(record, "space")(**record["settings"])


def build_controller(record: dict[str, Any], space: Any) -> Any:
    return _class(record, "controller")(space, **record["settings"])


def build_evaluator(record: dict[str, Any], device: str | None = None) -> Any:
    """The evaluator, on its old device or another; its data set is loaded again.

    Raises:
        StoreError: an evaluator, or a data set, that the library cannot make by itself.
        DataError: the data set is not on this machine.
    """
    cls = _class(record, "evaluator")
    settings = dict(record["settings"])
    if device is not None:
        settings["device"] = device
    dataset = settings.pop("dataset")
    if dataset["name"].startswith(OWN):
        raise StoreError(
            f"this search used your own data set {dataset['name']!r}, which the library cannot "
            "load. Pass the evaluator: Search.resume(directory, evaluator=...)"
        )
    return cls(load(**dataset), Recipe(**settings.pop("recipe")), **settings)


def _class(record: dict[str, Any], role: str) -> type:
    if record["class"] not in CLASSES:
        raise StoreError(
            f"this search used your own {role} {record['class']!r}, which the library cannot "
            f"build. Pass it: Search.resume(directory, {role}=...)"
        )
    return CLASSES[record["class"]]


def difference(stored: dict[str, Any], given: dict[str, Any]) -> str | None:
    """What differs between two descriptions, or None; the device may change."""
    given = json.loads(json.dumps(given))  # as it would be stored: tuples become lists
    if stored["class"] != given["class"]:
        return f"{stored['class']} there, {given['class']} here"
    a, b = ({k: v for k, v in d["settings"].items() if k != "device"} for d in (stored, given))
    changed = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    if not changed:
        return None
    name = changed[0]
    return f"{name} is {a.get(name)!r} there and {b.get(name)!r} here"

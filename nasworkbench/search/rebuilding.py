"""How a stored search is built again: settings as JSON, and the classes they may name.

This dict is all there is: a run folder can name these classes and no others. Everything else is
the user's own and is passed to ``Search.resume`` by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import data, tables
from ..checks import is_whole
from ..controllers import PPO, RandomSearch, RegularizedEvolution, Reinforce
from ..data import Dataset
from ..data.dataset import OWN
from ..errors import DataError, StoreError
from ..nas_bench_graph import GraphSpace
from ..spaces import CellSpace
from ..tables.evaluator import TableEvaluator
from ..training import Recipe
from ..training.evaluator import TrainingEvaluator
from .schema import meta_rows

CLASSES: dict[str, type] = {
    "CellSpace": CellSpace,
    "GraphSpace": GraphSpace,
    "PPO": PPO,
    "RandomSearch": RandomSearch,
    "Reinforce": Reinforce,
    "RegularizedEvolution": RegularizedEvolution,
    "TableEvaluator": TableEvaluator,
    "TrainingEvaluator": TrainingEvaluator,
}

ROLES = ("space", "controller", "evaluator")

#: Stored settings may be no larger, so that such a file cannot fill the memory (this project's
#: choice). Your own objects, passed to ``Search.resume``, may.
MOST = {
    "blocks": 100, "inputs": 100, "cells": 100, "filters": 4096, "hidden": 4096, "image_size": 1024,
    "workers": 256,
}  # fmt: skip


def describe(thing: Any) -> dict[str, Any]:
    """``{"class": name, "settings": {...}}`` of a space, controller or evaluator.

    Raises:
        SettingsError: settings that JSON cannot hold.
    """
    settings_of = getattr(thing, "settings", None)
    name = type(thing).__name__
    if settings_of is None:  # a function
        name = getattr(thing, "__qualname__", name)
    settings = settings_of() if settings_of else {}
    meta_rows({f"settings of {name}": settings})  # raises what JSON cannot hold
    return {"class": name, "settings": settings}


def build_space(record: dict[str, Any]) -> Any:
    return _built(record, "space", _class(record, "space"), **record["settings"])


def build_controller(record: dict[str, Any], space: Any) -> Any:
    return _built(record, "controller", _class(record, "controller"), space, **record["settings"])


def build_evaluator(record: dict[str, Any], device: str | None = None, root: Any = None) -> Any:
    """The evaluator, on its old device or another; its data set is loaded again.

    Raises:
        StoreError: an evaluator, or a data set, that the library cannot make by itself.
        DataError: the data set is not on this machine.
        TableError: the table cannot be read.
    """
    cls = _class(record, "evaluator")
    settings = dict(record["settings"])
    if cls is TableEvaluator:  # it has no device
        return _built(record, "evaluator", _table_evaluator, **settings)
    if device is not None:
        settings["device"] = device
    stored, recipe = settings.pop("dataset", None), settings.pop("recipe", None)
    if not isinstance(stored, dict) or not isinstance(recipe, dict):
        raise StoreError(f"the stored evaluator has no data set or no recipe: {record!r:.80}")
    if str(stored.get("name")).startswith(OWN):
        raise StoreError(
            f"this search used your own data set {stored['name']!r}, which the library cannot "
            "load. Pass the evaluator: Search.resume(directory, evaluator=...)"
        )
    dataset = _built(record, "data set", partial(_load, root), **stored)
    given = dataset, _built(record, "recipe", Recipe, **recipe)
    return _built(record, "evaluator", cls, *given, **settings)


def _load(here: Any, name: str, root: Any = None, download: Any = None, **settings: Any) -> Dataset:
    """As :func:`load`, from ``here`` or where this machine keeps its data, never from a folder that
    the file names, and never with a download."""
    places = data.describe(name, here).places
    if here is None and root is not None and data.describe(name, root).places != places:
        raise DataError(
            f"this search read the data set {name} in {root!r:.200}. A run folder cannot say where "
            "your data are; say so yourself: Search.resume(directory, root=...) or `nasworkbench "
            "resume FOLDER --root ...`"
        )
    return data.load(name, here, **settings)


def _table_evaluator(table: str, digest: str, **settings: Any) -> TableEvaluator:
    advice = "Pass the evaluator: Search.resume(directory, evaluator=TableEvaluator(...))"
    if table not in tables.names():
        raise StoreError(
            f"this search used your own table {table!r}, which the library cannot load. {advice}"
        )
    loaded = tables.load(table)
    if loaded.digest != digest:
        raise StoreError(
            f"the library's table {table!r} is not the one that this search was started on (digest "
            f"{digest} there, {loaded.digest} here). If it has changed, its rewards cannot be "
            f"mixed: start a new search. If that was your own table of this name: {advice}"
        )
    return TableEvaluator(loaded, **settings)


def _built(
    record: dict[str, Any], what: str, make: Callable[..., Any], /, *arguments: Any, **settings: Any
) -> Any:
    try:
        for name in settings.keys() & MOST:
            if is_whole(settings[name], MOST[name] + 1):
                raise ValueError(f"{name}={settings[name]} is more than {MOST[name]}")
        return make(*arguments, **settings)
    except (TypeError, ValueError, LookupError, RuntimeError, MemoryError) as error:
        raise StoreError(
            f"the stored settings of the {what} ({record['class']}) do not fit this version of the "
            f"library: {error}"
        ) from error


def _class(record: dict[str, Any], role: str) -> type:
    if record["class"] not in CLASSES:
        raise StoreError(
            f"this search used your own {role} {record['class']!r}, which the library cannot "
            f"build. Pass it: Search.resume(directory, {role}=...)"
        )
    return CLASSES[record["class"]]


def difference(stored: dict[str, Any], given: dict[str, Any]) -> str | None:
    """What differs between two descriptions, or None; the device and the folder of the data may
    change."""
    given = json.loads(json.dumps(given))  # as it would be stored: tuples become lists
    if stored["class"] != given["class"]:
        return f"{stored['class']} there, {given['class']} here"
    a, b = (_portable(description["settings"]) for description in (stored, given))
    changed = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
    if not changed:
        return None
    name = changed[0]
    return f"{name} is {a.get(name)!r} there and {b.get(name)!r} here"


def _portable(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without what may differ from machine to machine."""
    dataset = settings.get("dataset")
    if isinstance(dataset, dict):
        settings = settings | {"dataset": {k: v for k, v in dataset.items() if k != "root"}}
    return {name: value for name, value in settings.items() if name != "device"}

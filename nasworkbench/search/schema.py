"""What is checked of a store besides ``schema.sql`` and ``rules.sql``: digests, and JSON values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from ..checks import flag, number, optional, whole
from ..errors import SettingsError, WorkbenchError, listed
from .packing import digest
from .sqlite_file import FORMAT

#: What reading a row may raise, if somebody else wrote it.
PROBLEMS = (TypeError, ValueError, LookupError, AttributeError, RuntimeError, WorkbenchError)

#: What the library shows of an update; a controller may measure more.
NUMBERS = ("reward", "baseline_before", "baseline", "entropy", "loss", "ratio", "clip_fraction")


def sealed(row: Sequence[Any]) -> tuple[Any, ...]:
    """The row with its digest."""
    return (*row, digest(row))


def unsealed(row: Sequence[Any]) -> Any:
    """The row without its digest.

    Raises:
        ValueError: it does not match its digest.
    """
    if digest(row[:-1]) != row[-1]:
        raise ValueError("it does not match its digest")
    return row[:-1]


def read_update(row: Sequence[Any]) -> dict[str, Any]:
    """A stored update as a dict.

    Raises:
        PROBLEMS: something in it cannot be right.
    """
    update, told, text = unsealed(row)
    metrics = json.loads(text)
    numbers, advantages = metrics.get("numbers", []), metrics.get("advantages")
    values = [metrics[name] for name in NUMBERS if metrics.get(name) is not None]
    values += numbers + (advantages or [])
    if not all(isinstance(value, int | float) for value in values):
        raise ValueError(f"{listed(NUMBERS)} must be numbers")
    if advantages is not None and len(advantages) != len(numbers):
        raise ValueError("there must be as many advantages as numbers of trials")
    return {"update": update, "told": told, **metrics}


# --- values by name ---------------------------------------------------------------------------


def _record(name: str, value: Any, /, **kinds: type) -> None:
    """A dict that has values of these types."""
    if not isinstance(value, dict) or not all(isinstance(value.get(k), kinds[k]) for k in kinds):
        words = f" with {listed(kinds)}" if kinds else ""
        raise SettingsError(f"{name} must be a dict{words}, got {value!r:.80}")


_description = partial(_record, **{"class": str, "settings": dict})
#: The checks of the values that the library stores; any others are the user's own notes.
META: dict[str, Callable[[str, Any], Any]] = {
    "format": partial(whole, least=FORMAT, most=FORMAT),
    "created_at": partial(number, least=0, most=1e11),
    "space": _description,
    "controller": _description,
    "evaluator": _description,
    "seed": partial(whole, least=0),
    "failure_reward": partial(optional, number),
    "time_limit": partial(optional, number, least=0),
    "provenance": _record,
    "goal": partial(whole, least=0),
    "running": flag,
    "job": partial(_record, name=str, tier=str, tier_settings=dict),
    "verdict": partial(_record, sentence=str),
}
ALWAYS = ("format", "created_at", "space", "controller", "evaluator", "seed")
RESERVED = META.keys() - {"job", "verdict"}


def checked_notes(notes: dict[str, Any]) -> dict[str, Any]:
    """A user's notes, if they can be stored beside what the library stores.

    Raises:
        SettingsError: they cannot.
    """
    if not isinstance(notes, dict) or RESERVED & notes.keys():
        raise SettingsError(
            f"notes must be a dict without the names that the search takes itself "
            f"({listed(sorted(RESERVED))}), got {notes!r:.80}"
        )
    meta_rows(notes)
    return notes


def meta_rows(values: dict[str, Any]) -> list[tuple[Any, ...]]:
    """JSON values by name as rows to store.

    Raises:
        SettingsError: one that JSON cannot hold, or another than the library stores by this name.
    """
    rows = []
    for name, value in values.items():
        try:
            _check(name, value)
            rows.append(sealed((name, json.dumps(value))))
        except (TypeError, ValueError, RecursionError) as error:
            raise SettingsError(
                f"{name!r:.80} cannot be stored as JSON ({error}). Give numbers, texts, lists and "
                "dicts, with a text as its name"
            ) from None
    return rows


def read_meta(rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """The values of such rows by name.

    Raises:
        PROBLEMS: one of them cannot be right.
    """
    values = {name: json.loads(text) for name, text in map(unsealed, rows)}
    for name, value in values.items():
        _check(name, value)
    return values


def _check(name: str, value: Any) -> None:
    text = name + json.dumps(value, ensure_ascii=False)
    text.encode()  # half of a surrogate pair is no text
    if name in META:
        META[name](name, value)

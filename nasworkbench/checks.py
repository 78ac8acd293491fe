"""Checks of a user's arguments and files: each returns plain Python types, or raises.

Every check of an argument takes its name, its value, what is allowed, and the class of the error
that it raises (a :class:`SettingsError` unless told). numpy's and torch's numbers count as numbers;
``True`` and ``False`` do not.
"""

from __future__ import annotations

import contextlib
import json
import math
import numbers
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from .errors import SettingsError, WorkbenchError, listed, shown

T = TypeVar("T")


def is_whole(value: Any, least: int | None = None, most: int | None = None) -> bool:
    """Whether ``value`` is a whole number in [least, most]."""
    value = _plain(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return (least is None or value >= least) and (most is None or value <= most)


def whole(
    name: str,
    value: Any,
    least: int = 1,
    most: int | None = None,
    error: type[WorkbenchError] = SettingsError,
) -> int:
    """A whole number in [least, most]."""
    if not is_whole(value, least, most):
        limit = "" if most is None else f" to {most}"
        raise error(f"{name} must be a whole number from {least}{limit}, got {shown(value)}")
    return int(_plain(value))


def number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
    error: type[WorkbenchError] = SettingsError,
) -> float:
    """A finite number in [least, most]; ``above`` and ``below`` exclude the limits themselves."""
    plain, real = _plain(value), math.nan
    if isinstance(plain, numbers.Real) and not isinstance(plain, bool):
        with contextlib.suppress(OverflowError):  # a whole number beyond all floats
            real = float(plain)
    ok = math.isfinite(real) and least <= real <= most
    if not ok or (above and real == least) or (below and real == most):
        lower = "" if least == -math.inf else f" {'above' if above else 'from'} {least:g}"
        upper = "" if most == math.inf else f" {'below' if below else 'to'} {most:g}"
        joint = " and" if lower and upper and below else ""
        raise error(f"{name} must be a finite number{lower}{joint}{upper}, got {shown(value)}")
    return real


def flag(name: str, value: Any, error: type[WorkbenchError] = SettingsError) -> bool:
    """``True`` or ``False``."""
    if not isinstance(_plain(value), bool):
        raise error(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def choice(
    name: str, value: Any, allowed: Iterable[str], error: type[WorkbenchError] = SettingsError
) -> str:
    """One of a few words."""
    words = tuple(allowed)
    if not isinstance(value, str) or value not in words:
        raise error(f"{name} must be one of {listed(words)}, got {shown(value)}")
    return words[words.index(value)]  # not an object of the user's own class


def instance(
    name: str, value: Any, kind: type[T], made_by: str, error: type[WorkbenchError] = SettingsError
) -> T:
    """An object of this class; ``made_by`` says in the message how to make one."""
    if not isinstance(value, kind):
        raise error(f"{name} must be a {kind.__name__}, got {shown(value)}. Make one by {made_by}")
    return value


def optional(
    check: Callable[..., T], name: str, value: Any, *limits: Any, **settings: Any
) -> T | None:
    """``None``, or what another check of this module allows."""
    return None if value is None else check(f"{name}, unless None,", value, *limits, **settings)


def _plain(value: Any) -> Any:
    """A scalar of numpy or torch as Python's own number; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def file_bytes(path: str | Path, most: int, what: str, error: type[WorkbenchError]) -> bytes:
    """What is in a file of at most ``most`` bytes; a pipe or a device is not read.

    Args:
        path: of the file.
        most: bytes.
        what: how the message calls it: ``cannot read <what> <path>``.
        error: what is raised.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")
        if path.stat().st_size > most:
            raise OSError(f"it is larger than {most:,} bytes")
        return path.read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: a null character in the name
        raise error(f"cannot read {what} {path}: {problem}") from None


def json_value(text: str | bytes, most: int, error: type[WorkbenchError]) -> Any:
    """What a JSON text from outside says: each key of an object once, every number finite.

    Args:
        text: of at most ``most`` characters.
        error: what is raised.
    """
    try:
        if len(text) > most:
            raise ValueError(f"it has {len(text):,} characters, more than {most:,}")
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        return json.loads(
            text, object_pairs_hook=_each_once, parse_float=_finite, parse_constant=_finite
        )
    except (TypeError, ValueError, RecursionError) as problem:
        raise error(f"this is not JSON that can be read ({problem}): {shown(text, 60)}") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in record if names.count(name) > 1)
        raise ValueError(f"the key {twice!r:.60} comes twice in one object")
    return record


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.60} is not a finite number")
    return value

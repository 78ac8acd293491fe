"""Checks of a user's arguments: each returns the value in plain Python types, or raises.

Every check takes the argument's name, its value, what is allowed, and the class of the error that
it raises (a :class:`SettingsError` unless told). numpy's and torch's numbers count as numbers;
``True`` and ``False`` do not.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable
from typing import Any

from .errors import SettingsError, WorkbenchError, listed


def is_whole(value: Any, least: int | None = None, most: int | None = None) -> bool:
    """Whether ``value`` is a whole number in [least, most]."""
    try:
        number = operator.index(value)
    except TypeError:
        return False
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return False
    return (least is None or number >= least) and (most is None or number <= most)


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
        raise error(f"{name} must be a whole number from {least}{limit}, got {value!r:.80}")
    return operator.index(value)


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
    ok = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    ok = ok and least <= value <= most
    if not ok or (above and value == least) or (below and value == most):
        limits = []
        if least != -math.inf:
            limits.append(f"{'above' if above else 'from'} {least:g}")
        if most != math.inf:
            limits.append(f"{'below' if below else 'to'} {most:g}")
        allowed = " ".join(["a finite number", *limits])
        raise error(f"{name} must be {allowed}, got {value!r:.80}")
    return float(value)


def flag(name: str, value: Any, error: type[WorkbenchError] = SettingsError) -> bool:
    """``True`` or ``False``."""
    if not isinstance(value, bool):
        raise error(f"{name} must be True or False, got {value!r:.80}")
    return value


def choice(
    name: str, value: Any, allowed: Iterable[str], error: type[WorkbenchError] = SettingsError
) -> str:
    """One of a few words."""
    words = tuple(allowed)
    if not isinstance(value, str) or value not in words:
        raise error(f"{name} must be one of {listed(words)}, got {value!r:.80}")
    return value

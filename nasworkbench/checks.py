"""Checks of a user's arguments: each returns the value in plain Python types, or raises.

Every check takes the argument's name, its value, what is allowed, and the class of the error that
it raises (a :class:`SettingsError` unless told). numpy's and torch's numbers count as numbers;
``True`` and ``False`` do not.
"""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .errors import SettingsError, WorkbenchError, listed

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
        raise error(f"{name} must be a whole number from {least}{limit}, got {value!r:.80}")
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
        raise error(f"{name} must be a finite number{lower}{joint}{upper}, got {value!r:.80}")
    return real


def flag(name: str, value: Any, error: type[WorkbenchError] = SettingsError) -> bool:
    """``True`` or ``False``."""
    if not isinstance(_plain(value), bool):
        raise error(f"{name} must be True or False, got {value!r:.80}")
    return bool(value)


def choice(
    name: str, value: Any, allowed: Iterable[str], error: type[WorkbenchError] = SettingsError
) -> str:
    """One of a few words."""
    words = tuple(allowed)
    if not isinstance(value, str) or value not in words:
        raise error(f"{name} must be one of {listed(words)}, got {value!r:.80}")
    return words[words.index(value)]  # not an object of the user's own class


def optional(
    check: Callable[..., T], name: str, value: Any, *limits: Any, **settings: Any
) -> T | None:
    """``None``, or what another check of this module allows."""
    return None if value is None else check(f"{name}, unless None,", value, *limits, **settings)


def _plain(value: Any) -> Any:
    """A scalar of numpy or torch as Python's own number; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value

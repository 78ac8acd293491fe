"""How the report writes numbers; a dash where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from string import hexdigits
from typing import Any

import pandas


def missing(value: Any) -> bool:
    return value is None or bool(pandas.isna(value))


def decimals(value: Any) -> str:
    """A reward or an accuracy: four decimals."""
    return "–" if missing(value) else f"{value:.4f}"


def whole(value: Any) -> str:
    """A count: 1,234."""
    return "–" if missing(value) else f"{int(value):,}"


def duration(seconds: Any) -> str:
    """Seconds as ``0.76 s``, ``3 min 20 s`` or ``5 h 2 min``."""
    if missing(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def date(timestamp: Any) -> str:
    """Seconds since 1970 as a date in UTC."""
    if missing(timestamp):
        return "–"
    return datetime.fromtimestamp(float(timestamp), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def short(key: str) -> str:
    """Eight digits of a cell's key; the key of another architecture, which is text, whole."""
    return key[:8] if set(key) <= set(hexdigits) else key

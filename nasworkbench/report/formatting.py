"""How the report writes numbers; a dash where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from string import hexdigits
from typing import Any

import pandas

from .. import progress


def missing(value: Any) -> bool:
    return value is None or bool(pandas.isna(value))


def decimals(value: Any) -> str:
    """A reward or an accuracy: four decimals."""
    return "–" if missing(value) else f"{value:.4f}"


def whole(value: Any) -> str:
    """A count: 1,234."""
    return "–" if missing(value) else f"{int(value):,}"


def duration(seconds: Any) -> str:
    """Seconds as :func:`nasworkbench.progress.duration` writes them."""
    return "–" if missing(seconds) else progress.duration(float(seconds))


def date(timestamp: Any) -> str:
    """Seconds since 1970 as a date in UTC."""
    if missing(timestamp):
        return "–"
    return datetime.fromtimestamp(float(timestamp), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def short(key: str) -> str:
    """Eight digits of a cell's key; the key of another architecture, which is text, whole."""
    return key[:8] if set(key) <= set(hexdigits) else key


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as pairs of a dotted name and a text."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield prefix + name, ", ".join(map(str, value)) or "none"
        else:
            yield prefix + name, str(value)

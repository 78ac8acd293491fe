"""Recorded experiments: what the lessons say of better and worse, over many paired seeds.

>>> clip = recordings.experiment("clip")
>>> clip.difference("no clip", "clip 0.2", 40)  # mean, and its 95 % interval over the seeds

Each was made by ``tests/benchmarks/experiments.py`` or the script that its ``about`` names.
"""

from __future__ import annotations

import json
import lzma
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pandas

from ..checks import choice, json_value
from ..comparison.bootstrap import bootstrap_mean
from ..errors import StoreError
from ..files import write_atomically
from ..provenance import provenance

_FOLDER = Path(__file__).parent
_END = ".json.xz"

#: Resamples of an interval in :meth:`Experiment.rows`, and characters of a file: this project's
#: choice.
RESAMPLES, MOST = 2000, 10**8


@dataclass(frozen=True)
class Experiment:
    """One number for each variant, seed and point; the seeds of all variants are paired.

    Attributes:
        name: as :func:`experiment` knows it.
        about: ``question``, ``x`` (what the points are), ``measure``, ``more_is_better``,
            ``command``, ``date``, and the versions and the machine.
        points: along the x axis.
        table: by variant an array of shape (seeds, points); NaN where there is no number.
    """

    name: str
    about: dict[str, Any]
    points: list[int]
    table: dict[str, numpy.ndarray]

    @property
    def names(self) -> list[str]:
        """The variants."""
        return list(self.table)

    def values(self, name: str) -> numpy.ndarray:
        """What was measured of a variant, of shape (seeds, points).

        Raises:
            SettingsError: there is no such variant.
        """
        return self.table[choice(f"a variant of the experiment {self.name!r}", name, self.table)]

    def at(self, name: str, point: int) -> numpy.ndarray:
        """What was measured of a variant at one point, of shape (seeds,).

        Raises:
            SettingsError: there is no such variant or point.
        """
        choice(f"a point of {self.name!r}", str(point), map(str, self.points))
        return self.values(name)[:, self.points.index(point)]

    def rows(self, names: Iterable[str] | None = None) -> pandas.DataFrame:
        """The mean over the seeds, and its 95 % bootstrap interval, as the plots take them.

        Args:
            names: variants; None: all.

        Returns:
            The columns ``controller`` (the variant), ``at`` (the point), ``mean``, ``low`` and
            ``high``; a point at which some seed has no number has no row.
        """
        rows = [
            (name, point, *bootstrap_mean(self.at(name, point), RESAMPLES))
            for name in (self.names if names is None else names)
            for point in self.points
            if numpy.isfinite(self.at(name, point)).all()
        ]
        return pandas.DataFrame(rows, columns=["controller", "at", "mean", "low", "high"])

    def difference(self, a: str, b: str, at: int) -> tuple[float, float, float]:
        """``(mean, low, high)``: variant ``a`` minus variant ``b`` at a point, over the paired
        seeds, with the 95 % bootstrap interval of the mean.

        Raises:
            SettingsError: there is no such variant or point.
        """
        return bootstrap_mean(self.at(a, at) - self.at(b, at))


def experiments() -> tuple[str, ...]:
    """The names that :func:`experiment` knows."""
    return tuple(sorted(path.name.removesuffix(_END) for path in _FOLDER.glob(f"*{_END}")))


def experiment(name: str) -> Experiment:
    """A recorded experiment by its name.

    Raises:
        StoreError: an unknown name, or a damaged file.
    """
    choice("the experiment", name, experiments(), StoreError)
    try:
        text = lzma.decompress((_FOLDER / f"{name}{_END}").read_bytes())
        stored = json_value(text, MOST, StoreError)
        table = {
            variant: numpy.array(rows, dtype=float) for variant, rows in stored["values"].items()
        }
        return Experiment(name, stored["about"], stored["points"], table)
    except (OSError, lzma.LZMAError, KeyError, ValueError, TypeError) as error:
        raise StoreError(
            f"the experiment {name} cannot be read ({error}). Install the library again"
        ) from None


def record(
    name: str,
    values: Mapping[str, Sequence[Sequence[float | None]]],
    points: Sequence[int],
    **about: Any,
) -> Path:
    """Store an experiment beside this module; returns the file.

    Args:
        name: of the experiment.
        values: by variant, a list of numbers for each seed, one at each point.
        points: along the x axis.
        about: ``question``, ``x``, ``measure``, ``more_is_better`` and ``command``.
    """
    about |= {"date": time.strftime("%Y-%m-%d"), **provenance()}
    stored = {"about": about, "points": list(points), "values": dict(values)}
    text = json.dumps(stored, separators=(",", ":")).encode()
    packed = lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)
    return write_atomically(_FOLDER / f"{name}{_END}", packed, f"the experiment {name}")

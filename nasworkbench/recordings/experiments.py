"""Recorded experiments: what the lessons say of better and worse, over many paired seeds.

>>> clip = recordings.experiment("clip")
>>> clip.difference("no clip", "clip 0.2", 40)  # mean, and its 95 % interval over the seeds

Each was made by ``tests/benchmarks/experiments.py`` or the script that its ``about`` names.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pandas

from ..checks import choice, json_value
from ..comparison.bootstrap import bootstrap_mean
from ..errors import StoreError

#: Where the experiments are, and how their files end.
FOLDER, END = Path(__file__).parent, ".json.xz"

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
        return self.table[choice(f"a variant of {self.name!r}", name, self.table)]

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


def experiment(name: str) -> Experiment:
    """A recorded experiment by its name.

    Raises:
        StoreError: an unknown name, or a damaged file.
    """
    files = {path.name.removesuffix(END): path for path in sorted(FOLDER.glob(f"*{END}"))}
    choice("the experiment", name, files, StoreError)
    try:
        text = lzma.decompress(files[name].read_bytes())
        stored = json_value(text, MOST, StoreError)
        table = {
            variant: numpy.array(rows, dtype=float) for variant, rows in stored["values"].items()
        }
        return Experiment(name, stored["about"], stored["points"], table)
    except (OSError, lzma.LZMAError, LookupError, ValueError, AttributeError) as error:
        raise StoreError(
            f"the experiment {name} cannot be read ({error}). Install the library again"
        ) from None

"""Bootstrap intervals: how far a difference could be luck."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy


@dataclass(frozen=True)
class Verdict:
    """A sentence about two sides; their difference, first minus second, with its 95 % interval."""

    sentence: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return self.sentence


def conclusion(low: float, high: float, above: str, below: str) -> str:
    """Who was better by the interval of a difference: the one that is ``above`` 0 or ``below``."""
    if low > 0:
        return f"{above} was better"
    return f"{below} was better" if high < 0 else "not distinguishable"


def bootstrap_means(
    cells: Sequence[Sequence[float] | numpy.ndarray],
    resamples: int,
    generator: numpy.random.Generator,
) -> numpy.ndarray:
    """``resamples`` means over cells drawn with replacement, and over seeds drawn inside each.

    Args:
        cells: for each cell its results, one or more.

    Returns:
        An array of shape (resamples,).
    """
    counts = numpy.array([len(cell) for cell in cells])
    values = numpy.array([*itertools.zip_longest(*cells, fillvalue=0.0)]).T  # a row for each cell
    drawn = generator.integers(len(cells), size=(resamples, len(cells)))  # which cells
    size = counts[drawn][..., None]  # how many seeds each of them has
    seeds = (generator.random((*drawn.shape, counts.max())) * size).astype(int)
    within = numpy.arange(counts.max()) < size  # as many draws as there are seeds
    sums = (values[drawn[..., None], seeds] * within).sum(2)
    return (sums / counts[drawn]).mean(1)


def bootstrap_difference(
    a: Sequence[Sequence[float]],
    b: Sequence[Sequence[float]],
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Difference of means, a minus b, with its 95 % percentile interval.

    The bootstrap draws cells, and within each drawn cell seeds, both with replacement: the interval
    holds the luck of which cells were found and the noise of their training.

    Args:
        a, b: for each cell its accuracies, one per seed; at least one cell, and one seed in each.

    Returns:
        ``(difference, low, high)``.
    """
    generator = numpy.random.default_rng(seed)
    means = [numpy.mean([numpy.mean(cell) for cell in side]) for side in (a, b)]
    resampled = [bootstrap_means(side, resamples, generator) for side in (a, b)]
    low, high = numpy.percentile(resampled[0] - resampled[1], [2.5, 97.5])
    return float(means[0] - means[1]), float(low), float(high)


def bootstrap_mean(
    values: numpy.ndarray, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """``(mean, low, high)``: the mean over seeds with its 95 % percentile interval.

    Given the differences of paired seeds it is the paired bootstrap. One value has no interval:
    ``low`` and ``high`` are NaN.
    """
    if len(values) == 1:
        return float(values[0]), float("nan"), float("nan")
    generator = numpy.random.default_rng(seed)
    drawn = generator.integers(len(values), size=(resamples, len(values)))
    low, high = numpy.percentile(values[drawn].mean(1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)

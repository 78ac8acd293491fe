"""Bootstrap intervals: how far a difference could be luck."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy

from ..errors import listed

#: With less than this no winner is named. The minima are this project's choice: with them the
#: interval names a winner between two random searches on the table ``cells``, where there is none,
#: in at most 10 of 100 pairs. (It should be 5.) Of two main jobs, in 9 with 5 cells and 3 trainings
#: of each after 100 trials, in 10 with 12 cells and one training; but in 32 with 2 cells and 2
#: trainings after 6 trials, and in 15 with 5 cells after 20. In ``compare``, in 9 with 20 paired
#: seeds, in 12 with 10, and in 27 with 3. After 3 updates PPO proposes better cells than before
#: the first in 99 of 100 searches, even with batches of 3; after one, in 82.
#: ``tests/test_retraining.py`` and ``tests/test_compare.py`` measure all this.
MINIMA = {"cells": 5, "trainings": 12, "trials": 100, "updates": 3, "paired seeds": 20}


@dataclass(frozen=True)
class Verdict:
    """A sentence about two sides; their difference, first minus second, with its 95 % interval.

    ``conclusion`` is who was better, ``not distinguishable``, ``too few to compare`` (see
    :data:`MINIMA`), or None if there was nothing to compare.
    """

    sentence: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    conclusion: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return self.sentence


def concluded(
    text: str, figures: Sequence[float], sides: Sequence[str], counts: Mapping[str, int | None]
) -> Verdict:
    """A verdict from a difference and its interval, if they stand on enough.

    Args:
        text: the sentence up to its conclusion.
        figures: the difference, and the ends of its interval.
        sides: who was better if the difference is above 0, and who if it is below.
        counts: what the figures stand on, by the names of :data:`MINIMA`; None: does not apply.
    """
    difference, low, high = figures
    better = sides[0] if low > 0 else sides[1] if high < 0 else None
    outcome, end = f"{better} was better" if better else "not distinguishable", ""
    few = {name: n for name, n in counts.items() if n is not None and n < MINIMA[name]}
    if few:
        takes = listed([f"{MINIMA[name]} {name} (here {n})" for name, n in few.items()])
        more = "run more seeds" if "paired seeds" in few else "take a larger tier, or more trials"
        outcome, end = "too few to compare", f". It takes at least {takes}: {more}"
    return Verdict(f"{text}: {outcome}{end}.", difference, low, high, outcome)


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

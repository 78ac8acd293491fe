"""How far a table can be trusted: do two trainings of the same cells agree?

Two figures, each with a 95 % interval over the cells (bootstrap). The *intraclass correlation* is
the part of the variance between trainings that lies between cells (one-way random effects; Shrout
& Fleiss 1979, ICC(1,1)); the mean of k seeds has a higher one (Spearman-Brown). *Kendall's tau*
between two seeds says how often they agree which of two cells is the better one.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy

from .table import Numbers

RESAMPLES = 200

#: Variances of accuracies up to this one are rounding errors.
ROUNDING = 1e-20

NAN = float("nan")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Reliability:
    """What :func:`reliability` gives; a figure that is undefined is NaN."""

    cells: int
    seeds: int
    icc: float  #: of one training
    icc_interval: Interval
    icc_mean: float  #: of the mean over the seeds
    tau: float  #: mean over all pairs of seeds
    tau_interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, which has no NaN: None takes its place."""
        return json.loads(json.dumps(asdict(self)).replace("NaN", "null"))

    def __str__(self) -> str:
        if math.isnan(self.icc):
            return f"{self.cells:,} cells, {self.seeds} trainings each: reliability unknown"
        low, high = self.icc_interval
        tau_low, tau_high = self.tau_interval
        return (
            f"{self.cells:,} cells, {self.seeds} trainings each: intraclass correlation of one "
            f"training {self.icc:.3f} (95 % interval {low:.3f} to {high:.3f}), of the mean of "
            f"{self.seeds} {self.icc_mean:.3f}; Kendall's tau between two seeds {self.tau:.3f} "
            f"({tau_low:.3f} to {tau_high:.3f})"
        )


def intraclass_correlation(accuracies: Numbers) -> float:
    """ICC(1,1) of (cells, seeds): 1 if the seed changes nothing, 0 if the cell does not."""
    seeds = accuracies.shape[1]
    between = seeds * accuracies.mean(1).var(ddof=1)
    within = accuracies.var(1, ddof=1).mean()
    total = between + (seeds - 1) * within
    return float((between - within) / total) if total > ROUNDING else NAN


def of_mean(icc: float, seeds: int) -> float:
    """ICC of the mean of so many trainings, from that of one (Spearman-Brown)."""
    denominator = 1 + (seeds - 1) * icc  # it is 0 where all means are equal
    return seeds * icc / denominator if denominator > 1e-9 else NAN


def kendall_tau(accuracies: Numbers) -> float:
    """Tau-b between two seeds, the mean over all pairs of them."""
    from scipy import stats  # takes half a second, which no search has to wait for

    pairs = itertools.combinations(accuracies.T, 2)
    return float(numpy.mean([stats.kendalltau(a, b).statistic for a, b in pairs]))


def reliability(accuracies: Numbers, resamples: int = RESAMPLES, seed: int = 0) -> Reliability:
    """Both figures, with their intervals over the cells.

    Args:
        accuracies: (cells, seeds); with fewer than three cells or two seeds all of it is NaN.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    cells, seeds = accuracies.shape
    if cells < 3 or seeds < 2:
        return Reliability(cells, seeds, NAN, (NAN, NAN), NAN, NAN, (NAN, NAN))
    draws = numpy.random.default_rng(seed).integers(cells, size=(resamples, cells))
    samples = [accuracies[rows] for rows in draws if numpy.ptp(rows) > 0]  # one cell: no variance
    icc = intraclass_correlation(accuracies)
    return Reliability(
        cells,
        seeds,
        icc,
        _interval(map(intraclass_correlation, samples)),
        of_mean(icc, seeds),
        kendall_tau(accuracies),
        _interval(map(kendall_tau, samples)),
    )


def _interval(values: Iterable[float]) -> Interval:
    defined = [value for value in values if not math.isnan(value)] or [NAN]
    low, high = numpy.percentile(defined, [2.5, 97.5]).tolist()
    return low, high

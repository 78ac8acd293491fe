"""How far a table can be trusted: do two trainings of the same cells agree?

Two figures, each with a 95 % interval over the cells (bootstrap). The *intraclass correlation* is
the part of the variance between trainings that lies between cells (one-way random effects; Shrout
& Fleiss 1979, ICC(1,1)); the mean of k seeds has a higher one (Spearman-Brown). *Kendall's tau*
between two seeds says how often they agree which of two cells is the better one.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import numpy
from scipy import stats

from .table import Numbers

RESAMPLES = 200

Interval = tuple[float, float]


@dataclass(frozen=True)
class Reliability:
    """What :func:`reliability` found."""

    cells: int
    seeds: int
    icc: float  #: of one training
    icc_interval: Interval
    icc_mean: float  #: of the mean over the seeds
    tau: float  #: mean over all pairs of seeds
    tau_interval: Interval

    def to_dict(self) -> dict:
        return asdict(self)

    def __str__(self) -> str:
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
    return float((between - within) / total) if total > 0 else float("nan")


def kendall_tau(accuracies: Numbers) -> float:
    """Tau-b between two seeds, the mean over all pairs of them."""
    pairs = itertools.combinations(accuracies.T, 2)
    return float(numpy.mean([stats.kendalltau(a, b).statistic for a, b in pairs]))


def reliability(accuracies: Numbers, resamples: int = RESAMPLES, seed: int = 0) -> Reliability:
    """Both figures, with their intervals over the cells.

    Args:
        accuracies: (cells, seeds); with fewer than three cells or two seeds all of it is NaN.
    """
    cells, seeds = accuracies.shape
    nan = float("nan")
    if cells < 3 or seeds < 2:
        return Reliability(cells, seeds, nan, (nan, nan), nan, nan, (nan, nan))
    generator = numpy.random.default_rng(seed)
    drawn = [accuracies[generator.integers(cells, size=cells)] for _ in range(resamples)]
    icc = intraclass_correlation(accuracies)
    return Reliability(
        cells,
        seeds,
        icc,
        _interval([intraclass_correlation(each) for each in drawn]),
        seeds * icc / (1 + (seeds - 1) * icc),
        kendall_tau(accuracies),
        _interval([kendall_tau(each) for each in drawn]),
    )


def _interval(values: list[float]) -> Interval:
    low, high = numpy.percentile(values, [2.5, 97.5])
    return float(low), float(high)

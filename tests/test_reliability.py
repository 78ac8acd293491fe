"""How far a table can be trusted: known figures, other formulas, and simulated tables."""

import json
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nasworkbench.tables import reliability
from nasworkbench.tables.reliability import intraclass_correlation, kendall_tau, of_mean

#: Shrout & Fleiss (1979), table 2: six targets, four judges. Their ICC(1,1) is 0.17, ICC(1,4) 0.44.
SHROUT_FLEISS = numpy.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)


def simulated(seed, cells=400, seeds=3, noise=0.75):
    """Accuracies whose true variance is 1, with this variance from training to training."""
    generator = numpy.random.default_rng(seed)
    truth = generator.normal(size=(cells, 1))
    return truth + math.sqrt(noise) * generator.normal(size=(cells, seeds))


# --- intraclass correlation ---------------------------------------------------------------------


def test_published_example():
    found = reliability(SHROUT_FLEISS)
    assert round(found.icc, 2) == 0.17
    assert round(found.icc_mean, 2) == 0.44
    assert (found.cells, found.seeds) == (6, 4)


def test_by_hand():
    """Means 2, 5, 8: between 2 * 9 = 18; within each cell 2: (18 - 2) / (18 + 2)."""
    assert intraclass_correlation(numpy.array([[1.0, 3], [4, 6], [7, 9]])) == pytest.approx(0.8)


TABLES = st.integers(2, 5).flatmap(
    lambda seeds: st.lists(
        st.lists(st.integers(0, 480), min_size=seeds, max_size=seeds), min_size=3, max_size=12
    )
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(TABLES)
def test_against_the_analysis_of_variance(hits):
    """With F of the one-way analysis, ICC(1,1) is (F - 1) / (F + k - 1)."""
    values = numpy.array(hits) / 480
    seeds = values.shape[1]
    if values.var(1).max() < 1e-20:  # F is infinite, or nothing differs at all
        icc = intraclass_correlation(values)
        assert math.isnan(icc) if values.var() < 1e-20 else icc == pytest.approx(1)
        return
    f = stats.f_oneway(*values).statistic
    assert intraclass_correlation(values) == pytest.approx((f - 1) / (f + seeds - 1), abs=1e-9)
    found = reliability(values, resamples=3)
    assert found.icc <= 1
    if f > 1e-6:  # ICC(1,k) of Shrout & Fleiss
        assert found.icc_mean == pytest.approx((f - 1) / f, rel=1e-6)


@pytest.mark.parametrize(
    ("noise", "icc", "of_three"), [(0.75, 4 / 7, 0.8), (0.1, 1 / 1.1, 30 / 31)]
)
def test_recovers_a_known_reliability(noise, icc, of_three):
    found = reliability(simulated(0, cells=5000, noise=noise), resamples=20)
    assert found.icc == pytest.approx(icc, abs=0.02)
    assert found.icc_mean == pytest.approx(of_three, abs=0.02)
    assert found.tau == pytest.approx(2 / math.pi * math.asin(icc), abs=0.02)  # of normal variables


def test_cells_that_do_not_differ():
    """Nothing but noise: about zero, and the interval holds zero."""
    found = reliability(numpy.random.default_rng(1).normal(size=(500, 3)))
    assert abs(found.icc) < 0.1
    assert found.icc_interval[0] < 0 < found.icc_interval[1]
    assert abs(found.tau) < 0.1


def test_spearman_brown():
    assert of_mean(0.5, 1) == 0.5
    assert of_mean(0.5, 3) == pytest.approx(0.75)
    assert of_mean(0.57, 3) == pytest.approx(0.8, abs=0.005)
    assert of_mean(1.0, 7) == 1
    assert of_mean(0.0, 7) == 0
    for icc in (0.2, 0.7):  # two steps are one
        assert of_mean(of_mean(icc, 2), 3) == pytest.approx(of_mean(icc, 6))


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 7])
def test_all_means_equal(seeds):
    """The lowest value there is, -1 / (k - 1); of the mean nothing can be said."""
    row = numpy.arange(seeds) / 10
    found = reliability(numpy.array([numpy.roll(row, n) for n in range(seeds + 2)]), resamples=20)
    assert found.icc == pytest.approx(-1 / (seeds - 1))
    assert math.isnan(found.icc_mean)


# --- Kendall's tau ------------------------------------------------------------------------------


def test_tau_of_seeds_that_agree_or_contradict():
    once = numpy.arange(10.0)[:, None]
    assert kendall_tau(numpy.hstack([once, 2 * once, once**3])) == pytest.approx(1)
    assert kendall_tau(numpy.hstack([once, -once])) == pytest.approx(-1)


def test_tau_is_the_mean_over_all_pairs():
    """Of 6 pairs of cells a and b agree on 5, a and c on 1, b and c on none."""
    a, b, c = [1.0, 2, 3, 4], [2.0, 1, 3, 4], [3.0, 4, 2, 1]
    assert kendall_tau(numpy.array([a, b, c]).T) == pytest.approx(
        ((5 - 1) + (1 - 5) + (0 - 6)) / 18
    )


# --- intervals ----------------------------------------------------------------------------------


def test_intervals_cover_the_truth():
    """95 % each: fewer than 31 of 40 has a probability below one in a hundred thousand."""
    icc, covered = 4 / 7, {"icc": 0, "tau": 0}
    for seed in range(40):
        found = reliability(simulated(seed, cells=100, seeds=2), resamples=100)
        low, high = found.icc_interval
        assert low < found.icc < high
        covered["icc"] += low <= icc <= high
        low, high = found.tau_interval
        assert low < found.tau < high
        covered["tau"] += low <= 2 / math.pi * math.asin(icc) <= high
    assert min(covered.values()) >= 31, covered


def test_more_cells_narrower_intervals():
    few, many = (reliability(simulated(3, cells=cells), resamples=50) for cells in (50, 1000))
    for name in ("icc_interval", "tau_interval"):
        widths = [high - low for low, high in (getattr(few, name), getattr(many, name))]
        assert widths[0] > 2 * widths[1] > 0


def test_same_seed_same_interval():
    values = simulated(5, cells=30)
    assert reliability(values) == reliability(values)
    assert reliability(values, seed=1).icc_interval != reliability(values).icc_interval
    assert reliability(values, seed=1).icc == reliability(values).icc


# --- too few ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (50, 1)])
def test_too_few(shape):
    found = reliability(numpy.random.default_rng(0).random(shape))
    record = found.to_dict()
    assert record == {
        "cells": shape[0],
        "seeds": shape[1],
        "icc": None,
        "icc_interval": [None, None],
        "icc_mean": None,
        "tau": None,
        "tau_interval": [None, None],
    }
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert "unknown" in str(found)
    assert "nan" not in str(found)


@pytest.mark.parametrize("values", [numpy.full((5, 3), 0.5), numpy.full((5, 3), 0.1)])
def test_cells_without_any_difference(values):
    """Three times 0.1 by 3 is not 0.1 in floats, which is no difference either."""
    record = reliability(values).to_dict()
    assert record["icc"] is None
    assert record["tau"] is None
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_three_cells_have_an_interval():
    """One draw in nine takes the same cell three times and says nothing; the others do."""
    found = reliability(numpy.array([[0.1, 0.12], [0.5, 0.52], [0.9, 0.91]]))
    assert 0.9 < found.icc_interval[0] < found.icc_interval[1] <= 1


def test_in_words():
    found = reliability(SHROUT_FLEISS)
    low, high = found.icc_interval
    assert str(found).startswith(
        "6 cells, 4 trainings each: intraclass correlation of one training 0.166 "
        f"(95 % interval {low:.3f} to {high:.3f}), of the mean of 4 0.443; Kendall's tau"
    )
    record = found.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["icc"] == found.icc
    assert record["tau_interval"] == list(found.tau_interval)

"""Tiers: presets, how one is chosen, and the forecast."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from nasworkbench import data, tiers
from nasworkbench.errors import SettingsError


def test_the_four_tiers():
    assert list(tiers.TIERS) == ["toy", "laptop", "gpu", "paper"]
    toy = tiers.get("toy")
    with pytest.raises(FrozenInstanceError):
        toy.trials = 3  # type: ignore[misc]


def test_choice_by_argument_then_environment_then_laptop(monkeypatch):
    monkeypatch.delenv(tiers.VARIABLE, raising=False)
    assert tiers.get().name == "laptop"
    monkeypatch.setenv(tiers.VARIABLE, "toy")
    assert tiers.get().name == "toy"
    assert tiers.get("gpu").name == "gpu"
    monkeypatch.setenv(tiers.VARIABLE, "huge")
    with pytest.raises(SettingsError, match=r"tier .*NASWORKBENCH_TIER.*toy, laptop.* got 'huge'"):
        tiers.get()
    with pytest.raises(SettingsError, match=r"^the tier must be one of toy.* got ''$"):
        tiers.get("")


def test_the_papers_numbers():
    """20,000 children of N = 2, 20 epochs, PPO as it is by default, the 250 best retrained."""
    paper = tiers.get("paper")
    assert (paper.trials, paper.cells, paper.top, paper.controller) == (20_000, 2, 250, {})
    assert (paper.recipe.epochs, paper.recipe.momentum, paper.recipe.crop) == (20, 0.9, "upsample")
    gpu = tiers.get("gpu")
    assert (gpu.data, gpu.cells, gpu.filters, gpu.recipe.epochs) == ("cifar10", 2, 32, 20)


@pytest.mark.parametrize("name", list(tiers.TIERS))
def test_settings_round_trip_through_json(name):
    tier = tiers.get(name)
    assert tiers.Tier.from_settings(json.loads(json.dumps(tier.settings()))) == tier


@pytest.mark.parametrize("field", ["trials", "workers", "filters", "top"])
def test_counts_below_one_are_refused(field):
    with pytest.raises(SettingsError, match=f"{field} must be a whole number from 1, got 0"):
        replace(tiers.get("toy"), **{field: 0})


@pytest.mark.parametrize("limit", [0, -1.0, float("inf"), "60", True])
def test_time_limits_that_are_not_above_0_are_refused(limit):
    words = f"time_limit, unless None, must be a finite number above 0, got {limit!r}"
    with pytest.raises(SettingsError, match=words):
        replace(tiers.get("toy"), time_limit=limit)


def test_forecast_adds_up():
    tier = replace(tiers.get("toy"), trials=100)
    dataset = data.load("digits", train_size=100, validation_size=50)
    found = tiers.forecast(tier, dataset)
    assert found.child_seconds > 0
    searched = 2 * 100 * found.child_seconds / tier.workers
    assert found.total_seconds >= searched
    assert "100 + 100 children" in str(found) and "8 networks" in str(found)
    assert "2 workers" in str(found)

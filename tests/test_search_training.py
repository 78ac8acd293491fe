"""Searches whose children are trained: the evaluator, its settings, and the untouched test data."""

import json
import math
from dataclasses import replace
from unittest.mock import ANY

import numpy
import pytest
import torch
from search_helpers import RandomSearch, small_space, tiny_data

from nasworkbench import PPO, Recipe, Search, TrainingEvaluator, data
from nasworkbench.data import Dataset
from nasworkbench.errors import NetworkError, SettingsError, StoreError
from nasworkbench.training import TrainingResult
from nasworkbench.training.evaluator import REWARDS, Task

QUICK = Recipe(epochs=1, batch_size=24, bn_momentum=0.3, learning_rate=0.05)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("NASWORKBENCH_PROGRESS", "0")


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", train_size=64, validation_size=32)


def evaluator_of(dataset, recipe=QUICK, **settings):
    return TrainingEvaluator(dataset, recipe, **{"cells": 1, "filters": 4, **settings})


@pytest.fixture
def genotype():
    return small_space().sample(1)


# --- the evaluator ------------------------------------------------------------------------------


def test_same_seed_same_reward_and_global_randomness_is_kept(digits, genotype):
    evaluator = evaluator_of(digits)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    first = evaluator(genotype, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    again, other = evaluator(genotype, seed=5), evaluator(genotype, seed=6)
    assert first.reward == again.reward
    assert [e["loss"] for e in first.curves] == [e["loss"] for e in again.curves]
    assert [e["loss"] for e in first.curves] != [e["loss"] for e in other.curves]


def test_evaluation_says_what_was_measured(digits, genotype):
    evaluator = evaluator_of(digits, Recipe(epochs=2, batch_size=32, bn_momentum=0.3))
    found = evaluator(genotype, seed=1)
    network = evaluator.build(genotype)
    assert found.status == "ok"
    assert found.cause is None
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert found.seconds > 0
    assert len(found.curves) == 2
    assert found.reward == found.curves[-1]["validation_accuracy"]
    assert round(found.reward * 32) == pytest.approx(found.reward * 32)  # so many of 32 images
    json.dumps(found.curves)


def test_rewards():
    def result(*accuracies):
        history = [{"epoch": n, "validation_accuracy": a} for n, a in enumerate(accuracies)]
        return TrainingResult("ok", None, history, accuracies[-1], 0)

    found = result(0.9, 0.1, 0.5, 0.2, 0.3, 0.4)
    assert REWARDS["accuracy"](found) == 0.4
    assert REWARDS["cubed"](found) == pytest.approx(0.5**3)  # the best of the last five
    assert REWARDS["cubed"](result(None, 0.2)) == pytest.approx(0.2**3)


def test_cubed_reward(digits, genotype):
    plain, cubed = evaluator_of(digits), evaluator_of(digits, reward="cubed")
    assert cubed(genotype, 3).reward == pytest.approx(plain(genotype, 3).reward ** 3)


def test_time_out_and_divergence(digits, genotype):
    slow = evaluator_of(digits, Recipe(epochs=10_000, time_limit=0.05, bn_momentum=0.3))
    found = slow(genotype)
    assert (found.reward, found.status) == (None, "timeout")
    assert "time limit of 0.05 s" in found.cause
    wild = evaluator_of(digits, Recipe(epochs=30, learning_rate=1e30, clip_norm=None))
    found = wild(genotype)
    assert (found.reward, found.status) == (None, "diverged")
    assert found.cause


def test_should_stop(digits, genotype):
    found = evaluator_of(digits)(genotype, 0, lambda: True)
    assert (found.reward, found.status) == (None, "stopped")


def test_on_step(digits, genotype):
    """64 images in batches of at most 24: three steps an epoch."""
    calls = []
    evaluator = evaluator_of(digits, Recipe(epochs=2, batch_size=24, bn_momentum=0.3))
    found = evaluator(genotype, 0, on_step=lambda *step: calls.append(step))
    assert found.status == "ok"
    assert calls == [(step, 6) for step in range(1, 7)]
    assert Task(evaluator, on_step=lambda *step: calls.append(step))(genotype, 0) == replace(
        found, seconds=ANY, curves=ANY
    )
    assert calls[6:] == calls[:6]


def test_an_evaluator_is_offered_what_its_signature_has(genotype):
    def stop():
        return False

    def report(step, steps):
        raise AssertionError("not called")

    given = []
    evaluators = {
        (): lambda genotype: given.append(()) or 0.5,
        ("seed",): lambda genotype, seed: given.append((seed,)) or 0.5,
        ("on_step",): lambda genotype, on_step: given.append((on_step,)) or 0.5,
        ("should_stop", "on_step"): lambda genotype, should_stop=None, on_step=None: (
            given.append((should_stop, on_step)) or 0.5
        ),
    }
    offered = {"seed": 3, "should_stop": stop, "on_step": report}
    for names, evaluator in evaluators.items():
        assert Task(evaluator, stop, report)(genotype, 3).reward == 0.5
        assert given.pop() == tuple(offered[name] for name in names)
    assert Task(evaluators["on_step",])(genotype, 3).reward == 0.5
    assert given == [(None,)]


def test_bad_settings(digits):
    with pytest.raises(
        SettingsError, match="reward must be one of accuracy and cubed, got 'speed'"
    ):
        evaluator_of(digits, reward="speed")
    with pytest.raises(SettingsError, match="device"):
        evaluator_of(digits, device="cuda:99")


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"dataset": "digits"}, SettingsError, "a Dataset, got 'digits'.*data.load\\('digits'\\)"),
        ({"dataset": "cifar10"}, SettingsError, "data.load\\('cifar10'\\)"),
        ({"dataset": None}, SettingsError, "dataset must be a Dataset, got None"),
        ({"recipe": {"epochs": 1}}, SettingsError, "recipe must be a Recipe, got {'epochs': 1}"),
        ({"cells": "2"}, NetworkError, "cells is the number of normal cells per stage"),
        ({"cells": 0}, SettingsError, "cells must be a whole number from 1, got 0"),
        ({"cells": 1.5}, SettingsError, "cells must be a whole number from 1, got 1.5"),
        ({"filters": -3}, SettingsError, "filters must be a whole number from 1, got -3"),
        ({"filters": "8"}, SettingsError, "filters must be a whole number from 1, got '8'"),
        ({"droput": 0.5}, SettingsError, "no argument 'droput'; the nearest one is 'dropout'"),
        ({"classes": 3}, SettingsError, "no argument 'classes'"),
        ({"xyz": 3}, SettingsError, "no argument 'xyz'; .* there are auxiliary, bottleneck, dro"),
        ({"dropout": 1.5}, NetworkError, "dropout must be a finite number"),
        ({"stem": "imagenet"}, NetworkError, "images of 8 x 8 are too small"),
        ({"auxiliary": True}, NetworkError, "auxiliary head"),
    ],
)
def test_a_wrong_setting_is_found_at_once(digits, arguments, error, words):
    right = {"dataset": digits, "recipe": QUICK, "cells": 1, "filters": 4}
    with pytest.raises(error, match=words):
        TrainingEvaluator(**right | arguments)


def test_images_too_small_are_found_at_once():
    images = torch.zeros(6, 1, 2, 2, dtype=torch.uint8), torch.arange(6) % 3
    tiny = Dataset.from_tensors("two pixels", images, images)
    with pytest.raises(NetworkError, match="images of 2 x 2 are too small"):
        evaluator_of(tiny)


def test_the_check_builds_no_weights_and_draws_no_random_numbers(digits, monkeypatch):
    built = []
    build = TrainingEvaluator.build
    monkeypatch.setattr(
        TrainingEvaluator, "build", lambda *args: built.append(build(*args)) or built[-1]
    )
    before = torch.get_rng_state()
    evaluator = evaluator_of(digits, auxiliary=False, cells=[1, 2, 1], filters=numpy.int64(4))
    assert torch.equal(torch.get_rng_state(), before)
    (network,) = built
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert evaluator.build(small_space().sample(1)).classifier.weight.device.type == "cpu"
    json.dumps(evaluator.settings())


def test_network_that_cannot_be_built_is_a_failed_trial(tmp_path, digits):
    """The space may hold genotypes that cannot be built: the search goes on without them."""
    evaluator = evaluator_of(digits)
    evaluator.filters = 0
    with pytest.raises(NetworkError):
        evaluator(small_space().sample(1))
    space = small_space()
    search = Search(space, RandomSearch(space), evaluator, tmp_path / "run")
    search.run(2)
    assert set(search.trials().status) == {"error"}
    assert search.trials().cause.str.startswith("NetworkError").all()


def test_with_recipe(digits):
    evaluator = evaluator_of(digits)
    other = evaluator.with_recipe(Recipe(epochs=3))
    assert (evaluator.recipe.epochs, other.recipe.epochs) == (1, 3)
    assert other.dataset is evaluator.dataset
    assert other.settings() | {"recipe": 0} == evaluator.settings() | {"recipe": 0}
    with pytest.raises(SettingsError, match="recipe must be a Recipe, got 3"):
        evaluator.with_recipe(3)


# --- whole searches -----------------------------------------------------------------------------


def test_search_is_resumed_from_its_folder_alone(tmp_path, digits):
    space = small_space()

    def make(folder):
        controller = PPO(space, 1, batch_size=2, hidden=8)
        evaluator = evaluator_of(digits, dropout=0.25, reward="cubed")
        return Search(space, controller, evaluator, folder, seed=3)

    whole, cut = make(tmp_path / "whole"), make(tmp_path / "cut")
    whole.run(4)
    cut.run(2)
    resumed = Search.resume(tmp_path / "cut")
    assert resumed.evaluator.settings() == cut.evaluator.settings()
    assert resumed.evaluator.recipe == QUICK
    assert resumed.evaluator.network == {"dropout": 0.25}
    resumed.run(2)
    columns = ["number", "key", "seed", "reward", "status", "parameters", "cached", "told_reward"]
    assert resumed.trials()[columns].equals(whole.trials()[columns])
    losses = [
        [[epoch["loss"] for epoch in c or []] for c in search.trials().curves]
        for search in (whole, resumed)
    ]
    assert losses[0] == losses[1]


def test_resume_on_another_device(tmp_path, digits):
    space = small_space()
    Search(space, RandomSearch(space), evaluator_of(digits), tmp_path / "run")
    assert Search.resume(tmp_path / "run", device="cpu").evaluator.device == "cpu"
    with pytest.raises(SettingsError, match="cuda:99"):
        Search.resume(tmp_path / "run", device="cuda:99")


def test_evaluator_with_other_settings_is_refused(tmp_path, digits):
    space = small_space()
    Search(space, RandomSearch(space), evaluator_of(digits), tmp_path / "run")
    with pytest.raises(StoreError, match=r"another evaluator: recipe is .*epochs.* there and"):
        Search.resume(tmp_path / "run", evaluator_of(digits, Recipe(epochs=2)))
    with pytest.raises(StoreError, match="another evaluator: dataset is"):
        Search.resume(tmp_path / "run", evaluator_of(data.load("digits")))


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_search_never_touches_test_data(tmp_path, executor):
    dataset = tiny_data()
    with pytest.raises(AssertionError, match="touched"):
        _ = dataset.test
    space = small_space()
    controller = PPO(space, 2, batch_size=2, hidden=8)
    search = Search(space, controller, evaluator_of(dataset), tmp_path / "run")
    search.run(3, executor)
    frame = search.trials()
    assert list(frame.status) == ["ok"] * 3, list(frame.cause)
    assert all(0 <= reward <= 1 and math.isfinite(reward) for reward in frame.reward)
    assert len(search.best(3)) >= 1


def test_inline_and_processes_are_equal_to_the_bit(tmp_path, digits):
    """Whatever torch was set to outside: one thread and float32 inside."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    space, frames = small_space(), []
    try:
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        for executor in ("inline", "processes"):
            evaluator = TrainingEvaluator(digits, QUICK, cells=1, filters=8)
            search = Search(space, RandomSearch(space, 4), evaluator, tmp_path / executor)
            search.run(4, executor, workers=1)
            frames.append(search.trials())
        assert (torch.get_num_threads(), torch.get_default_dtype()) == (2, torch.float64)
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
    inline, processes = frames
    assert set(inline.status) == {"ok"}
    assert list(inline.reward) == list(processes.reward)
    losses = [[[e["loss"] for e in curves or []] for curves in f.curves] for f in frames]
    assert losses[0] == losses[1]
    alone = TrainingEvaluator(digits, QUICK, cells=1, filters=8)
    trial = search.store.trial(0)
    assert alone(trial.genotype, trial.seed).reward == trial.reward  # float32, one thread here


def test_own_data_must_be_given_again(tmp_path):
    space = small_space()
    search = Search(space, RandomSearch(space), evaluator_of(tiny_data()), tmp_path / "run")
    search.run(1)
    with pytest.raises(
        StoreError, match=r"your own data set 'custom:tiny@.*Pass the evaluator: Search\.resume"
    ):
        Search.resume(tmp_path / "run")
    with pytest.raises(StoreError, match="another evaluator: dataset is"):
        Search.resume(tmp_path / "run", evaluator_of(tiny_data(name="other")))
    other = tiny_data()
    images = other.train.images.clone()
    images[0, 0, 0, 0] += 1
    changed = Dataset.from_tensors("tiny", (images, other.train.labels), other.validation)
    with pytest.raises(StoreError, match="another evaluator: dataset is"):
        Search.resume(tmp_path / "run", evaluator_of(changed))
    resumed = Search.resume(tmp_path / "run", evaluator_of(tiny_data()))
    resumed.run(1)
    assert resumed.finished == 2


def test_stop_reaches_into_a_child(tmp_path, digits):
    space = small_space()
    endless = evaluator_of(digits, Recipe(epochs=100_000, batch_size=8))
    search = Search(space, RandomSearch(space), endless, tmp_path / "run")
    search.start(2)
    while len(search.store.proposed_from(0)) == 0:
        assert search.running
    search.stop()
    search.result(5)
    assert [trial.status for trial in search.store.unfinished()] == ["stopped"]

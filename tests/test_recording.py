"""A recording says what the controller was: compared with one that was watched as it searched."""

from __future__ import annotations

import hashlib
import math
import os
import random
import sqlite3
from contextlib import closing

import numpy
import pytest
import torch
from search_helpers import OPERATIONS, identity_share, new, share_or_fail, small_space

from nasworkbench import PPO, CellSpace, Reinforce, Search
from nasworkbench.controllers.policy import entropy
from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.search import recording as recording_module
from nasworkbench.search.ledger import Ledger
from nasworkbench.search.recording import Recording
from nasworkbench.search.reenacting import TOLERANCE, told_before

SETTINGS = {"batch_size": 5, "learning_rate": 0.02, "hidden": 16}


class Watched:
    """Notes what a controller is whenever it is asked, and each advantage as it is used."""

    def __init__(self, controller):
        self.controller = controller
        self.distributions, self.updates, self.heats, self.advantages = {}, {}, {}, []
        ask, sample, advantages = controller.ask, controller._sample, controller.advantages
        self.heat = 1.0

        def asked(count=1):
            proposals = ask(count)
            controller.policy.temperature = self.heat
            for proposal in proposals:
                with torch.no_grad():
                    tokens = torch.tensor([proposal.tokens])
                    found = controller.policy.log_distribution(tokens)[0]
                self.distributions[proposal.number] = found
                self.updates[proposal.number] = controller.updates
                self.heats[proposal.number] = self.heat
            controller.policy.temperature = 1.0
            return proposals

        def sampled(count, temperature=1.0):
            self.heat = temperature
            return sample(count, temperature)

        def noted(rewards):
            found = advantages(rewards)
            baseline = rewards.mean().item() if controller.baseline is None else controller.baseline
            self.advantages += [(baseline, advantage) for advantage in found.tolist()]
            return found

        controller.ask, controller._sample, controller.advantages = asked, sampled, noted


def many_workers(search, trials, workers=4, seed=0):
    """As a search with so many workers, which take different times."""
    ledger = Ledger(search.store, search.controller, search.seed, search.failure_reward)
    chance, running, ended = random.Random(seed), [], []
    while len(ended) < trials:
        while len(running) < workers and len(ended) + len(running) < trials:
            running.append(ledger.propose())
        trial = running.pop(chance.randrange(len(running)))
        try:
            trial.status, trial.reward = "ok", identity_share(trial.genotype) + 0.01 * trial.number
            if search.evaluator is share_or_fail:
                share_or_fail(trial.genotype)
        except ValueError as error:
            trial.status, trial.reward, trial.cause = "error", None, str(error)
        ended.append(trial)
        trial.completion_order = len(ended)
        ledger.end(trial)
    return ended


CONTROLLERS = {
    "PPO": lambda space: PPO(space, 3, **SETTINGS),
    "PPO, whitened": lambda space: PPO(space, 3, **SETTINGS, whiten_advantages=True),
    "REINFORCE": lambda space: Reinforce(space, 3, **SETTINGS),
}


@pytest.mark.parametrize("name", CONTROLLERS)
@pytest.mark.parametrize("failure_reward", [0.0, None])
def test_the_past_is_what_it_was(tmp_path, name, failure_reward):
    space = small_space()
    controller = CONTROLLERS[name](space)
    watched = Watched(controller)
    evaluate = share_or_fail
    search = Search(space, controller, evaluate, tmp_path / "s", failure_reward=failure_reward)
    ended = many_workers(search, 43)
    updates = search.store.updates()
    search.store.close()

    found = Recording(tmp_path / "s")
    assert found.note == "" and len(found) == 43
    assert [step.trial.number for step in found.steps] == [trial.number for trial in ended]
    told = 0
    for place, step in enumerate(found.steps):
        trial, past, number = step.trial, step.past, step.trial.number
        true = watched.distributions[number]
        assert past.drawn_after == watched.updates[number]
        numpy.testing.assert_allclose(found.probabilities[place], true.exp(), atol=1e-6)
        assert past.entropy == pytest.approx(entropy(true).mean().item(), abs=1e-5)
        assert past.gap < 1e-5
        assert past.log_prob == math.fsum(trial.proposal.log_probs)
        if trial.told_reward is None:
            assert (trial.status, past.update, past.advantage) == ("error", None, None)
            continue
        if told < len(watched.advantages):
            update = updates[told // SETTINGS["batch_size"]]
            assert past.update == update["update"]
            assert (past.baseline, past.advantage) == pytest.approx(watched.advantages[told])
            assert past.ratio == update.get("ratio")
            assert past.clip_fraction == update.get("clip_fraction")
        else:
            assert (past.update, past.advantage, past.baseline) == (None, None, None)
        told += 1
    assert len(updates) >= 4 and told > len(watched.advantages)
    # it was a test of many workers: some were drawn before others of the same age had been told
    assert any(s.past.drawn_after < place // 5 for place, s in enumerate(found.steps))
    assert {step.trial.status for step in found.steps} == {"ok", "error"}


def test_a_controller_that_proposes_nothing_twice(tmp_path):
    space = CellSpace(1, OPERATIONS, ("add",), tied=True)
    controller = PPO(space, 1, **SETTINGS | {"learning_rate": 0.1}, no_repeats=True)
    watched = Watched(controller)
    search = Search(space, controller, identity_share, tmp_path / "s")
    search.run(18)
    found = Recording(tmp_path / "s")
    assert found.note == ""
    assert max(watched.heats.values()) > 1.0  # it had to be heated for some
    for place, step in enumerate(found.steps):
        true = watched.distributions[step.trial.number].exp()
        numpy.testing.assert_allclose(found.probabilities[place], true, atol=1e-5)


def test_told_before_counts_what_had_ended():
    assert told_before([0.0, 0.5, 2.5, 1.5], [1.0, 2.0, 3.0, 4.0]) == [0, 0, 2, 1]
    # one tick of a coarse clock: a trial cannot have been told before its own proposal
    assert told_before([5.0, 5.0, 5.0], [5.0, 5.0, 5.0]) == [0, 1, 2]


@pytest.mark.parametrize("name", ["RandomSearch", "RegularizedEvolution"])
def test_controllers_without_a_policy(tmp_path, name):
    search = new(tmp_path / "s", controller=name)
    search.run(30)
    found = Recording(tmp_path / "s")
    assert found.probabilities is None and found.note == ""
    rows = found.rows()
    assert rows["reward"].tolist() == search.trials()["reward"].tolist()
    assert rows["best_reward"].tolist() == search.trials()["reward"].cummax().tolist()
    assert rows[["log_prob", "update", "advantage"]].isna().all().all()
    first = rows["reward"].idxmax()  # the first of equals keeps its place
    assert found.steps[-1].best.number == rows["number"][first]


def test_what_has_not_ended_is_left_out(tmp_path):
    search = new(tmp_path / "s")
    assert len(Recording(tmp_path / "s")) == 0
    assert list(Recording(tmp_path / "s").rows().columns)[:2] == ["number", "place"]
    search.run(7)
    search.ledger.propose()
    assert [step.trial.number for step in Recording(tmp_path / "s").steps] == list(range(7))


def test_a_process_that_was_killed_before_it_told(tmp_path):
    search = new(tmp_path / "s")
    search.run(4)  # one less than a batch
    trial = search.ledger.propose()
    trial.status, trial.reward, trial.told_reward, trial.completion_order = "ok", 0.5, 0.5, 5
    search.store.ended(trial)
    found = Recording(tmp_path / "s")
    assert found.note == "" and len(found) == 5
    assert found.steps[4].past.update is None and found.steps[4].past.drawn_after == 0
    Search.resume(tmp_path / "s", identity_share).run(3)
    found = Recording(tmp_path / "s")
    assert found.note == ""
    assert [step.past.drawn_after for step in found.steps] == [0] * 5 + [1] * 3
    assert [step.past.update for step in found.steps] == [1] * 5 + [None] * 3


# --- when it is not the true past -----------------------------------------------------------------


def changed(folder, statement, *values):
    with closing(sqlite3.connect(folder / "search.sqlite")) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture
def run(tmp_path):
    search = new(tmp_path / "s")
    search.run(22)
    search.store.close()
    return tmp_path / "s"


def test_other_log_probs_are_said(run):
    true = Recording(run)
    low = str([-5.0] * 8 + [-0.5, -0.5])
    changed(run, "UPDATE trials SET log_probs = ? WHERE number = 7", low)
    found = Recording(run)
    assert "1 of 22 trials differ by up to" in found.note
    assert found.steps[7].past.gap > TOLERANCE
    assert found.steps[6].past.gap < 1e-5
    before = [step.past.drawn_after == 1 for step in found.steps]
    numpy.testing.assert_array_equal(found.probabilities[:5], true.probabilities[:5])
    numpy.testing.assert_array_equal(
        found.probabilities[before], true.probabilities[before]
    )  # the changed trial is learnt from by the next update only


def test_a_controller_that_had_learnt_before(tmp_path):
    space = small_space()
    controller = PPO(space, 3, **SETTINGS)
    first = Search(space, controller, identity_share, tmp_path / "first")
    first.run(20)
    again = Search(space, controller, identity_share, tmp_path / "again")
    again.run(10)
    assert "had learnt before this search" in Recording(tmp_path / "again").note
    assert Recording(tmp_path / "first").note == ""


def test_other_updates_are_said(run):
    changed(run, "DELETE FROM updates WHERE number = 4")
    assert "it made 4 updates, and 3 are stored" in Recording(run).note


# --- your own classes -----------------------------------------------------------------------------


class OwnPPO(PPO):
    """A user's."""


class OwnSpace(CellSpace):
    """A user's."""


def test_your_own_controller_is_passed(tmp_path):
    space = small_space()
    Search(space, OwnPPO(space, 3, **SETTINGS), identity_share, tmp_path / "s").run(12)
    with pytest.raises(StoreError, match=r"your own controller 'OwnPPO'.*controller=\.\.\."):
        Recording(tmp_path / "s")
    fresh = OwnPPO(space, 3, **SETTINGS)
    before = fresh.policy.head_weight.clone()
    found = Recording(tmp_path / "s", controller=fresh)
    assert found.note == "" and found.steps[11].past.drawn_after == 2
    assert fresh.updates == 0 and torch.equal(fresh.policy.head_weight, before)
    with pytest.raises(StoreError, match="another controller: seed is 3 there and 4 here"):
        Recording(tmp_path / "s", controller=OwnPPO(space, 4, **SETTINGS))
    learnt = Search.resume(tmp_path / "s", identity_share, OwnPPO(space, 3, **SETTINGS))
    learnt.run(5)
    with pytest.raises(SettingsError, match=r"has learnt already.*OwnPPO\(space"):
        Recording(tmp_path / "s", controller=learnt.controller)


def test_your_own_space_is_passed(tmp_path):
    space = OwnSpace(1, ("identity", "conv_1x1"))
    Search(space, PPO(space, 3, **SETTINGS), identity_share, tmp_path / "s").run(6)
    with pytest.raises(StoreError, match=r"your own space 'OwnSpace'.*space=\.\.\."):
        Recording(tmp_path / "s")
    assert Recording(tmp_path / "s", space=space).note == ""
    with pytest.raises(StoreError, match="another space: OwnSpace there, CellSpace here"):
        Recording(tmp_path / "s", space=small_space())


# --- damaged, read-only, in use -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE trials SET place = NULL WHERE number = 3", "order in which its trials ended"),
        ("UPDATE trials SET place = 4 WHERE number = 4", "order in which its trials ended"),
        ("UPDATE trials SET reward = 'much' WHERE number = 3", "could not convert"),
        ("UPDATE trials SET ended_at = 'then' WHERE number = 3", "could not convert"),
        ("UPDATE trials SET tokens = '[1, 2]' WHERE number = 3", "trial 3"),
        ("UPDATE trials SET log_probs = '[-1.0]' WHERE number = 3", "log-probabilities"),
        ("UPDATE trials SET log_probs = '[\"x\"]' WHERE number = 3", "damaged"),
        ("UPDATE trials SET told_reward = 1e999 WHERE number = 3", "finite"),
        ("UPDATE updates SET metrics = '[' WHERE number = 2", "damaged"),
        ("UPDATE updates SET metrics = '[1]' WHERE number = 2", "damaged"),
        ("UPDATE updates SET told = 'all' WHERE number = 2", "damaged"),
        ("DELETE FROM meta WHERE name = 'controller'", "description of its controller is damaged"),
        ("DELETE FROM meta WHERE name = 'space'", "description of its space is damaged"),
    ],
)
def test_a_damaged_file_is_refused(run, statement, message):
    changed(run, statement)
    with pytest.raises(StoreError, match="damaged") as error:
        Recording(run)
    assert message in str(error.value)


def test_no_search_there(tmp_path, run):
    with pytest.raises(StoreError, match="holds no search"):
        Recording(tmp_path / "nowhere")
    whole = (run / "search.sqlite").read_bytes()
    (run / "search.sqlite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged or no search"):
        Recording(run)
    half = tmp_path / "half"
    half.mkdir()
    (half / "search.sqlite.new").write_bytes(whole)
    with pytest.raises(StoreError, match="holds no search"):
        Recording(half)


def contents(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_folder_is_left_as_it_is(run):
    before = contents(run)
    Recording(run)
    assert contents(run) == before


def test_a_folder_that_cannot_be_written(run, monkeypatch):
    """A run on a shared, read-only disk; SQLite would want to write beside the file."""
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    opened = []
    store = recording_module.Store
    monkeypatch.setattr(recording_module, "Store", lambda p: opened.append(p) or store(p))
    before = contents(run)
    assert len(Recording(run)) == 22
    assert opened[0] != run and not opened[0].exists()
    assert contents(run) == before
    (run / "search.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="damaged") as error:
        Recording(run)
    assert str(run) in str(error.value)


def test_a_search_that_runs_can_be_looked_at(tmp_path):
    search = new(tmp_path / "s")
    lengths = []

    def looking(genotype):
        lengths.append(len(Recording(tmp_path / "s")))
        return identity_share(genotype)

    search.evaluator = looking
    search.run(6)
    assert len(lengths) >= 2 and lengths == sorted(lengths) and lengths[-1] > 0
    assert len(Recording(tmp_path / "s")) == 6

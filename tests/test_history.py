"""A history says what the search was: compared with a controller watched as it searched."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy
import pytest
import torch
from search_helpers import (
    OPERATIONS,
    change,
    environment,
    identity_share,
    new,
    share_or_fail,
    small_space,
)

from nasworkbench import PPO, CellSpace, History, Reinforce, Search
from nasworkbench.errors import StoreError
from nasworkbench.executors import Executor
from nasworkbench.executors.base import call
from nasworkbench.search import Store
from nasworkbench.training.evaluator import Task

SETTINGS = {"batch_size": 5, "learning_rate": 0.02, "hidden": 16}


class Watched:
    """Notes what a controller's policy is whenever it is asked, and each advantage it uses."""

    def __init__(self, controller):
        self.distributions, self.updates, self.advantages = {}, {}, []
        ask, advantages = controller.ask, controller.advantages

        def asked(count=1):
            proposals = ask(count)
            tokens = torch.tensor([proposal.tokens for proposal in proposals])
            with torch.no_grad():
                found = controller.policy.log_distribution(tokens).exp().numpy()
            for proposal, distribution in zip(proposals, found, strict=True):
                self.distributions[proposal.number] = distribution
                self.updates[proposal.number] = controller.updates
            return proposals

        def noted(rewards):
            found = advantages(rewards)
            baseline = rewards.mean().item() if controller.baseline is None else controller.baseline
            self.advantages += [(baseline, advantage) for advantage in found.tolist()]
            return found

        controller.ask, controller.advantages = asked, noted


class Shuffled(Executor):
    """Four workers that take different times, all in this thread."""

    def __init__(self, evaluator, workers=4):
        super().__init__(workers)
        self.task, self.chance = Task(evaluator), random.Random(0)
        self.begun: dict = {}

    def begin(self, future, worker, arguments):
        self.begun[future] = arguments

    def wait(self, timeout=None):
        if self.begun:
            future = self.chance.choice(list(self.begun))
            future.set_result(call(self.task, self.begun.pop(future)))
        return super().wait(timeout)


CONTROLLERS = {
    "PPO": lambda space: PPO(space, 3, **SETTINGS),
    "PPO, whitened": lambda space: PPO(space, 3, **SETTINGS, whiten_advantages=True),
    "REINFORCE": lambda space: Reinforce(space, 3, **SETTINGS),
}


@pytest.mark.parametrize("name", CONTROLLERS)
@pytest.mark.parametrize("failure_reward", [0.0, None])
def test_what_is_stored_is_what_the_controller_was(tmp_path, name, failure_reward):
    space = small_space()
    controller = CONTROLLERS[name](space)
    watched = Watched(controller)
    search = Search(space, controller, share_or_fail, tmp_path / "s", failure_reward=failure_reward)
    search.run(43, Shuffled(share_or_fail))
    search.store.close()

    with History(tmp_path / "s") as history:
        frame, updates = history.trials(), history.updates()
        assert history.count == len(frame) == 43
        assert list(frame["completion_order"]) == list(range(1, 44))
        assert list(frame["number"]) != sorted(frame["number"])  # it was a test of many workers
        for row in frame.itertuples():
            trial = history.trial(row.number)
            assert (trial.tokens, trial.key) == (row.tokens, row.key)
            assert row.updates_at_proposal == watched.updates[row.number]
            true = watched.distributions[row.number]
            numpy.testing.assert_allclose(history.distributions(row.number), true, atol=5e-4)
            taken = true[numpy.arange(len(row.tokens)), list(row.tokens)]
            numpy.testing.assert_allclose(trial.proposal.log_probs, numpy.log(taken), atol=1e-5)
    told = frame[frame["told_reward"].notna()]
    assert set(frame["status"]) <= {"ok", "error"} and (frame["status"] == "error").any()
    learnt = [number for update in updates for number in update["numbers"]]
    assert learnt == list(told["number"])[: len(learnt)] and len(updates) >= 4
    assert len(told) - len(learnt) < SETTINGS["batch_size"]
    for place, update in enumerate(updates):
        mine = watched.advantages[place * 5 : place * 5 + 5]
        assert update["advantages"] == pytest.approx([advantage for _, advantage in mine])
        assert [update["baseline_before"]] * 5 == pytest.approx([baseline for baseline, _ in mine])
        last = frame[frame["number"] == update["numbers"][-1]].iloc[0]
        assert update["told"] == last["completion_order"]
        assert last["updates_at_tell"] == place  # the policy's age just before it
    assert (frame["updates_at_tell"] >= frame["updates_at_proposal"]).all()
    assert (frame["updates_at_tell"] > frame["updates_at_proposal"]).any()


def test_a_controller_that_proposes_nothing_twice(tmp_path):
    """Some draws are hotter than the policy: what is stored is what was really drawn from."""
    space = CellSpace(1, OPERATIONS, ("add",), tied=True)
    controller = PPO(space, 1, **SETTINGS | {"learning_rate": 0.1}, no_repeats=True)
    watched = Watched(controller)
    Search(space, controller, identity_share, tmp_path / "s").run(18)
    gaps = []
    with History(tmp_path / "s") as history:
        for number in range(18):
            trial, drawn = history.trial(number), history.distributions(number)
            taken = drawn[numpy.arange(len(trial.tokens)), list(trial.tokens)]
            numpy.testing.assert_allclose(
                taken, numpy.exp(trial.proposal.log_probs), rtol=2e-3, atol=1e-6
            )
            gaps.append(numpy.abs(drawn - watched.distributions[number]).max())
    assert max(gaps) > 0.01  # it had to be heated for some


@pytest.mark.parametrize("name", ["RandomSearch", "RegularizedEvolution"])
def test_controllers_without_a_policy(tmp_path, name):
    search = new(tmp_path / "s", controller=name)
    search.run(30)
    with History(tmp_path / "s") as history:
        frame = history.trials()
        assert history.name == name and history.updates() == []
        assert history.distributions(4) is None
        assert frame["log_prob"].isna().all()
        assert frame.equals(search.trials())
        assert [t.number for t in history.best(3)] == [t.number for t in search.best(3)]


def test_it_is_read_piece_by_piece(tmp_path):
    search = new(tmp_path / "s")
    with History(tmp_path / "s") as history:
        assert history.count == 0 and history.trials().empty and history.read().empty
        assert history.best() == []
        search.run(7)
        assert list(history.read()["number"]) == list(range(7))
        assert history.read().empty
        search.run(5)
        assert list(history.read()["number"]) == list(range(7, 12))
        assert len(history.trials()) == history.count == 12
        assert [update["update"] for update in history.updates(after=1)] == [2]
        assert repr(history) == f"History of {tmp_path / 's'}: 12 trials of PPO"
        with pytest.raises(StoreError, match="holds no trial 12"):
            history.trial(12)


def test_a_process_that_was_killed_before_it_told(tmp_path, monkeypatch):
    search = new(tmp_path / "s")
    search.run(4)  # one less than a batch
    tell = search.controller.tell
    monkeypatch.setattr(
        search.controller, "tell", lambda o: 1 / 0 if o[0].proposal.number == 4 else tell(o)
    )
    with pytest.raises(ZeroDivisionError):
        search.run(1)
    with History(tmp_path / "s") as history:
        assert history.count == 5 and history.updates() == []
    Search.resume(tmp_path / "s", identity_share).run(3)
    with History(tmp_path / "s") as history:
        (update,) = history.updates()
        assert update["numbers"] == [0, 1, 2, 3, 4] and update["told"] == 5
        assert list(history.trials()["updates_at_proposal"]) == [0] * 5 + [1] * 3


def test_what_a_reward_is(tmp_path):
    new(tmp_path / "s")
    with History(tmp_path / "s") as history:
        assert history.reward_label == "reward" and not history.reads_table


# --- your own classes -----------------------------------------------------------------------------


class OwnPPO(PPO):
    """A user's."""


class OwnSpace(CellSpace):
    """A user's."""


def test_your_own_controller_is_not_needed(tmp_path):
    space = small_space()
    Search(space, OwnPPO(space, 3, **SETTINGS), identity_share, tmp_path / "s").run(12)
    with History(tmp_path / "s") as history:
        assert history.name == "OwnPPO" and history.trial(11).updates_at_proposal == 2
        assert history.distributions(11).sum(1) == pytest.approx(1.0, abs=2e-3)


def test_your_own_space_is_passed(tmp_path):
    space = OwnSpace(1, ("identity", "conv_1x1"))
    Search(space, PPO(space, 3, **SETTINGS), identity_share, tmp_path / "s").run(6)
    with History(tmp_path / "s") as history:
        assert len(history.trials()) == 6  # tokens need no space
        for ask in (history.best, lambda: history.trial(1), lambda: history.distributions(1)):
            with pytest.raises(StoreError, match=r"your own space 'OwnSpace'.*space=\.\.\."):
                ask()
    with History(tmp_path / "s", space) as history:
        assert len(history.best(3)) == 3
    with pytest.raises(StoreError, match="another space: OwnSpace there, CellSpace here"):
        History(tmp_path / "s", space=small_space())


# --- damaged, read-only, in use -------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    search = new(tmp_path / "s")
    search.run(22)
    search.store.close()
    return tmp_path / "s"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE trials SET completion_order = 40 WHERE number = 3", "a trial is missing"),
        ("UPDATE trials SET reward = 'much' WHERE number = 3", "trial 3 holds what no search"),
        ("UPDATE trials SET told_reward = 0.7 WHERE number = 3", "trial 3: it does not match"),
        ("UPDATE trials SET tokens = x'01' WHERE number = 3", "trial 3: it does not match"),
        ("UPDATE trials SET distributions = x'01' WHERE number = 3", "trial 3: it does not match"),
        ("UPDATE updates SET metrics = '[' WHERE number = 2", "the controller's updates: "),
        ("UPDATE updates SET metrics = '[1]' WHERE number = 2", "the controller's updates: "),
        ("DELETE FROM meta WHERE name = 'controller'", "controller is missing"),
        ("DELETE FROM meta WHERE name = 'space'", "space is missing"),
    ],
)
def test_a_damaged_file_is_refused(run, statement, message):
    change(run, statement, forged="updates" in statement)
    with pytest.raises(StoreError, match="damaged") as error, History(run) as history:
        history.trials()
        history.updates()
    assert message in str(error.value)


def test_no_search_there(tmp_path, run):
    with pytest.raises(StoreError, match="holds no search"):
        History(tmp_path / "nowhere")
    whole = (run / "search.sqlite").read_bytes()
    (run / "search.sqlite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged or holds no search"):
        History(run)


def contents(folder):
    """Of each file its digest; SQLite's helper files apart."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith(("-shm", "-wal"))
    }


def test_the_folder_is_left_as_it_is(run):
    before = contents(run)
    with History(run) as history:
        history.trials()
        with pytest.raises(StoreError, match="cannot write"):
            history.store.set_meta(goal=3)
    assert contents(run) == before


def as_nobody(function):
    """What ``function`` returns, a text, where it may write nothing: as root, in a process of
    another user."""
    if os.getuid() != 0:
        return function()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writing, function().encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)  # never back into pytest
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode()


@pytest.fixture
def shared(tmp_path):
    """A run folder of a teacher's that everybody may read, and what lies in it, by name."""
    with tempfile.TemporaryDirectory() as parent:  # others may not enter tmp_path
        folder = Path(parent) / "shared"
        search = new(tmp_path / "s")
        search.run(22)

        def share(*names, mode=0o555):
            folder.mkdir()
            for name in names:
                shutil.copyfile(tmp_path / "s" / name, folder / name)
                (folder / name).chmod(0o444)
            os.chmod(parent, 0o755)
            folder.chmod(mode)
            return folder

        share.search = search
        yield share
        folder.chmod(0o755)


def counted(folder):
    with History(folder) as history:
        assert len(history.trials()) == history.count and history.best() and history.store.state()
        return f"{history.count} trials"


@pytest.mark.parametrize("mode", [0o555, 0o1777])
def test_read_only_folder_without_a_log(shared, monkeypatch, mode):
    """It is read where it is, and nothing is left in it, even if anybody may write there."""
    shared.search.store.close()
    folder = shared("search.sqlite", mode=mode)
    monkeypatch.setattr(shutil, "copyfile", None)  # large files are not copied
    before = contents(folder)
    assert as_nobody(lambda: counted(folder)) == "22 trials"
    assert contents(folder) == before and os.listdir(folder) == ["search.sqlite"]


@pytest.mark.parametrize("helpers", [("-wal",), ("-shm", "-wal")])
def test_read_only_folder_with_a_log(shared, monkeypatch, helpers):
    """As a killed search leaves it: the last trials are in the log only."""
    monkeypatch.setattr(Store, "checkpoint", lambda self, every=0.0: None)
    shared.search.run(3)
    names = ["search.sqlite", *("search.sqlite" + end for end in helpers)]
    folder = shared(*names)
    before = contents(folder)
    assert as_nobody(lambda: counted(folder)) == "25 trials"
    assert contents(folder) == before and sorted(os.listdir(folder)) == names


def test_read_only_folder_is_not_called_damaged(shared):
    shared.search.store.close()
    folder = shared("search.sqlite")

    def resumed():
        try:
            Search.resume(folder, identity_share)
        except StoreError as error:
            return str(error)

    message = as_nobody(resumed)
    assert "cannot write to" in message and "History(directory)" in message
    assert "damaged" not in message
    (folder / "search.sqlite").chmod(0)
    message = as_nobody(resumed)
    assert "cannot read" in message and "damaged" not in message


def test_read_only_disk(shared, tmp_path):
    """As root, who may write everywhere but there."""
    shared.search.store.close()
    folder = shared("search.sqlite")
    code = (
        "import sys; from nasworkbench import History, report\n"
        "print(History(sys.argv[1]).count, len(report.render(sys.argv[1])) > 10_000)"
    )
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$1" -c "$2" "$0"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, folder, sys.executable, code],
        env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert done.stdout == "22 True\n", done.stderr


def test_a_run_of_the_older_format_is_refused_with_a_sentence(run):
    with closing(sqlite3.connect(run / "search.sqlite")) as connection, connection:
        connection.execute("ALTER TABLE updates DROP COLUMN digest")
    for attempt in (lambda: History(run), lambda: Search.resume(run, identity_share)):
        with pytest.raises(StoreError, match=r"not those of a search of format 3\. If another ver"):
            attempt()


def test_a_search_that_runs_can_be_read(tmp_path):
    search = new(tmp_path / "s")
    lengths = []

    def reading(genotype):
        with History(tmp_path / "s") as history:
            lengths.append(len(history.trials()))
        return identity_share(genotype)

    search.evaluator = reading
    search.run(6)
    assert len(lengths) >= 2 and lengths == sorted(lengths) and lengths[-1] > 0

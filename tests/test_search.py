"""The loop of a search: what is stored, told and cached, and how it goes on after interruptions."""

import itertools
import multiprocessing
import os
import shutil
import signal
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy
import pytest
import torch
from search_helpers import (
    CONTROLLERS,
    Recording,
    WaitForStop,
    every_kind_of_failure,
    identity_share,
    nan,
    new,
    out_of_memory,
    raises,
    same,
    share_or_fail,
    slow_share,
    small_space,
)

from nasworkbench import PPO, CellSpace, Evaluation, RandomSearch, Search
from nasworkbench.errors import SettingsError, StoreError, WorkbenchError
from nasworkbench.executors import Executor, Finished, ProcessExecutor
from nasworkbench.search import History, Store, loop
from nasworkbench.search import store as store_module
from nasworkbench.training.evaluator import Task

pytestmark = pytest.mark.usefixtures("prepared_workers")

MEASURED = [
    "number", "tokens", "key", "seed", "status", "reward", "told_reward", "completion_order",
    "cached", "cause", "curves", "parameters", "log_prob", "updates_at_proposal",
    "updates_at_tell",
]  # fmt: skip


class Told(RandomSearch):
    """Random search that remembers what it was told; a class of the user's own."""

    def __init__(self, space, seed=0):
        super().__init__(space, seed)
        self.told = []

    def _learn(self, outcomes):
        self.told += [(outcome.proposal.number, outcome.reward) for outcome in outcomes]

    def state_dict(self):
        return super().state_dict() | {"told": list(self.told)}

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self.told = [tuple(pair) for pair in state["told"]]


# --- what is stored and told --------------------------------------------------------------------


def test_every_row_is_complete(tmp_path):
    def measured(genotype, seed):
        return Evaluation(
            identity_share(genotype), parameters=7 + seed % 5, curves=[{"epoch": 0, "loss": 0.5}]
        )

    search = new(tmp_path / "run", measured, seed=11)
    search.run(30)
    frame = search.trials()
    assert len(frame) == search.finished == 30
    assert {"key", "reward", "status", "cause", "cached", "seed", "seconds", "parameters",
            "tokens", "number", "worker"} <= set(frame.columns)  # fmt: skip
    assert list(frame.number) == list(range(30))
    assert list(frame.completion_order) == list(range(1, 31))
    assert set(frame.status) == {"ok"}
    assert list(frame.attempts) == [0 if cached else 1 for cached in frame.cached]
    assert (frame.told_reward == frame.reward).all()
    assert frame.cause.isna().all()
    assert frame.seed.is_unique
    assert (frame.seconds >= 0).all()
    assert (frame.ended_at >= frame.proposed_at).all()
    for row in frame.itertuples():
        genotype = search.space.decode(row.tokens)
        assert genotype.key == row.key
        assert row.reward == identity_share(genotype)
        trial = search.store.trial(row.number)
        assert trial.genotype == genotype
        assert len(trial.proposal.log_probs) == len(search.space.decisions)
        assert row.log_prob == trial.proposal.log_prob
        assert row.updates_at_proposal == row.updates_at_tell == row.number // 5
        if not row.cached:
            assert row.curves == [{"epoch": 0, "loss": 0.5}]
            assert row.parameters == 7 + row.seed % 5
    again = new(tmp_path / "again", measured, seed=12)
    again.run(30)
    assert set(again.trials().seed).isdisjoint(frame.seed)


def test_duplicates_are_cached_and_told(tmp_path):
    space = small_space()
    evaluator, controller = Recording(), Told(space, 1)
    search = Search(space, controller, evaluator, tmp_path / "run")
    search.run(120)
    frame = search.trials()
    assert frame.cached.sum() > 5
    assert len(evaluator.keys) == len(set(evaluator.keys)) == (~frame.cached).sum()
    assert list(frame.key[~frame.cached]) == evaluator.keys
    rewards = dict(zip(frame.key[~frame.cached], frame.reward[~frame.cached], strict=True))
    assert all(rewards[row.key] == row.reward for row in frame.itertuples())
    assert (frame.seconds[frame.cached] == 0).all()
    assert controller.told == list(zip(frame.number, frame.reward, strict=True))


def test_row_is_there_before_the_controller_is_told(tmp_path):
    space = small_space()
    controller = Told(space)
    search = Search(space, controller, identity_share, tmp_path / "run")
    search.run(2)

    tell = controller.tell

    def refuse(outcomes):
        if outcomes[0].proposal.number == 2:
            raise RuntimeError("not listening")
        tell(outcomes)

    controller.tell = refuse
    with pytest.raises(RuntimeError, match="not listening"):
        search.run(5)
    (trial,) = search.store.finished_after(2)
    assert (trial.number, trial.status, trial.completion_order) == (2, "ok", 3)
    assert trial.reward == trial.told_reward == identity_share(trial.genotype)
    del controller.tell
    search.run()
    assert search.finished == 7
    assert [number for number, _ in controller.told] == list(range(7))


@pytest.mark.parametrize("failure_reward", [0.0, -1.0, None])
def test_failures_are_recorded_and_told(tmp_path, failure_reward):
    space = small_space()
    controller = Told(space, 2)
    search = Search(
        space, controller, share_or_fail, tmp_path / "run", failure_reward=failure_reward
    )
    search.run(40)
    frame = search.trials()
    failed = frame[frame.status == "error"]
    assert len(failed) > 3
    assert failed.reward.isna().all()
    assert failed.cause.str.startswith("ValueError: no identity anywhere (search_helpers.py").all()
    assert not failed.cached.any()  # only what was measured is known
    told = dict(controller.told)
    if failure_reward is None:
        assert failed.told_reward.isna().all()
        assert told.keys().isdisjoint(failed.number)
    else:
        assert set(failed.told_reward) == {failure_reward}
        assert {told[number] for number in failed.number} == {failure_reward}
    assert len(told) == 40 - (len(failed) if failure_reward is None else 0)
    again = Search.resume(tmp_path / "run", share_or_fail, Told(space, 2))
    assert again.failure_reward == failure_reward


@pytest.mark.parametrize(
    "evaluator, status, cause",
    [
        (raises, "error", "ValueError: this child cannot be trained"),
        (nan, "diverged", "the reward nan, not a finite number"),
        (out_of_memory, "out_of_memory", "MemoryError"),
        (lambda g: Evaluation(None), "diverged", "the reward None"),
        (lambda g: Evaluation(None, "timeout", "too slow"), "timeout", "too slow"),
        (lambda g: "much", "error", "must be real number, not str"),
        (lambda g: Evaluation(0.5, "great"), "error", "stopped and error, got 'great'"),
        (
            lambda g: Evaluation(0.5, curves=[{"loss": {1, 2}}]),
            "error",
            "set is not JSON serializable",
        ),
        (lambda g: Evaluation(0.5, "stopped"), "error", "without being told to"),
    ],
)
def test_kinds_of_failure(tmp_path, evaluator, status, cause):
    search = new(tmp_path / "run", evaluator, "RandomSearch")
    search.run(2)
    frame = search.trials()
    assert list(frame.status) == [status] * 2
    assert frame.cause.str.contains(cause, regex=False).all()
    assert set(frame.told_reward) == {0.0}
    assert search.best() == []
    assert "2 trials" in repr(search)


def test_numbers_of_other_kinds_are_taken(tmp_path):

    def measured(genotype):
        return Evaluation(torch.tensor(0.25), parameters=numpy.int64(12))

    search = new(tmp_path / "run", measured, "RandomSearch")
    search.run(1)
    (row,) = search.trials().to_dict("records")
    assert (row["reward"], row["parameters"], row["status"]) == (0.25, 12, "ok")


def test_best_is_distinct_and_ordered(tmp_path):
    search = new(tmp_path / "run")
    assert search.best() == []
    search.run(60)
    best = search.best(10)
    assert len(best) == len({trial.key for trial in best}) == 10
    frame = search.trials()
    distinct = frame.groupby("key").reward.max().sort_values(ascending=False)
    assert [trial.reward for trial in best] == list(distinct[:10])
    for a, b in itertools.pairwise(best):
        assert (-a.reward, a.number) < (-b.reward, b.number)
    assert len(search.best(1000)) == frame.key.nunique()
    assert f"best reward {best[0].reward:.4f}" in repr(search)


# --- interrupted --------------------------------------------------------------------------------


def interrupt_once(monkeypatch, thing, name, count):
    """Let the ``count``-th call of a method raise KeyboardInterrupt after its work is done."""
    method = getattr(thing, name)
    calls = []

    def wrapped(*arguments):
        calls.append(name)
        if len(calls) == count:
            raise KeyboardInterrupt
        found = method(*arguments)
        if len(calls) == count + 1:  # the next call of it: this time after the fact
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(thing, name, wrapped)
    return calls


POINTS = {
    "controller.ask": "ask",
    "controller.tell": "tell",
    "controller.load_state_dict": "load_state_dict",
    "store.proposed": "proposed",
    "store.ended": "ended",
    "store.save_state": "save_state",
    "evaluator": None,
}


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("resumed", [False, True])
def test_interrupted_search_proposes_the_same(tmp_path, monkeypatch, controller, resumed):
    """Interrupted again and again, at every arrow of the loop: as if nothing had happened."""
    monkeypatch.setattr(loop, "STATE_EVERY", 4)  # for controllers that make no updates
    goal = 36
    whole = new(tmp_path / "whole", Recording(share_or_fail), controller, seed=4)
    whole.run(goal)
    search = new(tmp_path / "cut", Recording(share_or_fail), controller, seed=4)
    search.store.set_meta(goal=goal)
    for place, (point, name) in enumerate(POINTS.items()):
        count = 2 + place % 3
        if resumed:
            search.store.close()
            search = Search.resume(tmp_path / "cut", Recording(share_or_fail))
        with monkeypatch.context() as patch:
            if name is None:
                search.evaluator.interrupt_at = len(search.evaluator.keys) + count
            else:
                thing = getattr(search, point.split(".")[0])
                interrupt_once(patch, thing, name, 1 if "load" in name else count)
            for _ in range(1 if name is None else 2):
                with pytest.raises(KeyboardInterrupt):
                    search.run()
    assert search.finished < goal
    search.run()
    a, b = whole.trials(), search.trials()
    assert len(b) == goal
    assert a[MEASURED].equals(b[MEASURED])
    for name in ("log_probs", "distributions"):
        assert same([r[name] for r in whole.store.rows()], [r[name] for r in search.store.rows()])
    assert same(whole.store.state(), search.store.state())
    assert same(whole.controller.state_dict(), search.controller.state_dict())
    assert whole.store.updates() == search.store.updates()


def test_interrupted_child_runs_again_with_its_seed(tmp_path):
    evaluator = Recording(interrupt_at=3)
    search = new(tmp_path / "run", evaluator)
    with pytest.raises(KeyboardInterrupt):
        search.run(6)
    (trial,) = search.store.unfinished()
    assert trial.status == "stopped"
    assert trial.cause == "the search was stopped; it will run again"
    assert search.finished == 3
    assert len(search.trials()) == 3
    resumed = Search.resume(tmp_path / "run", Recording())
    resumed.run()
    again = resumed.store.trial(trial.number)
    assert (again.status, again.seed, again.cause) == ("ok", trial.seed, None)
    assert again.attempts == 2
    assert resumed.finished == 6


def test_run_counts_more_trials(tmp_path):
    search = new(tmp_path / "run")
    search.run()  # no goal yet: nothing to do
    assert search.finished == 0
    search.run(3)
    search.run(4)
    search.run()
    assert search.finished == 7
    assert search.store.meta("goal") == 7


def test_two_objects_of_one_folder(tmp_path):
    """What another process added is taken in, however old the controller in memory is."""
    first = new(tmp_path / "run")
    first.run(8)
    Search.resume(tmp_path / "run", identity_share).run(8)
    first.run(8)
    whole = new(tmp_path / "whole")
    whole.run(24)
    assert first.trials()[MEASURED].equals(whole.trials()[MEASURED])


# --- children that fail alike, or take the process with them -------------------------------------


def fails_with_a_number(genotype, seed):
    raise ValueError(f"no network of {seed}")


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_search_whose_first_trials_all_fail_alike_stops(tmp_path, executor):
    search = new(tmp_path / "run", raises)
    with pytest.raises(
        WorkbenchError,
        match=r"the first 5 trials have all failed alike \(error: ValueError: this child cannot",
    ):
        search.run(9, executor)
    assert search.finished == 5
    assert set(search.trials().status) == {"error"}
    assert all(trial.status == "stopped" for trial in search.store.unfinished())
    again = Search.resume(tmp_path / "run", raises)
    again.run()  # the user insists
    assert again.finished == 9


def test_digits_make_no_difference_between_causes(tmp_path):
    search = new(tmp_path / "run", fails_with_a_number)
    with pytest.raises(WorkbenchError, match="all failed alike"):
        search.run(3)
        search.run(3)
    assert search.finished == 5


def test_first_trials_that_fail_in_different_ways_stop_nothing(tmp_path):
    causes = iter("abcde")

    def evaluator(genotype):
        raise ValueError(next(causes, "a"))

    search = new(tmp_path / "run", evaluator)
    search.run(12)
    assert search.finished == 12
    same_words = iter([nan, *[raises] * 9])
    search = new(tmp_path / "mixed", lambda genotype: next(same_words)(genotype))
    search.run(9)
    assert search.finished == 9


class Elsewhere(Executor):
    """Two workers, as it were; ``ends(n, attempt)`` says how the n-th architecture ends."""

    def __init__(self, ends):
        super().__init__(workers=2)
        self.ends = ends
        self.seen = []  # keys of what was started, and how many workers were free then
        self.keys = {}

    def begin(self, future, worker, arguments):
        self.keys[future] = arguments[0].key
        self.seen.append((arguments[0].key, self.free))

    def await_one(self, running, timeout):
        for future in running[-1:]:
            keys = [key for key, _ in self.seen]
            key = self.keys[future]
            future.set_result(self.ends(list(dict.fromkeys(keys)).index(key), keys.count(key)))


def dies(search, monkeypatch, executor="inline"):
    """The end of a process in the middle of a child: nothing of it reaches the store any more."""

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search.store, "ended", lambda trial: None)
        if executor == "inline":
            patch.setattr(search, "evaluator", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search.run(1, Elsewhere(interrupted) if executor != "inline" else executor)
    return Search.resume(search.directory, identity_share)


def interrupt(search, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(search, "evaluator", Recording(interrupt_at=0))
        with pytest.raises(KeyboardInterrupt):
            search.run(1)


def test_a_second_death_of_the_process_ends_the_trial(tmp_path, monkeypatch):
    search = new(tmp_path / "run", failure_reward=-1.0)
    search = dies(dies(search, monkeypatch), monkeypatch)
    (trial,) = search.store.unfinished()
    assert (trial.attempts, trial.status) == (2, None)
    search.run(3)
    first, *others = search.store.finished_after(0)
    assert (first.number, first.status, first.attempts) == (trial.number, "crashed", 2)
    assert first.cause == loop.DIED
    assert "the process died twice while it was evaluated; run it with executor=" in first.cause
    assert first.told_reward == -1.0
    assert [other.status for other in others] == ["ok"] * 2


def test_stops_are_no_deaths(tmp_path, monkeypatch):
    search = new(tmp_path / "run")
    for _ in range(3):
        interrupt(search, monkeypatch)
    search = dies(search, monkeypatch)
    interrupt(search, monkeypatch)  # one death, and it was known to be one
    search.run(1)
    assert [(t.status, t.attempts) for t in search.store.finished_after(0)] == [("ok", 6)]
    again = new(tmp_path / "again")
    again = dies(again, monkeypatch)
    interrupt(again, monkeypatch)
    again = dies(again, monkeypatch)
    again.run(1)
    assert [(t.status, t.attempts) for t in again.store.finished_after(0)] == [("crashed", 3)]


def test_a_worker_is_not_to_blame_for_the_death_of_the_search(tmp_path, monkeypatch):
    search = new(tmp_path / "run")
    for _ in range(3):
        search = dies(search, monkeypatch, "elsewhere")
    search = dies(search, monkeypatch)  # and one death inline
    search = dies(search, monkeypatch, "elsewhere")
    search.run(1)
    assert search.store.trial(0).status == "ok"
    assert search.store.trial(0).attempts == 6


def test_what_killed_the_process_twice_may_be_tried_by_a_worker(tmp_path, monkeypatch):
    search = dies(dies(new(tmp_path / "run"), monkeypatch), monkeypatch)
    search.run(1, Elsewhere(lambda *_: Finished("crashed", cause="exit code 1")))
    assert search.store.trial(0).cause == "exit code 1"


KILL = Finished("crashed", cause="its process died of SIGKILL: killed from outside")
GOOD = Finished("ok", Evaluation(0.5))


@pytest.mark.parametrize("failed", [KILL, Finished("out_of_memory", cause="no memory")])
@pytest.mark.parametrize("second", ["good", "failed"])
def test_killed_or_out_of_memory_runs_once_more_alone(tmp_path, failed, second):
    search = new(tmp_path / "run", controller="RandomSearch", failure_reward=-1.0)

    def ends(number, attempt):
        return failed if number == 1 and (attempt == 1 or second == "failed") else GOOD

    executor = Elsewhere(ends)
    search.run(6, executor)
    keys = [key for key, _ in executor.seen]
    frees = [free for _, free in executor.seen]
    again = next(n for n in range(1, len(keys)) if keys[n] in keys[:n])
    assert (again, frees[again]) == (2, 1)  # of two workers: nothing else ran
    assert frees[again + 1] == 1  # and nothing was started beside it
    trials = {trial.key: trial for trial in search.store.finished_after(0)}
    trial = trials[keys[again]]
    assert trial.attempts == 2
    assert trial.status == ("ok" if second == "good" else failed.status)
    assert trial.told_reward == (0.5 if second == "good" else -1.0)
    assert (trial.cause is None) == (second == "good")
    assert sum(trial.attempts for trial in search.store.finished_after(0)) == len(keys)


def test_other_crashes_are_not_tried_again(tmp_path):
    ends = iter([GOOD] + [Finished("crashed", cause="its process ended with exit code 3")] * 9)
    search = new(tmp_path / "run", controller="RandomSearch")
    search.run(6, Elsewhere(lambda *_: next(ends)))
    assert set(search.trials().attempts) == {1}


def test_the_second_try_outlives_the_process(tmp_path, monkeypatch):
    """Killed once; then the search dies, with the second try not begun or under way."""
    search = new(tmp_path / "run", controller="RandomSearch")

    def first(number, attempt):
        if attempt > 1:
            raise KeyboardInterrupt
        return KILL

    with pytest.raises(KeyboardInterrupt):
        search.run(1, Elsewhere(first))
    search = dies(Search.resume(search.directory, identity_share), monkeypatch, "elsewhere")
    (trial,) = search.store.unfinished()
    assert trial.cause == f"{KILL.cause}; it will run once more, alone"
    search.run(1, Elsewhere(lambda *_: KILL))
    (trial,) = search.store.finished_after(0)
    assert (trial.status, trial.cause, trial.attempts) == ("crashed", KILL.cause, 4)


# --- workers ------------------------------------------------------------------------------------


def kill_the_first_try(genotype):
    """Only one of these genotypes; the folder is the one that the tests run in."""
    mark = Path("tried")
    if not mark.exists() and identity_share(genotype) == 0.0:
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return identity_share(genotype)


def test_a_killed_worker_s_trial_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    search = new(tmp_path / "run", kill_the_first_try, "RandomSearch")
    search.run(16, "processes", workers=2)
    frame = search.trials()
    assert set(frame.status) == {"ok"}
    assert sorted(frame.attempts[~frame.cached])[-2:] == [1, 2]


def test_a_stopped_executor_is_refused(tmp_path):
    with ProcessExecutor(Task(identity_share), 1) as executor:
        pass
    with pytest.raises(SettingsError, match="has been stopped; make a new one"):
        new(tmp_path / "run").run(1, executor)


def test_processes_with_all_kinds_of_failure(tmp_path):
    search = new(tmp_path / "run", every_kind_of_failure, "RandomSearch", time_limit=1.0)
    search.run(30, "processes", workers=2)
    frame = search.trials()
    assert len(frame) == 30
    assert sorted(frame.completion_order) == list(range(1, 31))
    assert set(frame.status) == {
        "ok", "error", "diverged", "out_of_memory", "crashed", "timeout"
    }  # fmt: skip
    causes = frame.set_index("number").cause.dropna()
    for words in ("ValueError", "not a finite number", "MemoryError", "exit code 3", "SIGKILL",
                  "killed at its limit of 1 s"):  # fmt: skip
        assert causes.str.contains(words).any(), words
    assert (frame.cause.isna() == (frame.status == "ok")).all()
    assert multiprocessing.active_children() == []


def test_processes_hold_duplicates_back(tmp_path):
    """Keys that are being measured are not measured twice, and everything is told once."""
    space = CellSpace(1, ("identity", "conv_1x1"), ("add",), inputs=1)  # nine keys
    controller = PPO(space, 0, batch_size=4, learning_rate=0.05, hidden=16)
    search = Search(space, controller, slow_share, tmp_path / "run")
    search.run(60, "processes", workers=3)
    frame = search.trials()
    assert len(frame) == 60
    assert sorted(frame.number) == list(range(60))
    good = frame[frame.status == "ok"]
    assert good.cached.sum() > 40
    assert good[~good.cached].key.is_unique
    state = controller.state_dict()
    assert state["updates"] * 4 + len(state["waiting"]) == 60
    assert set(frame.worker.dropna()) <= {0, 1, 2}


# --- the store ---------------------------------------------------------------------------------


def test_store_that_cannot_be_written(tmp_path):
    search = new(tmp_path / "run")
    search.run(2)
    search.store.connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match=r"cannot write to .*search\.sqlite.*readonly"):
        search.run(1)
    search.store.connection.execute("PRAGMA query_only = 0")
    search.run(1)
    assert search.finished == 3


def test_store_needs_a_space_for_its_trials(tmp_path):
    new(tmp_path / "run").run(1)
    with closing(Store(tmp_path / "run")) as store:
        with pytest.raises(StoreError, match="without a space"):
            store.best(1)
        assert store.finished_count == 1


def test_rows_are_read_while_another_connection_writes(tmp_path):
    search = new(tmp_path / "run")
    search.run(3)
    with closing(sqlite3.connect(search.store.path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE trials SET reward = 9")
        assert (search.trials().reward < 2).all()
        writer.rollback()


# --- the file alone, and a folder that is lost --------------------------------------------------


def copied(search, folder, *suffixes):
    """What somebody gets who copies the file, and what lies beside it, while the search lives."""
    folder.mkdir()
    for suffix in ("", *suffixes):
        shutil.copyfile(f"{search.store.path}{suffix}", folder / f"search.sqlite{suffix}")
    return folder


@pytest.mark.filterwarnings("error")
def test_after_a_run_the_file_alone_is_the_search(tmp_path):
    search = new(tmp_path / "run")
    search.run(30)
    with History(copied(search, tmp_path / "copy")) as history:
        assert history.trials().equals(search.trials())
    search.run(1)
    Search.resume(copied(search, tmp_path / "other"), identity_share).run(1)


@pytest.mark.timeout(25)  # SQLite by itself would wait for thirty seconds
def test_a_reader_does_not_hold_up_the_end_of_a_run(tmp_path):
    """What it still reads stays in the log, and the next run takes it."""
    search = new(tmp_path / "run")
    search.run(2)
    with closing(sqlite3.connect(search.store.path)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM trials").fetchone() == (2,)
        search.run(5)
        assert reader.execute("SELECT count(*) FROM trials").fetchone() == (2,)
    search.run(1)
    with History(copied(search, tmp_path / "copy")) as history:
        assert history.count == 8


def test_the_file_is_brought_up_to_date_while_a_search_runs(tmp_path, monkeypatch):
    """Every minute; in between, a copy without the log says that it may be behind."""
    search, clock, found = new(tmp_path / "run"), [1000.0], []
    monkeypatch.setattr(store_module.time, "monotonic", lambda: clock[0])

    def evaluator(genotype):
        found.append(None)
        clock[0] += 2 if len(found) == 1 else 0
        if len(found) == 6:
            with pytest.warns(UserWarning, match="copied without its log .*may be missing"):
                found.append(History(copied(search, tmp_path / "behind")).count)
            with warnings.catch_warnings(action="error"):
                both = copied(search, tmp_path / "both", "-wal")
                found.append(History(both).count)
                found.append(History(tmp_path / "run").count)  # where it runs
            clock[0] += 61
        if len(found) == 10:
            found.append(History(copied(search, tmp_path / "minute")).count)
        return identity_share(genotype)

    search.evaluator = evaluator
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*minute.*copied without its log")
        search.run(10)
    counts = [count for count in found if count is not None]
    assert counts[0] == 1 and counts[1] == counts[2] >= 5 and counts[3] > counts[1]


def removed(run):
    shutil.rmtree(run)


def folder_replaced(run):
    shutil.rmtree(run)
    new(run, controller="RandomSearch").run(4)


def file_replaced(run):
    other = new(run.parent / "other", controller="RandomSearch")
    other.run(4)
    other.store.close()
    os.replace(run.parent / "other" / "search.sqlite", run / "search.sqlite")


def moved(run):
    run.rename(run.parent / "moved")


LOSSES = [removed, folder_replaced, file_replaced, moved]


def assert_saved_and_gone_on(search, folder, lost_at):
    """The rest of eight trials, in a new folder: as if nothing had happened."""
    search.save_as(folder)
    assert search.directory == folder and search.store.path.parent == folder
    assert search.finished == lost_at
    search.run(8 - lost_at)
    whole = new(folder.parent / "whole")
    whole.run(8)
    with History(folder) as history, History(folder.parent / "whole") as undisturbed:
        assert_same_search(history.trials(), undisturbed.trials())
        assert history.updates() == undisturbed.updates()
    assert same(search.controller.state_dict(), whole.controller.state_dict())


def assert_same_search(a, b):
    assert a[MEASURED].equals(b[MEASURED])


@pytest.mark.parametrize("lose", LOSSES)
def test_folder_that_is_lost_between_two_runs(tmp_path, lose):
    run = tmp_path / "run"
    search = new(run)
    search.run(6)
    lose(run)
    there = sorted(run.rglob("*"))
    words = r"deleted, moved or replaced.* All 6 trials .*search\.save_as.*Search\.resume"
    for _ in range(2):
        with pytest.raises(StoreError, match=words):
            search.run(3)
    assert sorted(run.rglob("*")) == there  # no empty folder with a lock
    assert_saved_and_gone_on(search, tmp_path / "saved", 6)


@pytest.mark.parametrize("lose", LOSSES)
def test_folder_that_is_lost_while_a_child_is_trained(tmp_path, lose):
    """What was just measured is kept too."""
    run = tmp_path / "run"

    def evaluator(genotype):
        if search.finished == 2 and len(os.listdir(tmp_path)) == 1:
            lose(run)
        return identity_share(genotype)

    search = new(run, evaluator)
    with pytest.raises(StoreError, match="deleted, moved or replaced"):
        search.run(8)
    search.evaluator = identity_share
    assert_saved_and_gone_on(search, tmp_path / "saved", 3)


def test_saving_elsewhere(tmp_path):
    search, other = new(tmp_path / "run"), new(tmp_path / "other")
    search.run(3)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"search\.sqlite is there already: choose another"):
        search.save_as(tmp_path / "other")
    with pytest.raises(StoreError, match=r"cannot make the folder .*file/x: "):
        search.save_as(tmp_path / "file" / "x")
    search.evaluator = lambda genotype: search.save_as(tmp_path / "new")
    search.run(1)
    assert "this search is running" in search.trials().cause.iloc[-1]
    assert other.finished == 0 and search.directory == tmp_path / "run"
    search.evaluator = identity_share
    search.save_as(tmp_path / "new")  # its folder need not be lost
    search.run(2)
    assert (search.finished, History(tmp_path / "run").count) == (6, 4)
    assert sorted(os.listdir(tmp_path / "new"))[0].startswith("search.")
    assert not [name for name in os.listdir(tmp_path / "new") if name.startswith("tmp")]


def test_another_folder_between_two_runs(tmp_path, monkeypatch):
    """As ``%cd`` in a notebook."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "a")
    search = new("run")
    search.run(2)
    resumed = Search.resume("run", identity_share)
    history = History("run")
    monkeypatch.chdir(tmp_path / "b")
    search.run(2)
    resumed.run(2)
    assert os.listdir(tmp_path / "b") == []
    assert search.directory == resumed.directory == history.directory == tmp_path / "a" / "run"
    assert history.count == History(search.directory).count == 6
    search.evaluator = lambda genotype: resumed.run(1)
    search.run(1)
    assert "another process is running" in search.trials().cause.iloc[-1]


@pytest.mark.parametrize("name", ["PPO", "Reinforce"])
def test_default_dtype_is_not_the_searches(tmp_path, name):
    single, double = tmp_path / "single", tmp_path / "double"
    search = new(single, controller=name)
    search.run(12)
    torch.set_default_dtype(torch.float64)
    try:
        other = new(double, controller=name)
        other.run(12)
        assert other.store.meta("provenance")["default dtype"] == "torch.float64"
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(search.controller.state_dict(), other.controller.state_dict())
    assert_same_search(search.trials(), other.trials())
    assert search.store.meta("provenance")["torch threads"] == str(torch.get_num_threads())


@pytest.mark.parametrize("k", ["5", -1, 0, True, 2.5, None])
def test_best_of_what_is_not_a_number(tmp_path, k):
    search = new(tmp_path / "run")
    for attempt in (search.best, History(tmp_path / "run").best):
        with pytest.raises(SettingsError, match="k must be a whole number from 1, got"):
            attempt(k)


@pytest.mark.parametrize(
    "change, words",
    [
        (
            {"space": CellSpace},
            r"space of a search cannot be <class.*did you mean CellSpace\(\.\.\.\)\?",
        ),
        ({"controller": PPO}, r"controller of a search cannot be <class.*mean PPO\(\.\.\.\)\?"),
        ({"evaluator": WaitForStop}, r"evaluator of a search cannot be.*WaitForStop\(\.\.\.\)\?"),
        ({"space": None}, "the space of a search cannot be None"),
        ({"controller": small_space()}, "the controller of a search cannot be CellSpace"),
        ({"evaluator": 3}, "the evaluator of a search cannot be 3"),
        ({"notes": {"mine": {1, 2}}}, "'mine' cannot be stored as JSON"),
        ({"notes": {"mine": "\ud800"}}, "'mine' cannot be stored as JSON"),
        ({"notes": {5: "mine"}}, "5 cannot be stored as JSON"),
        ({"notes": {"seed": 3}}, "notes must be a dict without the names .*seed"),
        ({"notes": {"space": {}}}, "notes must be a dict without the names"),
        ({"notes": {"format": 3}}, "notes must be a dict without the names"),
        ({"notes": {"goal": 3}}, "notes must be a dict without the names"),
        ({"notes": {"running": True}}, "notes must be a dict without the names"),
        ({"notes": [1]}, "notes must be a dict without the names"),
        ({"notes": {"job": 3}}, "job must be a dict with name, tier and tier_settings"),
    ],
)
def test_arguments_of_other_kinds_make_no_folder(tmp_path, change, words):
    space = small_space()
    given = {"space": space, "controller": PPO(space), "evaluator": identity_share} | change
    with pytest.raises(SettingsError, match=words):
        Search(**given, directory=tmp_path / "run")
    assert os.listdir(tmp_path) == []

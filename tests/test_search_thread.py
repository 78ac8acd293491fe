"""A search in a thread, and what a search refuses."""

import multiprocessing
import re
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import closing

import pytest
from search_helpers import (
    WaitForStop,
    alive,
    environment,
    gone_within,
    hangs,
    identity_share,
    new,
    slow_share,
    small_space,
)

from nasworkbench import CellSpace, RandomSearch, Search
from nasworkbench.errors import SettingsError, StoreError, WorkbenchError
from nasworkbench.executors import InlineExecutor
from nasworkbench.search import Store
from nasworkbench.training import Evaluation

pytestmark = pytest.mark.usefixtures("prepared_workers")

MEASURED = [
    "number", "tokens", "log_prob", "key", "seed", "status", "reward", "told_reward",
    "completion_order", "cached", "cause", "curves", "parameters",
]  # fmt: skip


# --- in a thread --------------------------------------------------------------------------------


def test_start_and_result(tmp_path):
    search = new(tmp_path / "run")
    search.start(12)
    search.result(60)
    assert search.finished == 12
    assert not search.running
    whole = new(tmp_path / "whole")
    whole.run(12)
    assert search.trials()[MEASURED].equals(whole.trials()[MEASURED])
    search.result()  # nothing is wrong, and asking again does no harm


def test_stop_stores_the_child_as_stopped_and_runs_it_again(tmp_path):
    evaluator = WaitForStop()
    search = new(tmp_path / "run", evaluator)
    search.start(3)
    wait_until(lambda: evaluator.started == 1)
    with pytest.raises(SettingsError, match="running already"):
        search.start(1)
    with pytest.raises(SettingsError, match="running already"):
        search.run(1)
    with pytest.raises(TimeoutError, match=r"still running after 0\.05 s"):
        search.result(0.05)
    start = time.monotonic()
    search.stop()
    search.result(10)
    assert time.monotonic() - start < 1.5
    (trial,) = search.store.unfinished()
    assert trial.status == "stopped"
    assert len(search.trials()) == search.finished == 0
    evaluator.seconds = 0.0
    search.run()
    assert search.finished == 3
    assert search.trials().number.tolist()[0] == trial.number
    assert search.store.meta("goal") == 3


def test_pause_starts_no_further_trial(tmp_path):
    search = new(tmp_path / "run", slow_share)
    search.start(30)
    wait_until(lambda: search.finished >= 2)
    search.pause()
    time.sleep(0.3)  # the running one ends
    paused_at = search.finished
    time.sleep(0.3)
    assert search.finished == paused_at < 30
    assert search.running
    search.unpause()
    search.result(60)
    assert search.finished == 30


def test_paused_search_stops(tmp_path):
    search = new(tmp_path / "run", slow_share)
    search.start(1000)
    search.pause()
    time.sleep(0.2)
    search.stop()
    search.result(5)
    assert search.finished < 10


def test_stop_with_workers(tmp_path):
    search = new(tmp_path / "run", hangs)
    search.start(4, "processes", workers=2)
    wait_until(lambda: len(search.store.proposed_from(0)) == 2)
    workers = [process.pid for process in multiprocessing.active_children()]
    start = time.monotonic()
    search.stop()
    search.result(20)
    assert time.monotonic() - start < 3
    assert len(workers) == 2
    assert not any(map(alive, workers))
    assert [trial.status for trial in search.store.unfinished()] == ["stopped"] * 2
    again = Search.resume(tmp_path / "run", hangs)
    again.evaluator = identity_share
    again.run()
    assert again.finished == 4
    assert list(again.trials().number) == [0, 1, 2, 3]


def test_result_raises_what_the_thread_raised(tmp_path):
    search = new(tmp_path / "run")

    def refuse(outcomes):
        raise RuntimeError("not listening")

    search.controller.tell = refuse
    search.start(5)
    with pytest.raises(RuntimeError, match="not listening"):
        search.result(30)
    search.result()  # once
    del search.controller.tell
    search.start()
    search.result(30)
    assert search.finished == 5


def test_program_that_ends_stops_its_search(tmp_path):
    """A background search must not keep a program from ending, nor its workers alive."""
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from search_helpers import *\n"
        "from nasworkbench import Search\n"
        "if __name__ == '__main__':\n"
        "    space = small_space()\n"
        f"    search = Search(space, RandomSearch(space), hangs, {str(tmp_path / 'run')!r})\n"
        "    search.start(5, 'processes')\n"
        "    while len(search.store.proposed_from(0)) < 2:\n"
        "        time.sleep(0.05)\n"
        "    import os\n"
        "    print(*children(os.getpid()), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, script], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert gone_within([int(pid) for pid in done.stdout.split()], 10)
    with closing(Store(tmp_path / "run")) as store:
        store.space = small_space()
        assert [trial.status for trial in store.unfinished()] == ["stopped"] * 2


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", [0, -3, 1.5, True, "all"])
def test_trials_out_of_range(tmp_path, trials):
    search = new(tmp_path / "run")
    for begin in (search.run, search.start):
        with pytest.raises(SettingsError, match="trials must be a whole number from 1"):
            begin(trials)
    assert search.store.meta("goal") is None


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((3, "ray"), "executor must be 'inline' or 'processes', got 'ray'"),
        ((3, "processes", 0), "workers must be a whole number from 1, got 0"),
        ((None, "threads"), "executor must be"),
    ],
)
def test_unknown_executor_changes_nothing(tmp_path, arguments, words):
    search = new(tmp_path / "run")
    for begin in (search.run, search.start):
        with pytest.raises(SettingsError, match=re.escape(words)):
            begin(*arguments)
    assert search.store.meta("goal") is None
    assert len(search.store.proposed_from(0)) == 0


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"seed": -1}, "seed must be a whole number from 0, got -1"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"failure_reward": float("nan")}, "failure_reward must be a finite number"),
        ({"time_limit": 0}, "time_limit must be a finite number"),
        ({"time_limit": "1 h"}, "time_limit must be a finite number"),
    ],
)
def test_settings_out_of_range_make_no_folder(tmp_path, settings, words):
    with pytest.raises(SettingsError, match=words):
        new(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_controller_of_another_space(tmp_path):
    space = small_space()
    with pytest.raises(SettingsError, match="made for another space"):
        Search(space, RandomSearch(CellSpace(blocks=2)), identity_share, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_notebook_evaluator_is_sent_inline_only(tmp_path):
    search = new(tmp_path / "run", lambda genotype: 0.5)
    with pytest.raises(WorkbenchError, match=r"cannot be sent to a worker.*\.py file"):
        search.run(2, "processes")
    search.run()
    assert search.finished == 2  # the goal was kept


def test_default_directories_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: form.replace("%Y%m%d-%H%M%S", "now"))
    folders = [new(None).directory for _ in range(3)]
    names = ["search-now", "search-now-2", "search-now-3"]
    assert folders == [tmp_path / "runs" / name for name in names]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot make the run folder"):
        new(tmp_path / "file" / "run")


def test_second_process_is_refused(tmp_path):
    search = new(tmp_path / "run", WaitForStop())
    search.start(2)
    wait_until(lambda: search.evaluator.started == 1)
    code = (
        "import sys\n"
        "from search_helpers import *\n"
        "from nasworkbench import Search\n"
        "from nasworkbench.errors import StoreError\n"
        "search = Search.resume(sys.argv[1], WaitForStop())\n"
        "try:\n"
        "    search.run(50)\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run"],
        env=environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    search.stop()
    search.result(10)
    assert "another process is running the search in" in done.stdout, done.stderr
    assert search.store.meta("goal") == 2  # untouched by the one that was refused


def test_second_object_in_this_process_is_refused(tmp_path):
    search = new(tmp_path / "run", WaitForStop())
    search.start(2)
    wait_until(lambda: search.evaluator.started == 1)
    other = Search.resume(tmp_path / "run", WaitForStop())
    with pytest.raises(StoreError, match="another process is running"):
        other.run(1)
    search.stop()
    search.result(10)


def test_controller_of_a_search_that_runs_is_refused(tmp_path):
    """Two searches would mix what they tell it; one after the other is fine."""
    space = small_space()
    controller = RandomSearch(space, 3)
    first = Search(space, controller, WaitForStop(), tmp_path / "first")
    second = Search(space, controller, identity_share, tmp_path / "second")
    words = "this RandomSearch is at work in a search that is running"
    first.start(2)
    for attempt in (second.start, second.run):
        with pytest.raises(SettingsError, match=words):
            attempt(3)
    assert second.store.meta("goal") is None and not second.running
    first.stop()
    first.result(10)
    second.start(3)
    second.result(20)
    first.evaluator = lambda genotype: second.run(1)
    first.run(2)
    assert set(first.trials().status) == {"error"} and words in first.trials().cause[0]
    second.run(2)
    whole = Search(space, RandomSearch(space, 3), identity_share, tmp_path / "whole")
    whole.run(5)
    assert second.trials()[MEASURED].equals(whole.trials()[MEASURED])
    with pytest.raises(ZeroDivisionError):  # what a search raises lets go of the controller
        first.run(1, Broken())
    second.run(1)


class Broken(InlineExecutor):
    def __init__(self):
        super().__init__(identity_share)

    def wait(self, timeout=None):
        raise ZeroDivisionError


# --- what can be seen of a running search -------------------------------------------------------


def test_activity_says_what_each_worker_does(tmp_path):
    search = new(tmp_path / "run", WaitForStop())
    assert search.activity == []
    before = time.time()
    search.start(2)
    wait_until(lambda: search.evaluator.started == 1)
    (work,) = search.activity
    (trial,) = search.store.unfinished()
    assert (work.number, work.key) == (trial.number, trial.key)
    assert before <= work.since <= time.time()
    search.stop()
    search.result(10)
    assert search.activity == []


def test_activity_of_processes_names_the_worker_that_the_store_will_name(tmp_path):
    search = new(tmp_path / "run", slow_share)
    seen = {}
    search.start(12, "processes", workers=2)
    while search.running:
        for place, work in enumerate(search.activity):
            if work is not None:
                seen[work.number] = place
        time.sleep(0.002)
    search.result(60)
    trained = [trial for trial in search.store.proposed_from(0) if trial.worker is not None]
    assert len(trained) > 4
    named = {trial.number: trial.worker for trial in trained if trial.number in seen}
    assert len(named) > 2
    assert named == {number: seen[number] for number in named}


def test_an_executor_that_becomes_freer_has_more_workers(tmp_path):
    """One that serves several searches may be busy when this one begins."""
    search = new(tmp_path / "run")
    seen = []

    def watch(genotype, seed):
        seen.append([work and work.number for work in search.activity])
        return Evaluation(0.5)

    class Shared(InlineExecutor):
        def wait(self, timeout=None):
            if self.workers == [foreign]:
                self.workers = [None]
            return super().wait(timeout)

    foreign = Future()
    executor = Shared(watch)
    executor.workers = [foreign]
    search.run(2, executor)
    assert seen == [[0], [1]]


def test_paused_and_stopping(tmp_path):
    search = new(tmp_path / "run", WaitForStop())
    assert (search.paused, search.stopping) == (False, False)
    search.start(2)
    wait_until(lambda: search.evaluator.started == 1)
    search.pause()
    assert (search.paused, search.stopping) == (True, False)
    search.unpause()
    assert not search.paused
    search.stop()
    assert search.stopping
    search.result(10)
    search.evaluator.seconds = 0.0
    search.start()
    assert not search.stopping
    search.result(30)


def test_failure_can_be_seen_before_and_after_it_is_raised(tmp_path):
    search = new(tmp_path / "run")

    def refuse(outcomes):
        raise RuntimeError("not listening")

    search.controller.tell = refuse
    search.start(5)
    wait_until(lambda: not search.running)
    failure = search.failure
    assert str(failure) == "not listening"
    with pytest.raises(RuntimeError, match="not listening"):
        search.result(30)
    assert search.failure is failure
    del search.controller.tell
    search.start()
    assert search.failure is None
    search.result(30)


def test_store_is_read_from_a_number_on(tmp_path):
    search = new(tmp_path / "run")
    search.run(12)
    assert len(search.store.rows()) == 12
    assert [row["number"] for row in search.store.rows(9)] == [9, 10, 11]
    updates = search.store.updates()
    assert [update["update"] for update in updates] == [1, 2]
    assert search.store.updates(after=1) == updates[1:]
    assert search.store.updates(after=2) == []

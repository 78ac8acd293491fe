"""kill -9 at any moment: no trial is lost or told twice, and the same ones are proposed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from search_helpers import (
    alive,
    children,
    environment,
    gone_within,
    operations,
    share_or_fail,
    slow_share,
    small_space,
)
from search_kill_script import MOMENTS, RANDOM_KILLS, TRIALS, exits_at_two_pools

from nasworkbench import Search

SCRIPT = Path(__file__).parent / "search_kill_script.py"
COLUMNS = [
    "number", "tokens", "key", "seed", "status", "reward", "told_reward", "completion_order",
    "cached", "cause", "curves", "parameters", "log_prob", "updates_at_proposal",
    "updates_at_tell",
]  # fmt: skip


def script(*arguments):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def answer(*arguments):
    with script(*arguments) as process:
        output, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


def assert_equal(a, b):
    """Two nested states, to the bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor | numpy.ndarray):
        assert a.dtype == b.dtype
        assert bool((a == b).all())
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_equal(a[name], b[name])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_equal(one, other)
    else:
        assert a == b


def times_told(state, batch_size=5):
    """How many outcomes a policy gradient controller has taken in, by its own account."""
    return state["updates"] * batch_size + len(state["waiting"])


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    hit = answer("chain", folder)
    return folder, hit


def test_every_kill_hits_and_the_search_goes_on(chain):
    folder, hit = chain
    assert hit[-1] == ["end", 0]
    assert {signalled for _, signalled in hit[:-1]} == {signal.SIGKILL}
    moments = [moment for moment, _ in hit[:-1]]
    assert sorted(set(moments)) == sorted([*MOMENTS, "random"])
    assert moments.count("random") == RANDOM_KILLS
    starts = [int(n) for n in (folder / "killed.starts").read_text().split()]
    assert starts == sorted(starts)  # what had ended stays so
    assert len(set(starts)) > 12  # the kills are spread over the search
    assert starts[-1] > TRIALS / 3


def test_killed_search_is_the_same_as_an_undisturbed_one(chain):
    folder, _ = chain
    whole, killed = (
        Search.resume(folder / name, evaluator=share_or_fail) for name in ("whole", "killed")
    )
    a, b = whole.trials(), killed.trials()
    assert len(a) == TRIALS
    assert a[COLUMNS].equals(b[COLUMNS])
    assert list(b.number) == list(range(TRIALS))
    assert list(b.completion_order) == list(range(1, TRIALS + 1))
    # what was killed is worth the comparison: cached rewards, failures, many updates
    assert b.cached.sum() > 5
    assert (b.status == "error").sum() > 3
    assert set(b.told_reward[b.status == "error"]) == {0.0}
    state, told = killed.store.state()
    assert times_told(state) == told == TRIALS  # the last trial brought the last update
    assert state["asked"] == TRIALS
    assert_equal(whole.store.state(), (state, told))
    for one, other in zip(whole.store.rows(), killed.store.rows(), strict=True):
        assert one["log_probs"] == other["log_probs"]
        assert_equal(one["distributions"], other["distributions"])
    updates = killed.store.updates()
    assert whole.store.updates() == updates
    assert [row["told"] for row in updates] == list(range(5, TRIALS + 1, 5))
    assert whole.best(5)[0].key == killed.best(5)[0].key


def test_killed_report_leaves_the_old_one_whole(chain):
    folder, _ = chain
    results = answer("report", folder / "killed")
    assert results == [[name, signal.SIGKILL, True] for name in ("render", "fsync", "replace")]
    page = (folder / "killed" / "report.html").read_text()
    assert page.rstrip().endswith("</html>")


def test_killed_with_workers(tmp_path):
    """SIGKILL of the parent in the middle of its workers' trials: they die, all trials are told."""
    folder = tmp_path / "run"
    for lines in (2, 45):
        with script("processes", folder) as process:
            for _ in range(lines):
                assert process.stdout.readline().strip().isdigit()
            workers = children(process.pid)
            process.kill()
            process.wait()
        assert len(workers) >= 2
        assert gone_within(workers, 10), [pid for pid in workers if alive(pid)]
    with script("processes", folder) as process:
        output, _ = process.communicate(timeout=100)
    assert output.splitlines()[-1] == "finished"
    search = Search.resume(folder, evaluator=slow_share)
    trials = search.trials()
    assert sorted(trials.number) == sorted(set(trials.number))
    assert list(trials.completion_order) == list(range(1, TRIALS + 1))
    assert set(trials.status) == {"ok", "error"}
    # each key was measured once, however often it was proposed
    good = trials[trials.status == "ok"]
    assert good[~good.cached].key.is_unique
    # none is left over but what was proposed and never begun
    assert [trial for trial in search.store.unfinished() if trial.status == "stopped"] == []
    state, told = search.store.state()
    assert times_told(state) == told == TRIALS
    assert len(search.store.updates()) == TRIALS // 5
    assert len(search.store.proposed_from(0)) == state["asked"]


def test_a_child_that_takes_the_process_with_it_does_so_twice(tmp_path):
    codes = answer("deaths", tmp_path / "run")
    trials = Search.resume(tmp_path / "run", evaluator=exits_at_two_pools).trials()
    assert len(trials) == 40
    crashed = trials[trials.status == "crashed"]
    assert len(crashed) >= 1
    assert codes == [7] * (2 * len(crashed)) + [0]
    assert list(trials.number) == list(range(40))
    for trial in crashed.itertuples():
        names = operations(small_space().decode(trial.tokens))
        assert names[:2] == ["avg_pool_3x3"] * 2
        assert trial.attempts == 2
        assert trial.cause.startswith("the process died twice while it was evaluated; run it with")
    others = trials[trials.status != "crashed"]
    assert set(others.status) == {"ok", "error"}
    assert set(others.attempts[~others.cached]) == {1}

"""Whatever an evaluator returns, raises or leaves behind: the trial ends, the search goes on."""

import gc
import json
import math
import os
import signal
import sys

import numpy
import pytest
import torch
from hostile_evaluators import ALL, LEFT, NAMES, InTurn, Kinds, Shapeless, Unprintable, hostile
from search_helpers import identity_share, new, same

from nasworkbench import PPO, Reinforce, Search
from nasworkbench.controllers import Outcome
from nasworkbench.executors import Executor, Finished
from nasworkbench.training import Evaluation


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """What a child leaves changed is of this process, and of all tests after it."""
    handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(os.getcwd())
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with torch.random.fork_rng(devices=[]):
        yield
    for name, handler in handlers.items():
        signal.signal(name, handler)
    gc.enable()
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def assert_plain(trial):
    """What was stored can be printed, sent and read by anyone."""
    if trial.cause is not None:
        assert trial.cause.isprintable()
        assert 0 < len(trial.cause) <= 500
    assert trial.reward is None or math.isfinite(torch.tensor(trial.reward).item())
    json.dumps(trial.curves, allow_nan=False).encode()
    assert (trial.status == "ok") == (trial.reward is not None)


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_every_trial_ends_and_is_told(tmp_path, executor):
    space = Kinds()
    search = Search(space, InTurn(space), hostile, tmp_path / "run", failure_reward=-1.0)
    search.run(len(NAMES), executor)
    trials = search.store.finished_after(0)
    assert len(trials) == len(NAMES)
    assert {
        trial.key: trial.status for trial in trials if trial.status not in ALL[trial.key][1]
    } == {}
    for trial in trials:
        assert_plain(trial)
        assert trial.told_reward == (trial.reward if trial.status == "ok" else -1.0)
        assert trial.attempts == (2 if trial.status == "out_of_memory" else 1)
    curves = {trial.key: trial.curves for trial in trials}
    assert curves["curves that are not finite"] == [{"loss": None}]
    causes = {trial.key: trial.cause for trial in trials}
    assert causes["beyond float32"].startswith("SettingsError: reward must be a finite number from")
    assert causes["no text"].startswith("Raising: (its text cannot be read) (hostile_evaluators.py")
    assert causes["cause with half a letter"] == r"a \ud800 b"
    assert causes["exit"].startswith("SystemExit: 3 (hostile_evaluators.py, line ")
    assert len(search.trials()) == len(NAMES)


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_what_is_learnt_depends_on_the_rewards_alone(tmp_path, kind):
    """A controller elsewhere, told the same, proposes the same and is the same to the bit."""
    space = Kinds(["benign", "text", "exit", "memory", *LEFT])

    def controller():
        return kind(space, 2, batch_size=4, learning_rate=0.003, hidden=8)

    search = Search(space, controller(), hostile, tmp_path / "run")
    search.run(120)
    trials, fresh = search.store.finished_after(0), controller()
    assert {trial.key for trial in trials} == set(space.names)
    for trial in trials:
        (proposal,) = fresh.ask()
        assert proposal.tokens == trial.tokens
        fresh.tell([Outcome(proposal, trial.told_reward)])
    assert same(fresh.state_dict(), search.controller.state_dict())
    assert fresh.updates == 30


@pytest.mark.parametrize("name", LEFT)
def test_torch_is_as_it_was_after_a_child(tmp_path, name):
    def settings():
        return (
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.get_default_device(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_autocast_enabled("cpu"),
            numpy.geterr(),
        )

    before, inside = settings(), []

    def evaluator(genotype):
        inside.append(settings())
        return ALL[name][0]()

    new(tmp_path / "run", evaluator, "Reinforce").run(2)
    assert inside[0] == inside[-1]
    assert settings() == before


# --- executors of one's own -----------------------------------------------------------------------


class Giving(Executor):
    """Its futures end as they are told to, in turn."""

    def __init__(self, *ends):
        super().__init__(workers=1)
        self.ends = list(ends)

    def begin(self, future, worker, arguments):
        end = self.ends.pop(0)
        if end is None:
            future.cancel()
        elif isinstance(end, BaseException):
            future.set_exception(end)
        else:
            future.set_result(end)


STRANGE = [
    0.5,
    "much",
    Unprintable(),
    Shapeless(),
    Evaluation(0.5),
    None,  # cancelled
    ValueError("a \ud800 b"),
    SystemExit(3),
    Finished("great", 0.5),
    Finished("ok", "much"),
    Finished("ok", Evaluation(0.5), seconds=math.nan),
    Finished("ok", Evaluation(0.5), worker="x"),
    Finished("ok", Evaluation(0.5), worker=2**64),
    Finished(["ok"], Evaluation(0.5)),
    Finished("error", None, "\x1b \ud800" + "x" * 10**6),
    Finished("error", None, Unprintable()),
    Finished("timeout", None, None),
    Finished("diverged", None, "no"),
]


def test_an_executor_of_ones_own_gives_anything(tmp_path):
    search = new(tmp_path / "run", identity_share, "RandomSearch")
    ends = [Finished("ok", Evaluation(0.25)), *STRANGE, Finished("ok", 0.75)]
    executor = Giving(*ends)
    while executor.ends:  # duplicates are not evaluated
        search.run(1, executor)
    trials = [trial for trial in search.store.finished_after(0) if not trial.cached]
    assert [trial.status for trial in trials] == [
        "ok", *["error"] * 16, "timeout", "diverged", "ok"
    ]  # fmt: skip
    for trial in trials:
        assert_plain(trial)
    assert (trials[0].reward, trials[-1].reward) == (0.25, 0.75)
    assert "must be a Finished, got 0.5" in trials[1].cause
    assert "CancelledError" in trials[6].cause
    assert trials[17].cause == "timeout"

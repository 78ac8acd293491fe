"""The experiments that the lessons speak of, over many paired seeds; what they measured is shipped.

    python tests/benchmarks/experiments.py              run what is missing, record everything
    python tests/benchmarks/experiments.py clip delay   these only

Every experiment has variants, and one number per variant, seed and point; the seeds of all variants
are paired. The runs are kept in runs/experiments: what is interrupted goes on. Records go to
nasworkbench/recordings/, where ``nasworkbench.recordings.experiment(name)`` reads them.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy
import torch
from recording import record
from who_wins import CONTROLLERS, TUNED

import nasworkbench as nw
from nasworkbench import (
    PPO,
    Block,
    Cell,
    Genotype,
    Outcome,
    RandomSearch,
    Recipe,
    Reinforce,
    tables,
)
from nasworkbench.comparison import Comparison
from nasworkbench.comparison.table_run import TableRun
from nasworkbench.data import load
from nasworkbench.executors import Finished, ProcessExecutor, Records, run_all

FOLDER = Path("runs") / "experiments"

#: A seed -> a number for each point.
Variant = Callable[[int], Sequence[float | None]]


@dataclass(frozen=True)
class Study:
    """One experiment."""

    question: str
    x: str  #: what the points are
    points: Sequence[int]
    measure: str
    variants: dict[str, Variant]
    seeds: int = 30
    decimals: int = 3
    more_is_better: bool = True


# --- one batch, many epochs (lesson 05) ---------------------------------------------------------

TOY = tables.exact_toy()


class Watched:
    """Beside a controller's class: writes down the expected reward after every step."""

    seen: list[float]

    def step(self, loss: torch.Tensor) -> None:
        super().step(loss)  # type: ignore[misc]
        self.seen.append(TOY.expected_reward(self.policy).item())  # type: ignore[attr-defined]


class WatchedPPO(Watched, PPO):
    """The library's."""


class RecomputedPPO(PPO):
    """Asks the current policy for the old log-probabilities, so that its ratio is always 1."""

    def update(self, tokens: Any, old_log_probs: Any, rewards: Any) -> Any:
        self.batch = tokens, old_log_probs
        return super().update(tokens, old_log_probs, rewards)

    def step(self, loss: torch.Tensor) -> None:
        super().step(loss)
        self.batch[1].copy_(self.policy.evaluate(self.batch[0])[0].detach())


class WatchedRecomputed(Watched, RecomputedPPO):
    """The mistake, watched."""


EPOCHS = 40


def one_batch(make: Callable[..., Any], seed: int, **settings: Any) -> list[float]:
    controller = make(TOY.space, seed, epochs=EPOCHS, learning_rate=0.01, **settings)
    controller.seen = [TOY.expected_reward(controller.policy).item()]
    batch = controller.ask(controller.batch_size)
    rewards = TOY.rewards_of(torch.tensor([proposal.tokens for proposal in batch])).tolist()
    controller.tell([Outcome(*pair) for pair in zip(batch, rewards, strict=True)])
    return controller.seen


# --- REINFORCE on the exact toy (lesson 04) -----------------------------------------------------

SMALL = {"hidden": 20, "learning_rate": 0.02}
UPDATES = (1, 2, *range(4, 61, 4))


class MovedFirst(Reinforce):
    """The baseline is moved by a reward before it is taken from it."""

    def advantages(self, rewards: torch.Tensor) -> torch.Tensor:
        before = self.baseline
        self.move_baseline(rewards)
        advantages, self.baseline = super().advantages(rewards), before
        return advantages


class NoBaseline(Reinforce):
    """The advantage is the reward."""

    def advantages(self, rewards: torch.Tensor) -> torch.Tensor:
        return rewards


class BiasOnTheFirstTwo(Reinforce):
    """The first two operations begin with a larger logit."""

    def __init__(self, space: Any, seed: int = 0, *, bias: float, **settings: Any) -> None:
        super().__init__(space, seed, **settings)
        steps = [t for t, d in enumerate(space.decisions) if d.kind == "operation"]
        self.policy.head_bias.data[steps, 0, :2] += bias


class MeanOfDecisions(Reinforce):
    """The mean of the decisions' log-probabilities where the sum is meant."""

    def loss(self, log_prob: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
        return -(log_prob.mean(1) * advantage).mean()


class WrongSign(Reinforce):
    """A cross-entropy taken for a log-probability."""

    def loss(self, log_prob: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
        return (log_prob.sum(1) * advantage).mean()


def sixty_updates(kind: type[Reinforce], seed: int, **settings: Any) -> list[float]:
    learner = kind(TOY.space, seed, **SMALL | settings)
    expected, generator = {}, torch.Generator().manual_seed(1000 + seed)
    for update in range(1, max(UPDATES) + 1):
        tokens, log_probs, _ = learner.policy.sample(20, generator)
        learner.update(tokens, log_probs, TOY.rewards_of(tokens).float())
        if update in UPDATES:
            expected[update] = TOY.expected_reward(learner.policy).item()
    return [expected[update] for update in UPDATES]


def reinforce(kind: type[Reinforce] = Reinforce, **settings: Any) -> Variant:
    return partial(sixty_updates, kind, **settings)


# --- on the table of cells (lessons 00, 05 and 07) ----------------------------------------------


@cache
def cells() -> nw.TableEvaluator:
    return nw.TableEvaluator(tables.load("cells"), missing="fail")


def ranks(factory: Any, seed: int, *, points: Sequence[int], samples: int) -> list[float]:
    """The rank of the best so far after so many different cells."""
    space = cells().table.space
    run = TableRun({"": factory}, space, cells(), max(points), samples)("", seed)
    rows = Comparison(cells(), max(points), [run]).rows(points)
    return rows["rank"].astype(float).tolist()


def ranked(controllers: dict[str, Any], points: Sequence[int], samples: int) -> dict[str, Variant]:
    return {
        name: partial(ranks, factory, points=points, samples=samples)
        for name, factory in controllers.items()
    }


PROPOSERS = (
    "random over token sequences",
    "tuned evolution",
    "PPO (paper)",
    "tuned PPO",
    "tuned PPO (repeats)",
)

#: Proposals per mean reward, and proposals in all: five times the budget, as in who_wins.py.
WINDOW, SAMPLES = 100, 2500


def proposed(factory: Any, seed: int) -> list[float | None]:
    """The mean reward of each hundred proposals; None where the budget of 500 cells was spent."""
    space = cells().table.space
    run = TableRun({"": factory}, space, cells(), 500, SAMPLES)("", seed)
    means = numpy.array(run.means[: run.samples // WINDOW * WINDOW // 20]).reshape(-1, WINDOW // 20)
    return [*means.mean(1).tolist(), *[None] * (SAMPLES // WINDOW - len(means))]


IN_FLIGHT = (1, 5, 20, 50, 100, 200)


def delayed(make: Any, seed: int) -> list[float]:
    """The rank of the best of 300 proposals, of which so many are always in flight."""
    return [rank_with(make(cells().table.space, seed), in_flight) for in_flight in IN_FLIGHT]


def rank_with(controller: Any, in_flight: int, proposals: int = 300) -> float:
    table, running, rows = cells().table, deque(), []  # type: ignore[var-annotated]
    for _ in range(proposals):
        (proposal,) = controller.ask(1)
        running.append(proposal)
        rows.append(table.row(proposal.genotype.key))
        if len(running) == in_flight:  # the oldest ends: a worker asks for its next
            ended = running.popleft()
            controller.tell([Outcome(ended, cells()(ended.genotype).reward)])
    return float(table.ranks[rows].min())


def settings_alone_and_left_out() -> dict[str, Any]:
    """PPO of the paper, with each tuned setting alone, with all, with all but one."""
    every: dict[str, Any] = {**TUNED, "no_repeats": True}
    words = {
        "learning_rate": "learning rate",
        "entropy_weight": "entropy weight",
        "whiten_advantages": "whitened advantages",
        "batch_size": "batch of 5",
        "no_repeats": "no repeats",
    }
    alone = {f"+ {words[name]}": partial(PPO, **{name: every[name]}) for name in every}
    without = {
        f"all but {words[name]}": partial(PPO, **{k: v for k, v in every.items() if k != name})
        for name in every
    }
    return {"paper": PPO, **alone, "all": partial(PPO, **every), **without}


# --- regularisation in short trainings (lesson 10) ----------------------------------------------

#: A cell that a search on the table of cells came up with.
BLOCKS = (
    Block(1, "max_pool_3x3", 1, "identity"),
    Block(0, "sep_conv_5x5", 0, "max_pool_3x3"),
)
SHORT_OR_LONG = (3, 6, 12)


def validations(seed: int, **changes: Any) -> list[float]:
    """Validation accuracy after trainings of so many epochs, in per cent."""
    subject = Genotype(Cell(BLOCKS), Cell(BLOCKS))
    results = []
    for epochs in SHORT_OR_LONG:
        recipe = replace(Recipe.digits(epochs=epochs), drop_path_keep=1.0, cutout=0)
        trainer = nw.TrainingEvaluator(load("digits"), replace(recipe, **changes), 1, 8)
        _, result = trainer.train(subject, seed)
        results.append(100 * (result.validation_accuracy or 0.0))
    return results


# --- all of them --------------------------------------------------------------------------------

EVALUATIONS = (20, 30, 40, 50, 70, 100, 140, 200, 280, 400, 500)

STUDIES = {
    "clip": Study(
        "What does the clip do, when one batch of 20 is used for 40 epochs?",
        "epochs on one batch",
        range(EPOCHS + 1),
        "expected reward J",
        {
            "clip 0.2": partial(one_batch, WatchedPPO),
            "no clip": partial(one_batch, WatchedPPO, clip=1e6),
            "recomputed": partial(one_batch, WatchedRecomputed),
        },
        seeds=100,
    ),
    "reinforce": Study(
        "What do learning rate, entropy, baseline and some mistakes do to REINFORCE?",
        "updates of 20 sequences",
        UPDATES,
        "expected reward J",
        {
            "correct": reinforce(),
            "learning rate 0.00035": reinforce(learning_rate=0.00035),
            "learning rate 0.005": reinforce(learning_rate=0.005),
            "learning rate 0.1": reinforce(learning_rate=0.1),
            "entropy 0.1": reinforce(entropy_weight=0.1),
            "entropy 0.3": reinforce(entropy_weight=0.3),
            "entropy 0.1, learning rate 0.1": reinforce(entropy_weight=0.1, learning_rate=0.1),
            "no baseline": reinforce(NoBaseline),
            "baseline moved first": reinforce(MovedFirst),
            "0.94 on the first two": reinforce(BiasOnTheFirstTwo, bias=0.94),
            "10 on the first two": reinforce(BiasOnTheFirstTwo, bias=10),
            "mean of decisions": reinforce(MeanOfDecisions),
            "mean of decisions, entropy 0.1": reinforce(MeanOfDecisions, entropy_weight=0.1),
            "wrong sign": reinforce(WrongSign),
        },
        seeds=100,
    ),
    "tuned-settings": Study(
        "Which of the tuned settings of PPO matters?",
        "different cells evaluated",
        (20, 50, 100),
        "mean validation rank",
        ranked(settings_alone_and_left_out(), (20, 50, 100), 500),
        seeds=50,
        decimals=0,
        more_is_better=False,
    ),
    "two-hundred": Study(
        "What rank has the best of 200 proposals?",
        "proposals",
        (200,),
        "mean validation rank",
        ranked({"random search": RandomSearch, "tuned PPO": CONTROLLERS["tuned PPO"]}, (200,), 200),
        seeds=100,
        decimals=0,
        more_is_better=False,
    ),
    "delay": Study(
        "What does it cost to propose before the results of earlier proposals are in?",
        "proposals in flight",
        IN_FLIGHT,
        "mean validation rank",
        {
            "PPO": partial(delayed, CONTROLLERS["tuned PPO"]),
            "REINFORCE": partial(delayed, CONTROLLERS["tuned REINFORCE"]),
            "PPO, no clip": partial(delayed, partial(PPO, **TUNED, no_repeats=True, clip=1e6)),
        },
        decimals=0,
        more_is_better=False,
    ),
    "who-wins": Study(
        "Whose best cell is better, after how many?",
        "different cells evaluated",
        EVALUATIONS,
        "mean validation rank",
        ranked(CONTROLLERS, EVALUATIONS, SAMPLES),
        decimals=0,
        more_is_better=False,
    ),
    "proposals": Study(
        "How good is what a controller proposes?",
        "proposals",
        range(WINDOW, SAMPLES + 1, WINDOW),
        "mean reward of 100 proposals",
        {name: partial(proposed, CONTROLLERS[name]) for name in PROPOSERS},
    ),
    "final-training": Study(
        "Do drop path and cutout help, in short trainings of a small network?",
        "epochs",
        SHORT_OR_LONG,
        "validation accuracy (%)",
        {
            "plain": validations,
            "drop path": partial(validations, drop_path_keep=0.6, drop_path_in_depth=True),
            "cutout": partial(validations, cutout=4),
        },
        decimals=2,
    ),
}


def one_seed(name: str, variant: str, seed: int) -> list[float | None]:
    """What a worker does."""
    torch.set_num_threads(1)
    study = STUDIES[name]
    values = study.variants[variant](seed)
    return [None if value is None else round(value, study.decimals) for value in values]


def run(names: Sequence[str], workers: int) -> None:
    with ExitStack() as stack:
        files = {}
        for name in names:
            study = STUDIES[name]
            work = {"experiment": name, "points": list(study.points), "measure": study.measure}
            files[name] = stack.enter_context(Records(FOLDER / f"{name}.jsonl", work))
        tasks = [
            (name, variant, seed)
            for name in names
            for seed in range(STUDIES[name].seeds)
            for variant in STUDIES[name].variants
            if f"{variant}, seed {seed}" not in files[name].results
        ]

        def keep(index: int, finished: Finished) -> None:
            name, variant, seed = tasks[index]
            if finished.status != "ok":
                raise RuntimeError(f"{name}, {variant}, seed {seed}: {finished.cause}")
            files[name].add(f"{variant}, seed {seed}", finished.value)

        if tasks:
            with ProcessExecutor(one_seed, min(workers, len(tasks))) as executor:
                run_all(executor, tasks, keep, "experiments")
        for name in names:
            study, results = STUDIES[name], files[name].results
            values = {
                variant: [results[f"{variant}, seed {seed}"] for seed in range(study.seeds)]
                for variant in study.variants
            }
            record(
                name,
                values,
                study.points,
                question=study.question,
                x=study.x,
                measure=study.measure,
                more_is_better=study.more_is_better,
                command=f"python tests/benchmarks/experiments.py {name}",
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in options.names or STUDIES:
        run([name], options.workers)


if __name__ == "__main__":
    main()

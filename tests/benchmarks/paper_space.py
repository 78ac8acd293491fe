"""Who wins in the paper's own space of 50 decisions? Real searches: every child is trained.

    python tests/benchmarks/paper_space.py            train what is missing, write paper_space.md
    python tests/benchmarks/paper_space.py --write    write the page from what is there

The children are those of the laptop tier (digits, N = 1, F = 8), about a second each. The runs are
kept in runs/paper-space, a file per controller and a line per seed: what is interrupted goes on, and
one search of 200 children a worker is lost at most. A seed is run with every controller before the next one begins,
so that the pairs are complete whenever it is stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy
from peers import TPE
from who_wins import TUNED

from nasworkbench import PPO, CellSpace, RandomSearch, RegularizedEvolution, Reinforce, tiers
from nasworkbench.controllers import Controller, Outcome
from nasworkbench.data import load
from nasworkbench.executors import Finished, ProcessExecutor, Records, run_all
from nasworkbench.search.rebuilding import describe
from nasworkbench.training import TrainingEvaluator

FOLDER = Path("runs") / "paper-space"
SEEDS = 8
TIER = tiers.get("laptop")

#: The same settings as in who_wins.md, chosen there on two tables of other spaces; and those that
#: the main job uses in this tier.
CONTROLLERS: dict[str, Callable[..., Controller]] = {
    "random search": RandomSearch,
    "tuned evolution": partial(RegularizedEvolution, population=50, sample=10),
    "tuned PPO": partial(PPO, **TUNED, no_repeats=True),
    "tuned REINFORCE": partial(Reinforce, **TUNED, no_repeats=True),
    "TPE (optuna)": TPE,
    "PPO (laptop tier)": partial(PPO, **TIER.controller),
}


class Searched:
    """What a worker does: one search of ``TIER.trials`` children, then its best trained again.

    A child's seed follows from the search's seed and its number, so that the searches of one seed
    are a pair; an architecture that is proposed again keeps its reward.
    """

    def __init__(self, evaluator: TrainingEvaluator) -> None:
        self.evaluator, self.final = evaluator, evaluator.with_recipe(TIER.final_recipe)

    def __call__(self, name: str, seed: int) -> dict[str, Any]:
        controller = CONTROLLERS[name](CellSpace(), seed)
        rewards: list[float] = []
        known: dict[str, tuple[float, Any]] = {}
        while len(rewards) < TIER.trials:
            batch = min(getattr(controller, "batch_size", 1), TIER.trials - len(rewards))
            outcomes = []
            for proposal in controller.ask(batch):
                genotype = proposal.genotype
                if genotype.key not in known:
                    child = int(
                        numpy.random.SeedSequence([seed, len(rewards)]).generate_state(1)[0]
                    )
                    evaluation = self.evaluator(genotype, child)
                    known[genotype.key] = evaluation.reward or 0.0, genotype  # 0: it diverged
                rewards.append(known[genotype.key][0])
                outcomes.append(Outcome(proposal, rewards[-1]))
            controller.tell(outcomes)
        best = sorted(known.values(), key=lambda pair: -pair[0])[: TIER.top]
        retrained = []
        for reward, genotype in best:
            runs = [self.final.measure(genotype, again) for again in range(TIER.seeds)]
            retrained.append(
                {
                    "reward": reward,
                    "genotype": genotype.to_json(),
                    "validation": [run["validation"] for run in runs],
                    "test": [run["test"] for run in runs],
                }
            )
        return {"rewards": rewards, "different": len(known), "retrained": retrained}


def run(seeds: int, workers: int) -> None:
    """Everything that is not stored yet."""
    evaluator = TrainingEvaluator(load(TIER.data), TIER.recipe, TIER.cells, TIER.filters)
    tier = {name: TIER.settings()[name] for name in ("data", "trials", "top", "seeds")}
    with ExitStack() as stack:
        files = {}
        for name, make in CONTROLLERS.items():
            work = {"evaluator": describe(evaluator), "tier": tier} | {
                "controller": describe(make(CellSpace(), 0)),
                "final": describe(evaluator.with_recipe(TIER.final_recipe)),
            }
            path = FOLDER / f"{''.join(c if c.isalnum() else '-' for c in name.lower())}.jsonl"
            files[name] = stack.enter_context(Records(path, work))
        tasks = [
            (name, seed)
            for seed in range(seeds)
            for name in CONTROLLERS
            if str(seed) not in files[name].results
        ]

        def keep(index: int, finished: Finished) -> None:
            name, seed = tasks[index]
            if finished.status != "ok":
                raise RuntimeError(f"{name}, seed {seed}: {finished.cause}")
            files[name].add(str(seed), finished.value)

        if tasks:
            with ProcessExecutor(Searched(evaluator), min(workers, len(tasks))) as executor:
                done = seeds * len(CONTROLLERS) - len(tasks)
                run_all(executor, tasks, keep, "searching", None, done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    run(options.seeds, options.workers)


if __name__ == "__main__":
    main()

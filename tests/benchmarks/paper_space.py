"""Who wins in the paper's own space of 50 decisions? Real searches: every child is trained.

    python tests/benchmarks/paper_space.py              train what is missing, write paper_space.md
    python tests/benchmarks/paper_space.py --seeds 0    write the page from what is there

The children are those of the laptop tier (digits, N = 1, F = 8), about a second each: about three
hours on two cores. The runs are kept beside this script, a file per controller and a line per seed;
what is interrupted goes on, and each worker loses one search at most. A seed is run with every
controller before the next one begins, so that the pairs are complete whenever it is stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pandas
from peers import TPE
from recording import record
from who_wins import TUNED

from nasworkbench import (
    PPO,
    CellSpace,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    plots,
    tiers,
)
from nasworkbench.comparison.bootstrap import bootstrap_mean
from nasworkbench.controllers import Controller, Outcome
from nasworkbench.data import load
from nasworkbench.executors import Finished, ProcessExecutor, Records, run_all
from nasworkbench.plots.lines import line_styles
from nasworkbench.plots.style import legend
from nasworkbench.provenance import provenance
from nasworkbench.recordings import experiment
from nasworkbench.search.rebuilding import describe
from nasworkbench.training import TrainingEvaluator

HERE = Path(__file__).parent
FOLDER = HERE / "paper_space"
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
                rewards.append(round(known[genotype.key][0], 4))
                outcomes.append(Outcome(proposal, rewards[-1]))
            controller.tell(outcomes)
        best = sorted(known.values(), key=lambda pair: -pair[0])[: TIER.top]
        retrained = []
        for _, genotype in best:
            runs = [self.final.measure(genotype, again) for again in range(TIER.seeds)]
            pairs = [(round(run["validation"], 4), round(run["test"], 4)) for run in runs]
            retrained.append([genotype.key, *map(list, zip(*pairs, strict=True))])
        return {"rewards": rewards, "retrained": retrained}


def run(seeds: int, workers: int) -> dict[str, dict[str, Any]]:
    """Everything that is not stored yet; returns all, by controller and seed."""
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
        return {name: dict(file.results) for name, file in files.items()}


# --- the page -----------------------------------------------------------------------------------

#: Where the best so far is read, and the pairs of which the page gives a verdict.
POINTS = tuple(range(10, TIER.trials + 1, 10))
PAIRS = [(name, "random search") for name in list(CONTROLLERS)[1:]] + [
    ("tuned PPO", "tuned evolution"),
    ("tuned PPO", "tuned REINFORCE"),
    ("tuned PPO", "TPE (optuna)"),
    ("TPE (optuna)", "tuned evolution"),
]
#: With fewer seeds nobody is said to be ahead.
LEAST_SEEDS = 5
PAGE = """# Who wins in the paper's own space?

*Made by `tests/benchmarks/paper_space.py`; do not edit.*

The tables of [who_wins.md](who_wins.md) are small spaces. Here the controllers search the paper's:
50 decisions, 5e36 token sequences, no table. Every child is trained, as in the `laptop` tier (one
pass over the digits, N = 1, F = 8), {trials} to a search. Then the {top} best of each search are
trained again, {again} times each and three passes long, and measured on test data, as the main job
does.

**{seeds} paired seeds**: fewer than the 20 from which on `compare` names a winner. Between two
equal searches an interval from 8 leaves zero out in 13 to 15 of 100 cases (5 would be right), one
from 5 in 17 to 21. So "ahead" is a hint here, and where an interval holds zero not even that. The
tuned settings are those of who_wins.md, which were chosen on two tables of other spaces.

{table}

Mean over the seeds, in brackets its 95 % bootstrap interval, all in per cent. *Best reward*: the
highest validation accuracy so far, which is partly luck. *Proposals*: the mean reward of the last
50, what the controller has learned. *Trained again*: test accuracy of the {top} best. *Winner*:
test accuracy of the one of them with the best validation accuracy in its retrainings.

![Best reward so far, mean reward of proposals, test accuracy](pictures/paper_space.png)

## Verdicts

Differences of the paired seeds after {trials} trials, in points, with 95 % bootstrap intervals.

{verdicts}

## How it was made

`python tests/benchmarks/paper_space.py`, with {machine}; nasworkbench at the commit that holds this
page.
"""


def measures(results: dict[str, dict[str, Any]], seeds: Sequence[str]) -> dict[str, numpy.ndarray]:
    """By measure an array of shape (seeds, ...), in per cent."""
    runs = [results[seed] for seed in seeds]
    rewards = 100 * numpy.array([run["rewards"] for run in runs])
    tests, winners = [], []
    for run in runs:
        _, validation, test = zip(*run["retrained"], strict=True)
        tests.append(100 * numpy.mean(test))
        winners.append(100 * numpy.mean(test[int(numpy.mean(validation, axis=1).argmax())]))
    return {
        "best": numpy.maximum.accumulate(rewards, axis=1),
        "rewards": rewards,
        "best reward": rewards.max(1),
        "proposals": rewards[:, -50:].mean(1),
        "trained again": numpy.array(tests),
        "winner": numpy.array(winners),
    }


def interval(values: numpy.ndarray, form: str = ".1f") -> str:
    return "{:{f}} ({:{f}} to {:{f}})".format(*bootstrap_mean(values), f=form)


def write(results: dict[str, dict[str, Any]]) -> None:
    """The page, its picture and the recordings, of the seeds that every controller has."""
    results = {name: runs for name, runs in results.items() if runs}
    seeds = sorted(set.intersection(*map(set, results.values())), key=int)
    all_measures = {name: measures(runs, seeds) for name, runs in results.items()}
    columns = ("best reward", "proposals", "trained again", "winner")
    lines = ["| controller | " + " | ".join(columns) + " |", "| --- " * 5 + "|"]
    for name, values in all_measures.items():
        row = (interval(values[column]) for column in columns)
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    verdicts = ["| pair | " + " | ".join(columns[:3]) + " |", "| --- " * 4 + "|"]
    pairs = [pair for pair in PAIRS if all_measures.keys() >= set(pair)]
    for a, b in pairs:
        row = []
        for column in columns[:3]:
            difference = all_measures[a][column] - all_measures[b][column]
            _, low, high = bootstrap_mean(difference)
            ahead = a if low > 0 else b if high < 0 else ""
            words = f"{ahead} ahead" if ahead else "not distinguishable"
            words = words if len(seeds) >= LEAST_SEEDS else "too few seeds"
            row.append(f"{interval(difference, '+.2f')}: {words}")
        verdicts.append(f"| {a} – {b} | " + " | ".join(row) + " |")
    text = PAGE.format(
        trials=TIER.trials,
        top=TIER.top,
        again=TIER.seeds,
        seeds=len(seeds),
        table="\n".join(lines),
        verdicts="\n".join(verdicts),
        machine=", ".join(f"{name} {value}" for name, value in provenance().items()),
    )
    (HERE / "paper_space.md").write_text(text, encoding="utf-8")
    about = {
        "question": "Who wins in the paper's own space of 50 decisions?",
        "x": "children trained",
        "more_is_better": True,
        "command": "python tests/benchmarks/paper_space.py",
    }
    at = numpy.array(POINTS) - 1
    curves = {name: values["best"][:, at] for name, values in all_measures.items()}
    again = {name: values["trained again"][:, None] for name, values in all_measures.items()}
    words = "best validation accuracy so far (%)"
    record("paper-space", rounded(curves), POINTS, measure=words, **about)
    words = "test accuracy of the five best, trained again (%)"
    record("paper-space-trained-again", rounded(again), (TIER.trials,), measure=words, **about)
    draw(all_measures)


def rounded(values: dict[str, numpy.ndarray]) -> dict[str, list[list[float]]]:
    return {name: array.round(3).tolist() for name, array in values.items()}


def draw(all_measures: dict[str, dict[str, numpy.ndarray]]) -> None:
    figure, (best, learned, test) = plots.figure(3, 1, size=(9.0, 13.0))
    plots.draw_experiment(experiment("paper-space"), best)
    plots.styled(learned, "children trained", "mean reward of the last 50 proposals (%)")
    styles = line_styles(list(all_measures), None)
    for name, values in all_measures.items():
        means = pandas.DataFrame(values["rewards"].T).rolling(50).mean().mean(axis=1)
        style = styles[name] | {"markevery": 30}
        learned.plot(numpy.arange(1, len(means) + 1), means, **style, label=name)
    legend(learned, columns=3)
    plots.styled(test, "test accuracy of the five best, trained again (%)", "", grid="x")
    for height, (name, values) in enumerate(all_measures.items()):
        tests, style = values["trained again"], styles[name]
        test.plot(tests, [height] * len(tests), "o", color=style["color"], alpha=0.4)
        mean, low, high = bootstrap_mean(tests)
        spread = [[mean - low], [high - mean]]
        test.errorbar([mean], [height], xerr=spread, fmt="s", color=style["color"], capsize=5)
    test.set_yticks(range(len(all_measures)), list(all_measures))
    test.set_ylim(len(all_measures) - 0.4, -0.6)
    (HERE / "pictures" / "paper_space.png").write_bytes(plots.png(figure, dpi=100))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    write(run(options.seeds, options.workers))


if __name__ == "__main__":
    main()

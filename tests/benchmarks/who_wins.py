"""Who wins? Controllers against two kinds of random search, evolution and TPE, on several tables.

    python tests/benchmarks/who_wins.py            run what is missing, write who_wins.md
    python tests/benchmarks/who_wins.py --quick    three seeds and small budgets, into runs/ only

The runs are kept in runs/who-wins: an interrupted comparison goes on, and the page is written again
from them in a minute. Every sentence of the page that says who was better is made by the baseline.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import torch
from peers import TPE

from nasworkbench import PPO, RandomSearch, RegularizedEvolution, Reinforce, TableEvaluator, plots
from nasworkbench import __name__ as package
from nasworkbench.comparison import Comparison, compare
from nasworkbench.comparison.bootstrap import bootstrap_mean
from nasworkbench.provenance import provenance
from nasworkbench.tables import load

HERE = Path(__file__).parent
QUOTED = HERE.parents[1] / "nasworkbench" / "report" / "many_searches.json"

#: The settings were chosen on these two tables, which are therefore not reported.
TUNED_ON = ("graph-photo", "graph-computers")
TABLES = ("cells", "graph-arxiv", "graph-cora", "graph-pubmed")
LONG_TABLES = ("cells", "graph-arxiv")

TUNED: dict[str, Any] = {
    "learning_rate": 0.01,
    "entropy_weight": 0.03,
    "whiten_advantages": True,
    "batch_size": 5,
}
TOKEN_SEQUENCES, ARCHITECTURES = "random over token sequences", "random over architectures"
CONTROLLERS: dict[str, Any] = {
    TOKEN_SEQUENCES: RandomSearch,
    ARCHITECTURES: partial(RandomSearch, over="architectures"),
    "evolution (paper)": RegularizedEvolution,
    "tuned evolution": partial(RegularizedEvolution, population=50, sample=10),
    "REINFORCE (paper)": Reinforce,
    "tuned REINFORCE": partial(Reinforce, **TUNED, no_repeats=True),
    "PPO (paper)": PPO,
    "tuned PPO": partial(PPO, **TUNED, no_repeats=True),
    "tuned PPO (repeats)": partial(PPO, **TUNED),
    "TPE (optuna)": TPE,
}
LONG = {name: CONTROLLERS[name] for name in (TOKEN_SEQUENCES, "REINFORCE (paper)", "PPO (paper)")}
COMPARED = ("tuned PPO", "tuned REINFORCE", "PPO (paper)", "REINFORCE (paper)")
ENTROPIES = (0.0, 0.01, 0.03, 0.1, 0.3)


def evaluator(name: str) -> TableEvaluator:
    return TableEvaluator(load(name), missing="fail")


class Study:
    """All comparisons of the page, run as far as they are not stored."""

    def __init__(self, folder: Path, quick: bool, workers: int) -> None:
        self.folder, self.quick, self.workers = folder, quick, workers
        self.seeds = 3 if quick else 30
        self.budget = 60 if quick else 500
        self.at = (20, 40, 60) if quick else (50, 100, 200, 500)
        self.main = self.at[-2]
        self.long_samples = 400 if quick else 20_000
        self.seconds: dict[str, float] = {}

    def run(self, part: str, table: str, controllers: dict[str, Any], **limits: int) -> Comparison:
        start = time.monotonic()
        table_evaluator = evaluator(table)
        found = compare(
            controllers,
            table_evaluator.table.space,
            table_evaluator,
            seeds=self.seeds,
            directory=self.folder / part / table,
            workers=self.workers,
            **limits,
        )
        self.seconds[f"{part} {table}"] = time.monotonic() - start
        print(f"{part:<10}{table:<16}{self.seconds[f'{part} {table}']:8.0f} s", flush=True)
        return found

    def short(self, table: str) -> Comparison:
        """Every controller, up to 500 different architectures."""
        limits = {"budget": self.budget, "samples": 5 * self.budget}
        return self.run("short", table, CONTROLLERS, **limits)

    def long(self, table: str) -> Comparison:
        """The papers' settings up to the paper's 20,000 samples."""
        limits = {"budget": len(load(table)), "samples": self.long_samples}
        return self.run("long", table, LONG, **limits)

    def entropy(self, table: str) -> Comparison:
        """Tuned PPO, known architectures allowed, at several weights of the entropy."""
        controllers = {
            f"entropy weight {weight:g}": partial(PPO, **TUNED | {"entropy_weight": weight})
            for weight in ENTROPIES
        }
        limits = {"budget": 2 * self.budget, "samples": 2 * self.budget}
        return self.run("entropy", table, controllers, **limits)


# --- what is said about them ------------------------------------------------------------------


def table_of(rows: Iterable[dict[str, Any]]) -> str:
    """A markdown table."""
    rows = list(rows)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([*row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def interval(row: Any, measure: str, form: str, scale: float = 1.0) -> str:
    values = (scale * row[name] for name in (measure, f"{measure}_low", f"{measure}_high"))
    mean, low, high = (format(value, form) for value in values)
    return f"{mean} ({low}–{high})"


def scores(comparison: Comparison, at: Sequence[int]) -> str:
    """Mean rank at each budget; the rest at the last one but one."""
    summary = comparison.summary(at).set_index(["controller", "evaluations"])
    rows = []
    for name in comparison.controllers:
        row = {"controller": name}
        for point in at:
            row[f"rank at {point}"] = interval(summary.loc[(name, point)], "rank", ".0f")
        last = summary.loc[(name, at[-1])]
        row[f"best 1 % at {at[-2]}"] = f"{100 * summary.loc[(name, at[-2])]['top']:.0f} %"
        row[f"test regret at {at[-2]}, points"] = interval(
            summary.loc[(name, at[-2])], "test_regret", ".2f", 100
        )
        row[f"proposals for {at[-1]}"] = f"{last['samples']:,.0f}"
        runs = [run for run in comparison.runs if run.controller == name]
        rewards = [numpy.mean(run.means[-6:-1]) for run in runs]  # whole windows of 20
        row["mean reward of its last 100 proposals"] = f"{numpy.mean(rewards):.4f}"
        rows.append(row)
    return table_of(rows)


def verdicts(comparison: Comparison, pairs: Iterable[tuple[str, str]], at: Sequence[int]) -> str:
    return "\n".join(
        f"- {comparison.verdict(a, b, point, measure).sentence}"
        for a, b in pairs
        for point in at
        for measure in ("rank", "test_regret")
    )


def ahead(
    comparison: Comparison, name: str, baseline: str, points: Sequence[int], by: str
) -> list[int]:
    """At each point 1, -1 or 0: whether ``name`` has a better or worse rank than the baseline."""
    rows = comparison.rows(points, by)
    rows["point"] = rows.groupby(["controller", "seed"]).cumcount()
    ranks = rows.pivot(index=["point", "seed"], columns="controller", values="rank")
    differences = (ranks[baseline] - ranks[name]).unstack("seed").to_numpy(float)
    intervals = [bootstrap_mean(each) for each in differences]
    return [(low > 0) - (high < 0) for _, low, high in intervals]


def begins(comparison: Comparison, name: str, baseline: str, points: Sequence[int], by: str) -> str:
    """The first point from which on ``name`` has a better rank than the baseline at every point."""
    signs = ahead(comparison, name, baseline, points, by)
    return first_of_all([sign > 0 for sign in signs], points)


def listed_where(signs: Sequence[int], sign: int, points: Sequence[int]) -> str:
    return ", ".join(f"{n:,}" for n, found in zip(points, signs, strict=True) if found == sign)


def begins_to_propose(comparison: Comparison, name: str, points: Sequence[int]) -> str:
    """The same for the mean reward of its last 200 samples, against random over token sequences."""
    better = [
        bootstrap_mean(
            rewards_at(comparison, name, n) - rewards_at(comparison, TOKEN_SEQUENCES, n)
        )[1]
        > 0
        for n in points
    ]
    return first_of_all(better, points)


def standing(
    comparisons: dict[str, Comparison], rivals: Sequence[str], at: Sequence[int], measure: str
) -> str:
    """Better, worse or not distinguishable (=), table by table and rival by rival."""
    rows = []
    for name, point, table in itertools.product(COMPARED, at, comparisons):
        row = {"controller": name, "after": point, "table": table}
        for rival in rivals:
            found = comparisons[table].verdict(name, rival, point, measure)
            sure = found.low > 0 or found.high < 0
            outcome = ("better" if found.difference < 0 else "**worse**") if sure else "="
            difference = found.difference if measure == "rank" else 100 * found.difference
            form = "+.0f" if abs(difference) >= 20 else "+.1f" if measure == "rank" else "+.2f"
            row[rival] = f"{outcome} ({difference:{form}})"
        rows.append(row)
    return table_of(rows)


def first_of_all(better: Sequence[bool], points: Sequence[int]) -> str:
    holds = [point for place, point in enumerate(points) if all(better[place:])]
    return f"{holds[0]:,}" if holds else "never"


def rewards_at(comparison: Comparison, name: str, samples: int, last: int = 200) -> numpy.ndarray:
    """For each seed the mean reward of the last 200 samples before this number."""
    windows = slice(max(0, (samples - last) // 20), max(1, samples // 20))
    runs = [run for run in comparison.runs if run.controller == name]
    return numpy.array([numpy.mean(run.means[windows]) for run in runs])


def trade(comparison: Comparison, at: int) -> str:
    summary = comparison.summary([at]).set_index("controller")
    rows = []
    for name in comparison.controllers:
        runs = [run for run in comparison.runs if run.controller == name]
        samples = min(run.samples for run in runs) // 20 * 20
        rewards = bootstrap_mean(rewards_at(comparison, name, samples))
        distinct = bootstrap_mean(numpy.array([len(run.rows) for run in runs], dtype=float))
        rows.append(
            {
                "": name,
                f"mean reward of the last 200 of {samples:,}": "{:.4f} ({:.4f}–{:.4f})".format(
                    *rewards
                ),
                "different architectures": "{:.0f} ({:.0f}–{:.0f})".format(*distinct),
                f"rank at {at}": interval(summary.loc[name], "rank", ".0f"),
            }
        )
    return table_of(rows)


PREFACE = """# Who wins?

*Made by `tests/benchmarks/who_wins.py`; do not edit.*

Every controller searches tables of really trained networks, so that {seeds} searches of each take
minutes. A search pays for every *different* architecture it evaluates, up to {budget}; evaluating
a known one again is free. What it would pick is the best by validation accuracy so far: its rank
in the whole table says how good the search was, its test regret (the table's best test accuracy
minus that of the pick) how much of that survives on new data.

Random search is the baseline, and there are two: uniform over token sequences, as
in the papers, and uniform over unique architectures. The second is the stronger one
where the best architectures have few token sequences. The seeds of all controllers are paired;
intervals are 95 % bootstrap intervals over the seeds. A pair whose interval holds zero is *not
distinguishable*, whatever its means are. With many pairs some intervals exclude zero by luck: one
in twenty where there is no difference.

"Tuned" settings were chosen on {tuned_on}, which are not
reported here: learning rate 0.01 (the paper: 0.00035), entropy weight 0.03 (0.00001), an update
every 5 architectures (20), whitened advantages, and no architecture proposed twice (`no_repeats`).
Evolution was tuned on the same two tables (population 50, sample 10; the paper: 100, 25), TPE was
not tuned. Before that, when it was still open which settings to vary, early trials used graph-arxiv
too: read its rows with that in mind.

With the same seed, evolution's first proposals (as many as its population) are those of random
search over token sequences: until then the two are the same search.
"""

SHORT = """## In short

Each line is one controller on one table against its rivals, over paired seeds: *better* or *worse*
where the 95 % interval of the difference excludes zero, *=* where the two are not distinguishable.
"""

BEGINNING = """## From how many samples on do the papers' settings beat random search?

{samples:,} samples, as many as NASNet's search had, known architectures counted again, as they were
there; random search is uniform over token sequences. "Proposals" are compared by the mean reward of
the last 200 samples: the table names the first of thirteen points from which on the controller is
better at every later one, its paired interval excluding zero. "Finds" are compared by the rank of
the best so far: the table names the points at which it is better, or worse. These tables are small:
after so many samples random search has seen much of them, while a policy that has converged sees
nothing new.
"""

ENTROPY = """## What the entropy weight trades

Tuned PPO that *may* repeat itself, on graph-arxiv. Little entropy: the policy converges, its
samples are good, and most of them are known already. Much entropy: it goes on finding new
architectures, and its samples stay mediocre.
"""


# --- the page ---------------------------------------------------------------------------------


def quoted(comparisons: dict[str, Comparison], at: int) -> list[str]:
    """The verdicts that every search's report repeats."""
    pairs = (
        ("PPO (paper)", TOKEN_SEQUENCES),
        ("tuned PPO", TOKEN_SEQUENCES),
        ("tuned PPO", "tuned evolution"),
    )
    return [
        comparisons[table].verdict(a, b, at).sentence
        for table in ("cells", "graph-arxiv")
        for a, b in pairs
    ]


def write(study: Study, page: Path) -> None:
    pictures = page.with_name("pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    machine = provenance()
    at, main = study.at, study.main
    parts = [
        PREFACE.format(seeds=study.seeds, budget=study.budget, tuned_on=" and ".join(TUNED_ON))
    ]
    parts.append(table_of({"name": n, "what": described(n)} for n in CONTROLLERS) + "\n")
    rivals = [
        (name, rival)
        for name in COMPARED
        for rival in (
            TOKEN_SEQUENCES,
            ARCHITECTURES,
            "evolution (paper)",
            "tuned evolution",
            "TPE (optuna)",
        )
        if not (rival.startswith(("evolution", "tuned evolution", "TPE")) and "tuned" not in name)
    ]
    early = [study.budget * k // 50 for k in (2, 5, 10, 15, 20, 25, 30, 40, 50)]
    comparisons = {name: study.short(name) for name in TABLES}
    against = (
        TOKEN_SEQUENCES,
        ARCHITECTURES,
        "evolution (paper)",
        "tuned evolution",
        "TPE (optuna)",
    )
    parts.append(SHORT)
    for measure, words in (
        ("rank", "Mean validation rank"),
        ("test_regret", "Test regret, points"),
    ):
        parts.append(
            f"\n**{words}**: better means lower, the difference of the means in brackets.\n"
        )
        parts.append(standing(comparisons, against, (main, at[-1]), measure) + "\n")
    for name, comparison in comparisons.items():
        figure, axes = plots.figure(rows=2, size=(9.0, 10.0))
        plots.draw_comparison(plots.comparison_rows(comparison), axes[0], name)
        plots.draw_learning(plots.learning_rows(comparison), axes[1])
        (pictures / f"{name}.png").write_bytes(plots.png(figure, dpi=100))
        parts += [
            f"## {name}\n",
            f"{comparison.evaluator.table!r}. Mean over {study.seeds} seeds, in brackets the 95 % "
            "bootstrap interval of that mean; rank 1 is the table's best by validation.\n",
            scores(comparison, at),
            f"\n![Rank of the best so far; mean reward of proposals](pictures/{name}.png)\n",
            "From so many evaluations on, up to the last, its rank is better than that of\n",
            table_of(
                {
                    "controller": rival,
                    **{
                        baseline: begins(comparison, rival, baseline, early, "evaluations")
                        for baseline in (TOKEN_SEQUENCES, ARCHITECTURES)
                    },
                }
                for rival in CONTROLLERS
                if rival not in (TOKEN_SEQUENCES, ARCHITECTURES)
            ),
            "\n<details><summary>Verdicts, pair by pair</summary>\n",
            verdicts(comparison, rivals, (main, at[-1])),
            "\n</details>\n",
        ]
    parts.append(BEGINNING.format(samples=study.long_samples))
    steps = [study.long_samples * k // 40 for k in (1, 2, 3, 4, 6, 8, 10, 15, 20, 25, 30, 35, 40)]
    rows = []
    for name in LONG_TABLES:
        comparison = study.long(name)
        figure, ax = plots.figure(size=(9.0, 5.0))
        plots.draw_learning(plots.learning_rows(comparison), ax, name)
        (pictures / f"{name}-20000.png").write_bytes(plots.png(figure, dpi=100))
        for controller in ("REINFORCE (paper)", "PPO (paper)"):
            signs = ahead(comparison, controller, TOKEN_SEQUENCES, steps, "samples")
            rows.append(
                {
                    "table": name,
                    "controller": controller,
                    "better proposals from sample": begins_to_propose(
                        comparison, controller, steps
                    ),
                    "better finds after": listed_where(signs, 1, steps) or "–",
                    "worse finds after": listed_where(signs, -1, steps) or "–",
                }
            )
    parts.append(table_of(rows))
    parts += [f"\n![Mean reward of the proposals](pictures/{n}-20000.png)\n" for n in LONG_TABLES]
    comparison = study.entropy("graph-arxiv")
    parts += [ENTROPY, trade(comparison, study.budget), ""]
    parts.append(
        "## How it was made\n\n`python tests/benchmarks/who_wins.py`, with "
        + ", ".join(f"{name} {value}" for name, value in machine.items())
        + f"; {package} at the commit that holds this page."
    )
    page.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    target = page.with_name(QUOTED.name) if study.quick else QUOTED
    target.write_text(json.dumps(quoted(comparisons, main), indent=1) + "\n", encoding="utf-8")


def described(name: str) -> str:
    made = CONTROLLERS[name]
    own = getattr(made, "keywords", {})
    cls = getattr(made, "func", made).__name__
    return f"`{cls}({', '.join(f'{key}={value!r}' for key, value in own.items())})`"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three seeds, small budgets")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", nargs="*", help="run only these: short/cells, long/graph-arxiv, ..."
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path("runs") / ("who-wins-quick" if options.quick else "who-wins")
    study = Study(folder, options.quick, options.workers)
    if options.only:
        for each in options.only:
            part, table = each.split("/")
            getattr(study, part)(table)
        return
    write(study, folder / "who_wins.md" if options.quick else HERE / "who_wins.md")


if __name__ == "__main__":
    main()

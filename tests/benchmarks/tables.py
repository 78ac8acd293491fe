"""How fast is a table? Look-ups, comparisons, and the children of a build.

python tests/benchmarks/tables.py            all of it: several minutes
python tests/benchmarks/tables.py --quick    a twentieth of it
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from who_wins import ARCHITECTURES, CONTROLLERS, TOKEN_SEQUENCES

from nasworkbench import TableEvaluator
from nasworkbench.comparison import compare
from nasworkbench.executors import ProcessExecutor, run_all
from nasworkbench.tables import TABLES, load

FIVE = (TOKEN_SEQUENCES, ARCHITECTURES, "evolution (paper)", "tuned REINFORCE", "tuned PPO")


def clock(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(what: str, value: float, unit: str, target: float, more_is_better: bool) -> None:
    ratio = value / target if more_is_better else target / value
    sign = ">=" if more_is_better else "<="
    verdict = "met" if ratio >= 1 else "MISSED"
    print(
        f"{what:<52}{value:>11,.2f} {unit:<12}{sign} {target:>8,g}{ratio:>8.2f} x {verdict}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the work")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    table = load("cells")
    evaluator = TableEvaluator(table)

    keys = [table.keys[i % len(table)] for i in range(100_000)]
    seconds = clock(lambda: [evaluator.reward(table.row(key)) for key in keys])
    row("100,000 look-ups by key", seconds, "s", 2, False)
    count = 1_000 if quick else 20_000
    genotypes = [table.space.sample(seed) for seed in range(count)]
    seconds = clock(lambda: [evaluator(genotype) for genotype in genotypes])
    row("look-ups by genotype", count / seconds, "/s", 10_000, True)

    seeds = 2 if quick else 30
    five = {name: CONTROLLERS[name] for name in FIVE}
    seconds = clock(lambda: compare(five, table.space, evaluator, 500, seeds, progress=False))
    row(f"compare: 5 controllers x {seeds} seeds x 500", seconds / seeds * 30 / 60, "min", 5, False)

    cells = TABLES["cells"]
    children = 20 if quick else 200
    tasks = [(genotype, 0) for genotype in genotypes[:children]]
    with ProcessExecutor(cells.evaluator().measure) as runner:
        run_all(runner, tasks[:4], lambda index, finished: None, "warm", False)  # imports
        seconds = clock(
            lambda: run_all(runner, tasks, lambda index, finished: None, "build", False)
        )
    row("children of the table, two workers", 60 * children / seconds, "/min", 30, True)


if __name__ == "__main__":
    main()

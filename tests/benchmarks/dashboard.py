"""What a dashboard costs the search it shows: throughput with and without one.

    python tests/benchmarks/dashboard.py [pairs]    # about five minutes

Target: at most 2 % of the throughput. One search runs, in one process, and short stretches with and
without its dashboard alternate; the order changes from pair to pair, so that what else the machine
does falls on both alike. Without: the dashboard's lock is held, and its thread waits for it.

The child is a real training of three steps, the same whatever the genotype: a child takes a few
hundredths of a second, so that a stretch counts many of them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import torch

from nasworkbench import PPO, CellSpace, Recipe, Search, TrainingEvaluator
from nasworkbench.data import Dataset
from nasworkbench.training import Evaluation
from nasworkbench.widgets.dashboard import SearchDashboard

SECONDS = 5.0  # of a stretch
SETTLE = 5.0  # before the first one: the first pictures are drawn at once


class SameChild:
    """Trains the same child for every genotype, and returns a reward of the genotype's."""

    def __init__(self) -> None:
        images = torch.randint(256, (192, 1, 8, 8), dtype=torch.uint8)
        labels = torch.arange(192) % 10
        dataset = Dataset.from_tensors("noise", (images, labels), (images[:64], labels[:64]))
        recipe = Recipe(epochs=1, batch_size=64, learning_rate=0.1, bn_momentum=0.3)
        self.evaluator = TrainingEvaluator(dataset, recipe, cells=1, filters=4)
        self.genotype = CellSpace().sample(1)

    def __call__(self, genotype, seed=0, should_stop=None) -> Evaluation:
        found = self.evaluator(self.genotype, seed, should_stop)
        if found.status == "stopped":
            return found
        return Evaluation(int(genotype.key, 16) % 1000 / 1000, seconds=found.seconds)


def stretch(search: Search) -> tuple[float, float]:
    """Trials a second for a while, and trials a processor second of this process."""
    start, used, done = time.perf_counter(), time.process_time(), search.finished
    time.sleep(SECONDS)
    trials = search.finished - done
    return trials / (time.perf_counter() - start), trials / (time.process_time() - used)


def used(thread: threading.Thread) -> float:
    """Processor seconds of a thread so far; 0 where the system does not say (Windows)."""
    if not hasattr(time, "pthread_getcpuclockid") or thread.ident is None:
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def compared(executor: str, pairs: int) -> None:
    space = CellSpace()
    with tempfile.TemporaryDirectory() as folder:
        search = Search(space, PPO(space), SameChild(), Path(folder) / "run")
        dashboard = SearchDashboard(search, 10**6, executor)
        dashboard.start()
        while search.finished < 10:  # the workers have started
            time.sleep(0.1)
        time.sleep(SETTLE)
        found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        spent = -used(dashboard.thread)
        for pair in range(pairs):
            for watched in (True, False) if pair % 2 else (False, True):
                with nullcontext() if watched else dashboard.lock:
                    found[watched].append(stretch(search))
                    if not watched:  # nothing is saved up for pictures meanwhile
                        dashboard.pace.spent(dashboard.pace.share * SECONDS)
        spent += used(dashboard.thread)
        dashboard.stop()
        dashboard.wait(30)
        dashboard.close()
    rates = {watched: [rate for rate, _ in rows] for watched, rows in found.items()}
    print(f"{executor}: {statistics.mean(rates[False]):.1f} trials a second without a dashboard")
    show(f"{executor}: throughput lost to it, % (2)", rates)
    if executor == "inline":  # the same, whatever else the machine does
        efforts = {watched: [effort for _, effort in rows] for watched, rows in found.items()}
        show(f"{executor}: more processor time a trial, %", efforts)
    share = 100 * spent / (SECONDS * pairs)
    print(f"{f'{executor}: processor time of its thread, %':<54}{share:8.2f}", flush=True)


def show(words: str, found: dict[bool, list[float]]) -> None:
    """What is lost, in percent, and its standard error."""
    ratios = [a / b for a, b in zip(found[True], found[False], strict=True)]
    lost = 100 * (1 - sum(found[True]) / sum(found[False]))
    error = 100 * statistics.stdev(ratios) / len(ratios) ** 0.5
    print(f"{words:<54}{lost:8.2f} ± {error:.2f}")


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for executor in ("inline", "processes"):
        compared(executor, pairs)


if __name__ == "__main__":
    main()

"""Children a minute: a plain PyTorch loop against a search with workers, store and controller.

    python tests/benchmarks/children.py            # about five minutes on two cores
    python tests/benchmarks/children.py --quick    # a round of few children

The children are those of the search on a small machine: random cells of the 13-operation space,
N = 1, F = 8, one epoch on 5,000 Fashion-MNIST images at 14 x 14 (digits where that is missing).
The plain loop is what one writes first: one process, two torch threads, the default memory format.
The search has two one-thread processes. Both sides train the same children, in turns.

Targets: at least 2.4 times the plain loop (above 3 is wanted), at equal accuracy (within 0.02).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from nasworkbench import (
    PPO,
    CellNetwork,
    CellSpace,
    Recipe,
    Search,
    TrainingEvaluator,
    WorkbenchError,
    data,
    evaluate,
)
from nasworkbench.search import Trial

WORKERS = 2
RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=0.1, bn_momentum=0.3, clip_norm=None)
SPACE = CellSpace()


class PlainNetwork(CellNetwork):
    """The same network in torch's default memory format."""

    memory_format = torch.contiguous_format


def load() -> data.Dataset:
    try:
        return data.load("fashion-mnist", image_size=14, train_size=5000, validation_size=1000)
    except WorkbenchError:
        return data.load("digits")


def plain(genotype, dataset: data.Dataset) -> float:
    """Validation accuracy after one epoch, the way everybody writes it."""
    torch.manual_seed(0)
    network = PlainNetwork(
        genotype, cells=1, filters=8, classes=dataset.classes, channels=dataset.channels
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = RECIPE.bn_momentum
    optimiser = torch.optim.SGD(
        network.parameters(), RECIPE.learning_rate, RECIPE.momentum, weight_decay=5e-4
    )
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(dataset.train.images, dataset.train.labels),
        RECIPE.batch_size,
        shuffle=True,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(loader))
    mean = torch.tensor(dataset.mean).view(1, -1, 1, 1)
    std = torch.tensor(dataset.std).view(1, -1, 1, 1)
    for images, labels in loader:
        loss = nn.functional.cross_entropy(network((images / 255 - mean) / std), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return evaluate(network, dataset.validation, dataset)


def searched(dataset: data.Dataset, seed: int, count: int) -> list[tuple[Trial, float]]:
    """Trials, each with the seconds from one end of its worker's to the next.

    So a child's time holds all that a search does for it: ask, send, train, store, tell. The first
    child of a worker is left out, as its time holds the start of the worker.
    """
    with tempfile.TemporaryDirectory() as folder:
        evaluator = TrainingEvaluator(dataset, RECIPE, cells=1, filters=8)
        search = Search(SPACE, PPO(SPACE, seed=seed), evaluator, Path(folder) / "run")
        search.run(count, "processes", workers=WORKERS, progress=False)
        frame = search.trials().set_index("number")
        frame["gap"] = frame.sort_values("ended_at").groupby("worker")["ended_at"].diff()
        gaps = frame["gap"].dropna()
        return [(trial, gaps[trial.number]) for trial in search.store.proposed_from(0)
                if trial.number in gaps.index]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    rounds, children = (1, 4) if parser.parse_args().quick else (3, 7)
    torch.set_num_threads(2)
    dataset = load()
    print(dataset)
    plain_rates, search_rates, differences = [], [], []
    for number in range(rounds):
        found = searched(dataset, number, children + WORKERS)
        search_rates.append(60 * WORKERS / statistics.mean(seconds for _, seconds in found))
        start = time.perf_counter()
        for trial, _ in found:
            differences.append(plain(trial.genotype, dataset) - (trial.reward or 0.0))
        plain_rates.append(60 * len(found) / (time.perf_counter() - start))
        print(f"plain {plain_rates[-1]:.1f}, search {search_rates[-1]:.1f} children/min")
    ratio = statistics.median(s / p for s, p in zip(search_rates, plain_rates, strict=True))
    print(f"\n{'plain loop, children/min':<34}{statistics.median(plain_rates):8.1f}")
    print(f"{'search, two workers, children/min':<34}{statistics.median(search_rates):8.1f}")
    print(f"{'ratio (target 2.4)':<34}{ratio:8.2f}")
    print(f"{'accuracy, plain minus search':<34}{statistics.mean(differences):+8.3f}")


if __name__ == "__main__":
    main()

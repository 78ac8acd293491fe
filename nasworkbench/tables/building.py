"""Build a table: train every cell of a space, seed by seed, and keep each result as it comes.

The cells are taken in one shuffled order, so that whatever has been trained when time ends is a
uniform draw from the space's unique architectures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy

from ..checks import whole
from ..data import load
from ..errors import TableError
from ..executors import Executor, Finished, ProcessExecutor, Records, run_all
from ..progress import duration
from ..spaces import CellSpace
from ..training import Recipe, TrainingEvaluator
from .reliability import reliability
from .table import Table

FILE = "trainings.jsonl"

#: Ends of a training that would be the same if it were repeated. Any other end (its process died,
#: no memory, a time limit) may be the machine's fault, and the next build tries again.
FINAL = ("ok", "diverged")


@dataclass(frozen=True)
class TableSettings:
    """All that decides the numbers of a table.

    Args:
        name: of the table.
        space: small enough to be enumerated.
        data: the arguments of :func:`nasworkbench.data.load`.
        recipe: how each child is trained.
        cells, filters: N and F of the child networks.
        seeds: trainings of each cell, with the seeds 0, 1, ...

    Raises:
        SettingsError: a number below one.
    """

    name: str
    space: CellSpace
    data: dict[str, Any]
    recipe: Recipe
    cells: int
    filters: int
    seeds: int

    def __post_init__(self) -> None:
        for name in ("cells", "filters", "seeds"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))

    def evaluator(self) -> TrainingEvaluator:
        """What trains a row, by :meth:`nasworkbench.TrainingEvaluator.measure`.

        The test split has been read, so that workers are handed all of the data.
        """
        dataset = load(**self.data)
        _ = dataset.test
        return TrainingEvaluator(dataset, self.recipe, self.cells, self.filters)

    def settings(self) -> dict[str, Any]:
        """A JSON-ready dict, without the number of seeds: more can be added to a table."""
        return {
            "name": self.name,
            "space": self.space.settings(),
            "data": dict(self.data),
            "recipe": self.recipe.settings(),
            "cells": self.cells,
            "filters": self.filters,
        }


#: The operations of ENAS's cells: the two separable convolutions, the two pools, and nothing.
ENAS_OPERATIONS = ("identity", "avg_pool_3x3", "max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5")

# The child is that of the laptop tier: the handwritten digits, N = 1, F = 8, one pass. All of these
# numbers are this project's choice: among eight settings on two data sets it tells cells apart best
# for its price (intraclass correlation 0.88, Kendall's tau between seeds 0.73, over 40 cells).
TABLES = {
    "cells": TableSettings(
        "cells", CellSpace(2, ENAS_OPERATIONS, ("add",), tied=True), {"name": "digits"},
        Recipe.digits(), cells=1, filters=8, seeds=3,
    ),
}  # fmt: skip


def build(
    settings: TableSettings,
    folder: str | Path,
    *,
    cells: int | None = None,
    executor: Executor | None = None,
    workers: int = 2,
    provenance: dict[str, Any] | None = None,
    progress: bool | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Table:
    """Train what is missing, then put the table together. An interrupted build goes on.

    Args:
        settings: what to train.
        folder: where the results are kept, in ``trainings.jsonl``.
        cells: how many cells, drawn uniformly; None: all. A larger number includes the cells of a
            smaller one.
        executor: runs ``settings.evaluator().measure``, and is stopped in the end; by default
            ``workers`` processes. More than one torch thread rounds in another way, and so gives
            other accuracies.
        workers: processes, one torch thread each.
        provenance: versions and machine, to be kept with the table.
        progress: show a bar; None: if somebody watches.
        say: e.g. ``print``; called with a line that says how much there is to train, before it
            starts.

    Returns:
        The cells of which every training ended well; ``info["failed"]`` has the keys of the others.

    Raises:
        StoreError: the folder holds trainings with other settings or a damaged file, another build
            is running in it, or it cannot be written.
        SettingsError: more cells than there are, or a number of workers below one.
        SpaceError: a space too large to be enumerated.
        DataError: the data set is not here.
        TableError: not one cell could be trained.
    """
    unique = settings.space.unique
    count = len(unique) if cells is None else whole("cells", cells, 1, len(unique))
    order = numpy.random.default_rng(0).permutation(len(unique))[:count].tolist()
    with Records(Path(folder) / FILE, settings.settings()) as records:
        left = [
            (row, seed)
            for seed in range(settings.seeds)
            for row in order
            if records.results.get(_name(unique.keys[row], seed), {}).get("status") not in FINAL
        ]

        def keep(index: int, finished: Finished) -> None:
            row, seed = left[index]
            result = finished.value or {"status": finished.status, "cause": finished.cause}
            records.add(_name(unique.keys[row], seed), result)

        if left:
            tasks = [(settings.space.decode(unique.tokens[row]), seed) for row, seed in left]
            done = count * settings.seeds - len(left)
            with executor or ProcessExecutor(settings.evaluator().measure, workers) as runner:
                say(_forecast(len(left), len(runner.workers), records.results))
                run_all(runner, tasks, keep, f"table {settings.name}", progress, done)
        return _assembled(settings, sorted(order), records.results, provenance or {})


def _name(key: str, seed: int) -> str:
    return f"{key} {seed}"


def _forecast(trainings: int, workers: int, results: dict[str, Any]) -> str:
    """How much there is to do, and how long it takes if the trainings so far tell."""
    seconds = [result["seconds"] for result in results.values() if "seconds" in result]
    if not seconds:
        return f"trainings left: {trainings:,}"
    left = trainings * sum(seconds) / len(seconds) / max(workers, 1)
    return f"trainings left: {trainings:,} (about {duration(left)})"


def _assembled(
    settings: TableSettings, rows: list[int], results: dict[str, Any], provenance: dict[str, Any]
) -> Table:
    """The table of all cells whose every training ended well.

    Raises:
        TableError: there is none.
    """
    unique = settings.space.unique
    trainings = {
        row: [results[_name(unique.keys[row], seed)] for seed in range(settings.seeds)]
        for row in rows
    }
    complete = [row for row in rows if all(t["status"] == "ok" for t in trainings[row])]
    if not complete:
        raise TableError(
            f"not one cell of the table {settings.name!r} could be trained: the causes are in the "
            f"folder, in {FILE}"
        )

    def column(name: str) -> numpy.ndarray:
        return numpy.array([[t[name] for t in trainings[row]] for row in complete])

    validation, test = column("validation"), column("test")
    seconds = column("seconds").astype(numpy.float32)
    info = {
        "command": f"nasworkbench table build {settings.name}",
        "settings": settings.settings() | {"seeds": settings.seeds},
        "complete": len(complete) == len(unique),
        "architectures": len(unique),
        "failed": [unique.keys[row] for row in sorted({*rows} - {*complete})],
        "hours": round(float(seconds.sum()) / 3600, 2),
        "reliability": reliability(validation).to_dict(),
        "provenance": provenance,
    }
    return Table(
        name=settings.name,
        space=settings.space,
        tokens=numpy.array(unique.tokens, dtype=numpy.uint8)[complete],
        keys=tuple(unique.keys[row] for row in complete),
        validation=validation,
        read_test=partial(numpy.asarray, test),  # a lambda could not be sent to other processes
        columns={
            "parameters": column("parameters")[:, 0].astype(numpy.int32),
            "mult_adds": column("mult_adds")[:, 0].astype(numpy.int64),
            "seconds": seconds,
            "token_sequences": numpy.array(unique.token_sequences, dtype=numpy.int32)[complete],
        },
        info=info,
    )

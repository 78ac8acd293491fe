"""Build a table: train every cell of a plan, seed by seed, and keep each result as it comes.

The cells are taken in one shuffled order, so that whatever has been trained when time ends is a
uniform draw from the space's classes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy

from ..errors import SettingsError, TableError
from ..executors import Executor, Finished, ProcessExecutor, Records, run_all
from .plans import Plan, TableChild, dataset
from .reliability import reliability
from .table import Table

FILE = "trainings.jsonl"

#: How a training ends by its own doing: again it would end so. Any other end (its process died, no
#: memory, a time limit) may be the machine's doing, and the next build tries again.
FINAL = ("ok", "diverged")


def build(
    plan: Plan,
    folder: str | Path,
    *,
    cells: int | None = None,
    executor: Executor | None = None,
    workers: int = 2,
    provenance: dict[str, Any] | None = None,
    progress: bool | None = None,
) -> Table:
    """Train what is missing, then put the table together. An interrupted build goes on.

    Args:
        plan: what to train.
        folder: where the results are kept, in ``trainings.jsonl``.
        cells: so many cells, drawn uniformly; None: all. More include those of fewer.
        executor: runs a :class:`TableChild`, and is stopped in the end; by default ``workers``
            processes. Another number of torch threads than one rounds otherwise, and so gives
            other accuracies.
        workers: processes, one torch thread each.
        provenance: versions and machine, to be kept with the table.
        progress: show a bar; None: if somebody watches.

    Returns:
        The cells of which every training ended well; ``info["failed"]`` has the keys of the others.

    Raises:
        StoreError: the folder holds trainings of another plan or a damaged file, another build is
            at work in it, or it cannot be written.
        SettingsError: more cells than there are, or a number of workers below one.
        SpaceError: a space too large to be enumerated.
        DataError: the data set is not here.
        TableError: not one cell could be trained.
    """
    classes = plan.space.classes
    count = len(classes) if cells is None else cells
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(classes):
        raise SettingsError(f"cells must be a whole number from 1 to {len(classes)}, got {cells!r}")
    order = numpy.random.default_rng(0).permutation(len(classes))[:count].tolist()
    data = dataset(plan)
    with Records(Path(folder) / FILE, plan.settings()) as records:
        left = [
            (row, seed)
            for seed in range(plan.seeds)
            for row in order
            if not _is_final(records.results.get(_name(classes.keys[row], seed)))
        ]

        def keep(record: Finished) -> None:
            row, seed = left[record.number]
            result = record.value or {"status": record.status, "cause": record.cause}
            records.add(_name(classes.keys[row], seed), result)

        if left:
            tasks = [(plan.space.decode(classes.tokens[row]), seed) for row, seed in left]
            done = count * plan.seeds - len(left)
            with executor or ProcessExecutor(TableChild(plan, data), workers) as runner:
                run_all(runner, tasks, keep, f"table {plan.name}", progress, done)
        return _assembled(plan, sorted(order), records.results, provenance or {})


def _name(key: str, seed: int) -> str:
    return f"{key} {seed}"


def _is_final(result: dict[str, Any] | None) -> bool:
    return result is not None and result["status"] in FINAL


def _assembled(
    plan: Plan, rows: list[int], results: dict[str, Any], provenance: dict[str, Any]
) -> Table:
    """The table of all cells whose every training ended well.

    Raises:
        TableError: there is none.
    """
    classes = plan.space.classes
    whole, failed = [], []
    for row in rows:
        found = [results[_name(classes.keys[row], seed)] for seed in range(plan.seeds)]
        if all(each["status"] == "ok" for each in found):
            whole.append((row, found))
        else:
            failed.append(classes.keys[row])
    if not whole:
        raise TableError(f"not one cell of the table {plan.name!r} could be trained")

    def column(name: str) -> numpy.ndarray:
        return numpy.array([[each[name] for each in found] for _, found in whole])

    validation, test = column("validation"), column("test")
    seconds = column("seconds").astype(numpy.float32)
    info = {
        "command": f"nasworkbench table build {plan.name}",
        "plan": plan.settings() | {"seeds": plan.seeds},
        "complete": len(whole) == len(classes),
        "classes": len(classes),
        "failed": failed,
        "hours": round(float(seconds.sum()) / 3600, 2),
        "reliability": reliability(validation).to_dict(),
        "provenance": provenance,
    }
    return Table(
        name=plan.name,
        space=plan.space,
        tokens=numpy.array([classes.tokens[row] for row, _ in whole], dtype=numpy.uint8),
        keys=tuple(classes.keys[row] for row, _ in whole),
        validation=validation,
        read_test=partial(numpy.asarray, test),  # a lambda could not be sent to other processes
        columns={
            "parameters": column("parameters")[:, 0].astype(numpy.int32),
            "mult_adds": column("mult_adds")[:, 0].astype(numpy.int64),
            "seconds": seconds,
            "strings": numpy.array([classes.strings[row] for row, _ in whole], dtype=numpy.int32),
        },
        info=info,
    )

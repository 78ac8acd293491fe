"""Small tables for the tests, and a search on one that is to be killed; quick to import.

python table_helpers.py FOLDER    run a search on the library's table "small", or go on with it
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy
from search_helpers import CONTROLLERS, small_space

from nasworkbench import Search, TableEvaluator, tables
from nasworkbench.tables import Table

SEEDS = 3
TRIALS = 90
KILLED_AT = 47  # the number of a trial


class Sealed:
    """Test accuracies that nobody may read: a file says that somebody has tried."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __call__(self) -> numpy.ndarray:
        self.mark.write_text("read")
        raise AssertionError("the test accuracies were read")


class Readable:
    """Test accuracies, a number of its own for each row and seed: the first row has the best."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> numpy.ndarray:
        noise = numpy.random.default_rng(1).random((self.count, SEEDS))
        return 0.8 - 1e-4 * numpy.arange(self.count)[:, None] + 1e-5 * noise


def small_table(count: int | None = None, read_test=None, name: str = "small", **info) -> Table:
    """The 441 cells of the small space, or so many of them; three seeds, all values different.

    Validation and test disagree: by validation the last row is the best, by test the first.
    """
    space = small_space()
    classes = space.unique
    rows = numpy.arange(len(classes))[:count]
    noise = numpy.random.default_rng(0).random((len(classes), SEEDS))[rows]
    validation = 0.2 + 1e-3 * rows[:, None] + 1e-2 * noise
    return Table(
        name=name,
        space=space,
        tokens=numpy.array(classes.tokens)[rows],
        keys=classes.keys[: len(rows)],
        validation=validation,
        read_test=read_test or Readable(len(rows)),
        columns={"parameters": 1000 + rows},
        info={"complete": count is None} | info,
    )


def search_on(table: Table, folder: Path, controller: str = "PPO", **settings) -> Search:
    """A search on a table of the small space, with a controller that updates often."""
    evaluator = TableEvaluator(table, **settings)
    return Search(table.space, CONTROLLERS[controller](table.space), evaluator, folder, seed=5)


def install(table: Table) -> None:
    """Let the library know this table and no other."""
    tables.names = lambda: (table.name,)
    tables.load = lambda name: table


def main(folder: Path) -> None:
    """Dies by SIGKILL when a trial has ended and the controller has not been told yet."""
    search = search_on(small_table(), folder)
    tell = search.controller.tell

    def tell_or_die(outcomes) -> None:
        if outcomes[0].proposal.number == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        tell(outcomes)

    search.controller.tell = tell_or_die  # type: ignore[method-assign]
    search.run(TRIALS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Builds a tiny table by a worker process, to be interrupted from outside; see
``test_table_building.py``.

    python table_build_script.py FOLDER
"""

from __future__ import annotations

import os
import sys
import time

from nasworkbench.executors import ProcessExecutor
from nasworkbench.spaces import CellSpace
from nasworkbench.tables import Plan, TableChild, build
from nasworkbench.tables.plans import dataset
from nasworkbench.training import Recipe

#: Ten cells, a few hundredths of a second each.
TINY = Plan(
    name="tiny",
    space=CellSpace(1, ("identity", "conv_1x1"), "add", tied=True),
    data={"name": "digits", "train_size": 128, "validation_size": 60},
    recipe=Recipe(epochs=1, batch_size=32, learning_rate=0.1, bn_momentum=0.3, clip_norm=None),
    cells=1,
    filters=2,
    seeds=2,
)


class Slow(TableChild):
    """Leaves time to interrupt it."""

    def __call__(self, genotype, seed):
        time.sleep(0.3)
        return super().__call__(genotype, seed)


class Dies(TableChild):
    """Its process ends in the middle of one cell, whatever the seed."""

    def __init__(self, plan, data, key):
        super().__init__(plan, data)
        self.key = key

    def __call__(self, genotype, seed):
        if genotype.key == self.key and seed == 0:
            os._exit(3)
        return super().__call__(genotype, seed)


if __name__ == "__main__":
    data = dataset(TINY)
    with ProcessExecutor(Slow(TINY, data), workers=2) as workers:
        build(TINY, sys.argv[1], executor=workers)

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
from nasworkbench.tables import TableSettings, build
from nasworkbench.training import Recipe

#: Ten cells, a few hundredths of a second each.
TINY = TableSettings(
    name="tiny",
    space=CellSpace(1, ("identity", "conv_1x1"), "add", tied=True),
    data={"name": "digits", "train_size": 128, "validation_size": 60},
    recipe=Recipe(epochs=1, batch_size=32, learning_rate=0.1, bn_momentum=0.3, clip_norm=None),
    cells=1,
    filters=2,
    seeds=2,
)


class Slow:
    """Leaves time to interrupt it."""

    def __init__(self, evaluator):
        self.evaluator = evaluator

    def __call__(self, genotype, seed):
        time.sleep(0.3)
        return self.evaluator.measure(genotype, seed)


class Dies:
    """Its process ends in the middle of one cell, whatever the seed."""

    def __init__(self, evaluator, key):
        self.evaluator, self.key = evaluator, key

    def __call__(self, genotype, seed):
        if genotype.key == self.key and seed == 0:
            os._exit(3)
        return self.evaluator.measure(genotype, seed)


if __name__ == "__main__":
    with ProcessExecutor(Slow(TINY.evaluator()), workers=2) as workers:
        build(TINY, sys.argv[1], executor=workers)

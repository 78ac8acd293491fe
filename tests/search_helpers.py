"""Evaluators and small spaces for the tests of executors and searches.

Worker processes import this file by name, so it stays quick and free of pytest.
"""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy
import torch

from nasworkbench import PPO, CellSpace, RandomSearch, RegularizedEvolution, Reinforce, Search
from nasworkbench.data import Dataset
from nasworkbench.genotype import Genotype
from nasworkbench.search.packing import digest
from nasworkbench.spaces import Decision, Space
from nasworkbench.training import Evaluation

#: 1,296 strings and 441 keys: in a hundred trials some genotypes come twice.
OPERATIONS = ("identity", "avg_pool_3x3", "conv_1x1")


def small_space() -> CellSpace:
    return CellSpace(blocks=1, operations=OPERATIONS, combinations=("add",))


class Coins(Space):
    """A space that the library does not know, of things that cannot be drawn."""

    decisions = (
        Decision("first coin", "network", 0, "coin", ("heads", "tails")),
        Decision("second coin", "network", 1, "coin", ("heads", "tails", "edge")),
    )

    def decode(self, tokens):
        return self.check(tokens)

    def encode(self, genotype):
        return genotype

    def settings(self):
        return {}


#: Controllers that update many times in a few dozen trials.
CONTROLLERS = {
    "PPO": lambda space: PPO(space, 3, batch_size=5, learning_rate=0.003, hidden=16),
    "Reinforce": lambda space: Reinforce(space, 3, batch_size=4, learning_rate=0.003, hidden=16),
    "RegularizedEvolution": lambda space: RegularizedEvolution(space, 3, population=8, sample=3),
    "RandomSearch": lambda space: RandomSearch(space, 3),
}


def new(folder, evaluator=None, controller="PPO", **settings) -> Search:
    """A search of the small space, by default with the cheapest evaluator."""
    space = small_space()
    return Search(
        space, CONTROLLERS[controller](space), evaluator or identity_share, folder, **settings
    )


def operations(genotype: Genotype) -> list[str]:
    blocks = [block for _, cell in genotype.cells for block in cell.blocks]
    return [operation for block in blocks for _, _, operation in block.sides]


def identity_share(genotype: Genotype) -> float:
    """The share of identities among the operations: the cheapest reward there is."""
    names = operations(genotype)
    return names.count("identity") / len(names)


def share_or_fail(genotype: Genotype) -> float:
    """As :func:`identity_share`, but a genotype without an identity cannot be trained."""
    if "identity" not in operations(genotype):
        raise ValueError("no identity anywhere")
    return identity_share(genotype)


def slow_share(genotype: Genotype) -> float:
    time.sleep(0.05)
    return share_or_fail(genotype)


class Recording:
    """Counts its calls by genotype; for the inline executor. ``interrupt_at``: the n-th call."""

    def __init__(self, evaluate=identity_share, interrupt_at: int | None = None) -> None:
        self.evaluate, self.interrupt_at = evaluate, interrupt_at
        self.keys: list[str] = []

    def settings(self) -> dict:
        return {"of": self.evaluate.__name__}

    def __call__(self, genotype: Genotype, seed: int) -> float:
        if self.interrupt_at is not None and len(self.keys) == self.interrupt_at:
            self.interrupt_at = None
            raise KeyboardInterrupt
        self.keys.append(genotype.key)
        return self.evaluate(genotype)


class WaitForStop:
    """A child that trains until it is told to stop, or for ``seconds``."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self.started = 0

    def __call__(self, genotype: Genotype, should_stop=None) -> Evaluation:
        self.started += 1
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            if should_stop is not None and should_stop():
                return Evaluation(None, "stopped")
            time.sleep(0.01)
        return Evaluation(identity_share(genotype))


def every_kind_of_failure(genotype: Genotype) -> float:
    """Fails in all the ways there are, as the operations of the normal cell say."""
    left, right = (name for _, _, name in genotype.normal.blocks[0].sides)
    kinds = {
        ("identity", "avg_pool_3x3"): raises,
        ("avg_pool_3x3", "identity"): nan,
        ("conv_1x1", "conv_1x1"): out_of_memory,
        ("conv_1x1", "avg_pool_3x3"): exits,
        ("avg_pool_3x3", "conv_1x1"): is_killed,
        ("avg_pool_3x3", "avg_pool_3x3"): hangs,
    }
    return kinds.get((left, right), identity_share)(genotype)


def raises(_) -> float:
    raise ValueError("this child cannot be trained")


def nan(_) -> float:
    return math.nan


def out_of_memory(_) -> float:
    raise MemoryError("no room for this child")


def exits(_) -> float:
    os._exit(3)


def is_killed(_) -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def hangs(_) -> float:
    time.sleep(600)
    raise AssertionError("not reached")


# --- functions for the executors ----------------------------------------------------------------


def act(word: str, value=None):
    """What a worker is told to do, by name."""
    actions = {
        "raise": raises,
        "memory": out_of_memory,
        "exit": exits,
        "kill": is_killed,
        "signal": lambda number: os.kill(os.getpid(), number),
        "hang": hangs,
        "echo": lambda v: v,
        "pid": lambda _: os.getpid(),
        "threads": lambda _: torch.get_num_threads(),
        "dtype": lambda _: torch.get_default_dtype(),
        "double": lambda _: torch.set_default_dtype(torch.float64),
        "unsendable": lambda _: lambda: None,
        "sleep": time.sleep,
        "fork and exit": fork_and_exit,
    }
    return actions[word](value)


def fork_and_exit(path: str) -> None:
    """Die, but leave a child process behind that keeps all pipes open."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
    Path(path).write_text(str(child))
    os._exit(4)


class Adder:
    """Holds a tensor that travels with the function."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __call__(self, other: torch.Tensor) -> torch.Tensor:
        return self.tensor + other

    def storage(self) -> int:
        return self.tensor.untyped_storage().data_ptr()


class Marking:
    """Writes into the tensor that travelled with it: the parent sees it if memory is shared."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __call__(self, place: int) -> None:
        self.tensor[place] = 1


class FailsToLoad:
    """Can be sent, but not loaded."""

    def __call__(self) -> None:
        raise AssertionError("not reached")

    def __reduce__(self):
        return _import_what_is_not_there, ()


def _import_what_is_not_there():
    import a_module_that_is_not_there  # noqa: F401


def environment() -> dict[str, str]:
    """Of a Python process that can import these helpers, with one thread and without a GPU."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    fixed = {"PYTHONPATH": path.rstrip(os.pathsep), "OMP_NUM_THREADS": "1"}
    return os.environ | fixed | {"CUDA_VISIBLE_DEVICES": "", "NASWORKBENCH_PROGRESS": "0"}


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children(pid: int) -> list[int]:
    """The processes whose parent this is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def gone_within(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


# --- states ---------------------------------------------------------------------------------------


def same(a, b):
    """Whether two nested states are equal to the bit."""
    if isinstance(a, numpy.ndarray):
        return isinstance(b, numpy.ndarray) and a.dtype == b.dtype and numpy.array_equal(a, b)
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


# --- run folders --------------------------------------------------------------------------------


def change(folder, statement, *values, forged: bool = False) -> None:
    """Change a run folder's file as nothing of the library would.

    ``forged``: by somebody who knows how the digests are made; else those of changed rows are
    wrong, as after a changed bit.
    """
    with closing(sqlite3.connect(Path(folder) / "search.sqlite")) as connection, connection:
        assert connection.execute(statement, values).rowcount != 0
        for table in ("meta", "state", "updates", "trials", "retrainings") if forged else ():
            for place, *row in connection.execute(f"SELECT rowid, * FROM {table}").fetchall():
                seal = f"UPDATE {table} SET digest = ? WHERE rowid = ?"
                connection.execute(seal, (digest(row[:-1]), place))


# --- tiers --------------------------------------------------------------------------------------


def few_steps(tier, **changes):
    """As this tier, but a child is trained in two steps: a tenth of the price on digits."""
    recipe = replace(tier.recipe, batch_size=480)
    return replace(tier, filters=2, recipe=recipe, final_recipe=recipe, **changes)


# --- data ---------------------------------------------------------------------------------------


def touched():
    raise AssertionError("the test data were touched")


def tiny_data(test=touched, name: str = "tiny") -> Dataset:
    """Three classes that differ in brightness, 8 x 8; test data that nobody may look at."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(24) % 3
    noise = torch.randint(60, (24, 1, 8, 8), generator=generator)
    images = (noise + 80 * labels[:, None, None, None]).byte()
    return Dataset.from_tensors(name, (images, labels), (images, labels), test=test)

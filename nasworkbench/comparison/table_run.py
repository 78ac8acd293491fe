"""One controller, one seed, one table: what it finds, and after how many evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy

from ..controllers import Controller, Outcome
from ..errors import StoreError, TableError
from ..spaces import Space
from ..tables import TableEvaluator

#: A controller's class, or ``functools.partial`` of it: called with the space and the seed.
Factory = Callable[[Space, int], Controller]

#: Samples in each of :attr:`Run.means`; 20 is one update of the paper's controller (A.2).
WINDOW = 20

#: What a controller is told of an architecture that is not in the table.
FAILURE_REWARD = 0.0


@dataclass(frozen=True)
class Run:
    """What one controller found, ready for JSON."""

    controller: str  #: as the comparison names it
    seed: int
    found: list[int]  #: rows of the table, each once, in the order in which they were evaluated
    at: list[int]  #: number of the sample that brought each of them, from 1
    samples: int  #: proposals in all, known architectures counted again
    means: list[float]  #: mean reward of each :data:`WINDOW` samples: what the controller learned

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Any, architectures: int, where: str) -> Run:
        """The run that :meth:`to_dict` described, on a table of so many architectures.

        Raises:
            StoreError: it is damaged; the message begins with ``where``.
        """
        try:
            run = cls(**record)
            rows, samples = numpy.array(run.found), numpy.array(run.at)
            good = (
                len(rows) == len(samples) == len(set(run.found)) > 0
                and rows.dtype.kind == samples.dtype.kind == "i"
                and 0 <= rows.min() <= rows.max() < architectures
                and samples[0] > 0
                and bool((numpy.diff(samples) > 0).all())
                and samples[-1] <= run.samples
                and all(isinstance(mean, float) for mean in run.means)
            )
        except (TypeError, ValueError):
            good = False
        if not good:
            raise StoreError(
                f"{where}: this is no run of a comparison: {str(record)[:80]}. It was left as it "
                "is: restore the file from a copy, delete that line, or choose another folder"
            )
        return run


class TableRun:
    """What a worker of a comparison does.

    Args:
        factories: the controllers by name.
        space: they search.
        evaluator: of a table.
        budget: a run ends after so many *different* architectures, or when all of the table are
            found; a look at a known one is free.
        samples: or after so many proposals: a converged policy proposes the same for ever.
    """

    def __init__(
        self,
        factories: Mapping[str, Factory],
        space: Space,
        evaluator: TableEvaluator,
        budget: int,
        samples: int,
    ) -> None:
        self.factories, self.space, self.evaluator = dict(factories), space, evaluator
        self.budget, self.samples = budget, samples

    def __call__(self, name: str, seed: int) -> dict[str, Any]:
        controller = self.factories[name](self.space, seed)
        table, draws = self.evaluator.table, noise(self.evaluator, seed)
        batch = getattr(controller, "batch_size", 1)  # it learns nothing in between
        found: dict[int, int] = {}  # row -> sample
        rewards: list[float] = []
        most = min(self.budget, len(table))
        while len(found) < most and len(rewards) < self.samples:
            outcomes = []
            for proposal in controller.ask(min(batch, self.samples - len(rewards))):
                key = proposal.genotype.key
                draw = int(draws[table.row(key)]) if key in table else 0
                reward = self.evaluator(proposal.genotype, draw).reward
                rewards.append(FAILURE_REWARD if reward is None else reward)
                outcomes.append(Outcome(proposal, rewards[-1]))
                if reward is not None:
                    found.setdefault(table.row(key), len(rewards))
                if len(found) == most:
                    break
            controller.tell(outcomes)
        if not found:
            raise TableError(
                f"none of the {len(rewards)} architectures that it proposed is in the table "
                f"{table.name!r}, so that there is nothing to judge it by: allow more samples"
            )
        windows = range(0, len(rewards), WINDOW)
        means = [round(float(numpy.mean(rewards[i : i + WINDOW])), 6) for i in windows]
        return Run(name, seed, list(found), list(found.values()), len(rewards), means).to_dict()


def noise(evaluator: TableEvaluator, seed: int) -> numpy.ndarray:
    """For each row of the table the training that this run meets: paired runs meet the same."""
    return numpy.random.default_rng([seed, 1]).integers(2**31, size=len(evaluator.table))

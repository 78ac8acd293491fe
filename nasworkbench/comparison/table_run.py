"""One run of a comparison: one controller with one seed on a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy

from ..controllers import Controller, Outcome
from ..errors import StoreError, TableError, shown
from ..spaces import Space
from ..tables import TableEvaluator

#: A controller's class, or ``functools.partial`` of it: called with the space and the seed.
Factory = Callable[[Space, int], Controller]

#: Samples in each of :attr:`Run.means`; 20 is one update of the paper's controller (A.2).
WINDOW = 20


@dataclass(frozen=True)
class Run:
    """What one controller found, ready for JSON."""

    controller: str  #: as the comparison names it
    seed: int
    rows: list[int]  #: rows of the table, each once, in the order in which they were evaluated
    at: list[int]  #: number of the sample that brought each of them, from 1
    samples: int  #: proposals in all, known architectures counted again
    means: list[float]  #: mean reward of each :data:`WINDOW` samples: what the controller learned

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Any, architectures: int, budget: int, where: str) -> Run:
        """The run that :meth:`to_dict` described, of at most ``budget`` evaluations, on a table of
        so many architectures.

        Raises:
            StoreError: it is damaged; the message begins with ``where``.
        """
        try:
            run = cls(**record)
            rows, steps = numpy.array(run.rows), numpy.diff([0, *run.at, run.samples])
            valid = (
                budget >= len(rows) == len(run.at) == len(set(run.rows)) > 0
                and rows.dtype.kind == steps.dtype.kind == "i"
                and 0 <= rows.min() <= rows.max() < architectures
                and steps[:-1].min() > 0 <= steps[-1]
                and len(run.means) == -(-run.samples // WINDOW)
                and all(isinstance(mean, float) and math.isfinite(mean) for mean in run.means)
            )
        except (TypeError, ValueError, OverflowError):
            valid = False
        if not valid:
            raise StoreError(
                f"{where}: this is not a run of a comparison: {shown(record)}. It was left as "
                "it is: restore the file from a copy, delete that line, or choose another folder"
            )
        return run


@dataclass(frozen=True)
class TableRun:
    """What a worker of a comparison does: one run."""

    factories: Mapping[str, Factory]  #: the controllers by name
    space: Space
    evaluator: TableEvaluator
    budget: int  #: a run ends after so many *different* architectures, or all of the table
    samples: int  #: or after so many proposals: a converged policy proposes the same without end

    def __call__(self, name: str, seed: int) -> Run:
        controller = self.factories[name](self.space, seed)
        table, draws = self.evaluator.table, training_draws(self.evaluator, seed)
        batch = getattr(controller, "batch_size", 1)  # it learns nothing in between
        evaluated: dict[int, int] = {}  # row -> number of the sample that brought it
        rewards: list[float] = []
        most = min(self.budget, len(table))
        while len(evaluated) < most and len(rewards) < self.samples:
            outcomes = []
            for proposal in controller.ask(min(batch, self.samples - len(rewards))):
                key = proposal.genotype.key
                row = table.row(key) if key in table else None
                draw = 0 if row is None else int(draws[row])
                reward = self.evaluator(proposal.genotype, draw).reward
                rewards.append(reward or 0.0)  # 0 is told of what is not in the table
                outcomes.append(Outcome(proposal, rewards[-1]))
                if row is not None:
                    evaluated.setdefault(row, len(rewards))
                if len(evaluated) == most:
                    break
            controller.tell(outcomes)
        if not evaluated:
            raise TableError(
                f"none of the {len(rewards)} architectures that it proposed is in the table "
                f"{table.name!r}: allow more samples"
            )
        starts = range(0, len(rewards), WINDOW)
        means = [round(float(numpy.mean(rewards[i : i + WINDOW])), 6) for i in starts]
        return Run(name, seed, [*evaluated], [*evaluated.values()], len(rewards), means)


def training_draws(evaluator: TableEvaluator, seed: int) -> numpy.ndarray:
    """For each row of the table a seed that picks one of its trainings: paired runs are rewarded
    with the same trainings."""
    return numpy.random.default_rng([seed, 1]).integers(2**31, size=len(evaluator.table))

"""An evaluator that reads a table instead of training a network."""

from __future__ import annotations

from typing import Any

from ..checks import choice, flag, instance
from ..errors import TableError
from ..spaces import Space
from ..training import Evaluation
from .table import Table


class TableEvaluator:
    """Looks the genotype up in a table; its reward is the validation accuracy there.

    Only validation accuracies: the test accuracies are for the comparison of searches. Looking up
    is free, and counted: see :attr:`lookups`. (Worker processes have copies that count for
    themselves.)

    Args:
        table: from :func:`nasworkbench.tables.load`.
        average: reward with the mean over the table's seeds. Otherwise with the accuracy of one
            training, chosen by the ``seed`` of the call: as noisy as a training of one's own.
        missing: what follows if an architecture is not in the table: ``error``, a
            :class:`TableError`; ``fail``, an evaluation that failed, as of a child that diverged.

    Raises:
        SettingsError: no table, or another word for ``missing``.
    """

    def __init__(self, table: Table, average: bool = True, missing: str = "error") -> None:
        self.table = instance("table", table, Table, 'tables.load("cells")')
        self.average = flag("average", average)
        self.missing = choice("missing", missing, ("error", "fail"))
        self.lookups = 0  #: calls so far, the same architecture counted again

    def __call__(self, genotype: Any, seed: int = 0) -> Evaluation:
        """The evaluation of a genotype.

        Raises:
            TableError: it is not in the table, and ``missing`` is ``error``.
        """
        self.lookups += 1
        key = genotype.key
        if self.missing == "fail" and key not in self.table:
            cause = f"not in the table {self.table.name!r}"
            return Evaluation(None, status="error", cause=cause, seconds=0.0)
        row = self.table.row(key)
        parameters = self.table.columns.get("parameters")
        return Evaluation(
            reward=self.reward(row, seed),
            parameters=None if parameters is None else int(parameters[row]),
            seconds=0.0,
        )

    def reward(self, row: int, seed: int = 0) -> float:
        """The reward of a row of the table."""
        if self.average:
            return float(self.table.mean_validation[row])
        return float(self.table.validation[row, seed % self.table.seeds])

    def require_space(self, space: Space) -> None:
        """Check that the table holds the architectures of this space.

        Raises:
            TableError: it is of another space.
        """
        table = self.table
        if table.space != space:
            raise TableError(
                f"the table {table.name!r} is of another space: {table.space!r}, not {space!r}. "
                "Search table.space, or count what is not in the table as failed: "
                "TableEvaluator(table, missing='fail')"
            )

    def settings(self) -> dict[str, Any]:
        return {
            "table": self.table.name,
            "digest": self.table.digest,
            "average": self.average,
            "missing": self.missing,
        }

"""What a table says about a search that read its rewards there, once the search is over.

The search has seen validation accuracies only; the test accuracies are read here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..tables import Table


@dataclass(frozen=True)
class Best:
    """A search's best architecture by reward, as the table knows it."""

    key: str
    validation: float  #: mean accuracy over the table's seeds
    test: float  #: mean accuracy over the table's seeds
    rank: int  #: by mean validation accuracy; 1 is the table's best
    validation_regret: float  #: the table's best mean validation accuracy minus this one's
    test_regret: float  #: the table's best mean test accuracy minus this one's


@dataclass(frozen=True)
class TableResult:
    """What :func:`table_result` says."""

    table: str
    architectures: int  #: in the table
    seen: int  #: different ones of them that the search has looked up
    repeated: int  #: proposals of an architecture that had been proposed before
    missing: int  #: different proposed architectures that are not in the table
    best: Best | None  #: None if no trial has ended well

    @property
    def share(self) -> float:
        """The part of the table that the search has seen, from 0 to 1."""
        return self.seen / self.architectures

    @property
    def sentence(self) -> str:
        """The result in words."""
        if self.best is None:
            return f"No verdict: the table {self.table!r} knows no architecture of this search yet."
        best = self.best
        validation = f", {100 * best.validation_regret:.2f} points behind the best"
        test = f"{100 * best.test_regret:.2f} points behind the best"
        return (
            f"In the table {self.table!r} the best of the {self.seen:,} architectures that this "
            f"search looked up is number {best.rank:,} of {self.architectures:,} by validation "
            f"accuracy{validation if best.validation_regret else ''}; its test accuracy is "
            f"{test if best.test_regret else 'the best of all'}."
        )


def table_result(table: Table, keys: Collection[str], best: str | None) -> TableResult:
    """How good a search was, by the table that its rewards are from. Reads the test accuracies.

    Args:
        table: what the search's :class:`nasworkbench.TableEvaluator` read.
        keys: of all its trials: ``Search.trials()["key"]``.
        best: the key of its best trial, ``Search.best()``; None if no trial has ended well.

    Raises:
        TableError: the test accuracies cannot be read.
    """
    proposed = set(keys)
    seen = sum(key in table for key in proposed)
    result = None
    if best is not None:
        row, validation, test = table.row(best), table.mean_validation, table.mean_test
        result = Best(
            key=best,
            validation=float(validation[row]),
            test=float(test[row]),
            rank=int(table.ranks[row]),
            validation_regret=float(validation.max() - validation[row]),
            test_regret=float(test.max() - test[row]),
        )
    return TableResult(
        table=table.name,
        architectures=len(table),
        seen=seen,
        repeated=len(keys) - len(proposed),
        missing=len(proposed) - seen,
        best=result,
    )

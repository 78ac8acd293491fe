"""A table: every architecture of a space, really trained once, so that a reward costs nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from ..errors import TableError
from ..spaces import Space

if TYPE_CHECKING:
    import pandas

Numbers = NDArray[Any]

#: So many rows, evenly spread, are decoded to see whether strings and keys belong together.
SAMPLED = 50


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Validation and test accuracies of many architectures, by canonical key.

    A search sees the validation accuracies; the test accuracies are read when :attr:`test` is first
    used, to judge by.

    Args:
        name: of the table.
        space: whose strings decode to the architectures.
        tokens: (n, decisions), a string of each architecture; whole numbers.
        keys: n canonical keys.
        validation: (n, seeds), accuracies from 0 to 1.
        read_test: called once, gives (n, seeds). A function that can be pickled, if the table is
            to be sent to other processes.
        columns: further measurements by name: (n,) or (n, seeds), for example ``parameters``,
            ``mult_adds`` and ``seconds``.
        info: where the numbers come from, ready for JSON.

    Raises:
        TableError: arrays whose shapes do not fit or that hold no numbers, duplicate keys,
            accuracies that are not from 0 to 1, or strings of another space.
    """

    name: str
    space: Space
    tokens: Numbers
    keys: tuple[str, ...]
    validation: Numbers
    read_test: Callable[[], Numbers]
    columns: Mapping[str, Numbers] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.keys)
        if n == 0:
            raise TableError(f"table {self.name}: it has no rows")
        self._check_numbers("tokens", self.tokens, kinds="iu")
        if self.tokens.shape != (n, len(self.space.decisions)):
            raise TableError(
                f"table {self.name}: its strings are of another space: {self.tokens.shape} tokens "
                f"for {n} keys and {len(self.space.decisions)} decisions"
            )
        choices = numpy.array([decision.choices for decision in self.space.decisions])
        wrong = numpy.flatnonzero(((self.tokens < 0) | (self.tokens >= choices)).any(1))
        if len(wrong):
            raise TableError(
                f"table {self.name}, row {wrong[0]}: the tokens {self.tokens[wrong[0]].tolist()} "
                f"are no string of {self.space!r}"
            )
        if len(self._rows) != n:
            duplicate = next(key for place, key in enumerate(self.keys) if self._rows[key] != place)
            raise TableError(f"table {self.name}: the key {duplicate} stands there twice")
        for row in range(0, n, 1 + (n - 1) // SAMPLED):
            decoded = self.genotype(row).key
            if decoded != self.keys[row]:
                raise TableError(
                    f"table {self.name}, row {row}: its tokens decode to the key {decoded}, and it "
                    f"says {self.keys[row]}. The table is of another space than {self.space!r}"
                )
        self._check_accuracies("validation", self.validation)
        for name, column in self.columns.items():
            self._check_numbers(name, column)
            if name in ("key", "validation", "rank", "test"):
                raise TableError(f"table {self.name}: a further column cannot be called {name}")
            if column.ndim not in (1, 2) or len(column) != n:
                raise TableError(
                    f"table {self.name}: {name} must have {n} rows, one for each key, got the "
                    f"shape {column.shape}"
                )

    def _check_numbers(self, name: str, values: Numbers, kinds: str = "biuf") -> None:
        if not isinstance(values, numpy.ndarray) or values.dtype.kind not in kinds:
            found = getattr(values, "dtype", type(values).__name__)
            what = "numbers" if "f" in kinds else "whole numbers"
            raise TableError(
                f"table {self.name}: {name} must be a numpy array of {what}, got {found}"
            )

    def _check_accuracies(self, name: str, values: Numbers) -> None:
        self._check_numbers(name, values)
        seeds = values.shape[1] if values.ndim == 2 else 0
        if values.ndim != 2 or len(values) != len(self.keys) or seeds < 1:
            raise TableError(
                f"table {self.name}: {name} must have a row for each of the {len(self.keys)} keys "
                f"and a column for each seed, got the shape {values.shape}"
            )
        wrong = numpy.flatnonzero(~((values >= 0) & (values <= 1)).all(1))  # NaN is wrong too
        if len(wrong):
            raise TableError(
                f"table {self.name}, key {self.keys[wrong[0]]}: the {name} accuracies "
                f"{values[wrong[0]].tolist()} must be numbers from 0 to 1"
            )

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.keys)}

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def row(self, key: str) -> int:
        """The row of an architecture, from 0.

        Raises:
            TableError: it is not in the table.
        """
        try:
            return self._rows[key]
        except (KeyError, TypeError):
            if not isinstance(key, str):
                raise TableError(
                    f"a row is found by a key, a text such as {self.keys[0]!r} (genotype.key); got "
                    f"{type(key).__name__}"
                ) from None
            raise TableError(
                f"the architecture with key {key!r} is not among the {len(self):,} of the table "
                f"{self.name!r}, which are of {self.space!r}. Search that space, or let what is "
                "not in the table fail: TableEvaluator(table, missing='fail')"
            ) from None

    def genotype(self, row: int) -> Any:
        """The architecture of a row, as the space decodes it."""
        return self.space.decode(self.tokens[row].tolist())

    @property
    def seeds(self) -> int:
        """Trainings of each architecture."""
        return self.validation.shape[1]

    @property
    def complete(self) -> bool:
        """Whether every architecture of the space is in it, as its source says."""
        return bool(self.info.get("complete", False))

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the keys and the validation accuracies."""
        found = hashlib.sha256("".join(self.keys).encode())
        found.update(numpy.ascontiguousarray(self.validation, dtype="<f8").tobytes())
        return found.hexdigest()[:12]

    @cached_property
    def test(self) -> Numbers:
        """(n, seeds): test accuracies. A search never touches them.

        Raises:
            TableError: as for the validation accuracies, or another number of seeds.
        """
        values = self.read_test()
        self._check_accuracies("test", values)
        if values.shape != self.validation.shape:
            raise TableError(
                f"table {self.name}: test has {values.shape[1]} seeds, validation {self.seeds}"
            )
        return values

    @cached_property
    def mean_validation(self) -> Numbers:
        """(n,): over the seeds; what a search is rewarded with."""
        return _mean(self.validation)

    @cached_property
    def mean_test(self) -> Numbers:
        """(n,): over the seeds; what a search is judged by."""
        return _mean(self.test)

    @cached_property
    def ranks(self) -> Numbers:
        """(n,): by mean validation accuracy; 1 is the best, and equals share the best rank."""
        ordered = numpy.sort(-self.mean_validation)
        return 1 + numpy.searchsorted(ordered, -self.mean_validation)

    def best(self, count: int = 1) -> list[int]:
        """The rows of the highest mean validation accuracies, best first."""
        return numpy.argsort(-self.mean_validation, kind="stable")[:count].tolist()

    def frame(self, test: bool = False) -> pandas.DataFrame:
        """A row an architecture: key, validation accuracy (mean over the seeds), rank, columns.

        Args:
            test: reveal the mean test accuracy too.

        Raises:
            TableError: faulty test accuracies, if they are asked for.
        """
        import pandas

        found: dict[str, Sequence[Any] | Numbers] = {
            "key": self.keys,
            "validation": self.mean_validation,
            "rank": self.ranks,
        }
        for name, column in self.columns.items():
            found[name] = column if column.ndim == 1 else column.mean(1)
        if test:
            found["test"] = self.mean_test
        return pandas.DataFrame(found)

    def __repr__(self) -> str:
        lasts = "s" if self.seeds > 1 else ""
        share = "" if self.complete else " (not all of its space)"
        return f"Table {self.name!r}: {len(self):,} architectures{share}, {self.seeds} seed{lasts}"


def _mean(values: Numbers) -> Numbers:
    """Over the seeds, rounded: the same accuracies in another order have the very same mean."""
    return values.mean(1, dtype=numpy.float64).round(12)

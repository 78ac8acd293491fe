"""A table: every architecture of a space, trained in advance, so that a reward costs nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from ..checks import optional, whole
from ..errors import TableError
from ..spaces import Space

if TYPE_CHECKING:
    import pandas

Numbers = NDArray[Any]

#: So many rows, evenly spread, are decoded to see whether tokens and keys belong together; fewer of
#: a space of more than ten decisions, whose keys take longer.
SAMPLED = 50

#: Longest name, in characters (this project's choice).
LONGEST_NAME = 200


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Validation and test accuracies of many architectures, by canonical key.

    A search sees the validation accuracies; the test accuracies, for the comparison of searches,
    are read when :attr:`test` is first used.

    Args:
        name: of the table.
        space: decodes the token sequences to the architectures.
        tokens: (n, decisions), a token sequence of each architecture; whole numbers.
        keys: n canonical keys.
        validation: (n, seeds), accuracies from 0 to 1.
        read_test: called once, gives (n, seeds). A function that can be pickled, if the table is
            to be sent to other processes.
        columns: further measurements by name: (n,) or (n, seeds), for example ``parameters``,
            ``mult_adds`` and ``seconds``.
        info: where the numbers come from, ready for JSON; ``complete`` says whether every
            architecture of the space is in the table.

    Raises:
        TableError: arrays whose shapes do not fit or that do not hold numbers, duplicate keys,
            accuracies that are not from 0 to 1, or token sequences of another space.
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
        for name in (self.name, *self.columns, *self.keys):
            if not isinstance(name, str) or not name.isprintable() or len(name) > LONGEST_NAME:
                raise self._error(
                    f"its name, columns and keys must be printable texts of up to {LONGEST_NAME} "
                    f"characters, got {name!r:.80}"
                )
        architectures = self.info.get("architectures")
        optional(whole, "its architectures", architectures, len(self.keys), error=TableError)
        self._check_tokens()
        self._check_accuracies("validation", self.validation)
        for name, column in self.columns.items():
            self._check_numbers(name, column)

    def _check_tokens(self) -> None:
        """The token sequences are of the space, and the keys are theirs, each once."""
        self._check_numbers("tokens", self.tokens, kinds="iu")
        choices = numpy.array([decision.choices for decision in self.space.decisions])
        if self.tokens.shape[1:] != choices.shape:
            raise self._error(
                f"its tokens are of another space: their shape is {self.tokens.shape}, and "
                f"{self.space!r} has {len(choices)} decisions"
            )
        wrong = numpy.flatnonzero(((self.tokens < 0) | (self.tokens >= choices)).any(1))
        if len(wrong):
            tokens = self.tokens[wrong[0]].tolist()
            raise self._error(f"row {wrong[0]}: {tokens} is not a token sequence of {self.space!r}")
        ((key, count),) = Counter(self.keys).most_common(1)
        if count > 1:
            raise self._error(f"the key {key} occurs {count} times; keys must differ")
        sampled = -(-10 * SAMPLED // max(10, len(choices)))
        for row in range(0, len(self), 1 + (len(self) - 1) // sampled):
            decoded = self.genotype(row).key
            if decoded != self.keys[row]:
                raise self._error(
                    f"row {row}: its tokens decode to the key {decoded}, but its key is "
                    f"{self.keys[row]}. The table is of another space than {self.space!r}"
                )

    def _check_accuracies(self, name: str, values: Numbers) -> None:
        self._check_numbers(name, values)
        if values.ndim != 2 or values.shape[1] < 1:
            shape = values.shape
            raise self._error(f"{name} must have a column for each seed, got the shape {shape}")
        wrong = numpy.flatnonzero(~((values >= 0) & (values <= 1)).all(1))  # NaN is wrong too
        if len(wrong):
            raise self._error(
                f"key {self.keys[wrong[0]]}: the {name} accuracies must be numbers from 0 to 1, "
                f"got {values[wrong[0]].tolist()}"
            )

    def _check_numbers(self, name: str, values: Numbers, kinds: str = "biuf") -> None:
        """An array of numbers with a row for each key."""
        if not isinstance(values, numpy.ndarray) or values.dtype.kind not in kinds:
            numbers = "numbers" if "f" in kinds else "whole numbers"
            kind = getattr(values, "dtype", type(values).__name__)
            raise self._error(f"{name} must be a numpy array of {numbers}, got {kind}")
        if values.shape[:1] != (len(self.keys),) or not self.keys:
            raise self._error(
                f"{name} must have one or more rows, one for each of the {len(self.keys)} keys, "
                f"got the shape {values.shape}"
            )

    def _error(self, fault: str) -> TableError:
        return TableError(f"table {self.name}: {fault}")

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
        if not isinstance(key, str):
            kind = type(key).__name__
            raise TableError(f"a row's key is a text (genotype.key), {self.keys[0]!r}; got {kind}")
        if key not in self._rows:
            raise TableError(
                f"the architecture with key {key!r} is not among the {len(self):,} of the table "
                f"{self.name!r}, which are of {self.space!r}. Search that space, or count what is "
                "not in the table as failed: TableEvaluator(table, missing='fail')"
            )
        return self._rows[key]

    def genotype(self, row: int) -> Any:
        """The architecture of a row, as the space decodes it."""
        return self.space.decode(self.tokens[row].tolist())

    @property
    def seeds(self) -> int:
        """Trainings of each architecture."""
        return self.validation.shape[1]

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the keys and the validation accuracies."""
        validation = numpy.ascontiguousarray(self.validation, dtype="<f8").tobytes()
        return hashlib.sha256("".join(self.keys).encode() + validation).hexdigest()[:12]

    @cached_property
    def test(self) -> Numbers:
        """(n, seeds): test accuracies. A search never touches them.

        Raises:
            TableError: as for the validation accuracies, or another number of seeds.
        """
        values = self.read_test()
        self._check_accuracies("test", values)
        if values.shape != self.validation.shape:
            raise self._error(f"test has {values.shape[1]} seeds, validation {self.seeds}")
        return values

    @cached_property
    def mean_validation(self) -> Numbers:
        """(n,): over the seeds; what a search is rewarded with."""
        return _mean(self.validation)

    @cached_property
    def mean_test(self) -> Numbers:
        """(n,): over the seeds; what searches are compared by."""
        return _mean(self.test)

    @cached_property
    def ranks(self) -> Numbers:
        """(n,): by mean validation accuracy; 1 is the best, and equals share the best rank."""
        means = self.mean_validation
        return 1 + len(means) - numpy.searchsorted(numpy.sort(means), means, side="right")

    def best(self, count: int = 1) -> list[int]:
        """The rows of the highest mean validation accuracies, best first."""
        return numpy.argsort(-self.mean_validation, kind="stable")[:count].tolist()

    def frame(self, test: bool = False) -> pandas.DataFrame:
        """One row per architecture: key, validation accuracy (mean over the seeds), rank, columns.

        Args:
            test: add the mean test accuracy.

        Raises:
            TableError: faulty test accuracies, if they are asked for.
        """
        import pandas

        means = {n: c if c.ndim == 1 else c.mean(1) for n, c in self.columns.items()}
        frame: dict[str, Any] = {
            "key": self.keys,
            "validation": self.mean_validation,
            "rank": self.ranks,
        }
        return pandas.DataFrame(frame | means | ({"test": self.mean_test} if test else {}))

    def __repr__(self) -> str:
        plural = "s" if self.seeds > 1 else ""
        share = "" if self.info.get("complete") else " (not all of its space)"
        return f"Table {self.name!r}: {len(self):,} architectures{share}, {self.seeds} seed{plural}"


def _mean(values: Numbers) -> Numbers:
    """Over the seeds, rounded: the same accuracies in another order have the very same mean."""
    return values.mean(1, dtype=numpy.float64).round(12)

"""What every search space is: decisions in order, and what a string of tokens decodes to.

A space turns a string of tokens (one whole number per decision) into a genotype and back. A
controller sees only ``decisions``, how many there are and how many choices each has, so that the
same controller searches any space.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy

from ..errors import SpaceError, listed

#: Spaces with more strings are not enumerated: it would take minutes and gigabytes.
ENUMERABLE = 1_000_000

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Decision:
    """One softmax of the controller: what is decided, where, and between what."""

    name: str  #: e.g. ``normal block 2 left operation``
    cell: str  #: ``normal`` or ``reduction``; ``both`` if one cell serves as both; or a network
    block: int  #: from 0
    kind: str  #: ``hidden_state``, ``operation``, ``combination`` or ``wiring``
    options: tuple[str, ...]  #: what each token stands for

    @property
    def choices(self) -> int:
        """Number of tokens to choose from."""
        return len(self.options)


@dataclass(frozen=True)
class UniqueArchitectures:
    """The different architectures of a space: strings with one key are one class.

    Uniform over *strings* is not uniform over *classes*: an asymmetric cell has many strings, a
    symmetric one few, and random search must say which of the two it draws.
    """

    keys: tuple[str, ...]
    tokens: tuple[Tokens, ...]  #: of each class its first string, in the order of the decisions
    token_sequences: tuple[int, ...]  #: how many strings each class has

    def __len__(self) -> int:
        return len(self.keys)


class Space(ABC):
    """A search space.

    Two spaces are the same if their classes and :meth:`settings` are.
    """

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions in the order in which a controller makes them."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> Any:
        """The genotype that a string of tokens stands for.

        Raises:
            SpaceError: as :meth:`check`.
        """

    @abstractmethod
    def encode(self, genotype: Any) -> Tokens:
        """The string of tokens that decodes to this genotype.

        Raises:
            SpaceError: the genotype is not in this space; the message says where.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The arguments that build this space again, ready for JSON."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and (type(self), self.settings()) == (
            type(other),
            other.settings(),
        )

    def __hash__(self) -> int:
        return hash((type(self), repr(self.settings())))

    @cached_property
    def size(self) -> int:
        """Exact number of token strings (many strings are one cell: see :attr:`unique`)."""
        return math.prod(decision.choices for decision in self.decisions)

    def sample_tokens(self, generator: numpy.random.Generator | int) -> Tokens:
        """Tokens drawn uniformly, decision by decision (the paper's random search)."""
        generator = numpy.random.default_rng(generator)
        return tuple(generator.integers([d.choices for d in self.decisions]).tolist())

    def sample(self, generator: numpy.random.Generator | int) -> Any:
        """A genotype drawn uniformly over token strings; ``generator`` may be a seed."""
        return self.decode(self.sample_tokens(generator))

    def check(self, tokens: Sequence[int]) -> Tokens:
        """The tokens as plain whole numbers, if they are a string of this space.

        Raises:
            SpaceError: a wrong number of tokens, or a token that is no choice of its decision.
        """
        count = len(tokens) if hasattr(tokens, "__len__") else repr(tokens)
        if count != len(self.decisions):
            raise SpaceError(
                f"this space takes one token per decision, {len(self.decisions)}; got {count}"
            )
        numbers = []
        for decision, token in zip(self.decisions, tokens, strict=True):
            try:
                number = operator.index(token)  # numpy's and torch's whole numbers too
            except TypeError:
                number = -1
            if not 0 <= number < decision.choices:
                raise SpaceError(
                    f"{decision.name}: token {token!r} is out of range; it has the choices "
                    f"0 to {decision.choices - 1} ({listed(decision.options)})"
                )
            numbers.append(number)
        return tuple(numbers)

    def token_sequences(self) -> Iterator[Tokens]:
        """Every string of tokens, the last decision changing fastest.

        Raises:
            SpaceError: more than a million of them.
        """
        if self.size > ENUMERABLE:
            raise SpaceError(
                f"{self!r} is too large to enumerate (more than {ENUMERABLE:,} strings): take "
                "fewer blocks or operations, or sample"
            )
        return itertools.product(*(range(decision.choices) for decision in self.decisions))

    @cached_property
    def unique(self) -> UniqueArchitectures:
        """The different architectures, found by the key of every string. That takes a second for
        20,000 strings, the first time.

        Raises:
            SpaceError: more than a million strings.
        """
        first: dict[str, Tokens] = {}
        count: dict[str, int] = {}
        for tokens in self.token_sequences():
            key = self.decode(tokens).key
            first.setdefault(key, tokens)
            count[key] = count.get(key, 0) + 1
        return UniqueArchitectures(tuple(first), tuple(first.values()), tuple(count.values()))

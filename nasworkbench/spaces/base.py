"""What every search space is: decisions in order, and what a token sequence decodes to.

A space turns a token sequence (one whole number per decision) into an architecture and back. A
controller sees only ``decisions``, how many there are and how many choices each has, so that the
same controller searches any space.
"""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy

from ..errors import SpaceError, listed
from ..genotype import Architecture, state_name

#: Spaces with more token sequences are not enumerated: it would take minutes and gigabytes.
ENUMERABLE = 1_000_000

Tokens = tuple[int, ...]
A = TypeVar("A", bound=Architecture)


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

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each token stands for, as readers know it: ``h[i-1]``, ``h[i]`` and ``block 0`` for
        the hidden states of a block; other options as the space names them."""
        inputs = self.choices - self.block  # a block reads the inputs and the blocks before it
        if self.kind != "hidden_state" or inputs < 1:
            return self.options
        return tuple(state_name(state, inputs) for state in range(self.choices))

    def token(self, option: str) -> int:
        """The token that stands for an option.

        Raises:
            SpaceError: no such option.
        """
        if option not in self.options:
            raise SpaceError(
                f"{self.name}: {option!r} is not in this space; it has {listed(self.options)}"
            )
        return self.options.index(option)


@dataclass(frozen=True)
class UniqueArchitectures:
    """The different architectures of a space: token sequences with one key are one architecture.

    Uniform over *token sequences* is not uniform over *unique architectures*: an asymmetric cell
    has many sequences, a symmetric one few, and random search must say which of the two it draws.
    """

    keys: tuple[str, ...]
    tokens: tuple[Tokens, ...]  #: the first sequence of each, in the order of the decisions
    token_sequences: tuple[int, ...]  #: how many sequences each has

    def __len__(self) -> int:
        return len(self.keys)


class Space(ABC, Generic[A]):
    """A search space of architectures of one kind, ``A``.

    Two spaces are the same if their classes and :meth:`settings` are.
    """

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions in the order in which a controller makes them."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> A:
        """The architecture that a token sequence stands for.

        Raises:
            SpaceError: as :meth:`check`.
        """

    @abstractmethod
    def encode(self, genotype: A) -> Tokens:
        """The token sequence that decodes to this architecture.

        Raises:
            SpaceError: the architecture is not in this space; the message says where.
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
        """Exact number of token sequences (many are one architecture: see :attr:`unique`)."""
        return math.prod(self.choices)

    @cached_property
    def choices(self) -> tuple[int, ...]:
        """Number of choices of each decision, in order."""
        return tuple(decision.choices for decision in self.decisions)

    @cached_property
    def open_decisions(self) -> list[list[int]]:
        """For each kind of decision the places of those that have a second choice."""
        kinds: dict[str, list[int]] = {}
        for place, decision in enumerate(self.decisions):
            if decision.choices > 1:
                kinds.setdefault(decision.kind, []).append(place)
        return list(kinds.values())

    def sample_tokens(self, generator: numpy.random.Generator | int) -> Tokens:
        """Tokens drawn uniformly, decision by decision (the paper's random search)."""
        generator = numpy.random.default_rng(generator)
        return tuple(generator.integers(self.choices).tolist())

    def sample(self, generator: numpy.random.Generator | int) -> A:
        """An architecture, uniform over token sequences; ``generator`` may be a seed."""
        return self.decode(self.sample_tokens(generator))

    def check(self, tokens: Sequence[int]) -> Tokens:
        """The tokens as plain whole numbers, if they are a token sequence of this space.

        Raises:
            SpaceError: a wrong number of tokens, or a token that is not a choice of its decision.
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

    def in_words(self, tokens: Sequence[int]) -> str:
        """What the first decisions, as many as there are tokens, have decided."""
        pairs = zip(self.decisions, tokens, strict=False)
        return "; ".join(f"{decision.name}: {decision.labels[token]}" for decision, token in pairs)

    def token_sequences(self) -> Iterator[Tokens]:
        """Every token sequence, the last decision changing fastest.

        Raises:
            SpaceError: more than a million of them.
        """
        if self.size > ENUMERABLE:
            raise SpaceError(
                f"{self!r} is too large to enumerate (more than {ENUMERABLE:,} token sequences): "
                "take fewer blocks or operations, or sample"
            )
        return itertools.product(*map(range, self.choices))

    @cached_property
    def unique(self) -> UniqueArchitectures:
        """The different architectures, found by the key of every token sequence. That takes a
        second for 20,000 sequences, the first time.

        Raises:
            SpaceError: more than a million token sequences.
        """
        first: dict[str, Tokens] = {}
        count: dict[str, int] = {}
        for tokens in self.token_sequences():
            key = self.decode(tokens).key
            first.setdefault(key, tokens)
            count[key] = count.get(key, 0) + 1
        return UniqueArchitectures(tuple(first), tuple(first.values()), tuple(count.values()))


def checked_names(what: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """One or more different names out of those that are known.

    Raises:
        SpaceError: none, an unknown one, or one that comes twice.
    """
    names = tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else (names,)
    wrong = [name for name in names if name not in known]
    if not names or wrong or len(set(names)) != len(names):
        raise SpaceError(
            f"{what} must be one or more different names out of {listed(known)}; got {list(names)}"
        )
    return names

"""Regularised evolution (Real et al., AAAI 2019): tournaments, and the oldest dies."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy

from ..checks import number, whole
from ..spaces import Space
from ..spaces.base import Tokens
from .base import Controller, Outcome, Proposal


def mutate(tokens: Tokens, space: Space, rng: numpy.random.Generator) -> Tokens:
    """The tokens with one decision changed to another of its choices.

    First a kind of decision is drawn (hidden state, operation, ...), all kinds equally likely, then
    one decision of that kind, then its new value. Without a decision to change nothing changes.
    """
    kinds = space.open_decisions
    if not kinds:
        return tokens
    places = kinds[rng.integers(len(kinds))]
    place = places[rng.integers(len(places))]
    other = int(rng.integers(space.choices[place] - 1))
    other += other >= tokens[place]  # any value but the present one
    return (*tokens[:place], other, *tokens[place + 1 :])


class RegularizedEvolution(Controller):
    """Mutates the best of a random sample of the population, which forgets its oldest member.

    Args:
        space: what to search.
        seed: of all random choices.
        population: members, P in the paper (100); so many proposals are random at the start.
        sample: members of a tournament, drawn with replacement, S in the paper (25).
        identity: probability that a child is an unchanged copy (0.05 in the paper).

    A mutation (:func:`mutate`) changes one hidden state or one operation, both kinds equally
    likely, to another value. The paper's space only adds; here the combination is a third kind
    (this project's choice). With many workers the population is what has been told so far.

    Raises:
        SettingsError: a setting out of range.
    """

    arguments = ("seed", "population", "sample", "identity")

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        population: int = 100,
        sample: int = 25,
        identity: float = 0.05,
    ) -> None:
        super().__init__(space, seed)
        self.population = whole("population", population)
        self.sample = whole("sample", sample)
        self.identity = number("identity", identity, 0.0, 1.0)
        self.members: deque[tuple[Tokens, float]] = deque(maxlen=self.population)

    def _draw(self, numbers: range) -> list[Proposal]:
        return [self.proposal(n, self._tokens(n, self.generator(n))) for n in numbers]

    def _tokens(self, number: int, rng: numpy.random.Generator) -> Tokens:
        if number < self.population or not self.members:
            return self.space.sample_tokens(rng)
        tournament = rng.integers(len(self.members), size=self.sample)
        parent, _ = max((self.members[i] for i in tournament), key=lambda member: member[1])
        return parent if rng.random() < self.identity else mutate(parent, self.space, rng)

    def _learn(self, outcomes: list[Outcome]) -> None:
        """The outcomes join the population in this order; the oldest members leave it."""
        self.members.extend((outcome.proposal.tokens, outcome.reward) for outcome in outcomes)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"members": list(self.members)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.members.clear()
        self.members.extend((tuple(tokens), reward) for tokens, reward in state["members"])

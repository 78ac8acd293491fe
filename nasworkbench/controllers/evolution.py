"""Regularised evolution (Real et al., AAAI 2019): tournaments, and the oldest dies."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy

from ..checks import number, whole
from ..spaces import Space
from .base import Controller, Outcome


class RegularizedEvolution(Controller):
    """Mutates the best of a random sample of the population, which forgets its oldest member.

    Args:
        space: what to search.
        seed: of all random choices.
        population: members, P in the paper (100); so many proposals are random at the start.
        sample: members of a tournament, drawn with replacement, S in the paper (25).
        identity: probability that a child is an unchanged copy (0.05 in the paper).

    A mutation changes one hidden state or one operation, both kinds equally likely, to another
    value. The paper's space only adds; here the combination is a third kind (this project's
    choice). With many workers the population is what has been told so far.
    """

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
        self.generator = numpy.random.default_rng(self.seed)
        self.members: deque[tuple[tuple[int, ...], float]] = deque(maxlen=self.population)
        self._mutable: dict[str, list[int]] = {}  # kind of decision -> places with a choice
        for place, decision in enumerate(space.decisions):
            if decision.choices > 1:
                self._mutable.setdefault(decision.kind, []).append(place)

    def _draw(self, count: int) -> Sequence[tuple[tuple[int, ...], tuple[float, ...]]]:
        drawn = []
        for place in range(self.asked, self.asked + count):
            random = place < self.population or not self.members
            drawn.append(
                (self.space.sample_tokens(self.generator) if random else self._child(), ())
            )
        return drawn

    def _child(self) -> tuple[int, ...]:
        tournament = self.generator.integers(len(self.members), size=self.sample)
        parent, _ = max((self.members[i] for i in tournament), key=lambda member: member[1])
        tokens = list(parent)
        if self._mutable and self.generator.random() >= self.identity:
            kinds = list(self._mutable)
            places = self._mutable[kinds[self.generator.integers(len(kinds))]]
            place = places[self.generator.integers(len(places))]
            other = self.generator.integers(self.space.decisions[place].choices - 1)
            tokens[place] = int(other + (other >= tokens[place]))  # any value but the present one
        return tuple(tokens)

    def _learn(self, outcomes: list[Outcome]) -> None:
        """The outcomes join the population in this order; the oldest members leave it."""
        self.members.extend((outcome.proposal.tokens, outcome.reward) for outcome in outcomes)

    def settings(self) -> dict[str, Any]:
        names = ("seed", "population", "sample", "identity")
        return {name: getattr(self, name) for name in names}

    def state_dict(self) -> dict[str, Any]:
        generator = json.dumps(self.generator.bit_generator.state)
        return {
            "progress": {"asked": self.asked, "generator": generator},
            "members": list(self.members),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked = state["progress"]["asked"]
        self.generator.bit_generator.state = json.loads(state["progress"]["generator"])
        self.members.clear()
        self.members.extend((tuple(tokens), reward) for tokens, reward in state["members"])

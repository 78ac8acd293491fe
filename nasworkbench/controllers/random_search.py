"""Random search: every decision uniform (NASNet paper, section 3). The baseline of all others."""

from __future__ import annotations

import numpy

from ..checks import choice
from ..spaces import Space
from ..spaces.base import Tokens
from .base import Controller, Outcome, Proposal

OVER = ("token_sequences", "architectures")


class RandomSearch(Controller):
    """Draws uniformly and learns nothing.

    Args:
        space: what to search.
        seed: of all draws.
        over: ``token_sequences`` (the paper's: a cell that many token sequences describe is drawn
            more often than another) or ``architectures`` (every unique architecture is drawn as
            often as another; the space must be small enough to be enumerated).

    Raises:
        SettingsError: another word for ``over``.
        SpaceError: ``architectures`` of a space with more than a million token sequences.
    """

    arguments = ("seed", "over")

    def __init__(self, space: Space, seed: int = 0, *, over: str = "token_sequences") -> None:
        super().__init__(space, seed)
        self.over = choice("over", over, OVER)
        self.architectures = space.unique.tokens if over == "architectures" else ()

    def _draw(self, numbers: range) -> list[Proposal]:
        return [self.proposal(n, self._tokens(self.generator(n))) for n in numbers]

    def _tokens(self, rng: numpy.random.Generator) -> Tokens:
        if self.over == "token_sequences":
            return self.space.sample_tokens(rng)
        return self.architectures[rng.integers(len(self.architectures))]

    def _learn(self, outcomes: list[Outcome]) -> None:
        """Rewards change nothing here."""

"""Random search: every decision uniform (NASNet paper, section 3). The baseline of all others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy

from ..checks import choice
from ..spaces import Space
from .base import Controller, Outcome

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
        SpaceError: ``architectures`` of a space with more than a million strings.
    """

    def __init__(self, space: Space, seed: int = 0, *, over: str = "token_sequences") -> None:
        super().__init__(space, seed)
        self.over = choice("over", over, OVER)
        self.architectures = space.unique.tokens if over == "architectures" else ()
        self.generator = numpy.random.default_rng(self.seed)

    def _draw(self, count: int) -> Sequence[tuple[tuple[int, ...], tuple[float, ...]]]:
        if self.over == "token_sequences":
            return [(self.space.sample_tokens(self.generator), ()) for _ in range(count)]
        drawn = self.generator.integers(len(self.architectures), size=count)
        return [(self.architectures[place], ()) for place in drawn]

    def _learn(self, outcomes: list[Outcome]) -> None:
        """Rewards change nothing here."""

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed, "over": self.over}

    def state_dict(self) -> dict[str, Any]:
        generator = json.dumps(self.generator.bit_generator.state)
        return {"progress": {"asked": self.asked, "generator": generator}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked = state["progress"]["asked"]
        self.generator.bit_generator.state = json.loads(state["progress"]["generator"])

"""Random search: every decision uniform (NASNet paper, section 3). The referee of all others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy

from ..spaces import Space
from .base import Controller, Outcome


class RandomSearch(Controller):
    """Draws token strings uniformly and learns nothing.

    Uniform over *strings*: a cell that many strings describe is drawn more often than another.
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__(space, seed)
        self.generator = numpy.random.default_rng(self.seed)

    def _draw(self, count: int) -> Sequence[tuple[tuple[int, ...], tuple[float, ...]]]:
        return [(self.space.sample_tokens(self.generator), ()) for _ in range(count)]

    def _learn(self, outcomes: list[Outcome]) -> None:
        """Rewards change nothing here."""

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def state_dict(self) -> dict[str, Any]:
        generator = json.dumps(self.generator.bit_generator.state)
        return {"progress": {"asked": self.asked, "generator": generator}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.asked = state["progress"]["asked"]
        self.generator.bit_generator.state = json.loads(state["progress"]["generator"])

"""What every controller is: it is asked for proposals and told their rewards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SettingsError, WorkbenchError
from ..spaces import CellSpace


@dataclass(frozen=True)
class Proposal:
    """One architecture that a controller wants to see evaluated.

    ``log_probs`` holds log P(token) of every decision *at the time of sampling*; it is empty for
    controllers without a policy. PPO's ratio needs it, so it travels with the proposal.
    """

    number: int  #: counts the proposals of one controller from 0
    tokens: tuple[int, ...]
    genotype: Any  #: what ``space.decode(tokens)`` gives
    log_probs: tuple[float, ...] = ()

    @property
    def log_prob(self) -> float:
        """log P of the whole string: the sum over its decisions."""
        return math.fsum(self.log_probs)


@dataclass(frozen=True)
class Outcome:
    """A proposal and its reward.

    Raises:
        WorkbenchError: a reward that is not a finite number.
    """

    proposal: Proposal
    reward: float

    def __post_init__(self) -> None:
        if not isinstance(self.reward, int | float) or not math.isfinite(self.reward):
            raise WorkbenchError(
                f"proposal {self.proposal.number}: a reward is a finite number, got "
                f"{self.reward!r}. A failed child is told as some low reward, or not at all"
            )


class Controller(ABC):
    """Ask for proposals, tell outcomes: late, in any order, any number at a time.

    Two controllers with the same settings that are asked and told the same make the same
    proposals; :meth:`state_dict` and :meth:`load_state_dict` carry that through a restart.
    """

    def __init__(self, space: CellSpace, seed: int) -> None:
        self.space = space
        self.seed = whole("seed", seed, least=0)
        self.asked = 0

    def ask(self, count: int = 1) -> list[Proposal]:
        """The next ``count`` proposals (any number from 1)."""
        drawn = self._draw(whole("count", count))
        proposals = []
        for tokens, log_probs in drawn:
            genotype = self.space.decode(tokens)
            proposals.append(Proposal(self.asked, tokens, genotype, log_probs))
            self.asked += 1
        return proposals

    @abstractmethod
    def _draw(self, count: int) -> Sequence[tuple[tuple[int, ...], tuple[float, ...]]]:
        """``count`` pairs of tokens and their log-probabilities."""

    @abstractmethod
    def tell(self, outcomes: Iterable[Outcome]) -> None:
        """Learn from evaluated proposals."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The arguments, without the space, that build this controller again; ready for JSON."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that changes while searching, as named sections of tensors and plain values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` of an equal controller gave."""

    #: What the last update measured (entropy, clip fraction, ...); None before the first.
    last_update: dict[str, float] | None = None

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({arguments})"


def whole(name: str, value: Any, least: int = 1) -> int:
    """``value`` if it is a whole number from ``least``, else a :class:`SettingsError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"{name} must be a whole number from {least}, got {value!r}")
    return value


def number(name: str, value: Any, least: float, most: float = math.inf) -> float:
    """``value`` if it is a number in [least, most], else a :class:`SettingsError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise SettingsError(f"{name} must be a number from {least} to {most}, got {value!r}")
    return float(value)

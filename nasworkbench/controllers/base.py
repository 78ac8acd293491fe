"""What every controller is: it is asked for proposals and told their rewards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..checks import whole
from ..errors import WorkbenchError
from ..spaces import Space


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

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = whole("seed", seed, least=0, most=2**63 - 1)  # what torch's generator takes
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

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        """Learn from evaluated proposals.

        Raises:
            WorkbenchError: a proposal that is not of this controller's space, or that lacks what
                the controller stored in its own proposals. Then none of the outcomes is taken.
        """
        outcomes = list(outcomes)
        for outcome in outcomes:
            try:
                self._check(outcome.proposal)
            except WorkbenchError as error:
                raise WorkbenchError(
                    f"proposal {outcome.proposal.number} is not one of this controller's: {error}. "
                    "Tell a controller only what it has proposed"
                ) from None
        self._learn(outcomes)

    def _check(self, proposal: Proposal) -> None:
        self.space.check(proposal.tokens)

    @abstractmethod
    def _learn(self, outcomes: list[Outcome]) -> None:
        """Take in outcomes whose proposals have been checked."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The arguments, without the space, that build this controller again; ready for JSON."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that changes while searching, as named sections of tensors and plain values.

        A copy: searching on does not change it.
        """

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` of an equal controller gave."""

    #: What the last update measured (entropy, clip fraction, ...); None before the first.
    last_update: dict[str, float] | None = None

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({arguments})"

"""What every controller is: it is asked for proposals and told their rewards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy

from ..checks import number, whole
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
    #: float16, one probability after another of all choices of all decisions, as they were when the
    #: tokens were drawn; :func:`~nasworkbench.controllers.padded` gives them a row per decision.
    #: None for controllers without a policy.
    distributions: numpy.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def log_prob(self) -> float:
        """log P of the whole token sequence: the sum over its decisions."""
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
        what = f"proposal {self.proposal.number}: the reward (a low one for a failed child)"
        object.__setattr__(self, "reward", number(what, self.reward, error=WorkbenchError))


class Controller(ABC):
    """Ask for proposals, tell outcomes: late, in any order, any number at a time.

    The draw of proposal n follows from the seed, from n and from what was learnt, and from nothing
    else. So two controllers with the same settings that are asked and told the same make the same
    proposals, one by one or many at once; :meth:`state_dict` and :meth:`load_state_dict` carry that
    through a restart.
    """

    #: What the last update used and measured (``numbers``, ``advantages``, ``entropy``, ...), ready
    #: for JSON; None before the first, and for controllers that make no updates.
    last_update: dict[str, Any] | None = None

    #: Updates made so far.
    updates = 0

    #: Names of the arguments, without the space; each is an attribute too.
    arguments: tuple[str, ...] = ("seed",)

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = whole("seed", seed, least=0, most=2**63 - 1)  # torch's generator takes these
        self.asked = 0
        self._generator = numpy.random.Generator(numpy.random.Philox(key=self.seed))
        self._start = self._generator.bit_generator.state

    def generator(self, number: int, tries: int = 0) -> numpy.random.Generator:
        """The random numbers of a proposal, and further ones after so many tries.

        Philox makes them from a key and a counter; streams of different numbers or tries have no
        counter in common. It is one generator that is set anew, six times as fast as making one:
        what it gave before has ended.
        """
        self._start["state"]["counter"][2:] = tries, number
        self._generator.bit_generator.state = self._start
        return self._generator

    def proposal(self, number: int, tokens: Sequence[int], *drawn: Any) -> Proposal:
        """A proposal of these tokens, decoded; ``drawn`` are its other fields."""
        return Proposal(number, tuple(tokens), self.space.decode(tokens), *drawn)

    def ask(self, count: int = 1) -> list[Proposal]:
        """The next ``count`` proposals (any number from 1)."""
        numbers = range(self.asked, self.asked + whole("count", count))
        proposals = self._draw(numbers)
        self.asked = numbers.stop
        return proposals

    @abstractmethod
    def _draw(self, numbers: range) -> list[Proposal]:
        """The proposals with these numbers, each from its own :meth:`generator`."""

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

    def settings(self) -> dict[str, Any]:
        """The arguments, without the space, that build this controller again; ready for JSON."""
        return {name: getattr(self, name) for name in self.arguments}

    def state_dict(self) -> dict[str, Any]:
        """All that changes while searching: nested dicts and lists of JSON values and tensors.

        A copy: searching on does not change it.
        """
        return {"asked": self.asked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` of an equal controller gave.

        Tuples may have become lists on the way.
        """
        self.asked = state["asked"]

    def proposed_since(self, proposals: Iterable[Proposal]) -> None:
        """These proposals were made after the state that was loaded had been saved.

        None of them is proposed again. What was told since then must be told again, in its order;
        then the controller goes on as if it had never been interrupted.
        """
        self.asked = max([self.asked, *(proposal.number + 1 for proposal in proposals)])

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({arguments})"

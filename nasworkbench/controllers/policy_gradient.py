"""What REINFORCE and PPO share: settings, sampling, the queue of told outcomes, baseline and state.

An update, from a batch of outcomes to new weights, is in ``reinforce.py`` and ``ppo.py``; the
network is in ``policy.py``.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from ..checks import flag, number, whole
from ..errors import SettingsError, WorkbenchError
from ..spaces import Space
from .base import Controller, Outcome, Proposal
from .policy import LSTMPolicy, one_thread, real_choices

#: A proposal whose architecture is known is drawn again, up to DRAWS batches: PATIENCE of them at
#: once, as the policy draws them, then hotter and hotter ones, at last nearly uniform ones.
PATIENCE, HEATING, DRAWS = 3, 1.5, 20


class PolicyGradient(Controller):
    """A controller that samples from a policy and updates it every ``batch_size`` outcomes, in the
    order in which they are told.

    Args:
        space: what to search.
        seed: of the initial weights and of all samples.
        learning_rate: 0.00035 in the paper (A.2).
        batch_size: architectures per update, 20 in the paper (A.2).
        entropy_weight: 0.00001 in the paper (A.2).
        baseline_decay: weight of the old value in the moving average of rewards, 0.95 in the
            paper (A.2).
        whiten_advantages: subtract the batch's mean advantage and divide by its standard
            deviation. Not in the paper.
        hidden: LSTM units, 100 in the paper (A.2).
        no_repeats: propose no architecture twice: a known one is drawn again, up to :data:`DRAWS`
            batches. Not in the paper. The samples then come from the policy *given*
            that they are new, which the update does not know of: the gradient is a little biased,
            and a policy that has converged goes on looking around its favourite.
        policy: instead of an :class:`LSTMPolicy` with ``hidden`` units, a module that has its
            ``choices`` and the methods ``draw``, ``evaluate`` and ``log_distribution`` as they are
            there. :meth:`settings` names its class and cannot build it: resume such a search by
            passing the controller.

    The optimiser is Adam, which the paper does not name: this project's choice.

    Raises:
        SettingsError: a setting out of range, or a policy of other decisions than the space's.
    """

    arguments: tuple[str, ...] = (
        "seed", "learning_rate", "batch_size", "entropy_weight", "baseline_decay",
        "whiten_advantages", "hidden", "no_repeats",
    )  # fmt: skip
    policy: Any  #: a torch.nn.Module with the ``choices`` and methods of :class:`LSTMPolicy`

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        learning_rate: float = 0.00035,
        batch_size: int = 20,
        entropy_weight: float = 0.00001,
        baseline_decay: float = 0.95,
        whiten_advantages: bool = False,
        hidden: int = 100,
        no_repeats: bool = False,
        policy: nn.Module | None = None,
    ) -> None:
        super().__init__(space, seed)
        self.learning_rate = number("learning_rate", learning_rate, 0.0)
        self.batch_size = whole("batch_size", batch_size)
        self.entropy_weight = number("entropy_weight", entropy_weight, 0.0)
        self.baseline_decay = number("baseline_decay", baseline_decay, 0.0, 1.0)
        self.whiten_advantages = flag("whiten_advantages", whiten_advantages)
        self.hidden = whole("hidden", hidden)
        self.no_repeats = flag("no_repeats", no_repeats)
        self._passed = policy is not None
        if policy is None:
            generator = torch.Generator().manual_seed(self.seed)
            policy = LSTMPolicy(space.choices, self.hidden, generator)
        choices = getattr(policy, "choices", None)
        if choices != space.choices:
            raise SettingsError(
                f"policy must be a torch.nn.Module with the choices of the {len(space.choices)} "
                f"decisions of this space, got {type(policy).__name__} with {choices!r:.80}. Pass "
                "the controller to resume: Search.resume(directory, controller=...)"
            )
        self.policy = policy
        self.weights = list(self.policy.parameters())
        self.optimizer = torch.optim.Adam(self.weights, lr=self.learning_rate, fused=True)
        self.baseline: float | None = None
        self.waiting: list[Outcome] = []  # told, and not yet part of an update
        self.known: dict[str, None] = {}  # keys of what was proposed, if ``no_repeats``

    def _draw(self, numbers: range) -> list[Proposal]:
        proposals = [self.proposal(*row) for row in self._sample(numbers)]
        return self._without_repeats(proposals) if self.no_repeats else proposals

    def _sample(self, numbers: Sequence[int], tries: int = 0) -> Iterable[tuple[Any, ...]]:
        """The fields of the proposals that are drawn for each of these numbers in one try."""
        count = (1, PATIENCE * self.batch_size, self.batch_size)[min(tries, 2)]
        heat = HEATING ** max(0, tries - 1)
        real = real_choices(self.policy.choices)  # (T, C)
        shape = (count, *real.shape)
        uniform = [self.generator(n, tries).random(shape, numpy.float32) for n in numbers]
        with one_thread(), numpy.errstate(under="ignore"):
            *drawn, log_p = self.policy.draw(torch.from_numpy(numpy.concatenate(uniform)), heat)
            distributions = numpy.exp(log_p.numpy())[:, real].astype(numpy.float16)
        tokens, log_probs = (map(tuple, column.tolist()) for column in drawn)
        places = numpy.repeat(numbers, count).tolist()
        rows = zip(places, tokens, log_probs, distributions, strict=True)
        return {row[:2]: row for row in rows}.values()  # the same tokens once

    def _without_repeats(self, proposals: list[Proposal]) -> list[Proposal]:
        """Of each proposal the first draw whose architecture is not known; the proposal itself
        where the space is all but exhausted."""
        keys = [proposal.genotype.key for proposal in proposals]
        repeated = [p.number for i, p in enumerate(proposals)
                    if keys[i] in self.known or keys[i] in keys[:i]]  # fmt: skip
        drawn: dict[tuple[int, int], list[tuple[Any, ...]]] = {}  # by number and tries

        def further(number: int) -> Iterator[Proposal]:
            for tries in range(1, DRAWS - PATIENCE + 1):
                if (number, tries) not in drawn:  # draw for those that will need it in one batch
                    together = [number, *(n for n in repeated if n > number)]
                    for row in self._sample(together, tries):
                        drawn.setdefault((row[0], tries), []).append(row)
                yield from (self.proposal(*row) for row in drawn[number, tries])

        new = []
        for proposal in proposals:
            draws = chain([proposal], further(proposal.number))
            new.append(next((d for d in draws if d.genotype.key not in self.known), proposal))
            self.known[new[-1].genotype.key] = None
        return new

    def _check(self, proposal: Proposal) -> None:
        super()._check(proposal)
        stored, steps = proposal.log_probs, len(proposal.tokens)
        if len(stored) != steps or not all(map(math.isfinite, stored)):
            raise WorkbenchError(
                f"it has {len(stored)} stored log-probabilities for {steps} tokens, or some that "
                "are not finite"
            )

    def _learn(self, outcomes: list[Outcome]) -> None:
        """Queue the outcomes; every ``batch_size`` of them make one update of the policy."""
        for outcome in outcomes:
            self.waiting.append(outcome)
            if len(self.waiting) == self.batch_size:
                batch, self.waiting = self.waiting, []
                self._update(batch)

    def _update(self, batch: list[Outcome]) -> None:
        """One update. If a number overflows in it, as the squares of rewards of 1e30 do, nothing is
        learnt from this batch, and ``last_update["cause"]`` says so."""
        before, numbers = self.state_dict(), [o.proposal.number for o in batch]
        with one_thread(), torch.enable_grad():
            tokens = torch.tensor([o.proposal.tokens for o in batch])
            old_log_probs = torch.tensor([o.proposal.log_probs for o in batch])
            rewards = torch.tensor([float(o.reward) for o in batch])
            expected = self.expected(rewards)
            measured = self.update(tokens, old_log_probs, rewards)
        self.last_update = {
            "numbers": numbers,
            "reward": rewards.mean().item(),
            "baseline_before": expected,
            "baseline": self.baseline,
            **measured,
        }
        if not _is_finite(self._learnt()):
            largest = max((o.reward for o in batch), key=abs)
            cause = f"taken back: a number overflowed (a reward was {largest:g})"
            self.load_state_dict(before)
            self.last_update = {"numbers": numbers, "cause": cause}
        self.updates += 1

    @abstractmethod
    def update(self, tokens: Tensor, old_log_probs: Tensor, rewards: Tensor) -> dict[str, Any]:
        """One update of the policy.

        Args:
            tokens: (B, T).
            old_log_probs: (B, T), log P of each token when it was sampled.
            rewards: (B).

        Returns:
            What is worth recording, ready for JSON: ``advantages`` (B), ``entropy`` (nats per
            decision), ``loss``, ...
        """

    def expected(self, rewards: Tensor) -> float:
        """The baseline b, the moving average of the rewards *before* this batch.

        Before the very first batch there is none, and that batch's own mean stands in (this
        project's choice: a baseline of 0 would reinforce everything that the untrained policy
        happened to draw).
        """
        return rewards.mean().item() if self.baseline is None else self.baseline

    def advantages(self, rewards: Tensor) -> Tensor:
        """How much better than expected each reward is, (B): R - b."""
        advantage = rewards - self.expected(rewards)
        if self.whiten_advantages and len(rewards) > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        return advantage

    def move_baseline(self, rewards: Tensor) -> None:
        """b <- decay b + (1 - decay) R for each reward in turn, once the advantages are taken."""
        b = self.expected(rewards)
        for reward in rewards.tolist():
            b = self.baseline_decay * b + (1 - self.baseline_decay) * reward
        self.baseline = b

    def step(self, loss: Tensor) -> None:
        """One step of the optimiser down the gradient of ``loss``."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def settings(self) -> dict[str, Any]:
        return super().settings() | ({"policy": type(self.policy).__name__} if self._passed else {})

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "updates": self.updates,
            "last_update": self.last_update,
            **copy.deepcopy(self._learnt()),
            "known": list(self.known),
            "waiting": [
                (o.proposal.number, o.proposal.tokens, o.proposal.log_probs, o.reward)
                for o in self.waiting
            ],
        }

    def _learnt(self) -> dict[str, Any]:
        """What the updates change, itself and not a copy."""
        return {
            "baseline": self.baseline,
            "policy": self.policy.state_dict(),
            "moments": [self.optimizer.state[weight] for weight in self.weights],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As every controller's.

        Raises:
            WorkbenchError: a weight, the baseline or a moment is not finite: nothing is loaded.
        """
        if not _is_finite(state):
            raise WorkbenchError(
                "this state of a controller has weights that are not finite: what it had learnt is "
                "lost. Load an earlier state, or start a new search"
            )
        super().load_state_dict(state)
        self.updates, self.baseline = state["updates"], state["baseline"]
        self.last_update = state["last_update"]
        self.policy.load_state_dict(state["policy"])
        moments = copy.deepcopy(state["moments"])  # of Adam, which changes them in place
        self.optimizer.state.update(zip(self.weights, moments, strict=True))
        self.known = dict.fromkeys(state["known"])
        self.waiting = [
            Outcome(self.proposal(number, tokens, tuple(log_probs)), reward)
            for number, tokens, log_probs, reward in state["waiting"]
        ]

    def proposed_since(self, proposals: Iterable[Proposal]) -> None:
        proposals = list(proposals)
        super().proposed_since(proposals)
        if self.no_repeats:
            self.known |= dict.fromkeys(proposal.genotype.key for proposal in proposals)


def _is_finite(state: dict[str, Any]) -> bool:
    """Whether what was learnt is: the baseline, the weights, and Adam's moments."""
    tensors = [*state["policy"].values(), *(t for m in state["moments"] for t in m.values())]
    return math.isfinite(state["baseline"] or 0.0) and all(t.isfinite().all() for t in tensors)

"""What REINFORCE and PPO share: the policy, the baseline, and the queue of told outcomes.

The learning itself, from a batch of outcomes to new weights, stands in ``reinforce.py`` and
``ppo.py``.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..checks import flag, number, whole
from ..errors import WorkbenchError
from ..spaces import Space
from .base import Controller, Outcome, Proposal
from .policy import LSTMPolicy, one_thread

#: Batches that are drawn in search of architectures that are not known yet: so many as the policy
#: would draw them, then hotter and hotter ones, at last nearly uniform ones.
PATIENCE, HEATING, DRAWS = 3, 1.5, 20


class PolicyGradient(Controller):
    """A controller that samples from an :class:`LSTMPolicy` and updates it every ``batch_size``
    outcomes, in the order in which they are told.

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
        no_repeats: propose no architecture twice: known ones are drawn again, up to :data:`DRAWS`
            batches. Not in the paper. The samples then come from the policy *given*
            that they are new, which the update does not know of: the gradient is a little biased,
            and a policy that has converged goes on looking around its favourite.

    The optimiser is Adam, which the paper does not name: this project's choice.

    Raises:
        SettingsError: a setting out of range.
    """

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
    ) -> None:
        super().__init__(space, seed)
        self.learning_rate = number("learning_rate", learning_rate, 0.0)
        self.batch_size = whole("batch_size", batch_size)
        self.entropy_weight = number("entropy_weight", entropy_weight, 0.0)
        self.baseline_decay = number("baseline_decay", baseline_decay, 0.0, 1.0)
        flag("whiten_advantages", whiten_advantages)
        flag("no_repeats", no_repeats)
        self.whiten_advantages, self.no_repeats = whiten_advantages, no_repeats
        self.hidden = whole("hidden", hidden)
        self.generator = torch.Generator().manual_seed(self.seed)
        choices = [decision.choices for decision in space.decisions]
        self.policy = LSTMPolicy(choices, self.hidden, self.generator)
        self.optimizer = torch.optim.Adam(
            self.policy.parameters(), lr=self.learning_rate, fused=True
        )
        self.baseline: float | None = None
        self.updates = 0
        self.waiting: list[Outcome] = []  # told, and not yet part of an update
        self.known: dict[str, None] = {}  # keys of what was proposed, if ``no_repeats``

    def _draw(self, count: int) -> Sequence[tuple[tuple[int, ...], tuple[float, ...]]]:
        if not self.no_repeats:
            return self._sample(count)
        drawn: list[tuple[tuple[int, ...], tuple[float, ...]]] = []
        for tries in range(DRAWS):
            temperature = HEATING ** max(0, tries - PATIENCE)
            for tokens, log_probs in self._sample(max(count, self.batch_size), temperature):
                key = self.space.decode(tokens).key
                if len(drawn) < count and key not in self.known:
                    self.known[key] = None
                    drawn.append((tokens, log_probs))
            if len(drawn) == count:
                return drawn
        return [*drawn, *self._sample(count - len(drawn))]  # the space is all but exhausted

    def _sample(
        self, count: int, temperature: float = 1.0
    ) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
        self.policy.temperature = temperature
        with one_thread():
            tokens, log_probs, _ = self.policy.sample(count, self.generator)
        self.policy.temperature = 1.0
        return [
            (tuple(t), tuple(p)) for t, p in zip(tokens.tolist(), log_probs.tolist(), strict=True)
        ]

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
                tokens = torch.tensor([o.proposal.tokens for o in batch])
                old_log_probs = torch.tensor([o.proposal.log_probs for o in batch])
                rewards = torch.tensor([float(o.reward) for o in batch])
                with one_thread():
                    self.last_update = self.update(tokens, old_log_probs, rewards)
                self.updates += 1

    @abstractmethod
    def update(self, tokens: Tensor, old_log_probs: Tensor, rewards: Tensor) -> dict[str, float]:
        """One update of the policy from ``tokens`` (B, T), their log-probabilities when they were
        sampled (B, T) and ``rewards`` (B); returns what is worth plotting."""

    def advantages(self, rewards: Tensor) -> Tensor:
        """How much better than expected each reward is, (B): R - b.

        The baseline b is the moving average *before* this batch. Before the very first batch there
        is none, and that batch's own mean stands in (this project's choice: a baseline of 0 would
        reinforce everything that the untrained policy happened to draw).
        """
        baseline = rewards.mean() if self.baseline is None else self.baseline
        advantages = rewards - baseline
        if self.whiten_advantages and len(rewards) > 1:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        return advantages

    def move_baseline(self, rewards: Tensor) -> None:
        """b <- decay b + (1 - decay) R for each reward in turn, once the advantages are taken."""
        for reward in rewards.tolist():
            if self.baseline is None:
                self.baseline = float(rewards.mean())
            self.baseline = self.baseline_decay * self.baseline + (1 - self.baseline_decay) * reward

    def step(self, loss: Tensor) -> None:
        """One step of the optimiser down the gradient of ``loss``."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def settings(self) -> dict[str, Any]:
        names: tuple[str, ...] = ("seed", "learning_rate", "batch_size", "entropy_weight")
        names += ("baseline_decay",)
        return {
            name: getattr(self, name)
            for name in (*names, "whiten_advantages", "hidden", "no_repeats")
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": copy.deepcopy(self.policy.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "generator": self.generator.get_state(),
            "progress": {
                "asked": self.asked,
                "updates": self.updates,
                "baseline": self.baseline,
                "last_update": self.last_update,
            },
            **({"known": list(self.known)} if self.no_repeats else {}),
            "waiting": {
                "numbers": [o.proposal.number for o in self.waiting],
                "rewards": [o.reward for o in self.waiting],
                "tokens": torch.tensor([o.proposal.tokens for o in self.waiting]),
                "log_probs": torch.tensor(
                    [o.proposal.log_probs for o in self.waiting], dtype=torch.float64
                ),
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # it keeps what it gets
        self.generator.set_state(state["generator"])
        progress = state["progress"]
        self.asked, self.updates = progress["asked"], progress["updates"]
        self.baseline, self.last_update = progress["baseline"], progress["last_update"]
        self.known = dict.fromkeys(state.get("known", ()))
        waiting = state["waiting"]
        self.waiting = [
            Outcome(Proposal(n, tuple(tokens), self.space.decode(tokens), tuple(log_probs)), reward)
            for n, reward, tokens, log_probs in zip(
                waiting["numbers"],
                waiting["rewards"],
                waiting["tokens"].tolist(),
                waiting["log_probs"].tolist(),
                strict=True,
            )
        ]

"""Proximal policy optimisation, as NASNet's search uses it (NASNet paper, appendix A.2).

A batch of architectures is expensive: days of training. PPO learns from it several times. After the
first step the policy is no longer the one that drew the samples, so each decision is weighed by

    ratio_t = P(a_t; θ) / P(a_t; θ_old)                                                      (1)

and a ratio that has already moved by more than the clip ε in the direction of its advantage A is
worth no further step (Schulman et al. 2017, equation 7):

    L = E[ Σ_t min( ratio_t A, clip(ratio_t, 1 - ε, 1 + ε) A ) ]                             (2)

P(a_t; θ_old) is the probability *stored when the architecture was sampled*. An implementation that
recomputes it from the current policy always has a ratio of 1, and is REINFORCE under a new name.

Shapes: ``B`` architectures in a batch, ``T`` decisions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..checks import number, whole
from ..spaces import Space
from .policy_gradient import PolicyGradient


class PPO(PolicyGradient):
    """Several clipped steps per batch of architectures.

    The paper gives the learning rate, the batch of 20, the entropy weight and the baseline; it does
    not give the clip, the epochs, or whether the ratio is taken per decision (as here) or per
    architecture.

    Args:
        clip: ε in equation (2). This project's choice: 0.2, as Microsoft's NNI has it.
        epochs: passes over each batch, all of it at once. This project's choice: 4, as NNI.
        others: see :class:`PolicyGradient`.
    """

    arguments = (*PolicyGradient.arguments, "clip", "epochs")

    def __init__(
        self, space: Space, seed: int = 0, *, clip: float = 0.2, epochs: int = 4, **others: Any
    ) -> None:
        super().__init__(space, seed, **others)
        self.clip = number("clip", clip, 0.0)
        self.epochs = whole("epochs", epochs)

    def update(self, tokens: Tensor, old_log_probs: Tensor, rewards: Tensor) -> dict[str, Any]:
        """From a batch to new weights: see :meth:`PolicyGradient.update`.

        ``tokens`` (B, T) and ``old_log_probs`` (B, T) are what ``policy.draw`` gave, perhaps some
        updates ago; ``rewards`` (B) is what their child networks were worth.
        """
        advantage = self.advantages(rewards)  # (B)
        clipped = []
        for _ in range(self.epochs):
            log_prob, entropy = self.policy.evaluate(tokens)  # (B, T) each, with gradient
            ratio = torch.exp(log_prob - old_log_probs)  # (B, T), equation (1)
            loss = self.loss(ratio, advantage)  # minus equation (2)
            loss = loss - self.entropy_weight * entropy.sum(1).mean()
            self.step(loss)  # of Adam, down the gradient
            clipped.append(((ratio.detach() - 1).abs() > self.clip).float().mean())
        self.move_baseline(rewards)
        return {
            "advantages": advantage.tolist(),
            "entropy": entropy.mean().item(),
            "loss": loss.item(),
            "ratio": ratio.mean().item(),
            "clip_fraction": torch.stack(clipped).mean().item(),
        }

    def loss(self, ratio: Tensor, advantage: Tensor) -> Tensor:
        """Minus equation (2): a number.

        Args:
            ratio: (B, T), with gradient.
            advantage: (B), R - b.
        """
        advantage = advantage[:, None]  # (B, 1), the same for all decisions
        bounded = ratio.clamp(1 - self.clip, 1 + self.clip)  # (B, T)
        return -torch.minimum(ratio * advantage, bounded * advantage).sum(1).mean()

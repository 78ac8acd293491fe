"""REINFORCE with a moving-average baseline (NAS paper, Zoph & Le 2017, section 3.2).

The expected reward J(θ) = E[R] is climbed along an unbiased estimate of its gradient: for m
sampled architectures with T decisions each,

    ∇J ≈ 1/m Σ_k Σ_t ∇ log P(a_t | a_1 ... a_{t-1}; θ) (R_k - b)                             (1)

The baseline b is a moving average of the rewards R before this batch.

Shapes: ``B`` architectures in a batch (the m of equation 1), ``T`` decisions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .policy_gradient import PolicyGradient


class Reinforce(PolicyGradient):
    """One gradient step per batch of architectures; the arguments are :class:`PolicyGradient`'s.

    Samples that are told late were drawn from an older policy than the one that learns from them.
    REINFORCE takes no notice of it; PPO's ratio does.
    """

    def update(self, tokens: Tensor, old_log_probs: Tensor, rewards: Tensor) -> dict[str, Any]:
        """From a batch to new weights: see :meth:`PolicyGradient.update`."""
        advantage = self.advantages(rewards)  # (B)
        log_prob, entropy = self.policy.evaluate(tokens)  # (B, T) each, with gradient
        loss = self.loss(log_prob, advantage)  # minus equation (1)
        loss = loss - self.entropy_weight * entropy.sum(1).mean()
        self.step(loss)  # of Adam, down the gradient
        self.move_baseline(rewards)
        return {
            "advantages": advantage.tolist(),
            "entropy": entropy.mean().item(),
            "loss": loss.item(),
        }

    def loss(self, log_prob: Tensor, advantage: Tensor) -> Tensor:
        """Minus equation (1) before the gradient is taken: a number.

        Args:
            log_prob: (B, T), with gradient.
            advantage: (B), R - b.
        """
        return -(log_prob.sum(1) * advantage).mean()

"""A toy whose rewards are a formula: every expectation over its space is a sum, not an estimate.

With one block there are 36 token sequences, few enough to list, so that the expected reward of a
policy

    J(θ) = Σ P(a; θ) R(a)   over all token sequences a

and its gradient are known exactly, and REINFORCE's estimate can be held against them:

>>> toy = exact_toy()
>>> p, score, R = toy.probabilities(policy), toy.scores(policy), toy.rewards
>>> mean = (p * (R - b)) @ score              # of REINFORCE's estimate; exact_gradient, for any b
>>> spread = p @ ((R - b)[:, None] * score).square().sum(1) - mean.square().sum()

It is a :class:`Table` too: with two blocks (735 unique cells) searches can be compared on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy
import torch
from torch import Tensor

from ..checks import whole
from ..controllers import LSTMPolicy
from ..errors import SettingsError
from ..genotype import Block, Genotype
from ..spaces import CellSpace
from .table import Table

OPERATIONS = ("identity", "avg_pool_3x3", "sep_conv_3x3")

#: What two operations in one block are worth, in the order of :data:`OPERATIONS`.
PAIRS = ((0.1, 0.5, 1.0), (0.5, 0.7, 0.5), (1.0, 0.5, 0.1))

#: What is left of it if the two sides read the same state, or different ones without a shortcut;
#: and what is left of the cell's reward if its last block does not join all others.
SAME, DIFFERENT, SPLIT = 0.7, 0.85, 0.9


def exact_reward(genotype: Genotype) -> float:
    """R, from 0.063 to 1, by a made-up formula (this project's choice), unlike any real network.

    A block is worth what its pair of operations is worth (:data:`PAIRS`): identity beside a
    separable convolution 1, two pools 0.7, the rest 0.5 or 0.1. That counts in full if the identity
    is a *shortcut*, which reads the state one step before the one that the other side reads; with
    any other two states 0.85 of it, with the same state twice 0.7. A state's step is 0 for h[i-1],
    1 for h[i], and for a block one more than the later of its inputs. The cell is worth the mean of
    its blocks, times 0.9 if its last block does not join all others.

    The best cell is unique: ``sep(h[i]) + identity(h[i-1])``, with a second block the same once
    more on top. No operation is good by itself: on average over all else the pool is each side's
    best, and in a block of two pools (0.7 · 0.85 = 0.595) every change of a single decision is for
    the worse: improving one decision at a time ends there.
    """
    steps, worth = [0, 1], 0.0
    for block in genotype.normal.blocks:
        worth += _worth(block, steps)
        steps.append(1 + max(steps[state] for state in block.inputs))
    joined = len(genotype.normal.loose_ends) == 1
    return worth / len(genotype.normal.blocks) * (1.0 if joined else SPLIT)


def _worth(block: Block, steps: Sequence[int]) -> float:
    """Of a block that may read the states which were computed in these steps."""
    left, right = OPERATIONS.index(block.left_op), OPERATIONS.index(block.right_op)
    ahead = steps[block.right] - steps[block.left]
    shortcut = (block.left_op == "identity" and ahead == 1) or (
        block.right_op == "identity" and ahead == -1
    )
    read = SAME if block.left == block.right else 1.0 if shortcut else DIFFERENT
    return PAIRS[left][right] * read


class ExactTable(Table):
    """The table of :func:`exact_toy`; ``S`` token sequences of ``T`` decisions, ``P`` weights."""

    @cached_property
    def token_sequences(self) -> Tensor:
        """(S, T): every token sequence of the space, the last decision changing fastest."""
        return torch.tensor(list(self.space.token_sequences()))

    @cached_property
    def rewards(self) -> Tensor:
        """(S,): R of each token sequence, in double precision."""
        genotypes = map(self.space.decode, self.space.token_sequences())
        return torch.tensor([exact_reward(g) for g in genotypes], dtype=torch.float64)

    def rewards_of(self, tokens: Tensor) -> Tensor:
        """(B,): R of token sequences (B, T), such as ``policy.sample`` draws."""
        choices = [decision.choices for decision in self.space.decisions]
        return self.rewards[numpy.ravel_multi_index(tuple(tokens.T.numpy()), choices)]

    def probabilities(self, policy: LSTMPolicy) -> Tensor:
        """(S,): P(a; θ) of each token sequence, with gradient."""
        log_prob, _ = policy.evaluate(self.token_sequences)
        return log_prob.sum(1).exp()

    def expected_reward(self, policy: LSTMPolicy) -> Tensor:
        """J(θ), a number, with gradient."""
        probabilities = self.probabilities(policy)
        return probabilities @ self.rewards.to(probabilities.dtype)

    def exact_gradient(self, policy: LSTMPolicy) -> Tensor:
        """(P,): ∇J(θ), one parameter of the policy after the other."""
        return flat_gradient(self.expected_reward(policy), policy)

    def scores(self, policy: LSTMPolicy) -> Tensor:
        """(S, P): ∇ log P(a; θ) of each token sequence.

        Raises:
            SettingsError: two blocks, whose scores would take gigabytes.
        """
        if len(self.token_sequences) > 1000:
            raise SettingsError("too many scores for the memory; use exact_toy(blocks=1)")
        log_prob, _ = policy.evaluate(self.token_sequences)
        return torch.stack([flat_gradient(value, policy) for value in log_prob.sum(1)])


def flat_gradient(value: Tensor, policy: LSTMPolicy) -> Tensor:
    """(P,): the gradient of a number by all weights; its graph is kept for further gradients."""
    gradients = torch.autograd.grad(value, list(policy.parameters()), retain_graph=True)
    return torch.cat([gradient.flatten() for gradient in gradients])


def exact_toy(blocks: int = 1) -> ExactTable:
    """A tied cell space of three operations with :func:`exact_reward` as its accuracy.

    Args:
        blocks: 1 (36 token sequences, 21 unique cells: for gradients) or 2 (2,916 and 735: for
            comparisons).

    Raises:
        SettingsError: another number of blocks.
    """
    blocks = whole("blocks", blocks, 1, 2)
    space = CellSpace(blocks, OPERATIONS, ("add",), tied=True)
    rewards = numpy.array([[exact_reward(space.decode(t))] for t in space.unique.tokens])
    return ExactTable(
        name=f"exact-{blocks}",
        space=space,
        tokens=numpy.array(space.unique.tokens),
        keys=space.unique.keys,
        validation=rewards,
        read_test=rewards.copy,
        info={"complete": True, "source": "nasworkbench.tables.exact.exact_reward, a formula"},
    )

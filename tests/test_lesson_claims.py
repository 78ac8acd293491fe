"""What lessons claim in their text beyond the few seeds that they run, over thirty seeds."""

import numpy
import pytest
import torch

from nasworkbench import PPO, Outcome, tables


class Watched(PPO):
    """Writes down the expected reward of its policy after every step."""

    def step(self, loss):
        super().step(loss)
        self.seen.append(TOY.expected_reward(self.policy).item())


TOY = tables.exact_toy()


def rise(seed, clip):
    """How much higher the expected reward is after each of 40 epochs on one batch: lesson 05."""
    controller = Watched(TOY.space, seed, epochs=40, learning_rate=0.01, clip=clip)
    controller.seen = [TOY.expected_reward(controller.policy).item()]
    batch = controller.ask(controller.batch_size)
    rewards = TOY.rewards_of(torch.tensor([proposal.tokens for proposal in batch])).tolist()
    controller.tell([Outcome(*pair) for pair in zip(batch, rewards, strict=True)])
    return numpy.array(controller.seen) - controller.seen[0]


@pytest.fixture(scope="module")
def rises():
    """(30 seeds, 41) with the clip of 0.2, and without one."""
    return [numpy.array([rise(seed, clip) for seed in range(30)]) for clip in (0.2, 1e6)]


def test_with_a_clip_every_seed_climbs_for_a_dozen_epochs_then_nearly_stops(rises):
    clipped, _ = rises
    assert (clipped[:, 12] > 0).all()
    early, late = clipped[:, 12].mean() / 12, (clipped[:, 40] - clipped[:, 20]).mean() / 20
    assert late < early / 5


def test_without_a_clip_some_fall_at_first_and_the_end_is_a_gamble(rises):
    clipped, free = rises
    assert 0.1 < (free[:, 4] < 0).mean() < 0.4
    assert free[:, 40].mean() > clipped[:, 40].mean()
    assert free[:, 40].std() > 3 * clipped[:, 40].std()
    assert free[:, 40].min() < clipped[:, 40].min() < clipped[:, 40].max() < free[:, 40].max()

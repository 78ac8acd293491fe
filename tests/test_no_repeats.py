"""Policies that propose nothing twice, and random search over architectures."""

import io
from collections import Counter

import numpy
import pytest
import torch
from scipy import stats

from nasworkbench.controllers import PPO, Outcome, RandomSearch, Reinforce
from nasworkbench.controllers.policy import padded
from nasworkbench.controllers.policy_gradient import HEATING
from nasworkbench.errors import SettingsError, SpaceError
from nasworkbench.spaces import CellSpace

SPACE = CellSpace(2, ("identity", "max_pool_3x3"), ("add",), tied=True)  # 576 token sequences
LEARNING = {"batch_size": 4, "hidden": 8, "learning_rate": 0.05}


def converge(controller):
    """Make the policy all but certain of the first choice everywhere."""
    with torch.no_grad():
        controller.policy.head_bias[:, 0, 0] += 12.0


def keys(proposals):
    return [proposal.genotype.key for proposal in proposals]


@pytest.mark.parametrize("kind", [PPO, Reinforce])
def test_no_architecture_twice_until_the_space_is_exhausted(kind):
    controller = kind(SPACE, 0, no_repeats=True, **LEARNING)
    found = keys(controller.ask(4) + controller.ask(1) + controller.ask(40))
    assert len(set(found)) == len(found) == 45
    repeating = kind(SPACE, 0, **LEARNING)
    assert len(set(keys(repeating.ask(45)))) < 45


def test_a_converged_policy_goes_on_finding_new_ones():
    """Drawn hotter and hotter; without ``no_repeats`` it always says the same."""
    stuck, new = (PPO(SPACE, 0, no_repeats=flag, **LEARNING) for flag in (False, True))
    for controller in (stuck, new):
        converge(controller)
    assert len(set(keys(stuck.ask(60)))) <= 2
    assert len(set(keys(new.ask(60)))) == 60
    assert new.policy.temperature == 1.0


def test_an_exhausted_space_is_proposed_again():
    tiny = CellSpace(1, ("identity",), ("add",), tied=True)  # 4 token sequences of 3 architectures
    assert len(tiny.unique) == 3
    controller = PPO(tiny, 0, no_repeats=True, **LEARNING)
    found = keys(controller.ask(10))
    assert len(found) == 10 and len(set(found)) == 3
    assert len(set(found[:3])) == 3


def test_stored_log_probs_are_those_of_the_draw():
    """Of an unheated draw the policy's own, so that PPO's first ratio is 1."""
    controller = PPO(SPACE, 0, no_repeats=True, **LEARNING)
    proposals = controller.ask(4)
    tokens = torch.tensor([proposal.tokens for proposal in proposals])
    own, _ = controller.policy.evaluate(tokens)
    stored = torch.tensor([proposal.log_probs for proposal in proposals])
    torch.testing.assert_close(own.detach(), stored, atol=1e-5, rtol=0)
    converge(controller)
    heated = controller.ask(8)
    assert all(numpy.isfinite(proposal.log_probs).all() for proposal in heated)
    controller.tell([Outcome(proposal, 0.5) for proposal in proposals + heated])  # learns of both
    assert controller.updates == 3


def test_stored_distributions_are_those_of_the_draw():
    """The log-probabilities too: of a heated draw the heated policy's."""
    choices = [decision.choices for decision in SPACE.decisions]
    controller = PPO(SPACE, 0, no_repeats=True, **LEARNING)
    converge(controller)
    proposals = controller.ask(40)
    tokens = torch.tensor([proposal.tokens for proposal in proposals])
    with torch.no_grad():
        cold = controller.policy.log_distribution(tokens)
    temperatures = []
    for proposal, log_p in zip(proposals, cold, strict=True):
        rows = padded(proposal.distributions, choices)
        drawn = numpy.log(rows[range(len(choices)), proposal.tokens])
        assert numpy.allclose(drawn, proposal.log_probs, rtol=1e-2, atol=1e-3)
        # log of the odds, cold over heated, is the temperature of the draw
        wide = max(range(len(choices)), key=lambda step: choices[step])
        hot = numpy.log(rows[wide, :2])
        temperatures.append(((log_p[wide, 0] - log_p[wide, 1]) / (hot[0] - hot[1])).item())
    assert temperatures[0] == pytest.approx(1.0, abs=0.01) and max(temperatures) > 2
    steps = numpy.log(temperatures) / numpy.log(HEATING)
    assert numpy.allclose(steps, steps.round(), rtol=0, atol=0.05)


def test_what_is_known_survives_a_restart():
    controller = PPO(SPACE, 3, no_repeats=True, **LEARNING)
    before = keys(controller.ask(30))
    again = PPO(SPACE, 3, no_repeats=True, **LEARNING)
    file = io.BytesIO()
    torch.save(controller.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    after = keys(again.ask(30))
    assert after == keys(controller.ask(30))
    assert not set(before) & set(after)
    repeating = PPO(SPACE, 3, **LEARNING)
    repeating.ask(30)
    assert repeating.state_dict()["known"] == []


def test_no_repeats_is_true_or_false():
    with pytest.raises(SettingsError, match="no_repeats must be True or False, got 1"):
        PPO(SPACE, no_repeats=1)


# --- random search over architectures ---------------------------------------------------------


def test_over_architectures_each_is_drawn_as_often():
    unique = SPACE.unique
    draws = 40 * len(unique)
    counts = {
        over: Counter(keys(RandomSearch(SPACE, 0, over=over).ask(draws)))
        for over in ("architectures", "token_sequences")
    }
    even = [counts["architectures"][key] for key in unique.keys]
    assert stats.chisquare(even).pvalue > 0.001
    by_sequences = [counts["token_sequences"][key] for key in unique.keys]
    expected = [draws * count / SPACE.size for count in unique.token_sequences]
    assert stats.chisquare(by_sequences, expected).pvalue > 0.001
    assert stats.chisquare(by_sequences).pvalue < 1e-6  # which is far from even


def test_over_architectures_is_refused_for_a_space_too_large():
    with pytest.raises(SpaceError, match="too large to enumerate"):
        RandomSearch(CellSpace(), over="architectures")
    with pytest.raises(
        SettingsError, match="over must be one of token_sequences and architectures, got"
    ):
        RandomSearch(SPACE, over="cells")


def test_over_architectures_goes_on_from_its_state():
    one, two = (RandomSearch(SPACE, 5, over="architectures") for _ in range(2))
    one.ask(7)
    two.load_state_dict(one.state_dict())
    assert keys(one.ask(5)) == keys(two.ask(5))
    assert one.settings() == {"seed": 5, "over": "architectures"}

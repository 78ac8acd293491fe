"""The LSTM policy against a second implementation, and as a distribution over all strings."""

import itertools
import math

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nasworkbench.controllers import LSTMPolicy
from nasworkbench.controllers.policy import entropy, padded, real_choices
from nasworkbench.spaces import CellSpace

CHOICES = (2, 3, 1, 4)
STRINGS = torch.tensor(list(itertools.product(*map(range, CHOICES))))  # 24 strings of 4 tokens


def make(choices=CHOICES, hidden=6, seed=0, temperature=1.0, scale=8.0):
    """A small policy; initial weights are scaled, or all strings would be about equally likely."""
    policy = LSTMPolicy(choices, hidden, torch.Generator().manual_seed(seed), temperature).double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(scale)
    return policy


def string_probabilities(policy):
    """P of each of all strings, (24)."""
    log_probs, _ = policy.evaluate(STRINGS)
    return log_probs.sum(1).exp().detach()


# --- what the paper says ----------------------------------------------------------------------


def test_parameters_of_the_papers_controller():
    """One LSTM layer of 100 units over the 50 decisions of the NASNet space."""
    choices = [decision.choices for decision in CellSpace().decisions]
    policy = LSTMPolicy(choices, generator=torch.Generator().manual_seed(0))
    embedding = (1 + 2 * (2 * (2 + 3 + 4 + 5 + 6) + 5 * (13 + 13 + 2))) * 100
    lstm = 4 * 100 * (100 + 100) + 2 * 4 * 100
    heads = 50 * (100 * 13 + 13)
    total = sum(parameter.numel() for parameter in policy.parameters())
    assert total == embedding + lstm + heads == 36_100 + 80_800 + 65_650


def test_initial_weights_are_uniform():
    """U(-0.1, 0.1) in every tensor, biases included (appendix A.2)."""
    policy = LSTMPolicy((13,) * 50, 100, torch.Generator().manual_seed(0))
    for name, parameter in policy.named_parameters():
        values = parameter.detach().flatten().numpy()
        assert abs(values).max() <= 0.1, name
        assert stats.kstest(values, stats.uniform(-0.1, 0.2).cdf).pvalue > 0.001, name


def test_initial_weights_depend_on_the_generator_alone():
    one, two, other = (LSTMPolicy(CHOICES, 6, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    pairs = zip(one.parameters(), two.parameters(), other.parameters(), strict=True)
    for mine, equal, different in pairs:
        assert torch.equal(mine, equal) and not torch.equal(mine, different)


# --- the distribution -------------------------------------------------------------------------


def by_hand(policy, tokens):
    """log P(c | tokens before t) for one string, written with the LSTM's equations."""
    weights = dict(policy.named_parameters())
    h = c = torch.zeros(policy.lstm.hidden_size, dtype=torch.float64)
    row, result = 0, []
    for step, count in enumerate(policy.choices):
        gates = (
            weights["lstm.weight_ih_l0"] @ weights["embedding.weight"][row]
            + weights["lstm.bias_ih_l0"]
            + weights["lstm.weight_hh_l0"] @ h
            + weights["lstm.bias_hh_l0"]
        )
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        logits = h @ weights["head_weight"][step] + weights["head_bias"][step, 0]
        result.append((logits[:count] / policy.temperature).log_softmax(0))
        row = 1 + sum(policy.choices[:step]) + int(tokens[step])
    return result


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_log_distribution_is_the_lstms(temperature):
    policy = make(temperature=temperature)
    log_distribution = policy.log_distribution(STRINGS)
    assert log_distribution.shape == (24, 4, 4)
    for tokens, ours in zip(STRINGS, log_distribution, strict=True):
        for step, expected in enumerate(by_hand(policy, tokens)):
            assert torch.allclose(ours[step, : len(expected)], expected, atol=1e-12)
            assert (ours[step, len(expected) :] == -math.inf).all()


def test_all_strings_together_have_probability_one():
    for temperature in (0.5, 1.0, 3.0):
        total = string_probabilities(make(temperature=temperature)).sum().item()
        assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("step", range(4))
def test_a_token_changes_only_later_distributions(step):
    policy = make()
    before, after = STRINGS.clone(), STRINGS.clone()
    before[:, step] = 0
    after[:, step] = CHOICES[step] - 1
    one, two = policy.log_distribution(before), policy.log_distribution(after)
    assert torch.equal(one[:, : step + 1], two[:, : step + 1])
    if CHOICES[step] > 1:
        later = slice(step + 1, None)
        changed = (one[:, later] - two[:, later]).nan_to_num(0).abs().amax(-1) > 1e-6
        has_a_choice = torch.tensor(CHOICES[later]) > 1
        assert changed[:, has_a_choice].all()


def test_choices_that_do_not_exist_have_no_probability_and_no_gradient():
    policy = make()
    log_probs, entropies = policy.evaluate(STRINGS)
    (log_probs.sum() + entropies.sum()).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in policy.parameters())
    for step, count in enumerate(CHOICES):
        assert policy.head_weight.grad[step, :, count:].abs().sum() == 0
        assert policy.head_bias.grad[step, :, count:].abs().sum() == 0
        if count > 1:
            assert policy.head_weight.grad[step, :, :count].abs().min() > 0
    assert (log_probs[:, 2] == 0).all() and (entropies[:, 2] == 0).all()  # one choice: certain


def test_entropy_is_scipys():
    policy = make()
    _, entropies = policy.evaluate(STRINGS)
    for tokens, ours in zip(STRINGS, entropies, strict=True):
        for step, log_distribution in enumerate(by_hand(policy, tokens)):
            expected = stats.entropy(log_distribution.exp().detach().numpy())
            assert ours[step].item() == pytest.approx(expected, abs=1e-12)


def test_entropies_add_up_to_the_entropy_of_the_strings():
    """Chain rule: E[sum of the decisions' entropies] = -sum of p log p over all strings."""
    policy = make()
    probabilities = string_probabilities(policy)
    _, entropies = policy.evaluate(STRINGS)
    expected = stats.entropy(probabilities.numpy())
    assert (probabilities @ entropies.sum(1)).item() == pytest.approx(expected, abs=1e-12)


def test_gradient_of_entropy():
    """dH/dz_c = -p_c (log p_c + H) for logits z; nothing flows into masked choices."""
    logits = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([False, False, False, True])
    logits = logits.requires_grad_()
    log_p = logits.masked_fill(mask, -math.inf).log_softmax(-1)
    value = entropy(log_p)
    value.sum().backward()
    p = log_p.exp().detach()
    finite = log_p.detach().masked_fill(mask, 0.0)
    expected = -p * (finite + value.detach()[:, None])
    assert torch.allclose(logits.grad, expected, atol=1e-12)
    assert (logits.grad[:, 3] == 0).all()


def test_temperature_flattens():
    """Logits divided by T: each decision's p becomes p^(1/T), normalised."""
    cold, warm = make(temperature=1.0), make(temperature=2.5)
    p, q = (policy.log_distribution(STRINGS).exp() for policy in (cold, warm))
    flattened = p ** (1 / 2.5)
    assert torch.allclose(q, flattened / flattened.sum(-1, keepdim=True), atol=1e-12)
    has_a_choice = torch.tensor(CHOICES) > 1
    assert (entropy(q.log()) > entropy(p.log()))[:, has_a_choice].all()


# --- sampling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_samples_carry_the_log_probabilities_of_teacher_forcing(temperature):
    """The sampler is written for speed; it must say the same as the differentiable pass."""
    choices = [decision.choices for decision in CellSpace().decisions]
    policy = LSTMPolicy(choices, 100, torch.Generator().manual_seed(0), temperature)
    tokens, log_probs, log_distribution = policy.sample(64, torch.Generator().manual_seed(1))
    assert tokens.shape == log_probs.shape == (64, 50)
    assert log_distribution.shape == (64, 50, 13)
    assert not log_probs.requires_grad
    again, entropies = policy.evaluate(tokens)
    assert torch.allclose(log_probs, again, atol=1e-6)
    assert torch.allclose(entropy(log_distribution), entropies, atol=1e-6)
    assert torch.allclose(log_distribution, policy.log_distribution(tokens), atol=1e-6)
    policy.double()
    tokens, log_probs, log_distribution = policy.sample(9, torch.Generator().manual_seed(1))
    again, entropies = policy.evaluate(tokens)
    assert torch.allclose(log_probs, again, atol=1e-12)
    assert torch.allclose(entropy(log_distribution), entropies, atol=1e-12)
    assert torch.allclose(log_distribution, policy.log_distribution(tokens), atol=1e-12)


def test_samples_can_be_learnt_from():
    """Drawn without autograd's bookkeeping, and yet ordinary tensors."""
    policy = make()
    tokens, log_probs, log_distribution = policy.sample(5, torch.Generator().manual_seed(1))
    ratio = (policy.evaluate(tokens)[0] - log_probs).exp()
    (ratio.sum() * log_distribution[:, 0, 0].sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in policy.parameters())


def test_a_string_is_drawn_from_its_own_random_numbers_alone():
    policy = make()
    shape = (30, len(CHOICES), max(CHOICES))
    uniform = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    tokens, log_probs, _ = policy.draw(uniform)
    for place in range(30):
        one, log_prob, _ = policy.draw(uniform[place : place + 1])
        assert torch.equal(one[0], tokens[place])
        assert torch.allclose(log_prob[0], log_probs[place], rtol=0, atol=1e-12)


def test_heat_multiplies_the_temperature():
    cold, warm = make(temperature=0.5), make(temperature=1.25)
    uniform = torch.rand(200, len(CHOICES), max(CHOICES), dtype=torch.float64)
    for one, two in zip(cold.draw(uniform, heat=2.5), warm.draw(uniform), strict=True):
        assert torch.equal(one, two)
    assert cold.temperature == 0.5


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_samples_follow_the_probabilities(temperature):
    """Chi-square of 20,000 samples over all strings, fixed seed."""
    policy = make(temperature=temperature, scale=5.0)
    tokens, _, _ = policy.sample(20_000, torch.Generator().manual_seed(3))
    assert (tokens < torch.tensor(CHOICES)).all() and (tokens >= 0).all()
    number = (tokens * torch.tensor([12, 4, 4, 1])).sum(1)
    assert torch.equal(STRINGS[number], tokens)
    expected = string_probabilities(policy) * 20_000
    observed = torch.bincount(number, minlength=24)
    assert expected.min() > 5 and expected.max() > 1.5 * expected.min()  # not uniform
    assert stats.chisquare(observed.numpy(), expected.numpy()).pvalue > 0.001


def test_samples_depend_on_the_generator_alone():
    policy = make()
    torch.manual_seed(0)
    one, *_ = policy.sample(30, torch.Generator().manual_seed(4))
    torch.manual_seed(1)
    two, *_ = policy.sample(30, torch.Generator().manual_seed(4))
    other, *_ = policy.sample(30, torch.Generator().manual_seed(5))
    assert torch.equal(one, two) and not torch.equal(one, other)


# --- distributions as an array ------------------------------------------------------------------


@given(choices=st.lists(st.integers(1, 6), min_size=1, max_size=5), batch=st.integers(0, 3))
def test_padded_rows_hold_the_flat_values_in_order(choices, batch):
    flat = numpy.arange(1, 1 + batch * sum(choices), dtype=numpy.float16)
    flat = flat.reshape(batch, sum(choices))
    rows = padded(flat, choices)
    assert rows.shape == (batch, len(choices), max(choices)) and rows.dtype == numpy.float32
    assert numpy.array_equal(rows[:, real_choices(choices)], flat)
    assert numpy.count_nonzero(rows) == flat.size  # the rest is padding
    for one, string in zip(flat, rows, strict=True):
        assert numpy.array_equal(padded(one, choices), string)
        parts = numpy.split(one, numpy.cumsum(choices)[:-1])
        for part, row in zip(parts, string, strict=True):
            assert numpy.array_equal(row[: len(part)], part) and not row[len(part) :].any()

"""The exact toy: its formula, and REINFORCE and PPO against the gradient that they estimate."""

import itertools
import math
import pickle

import numpy
import pytest
import torch

from nasworkbench.controllers import PPO, Outcome, RandomSearch, Reinforce
from nasworkbench.controllers.policy import LSTMPolicy
from nasworkbench.errors import SettingsError
from nasworkbench.genotype import Block, Cell, Genotype
from nasworkbench.search import Search
from nasworkbench.tables import Table, TableEvaluator
from nasworkbench.tables.exact import exact_reward, exact_toy, flat_gradient

ONE, TWO = exact_toy(), exact_toy(2)
IDENTITY, POOL, CONV = ONE.space.operations


def make_policy(toy=ONE, hidden=6, scale=8.0, seed=0):
    """In double precision, and far from even."""
    choices = [decision.choices for decision in toy.space.decisions]
    policy = LSTMPolicy(choices, hidden, torch.Generator().manual_seed(seed)).double()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(scale)
    return policy


def cell(*blocks):
    found = Cell(tuple(Block(a, x, b, y) for a, x, b, y in blocks))
    return Genotype(found, found)


# --- the formula --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blocks, reward",
    [
        ([(0, IDENTITY, 1, CONV)], 1.0),  # a shortcut around a convolution
        ([(1, CONV, 0, IDENTITY)], 1.0),
        ([(1, IDENTITY, 0, CONV)], 0.85),  # the identity ahead of the convolution
        ([(1, IDENTITY, 1, CONV)], 0.7),
        ([(0, POOL, 1, POOL)], 0.7 * 0.85),
        ([(0, POOL, 0, POOL)], 0.7 * 0.7),
        ([(0, IDENTITY, 1, POOL)], 0.5),
        ([(1, CONV, 0, POOL)], 0.5 * 0.85),
        ([(0, CONV, 1, CONV)], 0.1 * 0.85),
        ([(0, IDENTITY, 1, IDENTITY)], 0.1),
        ([(0, IDENTITY, 1, CONV), (1, IDENTITY, 2, CONV)], 1.0),
        ([(0, IDENTITY, 1, CONV), (0, IDENTITY, 2, CONV)], (1 + 0.85) / 2),  # skips two steps
        ([(0, IDENTITY, 1, CONV), (0, IDENTITY, 1, CONV)], 0.9),  # side by side
        ([(0, POOL, 0, CONV), (2, CONV, 0, IDENTITY)], (0.35 + 1) / 2),  # block 0: step 1
        ([(0, POOL, 0, POOL), (1, CONV, 1, CONV)], 0.9 * (0.49 + 0.07) / 2),
    ],
)
def test_rewards_by_hand(blocks, reward):
    assert exact_reward(cell(*blocks)) == pytest.approx(reward, abs=1e-12)


@pytest.mark.parametrize("toy, sequences, cells", [(ONE, 36, 21), (TWO, 2916, 735)])
def test_equal_architectures_have_equal_rewards(toy, sequences, cells):
    assert len(toy.token_sequences) == toy.space.size == sequences
    assert len(toy) == cells and toy.info["complete"]
    found = {}
    for tokens, reward in zip(toy.token_sequences.tolist(), toy.rewards.tolist(), strict=True):
        found.setdefault(toy.space.decode(tokens).key, set()).add(round(reward, 12))
    assert all(len(rewards) == 1 for rewards in found.values())
    for row, key in enumerate(toy.keys):
        assert toy.validation[row, 0] == pytest.approx(found[key].pop(), abs=1e-9)
    assert (toy.test == toy.validation).all() and toy.seeds == 1
    assert toy.validation.min() > 0.06 and toy.validation.max() == 1.0


@pytest.mark.parametrize("toy, second", [(ONE, 0.85), (TWO, 0.925)])
def test_the_best_cell_is_unique(toy, second):
    best, other = toy.best(2)
    assert toy.mean_validation[other] == pytest.approx(second)
    blocks = [(0, IDENTITY, 1, CONV), (1, IDENTITY, 2, CONV)][: toy.space.blocks]
    assert toy.keys[best] == cell(*blocks).key


def test_decisions_cannot_be_made_one_by_one():
    """The pool is the best operation on average, and two pools are where single changes end."""
    tokens, rewards = ONE.token_sequences, ONE.rewards
    for place in (2, 3):
        means = [rewards[tokens[:, place] == token].mean().item() for token in range(3)]
        assert max(means) == means[ONE.space.operations.index(POOL)]
    stuck = ONE.space.encode(cell((0, POOL, 1, POOL)))
    here, best = ONE.rewards_of(torch.tensor([stuck])).item(), ONE.rewards.max().item()
    for place, decision in enumerate(ONE.space.decisions):
        for token in set(range(decision.choices)) - {stuck[place]}:
            changed = (*stuck[:place], token, *stuck[place + 1 :])
            assert ONE.rewards_of(torch.tensor([changed])).item() < here < best


@pytest.mark.parametrize("toy", [ONE, TWO])
def test_rewards_of_token_sequences(toy):
    generator = torch.Generator().manual_seed(3)
    tokens, _, _ = make_policy(toy).sample(50, generator)
    expected = [exact_reward(toy.space.decode(each)) for each in tokens.tolist()]
    assert toy.rewards_of(tokens).tolist() == pytest.approx(expected)
    assert torch.equal(toy.rewards_of(toy.token_sequences), toy.rewards)


@pytest.mark.parametrize("blocks", [0, 3, "one", None, True, 1.0])
def test_no_other_number_of_blocks(blocks):
    with pytest.raises(
        SettingsError, match=f"blocks must be a whole number from 1 to 2, got {blocks!r}"
    ):
        exact_toy(blocks)


def test_scores_of_two_blocks_are_refused():
    with pytest.raises(SettingsError, match="blocks=1"):
        TWO.scores(make_policy(TWO))


# --- J and its gradient -------------------------------------------------------------------------


@pytest.mark.parametrize("toy", [ONE, TWO])
def test_j_of_the_even_policy_is_the_mean_over_token_sequences(toy):
    policy = make_policy(toy, scale=0.0)
    assert toy.probabilities(policy).tolist() == pytest.approx(
        [1 / len(toy.token_sequences)] * len(toy.token_sequences)
    )
    assert toy.expected_reward(policy).item() == pytest.approx(toy.rewards.mean().item(), abs=1e-12)
    single = make_policy(toy, scale=0.0).float()
    assert toy.expected_reward(single).dtype == torch.float32
    assert toy.expected_reward(single).item() == pytest.approx(toy.rewards.mean().item(), abs=1e-6)


def test_j_of_a_policy_with_one_preference_by_hand():
    """P(left operation = identity) = 1/2, everything else even."""
    policy = make_policy(scale=0.0)
    with torch.no_grad():
        policy.head_bias[2, 0, 0] = math.log(2.0)
    left = ONE.token_sequences[:, 2]
    expected = sum(
        weight * ONE.rewards[left == token].mean().item()
        for token, weight in enumerate((0.5, 0.25, 0.25))
    )
    assert ONE.expected_reward(policy).item() == pytest.approx(expected, abs=1e-12)


def test_the_gradient_against_finite_differences():
    policy, step = make_policy(hidden=3), 1e-5
    exact = ONE.exact_gradient(policy)
    assert exact.abs().max() > 0.01
    differences = []
    with torch.no_grad():
        for parameter in policy.parameters():
            weights = parameter.view(-1)
            for place in range(len(weights)):
                old, found = weights[place].item(), []
                for sign in (1, -1):
                    weights[place] = old + sign * step
                    found.append(ONE.expected_reward(policy).item())
                weights[place] = old
                differences.append((found[0] - found[1]) / (2 * step))
    assert torch.allclose(torch.tensor(differences).double(), exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("baseline", [0.0, 0.43, 2.0])
def test_any_baseline_gives_the_exact_gradient(baseline):
    policy = make_policy()
    p, scores = ONE.probabilities(policy).detach(), ONE.scores(policy)
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
    assert (p @ scores).abs().max() < 1e-12  # why a baseline costs nothing
    mean = (p * (ONE.rewards - baseline)) @ scores
    assert torch.allclose(mean, ONE.exact_gradient(policy), rtol=0, atol=1e-12)


def spread(policy, baseline):
    p, scores = ONE.probabilities(policy).detach(), ONE.scores(policy)
    estimates = (ONE.rewards - baseline)[:, None] * scores
    return (p @ estimates.square().sum(1) - (p @ estimates).square().sum()).item()


def test_what_the_baseline_does_to_the_variance():
    """A parabola in b; J is near its lowest point, far below that of b = 0 and b = 1."""
    policy = make_policy(scale=1.0)
    p, scores = ONE.probabilities(policy).detach(), ONE.scores(policy)
    sizes = p * scores.square().sum(1)
    best = (sizes @ ONE.rewards / sizes.sum()).item()
    lowest = spread(policy, best)
    for baseline in (best - 0.2, best + 0.2):
        assert spread(policy, baseline) == pytest.approx(lowest + 0.04 * sizes.sum().item())
    average = spread(policy, ONE.expected_reward(policy).item())
    assert lowest <= average < 1.01 * lowest
    assert spread(policy, 0.0) > 3 * average and spread(policy, 1.0) > 3 * average


def step_of(controller, tokens, rewards):
    """The step up that ``update`` would take, caught and not taken."""
    caught = []
    controller.step = lambda loss: caught.append(-flat_gradient(loss, controller.policy))
    stored, _ = controller.policy.evaluate(tokens)
    controller.update(tokens, stored.detach(), rewards)
    return caught[0]


def controller(kind, policy, **changes):
    settings = {"hidden": policy.lstm.hidden_size, "entropy_weight": 0.0, **changes}
    made = kind(ONE.space, **settings)
    made.policy = policy
    return made


SIGMA = 5  #: the tests below fail for one seed in a million of a right estimator


def chi_square_sigmas(value, degrees):
    """How many sigma a chi-square number is off (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * degrees)
    return ((value / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_the_mean_and_the_spread_of_reinforces_estimates(baseline):
    """300 batches of 20, along the main axes of the exact covariance of one token sequence's
    estimate: there the errors are uncorrelated, and how large they should be is known."""
    policy, generator = make_policy(), torch.Generator().manual_seed(1)
    exact, estimates = ONE.exact_gradient(policy), []
    learner = controller(Reinforce, policy)
    for _ in range(300):
        tokens, _, _ = policy.sample(20, generator)
        learner.baseline = baseline
        estimates.append(step_of(learner, tokens, ONE.rewards_of(tokens)))
    p, scores = ONE.probabilities(policy).detach(), ONE.scores(policy)
    single = (ONE.rewards - baseline)[:, None] * scores - exact
    _, sizes, axes = torch.linalg.svd(p.sqrt()[:, None] * single, full_matrices=False)
    main = sizes > 0.1 * sizes[0]  # a hundredth of the variance; along lesser ones all is chance
    whitened = axes[main].T / sizes[main]
    degrees = int(main.sum())
    assert degrees >= 5
    errors = (torch.stack(estimates) - exact) @ whitened * math.sqrt(20)  # of variance 1 each
    of_mean = errors.mean(0) * math.sqrt(300)
    assert abs(chi_square_sigmas(of_mean.square().sum().item(), degrees)) < SIGMA
    assert of_mean.abs().max() < SIGMA
    # the squares' own spread has a part from the fourth moment of a single token sequence
    fourth = (p @ (single @ whitened).square().sum(1).square()).item()
    variance = 2 * degrees + (fourth - degrees**2 - 2 * degrees) / 20
    squares = errors.square().sum(1).mean().item()
    assert abs(squares - degrees) < SIGMA * math.sqrt(variance / 300)


@pytest.mark.parametrize("baseline", [None, 0.3])
def test_ppos_first_epoch_is_reinforces_step(baseline):
    policy = make_policy()
    tokens, _, _ = policy.sample(20, torch.Generator().manual_seed(2))
    steps = []
    for kind in (Reinforce, PPO):
        learner = controller(kind, policy)
        learner.baseline = baseline
        steps.append(step_of(learner, tokens, ONE.rewards_of(tokens)))
    assert steps[0].abs().max() > 0.01
    assert torch.allclose(*steps, rtol=0, atol=1e-12)


def climb(toy, policy, steps, rate):
    for _ in range(steps):
        gradient, place = toy.exact_gradient(policy), 0
        with torch.no_grad():
            for parameter in policy.parameters():
                part = gradient[place : place + parameter.numel()]
                parameter.add_(rate * part.view_as(parameter))
                place += parameter.numel()
    return toy.expected_reward(policy).item()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_climbing_j_reaches_the_best_cell(seed):
    """From the paper's initial weights past the two pools: the policy sees what it has decided."""
    policy = make_policy(hidden=10, scale=1.0, seed=seed)
    assert climb(ONE, policy, 300, rate=1.0) > 0.97
    top = ONE.token_sequences[ONE.probabilities(policy).argmax()].tolist()
    assert ONE.space.decode(top).key == ONE.keys[ONE.best()[0]]


def test_a_small_step_gains_the_gradient_s_square():
    policy = make_policy()
    before, gradient = ONE.expected_reward(policy).item(), ONE.exact_gradient(policy)
    gain = climb(ONE, policy, 1, rate=1e-4) - before
    assert gain == pytest.approx(1e-4 * gradient.square().sum().item(), rel=1e-3)


# --- as a table ---------------------------------------------------------------------------------


def test_a_controller_learns_on_it():
    learner = Reinforce(ONE.space, 1, learning_rate=0.01, hidden=20)
    before = ONE.expected_reward(learner.policy).item()
    for _ in range(40):
        proposals = learner.ask(20)
        rewards = ONE.rewards_of(torch.tensor([p.tokens for p in proposals])).tolist()
        learner.tell([Outcome(p, r) for p, r in zip(proposals, rewards, strict=True)])
    assert before < 0.5 and ONE.expected_reward(learner.policy).item() > 0.9


def test_a_search_runs_on_it(tmp_path):
    evaluator = TableEvaluator(TWO)
    search = Search(TWO.space, RandomSearch(TWO.space, 1), evaluator, tmp_path)
    search.run(30)
    rewards = [trial.reward for trial in search.best(30)]
    assert rewards == sorted(rewards, reverse=True) and set(rewards) <= set(TWO.mean_validation)


def test_it_travels_to_another_process():
    copy = pickle.loads(pickle.dumps(TWO))
    assert isinstance(copy, Table) and copy.digest == TWO.digest != ONE.digest
    numpy.testing.assert_array_equal(copy.test, TWO.test)
    assert torch.equal(copy.rewards, TWO.rewards)


def test_token_sequences_are_in_the_order_of_the_space():
    assert ONE.token_sequences.tolist() == [
        list(t) for t in itertools.product((0, 1), (0, 1), *[(0, 1, 2)] * 2, (0,))
    ]

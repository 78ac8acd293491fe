"""REINFORCE and PPO against the exact gradient, by enumeration of every string: no sampling.

The space has 256 strings, so the expected reward J = Σ p(string) R(string) and its gradient are
known exactly. What is tested is the code that learns: ``update`` runs, and the step down the
gradient is caught instead of taken.
"""

import itertools
import json
import math

import numpy
import pytest
import torch
from matplotlib.figure import Figure
from search_helpers import same, small_space

from nasworkbench import Search
from nasworkbench.controllers import PPO, Outcome, Proposal, Reinforce
from nasworkbench.errors import WorkbenchError
from nasworkbench.plots import draw_updates, update_rows
from nasworkbench.spaces import CellSpace

SPACE = CellSpace(1, ("conv_3x3", "identity"), ("add",))
STRINGS = torch.tensor(
    list(itertools.product(*(range(decision.choices) for decision in SPACE.decisions)))
)
REWARDS = torch.rand(len(STRINGS), dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def make(kind, **changes):
    """A controller in double precision whose policy is far from uniform."""
    settings = {"hidden": 5, "entropy_weight": 0.0, "learning_rate": 0.05, "batch_size": 20}
    controller = kind(SPACE, 1, **(settings | changes))
    controller.policy.double()
    with torch.no_grad():
        for parameter in controller.policy.parameters():
            parameter.mul_(8)
    return controller


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients])


def gradient_of(controller, value):
    return flat(torch.autograd.grad(value, list(controller.policy.parameters())))


def caught(controller, tokens, old_log_probs, rewards):
    """The gradient of the loss in each step that ``update`` would take from here."""
    gradients = []
    controller.step = lambda loss: gradients.append(gradient_of(controller, loss))
    controller.update(tokens, old_log_probs, rewards)
    del controller.step
    return gradients


def log_probs_of(controller, tokens):
    return controller.policy.evaluate(tokens)[0].detach()


def exact_gradient(controller):
    """∇ Σ p(string) R(string)."""
    log_probs, _ = controller.policy.evaluate(STRINGS)
    probabilities = log_probs.sum(1).exp()
    assert probabilities.sum().item() == pytest.approx(1.0, abs=1e-12)
    return gradient_of(controller, probabilities @ REWARDS)


def expected_estimate(controller, baseline):
    """Σ p(string) · (the estimate of ∇J that ``update`` makes from this string alone)."""
    log_probs = log_probs_of(controller, STRINGS)
    total = 0
    for number in range(len(STRINGS)):
        controller.baseline = baseline
        one = slice(number, number + 1)
        (loss_gradient,) = caught(controller, STRINGS[one], log_probs[one], REWARDS[one])
        total = total - log_probs[number].sum().exp() * loss_gradient
    return total


# --- the exact gradient -----------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [0.0, 0.5, -3.0])
@pytest.mark.parametrize(("kind", "settings"), [(Reinforce, {}), (PPO, {"epochs": 1})])
def test_the_estimator_is_unbiased_with_and_without_a_baseline(kind, settings, baseline):
    controller = make(kind, **settings)
    exact = exact_gradient(controller)
    assert exact.abs().max() > 0.01
    assert torch.allclose(expected_estimate(controller, baseline), exact, rtol=0, atol=1e-6)


def test_a_baseline_takes_variance_away():
    """Why there is one: the mean stays, the spread of the single estimates shrinks."""
    controller = make(Reinforce)
    log_probs = log_probs_of(controller, STRINGS)
    probabilities = log_probs.sum(1).exp()
    expected_reward = (probabilities @ REWARDS).item()
    exact, spread = exact_gradient(controller), {}
    for baseline in (0.0, expected_reward):
        spread[baseline] = 0.0
        for number in range(len(STRINGS)):
            controller.baseline = baseline
            one = slice(number, number + 1)
            (gradient,) = caught(controller, STRINGS[one], log_probs[one], REWARDS[one])
            spread[baseline] += probabilities[number] * (gradient + exact).square().sum()
    assert spread[expected_reward] < 0.7 * spread[0.0]


def test_a_batch_is_the_mean_of_its_estimates():
    controller = make(Reinforce)
    tokens, rewards = STRINGS[3:250:13], REWARDS[3:250:13]
    log_probs = log_probs_of(controller, tokens)
    singles = []
    for one in (slice(n, n + 1) for n in range(len(tokens))):
        controller.baseline = 0.4
        singles += caught(controller, tokens[one], log_probs[one], rewards[one])
    controller.baseline = 0.4
    (batch,) = caught(controller, tokens, log_probs, rewards)
    assert torch.allclose(batch, torch.stack(singles).mean(0), atol=1e-12)


@pytest.mark.parametrize("weight", [0.0, 0.3])
@pytest.mark.parametrize("whiten", [False, True])
def test_ppos_first_epoch_is_reinforce(weight, whiten):
    settings = {"entropy_weight": weight, "whiten_advantages": whiten}
    one, two = make(Reinforce, **settings), make(PPO, epochs=3, **settings)
    tokens, rewards = STRINGS[::11], REWARDS[::11]
    stored = log_probs_of(one, tokens)
    (expected,) = caught(one, tokens, stored, rewards)
    first, *_ = caught(two, tokens, stored, rewards)
    assert expected.abs().max() > 0.01
    assert torch.allclose(first, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kind", "settings"), [(Reinforce, {}), (PPO, {"epochs": 1})])
def test_the_entropy_bonus_climbs_the_entropy(kind, settings):
    """Rewards at the baseline teach nothing; what is left is the weight times ∇H, uphill."""
    controller = make(kind, entropy_weight=0.25, **settings)
    tokens = STRINGS[::11]
    controller.baseline = 0.6
    rewards = torch.full((len(tokens),), 0.6, dtype=torch.float64)
    (caught_gradient,) = caught(controller, tokens, log_probs_of(controller, tokens), rewards)
    log_p = controller.policy.log_distribution(tokens)
    plogp = log_p.exp() * torch.where(log_p.isinf(), 0.0, log_p)
    string_entropy = -plogp.sum((1, 2)).mean()
    expected = -0.25 * gradient_of(controller, string_entropy)
    assert expected.abs().max() > 0.001
    assert torch.allclose(caught_gradient, expected, rtol=0, atol=1e-10)


# --- the clip ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "advantage", "slope"),
    [
        (1.3, 1.0, 0.0),  # already more likely by more than the clip: no further
        (0.7, -1.0, 0.0),  # already less likely by more than the clip
        (0.7, 1.0, 1.0),  # moved the wrong way: all the gradient to come back
        (1.3, -2.0, -2.0),
        (1.1, 1.5, 1.5),  # inside the clip
        (0.9, -1.0, -1.0),
        (1.3, 0.0, 0.0),
    ],
)
def test_slope_of_the_clipped_objective(ratio, advantage, slope):
    ratios = torch.tensor([[ratio]], dtype=torch.float64, requires_grad=True)
    make(PPO, clip=0.2).loss(ratios, torch.tensor([advantage], dtype=torch.float64)).backward()
    assert ratios.grad.item() == -slope


def test_the_objective_sums_over_decisions_and_averages_over_strings():
    ratio = torch.tensor([[1.1, 1.5], [0.5, 1.0]], dtype=torch.float64)
    advantage = torch.tensor([2.0, -1.0], dtype=torch.float64)
    expected = -((1.1 * 2 + 1.2 * 2) + (-0.8 - 1.0)) / 2
    assert make(PPO, clip=0.2).loss(ratio, advantage).item() == pytest.approx(expected, abs=1e-12)


def shifted(controller, tokens, by):
    """Stored log-probabilities from which every decision's ratio is exp(by)."""
    return log_probs_of(controller, tokens) - by


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_clipped_string_moves_no_weight(sign):
    """Beyond the clip on the advantage's side: a gradient of exactly 0. On the other: not 0."""
    controller = make(PPO, epochs=1, clip=0.2)
    tokens = STRINGS[77:78]
    rewards = torch.tensor([0.5 + sign], dtype=torch.float64)
    controller.baseline = 0.5
    (beyond,) = caught(controller, tokens, shifted(controller, tokens, sign * 0.3), rewards)
    assert (beyond == 0).all()
    controller.baseline = 0.5
    (back,) = caught(controller, tokens, shifted(controller, tokens, -sign * 0.3), rewards)
    assert back.abs().max() > 0.01


def watched_ratios(controller):
    """A list that fills with the ratios of every epoch."""
    ratios, inner = [], controller.loss
    controller.loss = lambda r, advantage: ratios.append(r.detach().clone()) or inner(r, advantage)
    return ratios


def test_later_epochs_clip_and_the_first_does_not():
    controller = make(PPO, epochs=4, learning_rate=0.2)
    ratios = watched_ratios(controller)
    controller.tell([Outcome(p, float(p.tokens[0])) for p in controller.ask(20)])
    assert controller.updates == 1 and len(ratios) == 4
    fractions = [((epoch - 1).abs() > controller.clip).double().mean().item() for epoch in ratios]
    assert fractions[0] == 0.0 and min(fractions[1:]) > 0.0
    assert torch.allclose(ratios[0], torch.ones_like(ratios[0]), atol=1e-5)
    mean = sum(fractions) / 4
    assert controller.last_update["clip_fraction"] == pytest.approx(mean, abs=1e-6)
    assert controller.last_update["ratio"] == pytest.approx(ratios[-1].mean().item(), abs=1e-6)


def test_one_epoch_at_a_small_rate_clips_nothing():
    controller = make(PPO, epochs=1)
    controller.tell([Outcome(p, float(p.tokens[0])) for p in controller.ask(20)])
    assert controller.last_update["clip_fraction"] == 0.0


def test_the_ratio_is_taken_to_the_stored_log_probabilities():
    """A batch told after the policy has moved has ratios other than 1 from the first epoch on."""
    controller = make(PPO, epochs=2, learning_rate=0.2)
    early, late = controller.ask(20), controller.ask(20)
    controller.tell([Outcome(p, float(p.tokens[0])) for p in early])
    tokens = torch.tensor([p.tokens for p in late])
    stored = torch.tensor([p.log_probs for p in late], dtype=torch.float64)
    expected = (log_probs_of(controller, tokens) - stored).exp()
    assert (expected - 1).abs().max() > 0.2
    ratios = watched_ratios(controller)
    controller.tell([Outcome(p, float(p.tokens[0])) for p in late])
    assert torch.allclose(ratios[0], expected, atol=1e-5)


def test_reinforce_takes_no_notice_of_what_was_stored():
    tokens, rewards = STRINGS[::11], REWARDS[::11]
    one, two = make(Reinforce), make(Reinforce)
    (first,) = caught(one, tokens, log_probs_of(one, tokens), rewards)
    (second,) = caught(two, tokens, log_probs_of(two, tokens) - 1.0, rewards)
    assert torch.equal(first, second)


# --- the baseline -----------------------------------------------------------------------------


def told(controller, rewards):
    """Tell these rewards; the advantages that the controller learned from, per update."""
    advantages, inner = [], controller.loss
    controller.loss = lambda x, advantage: (
        advantages.append(advantage.tolist()) or inner(x, advantage)
    )
    proposals = controller.ask(len(rewards))
    controller.tell([Outcome(p, r) for p, r in zip(proposals, rewards, strict=True)])
    del controller.loss
    return advantages


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_the_baseline_by_hand(kind):
    """b <- b/2 + R/2 for each reward in turn, from the mean of the first batch."""
    settings = {"epochs": 1} if kind is PPO else {}
    controller = make(kind, batch_size=2, baseline_decay=0.5, **settings)
    assert controller.baseline is None
    assert told(controller, [1.0, 0.0]) == [[0.5, -0.5]]  # the first batch stands at its own mean
    assert controller.baseline == 0.375  # 0.5 -> 0.75 -> 0.375
    assert controller.last_update["baseline"] == 0.375
    # the second batch is measured by what the first left, and only then moves it
    assert told(controller, [0.5, 1.0, 0.25, 0.25]) == [[0.125, 0.625], [-0.46875, -0.46875]]
    assert controller.baseline == pytest.approx(((0.71875 + 0.25) / 2 + 0.25) / 2, abs=1e-12)


def test_the_papers_weight_of_the_old_value():
    controller = make(Reinforce, batch_size=1)
    told(controller, [0.5])
    told(controller, [1.0])
    assert controller.baseline == pytest.approx(0.95 * 0.5 + 0.05 * 1.0, abs=1e-12)


def test_all_epochs_share_the_advantages():
    first, *others = told(make(PPO, epochs=3, batch_size=4), [0.1, 0.9, 0.4, 0.4])
    assert others == [first, first]


def test_whitened_advantages():
    controller = make(Reinforce, batch_size=4, whiten_advantages=True)
    controller.baseline = 5.0
    (advantages,) = told(controller, [0.1, 0.9, 0.4, 0.2])
    assert sum(advantages) == pytest.approx(0.0, abs=1e-5)
    assert sum(a * a for a in advantages) / 3 == pytest.approx(1.0, abs=1e-5)
    assert sorted(advantages)[-1] == advantages[1]
    assert told(controller, [0.5] * 4) == [[0.0] * 4]  # nothing to learn, and no division by 0
    single = make(Reinforce, batch_size=1, whiten_advantages=True)
    single.baseline = 0.25
    assert told(single, [0.5]) == [[0.25]]


# --- updates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_updates_come_in_the_order_of_telling(kind):
    """Every 20 outcomes make an update, whenever and in whatever portions they are told."""
    controller, batches = make(kind, batch_size=5), []
    controller.update = lambda tokens, stored, rewards: (
        batches.append((tokens.tolist(), stored.tolist(), rewards.tolist())) or {}
    )
    proposals = controller.ask(13)[::-1]
    outcomes = [Outcome(p, p.number / 16) for p in proposals]
    for portion in (outcomes[:4], outcomes[4:5], outcomes[5:12], [], outcomes[12:]):
        controller.tell(portion)
    assert controller.updates == 2 and controller.waiting == outcomes[10:]
    for number, (tokens, stored, rewards) in enumerate(batches):
        mine = proposals[5 * number : 5 * number + 5]
        assert tokens == [list(p.tokens) for p in mine]
        assert torch.allclose(torch.tensor(stored), torch.tensor([p.log_probs for p in mine]))
        assert rewards == [p.number / 16 for p in mine]


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_an_update_records_what_it_used(kind, whiten):
    settings = {"epochs": 2} if kind is PPO else {}
    controller = make(kind, batch_size=4, whiten_advantages=whiten, **settings)
    proposals = controller.ask(8)[::-1]
    rewards = [0.1, 0.9, 0.4, 0.2, 0.3, 0.3, 1.0, 0.7]
    expected_baseline = 0.4  # the mean of the first batch, before the very first
    for batch in (slice(0, 4), slice(4, 8)):
        used, inner = [], controller.loss
        controller.loss = lambda x, a, used=used, inner=inner: used.append(a) or inner(x, a)
        controller.tell([Outcome(*o) for o in zip(proposals[batch], rewards[batch], strict=True)])
        del controller.loss
        update = json.loads(json.dumps(controller.last_update))
        assert update == controller.last_update
        assert update["numbers"] == [proposal.number for proposal in proposals[batch]]
        assert update["advantages"] == used[0].tolist()
        assert update["baseline_before"] == pytest.approx(expected_baseline, abs=1e-6)
        if not whiten:
            differences = [reward - expected_baseline for reward in rewards[batch]]
            assert update["advantages"] == pytest.approx(differences, abs=1e-6)
        assert update["baseline"] == controller.baseline
        expected_baseline = controller.baseline


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_an_update_makes_rewarded_strings_more_likely(kind):
    controller = make(kind, batch_size=2, learning_rate=0.001)
    good, bad = (tuple(STRINGS[n].tolist()) for n in (9, 200))
    before = log_probs_of(controller, torch.tensor([good, bad])).sum(1)
    stored = log_probs_of(controller, torch.tensor([good, bad])).tolist()
    proposals = [
        Proposal(n, tokens, SPACE.decode(tokens), tuple(stored[n]))
        for n, tokens in enumerate((good, bad))
    ]
    controller.tell([Outcome(proposals[0], 1.0), Outcome(proposals[1], 0.0)])
    after = log_probs_of(controller, torch.tensor([good, bad])).sum(1)
    assert after[0] > before[0] and after[1] < before[1]
    assert controller.last_update["reward"] == 0.5
    assert controller.last_update["entropy"] > 0


# --- updates that overflow ------------------------------------------------------------------------


def tell(controller, *rewards):
    proposals = controller.ask(len(rewards))
    controller.tell([Outcome(p, r) for p, r in zip(proposals, rewards, strict=True)])


def learnt(controller):
    state = controller.state_dict()
    return {name: state[name] for name in ("baseline", "policy", "moments")}


def single(kind, **changes):
    """As every search has it: in single precision."""
    return kind(SPACE, 1, **{"hidden": 5, "batch_size": 2, "learning_rate": 0.05, **changes})


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("reward", [1e25, -1e30, 3e38])
@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_an_update_that_overflows_is_taken_back(kind, reward, first):
    controller, twin = single(kind), single(kind)
    for each in () if first else (controller, twin):
        tell(each, 0.2, 0.7)
    before = learnt(controller)
    tell(controller, reward, 0.5)
    assert same(learnt(controller), before)
    update = json.loads(json.dumps(controller.last_update, allow_nan=False))
    assert update["numbers"] == [controller.asked - 2, controller.asked - 1]
    assert update["cause"] == f"taken back: a number overflowed (a reward was {reward:g})"
    assert controller.waiting == [] and controller.updates == 2 - first
    twin.ask(2)  # the two were asked and never told
    for each in (controller, twin):
        tell(each, 0.3, 0.9, 0.1, 0.4)
    assert same(learnt(controller), learnt(twin))
    assert "cause" not in controller.last_update


@pytest.mark.parametrize("reward", [1e18, 1e25, -1e30, 3.4e38])
@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_whitened_or_not_all_that_is_learnt_stays_finite(kind, reward):
    for whiten in (False, True):
        controller = single(kind, whiten_advantages=whiten, batch_size=3)
        tell(controller, reward, reward, reward, 0.5, -reward, 0.1, reward, 0.0, -reward)
        tell(controller, 0.1, 0.3, 0.2)
        tensors = [*controller.policy.parameters()]
        tensors += [t for moments in learnt(controller)["moments"] for t in moments.values()]
        assert all(tensor.isfinite().all() for tensor in tensors)
        assert math.isfinite(controller.baseline or 0.0)
        assert all(math.isfinite(x) for p in controller.ask(3) for x in p.log_probs)


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_also_after_a_state_was_loaded(kind):
    """The reward is in the state, and the update that overflows comes after the restart."""
    controller, fresh = single(kind), single(kind)
    tell(controller, 0.2, 0.7, 1e30)
    before = learnt(controller)
    fresh.load_state_dict(controller.state_dict())
    for each in (controller, fresh):
        tell(each, 0.5)
        assert each.last_update["cause"].endswith("(a reward was 1e+30)")
        assert same(learnt(each), before)
        tell(each, 0.5, 0.1)
    assert same(controller.state_dict(), fresh.state_dict())


@pytest.mark.parametrize("place", ["baseline", "policy", "moments"])
@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_a_state_that_is_not_finite_is_refused(kind, place):
    controller, fresh = single(kind), single(kind)
    tell(controller, 0.2, 0.7)
    state, before = controller.state_dict(), fresh.state_dict()
    if place == "baseline":
        state["baseline"] = math.inf
    elif place == "policy":
        state["policy"]["head_bias"][0] = math.nan
    else:
        state["moments"][0]["exp_avg"][0] = math.inf
    with pytest.raises(WorkbenchError, match=r"weights that are not finite.*start a new search"):
        fresh.load_state_dict(state)
    assert same(fresh.state_dict(), before)


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_a_search_goes_on_after_an_update_that_overflows(tmp_path, kind):
    space = small_space()
    rewards = iter([0.5, 1e30, *[0.25, 0.75] * 99])
    controller = kind(space, 1, batch_size=4, hidden=8)
    search = Search(space, controller, lambda genotype: next(rewards), tmp_path / "run")
    search.run(12)
    first, *others = search.store.updates()
    assert first["cause"].startswith("taken back") and first["numbers"] == [0, 1, 2, 3]
    assert all("cause" not in update for update in others) and len(others) == 2
    resumed = Search.resume(tmp_path / "run", lambda genotype: next(rewards))
    resumed.run(8)
    assert len(resumed.store.updates()) == 5
    assert list(resumed.trials().updates_at_tell) == [n // 4 for n in range(20)]
    rows = update_rows(resumed.store.updates())
    assert rows["entropy"].isna().tolist() == [True] + [False] * 4
    update_figure = draw_updates(rows, [Figure().add_subplot() for _ in range(3)])
    assert len(update_figure) == 3


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_updates_do_not_depend_on_what_torch_was_set_to(kind):
    plain, other = single(kind), single(kind)
    for controller in (plain, other):
        proposals = controller.ask(4)
        outcomes = [Outcome(p, p.number / 3) for p in proposals]
        if controller is plain:
            controller.tell(outcomes)
            continue
        threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
        try:
            torch.set_num_threads(2)
            torch.set_default_dtype(torch.float64)
            with torch.no_grad():
                controller.tell(outcomes)
            assert torch.get_default_dtype() == torch.float64 and torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
    assert same(plain.state_dict(), other.state_dict())


@pytest.mark.parametrize("kind", [Reinforce, PPO])
def test_choices_that_are_all_but_impossible_are_drawn_from(kind):
    """Even if numpy was told to raise at numbers that are too small for it."""
    controller = single(kind)
    with torch.no_grad():
        controller.policy.head_bias[0, 0, 0] = 200.0
    with numpy.errstate(all="raise"):
        proposals = controller.ask(20)
    assert all(proposal.distributions.min() == 0 for proposal in proposals)

"""One contract for every controller, and what is special about evolution and random search."""

import copy
import dataclasses
import json
import math
import random
from collections import Counter

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from search_helpers import same

from nasworkbench.controllers import (
    PPO,
    LSTMPolicy,
    Outcome,
    Proposal,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
)
from nasworkbench.controllers.evolution import mutate
from nasworkbench.controllers.policy import entropy, padded
from nasworkbench.errors import SettingsError, WorkbenchError
from nasworkbench.spaces import CellSpace

SPACE = CellSpace(2, ("conv_3x3", "identity", "avg_pool_3x3"), ("add",))
LEARNING = {"batch_size": 4, "hidden": 8, "learning_rate": 0.02}
SMALL = {
    RandomSearch: {},
    RegularizedEvolution: {"population": 6, "sample": 3},
    Reinforce: LEARNING,
    PPO: LEARNING | {"epochs": 2},
}
WITH_A_POLICY = [Reinforce, PPO]

TINY = CellSpace(1, ("conv_3x3", "identity"), ("add",), tied=True)  # 16 token sequences
VARIANTS = {kind.__name__: (kind, {}) for kind in SMALL} | {
    "RandomSearch over architectures": (RandomSearch, {"space": TINY, "over": "architectures"}),
    "Reinforce without repeats": (Reinforce, {"space": TINY, "no_repeats": True}),
    "PPO without repeats": (PPO, {"space": TINY, "no_repeats": True}),
}


@pytest.fixture(params=SMALL, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def make(kind, seed=0, space=SPACE, **changes):
    return kind(space, seed, **(SMALL[kind] | changes))


def reward(proposal):
    """Some fixed number in [0, 1] that depends on the tokens."""
    return sum((place + 1) * token for place, token in enumerate(proposal.tokens)) % 17 / 17


def outcomes(proposals):
    return [Outcome(proposal, reward(proposal)) for proposal in proposals]


def seen(proposals):
    return [(p.number, p.tokens, p.log_probs, p.genotype) for p in proposals]


def through_a_file(state):
    """What is left of a state after JSON with its tensors as raw bytes beside it."""
    if isinstance(state, torch.Tensor):
        array = state.numpy()
        raw = numpy.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
        return torch.from_numpy(raw.copy())
    if isinstance(state, dict):
        assert all(type(name) is str for name in state)
        return {name: through_a_file(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [through_a_file(value) for value in state]
    assert state is None or type(state) in (int, float, str, bool), state
    return json.loads(json.dumps(state))


def play(controller, moves, told_by):
    """Make ask and tell moves; outstanding proposals are told in the order that the moves say."""
    asked, outstanding = [], told_by
    for move, amount, order in moves:
        if move == "ask":
            proposals = controller.ask(amount)
            asked += proposals
            outstanding += proposals
        else:
            random.Random(order).shuffle(outstanding)
            now, outstanding[:] = outstanding[:amount], outstanding[amount:]
            controller.tell(outcomes(now))
    return asked


MOVES = st.lists(
    st.tuples(st.sampled_from(["ask", "tell"]), st.integers(1, 7), st.integers(0, 9)), max_size=12
)


# --- the contract -----------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_proposals(kind):
    moves = [("ask", 5, 0), ("tell", 3, 1), ("ask", 2, 0), ("tell", 9, 2), ("ask", 6, 0)] * 2
    one, two, other = make(kind, 3), make(kind, 3), make(kind, 4)
    torch.manual_seed(1)
    first = play(one, moves, [])
    torch.manual_seed(2)  # nobody else's generator matters
    numpy.random.seed(2)
    assert seen(play(two, moves, [])) == seen(first)
    assert same(one.state_dict(), two.state_dict())
    assert [p.tokens for p in play(other, moves, [])] != [p.tokens for p in first]


@pytest.mark.parametrize("count", [1, 3, 20, 45])
def test_proposals_are_legal_and_numbered_without_gaps(kind, count):
    controller = make(kind)
    proposals = []
    for _ in range(3):
        batch = controller.ask(count)
        assert len(batch) == count
        controller.tell(outcomes(batch))
        proposals += batch
    assert [p.number for p in proposals] == list(range(3 * count)) and controller.asked == 3 * count
    for proposal in proposals:
        assert SPACE.check(proposal.tokens) == proposal.tokens
        assert proposal.genotype == SPACE.decode(proposal.tokens)
        expected = len(proposal.tokens) if kind in WITH_A_POLICY else 0
        assert len(proposal.log_probs) == expected
        assert all(-math.inf < log_prob <= 0 for log_prob in proposal.log_probs)
        assert proposal.log_prob == math.fsum(proposal.log_probs)


def test_many_at_once_is_one_at_a_time(kind):
    one, two = make(kind), make(kind)
    told = outcomes(one.ask(11))
    assert seen(two.ask(11)) == seen([outcome.proposal for outcome in told])
    one.tell(told)
    for outcome in told:
        two.tell(iter([outcome]))
    one.tell([])
    assert same(one.state_dict(), two.state_dict())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(before=MOVES, counts=st.lists(st.integers(1, 9), min_size=1, max_size=4))
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_of_proposals_is_as_many_single_ones(variant, before, counts):
    """The draw of a proposal follows from its number, and not from what it is asked with."""
    kind, changes = VARIANTS[variant]
    many, single = make(kind, 5, **changes), make(kind, 5, **changes)
    for controller in (many, single):
        play(controller, before, [])
    batches = [proposal for count in counts for proposal in many.ask(count)]
    ones = [proposal for _ in batches for proposal in single.ask()]
    assert [(p.number, p.tokens) for p in batches] == [(p.number, p.tokens) for p in ones]
    assert numpy.allclose(
        [p.log_probs for p in batches], [p.log_probs for p in ones], rtol=0, atol=1e-5
    )
    assert many.state_dict().get("known") == single.state_dict().get("known")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(before=MOVES, since=MOVES, after=MOVES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_older_state_catches_up(variant, before, since, after):
    """Proposals made since are not made again, and what was told since is told again."""
    kind, changes = VARIANTS[variant]
    original, outstanding, told = make(kind, 5, **changes), [], []
    play(original, before, outstanding)
    state = through_a_file(original.state_dict())
    tell = original.tell
    original.tell = lambda outcomes: told.extend(outcomes) or tell(outcomes)
    proposals = play(original, since, outstanding)
    del original.tell
    resumed = make(kind, 5, **changes)
    resumed.load_state_dict(state)
    resumed.proposed_since(proposals)
    for outcome in told:
        resumed.tell([outcome])
    assert same(resumed.state_dict(), original.state_dict())
    assert resumed.asked == original.asked
    results = [
        seen(play(controller, after, list(outstanding)) + controller.ask(3))
        for controller in (original, resumed)
    ]
    assert results[0] == results[1]
    assert same(resumed.state_dict(), original.state_dict())


def test_the_random_numbers_of_a_proposal_follow_from_the_seed_and_its_number(kind):
    """In whatever order they are asked for; all others are other numbers."""
    controller = make(kind, 3)
    places = [(number, tries) for number in (0, 1, 2, 10**6) for tries in (0, 1, 2)]
    first = {place: controller.generator(*place).integers(2**63, size=50) for place in places}
    for place in reversed(places):
        again = make(kind, 3).generator(*place)
        again.random(7)
        again = controller.generator(*place)
        assert (again.integers(2**63, size=50) == first[place]).all()
    seeds = (0, 1, 2**32, 2**32 + 3, 2**63 - 1)
    others = [make(kind, seed).generator(0).integers(2**63, size=50) for seed in seeds]
    numbers = numpy.concatenate([*first.values(), *others])
    assert len(numpy.unique(numbers)) == len(numbers) == 50 * (12 + 5)


def test_neighbours_have_independent_random_numbers():
    """As even as random numbers are, in a column of proposals as in one proposal."""
    controller = make(RandomSearch, 11)
    uniform = numpy.stack([controller.generator(number).random(40) for number in range(2000)])
    for column in uniform.T:
        assert stats.kstest(column, stats.uniform.cdf).pvalue > 1e-4
    pairs = numpy.floor(10 * numpy.stack([uniform[:-1], uniform[1:]])).astype(int)
    counts = numpy.bincount((10 * pairs[0] + pairs[1]).ravel(), minlength=100)
    assert stats.chisquare(counts).pvalue > 1e-3


@settings(max_examples=60, deadline=None, derandomize=True)
@given(moves=MOVES)
@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
def test_tells_may_be_late_and_in_any_order(kind, moves):
    controller, outstanding = make(kind), []
    play(controller, moves, outstanding)
    play(controller, [("tell", len(outstanding), 5)], outstanding)
    if kind in WITH_A_POLICY:
        assert all(torch.isfinite(p).all() for p in controller.policy.parameters())
        assert controller.updates == controller.asked // 4
        assert len(controller.waiting) == controller.asked % 4
    assert len(seen(controller.ask(2))) == 2


@settings(max_examples=60, deadline=None, derandomize=True)
@given(before=MOVES, after=MOVES)
@pytest.mark.parametrize("kind", SMALL, ids=lambda kind: kind.__name__)
def test_a_stored_state_goes_on_exactly(kind, before, after):
    """Also in the middle of a batch, and with proposals that are still out."""
    original, outstanding = make(kind, 5), []
    play(original, before, outstanding)
    state = through_a_file(original.state_dict())
    assert same(state, original.state_dict())
    fresh = make(kind, 5)
    fresh.load_state_dict(state)
    assert same(fresh.state_dict(), original.state_dict())
    assert fresh.last_update == original.last_update
    for controller in (original, fresh):
        controller.result = seen(play(controller, after, list(outstanding)) + controller.ask(3))
    assert fresh.result == original.result
    assert same(fresh.state_dict(), original.state_dict())


def test_a_state_is_a_copy(kind):
    """Searching on, here or with a controller that took the state, changes neither."""
    original = make(kind)
    original.tell(outcomes(original.ask(9)))
    state = original.state_dict()
    stored = through_a_file(state)
    fresh = make(kind)
    fresh.load_state_dict(state)
    fresh.tell(outcomes(fresh.ask(20)))
    assert same(original.state_dict(), stored)
    original.tell(outcomes(original.ask(20)))
    assert same(original.state_dict(), fresh.state_dict())
    assert same(state, stored)
    fresh.load_state_dict(state)
    assert same(fresh.state_dict(), stored)


@pytest.mark.parametrize("low", [0.0, -1.0, 0])
def test_failures_are_told_as_a_low_reward(kind, low):
    controller = make(kind)
    for _ in range(3):
        proposals = controller.ask(8)
        controller.tell([Outcome(p, low) for p in proposals])
    controller.tell(outcomes(controller.ask(8)))
    for proposal in controller.ask(20):
        SPACE.check(proposal.tokens)
        assert all(map(math.isfinite, proposal.log_probs))


@pytest.mark.parametrize(
    "wrong", [math.nan, math.inf, -math.inf, None, "0.5", torch.tensor(math.nan), True]
)
def test_a_reward_is_a_finite_number(wrong):
    (proposal,) = make(RandomSearch).ask()
    with pytest.raises(
        WorkbenchError, match=r"proposal 0: the reward .*low.* must be a finite number"
    ):
        Outcome(proposal, wrong)


def strangers(kind):
    """Proposals that this controller cannot have made."""
    (mine,) = make(kind).ask()
    longer = make(kind, space=CellSpace(3, SPACE.operations, ("add",)))
    wider = make(kind, space=CellSpace(2, combinations=("add",)))
    yield longer.ask(1)[0], "one token per decision"
    yield next(p for p in wider.ask(50) if max(p.tokens) > 2), "is out of range"
    if kind in WITH_A_POLICY:
        yield Proposal(0, mine.tokens, mine.genotype), "0 stored log-probabilities for 20 tokens"
        nan = (*mine.log_probs[:-1], math.nan)
        yield Proposal(0, mine.tokens, mine.genotype, nan), "not finite"


def test_proposals_of_another_space_are_refused_and_nothing_is_taken(kind):
    for stranger, message in strangers(kind):
        controller = make(kind)
        good = outcomes(controller.ask(5))
        before = through_a_file(controller.state_dict())
        with pytest.raises(WorkbenchError, match="is not one of this controller's: ") as raised:
            controller.tell([*good, Outcome(stranger, 0.5)])
        assert message in str(raised.value) and f"proposal {stranger.number}" in str(raised.value)
        assert same(controller.state_dict(), before)
        controller.tell(good)


def test_settings_build_the_controller_again(kind):
    controller = make(kind, 9)
    stored = json.loads(json.dumps(controller.settings()))
    again = kind(SPACE, **stored)
    assert again.settings() == controller.settings()
    assert stored.items() >= (SMALL[kind] | {"seed": 9}).items()
    assert seen(again.ask(7)) == seen(controller.ask(7))
    assert repr(again) == repr(controller)
    assert repr(controller).startswith(f"{kind.__name__}(seed=9")


def test_settings_are_all_the_arguments(kind):
    """A setting that is not stored would be lost when a search is resumed."""
    arguments = {"seed"}
    for cls in kind.__mro__:
        code = getattr(cls.__init__, "__code__", None)
        if code is not None:
            arguments.update(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
    assert set(make(kind).settings()) == arguments - {"space", "policy"}


@pytest.mark.parametrize("count", [0, -1, 2.0, True, None, "3"])
def test_asking_for_no_number_is_refused(kind, count):
    controller = make(kind)
    with pytest.raises(SettingsError, match=r"count must be a whole number from 1, got"):
        controller.ask(count)
    assert controller.asked == 0


WRONG = {
    RandomSearch: [("seed", -1), ("seed", 1.5), ("seed", "0"), ("seed", 2**63), ("seed", None)],
    RegularizedEvolution: [
        ("population", 0),
        ("sample", 0),
        ("sample", 2.5),
        ("identity", -0.1),
        ("identity", 1.1),
        ("identity", "no"),
    ],
    Reinforce: [
        ("learning_rate", -0.1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "0.1"),
        ("learning_rate", True),
        ("batch_size", 0),
        ("batch_size", 20.0),
        ("entropy_weight", -1),
        ("baseline_decay", 1.5),
        ("whiten_advantages", "yes"),
        ("whiten_advantages", 1),
        ("hidden", 0),
    ],
    PPO: [("clip", -0.2), ("clip", None), ("epochs", 0), ("epochs", 1.0), ("batch_size", -20)],
}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [(kind, *wrong) for kind, many in WRONG.items() for wrong in many],
)
def test_a_setting_out_of_range_is_named(kind, name, value):
    with pytest.raises(SettingsError) as raised:
        kind(SPACE, **(SMALL[kind] | {name: value}))
    assert str(raised.value).startswith(f"{name} must be")
    assert repr(value) in str(raised.value)


def test_whole_numbers_do_as_numbers():
    assert make(Reinforce, learning_rate=0, entropy_weight=1).settings()["entropy_weight"] == 1.0


# --- distributions ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WITH_A_POLICY)
def test_proposals_carry_the_distributions_they_were_drawn_from(kind):
    controller = make(kind)
    choices = [decision.choices for decision in SPACE.decisions]
    for _ in range(3):  # the policy that drew them, whatever it has learnt since
        proposals = controller.ask(5)
        tokens = torch.tensor([proposal.tokens for proposal in proposals])
        expected = controller.policy.log_distribution(tokens).exp().detach().numpy()
        for proposal, probabilities in zip(proposals, expected, strict=True):
            flat = proposal.distributions
            assert flat.dtype == numpy.float16 and flat.shape == (sum(choices),)
            rows = padded(flat, choices)
            assert numpy.allclose(rows, probabilities, rtol=1e-3, atol=1e-6)
            drawn = numpy.log(rows[range(len(choices)), proposal.tokens])
            assert numpy.allclose(drawn, proposal.log_probs, rtol=0, atol=1e-3)
        controller.tell(outcomes(proposals))


@pytest.mark.parametrize("kind", [RandomSearch, RegularizedEvolution])
def test_without_a_policy_there_are_no_distributions(kind):
    assert make(kind).ask(3)[2].distributions is None


def test_distributions_are_not_part_of_what_a_proposal_is():
    (proposal,) = make(PPO).ask()
    bare = dataclasses.replace(proposal, distributions=None)
    assert bare == proposal and hash(bare) == hash(proposal)
    assert "distributions" not in repr(proposal)


# --- a policy of one's own --------------------------------------------------------------------


class Even(torch.nn.Module):
    """A policy without an LSTM: one softmax for each decision."""

    def __init__(self, choices):
        super().__init__()
        self.choices = tuple(choices)
        self.bias = torch.nn.ParameterList(torch.zeros(count) for count in choices)

    def log_distribution(self, tokens):
        rows = torch.full((len(tokens), len(self.choices), max(self.choices)), -math.inf)
        for step, bias in enumerate(self.bias):
            rows[:, step, : len(bias)] = bias.log_softmax(0)
        return rows

    def evaluate(self, tokens):
        rows = self.log_distribution(tokens)
        return rows.gather(-1, tokens[..., None])[..., 0], entropy(rows)

    @torch.no_grad()
    def draw(self, uniform, heat=1.0):
        rows = (self.log_distribution(uniform) / heat).log_softmax(-1)
        tokens = (rows.exp().cumsum(-1) < uniform[..., :1]).sum(-1)
        return tokens, rows.gather(-1, tokens[..., None])[..., 0], rows


@pytest.mark.parametrize("kind", WITH_A_POLICY)
def test_a_policy_can_be_passed(kind):
    choices = [decision.choices for decision in SPACE.decisions]
    controller = make(kind, policy=Even(choices), learning_rate=0.2)
    told = []
    for _ in range(30):
        proposals = controller.ask(4)
        told += [Outcome(p, float(p.tokens[2] == 1)) for p in proposals]
        controller.tell(told[-4:])
    assert controller.updates == 30
    rewards = [outcome.reward for outcome in told]
    assert sum(rewards[-40:]) > 35 and sum(rewards[:20]) < 15
    assert controller.settings()["policy"] == "Even"
    resumed = make(kind, policy=Even(choices), learning_rate=0.2)
    resumed.load_state_dict(through_a_file(controller.state_dict()))
    assert seen(resumed.ask(6)) == seen(controller.ask(6))


def test_its_own_temperature_is_left_to_a_policy():
    choices = tuple(decision.choices for decision in TINY.decisions)
    policy = LSTMPolicy(choices, 8, torch.Generator().manual_seed(0), temperature=0.5)
    expected = copy.deepcopy(policy)
    proposals = PPO(TINY, no_repeats=True, policy=policy).ask(12)
    assert policy.temperature == 0.5
    (log_prob, _) = expected.evaluate(torch.tensor([proposals[0].tokens]))
    assert numpy.allclose(proposals[0].log_probs, log_prob.detach()[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("policy", ["Even", LSTMPolicy((2, 3)), torch.nn.Linear(2, 3)])
def test_a_policy_of_another_space_is_refused(policy):
    """The name, too, that the settings hold: a search with it cannot be built again from them."""
    with pytest.raises(SettingsError, match=r"policy must be .* 20 decisions .*controller=\.\.\."):
        make(PPO, policy=policy)


# --- what the paper says ----------------------------------------------------------------------


def test_the_papers_settings_are_the_defaults():
    """NASNet, appendix A.2, and Real et al. for evolution; the rest is marked in the docstrings."""
    assert PPO(SPACE).settings() == {
        "seed": 0,
        "learning_rate": 0.00035,
        "batch_size": 20,
        "entropy_weight": 0.00001,
        "baseline_decay": 0.95,
        "whiten_advantages": False,
        "hidden": 100,
        "no_repeats": False,
        "clip": 0.2,
        "epochs": 4,
    }
    assert RegularizedEvolution(SPACE).settings() == {
        "seed": 0,
        "population": 100,
        "sample": 25,
        "identity": 0.05,
    }


# --- random search ----------------------------------------------------------------------------


def test_random_search_draws_what_the_space_draws():
    controller = make(RandomSearch, 2)
    asked = controller.ask(30)
    expected = [SPACE.sample_tokens(controller.generator(number)) for number in range(30)]
    assert [p.tokens for p in asked] == expected and len(set(expected)) == 30
    controller.tell(outcomes(asked))
    assert controller.last_update is None


# --- evolution --------------------------------------------------------------------------------


def differences(child, parent):
    return [place for place, pair in enumerate(zip(child, parent, strict=True)) if len({*pair}) > 1]


def test_evolution_starts_with_a_random_population():
    evolution, baseline = make(RegularizedEvolution, 8), make(RandomSearch, 8)
    for _ in range(6):  # told at once or not
        (proposal,) = evolution.ask()
        assert proposal.tokens == baseline.ask()[0].tokens
        evolution.tell(outcomes([proposal]))
    asked_ahead = make(RegularizedEvolution, 8).ask(10)  # nothing told: there is nobody to mutate
    baseline = make(RandomSearch, 8)
    assert [p.tokens for p in asked_ahead] == [p.tokens for p in baseline.ask(10)]


def test_a_child_has_one_other_decision_and_kinds_are_equally_likely():
    space = CellSpace(2, SPACE.operations, ("add", "concat"))
    evolution = RegularizedEvolution(space, 0, population=1, sample=1, identity=0.0)
    (parent,) = evolution.ask()
    evolution.tell(outcomes([parent]))
    kinds, values = Counter(), Counter()
    for child in evolution.ask(600):
        (place,) = differences(child.tokens, parent.tokens)
        kinds[space.decisions[place].kind] += 1
        values[place, child.tokens[place]] += 1
    assert set(kinds) == {"hidden_state", "operation", "combination"}
    assert all(abs(count - 200) < 4 * math.sqrt(600 * 2 / 9) for count in kinds.values())
    others = sum(decision.choices - 1 for decision in space.decisions)
    assert len(values) == others  # every other value of every decision


def test_a_mutation_changes_one_decision():
    space = CellSpace(2, SPACE.operations, ("add", "concat"))
    rng = numpy.random.default_rng(4)
    parent = space.sample_tokens(rng)
    children = Counter(mutate(parent, space, rng) for _ in range(6000))
    kinds = Counter()
    for child, count in children.items():
        assert space.check(child) == child
        (place,) = differences(child, parent)
        kinds[space.decisions[place].kind] += count
    assert stats.chisquare(list(kinds.values())).pvalue > 1e-3 and len(kinds) == 3
    assert len(children) == sum(decision.choices - 1 for decision in space.decisions)
    again = [mutate(parent, space, numpy.random.default_rng(9)) for _ in range(2)]
    assert again[0] == again[1]
    alone = CellSpace(1, ("identity",), ("add",), inputs=1)
    assert mutate((0,) * 10, alone, rng) == (0,) * 10  # there is nothing to change


def test_decisions_without_a_choice_are_never_mutated():
    evolution = RegularizedEvolution(SPACE, 0, population=1, sample=1, identity=0.0)
    (parent,) = evolution.ask()
    evolution.tell(outcomes([parent]))
    places = {differences(p.tokens, parent.tokens)[0] for p in evolution.ask(200)}
    assert places == {place for place, d in enumerate(SPACE.decisions) if d.choices > 1}


def test_identity_copies_the_parent():
    for identity, low, high in ((1.0, 400, 400), (0.05, 5, 45)):
        evolution = RegularizedEvolution(SPACE, 1, population=1, sample=1, identity=identity)
        (parent,) = evolution.ask()
        evolution.tell(outcomes([parent]))
        copies = sum(child.tokens == parent.tokens for child in evolution.ask(400))
        assert low <= copies <= high


def test_a_space_without_any_choice_has_only_copies():
    alone = CellSpace(1, ("identity",), ("add",), inputs=1)
    evolution = RegularizedEvolution(alone, 0, population=1)
    evolution.tell([Outcome(p, 0.5) for p in evolution.ask(2)])
    assert {p.tokens for p in evolution.ask(5)} == {(0,) * 10}


def test_the_best_of_the_tournament_is_the_parent():
    evolution = RegularizedEvolution(SPACE, 0, population=5, sample=200, identity=1.0)
    proposals = evolution.ask(5)
    evolution.tell([Outcome(p, 1.0 if p.number == 3 else 0.1) for p in proposals])
    assert {p.tokens for p in evolution.ask(10)} == {proposals[3].tokens}


def test_the_oldest_dies_however_good():
    evolution = RegularizedEvolution(SPACE, 0, population=5, sample=200, identity=1.0)
    proposals = evolution.ask(5)
    evolution.tell([Outcome(p, 1.0 - p.number / 10) for p in proposals])
    late = make(RandomSearch, 77).ask(3)
    for number, proposal in enumerate(late, start=1):
        evolution.tell([Outcome(proposal, 0.0)])
        assert len(evolution.members) == 5
        assert evolution.ask()[0].tokens == proposals[number].tokens  # the best that is left
    assert [tokens for tokens, _ in evolution.members][-3:] == [p.tokens for p in late]

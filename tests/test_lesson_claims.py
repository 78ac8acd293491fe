"""What the lessons claim, derived from the recorded experiments: nothing is run here."""

import numpy
import pytest

from nasworkbench import tables
from nasworkbench.comparison.bootstrap import bootstrap_mean
from nasworkbench.recordings import experiment


def decided(name, better, worse, at):
    """Asserts that one variant is ahead of another at a point: the 95 % interval of their paired
    difference holds no zero."""
    recorded = experiment(name)
    mean, low, high = recorded.difference(better, worse, at)
    assert len(recorded.at(better, at)) >= 30
    if recorded.about["more_is_better"]:
        assert low > 0, (mean, low, high)
    else:
        assert high < 0, (mean, low, high)


def undecided(name, a, b, at):
    _, low, high = experiment(name).difference(a, b, at)
    assert low <= 0 <= high


def below(name, variant, value, at):
    """How many seeds of a hundred end below a value."""
    values = experiment(name).at(variant, at)
    assert len(values) == 100
    return int((values < value).sum())


# --- lesson 00: two hundred proposals -------------------------------------------------------------


def test_random_search_is_among_the_best_hundred_too():
    assert below("two-hundred", "random search", 101, 200) == 99
    table = tables.load("cells")
    space = table.space
    rows = [table.row(key) for key in space.unique.keys]
    share = numpy.array(space.unique.token_sequences) / space.size
    hundred = share[table.ranks[rows] <= 100].sum()
    assert hundred == pytest.approx(0.0272, abs=5e-5)
    assert (1 - hundred) ** 200 == pytest.approx(0.004, abs=5e-5)


def test_the_rank_of_ppo_is_lower_on_average():
    decided("two-hundred", "tuned PPO", "random search", 200)
    interval = experiment("two-hundred").difference("tuned PPO", "random search", 200)
    assert interval == pytest.approx((-19, -24, -15), abs=0.5)
    firsts = [below("two-hundred", name, 2, 200) for name in ("tuned PPO", "random search")]
    assert firsts == [60, 7]


# --- lesson 04: REINFORCE on the exact toy --------------------------------------------------------


def test_the_largest_rate_leads_at_first_and_ends_lower():
    decided("reinforce", "learning rate 0.1", "correct", 16)
    decided("reinforce", "correct", "learning rate 0.1", 60)
    assert below("reinforce", "learning rate 0.1", 0.9, 60) == 30
    stuck = abs(experiment("reinforce").at("learning rate 0.1", 60) - 0.595) < 0.01
    assert stuck.sum() == 18
    assert below("reinforce", "correct", 0.9, 60) == 8


def test_the_papers_rate_barely_moves():
    values = experiment("reinforce").values("learning rate 0.00035")
    assert abs(values[:, -1] - values[:, 0]).max() < 0.01


def test_entropy_costs_reward_and_rescues_a_rate_that_is_too_high():
    for weight in ("entropy 0.1", "entropy 0.3"):
        decided("reinforce", "correct", weight, 60)
    assert experiment("reinforce").at("entropy 0.3", 60).mean() == pytest.approx(0.69, abs=0.005)
    decided("reinforce", "entropy 0.1, learning rate 0.1", "learning rate 0.1", 60)
    assert below("reinforce", "entropy 0.1, learning rate 0.1", 0.9, 60) == 0


def test_which_mistakes_do_harm_and_which_do_not():
    harmful = ("0.94 on the first two", "10 on the first two", "wrong sign")
    for mistake in harmful:
        decided("reinforce", "correct", mistake, 60)
    for harmless in ("baseline moved first", "mean of decisions"):
        undecided("reinforce", harmless, "correct", 60)
    decided("reinforce", "entropy 0.1", "mean of decisions, entropy 0.1", 60)
    assert below("reinforce", "0.94 on the first two", 0.9, 60) == 53
    assert (abs(experiment("reinforce").at("10 on the first two", 60) - 0.595) < 0.001).all()


def test_without_a_baseline_it_climbs_later_and_gets_as_far():
    decided("reinforce", "correct", "no baseline", 16)
    undecided("reinforce", "correct", "no baseline", 60)


# --- lesson 05: the clip --------------------------------------------------------------------------


def rise(variant):
    values = experiment("clip").values(variant)
    return values - values[:, :1]


def test_with_a_clip_every_seed_climbs_for_a_dozen_epochs_then_nearly_stops():
    clipped = rise("clip 0.2")
    assert (clipped[:, 4:] > 0).all()
    early, late = clipped[:, 12].mean() / 12, (clipped[:, 40] - clipped[:, 20]).mean() / 20
    assert late < early / 5


def test_without_a_clip_the_mean_is_higher_and_the_spread_wider():
    decided("clip", "no clip", "clip 0.2", 40)
    mean, _, _ = experiment("clip").difference("no clip", "clip 0.2", 40)
    assert mean == pytest.approx(0.18, abs=0.005)
    spread = [rise(variant)[:, 40].std() for variant in ("clip 0.2", "no clip")]
    assert spread == pytest.approx([0.06, 0.24], abs=0.005)
    fell = [(rise(variant)[:, 4] < 0).mean() for variant in ("clip 0.2", "no clip")]
    assert fell == [0, 0.26]
    worst, best = numpy.sort(experiment("clip").at("no clip", 40))[[0, -1]]
    assert worst < 0.1
    assert best > 0.99


def test_recomputed_every_sixth_seed_ends_below_its_start():
    assert 1 / 7 < (rise("recomputed")[:, 40] < 0).mean() < 1 / 5


# --- lesson 07: proposals in flight ---------------------------------------------------------------


def test_with_proposals_in_flight_reinforce_is_ahead_of_ppo():
    undecided("delay", "PPO", "REINFORCE", 1)
    for in_flight in (5, 20, 50, 100, 200):
        decided("delay", "REINFORCE", "PPO", in_flight)
    means = [experiment("delay").at(name, 200).mean() for name in ("REINFORCE", "PPO")]
    assert [round(mean) for mean in means] == [4, 9]


@pytest.mark.parametrize("name", ["PPO", "REINFORCE"])
def test_many_proposals_in_flight_cost_rank(name):
    delay = experiment("delay")
    assert len(delay.values(name)) >= 30
    for in_flight in (5, 20, 50, 100, 200):
        _, low, high = bootstrap_mean(delay.at(name, in_flight) - delay.at(name, 1))
        assert low > 0 if in_flight >= 50 else low <= 0 <= high

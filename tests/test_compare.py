"""``compare`` and its numbers: exact expectations, a naive second version, interruptions."""

import functools
import itertools
import json
import math
import re

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasworkbench import tables
from nasworkbench.comparison import MEASURES, MINIMA, Comparison, Run, bootstrap_mean, compare
from nasworkbench.controllers import PPO, Controller, RandomSearch, RegularizedEvolution, Reinforce
from nasworkbench.errors import SettingsError, StoreError, TableError, WorkbenchError
from nasworkbench.executors import ProcessExecutor
from nasworkbench.spaces import CellSpace
from nasworkbench.tables import Table, TableEvaluator

OPERATIONS = ("identity", "avg_pool_3x3", "conv_1x1")
SMALL = CellSpace(
    1, OPERATIONS[:2], ("add",), tied=True
)  # 16 token sequences, 10 unique architectures
SPACE = CellSpace(2, OPERATIONS[:2], ("add",), tied=True)  # 576 token sequences
over_architectures = functools.partial(RandomSearch, over="architectures")


def make_table(space=SPACE, rows=None, seeds=1, seed=0, digits=16):
    """Made-up accuracies, all different unless they are rounded."""
    unique = space.unique
    kept = range(len(unique)) if rows is None else rows
    values = numpy.random.default_rng(seed).random((2, len(kept), seeds)).round(digits)
    return Table(
        "made up",
        space,
        numpy.array([unique.tokens[row] for row in kept]),
        tuple(unique.keys[row] for row in kept),
        values[0],
        values[1].copy,
        info={"complete": rows is None},
    )


TABLE = make_table()
EVALUATOR = TableEvaluator(TABLE)


class Scripted(Controller):
    """Proposes rows of the table as it is told to, again and again; keeps what it learns."""

    def __init__(self, space, seed=0, script=(0,), table=TABLE, batch_size=1):
        super().__init__(space, seed)
        self.token_sequences = [tuple(table.tokens[row].tolist()) for row in script]
        self.script, self.batch_size, self.outcomes = list(script), batch_size, []

    def _draw(self, numbers):
        count = len(self.token_sequences)
        return [self.proposal(n, self.token_sequences[n % count]) for n in numbers]

    def _learn(self, outcomes):
        self.outcomes += [(outcome.proposal.number, outcome.reward) for outcome in outcomes]

    def settings(self):
        return {"seed": self.seed, "script": self.script}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        """Nothing is kept."""


class Failing(Scripted):
    """Falls over with some seeds."""

    fails_with = (1,)
    error: type[BaseException] = ValueError

    def _learn(self, outcomes):
        if self.seed in self.fails_with:
            raise self.error("out of ideas")


def scripted(*script, **settings):
    return functools.partial(Scripted, script=script, **settings)


def run_here(controllers, evaluator=EVALUATOR, budget=20, seeds=3, **settings):
    settings = {"workers": 1, "progress": False} | settings
    return compare(controllers, evaluator.table.space, evaluator, budget, seeds, **settings)


# --- exact expectations ---------------------------------------------------------------------------


def within(values, expected, errors=4.0):
    """The mean lies within so many standard errors of what is expected."""
    values = numpy.asarray(values, float)
    error = values.std(ddof=1) / math.sqrt(len(values))
    return abs(values.mean() - expected) <= errors * error


def test_random_over_architectures_finds_what_chance_says():
    """n different ones out of N, drawn evenly: order statistics, hypergeometric, coupons."""
    comparison = run_here({"architectures": over_architectures}, budget=60, seeds=300)
    total, leading = len(TABLE), math.ceil(len(TABLE) / 100)
    rows = comparison.rows([1, 5, 20, 60])
    for n, own in rows.groupby("evaluations"):
        assert within(own["rank"], (total + 1) / (n + 1))
        assert within(own["top"], 1 - math.comb(total - leading, n) / math.comb(total, n))
        if n > 1:
            assert within(own["samples"], sum(total / (total - known) for known in range(n)))
    assert set(rows[rows["evaluations"] == 1]["samples"]) == {1}


def test_random_over_sequences_finds_what_the_sequences_say():
    """Every order of three architectures by hand: one with more sequences comes earlier."""
    table = make_table(SMALL)
    weights, ranks = SMALL.unique.token_sequences, table.ranks
    assert len(set(weights)) > 1
    expected, best = dict.fromkeys((1, 2, 3), 0.0), dict.fromkeys((1, 2, 3), 0.0)
    for order in itertools.permutations(range(len(table)), 3):
        chance, left = 1.0, sum(weights)
        for row in order:
            chance *= weights[row] / left
            left -= weights[row]
        for n in expected:
            expected[n] += chance * min(ranks[row] for row in order[:n])
            best[n] += chance * (1 in [ranks[row] for row in order[:n]])
    rows = run_here({"sequences": RandomSearch}, TableEvaluator(table), 3, 2000).rows([1, 2, 3])
    even = [(len(table) + 1) / (n + 1) for n in expected]
    assert max(abs(expected[n] - even[n - 1]) for n in expected) > 0.1  # not over architectures
    for n, own in rows.groupby("evaluations"):
        assert within(own["rank"], expected[n])
        assert within(own["top"], best[n])


def test_the_interval_covers():
    """Thirty skewed values, as ranks are: the true mean lies inside about as often as it says."""
    generator = numpy.random.default_rng(0)
    hits = 0
    for repeat in range(400):
        values = generator.exponential(1.0, 30) - generator.exponential(1.0, 30)
        _, low, high = bootstrap_mean(values, resamples=1000, seed=repeat)
        hits += low <= 0 <= high
    assert 0.90 <= hits / 400 <= 0.97


def test_the_interval_is_that_of_all_resamples():
    """Three values: 27 resamples, each as likely."""
    values = numpy.array([0.0, 3.0, 9.0])
    every = sorted(numpy.mean(drawn) for drawn in itertools.product(values, repeat=3))
    mean, low, high = bootstrap_mean(values)
    assert (mean, low, high) == (4.0, every[0], every[-1])  # 1 in 27 is more than 2.5 %
    assert bootstrap_mean(numpy.array([2.0, 2.0])) == (2.0, 2.0, 2.0)
    mean, *interval = bootstrap_mean(numpy.array([0.5]))
    assert mean == 0.5 and all(map(math.isnan, interval))


# --- rows, a second time ----------------------------------------------------------------------


@st.composite
def comparisons(draw):
    """Runs of any length on a table with equal accuracies in it, read with noise or without."""
    table = make_table(
        SMALL, seeds=draw(st.integers(1, 3)), seed=draw(st.integers(0, 99)), digits=1
    )
    budget, runs = draw(st.integers(1, 10)), []
    for name, seed in itertools.product("ab", draw(st.sets(st.integers(0, 99), min_size=1))):
        length = draw(st.integers(1, budget))
        found = draw(st.permutations(range(len(table))))[:length]
        at = numpy.cumsum(draw(st.lists(st.integers(1, 5), min_size=length, max_size=length)))
        samples = int(at[-1]) + draw(st.integers(0, 5))
        runs.append(Run(name, seed, found, at.tolist(), samples, []))
    at = draw(st.lists(st.integers(1, budget), min_size=1, unique=True))
    return Comparison(TableEvaluator(table, average=draw(st.booleans())), budget, runs), sorted(at)


def naive(comparison, run, evaluations):
    """The same row, one evaluation at a time."""
    table, average = comparison.evaluator.table, comparison.evaluator.average
    validation, test = table.validation.mean(1), table.test.mean(1)
    draws = numpy.random.default_rng([run.seed, 1]).integers(2**31, size=len(table))
    best, best_reward, regrets = None, -1.0, []
    for number in range(evaluations):
        if number < len(run.rows):
            row = run.rows[number]
            seen = table.validation[row, draws[row] % table.seeds]
            reward = round(validation[row], 12) if average else seen
            if reward > best_reward:
                best, best_reward = row, reward
        regrets.append(max(validation) - validation[best])
    better = sum(round(other - validation[best], 9) > 0 for other in validation)
    return {
        "controller": run.controller,
        "seed": run.seed,
        "evaluations": evaluations,
        "samples": run.at[evaluations - 1] if evaluations <= len(run.at) else run.samples,
        "validation": validation[best],
        "rank": 1 + better,
        "validation_regret": regrets[-1],
        "test_regret": max(test) - test[best],
        "top": 1.0 if better < 1 else 0.0,  # the best 1 % of ten cells is one cell, or its equals
        "area": sum(regrets) / len(regrets),
    }


@settings(max_examples=60, deadline=None)
@given(comparisons())
def test_rows_against_a_naive_implementation(drawn):
    comparison, at = drawn
    expected = [naive(comparison, run, n) for run in comparison.runs for n in at]
    rows = comparison.rows(at)
    assert list(rows.columns) == list(expected[0])
    for found, wanted in zip(rows.to_dict("records"), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-9)


def test_by_samples_known_architectures_count_again():
    order = numpy.argsort(TABLE.mean_validation)
    worst, middle, best = (int(order[place]) for place in (0, len(order) // 2, -1))
    script = (worst, worst, worst, middle, worst, best)
    comparison = run_here({"a": scripted(*script)}, budget=3, seeds=1, samples=6)
    rows = comparison.rows([1, 3, 4, 5, 6], by="samples")
    ranks = [len(TABLE), len(TABLE), *(int(TABLE.ranks[row]) for row in (middle, middle)), 1]
    assert rows["rank"].tolist() == ranks
    assert rows["evaluations"].tolist() == [1, 1, 2, 2, 3]
    assert rows["samples"].tolist() == [1, 3, 4, 5, 6]
    assert (
        "After 6 samples on"
        in run_here({"a": scripted(*script), "b": scripted(best)}, budget=3, seeds=1, samples=6)
        .verdict("a", "b", 6, by="samples")
        .sentence
    )
    with pytest.raises(SettingsError, match=r"numbers of samples, .* the longest run's 6; got \[7"):
        comparison.rows([7], by="samples")
    with pytest.raises(
        SettingsError, match="by must be one of evaluations and samples, got 'hours'"
    ):
        comparison.rows([1], by="hours")


def test_the_best_one_per_cent_is_rounded_up():
    wide = CellSpace(1, OPERATIONS, ("add",))  # 441 architectures: the best five
    table = make_table(wide)
    order = table.best(6)
    runs = [Run(str(place), 0, [row], [1], 1, []) for place, row in enumerate(order)]
    assert Comparison(TableEvaluator(table), 1, runs).rows()["top"].tolist() == [1.0] * 5 + [0.0]


def test_the_points_that_are_reported():
    def points(budget, at=None):
        comparison = Comparison(EVALUATOR, budget, [Run("a", 0, [1, 2], [1, 3], 4, [])])
        return comparison.rows(at)["evaluations"].tolist()

    assert points(500) == [50, 100, 200, 500]
    assert points(150) == [50, 100, 150]
    assert points(20) == [20]
    assert points(20, (7, 3, 7)) == [3, 7]
    assert points(20, numpy.array([4])) == [4]
    for wrong in ([0], [21], [1.5], [], ["a"], 5):
        with pytest.raises(SettingsError, match="whole numbers from 1 to the budget of 20; got"):
            points(20, wrong)


def test_the_summary_is_of_the_rows():
    comparison = run_here({"b": RandomSearch, "a": over_architectures}, seeds=4)
    summary, rows = comparison.summary([5, 20]), comparison.rows([5, 20])
    assert list(zip(summary["controller"], summary["evaluations"], strict=True)) == [
        ("b", 5), ("b", 20), ("a", 5), ("a", 20),
    ]  # fmt: skip
    assert set(summary["seeds"]) == {4}
    for row in summary.to_dict("records"):
        own = rows[
            (rows["controller"] == row["controller"]) & (rows["evaluations"] == row["evaluations"])
        ]
        for measure in MEASURES:
            mean, low, high = bootstrap_mean(own[measure].to_numpy(float))
            assert (row[measure], row[f"{measure}_low"], row[f"{measure}_high"]) == (
                mean,
                low,
                high,
            )
            assert low <= mean <= high


# --- a run ----------------------------------------------------------------------------------------


def test_known_architectures_are_free_and_counted():
    evaluator = TableEvaluator(TABLE)
    made = []

    def factory(space, seed):
        made.append(Scripted(space, seed, script=(4, 4, 7, 4, 9, 7, 2)))
        return made[-1]

    (run,) = run_here({"a": factory}, evaluator, budget=4, seeds=1).runs
    assert (run.rows, run.at, run.samples) == ([4, 7, 9, 2], [1, 3, 5, 7], 7)
    assert evaluator.lookups == 7
    told = [TABLE.mean_validation[row] for row in (4, 4, 7, 4, 9, 7, 2)]
    assert made[-1].outcomes == list(enumerate(told))
    assert run.means == [pytest.approx(numpy.mean(told), abs=1e-6)]


def test_different_sequences_of_one_architecture_are_one_evaluation():
    duplicate = [
        key for key, n in zip(SMALL.unique.keys, SMALL.unique.token_sequences, strict=True) if n > 1
    ]
    sequences = [s for s in SMALL.token_sequences() if SMALL.decode(s).key == duplicate[0]]
    table = make_table(SMALL)

    class Both(Scripted):
        def _draw(self, numbers):
            return [self.proposal(n, sequences[n % len(sequences)]) for n in numbers]

    (run,) = run_here({"both": Both}, TableEvaluator(table), 2, 1, samples=6).runs
    assert (run.rows, run.at, run.samples) == ([table.row(duplicate[0])], [1], 6)


def test_a_converged_controller_ends_by_samples_and_is_carried_on():
    comparison = run_here({"stuck": scripted(3, 8)}, budget=10, seeds=1)
    (run,) = comparison.runs
    assert (len(run.rows), run.samples) == (2, 200)  # 20 proposals for each evaluation
    table, best = TABLE, max((3, 8), key=lambda row: TABLE.mean_validation[row])
    regret = table.mean_validation.max() - table.mean_validation
    first, last = comparison.rows([1, 10]).to_dict("records")
    assert (first["samples"], last["samples"]) == (1, 200)
    assert first["validation"] == table.mean_validation[3]
    assert last["validation"] == table.mean_validation[best]
    assert last["area"] == pytest.approx((regret[3] + 9 * regret[best]) / 10)
    (short,) = run_here({"stuck": scripted(3, 8)}, budget=10, seeds=1, samples=33).runs
    assert short.samples == 33 and len(short.means) == 2


def test_a_batch_is_not_larger_than_what_is_left():
    made = []

    def factory(space, seed):
        made.append(Scripted(space, seed, script=range(30), batch_size=7))
        return made[-1]

    (run,) = run_here({"a": factory}, budget=10, seeds=1).runs
    assert run.at == list(range(1, 11)) and run.samples == 10
    assert [number for number, _ in made[-1].outcomes] == list(range(10))  # told of these alone
    (run,) = run_here({"a": factory}, budget=30, seeds=1, samples=9).runs
    assert run.samples == 9 and made[-1].asked == 9


def test_a_run_ends_when_the_whole_table_is_found():
    table = make_table(SMALL)
    comparison = run_here({"all": over_architectures}, TableEvaluator(table), budget=50, seeds=3)
    for run in comparison.runs:
        assert sorted(run.rows) == list(range(len(table))) and run.at[-1] == run.samples < 1000
    rows = comparison.rows([50])
    assert rows["rank"].tolist() == [1, 1, 1] and rows["samples"].tolist() == [
        run.samples for run in comparison.runs
    ]


def test_what_is_not_in_the_table_is_told_as_0_and_spends_nothing():
    table = make_table(rows=range(0, 40, 2))
    evaluator = TableEvaluator(table, missing="fail")
    made = []

    def factory(space, seed):
        made.append(Scripted(space, seed, script=(1, 4, 3, 4, 6)))  # rows of the whole table
        return made[-1]

    (run,) = run_here({"a": factory}, evaluator, budget=2, seeds=1).runs
    assert (run.rows, run.at, run.samples) == ([2, 3], [2, 5], 5)
    assert [reward for _, reward in made[-1].outcomes] == [
        0.0, table.mean_validation[2], 0.0, table.mean_validation[2], table.mean_validation[3],
    ]  # fmt: skip
    with pytest.raises(WorkbenchError, match=r"^a, seed 0: TableError: the architecture with key"):
        run_here({"a": factory}, TableEvaluator(table), budget=2, seeds=1)


def test_nothing_found_at_all():
    evaluator = TableEvaluator(make_table(rows=range(0, 40, 2)), missing="fail")
    words = "^lost, seed 0: TableError: none of the 60 architectures .* 'made up'.*more samples"
    with pytest.raises(WorkbenchError, match=words):
        run_here({"lost": scripted(1, 3)}, evaluator, budget=3, seeds=1)


def told_by(evaluator, script, seeds):
    """Of every seed, the rewards that a controller is told for these rows."""
    made = []

    def factory(space, seed):
        made.append(Scripted(space, seed, script=script, table=evaluator.table))
        return made[-1]

    run_here({"a": factory}, evaluator, budget=len(set(script)), seeds=seeds, samples=len(script))
    return [dict(zip(script, (r for _, r in each.outcomes), strict=True)) for each in made]


def test_paired_runs_meet_the_same_noise():
    """One training of each architecture a seed: the same one whoever asks, and whenever."""
    evaluator = TableEvaluator(make_table(seeds=3), average=False)
    rows = list(range(40))
    one, two = told_by(evaluator, rows, 4), told_by(evaluator, rows[::-1], 4)
    assert one == two
    assert all(
        one[seed][row] in evaluator.table.validation[row] for seed in range(4) for row in rows
    )
    assert len({tuple(each.values()) for each in one}) == 4  # another seed, another noise
    places = [evaluator.table.validation[row].tolist().index(one[0][row]) for row in rows]
    assert set(places) == {0, 1, 2}


def test_noise_misleads_the_choice_and_not_the_ranks():
    evaluator = TableEvaluator(make_table(seeds=3), average=False)
    table, rows = evaluator.table, list(range(len(TABLE)))
    (told,) = told_by(evaluator, rows, 1)
    run = Run("a", 0, rows, [row + 1 for row in rows], len(rows), [])
    comparison = Comparison(evaluator, len(rows), [run])
    picked = max(told, key=told.get)
    assert comparison.incumbents(run)[-1] == picked != table.best()[0]
    (row,) = comparison.rows([len(rows)]).to_dict("records")
    assert row["rank"] == table.ranks[picked] > 1
    assert row["validation"] == table.mean_validation[picked]


def test_of_equal_rewards_the_first_stays():
    table = make_table(SMALL, digits=0)
    ones = [row for row in range(len(table)) if table.mean_validation[row] == 1.0]
    assert len(ones) > 1
    found = [*ones[::-1], *(row for row in range(len(table)) if row not in ones)]
    run = Run("a", 0, found, list(range(1, len(found) + 1)), len(found), [])
    comparison = Comparison(TableEvaluator(table), len(found), [run])
    assert comparison.incumbents(run).tolist() == [ones[-1]] * len(found)


# --- verdicts -------------------------------------------------------------------------------------


def by_seed(**rows_of):
    """Runs of one evaluation each: which row each controller found with seed 0, 1, 2, ..."""
    runs = [
        Run(name, seed, [row], [1 + seed % 2 if name == "a" else 5], 5, [])
        for name, rows in rows_of.items()
        for seed, row in enumerate(rows)
    ]
    return Comparison(EVALUATOR, 1, runs)


BEST = TABLE.best(len(TABLE))


def test_better_and_worse():
    comparison = by_seed(a=BEST[0:20], b=BEST[40:60])
    found = comparison.verdict("a", "b", at=1)
    assert found.sentence == (
        "After 1 evaluations on made up, 20 paired seeds: mean validation rank 10.5 for a, 50 for "
        "b; difference -40, 95 % interval -40 to -40: a was better."
    )
    assert found.conclusion == "a was better"
    assert (found.difference, found.low, found.high) == (-40.0, -40.0, -40.0)
    other = comparison.verdict("b", "a", at=1)
    assert other.sentence.endswith("difference +40, 95 % interval +40 to +40: a was better.")
    for measure in ("validation_regret", "area", "samples"):
        assert comparison.verdict("b", "a", 1, measure).sentence.endswith(": a was better.")
    (only,) = comparison.verdicts()
    assert only == found


def test_where_more_is_better():
    comparison = by_seed(a=BEST[:1] * 20, b=BEST[40:60])
    found = comparison.verdict("a", "b", 1, "top")
    assert (found.difference, found.low, found.high) == (1.0, 1.0, 1.0)
    assert "probability of a cell of the best 1 % 1 for a, 0 for b" in found.sentence
    assert found.sentence.endswith(": a was better.")
    assert comparison.verdict("b", "a", 1, "top").sentence.endswith("-1 to -1: a was better.")


def test_not_distinguishable():
    a, b = (0, 30, 5, 20) * 5, (9, 10, 11, 12) * 5
    comparison = by_seed(a=[BEST[n] for n in a], b=[BEST[n] for n in b])
    found = comparison.verdict("a", "b", 1)
    assert found.low < 0 < found.high and found.sentence.endswith(": not distinguishable.")
    same = comparison.verdict("a", "a", 1)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    assert same.sentence.endswith(": not distinguishable.")


def test_one_seed_decides_nothing():
    found = by_seed(a=BEST[:1], b=BEST[50:51]).verdict("a", "b", 1)
    assert found.difference == -50.0 and math.isnan(found.low)
    assert found.sentence.endswith(
        "difference -50, no interval: too few to compare. It takes at least 20 paired seeds "
        "(here 1): run more seeds."
    )


@pytest.mark.parametrize("seeds", [2, 3, 19])
def test_too_few_seeds_name_no_winner(seeds):
    comparison = by_seed(a=BEST[:seeds], b=BEST[40 : 40 + seeds])
    for pair in (("a", "b"), ("b", "a")):
        found = comparison.verdict(*pair, 1)
        assert found.low == found.high == found.difference != 0
        assert "better" not in found.sentence and found.conclusion == "too few to compare"
        assert found.sentence.endswith(
            f"95 % interval {found.low:+.0f} to {found.high:+.0f}: too few to compare. It takes at "
            f"least 20 paired seeds (here {seeds}): run more seeds."
        )
    assert comparison.verdicts() == [comparison.verdict("a", "b", 1)]


@pytest.mark.parametrize("of", ["ranks", "mean_validation", "mean_test"])
def test_at_the_fewest_seeds_a_tenth_of_the_winners_is_false_and_below_more(of):
    """Random search on ``cells`` against itself with other seeds: what 100 evaluations found."""
    table, generator = tables.load("cells"), numpy.random.default_rng(0)
    row = generator.permuted(numpy.tile(numpy.arange(len(table)), (4000, 1)), axis=1)[:, :100]
    rewards = table.validation[row, generator.integers(3, size=row.shape)]
    picked = row[numpy.arange(len(row)), rewards.argmax(1)]
    results = getattr(table, of)[picked].astype(float)

    def false_winners(seeds, repeats=1000):
        pairs = generator.choice(results, (2, repeats, seeds))
        ends = [
            bootstrap_mean(a - b, 400, n)[1:] for n, (a, b) in enumerate(zip(*pairs, strict=True))
        ]
        return sum(low > 0 or high < 0 for low, high in ends) / repeats

    assert false_winners(MINIMA["paired seeds"]) <= 0.1
    assert false_winners(5) > 0.14
    assert false_winners(3) > 0.2


def test_the_verdict_is_paired():
    """Seeds that are hard for both do not widen the interval."""
    hard = [0, 25, 50, 75, 100, 10, 60]
    comparison = by_seed(a=[BEST[n] for n in hard], b=[BEST[n + 3] for n in hard])
    found = comparison.verdict("a", "b", 1)
    assert (found.difference, found.low, found.high) == (-3.0, -3.0, -3.0)


def test_a_verdict_for_every_pair():
    comparison = by_seed(a=BEST[:3], b=BEST[40:43], c=BEST[80:83])
    sentences = [verdict.sentence for verdict in comparison.verdicts(1)]
    assert [re.search(r" for (\w), .* for (\w);", s).groups() for s in sentences] == [
        ("a", "b"), ("a", "c"), ("b", "c"),
    ]  # fmt: skip
    with pytest.raises(SettingsError, match="a controller must be one of a, b and c, got 'd'"):
        comparison.verdict("a", "d", 1)
    with pytest.raises(
        SettingsError, match=r"measure must be one of rank, .* and samples, got 'luck'"
    ):
        comparison.verdict("a", "b", 1, "luck")
    for at in (0, 2):
        with pytest.raises(SettingsError, match="from 1 to the budget of 1"):
            comparison.verdicts(at)


# --- going on -------------------------------------------------------------------------------------


def stored(folder):
    return {path.name: len(path.read_text().splitlines()) - 1 for path in folder.glob("*.jsonl")}


def test_an_interrupted_comparison_goes_on(tmp_path, monkeypatch):
    controllers = {"A": RandomSearch, "B b": Failing}
    monkeypatch.setattr(Failing, "error", KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):  # in B's second seed
        run_here(controllers, directory=tmp_path / "runs", samples=40)
    assert stored(tmp_path / "runs") == {"a.jsonl": 2, "b-b.jsonl": 1}
    monkeypatch.setattr(Failing, "fails_with", ())
    drawn = []
    monkeypatch.setattr(
        RandomSearch, "_learn", lambda self, outcomes: drawn.append(self.seed), raising=True
    )
    again = run_here(controllers, directory=tmp_path / "runs", samples=40)
    assert set(drawn) == {2}  # the first two seeds were there
    assert again.runs == run_here(controllers, samples=40).runs
    assert [(run.controller, run.seed) for run in again.runs] == [
        ("A", 0), ("A", 1), ("A", 2), ("B b", 0), ("B b", 1), ("B b", 2),
    ]  # fmt: skip
    drawn.clear()
    assert run_here(controllers, directory=tmp_path / "runs", samples=40).runs == again.runs
    assert drawn == []


def test_controllers_and_seeds_can_be_added(tmp_path):
    first = run_here({"a": RandomSearch}, seeds=2, directory=tmp_path)
    second = run_here(
        {"b": over_architectures, "a": RandomSearch}, seeds=[3, 1, 0], directory=tmp_path
    )
    assert stored(tmp_path) == {"a.jsonl": 3, "b.jsonl": 3}
    assert second.controllers == ["b", "a"]
    assert [run.seed for run in second.runs] == [3, 1, 0] * 2
    assert [run for run in second.runs if run.controller == "a"][1:] == first.runs[::-1]
    assert (
        second.runs == run_here({"b": over_architectures, "a": RandomSearch}, seeds=[3, 1, 0]).runs
    )


def test_a_controller_may_be_called_otherwise(tmp_path):
    run_here({"ppo": RandomSearch}, directory=tmp_path)
    assert run_here({"PPO": RandomSearch}, directory=tmp_path).controllers == ["PPO"]


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"budget": 21}, "budget is 20 there and 21 here"),
        ({"samples": 70}, "samples is 400 there and 70 here"),
        ({"controllers": {"a": over_architectures}}, "controller is .*'over': 'architectures'"),
        ({"controllers": {"a": RegularizedEvolution}}, "controller is .*RegularizedEvolution"),
        ({"evaluator": TableEvaluator(TABLE, average=False)}, "evaluator is .*'average': False"),
        ({"evaluator": TableEvaluator(make_table(seed=1))}, "evaluator is .*'digest'"),
    ],
)
def test_runs_of_another_comparison_are_not_mixed_in(tmp_path, changed, words):
    run_here({"a": RandomSearch}, directory=tmp_path)
    before = (tmp_path / "a.jsonl").read_bytes()
    with pytest.raises(StoreError, match=f"(?s)a.jsonl.*{words}.*another folder"):
        run_here(**{"controllers": {"a": RandomSearch}, "directory": tmp_path} | changed)
    assert (tmp_path / "a.jsonl").read_bytes() == before
    assert run_here({"a": RandomSearch}, directory=tmp_path).controllers == [
        "a"
    ]  # it is free again


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [0, 999]}, {"rows": [0, 0]}, {"rows": []}, {"rows": ["x", "y"]},
        {"rows": None}, {"at": [1]}, {"at": [2, 1]}, {"at": [1, 99]}, {"at": [0, 1]},
        {"at": [1.5, 2.5]}, {"samples": "many"}, {"means": [None]}, {"more": 1},
        {"rows": [0, 1, 2], "at": [1, 2, 3], "samples": 3}, {"means": [float("nan")]},
        {"means": [0.5, 0.5]}, {"means": 0.5}, {"samples": 10**400}, {"samples": 10**12},
        {"rows": [2**70, 1]}, {"rows": [[0], [1]]}, {"at": {"0": 1}}, {"at": "ab"},
    ],
)  # fmt: skip
def test_a_damaged_run_is_refused(tmp_path, change):
    no_run, nan = (
        "seed 0: .* not a run of a comparison",
        "line 2, is damaged .* not a finite number",
    )
    run_here({"a": scripted(0, 1)}, budget=2, seeds=1, directory=tmp_path)
    path = tmp_path / "a.jsonl"
    first, second = map(json.loads, path.read_text().splitlines())
    second["result"] |= change
    path.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    with pytest.raises(StoreError, match=rf"a\.jsonl, (?:{no_run}|{nan})"):
        run_here({"a": scripted(0, 1)}, budget=2, seeds=1, directory=tmp_path)


def test_half_a_last_line_is_run_again(tmp_path):
    whole = run_here({"a": RandomSearch}, directory=tmp_path)
    path = tmp_path / "a.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert stored(tmp_path) == {"a.jsonl": 3}
    assert run_here({"a": RandomSearch}, directory=tmp_path).runs == whole.runs


# --- workers --------------------------------------------------------------------------------------


def test_two_workers_give_the_same_runs(tmp_path):
    small = {"hidden": 8, "batch_size": 5, "learning_rate": 0.01}
    controllers = {
        "random": RandomSearch,
        "architectures": over_architectures,
        "evolution": functools.partial(RegularizedEvolution, population=10, sample=4),
        "REINFORCE": functools.partial(Reinforce, **small),
        "PPO": functools.partial(PPO, whiten_advantages=True, **small),
    }
    evaluator = TableEvaluator(make_table(seeds=3), average=False)
    here = run_here(controllers, evaluator, seeds=2)
    there = run_here(controllers, evaluator, seeds=2, workers=2, directory=tmp_path)
    assert here.runs == there.runs and len(here.runs) == 10
    assert len({tuple(run.rows) for run in here.runs}) == 10
    assert there.runs == run_here(controllers, evaluator, seeds=2, directory=tmp_path).runs


@pytest.mark.parametrize("factory", [lambda space, seed: None, functools.partial(lambda: None)])
def test_what_cannot_be_sent_is_named(monkeypatch, factory):
    def started(*_):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(ProcessExecutor, "__init__", started)
    words = "the controller 'mine': .* cannot be sent to a worker process .* inline with workers=1"
    with pytest.raises(SettingsError, match=words):
        run_here({"random": RandomSearch, "mine": factory}, workers=2)


def test_what_a_notebook_defines_cannot_be_sent(monkeypatch):
    import __main__

    monkeypatch.delattr(__main__, "__file__", raising=False)
    monkeypatch.setattr(Scripted, "__module__", "__main__")
    monkeypatch.setattr(__main__, "Scripted", Scripted, raising=False)
    with pytest.raises(SettingsError, match=r"'mine'.*defined in a notebook.*workers=1"):
        run_here({"mine": functools.partial(Scripted, script=(1, 2))}, workers=2)
    assert len(run_here({"mine": functools.partial(Scripted, script=(1, 2))}, budget=2).runs) == 3


@pytest.mark.parametrize("workers", [0, -1, 1.5, "two"])
def test_workers_are_a_number(workers):
    with pytest.raises(SettingsError, match="workers must be a whole number from 1"):
        run_here({"a": RandomSearch}, workers=workers)


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_failing_controller_is_named_with_its_seed(tmp_path):
    with pytest.raises(WorkbenchError, match=r"^bad one, seed 1: ValueError: out of ideas \("):
        run_here({"good": scripted(0), "bad one": Failing}, directory=tmp_path, samples=5)
    assert stored(tmp_path) == {"good.jsonl": 2, "bad-one.jsonl": 1}


@pytest.mark.parametrize(
    "controllers, words",
    [
        ({}, "one entry or more, got {}"),
        ([RandomSearch], "a dict from a name to a controller's class"),
        ({"a": RandomSearch(SPACE)}, r"must be a text and a class.*; got 'a': RandomSearch\("),
        ({1: RandomSearch}, "must be a text and a class.*; got 1: <class "),
        ({"P.P": PPO, "p-p!": PPO}, "'P.P' and 'p-p!' would share a file"),
        ({"α": PPO, "β": PPO}, "'α' and 'β' would share a file"),
    ],
)
def test_wrong_controllers(controllers, words):
    with pytest.raises(SettingsError, match=words):
        run_here(controllers)


@pytest.mark.parametrize("seeds", [0, -2, [], [1, 1], [-1], [0.5], 2.5, None, "ab"])
def test_wrong_seeds(seeds):
    with pytest.raises(SettingsError, match="seeds must be how many"):
        run_here({"a": RandomSearch}, seeds=seeds)


def test_seeds_as_numpy_has_them():
    comparison = run_here({"a": RandomSearch}, seeds=numpy.arange(2))
    assert comparison.runs == run_here({"a": RandomSearch}, seeds=2).runs
    json.dumps([run.to_dict() for run in comparison.runs])


@pytest.mark.parametrize("name", ["budget", "samples"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "5"])
def test_wrong_numbers(name, value):
    with pytest.raises(SettingsError, match=f"{name} must be a whole number from 1, got"):
        run_here({"a": RandomSearch}, **{name: value})


def test_wrong_space_and_wrong_evaluator():
    with pytest.raises(TableError, match=r"'made up' is of another space: .*blocks=2.* not .*=1"):
        compare({"a": RandomSearch}, SMALL, EVALUATOR, workers=1)
    with pytest.raises(SettingsError, match="must be a TableEvaluator, got Table 'made up'"):
        compare({"a": RandomSearch}, SPACE, TABLE, workers=1)
    equal = CellSpace(**SPACE.settings())
    assert compare({"a": RandomSearch}, equal, EVALUATOR, 5, 1, workers=1, progress=False).runs


def test_the_test_accuracies_are_read_by_the_rows_alone():
    read = []
    values = make_table(SMALL)

    def read_test():
        read.append(1)
        return values.validation

    table = Table("t", SMALL, values.tokens, values.keys, values.validation, read_test)
    comparison = run_here({"a": RandomSearch}, TableEvaluator(table), budget=5)
    assert read == []
    comparison.rows()
    assert read == [1]

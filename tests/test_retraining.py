"""Retraining the best: intervals that cover, sentences that say what the numbers say."""

import re

import numpy
import pytest
from search_helpers import RandomSearch, small_space, tiny_data

from nasworkbench import PPO, History, Recipe, Search, TrainingEvaluator, recordings, tables, tiers
from nasworkbench.comparison import (
    MINIMA,
    TrainOrRetrain,
    Verdict,
    best_retrained,
    bootstrap_difference,
    retrain_best,
    verdict,
)
from nasworkbench.controllers import Outcome
from nasworkbench.executors import InlineExecutor, ProcessExecutor

# --- the interval -------------------------------------------------------------------------------


def by_hand(a, b, resamples, seed):
    """The same bootstrap, one draw at a time."""
    generator = numpy.random.default_rng(seed)

    def mean(cells):
        drawn = [cells[generator.integers(len(cells))] for _ in cells]
        return numpy.mean([numpy.mean(generator.choice(c, size=len(c))) for c in drawn])

    found = [mean(a) - mean(b) for _ in range(resamples)]
    return numpy.percentile(found, [2.5, 97.5])


def test_equal_cells_have_an_interval_of_no_width():
    a, b = [[0.5, 0.5]] * 3, [[0.25]] * 4
    assert bootstrap_difference(a, b) == (0.25, 0.25, 0.25)
    assert bootstrap_difference([[0.5]], [[0.75]]) == (-0.25, -0.25, -0.25)


def test_against_a_bootstrap_by_hand_with_ragged_seeds():
    generator = numpy.random.default_rng(3)
    a = [list(generator.normal(0.8, 0.05, size)) for size in (3, 1, 4, 2, 3)]
    b = [list(generator.normal(0.7, 0.05, size)) for size in (2, 5, 3)]
    difference, low, high = bootstrap_difference(a, b)
    assert difference == pytest.approx(
        sum(map(numpy.mean, a)) / len(a) - sum(map(numpy.mean, b)) / len(b)
    )
    expected = by_hand(a, b, 10_000, 1)
    assert (low, high) == pytest.approx(tuple(expected), abs=0.003)  # the resamples' own noise
    assert low < difference < high


def test_every_value_can_be_drawn_and_nothing_else():
    """One cell with seeds 0 and 1 on each side: nine differences in halves, ends at ±1."""
    found = bootstrap_difference([[0.0, 1.0]], [[0.0, 1.0]], resamples=4000)
    assert found == (0.0, -1.0, 1.0)  # P(mean = 0 against 1) = 1/16, beyond 2.5 % on each side
    _, low, high = bootstrap_difference([[0.0, 0.0, 1.0]], [[0.5]], resamples=4000)
    assert {round(3 * (low + 0.5), 9), round(3 * (high + 0.5), 9)} <= {0.0, 1.0, 2.0, 3.0}


def test_same_seed_same_interval():
    a, b = [[0.1, 0.4], [0.3, 0.2]], [[0.2, 0.3], [0.1]]
    assert bootstrap_difference(a, b, seed=4) == bootstrap_difference(a, b, seed=4)
    assert bootstrap_difference(a, b, 100, seed=4) != bootstrap_difference(a, b, 100, seed=5)
    d, low, high = bootstrap_difference(a, b, seed=4)
    e, other_low, other_high = bootstrap_difference(b, a, seed=4)
    assert e == pytest.approx(-d)
    assert (other_low, other_high) == pytest.approx((-high, -low), abs=0.02)


def test_coverage_of_a_known_difference():
    """Normal data, 20 cells a side: the interval holds the truth about as often as it says."""
    generator = numpy.random.default_rng(0)
    truth, hits, repeats = 0.03, 0, 200
    for repeat in range(repeats):
        centres = generator.normal([[0.83], [0.80]], 0.04, (2, 20))
        a, b = (c[:, None] + generator.normal(0, 0.01, (20, 3)) for c in centres)
        _, low, high = bootstrap_difference(a.tolist(), b.tolist(), resamples=500, seed=repeat)
        hits += low <= truth <= high
    assert 0.90 <= hits / repeats <= 0.98


# --- the sentence -------------------------------------------------------------------------------


def rows(controller, random):
    """Rows as the store gives them, from lists of test accuracies by cell."""
    return [
        {"origin": origin, "key": f"{origin}{cell}", "seed": seed, "test": test}
        for origin, cells in (("controller", controller), ("random", random))
        for cell, tests in enumerate(cells)
        for seed, test in enumerate(tests)
    ]


def cells(one, other):
    """Six cells, two trainings of each: just enough for a verdict."""
    return [[one, one], [other, other]] * 3


def test_better():
    found = verdict(rows(cells(0.9, 0.92), cells(0.5, 0.515)), "PPO")
    assert found.sentence.startswith(
        "In this pair of runs the 6 best cells of PPO reach 91.00 % on test data and the 6 best of "
        "random search 50.75 %: a difference of +40.25 points, 95 % interval +"
    )
    assert found.sentence.endswith(" over cells and seeds: PPO was better.")
    assert found.conclusion == "PPO was better"
    assert 0 < found.low < found.difference < found.high
    assert found.difference == pytest.approx(0.4025)


def test_worse():
    found = verdict(rows(cells(0.5, 0.52), cells(0.9, 0.91)), "PPO")
    assert found.sentence.endswith(": random search was better.")
    assert found.high < 0


def test_not_distinguishable():
    found = verdict(rows(cells(0.5, 0.9), cells(0.6, 0.81)), "Reinforce")
    assert found.sentence.endswith(": not distinguishable.")
    assert found.low < 0 < found.high
    low, high = re.search(r"interval (\S+) to (\S+) over", found.sentence).groups()
    assert (float(low), float(high)) == pytest.approx(
        (100 * found.low, 100 * found.high), abs=0.006
    )


def test_equal_is_not_distinguishable():
    same = rows(cells(0.5, 0.5), cells(0.5, 0.5))
    assert verdict(same, "PPO").sentence.endswith("not distinguishable.")


@pytest.mark.parametrize(
    "controller, random, name",
    [([], [[0.5]], "PPO"), ([[None]], [[0.5]], "PPO"), ([[0.5]], [], "random search"),
     ([[0.5]], [[None, None]], "random search"), ([], [], "PPO")],
)  # fmt: skip
def test_no_verdict_without_cells(controller, random, name):
    found = verdict(rows(controller, random), "PPO")
    assert found == Verdict(
        f"No verdict: not one of the best cells of {name} could be trained.", None, None, None
    )
    assert found.to_dict()["difference"] is None


def few(*lines):
    return f": too few to compare. It takes at least {' and '.join(lines)}: take a larger tier, or "


@pytest.mark.parametrize(
    "controller, made, lines",
    [
        (cells(0.9, 0.91)[:4], {}, ["5 cells (here 4), 12 trainings (here 8)"]),
        (cells(0.9, 0.91)[:5], {}, ["12 trainings (here 10)"]),
        ([[0.9] * 3] * 4, {}, ["5 cells (here 4)"]),
        (cells(0.9, 0.91), {"trials": 99, "updates": 10}, ["100 trials (here 99)"]),
        (cells(0.9, 0.91), {"trials": 200, "updates": 2}, ["3 updates (here 2)"]),
        (cells(0.9, 0.91), {"trials": 200, "updates": 0}, ["3 updates (here 0)"]),
        (cells(0.9, 0.91), {"trials": 60, "updates": 2},
         ["100 trials (here 60)", "3 updates (here 2)"]),
    ],
)  # fmt: skip
def test_too_few_to_compare_names_no_winner(controller, made, lines):
    """Figures and interval are there, and what is missing; whichever of the two has it."""
    expected = few(*lines).replace("), 12", ") and 12")
    for sides in ((controller, cells(0.5, 0.51)), (cells(0.5, 0.51), controller)):
        found = verdict(rows(*sides), "PPO", **made)
        assert expected in found.sentence and found.sentence.endswith("or more trials.")
        assert "better" not in found.sentence and found.conclusion == "too few to compare"
        assert "91" in found.sentence or "90" in found.sentence
        assert found.low > 0 or found.high < 0  # a winner, if it were enough
        assert f"95 % interval {100 * found.low:+.2f} to {100 * found.high:+.2f}" in found.sentence


def test_the_minima_are_enough():
    ours, theirs = cells(0.9, 0.91), cells(0.5, 0.51)
    for made in ({}, {"trials": 100}, {"trials": 100, "updates": 3}):
        assert verdict(rows(ours, theirs), "PPO", **made).conclusion == "PPO was better"
    many = [[0.9]] * 12  # as in the paper tier, many cells with a training each
    assert verdict(rows(many, theirs), "PPO").conclusion == "PPO was better"


def test_the_tiers_on_either_side_of_the_minima():
    for tier in tiers.TIERS.values():
        batch = tier.controller.get("batch_size", 20)
        made = (tier.top, tier.top * tier.seeds, tier.trials, tier.trials // batch)
        reached = [n >= least for n, least in zip(made, MINIMA.values(), strict=False)]
        assert not any(reached) if tier.name == "toy" else all(reached)


def test_the_shipped_laptop_run_keeps_its_verdict():
    with History(recordings.folder("laptop")) as history:
        trained, stored = history.retrained(), history.meta("verdict")
        found = verdict(trained, "PPO", history.count, len(history.updates()))
        assert found.sentence == stored["sentence"] and found.conclusion == "PPO was better"
        two = {"040972", "1644d3", "3d79b4", "4367b9"}  # as much of it as the toy tier has
        toy = [row for row in trained if row["key"][:6] in two and row["seed"] < 2]
    found = verdict(toy, "PPO", 6, 2)
    assert found.low > 0 and found.sentence.endswith(
        ": too few to compare. It takes at least 5 cells (here 2), 12 trainings (here 4), "
        "100 trials (here 6) and 3 updates (here 2): take a larger tier, or more trials."
    )


def test_failed_seeds_are_left_out():
    with_gap = verdict(rows([[0.5, None], [0.7]], [[0.6, 0.6]]), "PPO")
    without = verdict(rows([[0.5], [0.7]], [[0.6, 0.6]]), "PPO")
    assert with_gap == without


class NoTest(dict):
    """A row whose test accuracy must not be read."""

    def __getitem__(self, name):
        assert name != "test"
        return super().__getitem__(name)

    def get(self, name, default=None):
        assert name != "test"
        return super().get(name, default)


def test_best_retrained_goes_by_validation_alone():
    space = small_space()
    genotypes = [space.sample(seed) for seed in range(3)]
    measured = [(0, 0.7, 0.9), (0, 0.8, 0.9), (1, 0.9, 0.1), (1, None, None), (2, 0.1, 1.0)]
    found = [
        NoTest(origin="controller", genotype=genotypes[g].to_json(), validation=v, test=t)
        for g, v, t in measured
    ]
    found.append(NoTest(origin="random", genotype=genotypes[2].to_json(), validation=1.0, test=1.0))
    assert best_retrained(found) == genotypes[1]
    assert best_retrained(found[-1:]) is None
    assert best_retrained([]) is None


# --- how often a winner is false ----------------------------------------------------------------


def false_winners(trials, top, seeds, pairs=1000):
    """The share of pairs of random searches on ``cells`` between which the interval excludes 0.

    A cell's reward is one of its trainings. Retraining gives its mean test accuracy and the noise
    of one of its three trainings, drawn anew for each seed.
    """
    table, generator = tables.load("cells"), numpy.random.default_rng(0)
    noise = (table.test - table.mean_test[:, None]) * (3 / 2) ** 0.5  # unbiased

    def side():
        row = generator.choice(len(table), trials, replace=False)
        reward = table.validation[row, generator.integers(3, size=trials)]
        best = row[numpy.argsort(-reward)[:top]]
        drawn = noise[best[:, None], generator.integers(3, size=(top, seeds))]
        return (table.mean_test[best][:, None] + drawn).tolist()

    ends = [bootstrap_difference(side(), side(), 400, seed)[1:] for seed in range(pairs)]
    return sum(low > 0 or high < 0 for low, high in ends) / pairs


def test_at_the_minima_a_tenth_of_the_winners_is_false_and_below_more():
    assert false_winners(100, top=5, seeds=3) <= 0.1  # fewest trials; 0.05 would be exact
    assert false_winners(200, top=5, seeds=3) <= 0.1  # the laptop tier
    assert false_winners(100, top=12, seeds=1) <= 0.11  # fewest trainings of a cell
    assert false_winners(6, top=2, seeds=2) > 0.25  # the toy tier
    assert false_winners(200, top=2, seeds=3) > 0.14  # too few cells
    assert false_winners(200, top=5, seeds=1) > 0.12  # too few trainings
    assert false_winners(20, top=5, seeds=3) > 0.12  # too few trials


def test_after_three_updates_the_controller_has_learned():
    """Even with the toy tier's batches of 3: in how many searches it proposes better cells."""
    table, evaluator = tables.load("cells"), tables.TableEvaluator(tables.load("cells"))

    def mean(proposals):
        return numpy.mean([table.mean_validation[table.row(p.genotype.key)] for p in proposals])

    better = []
    for seed in range(100):
        controller = PPO(table.space, seed, **tiers.get("toy").controller)
        means = [mean(controller.ask(20))]
        for _ in range(3):
            batch = controller.ask(3)
            controller.tell([Outcome(p, evaluator(p.genotype, seed).reward) for p in batch])
            means.append(mean(controller.ask(20)))
        assert controller.updates == MINIMA["updates"] == 3
        better.append([after > means[0] for after in means[1:]])
    shares = numpy.mean(better, axis=0)
    assert shares[0] < 0.9 and shares[2] >= 0.95


# --- training the best again --------------------------------------------------------------------

QUICK = Recipe(epochs=1, batch_size=24, bn_momentum=0.3)


def held_out():
    return tiny_data(None).train


@pytest.fixture
def searches(tmp_path, monkeypatch):
    monkeypatch.setenv("NASWORKBENCH_PROGRESS", "0")
    evaluator = TrainingEvaluator(tiny_data(held_out), QUICK, cells=1, filters=4)
    space = small_space()
    found = {}
    for seed, origin in enumerate(("controller", "random")):
        controller = RandomSearch(space, seed)
        found[origin] = Search(space, controller, cheap, tmp_path / origin)
        found[origin].run(5)
    return found, evaluator


def cheap(genotype, seed):
    return (seed % 1000) / 1000


def retrained(searches, evaluator, workers=0, **settings):
    store, work = searches["controller"].store, TrainOrRetrain(evaluator, evaluator)
    with ProcessExecutor(work, workers) if workers else InlineExecutor(work) as executor:
        retrain_best(store, searches, executor, progress=False, **settings)
    return store.retrainings()


@pytest.mark.parametrize("workers", [0, 2])
def test_best_of_both_are_trained_with_every_seed(searches, workers):
    searches, evaluator = searches
    found = retrained(searches, evaluator, top=2, seeds=2, workers=workers)
    expected = {
        (origin, trial.key, seed)
        for origin, search in searches.items()
        for trial in search.best(2)
        for seed in range(2)
    }
    assert {(row["origin"], row["key"], row["seed"]) for row in found} == expected
    assert len(found) == 8
    rewards = {(o, t.key): t.reward for o, search in searches.items() for t in search.best(2)}
    for row in found:
        assert row["status"] == "ok"
        assert row["reward"] == rewards[row["origin"], row["key"]]
        assert 0 <= row["validation"] <= 1
        assert row["test"] == row["validation"]  # they are the same images here
        assert row["seconds"] > 0
    assert "pair of runs the 2 best" in verdict(found, "PPO").sentence


def test_what_is_there_is_not_trained_again(searches, monkeypatch):
    searches, evaluator = searches
    first = retrained(searches, evaluator, top=1, seeds=1)
    assert len(first) == 2
    trained = []
    call = TrainingEvaluator.measure

    def counted(self, genotype, seed):
        trained.append((genotype.key, seed))
        if len(trained) == 3:
            raise KeyboardInterrupt
        return call(self, genotype, seed)

    monkeypatch.setattr(TrainingEvaluator, "measure", counted)
    with pytest.raises(KeyboardInterrupt):
        retrained(searches, evaluator, top=2, seeds=2)
    assert len(searches["controller"].store.retrainings()) == 4
    found = retrained(searches, evaluator, top=2, seeds=2)
    assert len(found) == 8
    assert len(trained) == 1 + 6  # the interrupted one twice, the first two never
    assert all(row in found for row in first)
    retrained(searches, evaluator, top=2, seeds=2)
    assert len(trained) == 7


def test_failures_are_stored(searches):
    searches, evaluator = searches
    late = evaluator.with_recipe(Recipe(epochs=1000, time_limit=1e-6))
    found = retrained(searches, late, top=1, seeds=1)
    assert {row["status"] for row in found} == {"timeout"}
    assert all(row["test"] is None and row["validation"] is None for row in found)
    assert all("time limit" in row["cause"] for row in found)
    assert verdict(found, "PPO").sentence.startswith("No verdict")
    unbuildable = TrainingEvaluator(evaluator.dataset, QUICK, cells=1, filters=4)
    unbuildable.filters = 0
    found = retrained(searches, unbuildable, top=2, seeds=1)
    failed = [row for row in found if row["status"] == "error"]
    assert len(failed) == 2  # the other two had failed before, and are not tried again
    assert all(row["cause"].startswith("NetworkError") for row in failed)
    assert best_retrained(found) is None

"""Figures of comparisons: exact rows from made-up runs, and what stands on the axes."""

import itertools
import warnings
from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from plot_helpers import words
from test_compare import BEST, EVALUATOR, TABLE

from nasworkbench import plots
from nasworkbench.comparison import MEASURES, Comparison, Run, bootstrap_mean
from nasworkbench.errors import SettingsError
from nasworkbench.plots import style
from nasworkbench.plots.lines import spread
from nasworkbench.recordings import Experiment


def run(name, seed, ranks, at=None, samples=None, means=()):
    """Finds the rows of these ranks one after the other."""
    at = list(range(1, len(ranks) + 1)) if at is None else at
    return Run(name, seed, [BEST[n - 1] for n in ranks], at, samples or at[-1], list(means))


#: Ranks after 1, 2, 3 and 4 evaluations: a 10 8 2 2 and 20 4 4 1; b 9 9 9 9 and 7 7 7 7.
TWO = Comparison(
    EVALUATOR,
    4,
    [
        run("a", 0, [10, 8, 2, 3], [1, 2, 4, 6], means=[0.25]),
        run("a", 1, [20, 4, 5, 1], means=[0.75]),
        run("b", 0, [9]),
        run("b", 1, [7, 8]),
    ],
)


def comparison_of(count, length=30, seeds=3):
    """Controllers whose names tell how good they are, the first the best; two of them random."""
    generator, runs = numpy.random.default_rng(0), []
    for number in range(count):
        name = f"random {number}" if number in (1, 2) else f"controller {number}"
        for seed in range(seeds):
            ranks = (generator.permutation(40)[:length] + 2 + 5 * number).tolist()
            runs.append(run(name, seed, ranks, means=[0.1 * number] * 2, samples=55))
    return Comparison(EVALUATOR, length, runs)


def drawn(draw, rows, **settings):
    """The axes of a figure that has been laid out, without a warning."""
    figure, ax = plots.figure()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draw(rows, ax, **settings) is ax
        plots.png(figure, dpi=50)
    return ax


def named(ax):
    return {line.get_label(): line for line in ax.get_lines() if line.get_label()[0] != "_"}


# --- rows -----------------------------------------------------------------------------------------


def test_comparison_rows_by_hand():
    rows = plots.comparison_rows(TWO, at=[1, 3, 4])
    assert rows["controller"].tolist() == ["a"] * 3 + ["b"] * 3
    assert rows["evaluations"].tolist() == [1, 3, 4] * 2
    assert rows["mean"].tolist() == [15.0, 3.0, 1.5, 8.0, 8.0, 8.0]
    assert rows["low"].tolist() == [10.0, 2.0, 1.0, 7.0, 7.0, 7.0]  # two seeds: 1 in 4 for each end
    assert rows["high"].tolist() == [20.0, 4.0, 2.0, 9.0, 9.0, 9.0]
    assert set(rows["measure"]) == {"rank"} and set(rows["seeds"]) == {2}
    samples = plots.comparison_rows(TWO, "samples", [3])
    assert samples["mean"].tolist() == [3.5, 1.5]


@pytest.mark.parametrize("measure", MEASURES)
def test_rows_are_those_of_the_summary(measure):
    comparison = comparison_of(3)
    rows, summary = plots.comparison_rows(comparison, measure, [5, 30]), comparison.summary([5, 30])
    for mine, theirs in (("mean", ""), ("low", "_low"), ("high", "_high")):
        assert rows[mine].tolist() == summary[measure + theirs].tolist()


@pytest.mark.parametrize("budget, first", [(500, 10), (300, 6), (20, 1), (1, 1)])
def test_the_points_lie_dense_on_a_logarithmic_scale(budget, first):
    comparison = Comparison(EVALUATOR, budget, [run("a", 0, [3])])
    points = plots.comparison_rows(comparison)["evaluations"].tolist()
    assert (points[0], points[-1]) == (first, budget)
    assert points == sorted(set(points)) and len(points) <= 40
    assert all(b - a == 1 or b / a < 1.2 for a, b in itertools.pairwise(points))


def test_unknown_measures_and_points():
    for rows in (plots.comparison_rows, lambda c, m: plots.verdict_rows(c, "a", 4, m)):
        with pytest.raises(SettingsError, match=r"measure must be one of rank, .* got 'luck'"):
            rows(TWO, "luck")
    with pytest.raises(SettingsError, match="from 1 to the budget of 4"):
        plots.comparison_rows(TWO, at=[5])
    with pytest.raises(SettingsError, match="a controller must be one of a and b, got 'c'"):
        plots.verdict_rows(TWO, "c")


def test_learning_rows_by_hand():
    runs = [
        run("a", 0, [1], samples=70, means=[0.1, 0.3, 0.5, 9.9]),  # the last window is not full
        run("a", 1, [1], samples=60, means=[0.2, 0.4, 0.6]),
        run("b", 0, [1], samples=40, means=[0.5, 0.7]),
        run("b", 1, [1], samples=200, means=[0.5] + [0.9] * 9),  # as far as the shortest goes
        run("c", 0, [1], samples=19, means=[0.5]),
    ]
    rows = plots.learning_rows(Comparison(EVALUATOR, 1, runs))
    assert rows["controller"].tolist() == ["a"] * 3 + ["b"] * 2
    assert rows["samples"].tolist() == [20, 40, 60, 20, 40]
    assert rows["mean"].tolist() == pytest.approx([0.15, 0.35, 0.55, 0.5, 0.8])
    assert (rows["low"].iloc[1], rows["high"].iloc[1]) == pytest.approx((0.3, 0.4))
    assert set(rows["seeds"]) == {2}


def test_long_lines_of_learning_are_joined():
    means = numpy.random.default_rng(0).random((3, 500))
    runs = [
        run("a", seed, [1], samples=10_000, means=own.tolist()) for seed, own in enumerate(means)
    ]
    rows = plots.learning_rows(Comparison(EVALUATOR, 1, runs), points=30)
    assert 20 <= len(rows) <= 30 and rows["samples"].iloc[-1] == 10_000
    start = 0
    for _, row in rows.iterrows():
        end = row["samples"] // 20
        assert row["mean"] == pytest.approx(means[:, start:end].mean())
        start = end


def test_verdict_rows_by_hand():
    rows = plots.verdict_rows(TWO, "b", at=1)
    assert rows.to_dict("records") == [
        {"controller": "a", "baseline": "b", "evaluations": 1, "measure": "rank",
         "difference": 7.0, "low": 1.0, "high": 13.0, "seeds": 2,
         "judgement": "too few to compare"},
    ]  # fmt: skip
    runs = [replace(one, seed=one.seed + 2 * n) for one in TWO.runs for n in range(10)]
    twenty = Comparison(EVALUATOR, 4, runs)
    (row,) = plots.verdict_rows(twenty, "b", at=1).to_dict("records")
    assert (row["seeds"], row["difference"], row["judgement"]) == (20, 7.0, "worse")
    (row,) = plots.verdict_rows(twenty, "b").to_dict("records")
    assert (row["evaluations"], row["difference"], row["judgement"]) == (4, -6.5, "better")
    (row,) = plots.verdict_rows(twenty, "a", measure="top").to_dict("records")
    assert (row["difference"], row["judgement"]) == (-1.0, "worse")  # ranks 1 and 2, 9 and 7 of 126
    found = twenty.verdict("b", "a", 4, "top")
    assert (row["difference"], row["low"], row["high"]) == (
        found.difference, found.low, found.high,
    )  # fmt: skip


@pytest.mark.parametrize("seeds", [5, 20])
@pytest.mark.parametrize("measure", MEASURES)
def test_verdict_rows_say_what_the_sentences_say(measure, seeds):
    comparison = comparison_of(8, seeds=seeds)
    rows = plots.verdict_rows(comparison, "random 2", 20, measure)
    assert set(rows["controller"]) == set(comparison.controllers) - {"random 2"}
    for row in rows.to_dict("records"):
        found = comparison.verdict(row["controller"], "random 2", 20, measure)
        wanted = {
            "better": f"{row['controller']} was better",
            "worse": "random 2 was better",
            "not distinguishable": "not distinguishable",
            "too few to compare": "too few to compare",
        }[row["judgement"]]
        assert found.conclusion == wanted and f": {wanted}." in found.sentence
        assert (row["judgement"] == "too few to compare") == (seeds == 5)
    assert rows["difference"].is_monotonic_decreasing == MEASURES[measure][1] or (
        rows["difference"].nunique() == 1
    )


def test_one_seed_has_no_interval():
    one = Comparison(EVALUATOR, 4, [TWO.runs[0], TWO.runs[2]])
    rows = plots.comparison_rows(one, at=[4])
    assert rows["mean"].tolist() == [2.0, 9.0] and rows[["low", "high"]].isna().all(axis=None)
    verdicts = plots.verdict_rows(one, "b")
    assert verdicts["judgement"].tolist() == ["too few to compare"]
    drawn(plots.draw_comparison, plots.comparison_rows(one))
    ax = drawn(plots.draw_verdicts, verdicts)
    assert "one seed, which decides nothing" in ax.get_xlabel()


# --- lines ----------------------------------------------------------------------------------------


def test_lines_bands_and_names():
    rows = plots.comparison_rows(TWO, at=[1, 2, 4])
    ax = drawn(plots.draw_comparison, rows, title="made up")
    lines = named(ax)
    assert lines["a"].get_xdata().tolist() == [1, 2, 4]
    assert lines["a"].get_ydata().tolist() == [15.0, 6.0, 1.5]
    band = ax.collections[0].get_paths()[0].vertices
    assert {tuple(v) for v in band.tolist()} >= {(1, 10), (1, 20), (2, 4), (2, 8), (4, 1), (4, 2)}
    assert words(ax) == ["a", "b"]  # from the bottom up: the best is the lowest
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_title(loc="left") == "made up"
    assert ax.get_ylabel() == "mean validation rank (1 is best)"
    assert ax.get_xlabel() == "different architectures evaluated"
    assert ax.get_xlim() == (1 / 1.05, 4)


@pytest.mark.parametrize("count", [3, 9, 12])
def test_many_controllers_are_told_apart(count):
    ax = drawn(plots.draw_comparison, plots.comparison_rows(comparison_of(count)))
    lines = named(ax)
    assert len(lines) == count
    dashes = {name: str(line._unscaled_dash_pattern) for name, line in lines.items()}
    in_grey = {(dashes[name], line.get_marker()) for name, line in lines.items()}
    assert len(in_grey) == count
    colours = {name: to_hex(line.get_color()) for name, line in lines.items()}
    for name, colour in colours.items():
        assert (colour == style.BASELINE) == name.startswith("random")
    assert max(list(colours.values()).count(colour) for colour in colours.values()) <= 2


def test_baselines_can_be_named():
    rows = plots.comparison_rows(comparison_of(4))
    lines = named(drawn(plots.draw_comparison, rows, baselines=["controller 3"]))
    red = [name for name, line in lines.items() if to_hex(line.get_color()) == style.BASELINE]
    assert red == ["controller 3"]


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("size", [(8.0, 4.5), (5.0, 3.5)])
def test_names_are_inside_the_figure_and_do_not_overlap(count, size):
    figure, ax = plots.figure(size=size)
    rows = plots.comparison_rows(comparison_of(count))
    rows["controller"] = [f"{name}, learning rate 0.01" for name in rows["controller"]]
    plots.draw_comparison(rows, ax, "a title")
    plots.png(figure, dpi=100)
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == count
    for one, other in itertools.pairwise(boxes):
        assert one.y1 <= other.y0 + 1  # pixels
    whole = figure.bbox
    for box in [*boxes, ax.yaxis.label.get_window_extent(), ax.title.get_window_extent()]:
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1
        assert whole.y0 <= box.y0 and box.y1 <= whole.y1
    assert min(box.x0 for box in boxes) > ax.get_window_extent().x1  # they hide nothing


def test_names_stand_in_the_order_of_the_ends():
    rows = plots.comparison_rows(comparison_of(9))
    last = rows[rows["evaluations"] == 30].sort_values("mean")
    ax = drawn(plots.draw_comparison, rows)
    assert words(ax) == last["controller"].tolist()
    heights = [text.get_position()[1] for text in ax.texts]
    assert heights == sorted(heights)


def test_a_regret_of_0_is_on_the_scale():
    found = Comparison(
        EVALUATOR, 3, [run("a", s, [9, 5, 1]) for s in (0, 1)] + [run("b", 0, [40, 30, 20])]
    )
    ax = drawn(plots.draw_comparison, plots.comparison_rows(found, "validation_regret"))
    assert ax.get_ylim()[0] < 0.0 < ax.get_ylim()[1]
    ticks = [label.get_text() for label in ax.get_yticklabels()]
    assert ticks[0] == "0" and len(ticks) > 1
    assert words(ax) == ["a", "b"]
    only = Comparison(EVALUATOR, 3, [run("a", 0, [1, 2, 3]), run("a", 1, [1])])
    ax = drawn(plots.draw_comparison, plots.comparison_rows(only, "validation_regret"))
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("at", [None, [7]])
def test_every_measure_can_be_drawn(measure, at):
    ax = drawn(plots.draw_comparison, plots.comparison_rows(comparison_of(3), measure, at))
    assert ax.get_yscale() == ("linear" if measure == "top" else "log")
    assert len(ax.get_ylabel()) < 50
    if at:
        assert [label.get_text() for label in ax.get_xticklabels()] == ["7"]


def test_learning_is_drawn():
    runs = [run("PPO", s, [1], samples=100, means=[0.1, 0.4, 0.6, 0.8, 0.8]) for s in range(3)]
    runs += [run("random", s, [1], samples=41, means=[0.2, 0.3, 0.9]) for s in range(3)]
    ax = drawn(plots.draw_learning, plots.learning_rows(Comparison(EVALUATOR, 1, runs)))
    lines = named(ax)
    assert lines["PPO"].get_ydata().tolist() == pytest.approx([0.1, 0.4, 0.6, 0.8, 0.8])
    assert lines["random"].get_xdata().tolist() == [20, 40]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    leaders = [line for line in ax.get_lines() if to_hex(line.get_color()) == "#999999"]
    assert len(leaders) == 1  # none from a line that ends in the middle


def test_an_experiment_with_a_readers_own_seeds():
    values = {"a": [[1, 2, 4], [3, 4, 8]], "random b": [[2, 2, 2], [2, 3, 2]]}
    tables = {name: numpy.array(rows, dtype=float) for name, rows in values.items()}
    about = {"x": "epochs", "measure": "reward", "more_is_better": True}
    recorded = Experiment("own", about, [0, 1, 2], tables)
    own = {"a": numpy.array([[0.5, 1.5], [0.6, 1.6]])}  # one point less
    ax = drawn(lambda _, ax, **more: plots.draw_experiment(recorded, ax, **more), None, others=own)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epochs", "reward")
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlim()) == ("linear", "linear", (0, 2))
    means = {line.get_label(): line.get_ydata().tolist() for line in ax.lines}
    assert (means["a"], means["random b"]) == ([2, 3, 6], [2, 2.5, 2])
    thin = [line for line in ax.lines if line.get_linewidth() == 0.7]
    assert [line.get_xydata().tolist() for line in thin] == [
        [[0, 0.5], [1, 1.5]], [[0, 0.6], [1, 1.6]],
    ]  # fmt: skip
    (mean,) = (line for line in ax.lines if line.get_label() == "a")
    assert {line.get_color() for line in thin} == {mean.get_color()}
    ranks = Experiment("own", about | {"more_is_better": False}, [1, 10, 100], tables)
    ax = drawn(lambda _, ax: plots.draw_experiment(ranks, ax, ["a"]), None)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert "random b" not in words(ax.figure)


def test_nothing_to_draw_is_said_in_words():
    short = Comparison(EVALUATOR, 1, [run("a", 0, [3], samples=5, means=[0.1])])
    ax = drawn(plots.draw_learning, plots.learning_rows(short))
    assert words(ax) == ["no controller has made 20 proposals yet"]
    ax = drawn(plots.draw_verdicts, plots.verdict_rows(short, "a"))
    assert words(ax) == ["no controller but the baseline"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.08))
def test_names_are_spread(places, gap):
    places = sorted(places)
    found = spread(places, gap)
    assert len(found) == len(places)
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(found))
    assert found[0] >= 0 and found[-1] <= 1 + 1e-9
    if all(b - a >= gap for a, b in itertools.pairwise(places)) and len(places) * gap < 1:
        assert found == pytest.approx(places)  # what fits is left where it is


def test_a_crowd_is_spread_around_its_middle():
    assert spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert spread([0.2, 0.5, 0.52], 0.1) == pytest.approx([0.2, 0.46, 0.56])
    assert spread([0.0, 0.0], 0.1) == pytest.approx([0.0, 0.1])
    assert spread([1.0, 1.0], 0.1) == pytest.approx([0.9, 1.0])


# --- verdicts -------------------------------------------------------------------------------------


def test_verdicts_are_dots_and_bars():
    runs = [run("baseline", s, [20 + s]) for s in range(20)]
    runs += [run("good", s, [10 + s]) for s in range(20)]
    runs += [run("bad", s, [50 + s]) for s in range(20)]
    by_seed = [20 + s + (9, -10, 11, -12, 1)[s % 5] for s in range(20)]
    runs += [run("level", s, [rank]) for s, rank in enumerate(by_seed)]
    rows = plots.verdict_rows(Comparison(EVALUATOR, 1, runs), "baseline")
    ax = drawn(plots.draw_verdicts, rows, title="made up")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["good", "level", "bad"]
    bars = [line for line in ax.get_lines() if len(line.get_xdata()) == 2][1:]  # the first: 0
    level = numpy.array([9, -10, 11, -12, 1] * 4, float)
    mean, low, high = bootstrap_mean(level)
    assert [list(bar.get_xdata()) for bar in bars] == [[-10, -10], [low, high], [30, 30]]
    dots = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    assert [dot.get_xdata()[0] for dot in dots] == [-10.0, pytest.approx(mean), 30.0]
    assert [dot.get_markerfacecolor() for dot in dots] == [style.BLUE, "white", style.BASELINE]
    assert dots[0].get_marker() != dots[2].get_marker()
    assert words(ax) == [
        "−10.0", "better", "−0.2", "not distinguishable", "+30.0", "worse",
    ]  # fmt: skip
    assert ax.get_xlabel() == (
        "mean validation rank: difference from baseline\n"
        "after 1 evaluations, 20 paired seeds, bars: 95 % intervals\n"
        "← further left is better"
    )
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the best on top
    top = drawn(plots.draw_verdicts, plots.verdict_rows(TWO, "a", measure="top"))
    assert top.get_xlabel().endswith("further right is better →")


def test_a_dot_of_few_seeds_is_hollow_and_says_why():
    runs = [run(name, s, [at + s]) for name, at in (("b", 20), ("a", 10)) for s in range(19)]
    ax = drawn(plots.draw_verdicts, plots.verdict_rows(Comparison(EVALUATOR, 1, runs), "b"))
    (dot,) = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    assert dot.get_markerfacecolor() == "white"
    assert words(ax) == ["−10.0", "too few to compare"]


def test_verdicts_with_long_names_stay_inside():
    names = ["baseline"] + [f"a controller with a long name, number {n}" for n in range(9)]
    runs = [run(name, s, [1 + s + 3 * n]) for n, name in enumerate(names) for s in range(4)]
    figure, ax = plots.figure()
    plots.draw_verdicts(plots.verdict_rows(Comparison(EVALUATOR, 1, runs), "baseline"), ax)
    plots.png(figure, dpi=100)
    texts = [*ax.texts, *ax.get_yticklabels(), ax.xaxis.label]
    for box in (text.get_window_extent() for text in texts):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0
    assert ax.get_window_extent().width > 0.4 * figure.bbox.width


def test_rows_leave_the_runs_as_they_were():
    before = [r.to_dict() for r in TWO.runs]
    plots.comparison_rows(TWO), plots.verdict_rows(TWO, "a"), plots.learning_rows(TWO)
    assert [r.to_dict() for r in TWO.runs] == before and len(TABLE) > 100

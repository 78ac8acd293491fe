"""Figures: exact rows from small hand-made tables, and what stands on the axes."""

import io
import math

import matplotlib
import numpy
import pandas
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.markers import MarkerStyle
from PIL import Image
from plot_helpers import words
from search_helpers import Coins

from nasworkbench import CellSpace, GraphSpace, plots
from nasworkbench.errors import SettingsError, WorkbenchError
from nasworkbench.plots import operations, style

NAN = float("nan")
SPACE = CellSpace(2, ("identity", "avg_pool_3x3", "conv_1x1", "sep_conv_3x3"))
#: A block: left and right input, left and right operation, combination. Four identities joined by
#: concat | avg, identity, identity, identity
ONE = (*(0, 1, 0, 0, 1, 0, 1, 0, 0, 1), *(1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
#: sep, conv, conv, conv | four conv: block 1 reads block 0
TWO = (*(0, 0, 3, 2, 0, 0, 0, 2, 2, 0), *(0, 1, 2, 2, 0, 2, 1, 2, 2, 0))


def trials(*rows: tuple) -> pandas.DataFrame:
    """A table as ``Search.trials()`` gives it, with the columns that figures need."""
    names = ["number", "completion_order", "status", "reward", "cached", "tokens"]
    return pandas.DataFrame(rows, columns=names).astype({"reward": float, "cached": bool})


TRIALS = trials(
    (0, 2, "ok", 0.5, False, ONE),
    (1, 1, "error", None, False, ONE),
    (2, 3, "ok", 0.3, True, TWO),
    (3, 4, "diverged", 9.0, False, TWO),
    (4, 5, "ok", 0.7, False, TWO),
)


def lines(ax) -> dict[str, object]:
    return {line.get_label(): line for line in ax.get_lines()}


# --- rewards ----------------------------------------------------------------------------------


def test_reward_rows_follow_the_order_in_which_trials_ended():
    rows = plots.reward_rows(TRIALS, window=2)
    assert rows["finished"].tolist() == [1, 2, 3, 4, 5]
    assert rows["number"].tolist() == [1, 0, 2, 3, 4]
    assert rows["status"].tolist() == ["error", "ok", "ok", "diverged", "ok"]
    assert rows["cached"].tolist() == [False, False, True, False, False]
    # what a failed trial was worth is not a reward, even if somebody stored one
    numpy.testing.assert_allclose(rows["reward"], [NAN, 0.5, 0.3, NAN, 0.7])
    numpy.testing.assert_allclose(rows["best"], [NAN, 0.5, 0.5, 0.5, 0.7])
    numpy.testing.assert_allclose(rows["mean"], [NAN, 0.5, 0.4, 0.3, 0.7])


def test_rows_leave_the_table_as_it_was():
    before = TRIALS.copy()
    plots.reward_rows(TRIALS)
    plots.operation_rows(TRIALS, SPACE)
    pandas.testing.assert_frame_equal(TRIALS, before)


@pytest.mark.parametrize("window", [0, -1, 2.0, True, "5"])
def test_a_window_is_a_number_of_trials(window):
    with pytest.raises(SettingsError, match="window must be a whole number from 1"):
        plots.reward_rows(TRIALS, window)
    with pytest.raises(SettingsError, match="window must be a whole number from 1"):
        plots.operation_rows(TRIALS, SPACE, window)


def test_rewards_are_drawn_as_dots_lines_and_crosses():
    _, ax = plots.figure()
    assert plots.draw_rewards(plots.reward_rows(TRIALS), ax, "PPO") is ax
    (dots,) = (c for c in ax.collections if isinstance(c, PathCollection))
    assert dots.get_offsets().tolist() == [[2, 0.5], [3, 0.3], [5, 0.7]]
    drawn = lines(ax)
    assert set(drawn) == {"PPO: best so far", "PPO: running mean", "PPO: failed"}
    assert drawn["PPO: failed"].get_xdata().tolist() == [1, 4]
    assert drawn["PPO: failed"].get_marker() == "x"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("finished trials", "reward")


def test_the_baseline_differs_in_colour_and_in_line():
    _, ax = plots.figure()
    rows = plots.reward_rows(TRIALS)
    good = rows[rows["status"] == "ok"]
    plots.draw_rewards(good, ax, "PPO", good, measure="accuracy")
    drawn = lines(ax)
    assert len(drawn) == 4  # and no crosses where nothing failed
    ours, theirs = drawn["PPO: running mean"], drawn["random search: running mean"]
    assert ours.get_color() != theirs.get_color()
    assert (ours.get_linestyle(), theirs.get_linestyle()) == ("-", "--")
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[0] == "PPO: best so far"
    assert len(legend) == 4
    assert ax.get_ylabel() == "accuracy"


def test_a_search_without_trials_says_so():
    _, ax = plots.figure()
    plots.draw_rewards(plots.reward_rows(TRIALS[:0]), ax)
    assert words(ax) == ["no trial has finished yet"]


def test_no_scale_is_made_up_where_everything_failed():
    _, ax = plots.figure()
    plots.draw_rewards(plots.reward_rows(TRIALS[TRIALS["status"] != "ok"]), ax)
    assert list(ax.get_yticks()) == []
    assert lines(ax)["controller: failed"].get_xdata().tolist() == [1, 2]


# --- operations -------------------------------------------------------------------------------


def test_operations_are_counted_in_both_cells_window_by_window():
    # finished in the order ONE, ONE | TWO, TWO, TWO: the last window takes the remainder
    rows = plots.operation_rows(TRIALS, SPACE, window=2)
    assert rows[["first", "last"]].drop_duplicates().to_numpy().tolist() == [[1, 2], [3, 5]]
    assert rows["choice"].tolist() == 2 * list(SPACE.operations)
    found = {
        (first, choice): (count, share)
        for first, choice, count, share in rows[
            ["first", "choice", "count", "frequency"]
        ].itertuples(index=False)
    }
    assert found == {
        (1, "identity"): (14, 14 / 16),
        (1, "avg_pool_3x3"): (2, 2 / 16),
        (1, "conv_1x1"): (0, 0.0),
        (1, "sep_conv_3x3"): (0, 0.0),
        (3, "identity"): (0, 0.0),
        (3, "avg_pool_3x3"): (0, 0.0),
        (3, "conv_1x1"): (21, 21 / 24),
        (3, "sep_conv_3x3"): (3, 3 / 24),
    }


def test_operations_of_one_role():
    rows = plots.operation_rows(TRIALS, SPACE, 5, "normal")
    assert rows["choice"].tolist() == list(SPACE.operations)
    assert rows["count"].tolist() == [8, 0, 9, 3]
    assert rows["frequency"].tolist() == [8 / 20, 0.0, 9 / 20, 3 / 20]
    tied = CellSpace(1, SPACE.operations, tied=True)
    frame = trials((0, 1, "ok", 0.1, False, (0, 1, 3, 2, 0)))
    for role in ("both", None):
        assert plots.operation_rows(frame, tied, role=role)["count"].tolist() == [0, 0, 1, 1]


def test_hidden_states_and_combinations():
    states = plots.operation_rows(TRIALS, SPACE, 5, kind="hidden_state")
    assert dict(zip(states["choice"], states["count"], strict=True)) == {
        "h[i-1]": 2 * 4 + 3 * 5,
        "h[i]": 2 * 4 + 3 * 2,
        "block 0": 3,
    }
    joins = plots.operation_rows(TRIALS, SPACE, 5, kind="combination")
    assert dict(zip(joins["choice"], joins["count"], strict=True)) == {"add": 16, "concat": 4}


def test_other_inputs_than_two_have_names_too():
    space = CellSpace(1, ("identity",), "add", inputs=3, tied=True)
    frame = trials((0, 1, "ok", 0.1, False, (0, 2, 0, 0, 0)))
    rows = plots.operation_rows(frame, space, kind="hidden_state")
    assert rows["choice"].tolist() == ["h[i-2]", "h[i-1]", "h[i]"]
    assert rows["count"].tolist() == [1, 0, 1]


def counted(space, frame, kind, window, role):
    """The rows of ``operation_rows``, counted one decision at a time."""
    sequences = frame.sort_values("completion_order")["tokens"].tolist()
    counts = {}
    for index, tokens in enumerate(sequences):
        first = min(index // window, max(len(sequences) // window, 1) - 1) * window + 1
        for decision, token in zip(space.decisions, tokens, strict=True):
            if decision.kind == kind and role in (None, decision.cell):
                key = first, decision.labels[token]
                counts[key] = counts.get(key, 0) + 1
    return counts


@pytest.mark.parametrize(
    "space",
    [CellSpace(), CellSpace(3, ("conv_1x1", "identity"), inputs=4, tied=True), GraphSpace()],
    ids=repr,
)
def test_choices_of_every_space(space):
    generator = numpy.random.default_rng(0)
    tokens = [space.sample_tokens(generator) for _ in range(47)]
    order = generator.permutation(47)
    frame = pandas.DataFrame({"completion_order": order + 1, "tokens": tokens})
    for kind in dict.fromkeys(decision.kind for decision in space.decisions):
        for role in (None, *dict.fromkeys(decision.cell for decision in space.decisions)):
            rows = plots.operation_rows(frame, space, 10, role, kind)
            assert rows["last"].drop_duplicates().tolist() == [10, 20, 30, 47]
            found = dict(zip(zip(rows["first"], rows["choice"], strict=True), rows["count"],
                             strict=True))  # fmt: skip
            expected = counted(space, frame, kind, 10, role)
            assert {key: count for key, count in found.items() if count} == expected
            numpy.testing.assert_allclose(rows.groupby("first")["frequency"].sum(), 1)
    _, ax = plots.figure()
    plots.draw_operations(plots.operation_rows(frame, space, 10), ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(space.operations)


def test_what_operation_rows_refuse():
    with pytest.raises(SettingsError, match="role must be one of normal and reduction, got 'both'"):
        plots.operation_rows(TRIALS, SPACE, role="both")
    with pytest.raises(SettingsError, match=r"kind .* hidden_state and combination, got 'blocks'"):
        plots.operation_rows(TRIALS, SPACE, kind="blocks")


def test_a_space_without_operations_has_none():
    frame = trials((0, 1, "ok", 0.1, False, (0, 1)), (1, 2, "ok", 0.1, False, (1, 1)))
    assert plots.operation_rows(frame, Coins()).empty
    assert plots.operation_rows(frame, Coins(), kind="coin")["count"].tolist() == [1, 3, 0]


def test_operations_are_a_heat_map_with_a_row_per_operation():
    figure, ax = plots.figure()
    plots.draw_operations(plots.operation_rows(TRIALS, SPACE, 2), ax)
    (mesh,) = (c for c in ax.collections if isinstance(c, QuadMesh))
    assert mesh.get_array().shape == (4, 2)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(SPACE.operations)
    assert mesh.get_array()[0].tolist() == [0.875, 0.0]  # identity
    assert ax.get_ylim() == (4, 0)  # identity on top
    assert ax.get_xlim() == (0.5, 5.5)
    assert words(ax) == ["88", "0", "12", "0", "0", "88", "0", "12"]  # from left to right
    (bar,) = (other for other in figure.axes if other is not ax)
    assert bar.get_ylabel() == "share of all proposed operations"
    (even,) = (line for line in bar.get_lines() if len(line.get_ydata()) == 2)
    assert even.get_ydata()[0] == pytest.approx(1 / 4)


def test_many_windows_are_not_written_into():
    frame = pandas.concat([TRIALS] * 10, ignore_index=True).assign(completion_order=range(1, 51))
    _, ax = plots.figure()
    plots.draw_operations(plots.operation_rows(frame, SPACE, 2), ax)
    assert ax.collections[0].get_array().shape[1] == 25 > operations.MOST_WRITTEN
    assert words(ax) == []


def test_no_operations_are_said_in_words():
    _, ax = plots.figure()
    plots.draw_operations(plots.operation_rows(TRIALS[:0], SPACE), ax)
    assert words(ax) == ["no operation has been proposed yet"]


# --- updates ----------------------------------------------------------------------------------

UPDATES = [
    {"update": 1, "told": 20, "reward": 0.5, "baseline": 0.5, "entropy": 1.6, "loss": 0.1,
     "ratio": 1.0, "clip_fraction": 0.25},
    {"update": 2, "told": 40, "reward": 0.7, "baseline": 0.6, "entropy": 1.2, "loss": 0.2,
     "ratio": 1.1, "clip_fraction": 0.5},
]  # fmt: skip


def test_update_rows_keep_what_was_measured_and_leave_holes_elsewhere():
    rows = plots.update_rows(UPDATES)
    assert rows["told"].tolist() == [20, 40]
    assert rows["entropy"].tolist() == [1.6, 1.2]
    assert rows["clip_fraction"].tolist() == [0.25, 0.5]
    bare = plots.update_rows([{"update": 1, "told": 4, "entropy": 1.0}])
    assert bare["entropy"].tolist() == [1.0]
    assert bare["clip_fraction"].isna().all()
    empty = plots.update_rows([])
    assert list(empty.columns) == list(rows.columns)
    assert empty.empty


def test_even_entropy_is_the_mean_log_of_the_choices():
    assert plots.even_entropy([2, 8]) == pytest.approx(math.log(4))
    assert plots.even_entropy([]) == 0.0
    choices = [decision.choices for decision in CellSpace().decisions]
    expected = (2 * math.log(720) * 2 + 20 * math.log(13) + 10 * math.log(2)) / 50
    assert plots.even_entropy(choices) == pytest.approx(expected)


def test_updates_are_drawn_on_three_axes():
    _, axes = plots.figure(columns=3)
    plots.draw_updates(plots.update_rows(UPDATES), axes, even=1.7)
    assert [ax.get_ylabel() for ax in axes] == [
        "entropy (nats per decision)", "clip fraction", "reward",
    ]  # fmt: skip
    curve, even = axes[0].get_lines()
    assert curve.get_xdata().tolist() == [20, 40]
    assert curve.get_ydata().tolist() == [1.6, 1.2]
    assert even.get_ydata()[0] == 1.7
    assert axes[0].get_ylim()[1] > 1.7
    assert axes[1].get_lines()[0].get_ydata().tolist() == [0.25, 0.5]
    assert set(lines(axes[2])) == {"mean of the batch", "baseline"}
    assert {ax.get_xlabel() for ax in axes} == {"trials told to the controller"}


def test_reinforce_clips_nothing_and_random_search_updates_nothing():
    _, axes = plots.figure(columns=3)
    rows = [{k: v for k, v in update.items() if k != "clip_fraction"} for update in UPDATES]
    plots.draw_updates(plots.update_rows(rows), axes)
    assert words(axes[1]) == ["this controller clips nothing"]
    assert len(axes[0].get_lines()) == 1  # and no even distribution unless it is given
    _, axes = plots.figure(columns=3)
    plots.draw_updates(plots.update_rows([]), axes)
    assert [words(ax) for ax in axes] == [["no update yet"]] * 3


def test_updates_need_three_axes():
    _, axes = plots.figure(columns=2)
    with pytest.raises(SettingsError, match="three axes, got 2"):
        plots.draw_updates(plots.update_rows(UPDATES), axes)


# --- retrained --------------------------------------------------------------------------------


def retraining(origin, key, reward, seed, test, status="ok"):
    return {
        "origin": origin, "key": key, "reward": reward, "seed": seed, "status": status,
        "cause": None, "genotype": "{}", "validation": test, "test": test, "seconds": 1.0,
    }  # fmt: skip


RETRAININGS = [
    retraining("random", "cccc", 0.7, 0, 0.80),
    retraining("random", "cccc", 0.7, 1, 0.82),
    retraining("controller", "aaaa", 0.6, 1, 0.92),
    retraining("controller", "aaaa", 0.6, 0, 0.90),
    retraining("controller", "bbbb", 0.8, 0, 0.96),
    retraining("controller", "bbbb", 0.8, 1, 0.10, "diverged"),
]


def test_retrained_rows_rank_each_search_by_its_reward():
    rows = plots.retrained_rows(RETRAININGS)
    assert rows["origin"].tolist() == ["controller"] * 4 + ["random"] * 2
    assert rows["key"].tolist() == ["bbbb", "bbbb", "aaaa", "aaaa", "cccc", "cccc"]
    assert rows["cell"].tolist() == [1, 1, 2, 2, 1, 1]
    assert rows["seed"].tolist() == [0, 1, 0, 1, 0, 1]
    numpy.testing.assert_allclose(rows["test"], [0.96, NAN, 0.90, 0.92, 0.80, 0.82])
    assert plots.retrained_rows([]).empty


def test_the_interval_resamples_cells_and_seeds():
    assert plots.mean_interval([[0.5, 0.5], [0.5]]) == (0.5, 0.5, 0.5)
    assert all(map(math.isnan, plots.mean_interval([[], []])))
    # two cells without spread inside: 1/4 both low, 1/2 mixed, 1/4 both high
    assert plots.mean_interval([[0.0, 0.0], [1.0]]) == (0.5, 0.0, 1.0)
    # one cell: all the spread is between its seeds
    mean, low, high = plots.mean_interval([[0.0, 1.0, 2.0]])
    assert (mean, low, high) == (1.0, 0.0, 2.0)
    # each cell counts once, however many seeds it has
    assert plots.mean_interval([[1.0], [0.0] * 9])[0] == 0.5


def test_the_interval_is_as_wide_as_the_standard_error_says():
    values = numpy.random.default_rng(0).normal(size=(200, 1))
    mean, low, high = plots.mean_interval(values)
    error = values.std() / math.sqrt(200)
    assert mean == pytest.approx(values.mean())
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.06)
    assert plots.mean_interval(values) == (mean, low, high)  # reproducible


def test_retrained_cells_are_drawn_side_by_side():
    _, ax = plots.figure()
    plots.draw_retrained(plots.retrained_rows(RETRAININGS), ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "controller 1  bbbb", "controller 2  aaaa", "controller: mean", "random 1  cccc",
        "random: mean",
    ]  # fmt: skip
    seeds = [line for line in ax.get_lines() if line.get_label() == "_seeds"]
    assert [line.get_xdata().tolist() for line in seeds] == [[0.96], [0.90, 0.92], [0.80, 0.82]]
    assert seeds[0].get_color() == seeds[1].get_color() != seeds[2].get_color()
    assert seeds[0].get_marker() != seeds[2].get_marker()
    assert {line.get_marker() for line in seeds} <= set(MarkerStyle.markers)
    first, second = (text.get_text() for text in ax.get_legend().get_texts())
    assert first.startswith("controller: mean 0.9350 (")
    assert second.startswith("random: mean 0.8100 (0.8000 to 0.8200)")
    assert ax.get_xlabel() == "test accuracy"


def test_hundreds_of_retrained_cells_have_no_names():
    rows = plots.retrained_rows(
        [retraining("controller", f"{n:04}", n / 100, 0, n / 100) for n in range(60)]
    )
    _, ax = plots.figure()
    plots.draw_retrained(rows, ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["controller: mean"]


def test_nothing_retrained_is_said_in_words():
    for rows in ([], [retraining("controller", "a", 0.1, 0, None, "error")]):
        _, ax = plots.figure()
        plots.draw_retrained(plots.retrained_rows(rows), ax)
        assert words(ax) == ["no network has been retrained yet"]


# --- style ------------------------------------------------------------------------------------


def test_a_figure_changes_no_global_setting_and_needs_no_display():
    before = dict(matplotlib.rcParams)
    figure, ax = plots.figure()
    plots.draw_rewards(plots.reward_rows(TRIALS), ax)
    plots.png(figure)
    assert dict(matplotlib.rcParams) == before
    assert tuple(figure.get_size_inches()) == style.SIZE


def test_a_png_is_opaque_and_of_the_size_that_was_asked_for():
    figure, _ = plots.figure(size=(4.0, 2.0))
    data = plots.png(figure, dpi=50)
    assert data.startswith(b"\x89PNG")
    picture = Image.open(io.BytesIO(data))
    assert picture.size == (200, 100)
    assert picture.convert("RGBA").getextrema()[3] == (255, 255)


def test_a_png_holds_every_colour_that_was_drawn():
    """Six pale bands, one over the other: a reduced palette gave one the colour of another."""
    figure, ax = plots.figure()
    for number, colour in enumerate("bgrcmy"):
        ax.fill_between(
            [0, 1], [0.1 * number, 0.0], [0.3 + 0.1 * number, 1.0], fc=colour, alpha=0.1
        )
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(style.SHOWN_DPI)
    canvas.draw()
    drawn = numpy.asarray(canvas.buffer_rgba())[..., :3]
    for data in (plots.png(figure, style.SHOWN_DPI), figure._repr_png_()[0]):
        shown = numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert numpy.array_equal(shown, drawn)


def test_a_figure_is_described_in_words():
    figure, (left, right) = plots.figure(columns=2)
    plots.styled(left, "trial", "reward", "digits,\n60 trials")
    left.plot([0, 1], [0, 1], label="PPO")
    left.plot([0, 1], [1, 0], label="random search")
    style.legend(left)
    left.text(0, 0, "the clip")
    left.text(0, 0, "the clip")
    left.text(0, 0, "0.25")  # a number in a heat map
    style.say(right, "nothing has been trained yet")
    assert plots.described(figure) == (
        "Figure. Digits, 60 trials: reward against trial, with PPO; random search; the clip. "
        "Nothing has been trained yet."
    )
    assert plots.described(plots.figure()[0]) == "Figure."


def test_figures_are_saved_by_their_suffix(tmp_path):
    figure, _ = plots.figure()
    assert plots.save(figure, tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")
    assert plots.save(figure, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(WorkbenchError, match=r"a\.jpg.*\.png, \.svg and \.pdf"):
        plots.save(figure, tmp_path / "a.jpg")
    with pytest.raises(WorkbenchError, match="cannot write the figure"):
        plots.save(figure, tmp_path / "nowhere" / "a.png")


def test_a_figure_shows_itself_in_a_notebook():
    from IPython.core.formatters import DisplayFormatter

    figure, ax = plots.figure()
    plots.draw_rewards(plots.reward_rows(TRIALS), ax)
    data, about = DisplayFormatter().format(figure)
    assert data["image/png"].startswith(b"\x89PNG")
    words = plots.described(figure)
    assert "Reward against finished trials, with controller: best so far; " in words
    assert about["image/png"] == {"width": 800, "alt": words}
    assert data["text/plain"] == words

"""The replay's state and its face, without a browser."""

from __future__ import annotations

import html
import re
import threading

import numpy
import pytest
from matplotlib.figure import Figure
from search_helpers import identity_share, new, share_or_fail, small_space

from nasworkbench import PPO, CellSpace, GraphSpace, RandomSearch, Search, draw, recordings
from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.search import History
from nasworkbench.widgets import common
from nasworkbench.widgets.replay import SearchReplay
from nasworkbench.widgets.replay.heatmap import COLOURS, HeatMap
from nasworkbench.widgets.replay.state import ReplayState


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """33 trials of PPO in batches of 5, with failures that are told as 0."""
    folder = tmp_path_factory.mktemp("runs") / "ppo"
    search = new(folder, share_or_fail)
    search.run(33)
    search.store.close()
    return folder


def words(widget):
    """The text of an HTML widget."""
    return html.unescape(re.sub(r"<[^>]+>", " ", widget.value))


# --- the state ------------------------------------------------------------------------------------


def test_steps_follow_the_order_of_completion(folder):
    state = ReplayState(folder)
    assert (state.step, len(state)) == (1, 33)
    with History(folder) as history:
        trials = history.trials()
        for step in (1, 7, 33):
            state.go(step)
            assert state.trial == history.trial(int(trials["number"][step - 1]))
            numpy.testing.assert_array_equal(
                state.probabilities, history.distributions(state.trial.number)
            )
    for wrong in (0, 34, -1, 2.0, True, "3"):
        with pytest.raises(SettingsError, match=r"step must be a whole number from 1 to 33, got"):
            state.go(wrong)
    assert state.step == 33


def test_the_best_so_far_is_the_first_with_the_highest_reward(folder):
    state = ReplayState(folder)
    best, seen = None, set()
    for step in range(1, 34):
        state.go(step)
        trial = state.trial
        if trial.status == "ok" and (best is None or trial.reward > best.reward):
            best = trial
        assert state.best == best
        seen.add(best and best.number)
    assert len(seen) > 2


def test_the_sentence_and_the_numbers(folder):
    state = ReplayState(folder)
    with History(folder) as history:
        trials, updates = history.trials(), history.updates()
    failed = trials[trials["status"] == "error"].iloc[0]
    state.go(int(failed["completion_order"]))
    assert "error" in state.sentence() and "no identity anywhere" in state.sentence()
    assert dict((n, v) for n, v, _ in state.numbers())["told"] == "0.0000"
    best = trials.loc[trials["reward"].idxmax()]
    state.go(int(best["completion_order"]))
    assert state.sentence().endswith("It is the best so far.")
    second, by_number = updates[1], trials.set_index("number")
    place = next(
        place
        for place, number in enumerate(second["numbers"])
        if second["advantages"][place] > 0 and by_number["status"][number] == "ok"
    )
    good = by_number.loc[second["numbers"][place]]
    state.go(int(good["completion_order"]))
    assert f"reward {good['reward']:.4f}" in state.sentence()
    assert f"drawn after {good['updates_at_proposal']} update" in state.sentence()
    rows = {name: (value, meaning) for name, value, meaning in state.numbers()}
    names = ["reward", "baseline", "advantage", "ratio", "clip fraction", "entropy", "log P"]
    assert list(rows) == names
    assert rows["baseline"][0] == f"{second['baseline_before']:.4f}"
    assert rows["advantage"] == (
        f"{second['advantages'][place]:+.3f}",
        "so update 2 makes these decisions more probable",
    )
    assert rows["ratio"][0] == f"{second['ratio']:.3f}"
    assert rows["clip fraction"] == (f"{second['clip_fraction']:.1%}", "of those ratios were "
                                     "outside 1 ± 0.2")  # fmt: skip
    probabilities = state.probabilities.astype(float)
    entropies = -numpy.where(probabilities, probabilities * numpy.log(probabilities + 1e-300), 0)
    assert float(rows["entropy"][0]) == pytest.approx(entropies.sum(1).mean(), abs=6e-4)
    assert rows["entropy"][1].endswith(f"undecided: {state.even:.3f}")
    assert rows["log P"][0] == f"{good['log_prob']:.2f}"
    assert state.remark() == ""
    state.go(33)
    assert "batch is not full" in state.remark()
    assert f"Best so far: trial {state.best.number} with" in state.sentence()


def test_what_is_shown_is_what_is_stored(folder):
    """The probabilities are those with which each trial was drawn."""
    state = ReplayState(folder)
    for step in range(1, 34):
        state.go(step)
        drawn = state.probabilities[range(len(state.trial.tokens)), list(state.trial.tokens)]
        numpy.testing.assert_allclose(
            numpy.log(drawn), state.trial.proposal.log_probs, atol=2e-3
        )  # they are stored in half precision
        numpy.testing.assert_allclose(state.probabilities.sum(1), 1, atol=2e-3)


def test_a_shipped_recording_by_its_name():
    state = ReplayState("laptop-random")
    assert len(state) == 200
    assert state.heat_map() == ""
    assert state.remark() == "RandomSearch has no policy: it has no probabilities to show."
    assert "ratio" not in {name for name, _, _ in state.numbers()}
    assert ReplayState(recordings.folder("laptop-random")).sentence() == state.sentence()


def test_bad_sources(tmp_path, monkeypatch):
    with pytest.raises(StoreError, match=r"there is no folder or recording 'nowhere'"):
        ReplayState("nowhere")
    with pytest.raises(StoreError, match="a replay shows a run folder, a Search"):
        ReplayState(7)
    with pytest.raises(StoreError, match="holds no search"):
        SearchReplay(tmp_path)
    (tmp_path / "search.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(StoreError, match="damaged"):
        SearchReplay(tmp_path)


def test_the_mark_is_on_the_curve(folder):
    state = ReplayState(folder)
    made, places, (top, bottom) = state.curve()
    ax = made.axes[0]
    made.draw_without_rendering()
    assert 0 < top < min(y for _, y in places) < bottom < 1
    for trial, (x, y) in zip(state.trials.itertuples(), places, strict=True):
        pixels = x * made.bbox.width, (1 - y) * made.bbox.height
        finished, reward = ax.transData.inverted().transform(pixels)
        assert finished == pytest.approx(trial.completion_order)
        if trial.status == "ok":
            assert reward == pytest.approx(trial.reward)
        else:
            assert reward == pytest.approx(ax.get_ylim()[0])


def test_a_cell_is_drawn_once(folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(common, "draw", lambda thing: drawn.append(thing) or draw(thing))
    state = ReplayState(folder)
    trial = state.trial
    first = state.cell(trial, "normal")
    assert "data:image/svg+xml;base64," in first
    assert state.cell(trial, "normal") is first
    assert state.cell(trial, "reduction") != first
    assert drawn == [trial.genotype.normal, trial.genotype.reduction]


def test_without_graphviz_the_cell_is_text(folder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(__import__("sys").modules, "pygraphviz", None)
    widget = SearchReplay(folder)
    assert "drawing needs graphviz" in words(widget.drawn)
    assert "block 0 =" in words(widget.drawn)


# --- the heat map ---------------------------------------------------------------------------------

SPACES = (CellSpace(), CellSpace(3, tied=True), small_space(), GraphSpace(), CellSpace(9))


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_the_map_shows_every_probability_and_every_token(space):
    generator = numpy.random.default_rng(0)
    choices = [decision.choices for decision in space.decisions]
    probabilities = numpy.zeros((len(choices), max(choices)))
    for t, count in enumerate(choices):
        probabilities[t, :count] = generator.dirichlet(numpy.ones(count))
    tokens = space.sample_tokens(1)
    heat_map = HeatMap(space.decisions)
    svg = heat_map.svg(probabilities, tokens)
    places = []
    for colour, title, way in [
        (colour, title, way)
        for ways, colour, title in re.findall(
            r'<path d="([^"]+)" fill="(#\w+)"><title>probability ([\d.]+)</title>', svg
        )
        for way in ways.split("z")[:-1]
    ]:
        x, y, width, height = map(
            float, re.fullmatch(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-\3", way).groups()
        )
        assert colour == COLOURS[round(100 * float(title))]
        places.append((y, x, width, height, float(title)))
    # as many as there are choices, each in a place of its own, all of them in the picture
    assert len({place[:2] for place in places}) == len(places) == sum(choices)
    wide, high = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
    assert all(x + w <= wide and y + h <= high for y, x, w, h, _ in places)
    # a decision's options stand below each other, and what is drawn has a ring in its middle
    rings = re.search(r'd="([^"]+)" fill="none" stroke="white"', svg).group(1).split("M")[1:]
    assert len(rings) == len(tokens)
    for t, ring in enumerate(rings):
        left, middle = map(float, re.match(r"([\d.]+) ([\d.]+)a4 4", ring).groups())
        column = [p for p in places if abs(p[1] + p[2] / 2 - left - 4) < 0.11]
        (drawn,) = (p for p in column if abs(p[0] + p[3] / 2 - middle) < 0.11)
        assert drawn[4] == pytest.approx(probabilities[t, tokens[t]], abs=0.0051)
        values = [p[4] for p in sorted(column)]
        wanted = probabilities[t, : choices[t]]
        windows = [values[n : n + choices[t]] for n in range(len(values) - choices[t] + 1)]
        assert any(window == pytest.approx(wanted, abs=0.0051) for window in windows)
    for decision in space.decisions:
        assert f"{decision.options[-1]}</text>" in heat_map.frame or decision.kind == "hidden_state"


# --- the widget -----------------------------------------------------------------------------------


def test_every_control_moves_the_step(folder):
    widget = SearchReplay(folder)
    widget.slider.set_state({"value": 12})
    assert (widget.step, widget.number.value, widget.play.value) == (12, 12, 12)
    assert widget.trial.completion_order == 12
    assert words(widget.sentence).strip().startswith("Step 12 of 33: trial 11")
    widget.number.set_state({"value": 20})
    assert (widget.step, widget.slider.value) == (20, 20)
    widget.play.set_state({"value": 21})
    assert (widget.step, widget.slider.value) == (21, 21)
    widget.next.click()
    widget.back.click()
    widget.back.click()
    assert widget.step == 20
    widget.step = 33
    assert widget.next.disabled and not widget.back.disabled
    widget.slider.set_state({"value": 1})
    assert widget.back.disabled and not widget.next.disabled


def test_what_is_shown_is_this_step(folder):
    widget = SearchReplay(folder)
    shown = (widget.heat, widget.numbers, widget.mark, widget.drawn)
    before = [part.value for part in shown]
    widget.step = 31
    trial, best = widget.state.trial, widget.state.best
    assert all(part.value != old for part, old in zip(shown, before, strict=True))
    assert f"trial {best.number}, reward {best.reward:.4f}" in words(widget.best)
    assert f"trial {trial.number}" in words(widget.drawn)
    normal = widget.drawn.value
    widget.part.set_state({"index": 1})
    assert "reduction cell" in words(widget.drawn) and widget.drawn.value != normal


def test_a_refused_step_is_said_and_the_last_one_stays(folder):
    widget = SearchReplay(folder)
    widget.step = 5
    with pytest.raises(SettingsError, match="step must be a whole number from 1 to 33"):
        widget.step = 34
    widget.go(34)  # what a callback does
    assert widget.step == 5 and widget.slider.value == 5
    assert "from 1 to 33, got 34" in words(widget.sentence)
    assert 'role="status"' in widget.sentence.value
    widget.slider.set_state({"value": 900})  # the slider's own limits
    assert widget.step == 33


def test_an_empty_search(tmp_path):
    search = new(tmp_path / "s")
    for source in (search, tmp_path / "s"):
        widget = SearchReplay(source)
        assert widget.step == 0 and widget.trial is None
        assert "No trial yet" in words(widget.sentence)
        assert widget.slider.disabled and widget.next.disabled and widget.back.disabled
        with pytest.raises(SettingsError, match="no trial has ended yet"):
            widget.step = 1
        assert isinstance(widget.static(), Figure)


def test_a_search_whose_first_trials_failed(tmp_path):
    search = new(tmp_path / "s", lambda genotype: 1 / 0, failure_reward=None)
    search.run(3)
    widget = SearchReplay(search)
    assert "no trial has succeeded yet" in words(widget.best)
    assert "the controller was told nothing of it" in words(widget.remark)
    assert widget.static().axes


def test_a_search_that_is_open(tmp_path):
    search = new(tmp_path / "s")
    search.run(8)
    widget = SearchReplay(search)
    search.run(3)
    assert (len(widget.state), len(SearchReplay(search).state)) == (8, 11)
    with pytest.raises(StoreError, match="another space"):
        SearchReplay(tmp_path / "s", space=CellSpace())


def test_graphs_have_no_two_cells(tmp_path):
    space = GraphSpace()
    search = Search(space, PPO(space, 0, batch_size=4), lambda g: len(g.key) / 50, tmp_path / "s")
    search.run(6)
    widget = SearchReplay(search)
    assert widget.part.layout.display == "none"
    assert "data:image/svg+xml" in widget.drawn.value
    tied = CellSpace(1, ("identity", "conv_1x1"), tied=True)
    search = Search(tied, RandomSearch(tied, 0), identity_share, tmp_path / "tied")
    search.run(2)
    assert SearchReplay(search).state.parts == ()


def test_static_is_the_step_on_paper(folder):
    widget = SearchReplay(folder)
    widget.step = 9
    made = widget.static()
    curve = made.axes[0]
    assert any(list(line.get_xdata()) == [9, 9] for line in curve.lines)
    assert made.get_suptitle().startswith("Step 9 of 33")
    assert len(made.axes) == 3  # the curve, the map, and the map's scale
    without = SearchReplay("laptop-random").static()
    assert len(without.axes) == 1


def test_two_replays_do_not_disturb_each_other(folder):
    one, other = SearchReplay(folder), SearchReplay(folder)
    one.step = 30
    assert other.step == 1 and other.slider.value == 1
    one.close()
    assert one.step == 30
    other.next.click()
    assert other.step == 2


def test_many_threads_may_move_it(folder):
    widget = SearchReplay(folder)
    threads = [
        threading.Thread(target=lambda n=n: [widget.go(n), widget.next.click()])
        for n in range(1, 30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    step = widget.step
    assert {control.value for control in widget.controls} == {step}
    assert words(widget.sentence).strip().startswith(f"Step {step} of 33")


def test_where_no_widget_can_render(folder):
    widget = SearchReplay(folder)
    data, _ = widget._repr_mimebundle_()
    assert ".static()" in data["text/plain"]
    widget.close()

"""The replay's state and its face, without a browser."""

from __future__ import annotations

import html
import re
import sqlite3
import threading
from contextlib import closing

import numpy
import pytest
from matplotlib.figure import Figure
from search_helpers import identity_share, new, share_or_fail, small_space

from nasworkbench import PPO, CellSpace, GraphSpace, RandomSearch, Search, recordings
from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.widgets.replay import SearchReplay
from nasworkbench.widgets.replay import state as replaying
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


def test_steps_follow_the_order_of_ending(folder):
    state = ReplayState(folder)
    assert (state.step, len(state)) == (1, 33)
    state.go(33)
    assert state.now is state.recording.steps[32]
    for wrong in (0, 34, -1, 2.0, True, "3"):
        with pytest.raises(SettingsError, match=r"no step .*: steps go from 1 to 33"):
            state.go(wrong)
    assert state.step == 33


def test_the_sentence_and_the_numbers(folder):
    state = ReplayState(folder)
    failed = next(s for s in state.recording.steps if s.trial.status == "error")
    state.go(failed.trial.completion_order)
    assert "error" in state.sentence() and "no identity anywhere" in state.sentence()
    assert dict((n, v) for n, v, _ in state.numbers())["told"] == "0.0000"
    best = next(s for s in state.recording.steps if s.best is s.trial)
    state.go(best.trial.completion_order)
    assert state.sentence().endswith("It is the best so far.")
    good = next(s for s in state.recording.steps if s.past.update == 2 and s.past.advantage > 0)
    state.go(good.trial.completion_order)
    assert f"reward {good.trial.reward:.4f}" in state.sentence()
    rows = {name: (value, meaning) for name, value, meaning in state.numbers()}
    names = ["reward", "baseline", "advantage", "ratio", "clip fraction", "entropy", "log P"]
    assert list(rows) == names
    assert rows["advantage"][0] == f"{good.past.advantage:+.3f}"
    assert rows["advantage"][1] == "so update 2 makes these decisions more probable"
    assert rows["clip fraction"] == (f"{good.past.clip_fraction:.1%}", "of those ratios were "
                                     "outside 1 ± 0.2")  # fmt: skip
    assert rows["entropy"][1].endswith(f"undecided: {state.even:.3f}")
    assert state.remark() == ""
    state.go(33)
    assert "batch is not full" in state.remark()
    assert f"Best so far: trial {state.now.best.number} with" in state.sentence()


def test_a_doubtful_past_is_said(folder, tmp_path):
    copy = tmp_path / "s"
    copy.mkdir()
    (copy / "search.sqlite").write_bytes((folder / "search.sqlite").read_bytes())
    with closing(sqlite3.connect(copy / "search.sqlite")) as connection, connection:
        connection.execute("UPDATE trials SET log_probs = ? WHERE number = 2", [str([-3.0] * 10)])
    widget = SearchReplay(copy)
    assert words(widget._remark).strip() == ""
    widget.step = 3
    assert "not quite the one that drew these trials" in words(widget._remark)
    assert "nwb-problem" in widget._remark.value


def test_a_shipped_recording_by_its_name():
    state = ReplayState("laptop-random")
    assert len(state) == 200
    assert state.heat_map() == ""
    assert state.remark() == "RandomSearch has no policy: it has no probabilities to show."
    assert "ratio" not in {name for name, _, _ in state.numbers()}
    assert ReplayState(recordings.folder("laptop-random")).sentence() == state.sentence()


def test_bad_sources(tmp_path, monkeypatch):
    with pytest.raises(StoreError, match=r"no folder 'nowhere', and no recording of that name"):
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
    for step, (x, y) in zip(state.recording.steps, places, strict=True):
        pixels = x * made.bbox.width, (1 - y) * made.bbox.height
        finished, reward = ax.transData.inverted().transform(pixels)
        assert finished == pytest.approx(step.trial.completion_order)
        if step.trial.status == "ok":
            assert reward == pytest.approx(step.trial.reward)
        else:
            assert reward == pytest.approx(ax.get_ylim()[0])


def test_a_cell_is_drawn_once(folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(replaying, "draw", lambda thing: drawn.append(thing) or draw(thing))
    draw = __import__("nasworkbench").draw
    state = ReplayState(folder)
    trial = state.now.trial
    first = state.cell(trial, "normal")
    assert first.startswith('<img src="data:image/svg+xml;base64,')
    assert state.cell(trial, "normal") is first
    assert state.cell(trial, "reduction") != first
    assert drawn == [trial.genotype.normal, trial.genotype.reduction]


def test_without_graphviz_the_cell_is_text(folder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(__import__("sys").modules, "pygraphviz", None)
    widget = SearchReplay(folder)
    assert "No drawing: drawing needs graphviz" in words(widget._drawn)
    assert "block 0 =" in words(widget._drawn)


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
    widget._slider.set_state({"value": 12})
    assert (widget.step, widget._number.value, widget._play.value) == (12, 12, 12)
    assert widget.trial is widget.state.recording.steps[11].trial
    assert words(widget._sentence).strip().startswith("Step 12 of 33: trial 11")
    widget._number.set_state({"value": 20})
    assert (widget.step, widget._slider.value) == (20, 20)
    widget._play.set_state({"value": 21})
    assert (widget.step, widget._slider.value) == (21, 21)
    widget._next.click()
    widget._back.click()
    widget._back.click()
    assert widget.step == 20
    widget.step = 33
    assert widget._next.disabled and not widget._back.disabled
    widget._slider.set_state({"value": 1})
    assert widget._back.disabled and not widget._next.disabled


def test_what_is_shown_is_this_step(folder):
    widget = SearchReplay(folder)
    shown = (widget._heat, widget._numbers, widget._mark, widget._drawn)
    before = [part.value for part in shown]
    widget.step = 31
    step = widget.state.recording.steps[30]
    assert all(part.value != old for part, old in zip(shown, before, strict=True))
    assert f"trial {step.best.number}, reward {step.best.reward:.4f}" in words(widget._best)
    assert f"trial {step.trial.number}" in words(widget._drawn)
    normal = widget._drawn.value
    widget._part.set_state({"index": 1})
    assert "reduction cell" in words(widget._drawn) and widget._drawn.value != normal


def test_a_refused_step_is_said_and_the_last_one_stays(folder):
    widget = SearchReplay(folder)
    widget.step = 5
    with pytest.raises(SettingsError, match="steps go from 1 to 33"):
        widget.step = 34
    widget._go(34)  # what a callback does
    assert widget.step == 5 and widget._slider.value == 5
    assert "there is no step 34" in words(widget._sentence)
    assert 'role="status"' in widget._sentence.value
    widget._slider.set_state({"value": 900})  # the slider's own limits
    assert widget.step == 33


def test_an_empty_search(tmp_path):
    search = new(tmp_path / "s")
    for source in (search, tmp_path / "s"):
        widget = SearchReplay(source)
        assert widget.step == 0 and widget.trial is None
        assert "No trial yet" in words(widget._sentence)
        assert widget._slider.disabled and widget._next.disabled and widget._back.disabled
        with pytest.raises(SettingsError, match="no trial has ended yet"):
            widget.step = 1
        assert isinstance(widget.static(), Figure)


def test_a_search_whose_first_trials_failed(tmp_path):
    search = new(tmp_path / "s", lambda genotype: 1 / 0, failure_reward=None)
    search.run(3)
    widget = SearchReplay(search)
    assert "no trial has succeeded yet" in words(widget._best)
    assert "the controller was told nothing of it" in words(widget._remark)
    assert widget.static().axes


def test_a_search_that_is_open(tmp_path):
    search = new(tmp_path / "s")
    search.run(8)
    widget = SearchReplay(search)
    search.run(3)
    assert (len(widget.state), len(SearchReplay(search).state)) == (8, 11)
    with pytest.raises(StoreError, match="another controller"):
        SearchReplay(search, controller=PPO(small_space(), 99))


def test_graphs_have_no_two_cells(tmp_path):
    space = GraphSpace()
    search = Search(space, PPO(space, 0, batch_size=4), lambda g: len(g.key) / 50, tmp_path / "s")
    search.run(6)
    widget = SearchReplay(search)
    assert widget._part.layout.display == "none"
    assert "data:image/svg+xml" in widget._drawn.value
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
    assert other.step == 1 and other._slider.value == 1
    one.close()
    assert one.step == 30
    other._next.click()
    assert other.step == 2


def test_many_threads_may_move_it(folder):
    widget = SearchReplay(folder)
    threads = [
        threading.Thread(target=lambda n=n: [widget._go(n), widget._next.click()])
        for n in range(1, 30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    step = widget.step
    assert {control.value for control in widget._controls} == {step}
    assert words(widget._sentence).strip().startswith(f"Step {step} of 33")


def test_where_no_widget_can_render(folder):
    widget = SearchReplay(folder)
    data, _ = widget._repr_mimebundle_()
    assert ".static()" in data["text/plain"]
    widget.close()

"""The dashboard: what it reads, what its buttons do and refuse, what it shows; no browser."""

import base64
import html
import io
import re
import threading
import time

import pytest
from PIL import Image
from search_helpers import (
    WaitForStop,
    every_kind_of_failure,
    hangs,
    identity_share,
    new,
    share_or_fail,
    slow_share,
    small_space,
)

from nasworkbench import GraphSpace, RandomSearch, Search
from nasworkbench.errors import SettingsError, StoreError, WorkbenchError
from nasworkbench.widgets.dashboard import SearchDashboard
from nasworkbench.widgets.dashboard.state import PHASES, DashboardState, Pace, Run, in_words
from nasworkbench.widgets.dashboard.tabs import TABS


@pytest.fixture(autouse=True)
def no_bars(monkeypatch):
    monkeypatch.setenv("NASWORKBENCH_PROGRESS", "0")


@pytest.fixture
def dashboards():
    """Makes dashboards, and ends them and their searches after the test."""
    made = []

    def make(search, *arguments, **settings):
        made.append(SearchDashboard(search, *arguments, **settings))
        return made[-1]

    yield make
    for dashboard in made:
        dashboard.search.stop()
        dashboard.close()
    assert not [t for t in threading.enumerate() if t.name == "dashboard"]


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def words(widget):
    """What an HTML widget shows."""
    return html.unescape(widget.value).strip()


# --- reading ------------------------------------------------------------------------------------


def rows(frame):
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def test_every_trial_is_read_once(tmp_path):
    search = new(tmp_path / "run", share_or_fail)
    run = Run(search)
    assert run.trials.empty and run.best is None and not run.read()
    for count in (2, 5, 1):
        search.run(count)
        assert run.read() and not run.read()
        assert rows(run.trials) == rows(search.trials())
    assert run.best == search.best()[0]
    assert rows(Run(tmp_path / "run").trials) == rows(run.trials)
    run.history.close()


def test_numbers_of_a_finished_search(tmp_path):
    search = new(tmp_path / "run", share_or_fail)
    state = DashboardState(search)
    assert (state.phase, state.done, state.numbers()) == ("new", 0, "0 of 0 trials")
    search.run(30)
    assert state.read() is True
    assert state.read() is False
    assert (state.phase, state.done, state.goal, state.left) == ("finished", 30, 30, 0)
    best = search.best()[0]
    assert state.run.best == best
    failed = search.trials().query("status == 'error'")
    assert 0 < len(failed) < 30
    assert state.run.failed["cause"].tolist() == failed.cause.tolist()
    assert state.numbers() == (
        f"30 of 30 trials · best reward {best.reward:.4f} · {len(failed)} failed"
    )
    assert state.updates == search.store.updates()
    assert state.workers() == []
    state.close()


def test_rate_and_time_left_count_no_pause(tmp_path):
    two = new(tmp_path / "two")
    two.run(2)
    search = new(tmp_path / "run", WaitForStop())
    state = DashboardState(search)
    state.read(0.0)
    assert state.rate is None
    search.start(4)
    until(lambda: search.activity)
    state.read(1.0)
    assert state.phase == "running"
    none, state.run.trials = state.run.trials, two.trials()  # as if two had ended since
    state.read(11.0)
    assert state.rate == pytest.approx(12.0)
    assert state.numbers().startswith("2 of 4 trials · 12 a minute · 10 s left")
    until(lambda: any(search.activity))
    search.pause()
    state.read(11.0)
    assert state.phase == "pausing"  # a trial runs
    search.unpause()
    search.stop()
    search.result(10)
    assert "minute" not in state.numbers()
    state.run.trials = none
    state.read(12.0)
    assert state.phase == "stopped"
    state.read(100.0)
    assert state.rate is None  # of the next start


def test_workers_in_words(tmp_path, monkeypatch):
    search = new(tmp_path / "run", WaitForStop())
    state = DashboardState(search)
    search.start(1)
    until(lambda: any(search.activity))
    (work,) = search.activity
    ((worker, doing, since),) = state.workers(now=work.since + 12.3)
    assert (worker, doing) == ("0", f"trial 0, genotype {work.key}")
    assert since == time.strftime("%H:%M:%S", time.localtime(work.since)) + ", for 12 s"
    with monkeypatch.context() as context:
        context.setattr(Search, "activity", [work, None])
        assert state.workers()[1] == ("1", "idle", "")
        assert "idle" in TABS["Workers"].words(state)
    search.stop()
    search.result(10)
    assert "does not run here" in TABS["Workers"].words(state)


def test_causes_are_text_and_only_the_last_are_listed(tmp_path):
    def fails(genotype, seed, count=[0]):  # noqa: B006
        count[0] += 1
        raise ValueError(f"<script>alert({count[0]})</script>")

    search = new(tmp_path / "run", fails)
    state = DashboardState(search)
    assert TABS["Failures"].words(state) == "No trial has failed."
    with pytest.raises(WorkbenchError, match="first 5 trials have all failed alike"):
        search.run(7)
    search.run()
    state.read()
    shown = TABS["Failures"].words(state)
    assert shown.startswith("7 of 7 trials failed (7 error); the last 5:")
    assert "<script>" not in shown
    causes = [f"&lt;script&gt;alert({n})" in shown for n in range(1, 8)]
    assert causes == [False, False, True, True, True, True, True]
    assert shown.index("alert(7)") < shown.index("alert(3)")


def test_pace_lends_first_and_then_keeps_its_share():
    now = [0.0]
    pace = Pace(share=0.01, loan=0.5, clock=lambda: now[0])
    assert pace.due()
    pace.spent(0.3)
    assert pace.due()
    pace.spent(0.4)
    assert not pace.due()
    now[0] = 19.0
    assert not pace.due()
    now[0] = 20.1
    assert pace.due()
    now[0] = 1e6  # what was not spent is not saved for long
    assert pace.due()
    pace.spent(0.6)
    assert not pace.due()


def test_what_is_said_of_an_error():
    assert in_words(StoreError("no such folder")) == "no such folder"
    assert in_words(ValueError("two\n lines")) == "ValueError: two lines"


# --- buttons ------------------------------------------------------------------------------------


def test_start_pause_resume_stop_by_clicks(tmp_path, dashboards):
    search = new(tmp_path / "run", slow_share)
    shown = dashboards(search, trials=400)
    assert "Nothing has run yet" in words(shown.sentence)
    shown.buttons.press("Start")
    until(lambda: search.finished >= 2)
    until(lambda: "Running" in words(shown.sentence))
    until(lambda: "a minute" in words(shown.numbers))
    shown.buttons.press("Pause")
    until(lambda: "Paused" in words(shown.sentence))
    paused_at = search.finished
    time.sleep(0.3)
    assert search.finished == paused_at
    until(lambda: f">{paused_at} of 400 trials" in words(shown.numbers))
    shown.buttons.press("Resume")
    until(lambda: search.finished > paused_at)
    shown.buttons.press("Stop")
    until(lambda: not search.running, 1)
    until(lambda: "Stopped; nothing is lost" in words(shown.sentence))
    assert shown.field.value == 400 - search.finished
    assert (shown.bar.value, shown.bar.max) == (search.finished, 400)
    assert 'role="status"' in shown.sentence.value


def test_the_field_says_how_many_more(tmp_path, dashboards):
    search = new(tmp_path / "run")
    shown = dashboards(search)
    assert shown.field.value == 20
    shown.field.set_state({"value": 7})
    shown.buttons.press("Start")
    shown.wait(30)
    assert search.finished == 7
    assert "Finished" in words(shown.sentence)
    shown.start(3)
    shown.wait(30)
    assert (search.finished, shown.bar.value, shown.bar.max) == (10, 10, 10)
    assert shown.field.value == 7
    shown.field.set_state({"value": -4})
    assert shown.field.value == 1  # the nearest that is allowed


def test_second_start_is_refused_in_the_widget(tmp_path, dashboards):
    search = new(tmp_path / "run", WaitForStop())
    shown = dashboards(search, trials=3)
    shown.start()
    shown.buttons.press("Start")
    assert "this search is running already" in words(shown.problem)
    assert "nwb-problem" in shown.problem.value
    with pytest.raises(SettingsError, match="running already"):
        shown.start()
    assert search.running
    shown.buttons.press("Pause")  # accepted: the refusal is history
    until(lambda: "running already" not in words(shown.problem))
    shown.buttons.press("Stop")
    until(lambda: "Stopped" in words(shown.sentence), 3)
    assert search.store.meta("goal") == 3


def test_what_has_no_meaning_now_is_refused(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run", WaitForStop()))
    for name in ("Pause", "Resume", "Stop"):
        shown.buttons.press(name)
        assert "the search is not running: Start runs it" in words(shown.problem)
    for act in (shown.pause, shown.resume, shown.stop):
        with pytest.raises(SettingsError, match="not running"):
            act()
    shown.start()
    shown.buttons.press("Resume")
    assert "the search is not paused" in words(shown.problem)


def test_a_blocking_run_is_seen_and_can_be_stopped(tmp_path, dashboards):
    search = new(tmp_path / "run", WaitForStop())
    shown = dashboards(search)
    thread = threading.Thread(target=search.run, args=(2,))
    thread.start()
    until(lambda: "Running" in words(shown.sentence))
    shown.buttons.press("Start")
    assert "a notebook cell is running this search" in words(shown.problem)
    shown.buttons.press("Stop")
    thread.join(3)
    assert not thread.is_alive()
    until(lambda: "Stopped" in words(shown.sentence))


@pytest.mark.parametrize("executor, limit", [("inline", 1.0), ("processes", 1.0)])
def test_stop_ends_within_a_second_and_the_trial_runs_again(tmp_path, dashboards, executor, limit):
    search = new(tmp_path / "run", WaitForStop() if executor == "inline" else hangs)
    shown = dashboards(search, 4, executor, 2)
    shown.start()
    until(lambda: any(search.activity))
    begun = time.monotonic()
    shown.buttons.press("Stop")
    shown.wait(10)
    assert time.monotonic() - begun < 2  # a second, and one more on a busy machine
    stopped = [trial for trial in search.store.unfinished() if trial.status == "stopped"]
    assert len(stopped) == (1 if executor == "inline" else 2)
    again = dashboards(Search.resume(search.directory, search.evaluator))
    assert again.field.value == 4
    again.search.evaluator = identity_share
    again.start()
    again.wait(30)
    assert sorted(again.search.trials().number) == [0, 1, 2, 3]


def test_a_restarted_kernel_shows_the_same_and_goes_on(tmp_path, dashboards):
    search = new(tmp_path / "run", share_or_fail)
    before = dashboards(search, trials=12)
    before.start()
    before.wait(30)
    after = dashboards(Search.resume(tmp_path / "run", share_or_fail))
    assert words(after.numbers) == words(before.numbers)
    assert after.pictures["Rewards"].value == before.pictures["Rewards"].value
    after.start(5)
    after.wait(30)
    assert "17 of 17 trials" in words(after.numbers)
    # the first dashboard sees it too: all it shows is in the folder
    until(lambda: "17 of 17 trials" in words(before.numbers))


def test_two_dashboards_of_one_search(tmp_path, dashboards):
    search = new(tmp_path / "run", slow_share)
    one, other = dashboards(search, trials=300), dashboards(search, trials=300)
    one.start()
    until(lambda: "Running" in words(other.sentence))
    other.buttons.press("Start")
    assert "running already" in words(other.problem)
    assert "running already" not in words(one.problem)
    one.close()
    other.buttons.press("Stop")
    until(lambda: "Stopped" in words(other.sentence))
    assert not search.running


def test_only_the_buttons_that_make_sense_are_offered(tmp_path, dashboards):
    search = new(tmp_path / "run", WaitForStop())
    shown = dashboards(search, trials=3)
    offered = []
    shown.buttons.observe(lambda change: offered.append(change["new"]), "offered")
    assert shown.buttons.offered == ["Start"]
    for name, expected in (
        ("Start", ["Pause", "Stop"]),
        ("Pause", ["Resume", "Stop"]),
        ("Resume", ["Pause", "Stop"]),
        ("Stop", ["Start"]),
    ):
        shown.buttons.press(name)
        until(lambda expected=expected: shown.buttons.offered == expected)
    shown_names = {name for names in offered for name in names}
    assert shown_names == set(shown.buttons.tips) == {n for _, ns in PHASES.values() for n in ns}


def test_a_button_answers_its_front_end(tmp_path, dashboards, monkeypatch):
    shown, answers = dashboards(new(tmp_path / "run")), []
    monkeypatch.setattr(shown.buttons, "send", answers.append)
    for message in ({"press": "Stop", "id": "a-1"}, {"press": "Explode", "id": "a-2"}, "Stop"):
        shown.buttons._handle_custom_msg(message, [])
    assert answers == [{"answer": "a-1"}, {"answer": "a-2"}, {"answer": None}]
    assert "the search is not running" in words(shown.problem)


# --- what goes wrong ----------------------------------------------------------------------------


def test_what_ends_the_thread_is_shown_and_nothing_is_lost(tmp_path, dashboards):
    search = new(tmp_path / "run")
    shown = dashboards(search, trials=6)

    def refuse(outcomes):
        raise RuntimeError("<b>not listening</b>")

    search.controller.tell = refuse
    shown.buttons.press("Start")
    until(lambda: "not listening" in words(shown.problem))
    assert "RuntimeError: &lt;b&gt;not listening" in shown.problem.value
    assert "Stopped" in words(shown.sentence)
    with pytest.raises(RuntimeError, match="not listening"):
        shown.wait(10)
    assert "not listening" in words(shown.problem)
    del search.controller.tell
    shown.buttons.press("Start")
    shown.wait(30)
    assert "not listening" not in words(shown.problem)
    assert sorted(search.trials().number) == list(range(search.finished))


def test_a_search_that_another_one_runs(tmp_path, dashboards):
    search = new(tmp_path / "run", WaitForStop())
    search.start(3)
    until(lambda: search.evaluator.started == 1)
    other = dashboards(Search.resume(tmp_path / "run", WaitForStop()), trials=9)
    other.buttons.press("Start")
    until(lambda: "another process is running the search in" in words(other.problem))
    with pytest.raises(StoreError, match="another process"):
        other.wait(10)
    assert other.field.value == 9
    assert search.running
    search.stop()
    search.result(10)


def test_an_evaluator_that_cannot_travel(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run", lambda genotype: 0.5), 3, "processes")
    shown.buttons.press("Start")
    until(lambda: "this function cannot be sent" in words(shown.problem))


def test_an_unknown_executor(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run"), executor="ray")
    shown.buttons.press("Start")
    assert "executor must be 'inline' or 'processes', got 'ray'" in words(shown.problem)


def test_a_store_that_breaks_meanwhile(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run"))
    shown.state.close()
    until(lambda: "is damaged or holds no search" in words(shown.problem))
    assert shown.thread.is_alive()


@pytest.mark.parametrize("trials", [0, -1, 2.5, True, "many"])
def test_trials_out_of_range(tmp_path, trials):
    with pytest.raises(SettingsError, match="trials must be a whole number from 1"):
        SearchDashboard(new(tmp_path / "run"), trials)


def test_no_search(tmp_path):
    with pytest.raises(SettingsError, match=r"search must be a Search.*Search\.resume"):
        SearchDashboard(str(tmp_path))


def test_a_baseline_that_is_no_search(tmp_path):
    with pytest.raises(StoreError, match="holds no search"):
        SearchDashboard(new(tmp_path / "run"), baseline=tmp_path / "nothing")


# --- what is shown ------------------------------------------------------------------------------


def picture(widget):
    words, data = re.fullmatch(
        r'<img alt="(.+?)" src="data:image/png;base64,(.+?)" style=".+">', widget.value, re.S
    ).groups()
    return Image.open(io.BytesIO(base64.b64decode(data))), words


def test_only_the_visible_tab_is_drawn(tmp_path, dashboards):
    search = new(tmp_path / "run")
    search.run(12)
    shown = dashboards(search)
    assert shown.tabs.titles == (
        "Rewards", "Controller", "Operations", "Best cell", "Workers", "Failures",
    )  # fmt: skip
    drawn = {name for name, image in shown.pictures.items() if image.value}
    assert drawn == {"Rewards"}
    assert f"best reward {search.best()[0].reward:.4f}" in words(shown.words["Rewards"])
    expected = {
        "Controller": "PPO after 2 updates: entropy (nats per decision) ",
        "Operations": "All cells together. Most frequent of late: ",
        "Best cell": f"genotype {search.best()[0].key}.",
    }
    in_picture = {
        "Controller": "Entropy (nats per decision) against trials told to the controller, ",
        "Operations": "identity; ",
        "Best cell": "block 0 = ",
    }
    for number, (name, said_there) in enumerate(expected.items(), 1):
        shown.tabs.set_state({"selected_index": number})
        until(lambda name=name: shown.pictures[name].value)
        until(lambda name=name, said_there=said_there: said_there in words(shown.words[name]))
        image, alternative = picture(shown.pictures[name])
        assert image.width > 200 and in_picture[name] in alternative
        assert shown.pictures[name].layout.display is None
    shown.tabs.set_state({"selected_index": 5})
    until(lambda: "No trial has failed." in words(shown.words["Failures"]))


def test_a_picture_follows_at_the_end_and_when_paused(tmp_path, dashboards):
    search = new(tmp_path / "run", slow_share)
    shown = dashboards(search, trials=300)
    shown.pace.spent(1000)  # none is due for a day
    first = shown.pictures["Rewards"].value
    shown.start()
    until(lambda: search.finished >= 3)
    until(lambda: "(The picture shows the first 0 trials.)" in words(shown.words["Rewards"]))
    assert shown.pictures["Rewards"].value == first
    shown.pause()
    until(lambda: shown.pictures["Rewards"].value != first)
    assert shown.drawn["Rewards"] == f"the first {search.finished} trials"
    shown.resume()
    shown.stop()
    until(lambda: not search.running)
    until(lambda: shown.drawn["Rewards"] == f"the first {search.finished} trials")


def test_an_empty_search_and_one_without_successes(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "empty"))
    assert words(shown.numbers).endswith("0 of 0 trials</div>")
    assert TABS["Best cell"].words(shown.state) == "No trial has succeeded yet."
    assert TABS["Best cell"].picture(shown.state) is None
    assert TABS["Controller"].words(shown.state) == "PPO has made no update yet."

    def fails(genotype):
        raise ValueError("no")

    search = new(tmp_path / "failed", fails)
    search.run(4)
    shown = dashboards(search)
    assert "4 failed" in words(shown.numbers)
    assert TABS["Rewards"].words(shown.state) == ""
    assert TABS["Best cell"].picture(shown.state) is None


def test_controllers_without_updates_say_so(tmp_path, dashboards):
    search = new(tmp_path / "run", controller="RandomSearch")
    search.run(5)
    shown = dashboards(search)
    makes_none = "RandomSearch makes no updates: it has no entropy and clips nothing."
    assert TABS["Controller"].words(shown.state) == makes_none
    assert TABS["Controller"].picture(shown.state) is None
    shown.tabs.selected_index = 1
    until(lambda: "makes no updates" in words(shown.words["Controller"]))
    assert shown.pictures["Controller"].layout.display == "none"
    assert len(shown.static().axes) == 1


def test_operations_of_every_space_are_shown(tmp_path, dashboards):
    space = GraphSpace()
    search = Search(space, RandomSearch(space), lambda g: len(g.key) / 20, tmp_path / "run")
    search.run(3)
    shown = dashboards(search)
    shown.tabs.selected_index = list(TABS).index("Operations")
    until(lambda: "Most frequent of late: " in words(shown.words["Operations"]))
    assert any(f"{name} (" in words(shown.words["Operations"]) for name in space.operations)
    assert picture(shown.pictures["Operations"])[0].width > 200
    shown.tabs.selected_index = list(TABS).index("Best cell")
    until(lambda: shown.pictures["Best cell"].value)


def test_what_cannot_be_drawn_is_described(tmp_path, dashboards, monkeypatch):
    search = new(tmp_path / "run")
    search.run(3)

    def missing(genotype):
        raise StoreError("graphviz is missing")

    monkeypatch.setattr("nasworkbench.widgets.dashboard.tabs.draw", missing)
    shown = dashboards(search)
    shown.tabs.selected_index = list(TABS).index("Best cell")
    key = f"genotype {search.best()[0].key}. No drawing: graphviz is missing"
    until(lambda: key in words(shown.words["Best cell"]))
    assert shown.pictures["Best cell"].layout.display == "none"


def test_the_baseline_is_read_as_search_and_as_folder(tmp_path, dashboards):
    baseline = new(tmp_path / "random", controller="RandomSearch")
    baseline.run(6)
    search = new(tmp_path / "run")
    search.run(6)
    for given in (baseline, tmp_path / "random"):
        shown = dashboards(search, baseline=given)
        assert "The baseline: best reward" in words(shown.words["Rewards"])
        names = [text.get_text() for text in shown.static().axes[-1].get_legend().get_texts()]
        assert "random search: best so far" in names


def test_static_is_a_figure_that_shows_itself(tmp_path, dashboards):
    search = new(tmp_path / "run")
    search.run(12)
    shown = dashboards(search)
    made = shown.static()
    assert len(made.axes) == 4
    assert made._repr_png_()[0].startswith(b"\x89PNG")
    data, _ = shown._repr_mimebundle_()
    assert "SearchDashboard" in data["text/plain"]


def test_updates_with_measures_of_their_own(tmp_path, dashboards):
    class Own(RandomSearch):
        def _learn(self, outcomes):
            self.last_update = {"surprise": 1.0}

    space = small_space()
    search = Search(space, Own(space, 0), identity_share, tmp_path / "own")
    search.run(2)
    state = dashboards(search).state
    assert TABS["Controller"].picture(state).startswith("<img alt=")
    assert TABS["Controller"].words(state) == "Own after 2 updates."


def test_an_update_that_was_taken_back_says_why(tmp_path, dashboards):
    rewards = iter([0.5, 1e30, 0.25, 0.75, 0.5] * 9)
    search = new(tmp_path / "run", lambda genotype: next(rewards))
    search.run(5)
    state = dashboards(search).state
    assert TABS["Controller"].words(state) == (
        "PPO after 1 update: the last one was taken back: a number overflowed (a reward was 1e+30)."
    )
    assert TABS["Controller"].picture(state).startswith("<img alt=")


# --- the end ------------------------------------------------------------------------------------


def test_close_leaves_the_search_alone(tmp_path):
    search = new(tmp_path / "run", slow_share)
    shown = SearchDashboard(search, trials=400)
    shown.start()
    until(lambda: search.finished >= 1)
    parts = [shown, shown.tabs, shown.field, shown.buttons]
    shown.close()
    assert all(part.comm is None for part in parts)
    assert not shown.thread.is_alive()
    assert search.running
    shown.close()  # twice does no harm
    search.stop()
    search.result(10)


def test_a_wait_that_is_too_short(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run", WaitForStop()), trials=1)
    shown.start()
    with pytest.raises(TimeoutError):
        shown.wait(0.05)
    assert shown.search.running


def test_failures_with_processes_are_shown(tmp_path, dashboards):
    search = new(tmp_path / "run", every_kind_of_failure, time_limit=1.0)
    shown = dashboards(search, 12, "processes")
    shown.start()
    shown.wait(120)
    shown.tabs.selected_index = 5
    failed = len(shown.state.run.failed)
    assert failed
    until(lambda: f"{failed} of 12 trials failed" in words(shown.words["Failures"]))
    assert shown.state.run.best == search.best()[0]

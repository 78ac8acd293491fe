"""The dashboard: what it reads, what its buttons do and refuse, what it shows; no browser."""

import html
import io
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
from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.widgets.dashboard import SearchDashboard, panels
from nasworkbench.widgets.dashboard.panels import Pace
from nasworkbench.widgets.dashboard.state import DashboardState, Rows, said


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


def test_every_trial_is_read_once_and_in_any_order(tmp_path):
    search = new(tmp_path / "run")
    search.run(9)
    store = search.store
    store.connection.execute("UPDATE trials SET status = NULL WHERE number IN (0, 4, 8)")
    rows = Rows(store)
    assert [row["number"] for row in rows.read()] == [1, 2, 3, 5, 6, 7]
    assert rows.read() == []
    store.connection.execute("UPDATE trials SET status = 'ok' WHERE number IN (4, 8)")
    assert [row["number"] for row in rows.read()] == [4, 8]
    store.connection.execute("UPDATE trials SET status = 'ok' WHERE number = 0")
    assert [row["number"] for row in rows.read()] == [0]
    assert rows._first == 9
    assert not rows._seen
    whole = search.trials()
    mine = rows.frame().sort_values("place").reset_index(drop=True)
    for column in mine:
        assert mine[column].tolist() == whole[column].tolist()


def test_numbers_of_a_finished_search(tmp_path):
    search = new(tmp_path / "run", share_or_fail)
    search.run(30)
    watch = DashboardState(search)
    assert watch.state == "new"
    assert watch.look() is True
    assert watch.look() is False
    assert (watch.state, watch.done, watch.goal, watch.left) == ("finished", 30, 30, 0)
    best = search.best()[0]
    assert (watch.best["number"], watch.best["reward"]) == (best.number, best.reward)
    failed = search.trials().query("status == 'error'")
    assert 0 < len(failed) < 30
    assert watch.failure_counts() == [("error", len(failed))]
    assert [row["cause"] for row in watch.failures] == failed.cause.tolist()
    assert watch.numbers() == (
        f"30 of 30 trials · best reward {best.reward:.4f} · {len(failed)} failed"
    )
    assert watch.updates == search.store.updates()
    assert watch.workers() == []


def test_rate_and_time_left_count_no_pause(tmp_path):
    search = new(tmp_path / "run", WaitForStop())
    watch = DashboardState(search)
    watch.look(0.0)
    assert watch.rate is None
    search.start(4)
    until(lambda: search.activity)
    watch.look(1.0)
    assert watch.state == "running"
    watch.mine.rows += [{"number": -1}, {"number": -2}]  # as if two had ended since
    watch.look(11.0)
    assert watch.rate == pytest.approx(12.0)
    assert watch.numbers().startswith("2 of 4 trials · 12 a minute · 10 s left")
    until(lambda: any(search.activity))
    search.pause()
    watch.look(11.0)
    assert watch.state == "pausing"  # a trial runs
    search.unpause()
    search.stop()
    search.result(10)
    assert "minute" not in watch.numbers()
    watch.mine.rows.clear()
    watch.look(12.0)
    assert watch.state == "stopped"
    watch.look(100.0)
    assert watch.rate is None  # of the next start


def test_workers_in_words(tmp_path):
    search = new(tmp_path / "run", WaitForStop())
    watch = DashboardState(search)
    search.start(1)
    until(lambda: any(search.activity))
    (work,) = search.activity
    ((worker, doing, since),) = watch.workers(now=work.since + 12.3)
    assert (worker, doing) == ("0", f"trial 0, genotype {work.key}")
    assert since == time.strftime("%H:%M:%S", time.localtime(work.since)) + ", for 12 s"
    search._loop.workers.append(None)
    assert watch.workers()[1] == ("1", "idle", "")
    assert "idle" in panels.workers(watch)
    search.stop()
    search.result(10)
    assert "does not run here" in panels.workers(watch)


def test_causes_are_text_and_only_the_last_are_listed(tmp_path):
    def fails(genotype, seed, count=[0]):  # noqa: B006
        count[0] += 1
        raise ValueError(f"<script>alert({count[0]})</script>")

    search = new(tmp_path / "run", fails)
    watch = DashboardState(search)
    assert panels.failures(watch) == "No trial has failed."
    search.run(7)
    watch.look()
    shown = panels.failures(watch)
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
    assert said(StoreError("no such folder")) == "no such folder"
    assert said(ValueError("two\n lines")) == "ValueError: two lines"


# --- buttons ------------------------------------------------------------------------------------


def test_start_pause_resume_stop_by_clicks(tmp_path, dashboards):
    search = new(tmp_path / "run", slow_share)
    shown = dashboards(search, trials=400)
    assert "Nothing has run yet" in words(shown._news)
    shown.buttons["Start"].click()
    until(lambda: search.finished >= 2)
    until(lambda: "Running" in words(shown._news))
    until(lambda: "a minute" in words(shown._numbers))
    shown.buttons["Pause"].click()
    until(lambda: "Paused" in words(shown._news))
    paused_at = search.finished
    time.sleep(0.3)
    assert search.finished == paused_at
    until(lambda: f">{paused_at} of 400 trials" in words(shown._numbers))
    shown.buttons["Resume"].click()
    until(lambda: search.finished > paused_at)
    shown.buttons["Stop"].click()
    until(lambda: not search.running, 1)
    until(lambda: "Stopped; nothing is lost" in words(shown._news))
    assert shown._more.value == 400 - search.finished
    assert (shown._bar.value, shown._bar.max) == (search.finished, 400)
    assert 'role="status"' in shown._news.value


def test_the_field_says_how_many_more(tmp_path, dashboards):
    search = new(tmp_path / "run")
    shown = dashboards(search)
    assert shown._more.value == 20
    shown._more.set_state({"value": 7})
    shown.buttons["Start"].click()
    shown.wait(30)
    assert search.finished == 7
    assert "Finished" in words(shown._news)
    shown.start(3)
    shown.wait(30)
    assert (search.finished, shown._bar.value, shown._bar.max) == (10, 10, 10)
    assert shown._more.value == 7
    shown._more.set_state({"value": -4})
    assert shown._more.value == 1  # the nearest that is allowed


def test_second_start_is_refused_in_the_widget(tmp_path, dashboards):
    search = new(tmp_path / "run", WaitForStop())
    shown = dashboards(search, trials=3)
    shown.start()
    shown.buttons["Start"].click()
    assert "this search is running already" in words(shown._message)
    assert "nwb-problem" in shown._message.value
    with pytest.raises(SettingsError, match="running already"):
        shown.start()
    assert search.running
    shown.buttons["Pause"].click()  # accepted: the refusal is history
    until(lambda: "running already" not in words(shown._message))
    shown.buttons["Stop"].click()
    until(lambda: "Stopped" in words(shown._news), 3)
    assert search.store.meta("goal") == 3


def test_what_has_no_meaning_now_is_refused(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run", WaitForStop()))
    for name in ("Pause", "Resume", "Stop"):
        shown.buttons[name].click()
        assert "the search is not running: Start runs it" in words(shown._message)
    for act in (shown.pause, shown.resume, shown.stop):
        with pytest.raises(SettingsError, match="not running"):
            act()
    shown.start()
    shown.buttons["Resume"].click()
    assert "the search is not paused" in words(shown._message)


def test_a_blocking_run_is_seen_and_can_be_stopped(tmp_path, dashboards):
    search = new(tmp_path / "run", WaitForStop())
    shown = dashboards(search)
    thread = threading.Thread(target=search.run, args=(2,))
    thread.start()
    until(lambda: "Running" in words(shown._news))
    shown.buttons["Start"].click()
    assert "a cell is running this search already" in words(shown._message)
    shown.buttons["Stop"].click()
    thread.join(3)
    assert not thread.is_alive()
    until(lambda: "Stopped" in words(shown._news))


@pytest.mark.parametrize("executor, limit", [("inline", 1.0), ("processes", 1.0)])
def test_stop_ends_within_a_second_and_the_trial_runs_again(tmp_path, dashboards, executor, limit):
    search = new(tmp_path / "run", WaitForStop() if executor == "inline" else hangs)
    shown = dashboards(search, 4, executor, 2)
    shown.start()
    until(lambda: any(search.activity))
    begun = time.monotonic()
    shown.buttons["Stop"].click()
    shown.wait(10)
    assert time.monotonic() - begun < 2  # a second, and one more on a busy machine
    stopped = search.store.trials("status = 'stopped'")
    assert len(stopped) == (1 if executor == "inline" else 2)
    again = dashboards(Search.resume(search.directory, search.evaluator))
    assert again._more.value == 4
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
    assert words(after._numbers) == words(before._numbers)
    assert after._pictures["Rewards"].value == before._pictures["Rewards"].value
    after.start(5)
    after.wait(30)
    assert "17 of 17 trials" in words(after._numbers)
    # the first dashboard sees it too: all it shows is in the folder
    until(lambda: "17 of 17 trials" in words(before._numbers))


def test_two_dashboards_of_one_search(tmp_path, dashboards):
    search = new(tmp_path / "run", slow_share)
    one, other = dashboards(search, trials=300), dashboards(search, trials=300)
    one.start()
    until(lambda: "Running" in words(other._news))
    other.buttons["Start"].click()
    assert "running already" in words(other._message)
    assert "running already" not in words(one._message)
    one.close()
    other.buttons["Stop"].click()
    until(lambda: "Stopped" in words(other._news))
    assert not search.running


# --- what goes wrong ----------------------------------------------------------------------------


def test_what_ends_the_thread_is_shown_and_nothing_is_lost(tmp_path, dashboards):
    search = new(tmp_path / "run")
    shown = dashboards(search, trials=6)

    def refuse(outcomes):
        raise RuntimeError("<b>not listening</b>")

    search.controller.tell = refuse
    shown.buttons["Start"].click()
    until(lambda: "not listening" in words(shown._message))
    assert "RuntimeError: &lt;b&gt;not listening" in shown._message.value
    assert "Stopped" in words(shown._news)
    with pytest.raises(RuntimeError, match="not listening"):
        shown.wait(10)
    assert "not listening" in words(shown._message)
    del search.controller.tell
    shown.buttons["Start"].click()
    shown.wait(30)
    assert "not listening" not in words(shown._message)
    assert sorted(search.trials().number) == list(range(search.finished))


def test_a_search_that_another_one_runs(tmp_path, dashboards):
    search = new(tmp_path / "run", WaitForStop())
    search.start(3)
    until(lambda: search.evaluator.started == 1)
    other = dashboards(Search.resume(tmp_path / "run", WaitForStop()), trials=9)
    other.buttons["Start"].click()
    until(lambda: "another process is running the search in" in words(other._message))
    with pytest.raises(StoreError, match="another process"):
        other.wait(10)
    assert other._more.value == 9
    assert search.running
    search.stop()
    search.result(10)


def test_an_evaluator_that_cannot_travel(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run", lambda genotype: 0.5), 3, "processes")
    shown.buttons["Start"].click()
    until(lambda: "this function cannot be sent" in words(shown._message))


def test_an_unknown_executor(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run"), executor="ray")
    shown.buttons["Start"].click()
    assert "executor must be 'inline' or 'processes', got 'ray'" in words(shown._message)


def test_a_store_that_breaks_meanwhile(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "run"))
    shown.search.store.close()
    shown._wake.set()
    until(lambda: "is damaged or no search" in words(shown._message))
    assert shown._thread.is_alive()


@pytest.mark.parametrize("trials", [0, -1, 2.5, True, "many"])
def test_trials_out_of_range(tmp_path, trials):
    with pytest.raises(SettingsError, match="trials must be a whole number from 1"):
        SearchDashboard(new(tmp_path / "run"), trials)


def test_no_search(tmp_path):
    with pytest.raises(SettingsError, match=r"a Search is needed.*Search\.resume"):
        SearchDashboard(str(tmp_path))


def test_a_baseline_that_is_no_search(tmp_path):
    with pytest.raises(StoreError, match="holds no search"):
        SearchDashboard(new(tmp_path / "run"), baseline=tmp_path / "nothing")


# --- what is shown ------------------------------------------------------------------------------


def picture(widget):
    return Image.open(io.BytesIO(widget.value))


def test_only_the_visible_tab_is_drawn(tmp_path, dashboards):
    search = new(tmp_path / "run")
    search.run(12)
    shown = dashboards(search)
    assert shown._tabs.titles == (
        "Rewards", "Controller", "Operations", "Best cell", "Workers", "Failures",
    )  # fmt: skip
    drawn = {name for name, image in shown._pictures.items() if image.value}
    assert drawn == {"Rewards"}
    assert f"best reward {search.best()[0].reward:.4f}" in words(shown._texts["Rewards"])
    expected = {
        "Controller": "PPO after 2 updates: entropy (nats per decision) ",
        "Operations": "Both cells together. Most frequent of late: ",
        "Best cell": f"genotype {search.best()[0].key}.",
    }
    for number, (name, said_there) in enumerate(expected.items(), 1):
        shown._tabs.set_state({"selected_index": number})
        until(lambda name=name: shown._pictures[name].value)
        until(lambda name=name, said_there=said_there: said_there in words(shown._texts[name]))
        assert picture(shown._pictures[name]).width > 200
        assert shown._pictures[name].layout.display is None
    shown._tabs.set_state({"selected_index": 5})
    until(lambda: "No trial has failed." in words(shown._texts["Failures"]))


def test_a_picture_follows_at_the_end_and_when_paused(tmp_path, dashboards):
    search = new(tmp_path / "run", slow_share)
    shown = dashboards(search, trials=300)
    shown._pace.spent(1000)  # none is due for a day
    first = shown._pictures["Rewards"].value
    shown.start()
    until(lambda: search.finished >= 3)
    assert shown._pictures["Rewards"].value == first
    shown.pause()
    until(lambda: shown._pictures["Rewards"].value != first)
    assert shown._drawn["Rewards"][0] == search.finished
    shown.resume()
    shown.stop()
    until(lambda: shown._drawn["Rewards"][0] == search.finished and not search.running)


def test_an_empty_search_and_one_without_successes(tmp_path, dashboards):
    shown = dashboards(new(tmp_path / "empty"))
    assert words(shown._numbers).endswith("0 of 0 trials</div>")
    assert panels.cell(shown._watch) == (None, "No trial has succeeded yet.")
    assert panels.controller(shown._watch)[1] == "PPO has made no update yet."

    def fails(genotype):
        raise ValueError("no")

    search = new(tmp_path / "failed", fails)
    search.run(5)
    shown = dashboards(search)
    assert "5 failed" in words(shown._numbers)
    assert panels.rewards(shown._watch)[1] == ""
    assert panels.cell(shown._watch)[0] is None


def test_controllers_without_updates_say_so(tmp_path, dashboards):
    search = new(tmp_path / "run", controller="RandomSearch")
    search.run(5)
    shown = dashboards(search)
    assert panels.controller(shown._watch) == (
        None, "RandomSearch makes no updates: it has no entropy and clips nothing.",
    )  # fmt: skip
    shown._tabs.selected_index = 1
    until(lambda: "makes no updates" in words(shown._texts["Controller"]))
    assert shown._pictures["Controller"].layout.display == "none"
    assert len(shown.static().axes) == 1


def test_a_space_of_graphs_has_no_operations_tab(tmp_path, dashboards):
    space = GraphSpace()
    search = Search(space, RandomSearch(space), lambda g: len(g.key) / 20, tmp_path / "run")
    search.run(3)
    shown = dashboards(search)
    assert "Operations" not in shown._tabs.titles
    shown._tabs.selected_index = 2
    until(lambda: shown._pictures["Best cell"].value)


def test_what_cannot_be_drawn_is_described(tmp_path, dashboards, monkeypatch):
    search = new(tmp_path / "run")
    search.run(3)
    shown = dashboards(search)

    def missing(genotype):
        raise StoreError("graphviz is missing")

    monkeypatch.setattr(panels, "draw", missing)
    drawing, said_there = panels.cell(shown._watch)
    assert drawing is None
    assert said_there.endswith("No drawing: graphviz is missing")


def test_the_baseline_is_read_as_search_and_as_folder(tmp_path, dashboards):
    baseline = new(tmp_path / "random", controller="RandomSearch")
    baseline.run(6)
    search = new(tmp_path / "run")
    search.run(6)
    for given in (baseline, tmp_path / "random"):
        shown = dashboards(search, baseline=given)
        assert "The baseline: best reward" in words(shown._texts["Rewards"])
        names = [text.get_text() for text in shown.static().axes[-1].get_legend().get_texts()]
        assert "random search: best so far" in names
    assert shown._watch._opened is not None
    assert dashboards(search, baseline=baseline)._watch._opened is None


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
    picture, said_there = panels.controller(dashboards(search)._watch)
    assert picture.startswith(b"\x89PNG")
    assert said_there == "Own after 2 updates."


# --- the end ------------------------------------------------------------------------------------


def test_close_leaves_the_search_alone(tmp_path):
    search = new(tmp_path / "run", slow_share)
    shown = SearchDashboard(search, trials=400)
    shown.start()
    until(lambda: search.finished >= 1)
    parts = [shown, shown._tabs, shown._more, *shown.buttons.values()]
    shown.close()
    assert all(part.comm is None for part in parts)
    assert not shown._thread.is_alive()
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
    shown._tabs.selected_index = 5
    failed = [row["status"] for row in shown._watch.failures]
    assert failed
    until(lambda: f"{len(failed)} of 12 trials failed" in words(shown._texts["Failures"]))
    assert shown._watch.best["reward"] == search.best()[0].reward

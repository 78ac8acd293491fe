"""The dashboard in a real JupyterLab, with a real training: mouse, keyboard, kernel restart.

The kernel is the one that this Python would start. To test with another ipykernel, put it in front:
``PYTHONPATH=<folder with that ipykernel> pytest tests/browser/test_dashboard_browser.py``.
"""

from __future__ import annotations

import ast
import re
import time
from importlib.metadata import version

import pytest

MAKE = """
import ipykernel
import nasworkbench as nw
from nasworkbench.widgets.dashboard import SearchDashboard
tier = nw.tiers.get("toy")
space = nw.CellSpace()
controller = nw.PPO(space, seed=0, **tier.controller)
evaluator = nw.TrainingEvaluator(nw.data.load("digits"), tier.recipe, tier.cells, tier.filters)
search = nw.Search(space, controller, evaluator, "{run}")
dashboard = SearchDashboard(search, trials={trials}, executor="{executor}")
print("ipykernel", ipykernel.__version__)
"""
SHOW = "dashboard"
STORED = """
stopped = [t.number for t in search.store.unfinished() if t.status == "stopped"]
print(search.running, stopped, sorted(search.trials().number), sep=";")
"""
RESUMED = """
from nasworkbench import Search
from nasworkbench.widgets.dashboard import SearchDashboard
search = Search.resume("{run}")
dashboard = SearchDashboard(search)
dashboard
"""
RISING = """
import time
import nasworkbench as nw
from nasworkbench.widgets.dashboard import SearchDashboard
count = 0
def rising(genotype):
    global count
    time.sleep(0.02)
    count += 1
    return count / 10_000
space = nw.CellSpace()
search = nw.Search(space, nw.PPO(space), rising, "rising")
dashboard = SearchDashboard(search, trials=2_000)
"""
#: The highest reward as the line of numbers says it, and as the visible tab does.
BEST = """(root) => ["trials ·", "PPO: best reward"].map((words) => [...root.querySelectorAll(
    ".nwb-text")].map((part) => part.innerText).find((text) => text.includes(words))
    ?.match(/best reward ([0-9.]+[0-9])/)?.[1])"""
CUT_OFF = """(root) => [...root.querySelectorAll(
    'button, .widget-label, .lm-TabBar-tabLabel')].filter(
    (part) => part.offsetParent && part.scrollWidth > part.clientWidth + 1
    ).map((part) => part.innerText)"""
RESTART = """async () => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext;
    await session.restartKernel(); await session.session.kernel.info; }"""


class Shown:
    """A dashboard's output in the browser."""

    def __init__(self, root):
        self.root = root

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def expect(self, words, timeout=30):
        from playwright.sync_api import expect

        expect(self.root.get_by_text(re.compile(words)).first).to_be_visible(timeout=1000 * timeout)

    def done(self):
        """Trials done, as the dashboard says."""
        said = self.root.get_by_text(re.compile(r"\d+ of [\d,]+ trials")).first.inner_text()
        return int(re.match(r"[\d,]+", said).group().replace(",", ""))

    def wait_for(self, trials):
        end = time.monotonic() + 60
        while self.done() < trials:
            assert time.monotonic() < end, "no trial ends"
            time.sleep(0.05)

    def stop(self):
        """Stop, and wait until Python says so: within a second, on a machine that is not busy."""
        begun = time.monotonic()
        self.button("Stop").click()
        self.expect("Stopped; nothing is lost")
        took = time.monotonic() - begun
        assert took < 5, f"it took {took:.2f} s"


def opened(lab, run, executor, trials=500):
    made = MAKE.format(run=run, trials=trials, executor=executor)
    notebook = lab.open(made, SHOW, STORED, RESUMED.format(run=run))
    notebook.run(0)
    assert notebook.text(0).split() == ["ipykernel", version("ipykernel")]
    notebook.run(1)
    shown = Shown(notebook.cell(1))
    shown.button("Start").wait_for()
    return notebook, shown


def stored(notebook):
    """Whether the search runs, the numbers of the stopped trials, those of the finished ones."""
    notebook.run(2)
    return [ast.literal_eval(part) for part in notebook.text(2).strip().split(";")]


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_start_pause_resume_stop_with_a_real_training(lab, executor):
    notebook, shown = opened(lab, f"run-{executor}", executor)
    shown.button("Start").click()
    shown.expect("Running in the background")
    shown.wait_for(2)
    shown.button("Start").press("Enter")
    shown.expect("this search is running already")
    shown.button("Pause").click()
    shown.expect("Paused. Resume goes on.")
    paused_at = shown.done()
    time.sleep(1.0)
    assert shown.done() == paused_at
    assert stored(notebook) == [True, [], list(range(paused_at))]  # the notebook is usable
    shown.button("Resume").click()
    shown.wait_for(paused_at + 1)
    stopped, finished = stop_and_read(notebook, shown)
    assert len(stopped) <= (1 if executor == "inline" else 2)
    shown.button("Start").click()
    shown.wait_for(len(finished) + 1)
    again_stopped, again_finished = stop_and_read(notebook, shown)
    assert set(finished) < set(again_finished)
    assert not set(stopped) - set(again_finished) - set(again_stopped)  # they came first


def stop_and_read(notebook, shown):
    shown.stop()
    running, stopped, finished = stored(notebook)
    assert not running
    assert sorted(stopped + finished) == list(range(len(stopped + finished)))
    assert len(finished) == shown.done()
    return stopped, finished


def test_a_restarted_kernel_goes_on(lab):
    notebook, shown = opened(lab, "run-restart", "inline")
    shown.button("Start").click()
    shown.wait_for(3)
    notebook.page.evaluate(RESTART)  # in the middle of a training
    shown.button("Pause").press("Enter")
    shown.expect("no kernel answers: run this cell again")
    notebook.run(3)
    again = Shown(notebook.cell(3))
    again.expect("Stopped; nothing is lost")
    done = again.done()
    assert done >= 3
    running, stopped, finished = stored(notebook)
    assert (running, finished) == (False, list(range(done)))
    assert stopped in ([], [done])  # the kernel may have had the time to note it
    left = again.root.get_by_role("spinbutton", name="More trials:")
    assert left.input_value() == str(500 - done)
    left.fill("2")
    left.press("Enter")
    again.button("Start").click()
    again.expect("Finished: the number of trials has been reached", timeout=60)
    assert stored(notebook) == [False, [], list(range(done + 2))]


def test_the_line_and_the_visible_tab_say_the_same(lab):
    notebook = lab.open(RISING, "dashboard")
    notebook.run_all()
    shown = Shown(notebook.cell(1))
    shown.button("Start").click()
    shown.wait_for(50)
    for _ in range(20):
        end = time.monotonic() + 0.15  # one comes after the other
        while True:
            line, tab = shown.root.evaluate(BEST)
            assert line and tab
            if line == tab:
                break
            assert time.monotonic() < end, f"{line} in the line, {tab} in the tab"
        time.sleep(0.2)
    shown.stop()


@pytest.mark.parametrize("width", [800, 1200])
def test_nothing_is_cut_off(lab, width):
    notebook = lab.open(MAKE.format(run=f"run-{width}", trials=9, executor="inline"), SHOW,
                        width=width)  # fmt: skip
    notebook.run_all()
    shown = Shown(notebook.cell(1))
    shown.button("Start").wait_for()
    assert shown.root.evaluate(CUT_OFF) == []
    area = notebook.cell(1).locator(".jp-OutputArea-output").bounding_box()
    for name in ("Start", "Pause", "Resume", "Stop"):
        box = shown.button(name).bounding_box()
        assert box["x"] + box["width"] <= area["x"] + area["width"]


def test_only_what_makes_sense_now_is_offered_and_the_focus_stays(lab):
    from playwright.sync_api import expect

    notebook, shown = opened(lab, "run-offered", "inline", trials=400)
    press = notebook.page.keyboard.press

    def offered(*names):
        for name in ("Start", "Pause", "Resume", "Stop"):
            button = expect(shown.button(name))
            button.to_be_enabled() if name in names else button.to_be_disabled()

    offered("Start")
    shown.button("Start").focus()
    press("Enter")
    offered("Pause", "Stop")
    expect(shown.button("Start")).to_be_focused()
    press("Enter")  # it says why not
    shown.expect("this search is running already")
    press("Tab")
    press("Space")
    offered("Resume", "Stop")
    expect(shown.button("Pause")).to_be_focused()
    press("Tab")
    press("Enter")
    offered("Pause", "Stop")
    expect(shown.button("Resume")).to_be_focused()
    press("Tab")
    press("Enter")
    shown.expect("Stopped; nothing is lost")
    offered("Start")
    expect(shown.button("Stop")).to_be_focused()


def test_the_keyboard_alone(lab):
    from playwright.sync_api import expect

    notebook, shown = opened(lab, "run-keyboard", "inline", trials=400)
    page, root = notebook.page, shown.root
    field = root.get_by_role("spinbutton", name="More trials:")
    field.focus()
    page.keyboard.press("Tab")
    expect(shown.button("Start")).to_be_focused()
    page.keyboard.press("Enter")
    shown.wait_for(1)
    page.keyboard.press("Tab")
    expect(shown.button("Pause")).to_be_focused()
    page.keyboard.press("Space")
    shown.expect("Paused. Resume goes on.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(shown.button("Stop")).to_be_focused()
    page.keyboard.press("Enter")
    shown.expect("Stopped; nothing is lost")
    page.keyboard.press("Tab")  # the row of tabs
    expect(root.get_by_role("tab", name="Rewards")).to_be_focused()
    expect(root.get_by_role("img")).to_be_visible()
    for name, words in (
        ("Controller", "PPO "), ("Operations", "All cells together"), ("Best cell", "genotype "),
        ("Workers", "No worker"), ("Failures", "No trial has failed"),
    ):  # fmt: skip
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(root.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        shown.expect(words)

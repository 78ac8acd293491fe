"""The replay in a real browser: by mouse, by keyboard, by itself; in both themes."""

from __future__ import annotations

import re

REPLAY = (
    "from nasworkbench.widgets.replay import SearchReplay\nreplay = SearchReplay('laptop')\nreplay"
)
CUT_OFF = """(root) => [...root.querySelectorAll(
    '.widget-button, .widget-toggle-button, .widget-label, .widget-html-content'
    )].filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText)"""


def sentence(notebook):
    return notebook.root.get_by_role("status").filter(has_text="Step")


def test_a_replay_by_mouse(lab):
    from playwright.sync_api import expect

    notebook = lab.open(REPLAY, "print(replay.step, replay.trial.number)", height=1700)
    notebook.run(0)
    expect(sentence(notebook)).to_contain_text("Step 1 of 200: trial 0, drawn after no update")
    notebook.root.get_by_role("button", name="Next").click()
    expect(sentence(notebook)).to_contain_text("Step 2 of 200")

    slider = notebook.root.locator(".widget-hslider .noUi-base")
    box = slider.bounding_box()
    notebook.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    expect(sentence(notebook)).to_contain_text("Step 150 of 200")
    expect(notebook.root.locator(".widget-text input")).to_have_value("150")
    notebook.run(1)
    assert notebook.text(1).split()[0] == "150"

    heat_map = notebook.root.get_by_role("img", name=re.compile("Heat map"))
    expect(heat_map).to_be_visible()
    assert heat_map.locator("path title").filter(has_text="probability 0.00").count() == 1
    curve = notebook.root.get_by_role("img", name=re.compile("Reward curve")).bounding_box()
    mark = notebook.root.locator("circle[stroke='#d55e00']").bounding_box()
    assert curve["x"] < mark["x"] < curve["x"] + curve["width"]
    assert curve["y"] < mark["y"] < curve["y"] + curve["height"]

    drawn = notebook.root.locator(".widget-html", has_text="Drawn at this step").locator("img")
    normal = drawn.get_attribute("src")
    notebook.root.get_by_role("button", name="reduction cell").click()
    expect(notebook.root.get_by_text(re.compile("Drawn at this step"))).to_be_visible()
    expect(drawn).not_to_have_attribute("src", normal)

    for dark in (True, False):
        notebook.dark(dark)
        assert notebook.cell(0).evaluate(CUT_OFF) == []
        area = notebook.cell(0).locator(".jp-OutputArea-output").bounding_box()
        for part in (heat_map, drawn, sentence(notebook)):
            box = part.bounding_box()
            assert area["x"] <= box["x"] and box["x"] + box["width"] <= area["x"] + area["width"]


def test_a_replay_by_keyboard_and_by_itself(lab):
    from playwright.sync_api import expect

    notebook = lab.open(REPLAY, "replay.step = 199", height=1700)
    notebook.run(0)
    expect(sentence(notebook)).to_contain_text("Step 1 of 200")
    page = notebook.page
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(sentence(notebook)).to_contain_text("Step 2 of 200")
    page.keyboard.press("End")
    expect(sentence(notebook)).to_contain_text("Step 200 of 200")
    number = notebook.root.locator(".widget-text input")
    number.focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("57")
    page.keyboard.press("Enter")
    expect(sentence(notebook)).to_contain_text("Step 57 of 200")
    notebook.root.get_by_role("button", name="Back").focus()
    page.keyboard.press("Enter")
    expect(sentence(notebook)).to_contain_text("Step 56 of 200")

    notebook.run(1)
    expect(sentence(notebook)).to_contain_text("Step 199 of 200")
    notebook.root.locator(".jupyter-widget-play button, .widget-play button").first.focus()
    page.keyboard.press("Enter")
    expect(sentence(notebook)).to_contain_text("Step 200 of 200")


def test_an_empty_search_says_so(lab):
    from playwright.sync_api import expect

    notebook = lab.open(
        "import nasworkbench as nw\n"
        "from nasworkbench.widgets.replay import SearchReplay\n"
        "space = nw.CellSpace(1)\n"
        "search = nw.Search(space, nw.PPO(space), lambda genotype: 0.5, 'empty')\n"
        "SearchReplay(search)"
    )
    notebook.run(0)
    expect(notebook.root.get_by_role("status").filter(has_text="No trial yet")).to_be_visible()

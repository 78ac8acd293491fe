"""The cell editor in a real browser: by mouse, by keyboard, in two themes, with a training."""

from __future__ import annotations

import re

import pytest

CELL = """
import nasworkbench as nw
from nasworkbench.genotype import Block, Cell
from nasworkbench.widgets.editor import CellEditor
cell = Cell((Block(0, "identity", 1, "conv_3x3"), Block(0, "conv_1x1", 1, "identity")))
genotype = nw.Genotype(cell, cell, "mine")
"""
SMALL = "cells=1, filters=4, image_size=8"
ROUND_TRIP = """
import re
network = nw.CellNetwork(editor.genotype, cells=1, filters=4)
assert nw.profile(network, 8).parameters == editor.numbers["parameters"]
source = nw.draw(editor.genotype.normal).source
edges = re.findall(r"cell_(\\w+) -> cell_(\\w+)(.*)", source)
drawn = {(tail, head) for tail, head, style in edges if "invis" not in style}
shown = editor.view["cells"]["normal"]["diagram"]["edges"]
assert drawn == {(edge["source"], edge["target"]) for edge in shown}, drawn
print(editor.genotype.normal)
"""
#: From now on an answer takes a while.
SLOW = """
import time
perform = editor.perform
def slow(message):
    time.sleep(1.5)
    return perform(message)
editor.perform = slow
"""
RESTART = """async () => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext;
    await session.restartKernel(); await session.session.kernel.info; }"""
#: Starts a notebook cell and does not wait for its end.
BUSY = """() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.deselectAll(); notebook.activeCellIndex = 1;
    window.jupyterapp.commands.execute('notebook:run-cell'); }"""
#: Whether all that an editor's parts refer to lies in this editor.
REFERENCES = """(root) => ["aria-controls", "aria-activedescendant"].every((name) =>
    [...root.querySelectorAll(`[${name}]`)].every(
        (part) => root.contains(document.getElementById(part.getAttribute(name)))))"""


def node(root, label):
    return root.get_by_role("button", name=re.compile(rf"^{re.escape(label)}"))


def test_edits_by_mouse_reach_python_and_the_network(lab):
    from playwright.sync_api import expect

    notebook = lab.open(f"{CELL}\neditor = CellEditor(genotype, {SMALL}); editor", ROUND_TRIP)
    notebook.run(0)
    root = notebook.root.locator(".nwb-editor")
    status, parameters = root.get_by_role("status"), root.locator(".nwb-parameters")
    before = parameters.inner_text()

    node(root, "block 0, left: identity of h[i-1]").click()
    root.get_by_role("option", name="sep_conv_5x5", exact=True).click()
    expect(node(root, "block 0, left: sep_conv_5x5 of h[i-1]")).to_be_visible()
    expect(parameters).not_to_have_text(before)

    node(root, "block 1, right: identity of h[i]").click()
    node(root, "block 0: add").click()  # an operation, then a hidden state: connected
    expect(node(root, "block 1, right: identity of block 0")).to_be_visible()

    node(root, "block 0, right").click()
    node(root, "block 1: add").click()  # from the future
    expect(status).to_contain_text(
        "Refused: normal cell, block 0, right input: reads hidden state 3"
    )
    notebook.page.keyboard.press("Escape")

    node(root, "block 1: add").click()
    root.get_by_role("button", name="concat", exact=True).click()
    expect(node(root, "block 1: concat")).to_be_visible()
    node(root, "output of the cell: joins block 1").click()
    node(root, "h[i-1], an input").click()
    expect(node(root, "output of the cell: joins h[i-1], block 1")).to_be_visible()

    root.get_by_role("button", name="Add block").click()
    expect(node(root, "block 2: add")).to_be_visible()
    root.get_by_role("tab", name="reduction cell").click()
    expect(node(root, "block 0, left: identity of h[i-1]")).to_be_visible()
    expect(node(root, "block 2: add")).to_have_count(0)

    notebook.run(1)
    assert notebook.text(1).splitlines() == [
        "  block 0 = sep_conv_5x5(h[i-1]) + conv_3x3(h[i])",
        "  block 1 = conv_1x1(h[i-1]) ++ identity(block 0)",
        "  block 2 = sep_conv_3x3(h[i-1]) + sep_conv_3x3(h[i])",
        "  output  = h[i-1], block 1, block 2",
    ]


def test_the_same_by_keyboard_alone(lab):
    from playwright.sync_api import expect

    notebook = lab.open(
        f"{CELL}\neditor = CellEditor(genotype, {SMALL}); editor", "print(editor.genotype.normal)"
    )
    notebook.run(0)
    root, press = notebook.root.locator(".nwb-editor"), notebook.page.keyboard.press

    node(root, "block 0, left: identity of h[i-1]").focus()
    press("Enter")
    expect(root.get_by_role("listbox")).to_be_focused()
    press("ArrowDown")
    press("ArrowDown")
    press("ArrowUp")
    press("Enter")
    changed = node(root, "block 0, left: conv_1x3_3x1 of h[i-1]")
    expect(changed).to_be_focused()  # after the redraw too
    press("Control+z")
    expect(node(root, "block 0, left: identity of h[i-1]")).to_be_focused()
    press("Control+Shift+Z")
    expect(changed).to_be_focused()

    press("Space")
    expect(root.get_by_role("listbox")).to_be_focused()
    press("Tab")  # from the palette to the states that it may read
    press("Tab")
    expect(root.get_by_role("button", name="h[i]", exact=True)).to_be_focused()
    press("Enter")
    expect(node(root, "block 0, left: conv_1x3_3x1 of h[i]")).to_be_focused()

    press("Enter")
    expect(root.get_by_role("listbox")).to_be_focused()
    press("Escape")
    expect(root.get_by_role("listbox")).to_have_count(0)
    expect(node(root, "block 0, left: conv_1x3_3x1 of h[i]")).to_be_focused()

    root.get_by_role("tab", name="normal cell").focus()
    press("ArrowRight")
    expect(root.get_by_role("tab", name="reduction cell")).to_be_focused()
    expect(node(root, "block 0, left: identity of h[i-1]")).to_be_visible()
    # JupyterLab's own keys were not meant: the notebook still has its two cells
    assert notebook.root.locator(".jp-CodeCell").count() == 2
    notebook.run(1)
    assert "block 0 = conv_1x3_3x1(h[i]) + conv_3x3(h[i])" in notebook.text(1)


def test_pasting_loading_two_views_and_a_form(lab):
    from playwright.sync_api import expect

    notebook = lab.open(
        f"{CELL}\neditor = CellEditor(genotype, {SMALL}); editor",
        "editor",
        "editor.form()",
        "print(editor.genotype == nw.zoo.get('darts-v2'))",
        height=2600,
    )
    for number in range(3):
        notebook.run(number)
    first = notebook.cell(0).locator(".nwb-editor")
    second = notebook.cell(1).locator(".nwb-editor")
    form = notebook.cell(2)

    first.get_by_text("Paste a genotype").click()
    pasted = first.get_by_label("a genotype as text")
    pasted.fill("nonsense")
    first.get_by_role("button", name="Read the text").click()
    expect(first.get_by_role("status")).to_contain_text("text is of no form known here")
    expect(pasted).to_have_value("nonsense")
    pasted.fill("0 1 0 1\n0 1 1 1")
    first.get_by_role("button", name="Read the text").click()
    expect(first.get_by_role("status")).to_have_text("read as enas")
    expect(node(second, "block 0, left: sep_conv_5x5 of h[i-1]")).to_be_visible()

    second.get_by_label("published genotypes").select_option("darts-v2")
    second.get_by_role("button", name="Load", exact=True).click()
    expect(second.get_by_role("status")).to_have_text("loaded darts-v2")
    second.get_by_text("This genotype as text").click()
    expect(second.get_by_label("as DARTS")).to_have_value(re.compile("Genotype"))
    second.get_by_role("button", name="Copy DARTS").click()
    expect(second.get_by_role("status")).to_have_text(
        re.compile("DARTS copied|DARTS is selected: press Ctrl-C")
    )
    expect(form.get_by_role("button", name="Remove")).to_have_count(4)
    form.get_by_role("button", name="Add block").click()
    expect(form.get_by_role("button", name="Remove")).to_have_count(5)
    expect(node(first, "block 4: add")).to_be_visible()
    first.get_by_role("button", name="Undo").click()
    expect(node(second, "block 4: add")).to_have_count(0)
    notebook.run(3)
    assert notebook.text(3).strip() == "True"


@pytest.mark.parametrize("dark", [False, True])
def test_a_training_runs_beside_and_the_cell_is_seen_in_both_themes(lab, dark):
    from playwright.sync_api import expect

    notebook = lab.open(
        f"{CELL}\ndataset, recipe = nw.data.load('digits'), nw.Recipe(epochs=500, batch_size=64)\n"
        "evaluator = nw.TrainingEvaluator(dataset, recipe, cells=1, filters=2)\n"
        f"editor = CellEditor(genotype, evaluator=evaluator, {SMALL}); editor",
        "print(editor.trial.running, editor.genotype == genotype)",
    )
    notebook.dark(dark)
    notebook.run(0)
    root = notebook.root.locator(".nwb-editor")
    root.get_by_role("button", name="Train this cell").click()
    expect(root.get_by_role("progressbar")).to_be_visible()
    root.get_by_role("button", name="Mutate").click()
    expect(root.get_by_role("status")).to_contain_text("a training of this cell is under way")
    notebook.run(1)  # the notebook stays usable
    assert notebook.text(1).strip() == "True True"
    root.get_by_role("button", name="Stop").click()
    expect(root.get_by_role("status")).to_contain_text("training stopped")
    contrast = root.evaluate(
        """(root) => {
            const light = (element, property) => getComputedStyle(element)[property]
                .match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
            return [light(root.querySelector(".nwb-picture"), "backgroundColor"),
                    light(root.querySelector("svg text"), "fill"),
                    light(root.querySelector(".nwb-operation rect"), "fill")]; }"""
    )
    background, text, operation = contrast
    if dark:
        assert background < 60 and operation < 90 and text > 200
    else:
        assert background > 200 and operation > 200 and text < 60
    box, panel = root.bounding_box(), notebook.root.bounding_box()
    assert box["x"] + box["width"] <= panel["x"] + panel["width"]
    assert root.evaluate("(root) => root.scrollWidth <= root.clientWidth")


def test_size_fields_keep_what_is_typed_and_are_taken_one_by_one(lab):
    from playwright.sync_api import expect

    notebook = lab.open(
        f"{CELL}\neditor = CellEditor(genotype, {SMALL}); editor", SLOW, "print(editor.sizes)"
    )
    notebook.run(0)
    root, press = notebook.root.locator(".nwb-editor"), notebook.page.keyboard.press
    cells, filters = root.get_by_label("N, normal cells"), root.get_by_label("F, filters")
    parameters = root.locator(".nwb-parameters")

    small = parameters.inner_text()
    filters.fill("8")
    press("Enter")
    expect(parameters).not_to_have_text(small)
    expect(filters).to_be_focused()

    notebook.run(1)
    larger = parameters.inner_text()
    root.get_by_role("button", name="Add block").click()
    filters.fill("16")  # while the answer is under way
    expect(parameters).not_to_have_text(larger)
    expect(filters).to_have_value("16")

    cells.fill("99")  # leaving the other field has sent 16
    press("Enter")
    expect(root.get_by_role("status")).to_contain_text("Refused: cells must be a whole number")
    expect(cells).to_have_value("1")
    expect(filters).to_have_value("16")
    notebook.run(2)
    assert notebook.text(2).strip() == "{'cells': 1, 'filters': 16, 'image_size': 8}"


def test_what_an_editor_refers_to_lies_in_it(lab):
    from playwright.sync_api import expect

    notebook = lab.open(CELL, f"CellEditor(genotype, {SMALL})", f"CellEditor(genotype, {SMALL})")
    notebook.run_all()
    roots = notebook.root.locator(".nwb-editor")
    expect(roots).to_have_count(2)
    for root in roots.all():
        node(root, "block 0, left").click()
        expect(root.get_by_role("listbox")).to_be_focused()
    identifiers = roots.locator("[id]").evaluate_all("(parts) => parts.map((part) => part.id)")
    assert len(set(identifiers)) == len(identifiers) > 20
    assert [root.evaluate(REFERENCES) for root in roots.all()] == [True, True]


def test_a_kernel_that_does_not_answer_is_said(lab):
    from playwright.sync_api import expect

    notebook = lab.open(
        f"{CELL}\neditor = CellEditor(genotype, {SMALL}); editor", "import time; time.sleep(9)"
    )
    notebook.run(0)
    root = notebook.root.locator(".nwb-editor")
    status, add = root.get_by_role("status"), root.get_by_role("button", name="Add block")
    notebook.page.evaluate(BUSY)
    add.click()
    expect(status).to_contain_text("the kernel is busy")
    expect(node(root, "block 2: add")).to_be_visible()  # when it is free again
    expect(status).to_have_text("")

    notebook.page.evaluate(RESTART)
    add.click()
    expect(status).to_have_text("no kernel answers: run this cell again")
    notebook.run(0)
    add.click()
    expect(node(root, "block 2: add")).to_be_visible()

"""The stepper in JupyterLab: by mouse and by keyboard; a controller that learns; the map."""

from __future__ import annotations

IMPORTS = (
    "import nasworkbench as nw\n"
    "from nasworkbench.controllers import Outcome\n"
    "from nasworkbench.widgets.stepper import ControllerStepper\n"
)
TWO_BLOCKS = IMPORTS + (
    "space = nw.CellSpace(blocks=2, operations=('identity', 'sep_conv_3x3', 'max_pool_3x3'))\n"
    "controller = nw.PPO(space, learning_rate=0.05, batch_size=4)\n"
    "stepper = ControllerStepper(controller)\n"
    "stepper"
)


def title(notebook, number, name):
    """Wait for what Python wrote."""
    from playwright.sync_api import expect

    words = f"number {number} of"
    found = notebook.root.get_by_role("status").filter(has_text=words)
    expect(found).to_contain_text(name)


def button(notebook, name):
    return notebook.root.get_by_role("button", name=name)


def pictures(notebook):
    return notebook.root.locator(".nwb-cells img")


def test_by_mouse_through_a_string(lab):
    from playwright.sync_api import expect

    notebook = lab.open(TWO_BLOCKS, "print(stepper.step, stepper.genotype is None)")
    notebook.run(0)
    title(notebook, 1, "normal block 0 left input")
    expect(notebook.root.get_by_text("no block is complete yet")).to_be_visible()
    button(notebook, "Back").click()
    expect(notebook.root.get_by_text("this is the first decision")).to_be_visible()
    for number, name in enumerate(("right input", "left operation", "right operation"), 2):
        button(notebook, "Forward").click()
        title(notebook, number, f"normal block 0 {name}")
    expect(pictures(notebook)).to_have_count(0)
    button(notebook, "Forward").click()
    title(notebook, 5, "normal block 0 combination")
    expect(pictures(notebook)).to_have_count(1)
    expect(notebook.root.get_by_text("normal cell: 1 of 2 blocks")).to_be_visible()

    # decided by hand
    choice = notebook.root.get_by_label("choice")
    button(notebook, "Back").click()
    title(notebook, 4, "normal block 0 right operation")
    choice.select_option("max_pool_3x3")
    button(notebook, "Force").click()
    expect(notebook.root.get_by_text("decided by hand")).to_be_visible()
    drawn = notebook.root.locator("tr.nwb-drawn")
    expect(drawn).to_contain_text("max_pool_3x3")
    expect(drawn).to_contain_text("● drawn")

    button(notebook, "To end").click()
    title(notebook, 20, "reduction block 1 combination")
    expect(pictures(notebook)).to_have_count(2)
    button(notebook, "Forward").click()
    expect(notebook.root.get_by_text("this is the last decision")).to_be_visible()
    notebook.run(1)
    assert notebook.text(1).strip() == "19 False"


def test_by_keyboard(lab):
    from playwright.sync_api import expect

    notebook = lab.open(TWO_BLOCKS)
    notebook.run(0)
    title(notebook, 1, "normal block 0 left input")
    keys = notebook.page.keyboard
    button(notebook, "Forward").focus()
    keys.press("Enter")
    title(notebook, 2, "right input")
    expect(button(notebook, "Forward")).to_be_focused()  # and so once more
    keys.press("Space")
    title(notebook, 3, "left operation")
    keys.press("Tab")
    keys.press("Enter")
    title(notebook, 20, "reduction block 1 combination")
    keys.press("Tab")  # the slider
    keys.press("ArrowLeft")
    title(notebook, 19, "reduction block 1 right operation")
    keys.press("Home")
    title(notebook, 1, "normal block 0 left input")
    keys.press("ArrowRight")
    title(notebook, 2, "right input")


def test_a_controller_that_learns_and_the_map(lab):
    from playwright.sync_api import expect

    notebook = lab.open(
        TWO_BLOCKS,
        "for _ in range(5):\n"
        "    controller.tell([Outcome(p, float(p.tokens[0])) for p in controller.ask(4)])\n"
        "stepper.forward(); stepper.back()",
        "stepper.static()",
    )
    notebook.run(0)
    title(notebook, 1, "left input")
    expect(notebook.root.get_by_text("Read after 0 updates")).to_be_visible()
    notebook.run(1)
    expect(notebook.root.get_by_text("It has learned since (5 more)")).to_be_visible()
    button(notebook, "Refresh").click()
    expect(notebook.root.get_by_text("Read after 5 updates")).to_be_visible()

    everything = notebook.root.get_by_alt_text("probabilities of all decisions")
    expect(everything).to_have_count(0)
    button(notebook, "Show all decisions").click()
    expect(everything).to_be_visible()
    button(notebook, "Show all decisions").click()
    expect(everything).to_have_count(0)
    notebook.run(2)
    expect(notebook.cell(2).locator("img")).to_be_visible()

    # nothing of the widget is cut off, in either theme
    for dark in (True, False):
        notebook.dark(dark)
        wider = notebook.root.locator(".widget-vbox").first.evaluate(
            "box => box.scrollWidth - box.clientWidth"
        )
        assert wider <= 0
        for label in notebook.root.locator(".widget-button, .widget-label, select").all():
            cut = label.evaluate("part => part.scrollWidth - part.clientWidth")
            assert cut <= 0, label.inner_text()

"""The harness itself: a cell runs, a widget's click reaches Python and comes back."""

from __future__ import annotations


def test_a_click_reaches_python_and_comes_back(lab):
    from playwright.sync_api import expect

    notebook = lab.open(
        "print(6 * 7)",
        "import ipywidgets as w\n"
        "clicked = w.Label('not yet'); button = w.Button(description='Go')\n"
        "button.on_click(lambda _: setattr(clicked, 'value', 'clicked'))\n"
        "w.VBox([button, clicked])",
    )
    notebook.run_all()
    assert notebook.text(0).strip() == "42"
    notebook.root.get_by_role("button", name="Go").click()
    expect(notebook.root.get_by_text("clicked", exact=True)).to_be_visible()
    notebook.dark()
    notebook.dark(False)

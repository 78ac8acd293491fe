"""The lessons as a reader opens them, before anything is run: formulas, and pictures that fit."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
ALL_OF_IT = 30_000  # pixels; what is further down is not rendered


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_formulas_and_pictures_can_be_read(lab, path):
    from playwright.sync_api import expect

    shutil.copy(path, lab.folder)
    notebook = lab.open_file(path.name, height=ALL_OF_IT)
    cells = nbformat.read(path, as_version=4).cells
    prose = "".join(cell.source for cell in cells if cell.cell_type == "markdown")
    formulas = len(re.findall(r"\$\$.+?\$\$|\$[^$]+?\$", prose, re.S))
    expect(notebook.root.locator(".jp-Cell")).to_have_count(len(cells))
    expect(notebook.root.locator("mjx-container")).to_have_count(formulas)
    assert notebook.root.locator("mjx-merror, [data-mjx-error]").count() == 0
    for picture in notebook.root.locator(".jp-RenderedImage img").all():
        loaded, right = picture.evaluate(
            "img => [img.naturalWidth > 0, img.getBoundingClientRect().right]"
        )
        assert loaded and right <= 1200  # the window's width

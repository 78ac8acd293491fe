"""The README's Python runs, its commands exist, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from test_layers import (
    LAYERS,
    LIBRARY,
    MOST_LINES_A_MODULE,
    MOST_LINES_OF_CODE,
    MOST_MODULES_A_PACKAGE,
)

from nasworkbench import cli, tiers

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_runs(tmp_path, monkeypatch, capsys):
    eight, seconds = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert len([line for line in eight.splitlines() if line.strip()]) == 8
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(eight.replace("trials=10", "trials=2"), "README.md", "exec"), names)
    exec(compile(seconds.replace("seeds=10", "seeds=2"), "README.md", "exec"), names)
    assert "paired seeds" in capsys.readouterr().out
    assert (tmp_path / "best.svg").read_text(encoding="utf-8").count("<svg") == 1
    assert len(list(tmp_path.glob("runs/*/search.sqlite"))) == 1


def test_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert len(links) >= 2
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_commands_exist():
    named = set(re.findall(r"^nasworkbench (\w+)", TEXT, re.M))
    assert named == {"search", "resume", "report", "export", "draw", "profile", "data", "table"}
    for name in named:
        assert cli.main([name, "--help"]) == 0


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.M))
    assert targets >= {"search", "test", "quick", "lint", "who-wins"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


ROWS = re.findall(r"^\| \[\w+\]\(notebooks/(\w+)\.ipynb\) \|.*\| ([\w, ]+) \|$", TEXT, re.M)


def test_the_table_of_lessons_has_them_all():
    files = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(name for name, _ in ROWS) == files


@pytest.mark.parametrize("name, listed", ROWS)
def test_a_lesson_has_the_tiers_that_are_listed(name, listed):
    """Those that the comment beside its ``TIER`` offers, and those that its first lines name."""
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    (head,) = re.findall(r"\*\*Tier\.\*\*(.*?)\*\*Needs", cells[0].source, re.S)
    (comment,) = re.findall(r'^TIER = "toy"  # (.*)$', cells[1].source, re.M)
    comment = comment.removesuffix(', "gpu" and "paper" as laptop')  # not tiers of their own
    offered = [word for word in re.findall(r'"(\w+)"', comment) if word in tiers.TIERS]
    named = [word for word in re.findall(r"`(\w+)`", head) if word in tiers.TIERS]
    assert offered == named == listed.split(", ")


def test_the_table_of_layers_is_the_one_that_is_checked():
    rows = re.findall(r"^\| (\d) \| (`.*?) \|", TEXT, re.M)
    table = {name: int(layer) for layer, names in rows for name in re.findall(r"`(\w+)[./]", names)}
    assert {name: LAYERS[name] for name in table} == table
    assert {module.part for module in LIBRARY.values()} - {""} <= table.keys()


def test_the_budget_is_the_one_that_is_checked():
    limits = (MOST_LINES_OF_CODE, MOST_LINES_A_MODULE, MOST_MODULES_A_PACKAGE)
    assert "{:,} lines of code, {} lines a module, {} modules a package".format(*limits) in TEXT

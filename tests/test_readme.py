"""The README's Python runs, its commands exist, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from nasworkbench import cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_eight_lines_run(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) == 8
    monkeypatch.chdir(tmp_path)
    exec(compile(code.replace("trials=10", "trials=2"), "README.md", "exec"), {})
    assert (tmp_path / "best.svg").read_text(encoding="utf-8").count("<svg") == 1
    assert len(list(tmp_path.glob("runs/*/search.sqlite"))) == 1


def test_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert len(links) >= 2
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_commands_exist():
    named = set(re.findall(r"^nasworkbench (\w+)", TEXT, re.M))
    assert named == {"search", "resume", "report", "draw", "profile", "data"}
    for name in named:
        assert cli.main([name, "--help"]) == 0


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`?make (search|test|lab|bench)\b", TEXT)):
        assert re.search(rf"^{target}:", makefile, re.M), target

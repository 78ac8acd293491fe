"""pip's and conda's lists of packages agree, and the files that a user starts from are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from slow_tests import SLOW

ROOT = Path(__file__).parent.parent
#: pip's name -> conda-forge's names
CONDA = {"torch": ["pytorch"], "graphviz": ["python-graphviz", "graphviz"]}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def split(requirement: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", requirement).groups()
    return name, bounds


def conda_packages() -> dict[str, str]:
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    listed = [line.strip()[2:] for line in lines[lines.index("dependencies:") + 1 :]]
    return dict(split(entry) for entry in listed if re.fullmatch(r"[A-Za-z0-9_>=.-]+", entry))


def test_pip_and_conda_ask_for_the_same():
    wanted = {}
    for name, bounds in map(split, project()["dependencies"]):
        first, *others = CONDA.get(name, [name])
        wanted[first] = bounds
        wanted |= dict.fromkeys(others, "")
    conda = conda_packages()
    assert conda.pop("python") == project()["requires-python"]
    assert conda.pop("pip") == ""
    assert conda == wanted


def test_dependencies_are_ranges():
    for requirement in project()["dependencies"]:
        assert re.fullmatch(r">=[\d.]+", split(requirement)[1]), requirement


def test_extras():
    assert {"drawing", "bench", "dev"} <= project()["optional-dependencies"].keys()


def test_top_level_holds_what_the_layout_says():
    allowed = {"notebooks", "nasworkbench", "tests", "environment.yml", "README.md",
               "pyproject.toml", "Makefile", "LICENSE", "runs"}  # fmt: skip
    found = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")}
    assert {name for name in found if not name.endswith(".egg-info")} <= allowed
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_slow_tests_are_there():
    for file, names in SLOW.items():
        text = (ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8")
        assert {name for name in names if f"def {name}(" not in text} == set(), file


def test_make_keeps_the_tests_of_a_file_in_one_process_and_their_order(tmp_path):
    """An option of pytest-xdist that pytest does not heed shares nothing, and says nothing."""
    for name in "ba":  # not the order of the names
        for number in range(6):
            code = "import os\ndef test_it():\n    print(os.getpid(), __file__)\n    assert 0\n"
            code = code.replace("test_it", f"test_{number}")
            with (tmp_path / f"test_{name}.py").open("a") as file:
                file.write(code)
    (options,) = re.findall(r"-m pytest -n \S+ (.+)$", (ROOT / "Makefile").read_text(), re.M)
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "2", *options.split()]
    output = subprocess.run(
        [*command, "test_b.py", "test_a.py"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    ).stdout  # fmt: skip
    ran = re.findall(r"^(\d+) .*test_(.)\.py$", output, re.M)
    assert len(ran) == 12 and len(set(ran)) == 2 and len(dict(ran)) == 2, output

"""The house stands: a module imports from its own floor or below, and never in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import nasworkbench

HOUSE = Path(nasworkbench.__file__).parent
FLOORS = {
    "errors": 0, "checks": 0, "progress": 0, "provenance": 0, "canonical": 0, "genotype": 0,
    "dialects": 1, "zoo": 1, "spaces": 1, "drawing": 1, "data": 1,
    "networks": 2, "controllers": 2,
    "training": 3, "executors": 3, "tables": 3, "nas_bench_graph": 3,
    "search": 4, "recordings": 4,
    "tiers": 5, "comparison": 5, "plots": 5, "report": 5, "transfer": 5, "job": 5,
    "widgets": 6, "cli": 6, "lessons": 6,
}  # fmt: skip
#: the one import upwards: things show themselves as pictures
EXCEPTION = ("genotype", "_repr_mimebundle_", "nasworkbench.drawing")
HEAVY = {"torchvision", "pandas", "sklearn", "matplotlib", "graphviz", "ray", "ipywidgets",
         "anywidget", "torch"}  # fmt: skip


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(HOUSE.rglob("*.py")):
        parts = path.relative_to(HOUSE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> list[tuple[str, str]]:
    """``(function it stands in, module)`` of every import of the house's own modules."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: list[tuple[str, str]] = []

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.Import):
            found.extend((function, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            target = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                whole = f"{target}.{alias.name}"
                found.append((function, whole if whole in MODULES else target))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return [(function, target) for function, target in found if target in MODULES]


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def test_every_room_has_a_floor():
    rooms = {room(name) for name in MODULES if room(name)}
    assert rooms <= FLOORS.keys()
    assert {"genotype", "search", "cli"} <= rooms


def test_no_import_goes_up():
    breaks = []
    for name in MODULES:
        if not room(name):
            continue  # the face hands names on
        for function, target in imports(name):
            if (room(name), function, target) == EXCEPTION or not room(target):
                continue
            if FLOORS[room(target)] > FLOORS[room(name)]:
                breaks.append(f"{name} imports {target}")
    assert breaks == []


def test_no_circle():
    """Among modules; a package's ``__init__`` counts as all that it imports."""
    graph = {
        name: {t for f, t in imports(name) if (room(name), f, t) != EXCEPTION} - {name}
        for name in MODULES
        if room(name)
    }
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> None:
        assert name not in way, f"circle: {' -> '.join([*way[way.index(name) :], name])}"
        if name in done or name not in graph:
            return
        for target in sorted(graph[name]):
            walk(target, [*way, name])
        done.add(name)

    for name in sorted(graph):
        walk(name, [])
    assert len(done) == len(graph)


def test_the_check_sees_imports_inside_functions():
    assert ("_repr_mimebundle_", "nasworkbench.drawing") in imports("nasworkbench.genotype")


def test_files_stay_readable():
    long = {name: n for name, path in MODULES.items()
            if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400}  # fmt: skip
    assert long == {}


def test_importing_the_package_is_light():
    code = f"import sys, nasworkbench; print(sorted({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_face_hands_on_what_it_names():
    for name in nasworkbench.__all__:
        assert getattr(nasworkbench, name) is not None
    assert set(nasworkbench.__all__) <= set(dir(nasworkbench))

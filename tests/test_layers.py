"""The library keeps its layers, its size and its words.

Layers: a module imports from its own layer or below, never in a circle. Size: lines of code in all,
lines a module, modules a package. Words: no private metaphor in the name of a module, a class, a
function or a parameter. Each check is a function of sources, so that it can be seen to fail.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path

import nasworkbench

ROOT = Path(nasworkbench.__file__).parent
LAYERS = {
    "errors": 0, "checks": 0, "files": 0, "progress": 0, "provenance": 0, "canonical": 0,
    "genotype": 0,
    "zoo": 1, "dialects": 1, "spaces": 1, "drawing": 1, "data": 1,
    "networks": 2, "controllers": 2,
    "training": 3, "executors": 3, "tables": 3, "nas_bench_graph": 3,
    "search": 4,
    "comparison": 5, "recordings": 5, "tiers": 5, "job": 5, "plots": 5, "report": 5, "transfer": 5,
    "widgets": 6, "lessons": 6, "course": 6, "cli": 6,
}  # fmt: skip
#: The one import upwards: what shows itself in a notebook draws itself.
EXCEPTION = ("_repr_mimebundle_", "drawing")

MOST_LINES_OF_CODE = 11_260
MOST_LINES_A_MODULE = 400
MOST_MODULES_A_PACKAGE = 12  # besides __init__

HEAVY = {"torchvision", "pandas", "sklearn", "matplotlib", "graphviz", "ray", "ipywidgets",
         "anywidget", "torch"}  # fmt: skip
#: What these meant has a word in the field: "layer", "evaluator", "baseline", "layout"...
FORBIDDEN = {
    "room", "rooms", "floor", "floors", "house", "ledger", "contest", "contests", "referee",
    "judge", "judges", "judged", "judging", "reveal", "revealed", "revealing", "opening",
    "announced", "feed", "feeds", "look", "looks", "plan", "plans", "torn", "reenact",
    "reenacting", "moment", "moments", "past",
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    name: str  # dotted
    text: str
    is_package: bool = False

    @property
    def package(self) -> str:
        """The package in which its relative imports begin."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def part(self) -> str:
        """What has a layer: a package or module directly in the library; "" for its face."""
        return part_of(self.name)


def part_of(name: str) -> str:
    return [*name.split("."), ""][1]


def modules_in(folder: Path) -> dict[str, Module]:
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        *parents, stem = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(parents if stem == "__init__" else [*parents, stem])
        modules[name] = Module(name, path.read_text(encoding="utf-8"), stem == "__init__")
    return modules


def sources(**texts: str) -> dict[str, Module]:
    """A library for the tests of the checks: ``spaces__choices="…"`` is spaces/choices.py."""
    names = ["nasworkbench." + name.replace("__", ".") for name in texts]
    return {
        name: Module(name, text, any(other.startswith(name + ".") for other in names))
        for name, text in zip(names, texts.values(), strict=True)
    }


LIBRARY = modules_in(ROOT)


# --- layers ---------------------------------------------------------------------------------------


def imports(module: Module, library: dict[str, Module]) -> list[tuple[str, str]]:
    """``(function around it, module)`` of every import of the library's own modules."""
    targets: list[tuple[str, str]] = []

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Import):
            targets.extend((function, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = module.package.rsplit(".", node.level - 1)[0] if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                longer = f"{origin}.{alias.name}"
                targets.append((function, longer if longer in library else origin))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(module.text), "")
    return [
        (function, target)
        for function, target in targets
        if target in library and (function, part_of(target)) != EXCEPTION
    ]


def imports_upwards(library: dict[str, Module]) -> list[str]:
    return [
        f"{module.name} imports {target}"
        for module in library.values()
        if module.part  # the face hands on names of all layers
        for _, target in imports(module, library)
        if part_of(target) and LAYERS[part_of(target)] > LAYERS[module.part]
    ]


def circle(library: dict[str, Module]) -> list[str]:
    """Modules that import each other in turn, the first named again at the end; [] without any."""
    graph = {
        name: sorted({target for _, target in imports(module, library)} - {name})
        for name, module in library.items()
        if module.part
    }
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for target in graph.get(name, ()):
            if closed := walk(target, [*way, name]):
                return closed
        done.add(name)
        return []

    return next(filter(None, (walk(name, []) for name in sorted(graph))), [])


def test_every_module_has_a_layer():
    parts = {module.part for module in LIBRARY.values()} - {""}
    assert parts <= LAYERS.keys()
    assert {"genotype", "search", "cli"} <= parts


def test_no_import_goes_up():
    assert imports_upwards(LIBRARY) == []


def test_no_circle():
    assert circle(LIBRARY) == []


def test_an_import_upwards_is_seen_wherever_it_is():
    library = sources(
        genotype="def f():\n    from .drawing import draw",
        drawing="import nasworkbench.genotype",
        spaces="",
        spaces__choices="class A:\n    async def f(self):\n        from .. import search",
        search="from .drawing import draw\nfrom . import spaces\nimport torch",
        widgets__editor="",
        widgets__editor__state="from ...job import run_job\nfrom .. import editor",
        job="from .widgets.editor import state",
    )
    assert imports_upwards(library) == [
        "nasworkbench.genotype imports nasworkbench.drawing",
        "nasworkbench.spaces.choices imports nasworkbench.search",
        "nasworkbench.job imports nasworkbench.widgets.editor.state",
    ]


def test_what_shows_itself_may_draw_itself_and_nothing_else():
    drawing = "from .genotype import Cell"
    method = "class Cell:\n    def _repr_mimebundle_(self):\n        from .{} import draw"
    allowed = sources(genotype=method.format("drawing"), drawing=drawing)
    assert imports_upwards(allowed) == [] and circle(allowed) == []
    other = sources(genotype=method.format("plots"), plots=drawing)
    assert imports_upwards(other) == ["nasworkbench.genotype imports nasworkbench.plots"]


def test_a_circle_is_seen():
    a, b, c = "from . import b", "def f():\n    from .c import x", "from .a import x"
    assert circle(sources(tables="", tables__a=a, tables__b=b, tables__c=c)) == [
        f"nasworkbench.tables.{name}" for name in "abca"
    ]
    assert circle(sources(tables="", tables__a=a, tables__b=b, tables__c="")) == []
    assert circle(sources(tables="from . import a", tables__a="from . import x")) != []


# --- size -----------------------------------------------------------------------------------------

BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
         tokenize.ENDMARKER}  # fmt: skip


def lines_of_code(text: str) -> int:
    """Lines that hold more than blanks, a comment or a docstring."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            documented |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in BLANK:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - documented)


def large_packages(library: dict[str, Module], most: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for module in library.values():
        if not module.is_package:
            counts[module.package] = counts.get(module.package, 0) + 1
    return {name: count for name, count in counts.items() if count > most}


def long_modules(library: dict[str, Module], most: int) -> dict[str, int]:
    lengths = {name: len(module.text.splitlines()) for name, module in library.items()}
    return {name: length for name, length in lengths.items() if length > most}


def test_the_library_is_small():
    counts: dict[str, int] = {}
    for module in LIBRARY.values():
        counts[module.part] = counts.get(module.part, 0) + lines_of_code(module.text)
    ranked = sorted(counts.items(), key=lambda entry: -entry[1])
    assert sum(counts.values()) <= MOST_LINES_OF_CODE, ranked


def test_modules_are_short():
    assert long_modules(LIBRARY, MOST_LINES_A_MODULE) == {}


def test_packages_hold_few_modules():
    assert large_packages(LIBRARY, MOST_MODULES_A_PACKAGE) == {}


def test_blanks_comments_and_docstrings_are_no_code():
    text = '''"""Of the
module."""
import os  # counts

# does not
def f(
    a,
):
    """Of the function."""

    return """counts
twice"""
class A:
    "one line"
'''
    assert lines_of_code(text) == 1 + 3 + 2 + 1
    assert lines_of_code("") == 0
    assert lines_of_code('f("""\n\n""")') == 3


def test_too_much_is_seen():
    library = sources(data="", data__a="x\n" * 5, data__b="", data__c="", zoo="x\n" * 4)
    assert large_packages(library, 2) == {"nasworkbench.data": 3}
    assert large_packages(library, 3) == {}
    assert long_modules(library, 4) == {"nasworkbench.data.a": 5}
    assert long_modules(library, 5) == {}


# --- words ----------------------------------------------------------------------------------------


def words_of(name: str) -> set[str]:
    """``best_retrainedCell`` is best, retrained, cell."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def definitions(module: Module) -> list[str]:
    """The names of a module and of the classes, functions, parameters and fields in it."""
    names = [module.name.rpartition(".")[2]]
    for node in ast.walk(ast.parse(module.text)):
        if isinstance(node, ast.ClassDef):
            names.append(node.name)  # an annotated name in a class is a parameter of a dataclass
            fields = [line.target for line in node.body if isinstance(line, ast.AnnAssign)]
            names.extend(field.id for field in fields if isinstance(field, ast.Name))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
    return names


def forbidden_names(library: dict[str, Module]) -> list[str]:
    return [
        f"{module.name}: {name}"
        for module in library.values()
        for name in dict.fromkeys(definitions(module))
        if words_of(name) & FORBIDDEN
    ]


def test_names_are_the_fields_own_words():
    assert forbidden_names(LIBRARY) == []


def test_a_forbidden_word_is_seen_in_every_kind_of_name():
    text = """
import math
class PlanReader:
    ledger_size: int = 0
    def __init__(self, *looks, past=None, **HTTPFeed): ...
    async def judgedBy(self, moment, /): ...
look = lambda opening: math.floor(opening)  # a variable, a parameter, another's name
def explain(planet, overlook, feedback, housing): ...
"""
    library = sources(torn="", torn__rooms="", tables=text)
    assert sorted(name.removeprefix("nasworkbench.") for name in forbidden_names(library)) == [
        "tables: HTTPFeed",
        "tables: PlanReader",
        "tables: judgedBy",
        "tables: ledger_size",
        "tables: looks",
        "tables: moment",
        "tables: opening",
        "tables: past",
        "torn.rooms: rooms",
        "torn: torn",
    ]


# --- the face -------------------------------------------------------------------------------------


def test_importing_the_library_is_light():
    code = f"import sys, nasworkbench; print(sorted({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_face_hands_on_what_it_names():
    for name in nasworkbench.__all__:
        assert getattr(nasworkbench, name) is not None
    assert set(nasworkbench.__all__) <= set(dir(nasworkbench))

"""Pictures: counts and names out of the SVG, never bytes or coordinates.

Whatever graphviz is there (the program or pygraphviz) renders; the choice between the two is tested
with stand-ins.
"""

import struct
import sys
import types
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import graphviz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasworkbench import drawing, zoo
from nasworkbench.drawing import Drawing, dot_available, draw, rendering
from nasworkbench.drawing.cells import short_label
from nasworkbench.drawing.dot import THEMES, plain
from nasworkbench.errors import WorkbenchError
from nasworkbench.genotype import OPERATIONS, Block, Cell, Genotype

SVG = "{http://www.w3.org/2000/svg}"
NASNET = zoo.get("nasnet-a")
ONE_BLOCK = Cell((Block(0, "identity", 1, "sep_conv_3x3"),))
#: Block 1 reads block 0 and is the output; blocks 2 and 3 lead nowhere.
DEAD_ENDS = Cell(
    (
        Block(0, "identity", 0, "max_pool_7x7", "concat"),
        Block(2, "conv_1x7_7x1", 2, "avg_pool_3x3"),
        Block(1, "conv_3x3", 3, "conv_1x1"),
        Block(4, "identity", 4, "identity"),
    ),
    (3,),
)


class Picture:
    """What an SVG shows: nodes, edges and frames by their graphviz names."""

    def __init__(self, drawing: Drawing) -> None:
        self.root = ElementTree.fromstring(drawing.svg())
        self.groups = {
            kind: {
                group.find(f"{SVG}title").text: group
                for group in self.root.iter(f"{SVG}g")
                if group.get("class") == kind
            }
            for kind in ("node", "edge", "cluster")
        }

    @property
    def nodes(self) -> dict[str, str]:
        """Name of a node -> its label, lines joined by a blank."""
        return {
            name: " ".join(text.text for text in group.findall(f"{SVG}text"))
            for name, group in self.groups["node"].items()
        }

    @property
    def edges(self) -> set[tuple[str, str]]:
        return {tuple(name.split("->")) for name in self.groups["edge"]}

    def is_dashed(self, kind: str, name: str) -> bool:
        return any("stroke-dasharray" in shape.attrib for shape in self.groups[kind][name])

    def shape(self, name: str) -> str:
        """``ellipse``, ``polygon`` or ``path`` (a rounded box)."""
        tags = [shape.tag.removeprefix(SVG) for shape in self.groups["node"][name]]
        return next(tag for tag in tags if tag in ("ellipse", "polygon", "path"))


# --- a cell -------------------------------------------------------------------------------------


def test_a_cell_has_its_inputs_operations_combinations_and_output():
    picture = Picture(draw(ONE_BLOCK))
    assert picture.nodes == {
        "cell_input_0": "h[i-1]",
        "cell_input_1": "h[i]",
        "cell_block_0_left": "identity",
        "cell_block_0_right": "sep 3x3",
        "cell_block_0_combine": "block 0 add",
        "cell_output": "h[i+1]",
    }
    assert picture.edges == {
        ("cell_input_0", "cell_block_0_left"),
        ("cell_input_1", "cell_block_0_right"),
        ("cell_block_0_left", "cell_block_0_combine"),
        ("cell_block_0_right", "cell_block_0_combine"),
        ("cell_block_0_combine", "cell_output"),
    }
    assert set(picture.groups["cluster"]) == {"cluster_cell_block_0"}


@pytest.mark.parametrize("name", zoo.names())
def test_counts_of_the_published_cells(name):
    for _, cell in zoo.get(name).cells:
        picture = Picture(draw(cell))
        blocks = len(cell.blocks)
        assert len(picture.nodes) == cell.inputs + 3 * blocks + 1
        assert len(picture.groups["edge"]) == 4 * blocks + len(cell.concat)
        assert len(picture.groups["cluster"]) == blocks
        assert picture.nodes["cell_output"] == "concat → h[i+1]"


def test_edges_are_those_of_the_cell():
    cell, edges = NASNET.reduction, Picture(draw(NASNET.reduction)).edges
    names = [f"cell_input_{s}" for s in range(2)] + [f"cell_block_{k}_combine" for k in range(5)]
    for number, block in enumerate(cell.blocks):
        for side, state, _ in block.sides:
            node = f"cell_block_{number}_{side}"
            assert {source for source, target in edges if target == node} == {names[state]}
    into_output = {source for source, target in edges if target == "cell_output"}
    assert into_output == {names[state] for state in cell.concat}


def test_an_input_in_the_concat_has_an_edge_to_the_output():
    assert ("cell_input_0", "cell_output") in Picture(draw(NASNET.normal)).edges
    assert ("cell_input_1", "cell_output") not in Picture(draw(NASNET.normal)).edges


def test_what_does_not_reach_the_output_is_dashed_and_says_so():
    picture = Picture(draw(DEAD_ENDS))
    for number in range(4):
        names = [f"cell_block_{number}_{part}" for part in ("left", "right", "combine")]
        dead = number >= 2
        assert [picture.is_dashed("node", name) for name in names] == [dead] * 3
        assert picture.is_dashed("cluster", f"cluster_cell_block_{number}") is dead
        assert ("not used" in picture.nodes[names[2]]) is dead
    for edge in picture.groups["edge"]:
        target = edge.split("->")[1]
        assert picture.is_dashed("edge", edge) is ("block_2" in target or "block_3" in target)
    # h[i] is read by a dead block only
    assert picture.is_dashed("node", "cell_input_1") and not picture.is_dashed(
        "node", "cell_input_0"
    )


def test_add_and_concat_differ_in_shape_and_label():
    picture = Picture(draw(DEAD_ENDS))
    assert picture.shape("cell_block_0_combine") == "polygon"
    assert picture.shape("cell_block_1_combine") == "ellipse"
    assert picture.nodes["cell_block_0_combine"] == "block 0 concat"


def test_every_operation_has_a_short_label_of_its_own():
    labels = {tuple(short_label(operation)) for operation in OPERATIONS}
    assert len(labels) == len(OPERATIONS)
    assert max(len(line) for lines in labels for line in lines) <= 8
    assert short_label("identity") == ["identity"] and short_label("conv_3x3") == ["conv", "3x3"]
    assert short_label("dil_sep_conv_5x5") == ["dil sep", "5x5"]
    assert short_label("conv_1x7_7x1") == ["1x7", "7x1"]


def test_four_inputs():
    cell = Cell((Block(0, "identity", 3, "identity"), Block(1, "identity", 2, "identity")), None, 4)
    nodes = Picture(draw(cell)).nodes
    assert [nodes[f"cell_input_{state}"] for state in range(4)] == [
        "h[i-3]",
        "h[i-2]",
        "h[i-1]",
        "h[i]",
    ]


# --- a genotype ---------------------------------------------------------------------------------


def test_a_genotype_shows_both_cells_their_titles_and_its_name():
    picture = Picture(draw(NASNET))
    assert len(picture.nodes) == 2 * (2 + 15 + 1)
    assert len(picture.groups["edge"]) == 20 + 6 + 20 + 4
    assert {name.split("_")[0] for name in picture.nodes} == {"normal", "reduction"}
    texts = [text.text for text in picture.root.iter(f"{SVG}text")]
    assert [texts.count(title) for title in ("nasnet-a", "normal cell", "reduction cell")] == [
        1
    ] * 3


def test_node_names_are_stable():
    assert draw(NASNET).source == draw(Genotype.from_json(NASNET.to_json())).source


def test_a_published_genotype_fits_a_window():
    for name in zoo.names():
        width, height = struct.unpack(">II", draw(zoo.get(name)).png()[16:24])
        assert width <= 1200 and height <= 900, name


# --- a network ----------------------------------------------------------------------------------


@dataclass
class Layer:
    name: str
    role: str
    inputs: tuple
    filters: int
    stage: int


class Stacked(types.SimpleNamespace):
    """A network of another kind, which is drawn as a CellNetwork is."""


drawing.source.register(Stacked, drawing.network_source)


def network(cells: int, genotype=NASNET):
    """A stand-in with the layout of a CIFAR network: the previous two layers feed each cell."""
    layers = [Layer("stem", "stem", (), 96, 0)]
    read = ("stem", "stem")

    def add(name, role, filters, stage):
        nonlocal read
        layers.append(Layer(name, role, read, filters, stage))
        read = (read[1], name)

    for stage in range(3):
        if stage:
            add(f"reduction_{stage - 1}", "reduction", 128 * 2**stage, stage)
        for number in range(cells):
            add(f"normal_{stage * cells + number}", "normal", 192 * 2**stage, stage)
    layers.append(Layer("classifier", "classifier", (read[1],), 10, 2))
    return Stacked(layout=tuple(layers), genotype=genotype)


def test_a_network_groups_the_normal_cells_of_a_stage():
    picture = Picture(draw(network(6)))
    assert list(picture.nodes.values()) == [
        "stem 96 channels",
        "normal cell × 6 192 channels",
        "reduction cell 256 channels",
        "normal cell × 6 384 channels",
        "reduction cell 512 channels",
        "normal cell × 6 768 channels",
        "classifier 10 classes",
    ]
    newer = {(f"layer_{k}", f"layer_{k + 1}") for k in range(6)}
    # the first cell of a stage reads past the reduction cell
    older = {("layer_1", "layer_3"), ("layer_3", "layer_5")}
    assert picture.edges == newer | older
    for source, target in picture.edges:
        assert picture.is_dashed("edge", f"{source}->{target}") is ((source, target) in older)


def test_a_network_of_single_cells_shows_every_skip():
    picture = Picture(draw(network(1)))
    older = {edge for edge in picture.groups["edge"] if picture.is_dashed("edge", edge)}
    assert older == {f"layer_{k}->layer_{k + 2}" for k in range(4)}
    assert not any("×" in label for label in picture.nodes.values())


def test_an_auxiliary_head_hangs_on_its_cell():
    stacked = network(2)
    head = Layer("auxiliary", "auxiliary", ("normal_3",), 10, 1)
    stacked.layout = (*stacked.layout[:6], head, *stacked.layout[6:])
    picture = Picture(draw(stacked))
    (node,) = [name for name, label in picture.nodes.items() if label == "auxiliary 10 classes"]
    (source,) = [source for source, target in picture.edges if target == node]
    assert picture.nodes[source] == "normal cell × 2 384 channels"


# --- names that mean harm -----------------------------------------------------------------------

HARMFUL = [
    'say "hi"',
    "back\\slash\\",
    '"]; evil [label="',
    "<script>alert(1)</script>",
    "<b>no html label</b>",
    "a & b &amp; c &lt;",
    "two\nlines\r\n\ttabs",
    "\\N \\G \\L \\l \\n",
    "nul\x00 bell\x07 escape\x1b",
    "lone \ud800 surrogate \uffff",
    "}; digraph { x -> y }",
    "日本語 🙂",
    "]]> --> <!--",
    " ",
    "",
]


@pytest.mark.parametrize("name", HARMFUL)
def test_a_name_is_shown_as_it_is_and_changes_nothing(name):
    picture = Picture(draw(Genotype(ONE_BLOCK, ONE_BLOCK, name)))
    reference = Picture(draw(Genotype(ONE_BLOCK, ONE_BLOCK)))
    assert picture.nodes == reference.nodes and picture.edges == reference.edges
    shown = [text.text for text in picture.root.iter(f"{SVG}text")]
    expected = [plain(name)] if plain(name) else []
    extra = list(shown)
    for text in (text.text for text in reference.root.iter(f"{SVG}text")):
        extra.remove(text)
    assert [" ".join(text.split()) for text in extra] == expected
    assert {element.tag.removeprefix(SVG) for element in picture.root.iter()} <= {
        "svg", "title", "desc", "g", "rect", "text", "path", "polygon", "ellipse"
    }  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(name=st.text(max_size=30))
def test_any_name_gives_a_well_formed_picture(name):
    assert len(Picture(draw(Genotype(ONE_BLOCK, ONE_BLOCK, name))).nodes) == 12


def test_harmful_names_in_a_network():
    for name in HARMFUL:
        layers = (Layer(name, "stem", (), 3, 0), Layer("end", "classifier", (name,), 3, 0))
        named = types.SimpleNamespace(name=name)
        picture = Picture(draw(Stacked(layout=layers, genotype=named)))
        assert picture.edges == {("layer_0", "layer_1")}


def test_a_very_long_name_is_cut():
    title = plain("x" * 10_000)
    assert len(title) == 80 and title.endswith("…")


# --- the drawing --------------------------------------------------------------------------------


def test_a_screen_reader_gets_a_name_and_a_description():
    root = Picture(draw(NASNET)).root
    assert root.get("role") == "img"
    assert (
        root.get("aria-label")
        == root[0].text
        == "genotype nasnet-a: normal cell and reduction cell"
    )
    assert (root[0].tag, root[1].tag) == (f"{SVG}title", f"{SVG}desc")
    assert "block 4 = sep_conv_3x3(h[i]) + identity(h[i])" in root[1].text


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_the_background_is_opaque_and_rounded(theme):
    background = Picture(draw(ONE_BLOCK, theme=theme)).root.find(f"{SVG}g/{SVG}rect")
    assert background.get("fill") == THEMES[theme].background
    assert float(background.get("rx")) > 0
    assert float(background.get("width")) > 0 and float(background.get("height")) > 0


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_labels_can_be_read_on_their_fill(theme):
    """WCAG's contrast of 4.5 for text, 3 for lines."""
    colours = THEMES[theme]

    def contrast(a, b):
        bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
        return (bright + 0.05) / (dark + 0.05)

    paints = (colours.state, colours.operation, colours.combination, colours.output)
    assert contrast(colours.faded, colours.background) >= 4.5
    for fill in (colours.background, *(paint.fill for paint in paints)):
        assert contrast(colours.text, fill) >= 4.5
    for line in (colours.edge, colours.older, colours.newer, *(paint.border for paint in paints)):
        assert contrast(line, colours.background) >= 3
    assert len({paint.fill for paint in paints}) == 4


def test_png_size_follows_dpi():
    drawing = draw(ONE_BLOCK)
    small, large = drawing.png(), drawing.png(dpi=192)
    assert small[:8] == large[:8] == b"\x89PNG\r\n\x1a\n"
    widths = [struct.unpack(">I", png[16:20])[0] for png in (small, large)]
    assert widths[1] == pytest.approx(2 * widths[0], abs=3)


@pytest.mark.parametrize("dpi", [0, -1, 10**9, 96.0, "96", True, None])
def test_dpi_out_of_range(dpi):
    with pytest.raises(WorkbenchError, match="10 to 1200"):
        draw(ONE_BLOCK).png(dpi=dpi)


def test_save_by_suffix(tmp_path):
    drawing = draw(ONE_BLOCK)
    assert drawing.save(tmp_path / "a.dot").read_text() == drawing.source
    assert drawing.save(str(tmp_path / "a.SVG")).read_text() == drawing.svg()
    assert drawing.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["a.pdf", "a", ".svg", "svg"])
def test_save_with_another_suffix(tmp_path, name):
    with pytest.raises(WorkbenchError, match=r"\.svg, \.png and \.dot"):
        draw(ONE_BLOCK).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_save_where_no_folder_is(tmp_path):
    with pytest.raises(WorkbenchError, match=r"cannot write the drawing to .*nowhere"):
        draw(ONE_BLOCK).save(tmp_path / "nowhere" / "a.dot")


def test_a_notebook_gets_svg_png_and_text():
    drawing = draw(NASNET)
    for thing in (ONE_BLOCK, NASNET, drawing):
        bundle, about = thing._repr_mimebundle_()
        assert set(bundle) == {"image/svg+xml", "image/png", "text/plain"}
        assert bundle["image/png"].startswith(b"\x89PNG")
        assert bundle["image/svg+xml"].startswith("<svg")
    assert bundle["text/plain"] == str(NASNET)
    alternative = about["image/png"]["alt"]  # the title, and all that the drawing says
    assert alternative.startswith(f"Drawing of {drawing.title}; Genotype nasnet-a; normal cell; ")
    assert "\n" not in alternative
    said = [" ".join(line.split()) for line in str(NASNET).splitlines()]
    assert alternative.split("; ")[1:] == said


@pytest.mark.parametrize("thing", [None, "nasnet-a", 7, ONE_BLOCK.blocks[0]])
def test_things_that_cannot_be_drawn(thing):
    with pytest.raises(WorkbenchError, match=f"draw {type(thing).__name__}; .* Cell.* Genotype"):
        draw(thing)


def test_another_architecture_says_how_it_is_drawn():
    class LongChain:
        def __str__(self):
            return "input, conv, output"

    with pytest.raises(WorkbenchError, match="cannot draw LongChain"):
        draw(LongChain())
    drawing.source.register(
        LongChain, lambda chain, theme: f'digraph {{ a [color="{theme.edge}"] }}'
    )
    picture = draw(LongChain(), "dark")
    assert picture.source == f'digraph {{ a [color="{THEMES["dark"].edge}"] }}'
    assert (picture.title, picture.text) == ("a long chain", "input, conv, output")


@pytest.mark.parametrize("theme", ["blue", None, ["light"]])
def test_unknown_theme(theme):
    with pytest.raises(WorkbenchError, match="theme must be one of light and dark"):
        draw(ONE_BLOCK, theme=theme)


# --- which graphviz -----------------------------------------------------------------------------

BARE_SVG = '<svg xmlns="http://www.w3.org/2000/svg"><g><text>{}</text></g></svg>'


@pytest.fixture
def no_dot(tmp_path, monkeypatch):
    """A PATH without any program."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def a_dot(tmp_path, monkeypatch):
    """A PATH with a program called dot (which nobody runs)."""
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def stand_in_pygraphviz(monkeypatch, fails: bool = False) -> list:
    """A module in pygraphviz's place that notes how it is called."""
    calls = []

    class AGraph:
        def __init__(self, string):
            self.string = string

        def draw(self, *, format, prog):
            calls.append((self.string, format, prog))
            if fails:
                raise ValueError("syntax error in line 1")
            return BARE_SVG.format("pygraphviz").encode()

    monkeypatch.setitem(sys.modules, "pygraphviz", types.SimpleNamespace(AGraph=AGraph))
    return calls


def stand_in_graphviz(monkeypatch, fails: bool = False) -> list:
    """The same for the package graphviz, which runs the program dot."""
    calls = []

    def pipe(engine, form, source, quiet):
        calls.append((source.decode(), form, engine))
        if fails:
            raise graphviz.CalledProcessError(1, "dot", stderr="syntax error in line 1")
        return BARE_SVG.format("graphviz").encode()

    monkeypatch.setattr(graphviz, "pipe", pipe)
    return calls


def test_dot_comes_first(a_dot, monkeypatch):
    with_dot, without = stand_in_graphviz(monkeypatch), stand_in_pygraphviz(monkeypatch)
    drawing = draw(ONE_BLOCK)
    assert dot_available()
    assert ">graphviz<" in drawing.svg() and drawing.png()
    assert [call[1:] for call in with_dot] == [("svg", "dot"), ("png", "dot")]
    assert with_dot[0][0] == drawing.source and "dpi=96" in with_dot[1][0]
    assert without == []


def test_a_dot_that_cannot_be_run(a_dot, tmp_path):
    (tmp_path / "dot").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(WorkbenchError, match=r"dot cannot draw this: .*Exec format error"):
        draw(ONE_BLOCK).svg()
    (tmp_path / "dot").write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(WorkbenchError, match="something else than an SVG: no element found"):
        draw(ONE_BLOCK).svg()


def test_without_dot_pygraphviz_draws(no_dot, monkeypatch):
    with_dot, without = stand_in_graphviz(monkeypatch), stand_in_pygraphviz(monkeypatch)
    drawing = draw(ONE_BLOCK)
    assert not dot_available()
    assert ">pygraphviz<" in drawing.svg() and drawing.png()
    assert [call[1:] for call in without] == [("svg", "dot"), ("png", "dot")]
    assert without[0][0] == drawing.source
    assert with_dot == []


def test_without_both_the_error_names_both_ways(no_dot, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    drawing = draw(ONE_BLOCK)
    for call in (drawing.svg, drawing.png, lambda: drawing.save(tmp_path / "a.svg")):
        with pytest.raises(WorkbenchError) as caught:
            call()
        assert "apt install graphviz" in str(caught.value)
        assert 'pip install "nasworkbench[drawing]"' in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert drawing.save(tmp_path / "a.dot").read_text() == drawing.source


def test_without_both_a_notebook_still_gets_the_text(no_dot, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    bundle, about = ONE_BLOCK._repr_mimebundle_()
    assert set(bundle) == {"text/plain"} and about == {}
    assert bundle["text/plain"].startswith(str(ONE_BLOCK))
    assert "apt install graphviz" in bundle["text/plain"]


def test_a_renderer_that_fails_is_named(a_dot, tmp_path, monkeypatch):
    stand_in_graphviz(monkeypatch, fails=True)
    with pytest.raises(WorkbenchError, match=r"dot cannot draw this: .*syntax error"):
        draw(ONE_BLOCK).svg()
    (tmp_path / "dot").unlink()
    stand_in_pygraphviz(monkeypatch, fails=True)
    with pytest.raises(WorkbenchError, match="pygraphviz cannot draw this: syntax error"):
        draw(ONE_BLOCK).svg()


def test_a_real_syntax_error_is_a_workbench_error():
    with pytest.raises(WorkbenchError, match="cannot draw this"):
        rendering.render("digraph {", "svg")


def test_what_is_too_large_is_shown_as_text(tmp_path):
    """Graphviz would take minutes for a thousand blocks."""
    drawing = draw(Cell([Block(0, "identity", 1, "identity")] * 300))
    with pytest.raises(WorkbenchError, match=r"1,501 arrows, and at most 1,000.*name\.dot"):
        drawing.svg()
    shown, _ = drawing._repr_mimebundle_()
    assert (
        shown.keys() == {"text/plain"} and "(no picture: this is too large" in shown["text/plain"]
    )
    assert drawing.save(tmp_path / "large.dot").exists()

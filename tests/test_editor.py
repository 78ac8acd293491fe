"""The cell editor without a browser: diagram, numbers, messages, the form, a training."""

from __future__ import annotations

import re
import sys
import threading
import types

import numpy
import pytest

import nasworkbench as nw
from nasworkbench.drawing.rendering import render
from nasworkbench.errors import GenotypeError, SpaceError, TableError, WorkbenchError
from nasworkbench.genotype import Block, Cell, Genotype
from nasworkbench.tables import Table
from nasworkbench.widgets.editor import CellEditor, training
from nasworkbench.widgets.editor.diagram import diagram
from nasworkbench.widgets.editor.training import Training, costs, measured

SMALL = {"cells": 1, "filters": 4, "image_size": 8}
CELL = Cell((Block(0, "identity", 1, "conv_3x3"), Block(2, "conv_1x1", 1, "identity")))
GENOTYPE = Genotype(CELL, CELL, "mine")
SEARCHED = nw.CellSpace(1, ("identity", "conv_1x1"), ("add",), tied=True)


def send(editor, action, **arguments):
    """As the front end does."""
    editor.receive({"do": action, **arguments})


@pytest.fixture
def editor():
    made = CellEditor(GENOTYPE, **SMALL)
    yield made
    made.close()


# ---- the diagram


@pytest.mark.parametrize("name", ["nasnet-a", "amoebanet-a", "pnasnet-5"])
def test_the_diagram_has_the_drawings_nodes_and_edges(name):
    cell = nw.zoo.get(name).reduction
    found = diagram(cell)
    source = nw.draw(cell).source
    nodes = {node["key"]: node for node in found["nodes"]}
    wanted = {key for key in re.findall(r"^\s*cell_(\w+) \[", source, re.M) if key != "inputs"}
    assert nodes.keys() == wanted
    edges = {
        (tail, head)
        for tail, head, style in re.findall(r"cell_(\w+) -> cell_(\w+)(.*)", source)
        if "invis" not in style
    }
    assert {(edge["source"], edge["target"]) for edge in found["edges"]} == edges
    assert len(found["frames"]) == len(cell.blocks)
    for node in found["nodes"]:
        across, down = node["width"] / 2 - 0.01, node["height"] / 2 - 0.01  # it rounds
        assert across <= node["x"] <= found["width"] - across
        assert down <= node["y"] <= found["height"] - down
    assert nodes["output"]["y"] < nodes["input_0"]["y"]  # the output on top
    for edge in found["edges"]:  # an arrow ends at its node
        x, y = map(float, edge["tip"].split()[1].split(","))
        target = nodes[edge["target"]]
        assert abs(x - target["x"]) <= target["width"] / 2 + 2
        assert abs(y - target["y"]) <= target["height"] / 2 + 2


def test_the_nodes_say_in_words_what_they_are():
    cell = Cell((Block(0, "identity", 1, "conv_3x3"), Block(1, "conv_1x1", 2, "identity")), (0, 2))
    nodes = {node["key"]: node for node in diagram(cell)["nodes"]}
    assert nodes["block_0_left"]["label"] == "block 0, left: identity of h[i-1]"
    assert nodes["block_0_combine"]["label"] == "block 0: add"
    assert nodes["output"]["label"] == "output of the cell: joins h[i-1], block 0"
    assert nodes["input_1"]["label"] == "h[i], an input of the cell"
    unused = "block 1, right: identity of block 0, not used: the output cannot be reached from it"
    assert nodes["block_1_right"]["label"] == unused
    assert [key for key, node in nodes.items() if not node["used"]] == [
        "block_1_left",
        "block_1_right",
        "block_1_combine",
    ]
    assert nodes["block_1_combine"]["state"] == 3
    kinds = {(edge["source"], edge["target"]): edge["kind"] for edge in diagram(cell)["edges"]}
    assert kinds["input_0", "block_0_left"] == "older"
    assert kinds["input_1", "block_0_right"] == "newer"
    assert kinds["block_0_combine", "block_1_right"] == "inner"


def test_pygraphviz_lays_out_where_there_is_no_dot(monkeypatch):
    """The same call, by the package: its answer has the same form, as graphviz itself makes it."""

    class AGraph:
        def __init__(self, string):
            self.string = string

        def draw(self, format, prog):
            assert (format, prog) == ("json", "dot")
            return laid

    cell = Cell((Block(1, "conv_7x1_1x7", 0, "max_pool_2x2"),))
    wanted = diagram(cell)
    laid = render(nw.draw(cell).source, "json")
    diagram.cache_clear()
    monkeypatch.setattr("nasworkbench.drawing.rendering.dot_available", lambda: False)
    monkeypatch.setitem(sys.modules, "pygraphviz", types.SimpleNamespace(AGraph=AGraph))
    assert diagram(cell) == wanted


def test_without_graphviz_the_editor_says_so_and_goes_on(monkeypatch):
    monkeypatch.setattr("nasworkbench.drawing.rendering.dot_available", lambda: False)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    diagram.cache_clear()
    editor = CellEditor(GENOTYPE, **SMALL)
    assert editor.view["cells"]["normal"]["diagram"] is None
    assert "drawing needs graphviz" in editor.view["cells"]["normal"]["problem"]
    form = editor.form()
    form.blocks[0]["left_op"].value = "conv_3x3"
    assert editor.genotype.normal.blocks[0].left_op == "conv_3x3"
    assert editor.numbers["parameters"] > 0


# ---- what it costs, what is known of it


def test_the_costs_are_those_of_profile_and_draw_no_random_number():
    import torch

    genotype = nw.zoo.get("nasnet-a")
    before = torch.get_rng_state()
    found = costs(genotype, 2, 8, 16)
    assert torch.equal(torch.get_rng_state(), before)
    network = nw.CellNetwork(genotype, cells=2, filters=8)
    wanted = nw.profile(network, 16)
    assert (found["parameters"], found["mult_adds"]) == (wanted.parameters, wanted.mult_adds)
    assert found["stages"] == [
        {"name": "stem", "shape": [16, 16, 24]},
        {"name": "stage 1", "shape": [16, 16, 48]},
        {"name": "stage 2", "shape": [8, 8, 96]},
        {"name": "stage 3", "shape": [4, 4, 192]},
    ]


def small_table():
    keys = tuple(SEARCHED.decode(tokens).key for tokens in [(0, 0, 0, 0, 0), (0, 1, 0, 1, 0)])
    return Table(
        name="tiny",
        space=SEARCHED,
        tokens=numpy.array([(0, 0, 0, 0, 0), (0, 1, 0, 1, 0)]),
        keys=keys,
        validation=numpy.array([[0.5, 0.7], [0.8, 0.9]]),
        read_test=lambda: 1 / 0,  # a cell is not edited by its test accuracy
    )


def test_a_table_says_accuracy_and_rank_of_the_cells_it_knows():
    table = small_table()
    known = SEARCHED.decode((0, 0, 0, 0, 0))
    words = measured(known, table)
    assert "validation accuracy 0.6000 (2 trainings), rank 2 of 2" in words
    assert "does not know this cell" in measured(GENOTYPE, table)
    assert measured(GENOTYPE, None) == ""
    editor = CellEditor(known, table=table, **SMALL)
    assert editor.numbers["measured"] == words
    with pytest.raises(TableError, match=r"must be a Table, got 'cells'.*tables\.load"):
        CellEditor(known, table="cells")


# ---- messages


def test_every_message_of_the_front_end_is_understood(editor):
    sizes = {"cells": 2, "filters": 8, "image_size": 16}
    steps = [
        ("set_operation", dict(role="normal", block=0, side="left", operation="conv_1x1")),
        ("connect", dict(role="normal", block=1, side="left", state=0)),
        ("set_combination", dict(role="reduction", block=1, combine="concat")),
        ("add_block", dict(role="normal")),
        ("remove_block", dict(role="normal", block=2)),
        ("toggle_output", dict(role="normal", state=0)),
        ("set_output", dict(role="normal", states=[1, 3])),
        ("set_automatic", dict(role="normal", on=True)),
        ("set_automatic", dict(role="normal", on=False)),
        ("undo", {}),
        ("redo", {}),
        ("random", {}),
        ("mutate", {}),
        ("load_zoo", dict(name="darts-v2")),
        ("paste", dict(text=GENOTYPE.to_json(), form="")),
        *[("set_size", dict(name=name, value=value)) for name, value in sizes.items()],
        ("stop", {}),
    ]
    for action, arguments in steps:
        send(editor, action, **arguments)
        assert editor.message["kind"] == "text", (action, editor.message)
        assert editor.view["cells"]["normal"]["concat"] == list(editor.genotype.normal.concat)
        assert editor.numbers["json"] == editor.genotype.to_json()
    assert {action for action, _ in steps} | {"train"} == editor.actions.keys()
    assert editor.genotype == GENOTYPE
    assert editor.sizes == sizes
    assert editor.numbers["parameters"] == costs(GENOTYPE, 2, 8, 16)["parameters"]


def test_automatic_off_keeps_the_output_as_it_is_from_then_on(editor):
    send(editor, "set_automatic", role="normal", on=False)
    assert not editor.view["cells"]["normal"]["automatic"]
    send(editor, "connect", role="normal", block=1, side="left", state=0)
    assert editor.genotype.normal.concat == (3,)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"do": "connect", "role": "normal", "block": 0, "side": "left", "state": 3}, "not exist"),
        ({"do": "connect", "role": "normal", "block": "0", "side": "left", "state": 0}, "block"),
        ({"do": "connect", "role": "normal", "block": True, "side": "left", "state": 0}, "block"),
        (
            {"do": "connect", "role": "normal", "block": 9, "side": "left", "state": 0},
            "block must be a whole number from 0 to 1, got 9",
        ),
        ({"do": "connect"}, "block, role, side and state"),
        ({"do": "undo", "twice": 1}, "undo: missing or unknown: twice"),
        ({"do": "explode"}, "got 'explode'"),
        ({"do": ["undo"]}, "the editor can do"),
        ({}, "the editor can do"),
        ("undo", "the editor can do"),
        (
            {"do": "set_output", "role": "normal", "states": ["x"]},
            "hidden state must be a whole number from 0 to 3, got 'x'",
        ),
        ({"do": "set_output", "role": "normal", "states": [[1]]}, "from 0 to 3, got"),
        ({"do": "add_block", "role": "middle"}, "normal and reduction, got 'middle'"),
        ({"do": "paste", "text": "rm -rf", "form": ""}, "no form known here"),
        ({"do": "paste", "text": "x", "form": "keras"}, "form must be one of JSON, darts"),
        ({"do": "load_zoo", "name": "resnet"}, "resnet"),
        (
            {"do": "set_size", "name": "cells", "value": 0},
            "cells must be a whole number from 1 to 20",
        ),
        ({"do": "set_size", "name": "cells", "value": None}, "from 1 to 20, got None"),
        ({"do": "set_size", "name": "image_size", "value": 2}, "too small"),
        ({"do": "set_size", "name": "filters", "value": 10**9}, "from 1 to 512"),
        (
            {"do": "set_size", "name": "depth", "value": 1},
            "cells, filters and image_size, got 'depth'",
        ),
        ({"do": "train"}, r"pass an evaluator, such as CellEditor\(genotype, evaluator="),
        ({"do": "undo"}, "nothing to undo"),
    ],
)
def test_a_refused_message_says_why_and_leaves_the_last_legal_state(editor, message, words):
    view, numbers = editor.view, editor.numbers
    editor._handle_custom_msg(message, [])
    assert editor.message["kind"] == "problem"
    assert re.search(words, editor.message["text"])
    assert editor.genotype is GENOTYPE
    assert (editor.view, editor.numbers) == (view, numbers)


def test_every_message_is_answered(editor, monkeypatch):
    answers = []
    monkeypatch.setattr(editor, "send", answers.append)
    for number, message in enumerate(({"do": "undo"}, {"do": "mutate"}, {"do": "explode"})):
        editor._handle_custom_msg({**message, "id": f"view-{number}"}, [])
    assert answers == [{"answer": "view-0"}, {"answer": "view-1"}, {"answer": "view-2"}]
    assert editor.state.can_undo
    assert "the editor can do" in editor.message["text"]


def test_the_same_refusal_twice_is_said_twice(editor):
    send(editor, "undo")
    first = editor.message
    send(editor, "undo")
    assert editor.message["text"] == first["text"]
    assert editor.message["count"] == first["count"] + 1


def test_a_failing_observer_is_told_in_the_widget_and_not_raised(editor):
    def fail(change):
        raise RuntimeError("an observer of one's own")

    editor.observe(fail, "genotype")
    send(editor, "add_block", role="normal")
    assert "RuntimeError: an observer of one's own" in editor.message["text"]
    assert len(editor.view["cells"]["normal"]["blocks"]) == 3
    assert len(editor.state.genotype.normal.blocks) == 3


def test_a_space_keeps_the_editor_inside_of_it():
    editor = CellEditor(nw.CellSpace(blocks=2, operations=("identity", "conv_3x3")), **SMALL)
    assert editor.view["operations"] == ["identity", "conv_3x3"]
    before = editor.genotype
    send(editor, "add_block", role="normal")
    assert "this space has cells of 2 blocks" in editor.message["text"]
    with pytest.raises(SpaceError, match="this space has cells of 2 blocks"):
        editor.genotype = nw.zoo.get("nasnet-a")
    assert editor.genotype is before
    send(editor, "random")
    assert editor.state.space.encode(editor.genotype)


def test_what_darts_cannot_say_has_a_reason(editor):
    assert editor.numbers["darts"] == ""
    assert "no operation that computes 'conv_3x3'" in editor.numbers["no_darts"]
    send(editor, "load_zoo", name="darts-v2")
    assert nw.dialects.loads(editor.numbers["darts"], "darts") == editor.genotype
    assert editor.numbers["no_darts"] == ""


def test_a_cell_that_no_network_takes_has_a_reason_instead_of_numbers(editor):
    cell = Cell((Block(2, "identity", 0, "identity"),), inputs=3)
    editor.genotype = Genotype(cell, cell)
    assert "parameters" not in editor.numbers
    assert "inputs" in editor.numbers["problem"]
    send(editor, "undo")
    assert editor.numbers["problem"] == ""


# ---- the trait


def test_the_genotype_can_be_observed_and_assigned(editor):
    seen = []
    editor.observe(lambda change: seen.append(change["new"]), "genotype")
    send(editor, "add_block", role="normal")
    assert seen == [editor.genotype]
    editor.genotype = nw.zoo.get("pnasnet-5")
    assert editor.view["name"] == "pnasnet-5"
    assert editor.numbers["json"] == nw.zoo.get("pnasnet-5").to_json()
    send(editor, "undo")
    assert len(editor.genotype.normal.blocks) == 3
    for wrong in ("nasnet-a", None, CELL):
        with pytest.raises(GenotypeError, match="the editor holds a Genotype"):
            editor.genotype = wrong
    assert len(editor.genotype.normal.blocks) == 3


def test_two_editors_of_one_genotype_do_not_disturb_each_other(editor):
    other = CellEditor(GENOTYPE, **SMALL)
    send(editor, "add_block", role="normal")
    send(other, "set", x=1)
    assert other.genotype is GENOTYPE
    assert len(editor.genotype.normal.blocks) == 3
    other.close()
    send(editor, "undo")
    assert editor.genotype == GENOTYPE


def test_static_and_text_stand_in_for_the_widget(editor):
    assert editor.static().source == nw.draw(GENOTYPE).source
    data, _ = editor._repr_mimebundle_()
    assert "block 1 = conv_1x1(block 0) + identity(h[i])" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(genotype_or_space="nasnet-a"), "a Genotype or a CellSpace"),
        (dict(cells=0), "cells must be a whole number from 1 to 20"),
        (dict(filters=2.5), "filters must be a whole number"),
        (dict(evaluator=3), "evaluator must be something to call"),
    ],
)
def test_a_wrong_argument_is_refused(arguments, words):
    with pytest.raises(WorkbenchError, match=words):
        CellEditor(**arguments)


def test_the_front_end_asks_only_for_what_python_does(editor):
    asked = set(re.findall(r'send\("(\w+)"', CellEditor._esm))
    assert asked | {"train", "stop", "undo", "redo", "set_output"} == editor.actions.keys()
    assert "import " not in CellEditor._esm.replace("// ", "")
    assert "http" not in CellEditor._esm.replace("http://www.w3.org/2000/svg", "")


# ---- the form


def test_without_graphviz_the_form_says_so_and_shows_no_older_cell(editor, monkeypatch):
    form = editor.form()
    assert "data:image/svg+xml" in form.picture.value and "graphviz" not in form.picture.value

    def missing(thing):
        raise WorkbenchError("drawing needs graphviz")

    monkeypatch.setattr("nasworkbench.widgets.common.draw", missing)
    form.blocks[0]["left_op"].value = "conv_1x1"
    assert "data:image" not in form.picture.value
    assert "drawing needs graphviz" in form.picture.value
    assert "block 0 = conv_1x1(h[i-1])" in form.picture.value
    monkeypatch.undo()
    form.blocks[0]["left_op"].value = "conv_3x3"
    assert "data:image/svg+xml" in form.picture.value and "graphviz" not in form.picture.value


def test_the_form_makes_the_same_edits(editor):
    form = editor.form()
    form.blocks[0]["left_op"].value = "conv_1x1"
    form.blocks[1]["right"].value = 0
    form.blocks[1]["combine"].value = "concat"
    blocks = editor.genotype.normal.blocks
    assert blocks[0] == Block(0, "conv_1x1", 1, "conv_3x3")
    assert blocks[1] == Block(2, "conv_1x1", 0, "identity", "concat")
    assert [state for _, state in form.blocks[1]["left"].options] == [0, 1, 2]
    form.buttons["add_block"].click()
    assert len(form.rows.children) == 3
    form.blocks[2]["remove"].click()
    assert len(form.rows.children) == 2
    form.automatic.value = False
    form.output.value = (0, 3)
    assert editor.genotype.normal.concat == (0, 3)
    form.role.value = "reduction"
    assert form.blocks[0]["left_op"].value == "identity"
    form.blocks[0]["left_op"].value = "max_pool_3x3"
    assert editor.genotype.reduction.blocks[0].left_op == "max_pool_3x3"
    for _ in range(7):
        form.buttons["undo"].click()
    form.buttons["undo"].click()
    assert editor.genotype == GENOTYPE
    assert form.buttons["undo"].disabled
    form.zoo.value = "pnasnet-5"
    form.buttons["load_zoo"].click()
    assert editor.genotype == nw.zoo.get("pnasnet-5")
    form.pasted.value = GENOTYPE.to_json()
    form.buttons["paste"].click()
    assert editor.genotype == GENOTYPE
    form.sizes["filters"].set_state({"value": 8})
    assert editor.sizes["filters"] == 8
    assert f"{costs(GENOTYPE, 1, 8, 8)['parameters']:,}" in form.numbers.value


def test_the_form_goes_back_to_the_last_legal_state(editor):
    form = editor.form()
    form.output.set_state({"index": []})
    assert form.output.value == (3,)
    assert "Refused: normal cell, concat must be one or more different" in form.message.value
    assert 'role="status"' in form.message.value
    form.sizes["cells"].value = 0
    assert form.sizes["cells"].value == 1
    form.pasted.value = "<b>nonsense</b>"
    form.buttons["paste"].click()
    assert "<b>" not in form.message.value
    assert editor.genotype is GENOTYPE


def test_the_form_follows_the_editor_until_it_is_closed(editor):
    form, other = editor.form(), editor.form()
    send(editor, "set_operation", role="normal", block=0, side="left", operation="conv_3x3")
    assert form.blocks[0]["left_op"].value == other.blocks[0]["left_op"].value == "conv_3x3"
    form.close()
    form.close()
    send(editor, "undo")
    assert form.blocks[0]["left_op"].value == "conv_3x3"
    assert other.blocks[0]["left_op"].value == "identity"


# ---- a training


class Waiting:
    """An evaluator that a test lets go on, step by step."""

    def __init__(self):
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, genotype, should_stop):
        stopped = should_stop()
        self.entered.set()
        assert self.go.wait(20)
        stopped = should_stop()
        return nw.Evaluation(None, "stopped", "asked to") if stopped else nw.Evaluation(0.75)


def test_an_edit_while_training_is_refused_and_comes_through_afterwards():
    evaluator = Waiting()
    editor = CellEditor(GENOTYPE, evaluator=evaluator, **SMALL)
    send(editor, "train")
    assert evaluator.entered.wait(20)
    assert editor.training["running"]
    send(editor, "add_block", role="normal")
    assert "a training of this cell is under way: press Stop or wait" in editor.message["text"]
    send(editor, "train")
    assert "is running already" in editor.message["text"]
    with pytest.raises(WorkbenchError, match="under way"):
        editor.genotype = nw.zoo.get("nasnet-a")
    assert editor.genotype is GENOTYPE
    send(editor, "set_size", name="filters", value=8)  # counts, and edits nothing
    assert editor.sizes["filters"] == 8
    evaluator.go.set()
    assert editor.trial.wait(20)
    assert editor.training["words"] == "trained here: reward 0.7500"
    assert editor.message["text"] == "trained here: reward 0.7500"
    send(editor, "add_block", role="normal")
    assert editor.training["known"] == ""
    send(editor, "undo")
    assert editor.training["known"] == "trained here: reward 0.7500"


def test_stop_ends_a_training_and_another_can_start():
    evaluator = Waiting()
    editor = CellEditor(GENOTYPE, evaluator=evaluator, **SMALL)
    send(editor, "train")
    assert evaluator.entered.wait(20)
    send(editor, "stop")
    evaluator.go.set()
    assert editor.trial.wait(20)
    assert editor.training["words"] == "training stopped: asked to"
    assert editor.training["known"] == ""
    send(editor, "train")
    assert editor.trial.wait(20)
    assert editor.training["known"] == "trained here: reward 0.7500"


def test_closing_the_editor_ends_its_training():
    evaluator = Waiting()
    editor = CellEditor(GENOTYPE, evaluator=evaluator, **SMALL)
    send(editor, "train")
    assert evaluator.entered.wait(20)
    editor.close()
    evaluator.go.set()
    assert editor.trial.wait(20)
    assert editor.trial.results == {}


def test_a_failing_evaluator_is_a_result_with_its_cause():
    def fail(genotype):
        raise ValueError("no such disk")

    trial = Training(fail)
    trial.start(GENOTYPE)
    assert trial.wait(20)
    assert trial.status(GENOTYPE)["words"] == "training error: ValueError: no such disk"
    assert trial.status(GENOTYPE)["total"] == 0


def test_a_real_training_counts_its_batches(monkeypatch):
    monkeypatch.setattr(training, "TELL_EVERY", 0.0)
    dataset = nw.data.load("digits")
    recipe = nw.Recipe(epochs=2, batch_size=256)
    evaluator = nw.TrainingEvaluator(dataset, recipe, cells=1, filters=2)
    told = []
    trial = Training(evaluator, lambda: told.append(trial.status(GENOTYPE)["done"]))
    assert trial.status(GENOTYPE)["words"] == "the evaluator trains N = 1, F = 2"
    trial.start(GENOTYPE)
    assert trial.wait(60)
    status = trial.status(GENOTYPE)
    batches = -(-len(dataset.train) // 256)
    assert status["done"] == status["total"] == 2 * batches
    assert told == [0, *range(1, 2 * batches + 1), 2 * batches]
    assert re.fullmatch(r"trained here in [\d.]+ s: reward 0\.\d{4}", status["known"])
    reward = evaluator(GENOTYPE, seed=0).reward
    assert f"reward {reward:.4f}" in status["known"]

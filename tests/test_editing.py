"""Editing a genotype by hand, without a widget: what is done, what is refused, what is undone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasworkbench import CellSpace, zoo
from nasworkbench.errors import DialectError, GenotypeError, SpaceError, WorkbenchError
from nasworkbench.genotype import NASNET_OPERATIONS, OPERATIONS, Block, Cell, Genotype
from nasworkbench.widgets.editor.state import MOST_BLOCKS, EditorState

CELL = Cell(
    (
        Block(0, "identity", 1, "conv_3x3"),
        Block(2, "sep_conv_3x3", 1, "identity"),
        Block(0, "max_pool_3x3", 0, "identity", "concat"),
    )
)
GENOTYPE = Genotype(CELL, CELL, "mine")


def blocks(editing, role="normal"):
    return editing.cell(role).blocks


def test_starts_with_a_genotype_a_space_or_nasnet_a():
    assert EditorState(GENOTYPE).genotype is GENOTYPE
    assert EditorState().genotype == zoo.get("nasnet-a")
    space = CellSpace(blocks=2)
    assert len(space.encode(EditorState(space, seed=3).genotype)) == 20
    with pytest.raises(
        WorkbenchError, match=r"a Genotype or a CellSpace, got 'nasnet-a'.*zoo\.get"
    ):
        EditorState("nasnet-a")


def test_edits_one_field_of_one_block_of_one_cell():
    editing = EditorState(GENOTYPE)
    editing.set_operation("normal", 1, "left", "conv_1x1")
    editing.connect("normal", 1, "right", 0)
    editing.set_combination("reduction", 0, "concat")
    assert blocks(editing)[1] == Block(2, "conv_1x1", 0, "identity")
    assert blocks(editing)[0::2] == CELL.blocks[0::2]
    assert blocks(editing, "reduction") == (
        Block(0, "identity", 1, "conv_3x3", "concat"),
        *CELL.blocks[1:],
    )
    assert editing.genotype.name is None  # it is no longer the one of that name


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (
            lambda e: e.connect("normal", 1, "left", 3),
            GenotypeError,
            "normal cell, block 1, left input: reads hidden state 3, which does not exist yet",
        ),
        (
            lambda e: e.connect("normal", 1, "left", -1),
            GenotypeError,
            "normal cell, block 1, left input: the hidden state must be .* from 0, got -1",
        ),
        (
            lambda e: e.set_operation("reduction", 0, "right", "conv_9x9"),
            GenotypeError,
            "reduction cell, block 0, right input: unknown operation 'conv_9x9'",
        ),
        (
            lambda e: e.set_combination("normal", 0, "multiply"),
            GenotypeError,
            "normal cell, block 0, the combination must be one of add and concat, got 'multiply'",
        ),
        (
            lambda e: e.set_operation("normal", 3, "left", "identity"),
            GenotypeError,
            "normal cell: block must be a whole number from 0 to 2, got 3",
        ),
        (
            lambda e: e.connect("normal", 0, "top", 0),
            GenotypeError,
            "side must be one of left and right, got 'top'",
        ),
        (lambda e: e.connect("both", 0, "left", 0), WorkbenchError, "normal and reduction"),
        (
            lambda e: e.remove_block("normal", 0),
            GenotypeError,
            r"block 0 cannot be removed, block 1 \(left\) reads it",
        ),
        (lambda e: e.set_output("normal", []), GenotypeError, "one or more different"),
        (
            lambda e: e.set_output("normal", [9]),
            GenotypeError,
            "concat: a hidden state must be .* 0 to 4, got 9",
        ),
        (lambda e: e.undo(), WorkbenchError, "nothing to undo"),
        (lambda e: e.redo(), WorkbenchError, "nothing to redo"),
        (lambda e: e.load(CELL), GenotypeError, "holds a Genotype"),
        (lambda e: e.load_zoo("nasnet-z"), WorkbenchError, "nasnet-z"),
        (lambda e: e.paste("nonsense"), DialectError, "no form known here"),
    ],
)
def test_an_illegal_edit_is_refused_and_changes_nothing(edit, error, words):
    editing = EditorState(GENOTYPE)
    with pytest.raises(error, match=words):
        edit(editing)
    assert editing.genotype is GENOTYPE
    assert not editing.can_undo


def test_a_further_block_joins_the_output_and_reads_the_cells_inputs():
    editing = EditorState(GENOTYPE)
    editing.add_block("normal")
    assert blocks(editing)[3] == Block(0, "sep_conv_3x3", 1, "sep_conv_3x3")
    assert editing.cell("normal").concat == (3, 4, 5)
    nasnet = EditorState()  # NASNet-A's output is written out: it joins h[i-1] too
    nasnet.add_block("normal")
    assert nasnet.cell("normal").concat == (0, 2, 3, 4, 5, 6, 7)


def test_a_removed_block_moves_the_later_ones_up():
    editing = EditorState(GENOTYPE)
    editing.connect("normal", 1, "left", 1)  # now nobody reads block 0
    editing.connect("normal", 2, "left", 3)
    editing.remove_block("normal", 0)
    assert blocks(editing) == (
        Block(1, "sep_conv_3x3", 1, "identity"),
        Block(2, "max_pool_3x3", 0, "identity", "concat"),
    )
    assert editing.cell("normal").concat == (3,)
    editing.remove_block("normal", 1)
    with pytest.raises(GenotypeError, match="normal cell, a cell needs at least one block"):
        editing.remove_block("normal", 0)


def test_a_removed_block_leaves_a_written_out_output():
    editing = EditorState(GENOTYPE)
    editing.set_output("normal", [0, 2, 3, 4])
    editing.remove_block("normal", 2)
    assert editing.cell("normal").concat == (0, 2, 3)


def test_the_output_follows_the_blocks_until_it_is_written_out():
    editing = EditorState(GENOTYPE)
    assert editing.automatic == {"normal", "reduction"}
    editing.connect("normal", 2, "left", 3)
    assert editing.cell("normal").concat == (4,)
    editing.toggle_output("normal", 0)
    assert editing.automatic == {"reduction"}
    editing.connect("normal", 2, "left", 0)
    assert editing.cell("normal").concat == (0, 4)  # as it was chosen
    editing.toggle_output("normal", 0)
    assert editing.cell("normal").concat == (4,)
    editing.set_output("normal", None)
    assert editing.cell("normal").concat == (3, 4)
    assert editing.automatic == {"normal", "reduction"}


def test_undo_and_redo_walk_the_edits():
    editing = EditorState(GENOTYPE)
    seen = [editing.genotype]
    for state in (1, 0):
        editing.connect("normal", 0, "left", state)
        editing.toggle_output("reduction", 1)
        seen.append(editing.genotype)
    steps = 0
    while editing.can_undo:
        editing.undo()
        steps += 1
    assert steps == 4
    assert editing.genotype is seen[0]
    assert editing.automatic == {"normal", "reduction"}
    while editing.can_redo:
        editing.redo()
    assert editing.genotype == seen[-1]
    editing.undo()
    editing.connect("normal", 0, "right", 0)
    assert not editing.can_redo  # another future


def test_an_edit_that_changes_nothing_is_no_step():
    editing = EditorState(GENOTYPE)
    editing.set_operation("normal", 0, "left", "identity")
    assert not editing.can_undo
    assert editing.genotype is GENOTYPE


def test_a_space_refuses_what_is_outside_of_it_with_its_own_reason():
    space = CellSpace(blocks=2, operations=("identity", "conv_3x3"), combinations=("add",))
    editing = EditorState(space, seed=0)
    assert editing.operations == ("identity", "conv_3x3")
    assert editing.combinations == ("add",)
    before = editing.genotype
    for edit, words in [
        (lambda: editing.add_block("normal"), "has 3 blocks and 2 inputs"),
        (lambda: editing.set_operation("normal", 0, "left", "conv_1x1"), "not in this space"),
        (lambda: editing.set_combination("normal", 0, "concat"), "'concat' is not in this space"),
        (lambda: editing.toggle_output("normal", 0), "joins exactly the blocks that no block"),
        (lambda: editing.load_zoo("nasnet-a"), "has 5 blocks"),
    ]:
        with pytest.raises(SpaceError, match=words):
            edit()
    assert editing.genotype is before
    editing.connect("normal", 1, "left", 2)
    assert space.encode(editing.genotype)[5] == 2


def test_in_a_tied_space_both_cells_change():
    editing = EditorState(CellSpace(blocks=2, tied=True), seed=0)
    editing.set_operation("reduction", 1, "left", "conv_1x1")
    editing.mutate()
    assert editing.genotype.normal == editing.genotype.reduction


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), spaced=st.booleans())
def test_a_mutation_changes_one_decision(seed, spaced):
    space = CellSpace(blocks=3, operations=OPERATIONS)
    editing = EditorState(space if spaced else space.sample(seed), seed=seed)
    before = space.encode(editing.genotype)
    words = editing.mutate()
    after = space.encode(editing.genotype)
    changed = [place for place in range(len(before)) if before[place] != after[place]]
    assert len(changed) == 1
    decision = space.decisions[changed[0]]
    assert words.startswith("mutated: " + decision.name.replace(" block", " cell, block"))
    editing.undo()
    assert space.encode(editing.genotype) == before


def test_a_mutation_keeps_a_written_out_output():
    editing = EditorState(seed=1)
    for _ in range(10):
        editing.mutate()
    assert editing.cell("normal").concat == zoo.get("nasnet-a").normal.concat


def test_a_space_of_one_cell_has_nothing_to_mutate():
    block = Block(0, "identity", 0, "identity")
    editing = EditorState(CellSpace(1, ("identity",), ("add",), inputs=1), seed=0)
    assert editing.cell("normal").blocks == (block,)
    with pytest.raises(SpaceError, match="nothing to mutate"):
        editing.mutate()


def test_random_cells_have_as_many_blocks_as_these():
    editing = EditorState(zoo.get("pnasnet-5"), seed=0)
    editing.add_block("reduction")
    editing.random()
    assert [len(cell.blocks) for _, cell in editing.genotype.cells] == [5, 6]
    space = CellSpace(blocks=2, operations=NASNET_OPERATIONS[:2])
    editing = EditorState(space, seed=0)
    editing.random()
    space.encode(editing.genotype)
    assert editing.can_undo


def test_a_cell_too_large_for_a_screen_is_refused():
    cell = Cell((Block(0, "identity", 0, "identity"),) * (MOST_BLOCKS + 1))
    with pytest.raises(GenotypeError, match=f"normal cell: {MOST_BLOCKS + 1} blocks"):
        EditorState(Genotype(cell, cell))
    editing = EditorState(GENOTYPE)
    with pytest.raises(GenotypeError, match="the editor shows up to"):
        editing.paste(Genotype(cell, cell).to_json())
    assert editing.genotype is GENOTYPE


def test_a_genotype_is_pasted_and_undone():
    genotype = zoo.get("nasnet-a")
    editing = EditorState(GENOTYPE)
    assert editing.paste(genotype.to_json()) == "read as JSON"
    assert editing.genotype.name == "nasnet-a"
    editing.undo()
    assert editing.genotype is GENOTYPE

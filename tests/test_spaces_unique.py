"""Tied spaces, and spaces whose every string is looked at."""

import itertools
import json

import pytest

from nasworkbench.errors import SpaceError
from nasworkbench.genotype import Block, Cell, Genotype
from nasworkbench.spaces import CellSpace, base

OPERATIONS = ("identity", "avg_pool_3x3", "max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5")
A, B, C = "conv_3x3", "identity", "conv_1x1"

SMALL = [
    CellSpace(1, (A, B), "add", tied=True),
    CellSpace(2, (A, B, C), "add", tied=True),
    CellSpace(2, (A, B), tied=True),  # add and concat
    CellSpace(3, (A,), "add", tied=True),
    CellSpace(2, (A, B), "concat", inputs=1, tied=True),
    CellSpace(1, (A, B), "add"),
]


# --- tied ---------------------------------------------------------------------------------------


def test_tied_decides_one_cell():
    tied, free = (CellSpace(2, (A, B), tied=tied) for tied in (True, False))
    assert [d.options for d in tied.decisions] == [d.options for d in free.decisions[:10]]
    assert {d.cell for d in tied.decisions} == {"both"}
    assert [d.block for d in tied.decisions] == 5 * [0] + 5 * [1]
    assert tied.decisions[7].name == "both block 1 left operation"
    assert len({d.name for d in tied.decisions}) == 10
    assert free.size == tied.size**2


def test_tied_reduction_cell_is_the_normal_cell():
    space = CellSpace(2, (A, B), tied=True)
    tokens = (1, 0, 0, 1, 0, 2, 1, 1, 1, 1)
    genotype = space.decode(tokens)
    cell = Cell((Block(1, A, 0, B, "add"), Block(2, B, 1, B, "concat")))
    assert genotype == Genotype(cell, cell)
    assert space.encode(genotype) == tokens
    free = CellSpace(2, (A, B))
    assert free.decode(tokens + tokens) == genotype
    assert free.encode(genotype) == tokens + tokens


@pytest.mark.parametrize("space", SMALL, ids=repr)
def test_every_string_comes_back(space):
    strings = list(space.token_sequences())
    assert len(strings) == len(set(strings)) == space.size
    assert strings == sorted(strings)  # the last decision changes fastest
    assert all(space.encode(space.decode(tokens)) == tokens for tokens in strings)


def test_different_cells_are_not_in_a_tied_space():
    free, tied = CellSpace(1, (A, B), "add"), CellSpace(1, (A, B), "add", tied=True)
    with pytest.raises(SpaceError, match=r"two cells differ; .* \(tied\)"):
        tied.encode(free.decode([0, 0, 0, 0, 0, 0, 0, 0, 1, 0]))
    outside = CellSpace(1, (C,), "add", tied=True).decode([0] * 5)
    with pytest.raises(SpaceError, match=r"both block 0 left operation: 'conv_1x1' is not"):
        tied.encode(outside)


def test_what_is_no_genotype_and_no_string():
    space = SMALL[0]
    with pytest.raises(SpaceError, match="genotypes of two cells, got 'nasnet-a'"):
        space.encode("nasnet-a")
    with pytest.raises(SpaceError, match="one token per decision, 5; got 3"):
        space.decode(3)
    with pytest.raises(SpaceError, match="one token per decision, 5; got None"):
        space.decode(None)


@pytest.mark.parametrize("space", SMALL, ids=repr)
def test_settings_build_the_space_again(space):
    stored = json.loads(json.dumps(space.settings()))
    again = CellSpace(**stored)
    assert again.tied is space.tied
    assert again.settings() == stored
    assert again.decisions == space.decisions


def test_settings_stored_before_spaces_could_be_tied():
    stored = {"blocks": 1, "operations": [A, B], "combinations": ["add"], "inputs": 2}
    space = CellSpace(**stored)
    assert space.tied is False
    assert space.settings() == stored | {"tied": False}
    tied = CellSpace(**stored, tied=True)
    assert tied.settings() == stored | {"tied": True}


@pytest.mark.parametrize("tied", [None, 1, "yes"])
def test_tied_is_true_or_false(tied):
    with pytest.raises(SpaceError, match=f"tied must be True or False, got {tied!r}"):
        CellSpace(tied=tied)


def test_repr_says_tied():
    assert repr(CellSpace(2, OPERATIONS, "add", tied=True)) == (
        "CellSpace(blocks=2, 5 operations, add, tied): 10 decisions, 2.25e+04 token sequences"
    )


# --- classes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operations", "classes", "strings"), [(4, 2178, 9216), (5, 5115, 22500)])
def test_cells_of_two_blocks(operations, classes, strings):
    space = CellSpace(2, OPERATIONS[:operations], "add", tied=True)
    found = space.unique
    assert len(found) == len(set(found.keys)) == len(found.tokens) == classes
    assert sum(found.token_sequences) == space.size == strings
    assert min(found.token_sequences) == 1
    for key, tokens in zip(found.keys, found.tokens, strict=True):
        assert space.decode(tokens).key == key
    assert list(found.tokens) == sorted(found.tokens)  # in the order of the first string of each
    assert space.unique is found  # not looked for twice


def relabelled(cell):
    """Every list of blocks that is this cell: other orders of its blocks, other sides."""
    for order in itertools.permutations(range(len(cell.blocks))):
        new = {old + cell.inputs: place + cell.inputs for place, old in enumerate(order)}
        rows = []
        for place, number in enumerate(order):
            block = cell.blocks[number]
            sides = [(new.get(state, state), operation) for _, state, operation in block.sides]
            if max(state for state, _ in sides) >= place + cell.inputs:
                break  # it would read a block that comes later
            rows.append((*sorted(sides), block.combine))
        else:
            yield tuple(rows)


def smallest(genotype):
    """Equal for equal cells, by trying everything."""
    return tuple(min(relabelled(cell)) for _, cell in genotype.cells)


@pytest.mark.parametrize("space", SMALL, ids=repr)
def test_classes_by_trying_everything(space):
    """The strings that are one class are those whose cells can be relabelled into each other."""
    expected = {}
    for tokens in space.token_sequences():
        expected.setdefault(smallest(space.decode(tokens)), []).append(tokens)
    found = space.unique
    assert list(found.tokens) == [min(strings) for strings in expected.values()]
    assert list(found.token_sequences) == [len(strings) for strings in expected.values()]
    keys = {space.decode(tokens).key for tokens in space.token_sequences()}
    assert set(found.keys) == keys
    assert len(found) == len(expected)


def test_classes_of_one_tied_block():
    """Four pairs of state and operation, in either order: 4 symmetric cells and 6 others."""
    assert sorted(SMALL[0].unique.token_sequences) == 4 * [1] + 6 * [2]


# --- too large ----------------------------------------------------------------------------------


def test_large_spaces_are_refused_at_once():
    paper = CellSpace()
    for look in (paper.token_sequences, lambda: paper.unique):
        with pytest.raises(SpaceError) as raised:
            look()  # not only when the first string is taken
        text = str(raised.value)
        assert repr(paper) in text
        assert "more than 1,000,000 token sequences" in text
        assert "fewer blocks or operations, or sample" in text


def test_limit_is_the_number_of_strings(monkeypatch):
    space = CellSpace(1, (A, B), "add", tied=True)
    monkeypatch.setattr(base, "ENUMERABLE", 16)
    assert len(list(space.token_sequences())) == 16
    monkeypatch.setattr(base, "ENUMERABLE", 15)
    with pytest.raises(SpaceError, match="too large to enumerate"):
        space.token_sequences()


def test_spaces_of_one_kind_and_settings_are_equal():
    one, two = (CellSpace(2, (A, B), "add", tied=True) for _ in range(2))
    assert one == two and hash(one) == hash(two)
    assert one != CellSpace(2, (B, A), "add", tied=True)
    assert one != CellSpace(2, (A, B), "add")
    assert one != "a space"

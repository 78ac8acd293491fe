"""CellSpace: the paper's decisions, exact sizes, and strings that become genotypes and return."""

import itertools
import json
from collections import Counter

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nasworkbench import zoo
from nasworkbench.errors import SpaceError
from nasworkbench.genotype import NASNET_OPERATIONS, Block, Cell, Genotype
from nasworkbench.spaces import CellSpace, Space

BRIEF = settings(max_examples=100, deadline=None, derandomize=True)
A, B = "conv_3x3", "identity"
TINY = CellSpace(1, (A, B), ("add",))  # 16 strings a cell, 256 in all


SPACES = [
    CellSpace(),
    CellSpace(combinations=("add",)),
    CellSpace(3, (B, A, "max_pool_2x2"), ("concat", "add"), inputs=4),
    CellSpace(2, (A,), "add", inputs=1),
    CellSpace(7, ("dil_sep_conv_5x5", B)),
    TINY,
]


def strings(space):
    """Every string of a small space."""
    return itertools.product(*(range(decision.choices) for decision in space.decisions))


def tokens_of(space):
    return st.tuples(*(st.integers(0, d.choices - 1) for d in space.decisions))


# --- decisions --------------------------------------------------------------------------------


def test_fifty_decisions_in_the_papers_order():
    """Two hidden states, two operations, the combination; all of the normal cell first."""
    decisions = CellSpace().decisions
    one_cell = [size for k in range(5) for size in (k + 2, k + 2, 13, 13, 2)]
    assert [decision.choices for decision in decisions] == 2 * one_cell
    assert [d.cell for d in decisions] == 25 * ["normal"] + 25 * ["reduction"]
    assert [d.block for d in decisions] == 2 * [k for k in range(5) for _ in range(5)]
    kinds = ["hidden_state", "hidden_state", "operation", "operation", "combination"]
    assert [d.kind for d in decisions] == 10 * kinds
    assert len({d.name for d in decisions}) == 50
    assert [d.name for d in decisions[30:35]] == [
        "reduction block 1 left input",
        "reduction block 1 right input",
        "reduction block 1 left operation",
        "reduction block 1 right operation",
        "reduction block 1 combination",
    ]
    assert decisions[5].options == ("0", "1", "2")
    assert decisions[7].options == NASNET_OPERATIONS
    assert decisions[9].options == ("add", "concat")


def test_tokens_stand_for_their_options():
    space = CellSpace(2, (A, B), ("concat", "add"))
    genotype = space.decode([1, 0, 0, 1, 0, 2, 1, 1, 1, 1] + 10 * [0])
    assert genotype.normal == Cell((Block(1, A, 0, B, "concat"), Block(2, B, 1, B, "add")))
    assert genotype.reduction == Cell(2 * (Block(0, A, 0, A, "concat"),))


def test_decisions_in_words():
    space = CellSpace(2, (A, B), ("concat", "add"))
    told = {count: space.in_words((1, 0, 0, 1, 1, 2)[:count]) for count in range(7)}
    assert told[0] == "block 0: left = ?, right = ?, combined by ?"
    assert told[1] == "block 0: left = h[i] through ?, right = ?, combined by ?"
    assert told[5] == (
        "block 0: left = h[i] through conv_3x3, right = h[i-1] through identity, combined by add"
    )
    assert told[6] == "block 1: left = block 0 through ?, right = ?, combined by ?"
    plain = Space.in_words(space, (1, 0, 1))
    assert plain == (
        "normal block 0 left input: h[i]; normal block 0 right input: h[i-1]; "
        "normal block 0 left operation: identity"
    )


# --- size -------------------------------------------------------------------------------------


def test_sizes_of_the_papers_space():
    """2.29e18 a cell and 5.2e36 in all; with add alone 7.1e16 and 5.1e33."""
    both = (720**2 * 13**10 * 2**5) ** 2
    assert CellSpace().size == both == 5229943396058757337940161399357440000
    add = (720**2 * 13**10) ** 2
    assert CellSpace(combinations="add").size == add == 5107366597713630212832188866560000
    assert f"{both**0.5:.2e} {both:.1e} {add**0.5:.1e} {add:.1e}" == (
        "2.29e+18 5.2e+36 7.1e+16 5.1e+33"
    )


@pytest.mark.parametrize(
    "space", [TINY, CellSpace(1, (A,), inputs=3), CellSpace(2, (A,), "add", inputs=1)]
)
def test_size_counts_the_strings(space):
    assert space.size == sum(1 for _ in strings(space))


def test_how_many_strings_are_one_cell():
    """One block over two operations: 4 (state, operation) pairs a side, in either order.

    So a cell has 4 pairs with equal sides (one string each) and 6 with different (two strings
    each): 10 classes a cell, 100 genotypes, from 256 strings.
    """
    classes = Counter(TINY.decode(tokens).key for tokens in strings(TINY))
    assert len(classes) == 100 and classes.total() == 256
    assert Counter(classes.values()) == {1: 4 * 4, 2: 2 * 4 * 6, 4: 6 * 6}


def test_strings_of_two_blocks_fall_into_the_classes_of_a_hand_count():
    """Two blocks, one operation, one input: {left, right} of block 1 are 00, 01, 10 or 11."""
    space = CellSpace(2, (A,), "add", inputs=1)
    classes = Counter(space.decode(tokens).normal.canonical() for tokens in strings(space))
    by_second = {cell.blocks[1].inputs: count for cell, count in classes.items()}
    assert by_second == {(0, 0): 4, (0, 1): 8, (1, 1): 4}  # times 4 reduction cells


# --- strings and genotypes --------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_decode_and_encode_undo_each_other(space):
    @BRIEF
    @given(tokens_of(space))
    def check(tokens):
        genotype = space.decode(tokens)
        assert space.encode(genotype) == tokens
        assert space.decode(space.encode(genotype)) == genotype
        for _, cell in genotype.cells:
            assert len(cell.blocks) == space.blocks and cell.inputs == space.inputs
            assert cell.concat == cell.loose_ends and cell.used == tuple(range(space.blocks))

    check()


def test_every_string_is_another_genotype():
    assert len({TINY.decode(tokens) for tokens in strings(TINY)}) == TINY.size


def test_tokens_may_be_arrays_and_come_back_as_plain_numbers():
    tokens = TINY.sample_tokens(3)
    for given_tokens in (list(tokens), numpy.array(tokens), torch.tensor(tokens)):
        assert TINY.decode(given_tokens) == TINY.decode(tokens)
        checked = TINY.check(given_tokens)
        assert checked == tokens and {type(token) for token in checked} == {int}


@pytest.mark.parametrize(
    ("tokens", "parts"),
    [
        ([], ("one token per decision, 10", "got 0")),
        ([0] * 11, ("one token per decision, 10", "got 11")),
        ([0, 2] + [0] * 8, ("normal block 0 right input", "token 2", "0 to 1", "0 and 1")),
        ([0] * 7 + [2, 0, 0], ("reduction block 0 left operation", "token 2", A, B)),
        ([0] * 4 + [1] + [0] * 5, ("normal block 0 combination", "token 1", "add")),
        ([-1] + [0] * 9, ("normal block 0 left input", "token -1")),
        ([0.0] + [0] * 9, ("token 0.0",)),
        (["0"] + [0] * 9, ("token '0'",)),
        ([None] + [0] * 9, ("token None",)),
    ],
)
def test_strings_that_are_not_of_this_space(tokens, parts):
    for method in (TINY.decode, TINY.check):
        with pytest.raises(SpaceError) as raised:
            method(tokens)
        assert all(part in str(raised.value) for part in parts)


def changed(genotype, role, **changes):
    cells = {role: cell for role, cell in genotype.cells}
    old = cells[role]
    arguments = {"blocks": old.blocks, "concat": old.concat, "inputs": old.inputs} | changes
    return Genotype(**(cells | {role: Cell(**arguments)}))


def test_genotypes_that_are_not_in_a_space():
    space = CellSpace(2, (A, B), "add")
    good = space.decode([0] * 20)
    outside = [
        (changed(good, "normal", blocks=good.normal.blocks[:1], concat=None), "normal cell.*1 bl"),
        (
            changed(good, "reduction", blocks=(*good.reduction.blocks, Block(0, A, 0, A))),
            "reduction cell: has 3 blocks and 2 inputs; .*2 blocks and 2 inputs",
        ),
        (changed(good, "normal", concat=(3,)), r"normal cell: .*\[3\]; .*\[2, 3\]"),
        (changed(good, "reduction", concat=(0, 2, 3)), r"reduction cell: .*\[0, 2, 3\]"),
        (
            changed(good, "normal", blocks=(Block(0, A, 1, "conv_1x1"), Block(0, A, 0, A))),
            "normal block 0 right operation: 'conv_1x1' .*conv_3x3 and identity",
        ),
        (
            changed(good, "reduction", blocks=(Block(0, A, 0, A), Block(0, A, 0, A, "concat"))),
            "reduction block 1 combination: 'concat' .*it has add",
        ),
    ]
    for genotype, message in outside:
        with pytest.raises(SpaceError, match=message):
            space.encode(genotype)
    three = Cell((Block(2, A, 0, A), Block(0, A, 0, A)), inputs=3)
    with pytest.raises(SpaceError, match="normal cell: has 2 blocks and 3 inputs"):
        space.encode(Genotype(three, three))


def test_which_published_cells_are_in_the_papers_space():
    space = CellSpace()
    with pytest.raises(SpaceError, match=r"normal cell: .*\[0, 2, 3, 4, 5, 6\].*\[2, 3, 4, 5, 6\]"):
        space.encode(zoo.get("nasnet-a"))  # the released cell joins p, its older input, as well
    figure = zoo.get("nasnet-a-figure")
    assert space.decode(space.encode(figure)) == figure
    with pytest.raises(SpaceError, match="normal cell: has 4 blocks and 2 inputs"):
        space.encode(zoo.get("darts-v2"))
    with pytest.raises(SpaceError, match=r"\[2, 3, 4, 5, 6\].*\[2, 3, 5, 6\]"):
        space.encode(zoo.get("pnasnet-5"))  # joins a block that another block reads


# --- sampling ---------------------------------------------------------------------------------


def test_samples_are_reproducible_and_advance_the_generator():
    space = CellSpace()
    assert space.sample(7) == space.sample(7) == space.decode(space.sample_tokens(7))
    generator = numpy.random.default_rng(7)
    first, second = space.sample(generator), space.sample(generator)
    assert first == space.sample(7) and second != first


def test_samples_are_uniform():
    """20 draws a string expected; chi-square over all 256 strings, fixed seed."""
    generator = numpy.random.default_rng(0)
    counts = Counter(TINY.sample_tokens(generator) for _ in range(20 * 256))
    observed = [counts[tokens] for tokens in strings(TINY)]
    assert sum(observed) == 20 * 256
    assert stats.chisquare(observed).pvalue > 0.001


# --- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_settings_build_the_space_again(space):
    again = CellSpace(**json.loads(json.dumps(space.settings())))
    assert again.settings() == space.settings()
    assert again.decisions == space.decisions and again.size == space.size


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"blocks": 0}, ("blocks", "whole number from 1", "0")),
        ({"blocks": 2.0}, ("blocks", "2.0")),
        ({"blocks": "5"}, ("blocks", "'5'")),
        ({"blocks": True}, ("blocks", "True")),
        ({"inputs": 0}, ("inputs", "0")),
        ({"inputs": None}, ("inputs", "None")),
        ({"operations": ()}, ("operations", "[]")),
        ({"operations": (A, "conv_9x9")}, ("operations", "conv_9x9", *NASNET_OPERATIONS)),
        ({"operations": (A, B, A)}, ("operations", "different")),
        ({"operations": None}, ("operations", "[None]")),
        ({"operations": [[A]]}, ("operations", "[['conv_3x3']]")),
        ({"combinations": ("mul",)}, ("combinations", "mul", "add and concat")),
        ({"combinations": ("add", "add")}, ("combinations", "different")),
        ({"combinations": []}, ("combinations", "[]")),
    ],
)
def test_spaces_that_cannot_be_built(arguments, parts):
    with pytest.raises(SpaceError) as raised:
        CellSpace(**arguments)
    assert all(part in str(raised.value) for part in parts)


def test_repr_names_what_matters():
    assert repr(CellSpace()) == (
        "CellSpace(blocks=5, 13 operations, add/concat): 50 decisions, 5.23e+36 token sequences"
    )


def test_the_largest_spaces():
    largest = CellSpace(998, ["identity"], ["add"])
    assert len(largest.decisions) == 998 * 10 and largest.decisions[-1].block == 997
    assert repr(largest).endswith("9980 decisions, about 10^10259 token sequences")
    cell = largest.decode([0] * 9980).normal
    assert cell.state_count == 1000
    for blocks, inputs in ((999, 2), (10**9, 2), (2, 10**9), (1, 1000)):
        with pytest.raises(
            SpaceError, match=r"(blocks|inputs) must be a whole number from 1 to 99"
        ):
            CellSpace(blocks, inputs=inputs)

"""Other projects' encodings: exact examples, round trips, and refusals that say where and why."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasworkbench import dialects, zoo
from nasworkbench.dialects import darts, enas, nni, slim
from nasworkbench.dialects.detect import detect
from nasworkbench.errors import DialectError
from nasworkbench.genotype import COMBINATIONS, OPERATIONS, Block, Cell, Genotype

ONE_BLOCK = Cell((Block(0, "identity", 1, "sep_conv_3x3"),))


def both(cell: Cell) -> Genotype:
    """A genotype with this cell in both roles."""
    return Genotype(cell, cell)


@st.composite
def blocks(draw, operations, combinations=("add",)):
    """One to seven blocks, each reading any earlier state."""
    made = []
    for number in range(draw(st.integers(1, 7))):
        sides = [
            (draw(st.integers(0, 1 + number)), draw(st.sampled_from(operations))) for _ in range(2)
        ]
        made.append(Block(*sides[0], *sides[1], draw(st.sampled_from(combinations))))
    return tuple(made)


@st.composite
def free_cells(draw, operations, combinations=("add",)):
    """Cells with any legal concat."""
    made = draw(blocks(operations, combinations))
    concat = draw(st.none() | st.sets(st.integers(0, 1 + len(made)), min_size=1))
    return Cell(made, None if concat is None else tuple(concat))


def enas_cells():
    """Cells whose concat is every unread state, inputs included."""
    return blocks(list(enas.OPERATIONS)).map(lambda made: Cell(made, enas.implied_concat(made)))


def nni_cells():
    """Cells with the concat that NNI's spaces imply."""
    return blocks(list(nni.OPERATIONS)).map(lambda made: Cell(made, nni.implied_concat(made)))


SAYABLE = {
    "darts": free_cells(list(darts.OPERATIONS)),
    "slim": free_cells(list(slim.OPERATIONS)),
    "enas": enas_cells(),
    "nni": nni_cells(),
}


@pytest.mark.parametrize("dialect", sorted(SAYABLE))
def test_what_a_dialect_can_say_comes_back_unchanged(dialect):
    cells = SAYABLE[dialect]

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(normal=cells, reduction=cells)
    def round_trip(normal, reduction):
        genotype = Genotype(normal, reduction)
        text = dialects.dumps(genotype, dialect)
        assert dialects.loads(text, dialect) == genotype
        assert dialects.dumps(dialects.loads(text, dialect), dialect) == text

    round_trip()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    genotype=st.builds(
        Genotype, free_cells(OPERATIONS, COMBINATIONS), free_cells(OPERATIONS, COMBINATIONS)
    ),
    dialect=st.sampled_from(sorted(SAYABLE)),
)
def test_any_genotype_comes_back_unchanged_or_is_refused(genotype, dialect):
    try:
        text = dialects.dumps(genotype, dialect)
    except DialectError as error:
        assert f"'{dialect}'" in str(error) and " cell, " in str(error)
    else:
        assert dialects.loads(text, dialect) == genotype


@pytest.mark.parametrize("dialect", sorted(SAYABLE))
def test_operation_tables_name_real_operations_and_lose_none(dialect):
    table = dialects.DIALECTS[dialect].OPERATIONS
    assert set(table) <= set(OPERATIONS)
    assert len(set(table.values())) == len(table)


def test_a_name_is_given_on_reading():
    text = dialects.dumps(both(ONE_BLOCK), "enas")
    assert dialects.loads(text, "enas").name is None
    assert dialects.loads(text, "enas", name="mine").name == "mine"


@pytest.mark.parametrize("dialect", ["", "DARTS", None, ["slim"]])
def test_unknown_dialects(dialect):
    for call in (
        lambda: dialects.loads("x", dialect),
        lambda: dialects.dumps(both(ONE_BLOCK), dialect),
    ):
        with pytest.raises(DialectError, match=r"dialect must be one of darts, slim, enas and nni"):
            call()


def test_only_genotypes_are_written():
    with pytest.raises(DialectError, match="got Cell"):
        dialects.dumps(ONE_BLOCK, "slim")


# --- refusals on writing ------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", sorted(SAYABLE))
def test_no_dialect_can_say_concat_as_a_combination(dialect):
    cell = Cell(
        (
            Block(0, "identity", 1, "identity"),
            Block(2, "identity", 2, "identity", "concat"),
        )
    )
    with pytest.raises(DialectError, match=r"normal cell, block 1.*adds.*'concat'"):
        dialects.dumps(both(cell), dialect)


@pytest.mark.parametrize("dialect", sorted(SAYABLE))
def test_no_dialect_can_say_four_inputs(dialect):
    cell = Cell((Block(0, "identity", 3, "identity"),), inputs=4)
    with pytest.raises(DialectError, match="2 inputs, this one 4"):
        dialects.dumps(both(cell), dialect)


@pytest.mark.parametrize(
    ("dialect", "operation"),
    [
        ("darts", "dil_conv_3x3"),  # DARTS's word of that name is the depthwise one
        ("darts", "conv_1x7_7x1"),
        ("slim", "dil_sep_conv_3x3"),
        ("slim", "conv_7x1_1x7"),
        ("enas", "sep_conv_7x7"),
        ("nni", "dil_conv_3x3"),
        ("nni", "conv_1x3_3x1"),
        ("nni", "max_pool_2x2"),
    ],
)
def test_no_look_alikes_on_writing(dialect, operation):
    cell = Cell((Block(0, "identity", 1, operation),))
    message = f"reduction cell, block 0, right input.*'{operation}'"
    with pytest.raises(DialectError, match=message):
        dialects.dumps(Genotype(ONE_BLOCK, cell), dialect)


def test_enas_and_nni_refuse_a_concat_that_they_cannot_say():
    keeps_input = Cell((Block(0, "identity", 1, "identity"),), (0, 2))
    for dialect in ("enas", "nni"):
        with pytest.raises(DialectError, match=r"normal cell, concat.*\[2\].*\[0, 2\]"):
            dialects.dumps(both(keeps_input), dialect)


# --- darts --------------------------------------------------------------------------------------

DARTS = "Genotype(normal={0}, normal_concat={1}, reduce={0}, reduce_concat={1})"
PAIRS = "[('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0)]"


def test_darts_text_as_it_is_printed():
    genotype = dialects.loads(DARTS.format(PAIRS, "range(2, 4)"), "darts")
    expected = Cell(
        (
            Block(1, "sep_conv_3x3", 0, "identity"),
            Block(2, "dil_sep_conv_5x5", 0, "max_pool_3x3"),
        ),
        (2, 3),
    )
    assert genotype == both(expected)
    assert dialects.dumps(genotype, "darts") == DARTS.format(PAIRS, "[2, 3]")


def test_darts_text_in_other_clothes():
    plain = dialects.loads(DARTS.format(PAIRS, "[2, 3]"), "darts")
    for text in (
        f"Genotype({PAIRS}, [2, 3], {PAIRS}, [2, 3])",
        f"DARTS_V2 = Genotype({PAIRS}, range(2, 4), reduce_concat=(3, 2), reduce={PAIRS})",
        DARTS.format(PAIRS.replace("(", "[").replace(")", "]"), "[2, 3]"),
    ):
        assert dialects.loads(text, "darts") == plain
    assert dialects.loads(DARTS.format(PAIRS, "range(4)"), "darts").normal.concat == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("pairs", "concat", "message"),
    [
        (PAIRS.replace("skip_connect", "none"), "[2, 3]", "block 0, right input: 'none'.*zero"),
        (PAIRS.replace("dil_conv_5x5", "conv9"), "[2, 3]", "block 1, left input.*'conv9'.*skip"),
        (
            PAIRS.replace("2)", "3)"),
            "[2, 3]",
            "'normal', block 1, left input: reads hidden state 3",
        ),
        (
            PAIRS.replace("2)", "'2')"),
            "[2, 3]",
            "block 1, left input: the state must be a whole number",
        ),
        (
            PAIRS.replace("2)", "True)"),
            "[2, 3]",
            "block 1, left input: the state must be a whole number",
        ),
        ("[('sep_conv_3x3', 1)]", "[2]", "two operations and two states, got 1 operations"),
        ("[]", "[2]", "two operations and two states, got 0 operations"),
        ("[('sep_conv_3x3',), ('x', 1)]", "[2]", r"expected \('operation', state\)"),
        ("7", "[2]", "'normal': expected a list, got 7"),
        (PAIRS, "[9]", "'normal', concat: a hidden state must be .* 0 to 3, got 9"),
        (PAIRS, "range(2, 10**9)", "'normal_concat'.*only literal.*BinOp"),
        (PAIRS, "range(2, 999999999)", "'normal_concat'.*999999999"),
        (PAIRS, "range(2, 4, 1)", "range takes one or two"),
        (PAIRS, "range(-1, 4)", "'normal_concat'.*got -1"),
    ],
)
def test_darts_text_that_is_wrong(pairs, concat, message):
    with pytest.raises(DialectError, match=message):
        dialects.loads(DARTS.format(pairs, concat), "darts")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Genotype(normal=[])", r"fields normal, .* each once; got 1: \['normal'\]"),
        ("Genotype([], [2], [], [2], 5)", "each once; got 5: "),
        ("Genotype([], normal=[])", r"each once; got 2: \['normal', 'normal'\]"),
        ("Genotype(extra=1)", "'extra'"),
        ("Genotype(**{})", "None"),
        ("Genotype(normal=[(", "line 1, column"),
        ("{'normal': []}", "got Dict"),
        ("os.Genotype()", "expected Genotype"),
        ("a = 1; b = 2", "2 statements"),
        ("import os", "1 statements"),
        ("", "empty"),
    ],
)
def test_darts_calls_that_are_wrong(text, message):
    with pytest.raises(DialectError, match=message):
        dialects.loads(text, "darts")


# --- slim ---------------------------------------------------------------------------------------


def slim_text(**changes) -> str:
    cell = {
        "operations": ["none", "separable_7x7_2", "1x7_7x1", "max_pool_2x2"],
        "hiddenstate_indices": [0, 1, 2, 0],
        "used_hiddenstates": [1, 0, 1, 0],
    }
    return json.dumps({"normal": cell, "reduction": cell | changes})


def test_slim_counts_the_inputs_the_other_way_round():
    """0 is h[i] there; none is identity; a state marked 0 goes into the concat."""
    expected = Cell(
        (
            Block(1, "identity", 0, "sep_conv_7x7"),
            Block(2, "conv_1x7_7x1", 1, "max_pool_2x2"),
        ),
        (0, 3),
    )
    genotype = dialects.loads(slim_text(), "slim")
    assert genotype == both(expected)
    assert json.loads(dialects.dumps(genotype, "slim")) == json.loads(slim_text())


def test_slim_takes_python_and_json():
    python = slim_text().replace('"', "'").replace("[", "(").replace("]", ")")
    assert dialects.loads(python, "slim") == dialects.loads(slim_text(), "slim")


def test_slim_s_dil_2_runs_without_dilation():
    operations = ["dil_2_separable_5x5_2", "none", "none", "none"]
    genotype = dialects.loads(slim_text(operations=operations), "slim")
    assert genotype.reduction.blocks[0].left_op == "sep_conv_5x5"
    assert "dil_2" not in dialects.dumps(genotype, "slim")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operations": ["none"] * 3}, "reduction cell: every block needs two.*got 3 operations"),
        ({"operations": []}, "got 0 operations"),
        ({"operations": ["none", 7, "none", "none"]}, "block 0, right input: unknown operation 7"),
        ({"operations": ["none", "none", "skip", "none"]}, "block 1, left input.*skip.*1x3_3x1"),
        ({"hiddenstate_indices": [0, 1, 2]}, "got 4 operations and 3 states"),
        ({"hiddenstate_indices": [0, 1, 3, 0]}, "block 1, left input: reads hidden state 3"),
        ({"hiddenstate_indices": [0, -1, 2, 0]}, "hiddenstate_indices: the state must be .*got -1"),
        (
            {"hiddenstate_indices": [0, 1.0, 2, 0]},
            "hiddenstate_indices: the state must be .*got 1.0",
        ),
        ({"used_hiddenstates": [1, 0, 1]}, r"4 numbers are needed.*got \[1, 0, 1\]"),
        ({"used_hiddenstates": [1, 2, 1, 0]}, r"each 0 .* or 1 .*got \[1, 2, 1, 0\]"),
        ({"used_hiddenstates": [1, 1, 1, 1]}, "concat must be one or more"),
        ({"used_hiddenstates": "1010"}, "expected a list, got '1010'"),
        ({"more": 1}, "the reduction cell has the fields .*; missing: none; unknown: more"),
    ],
)
def test_slim_text_that_is_wrong(changes, message):
    with pytest.raises(DialectError, match=message):
        dialects.loads(slim_text(**changes), "slim")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "missing: normal, reduction"),
        ("[]", "slim's text is a JSON object"),
        ("{1", "line 1"),
    ],
)
def test_slim_text_that_is_no_pair_of_cells(text, message):
    with pytest.raises(DialectError, match=message):
        dialects.loads(text, "slim")


# --- enas ---------------------------------------------------------------------------------------


def test_enas_integers():
    genotype = dialects.loads("0 2 0 0 1 4 2 3\nreduce: 1 1 1 0\n", "enas")
    normal = Cell(
        (Block(0, "avg_pool_3x3", 0, "sep_conv_3x3"), Block(1, "identity", 2, "max_pool_3x3"))
    )
    # the reduction cell never reads h[i-1], so ENAS hands it on in the concat
    reduction = Cell((Block(1, "sep_conv_5x5", 1, "sep_conv_3x3"),), (0, 2))
    assert genotype == Genotype(normal, reduction)
    assert dialects.dumps(genotype, "enas") == "normal: 0 2 0 0 1 4 2 3\nreduce: 1 1 1 0\n"


def test_enas_labels_may_stand_in_any_order():
    one = dialects.loads("reduce: 0 0 0 0\nnormal: 1 1 1 1", "enas")
    assert one == dialects.loads("1 1 1 1\n\n0 0 0 0", "enas")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0 0 0", "two lines.*got 1"),
        ("0 0 0 0\n0 0 0 0\n0 0 0 0", "got 3"),
        ("normal: 0 0 0 0\nnormal: 0 0 0 0", "each once"),
        ("cell: 0 0 0 0\nreduce: 0 0 0 0", "'normal:' or 'reduce:'.*got 'cell: 0 0 0 0'"),
        ("0 0 0 0\n0 0 0", "reduce: every block needs two operations and two .*got 1 .* 2 states"),
        ("normal:\n0 0 0 0", "normal: every block needs two operations.*got 0"),
        ("0 0 0 0 0 5 0 0\n0 0 0 0", r"normal, block 1, left input.*operation 5.*0 \(sep_conv_3x3"),
        ("0 0 0 0\n2 0 0 0", "reduce, block 0, left input: reads hidden state 2"),
        ("0 0 0 x\n0 0 0 0", "whole numbers up to 999; got '0 0 0 x'"),
        ("0 0 0 -1\n0 0 0 0", "got '0 0 0 -1'"),
        ("0 0 0 ²\n0 0 0 0", "got '0 0 0 ²'"),
        ("0 0 0 99999999\n0 0 0 0", "got '0 0 0 99999999'"),
    ],
)
def test_enas_text_that_is_wrong(text, message):
    with pytest.raises(DialectError, match=message):
        dialects.loads(text, "enas")


# --- nni ----------------------------------------------------------------------------------------


def nni_record(nodes: int = 1, **changes) -> dict:
    record = {}
    for label in ("normal", "reduce"):
        for node in range(2, 2 + nodes):
            for side in (0, 1):
                record[f"{label}/op_{node}_{side}"] = "skip_connect"
                record[f"{label}/input_{node}_{side}"] = [side]
    return record | {key.replace("__", "/"): value for key, value in changes.items()}


def test_nni_s_own_darts_v2_is_the_zoo_s():
    """NNI's hub lists this dict for DARTS (second order); four nodes mean: concatenate them all."""
    sides = {
        "normal": "sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 0 sep_conv_3x3 1 "
        "sep_conv_3x3 1 skip_connect 0 skip_connect 0 dil_conv_3x3 2",
        "reduce": "max_pool_3x3 0 max_pool_3x3 1 skip_connect 2 max_pool_3x3 1 "
        "max_pool_3x3 0 skip_connect 2 skip_connect 2 max_pool_3x3 1",
    }
    record = {}
    for label, words in sides.items():
        pairs = zip(words.split()[::2], words.split()[1::2], strict=True)
        for place, (operation, state) in enumerate(pairs):
            record[f"{label}/op_{2 + place // 2}_{place % 2}"] = operation
            record[f"{label}/input_{2 + place // 2}_{place % 2}"] = [int(state)]
    assert dialects.loads(json.dumps(record), "nni") == zoo.get("darts-v2")
    assert json.loads(dialects.dumps(zoo.get("darts-v2"), "nni")) == record


def test_nni_2_and_python_s_print_are_read_too():
    record = nni_record(2)
    older = {key: value[0] if "input" in key else value for key, value in record.items()}
    genotype = dialects.loads(json.dumps(record), "nni")
    assert dialects.loads(repr(older | {"width": 32, "depth": 8}), "nni") == genotype
    assert genotype.normal.concat == (2, 3)


@pytest.mark.parametrize("operation", sorted(nni.REFUSED))
def test_what_nni_alone_has_is_refused_with_a_reason(operation):
    text = json.dumps(nni_record(normal__op_2_1=operation))
    with pytest.raises(
        DialectError, match=f"normal, block 0, right input: '{operation}' has no counterpart.*: it"
    ):
        dialects.loads(text, "nni")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normal__op_2_0": "conv"}, "normal, block 0, left input: unknown operation 'conv'"),
        ({"reduce__input_2_1": [2]}, "reduce, block 0, right input: reads hidden state 2"),
        (
            {"reduce__input_2_1": [0, 1]},
            r"reduce, block 0, right input: the state must be a whole number.*\[0, 1\]",
        ),
        (
            {"reduce__input_2_1": "0"},
            "reduce, block 0, right input: the state must be a whole number",
        ),
        ({"normal__op_3_0": "skip_connect"}, "normal: each node needs.*left over"),
        ({"normal__op_2_2": "skip_connect"}, "unknown key 'normal/op_2_2'"),
        ({"stem": 1}, "unknown key 'stem'"),
    ],
)
def test_nni_text_that_is_wrong(changes, message):
    with pytest.raises(DialectError, match=message):
        dialects.loads(json.dumps(nni_record(**changes)), "nni")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "normal: each node needs.*'normal/op_2_0', 'normal/input_2_0'"),
        ("[]", "expected one dict"),
        ("{'normal/op_2_0': open('x')}", "there is a Call at line 1, column 19"),
    ],
)
def test_nni_text_that_is_no_dict_of_choices(text, message):
    with pytest.raises(DialectError, match=message):
        dialects.loads(text, "nni")


# --- hostile text -------------------------------------------------------------------------------

HOSTILE = [
    "__import__('os').system('touch hostile')",
    "Genotype(normal=__import__('os').getcwd(), normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(normal=[(lambda: 1)()], normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(normal=().__class__.__bases__, normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(normal=[('a' * 999999999, 1)], normal_concat=[2], reduce=[], reduce_concat=[2])",
    "Genotype(*[[], [2], [], [2]])",
    "{'normal': f'{open(0)}', 'reduction': 1}",
    "{[]: 1}",
    "[" * 50 + "]" * 50,
    "(" * 90_000,
    "1" + "+1" * 900,
    "-" * 20_000 + "1",
    "9" * 5_000,
    "a" * 200_000,
    "{'normal': 1}\x00",
    "\ud800",
    "{" + "'a': 1, " * 12_000 + "}",
]


@pytest.mark.parametrize("dialect", sorted(SAYABLE))
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_and_never_run(dialect, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DialectError) as caught:
        dialects.loads(text, dialect)
    assert len(str(caught.value)) < 1000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dialect", sorted(SAYABLE))
@pytest.mark.parametrize("text", [None, 7, b"normal", ["0 0 0 0"]])
def test_what_is_no_text_is_refused(dialect, text):
    with pytest.raises(DialectError, match="expected text"):
        dialects.loads(text, dialect)


# --- whose text is it ---------------------------------------------------------------------------

DETECTED = Genotype(Cell((Block(0, "max_pool_3x3", 1, "conv_3x3"),)), ONE_BLOCK)


@pytest.mark.parametrize("name", ["nasnet-a", "pnasnet-5", "amoebanet-a", "enas-micro", "darts-v2"])
def test_any_dialect_is_recognised(name):
    genotype = zoo.get(name)
    read = 0
    for form in dialects.DIALECTS:
        try:
            text = dialects.dumps(genotype, form)
        except DialectError:
            continue
        assert detect(text) == (form, genotype)
        assert detect(text, form) == (form, genotype)
        read += 1
    assert read
    assert detect(genotype.to_json()) == ("JSON", genotype)


def test_a_text_that_no_form_fits_has_a_reason_for_each():
    with pytest.raises(DialectError) as caught:
        detect("let me in")
    for form in ("JSON: ", "darts: ", "slim: ", "enas: ", "nni: "):
        assert form in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Genotype(normal=[('none', 0), ('none', 1)], normal_concat=[2], "
            "reduce=[('none', 0), ('none', 1)], reduce_concat=[2])",
            "cannot be read as darts: 'normal', block 0, left input: 'none'.*DARTS's zero",
        ),
        (
            DETECTED.to_json().replace("conv_3x3", "conv_4x4"),
            "cannot be read as JSON: normal cell, block 0, right input: unknown operation",
        ),
        ("normal: 0 0 0 9\nreduce: 0 0 0 0", "cannot be read as enas: normal, block 0, right"),
        ('{"normal/op_2_0": "zero"}', "cannot be read as nni: normal: each node needs"),
        ("", "the text is empty"),
        ("  \n", "the text is empty"),
        (None, "expected text, got NoneType"),
        ("x" * 100_001, "100,001 characters"),
        ("[" * 5_000, "too many nested parentheses"),
    ],
)
def test_a_text_that_gives_its_form_away_has_its_whole_reason(text, words):
    with pytest.raises(DialectError, match=words):
        detect(text)


def test_a_form_can_be_asked_for():
    text = dialects.dumps(zoo.get("darts-v2"), "darts")
    with pytest.raises(DialectError, match="cannot be read as slim"):
        detect(text, "slim")
    with pytest.raises(DialectError, match=r"form must be one of JSON, darts, .*got 'keras'"):
        detect(text, "keras")

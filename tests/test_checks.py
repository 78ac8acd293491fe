"""The checks of arguments: what they let pass, in which type, and what their messages say."""

import json
import math
import pickle
from dataclasses import replace
from fractions import Fraction

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasworkbench import (
    PPO,
    Block,
    Cell,
    CellEditor,
    CellNetwork,
    CellSpace,
    ControllerStepper,
    Genotype,
    RandomSearch,
    Recipe,
    RegularizedEvolution,
    Search,
    TableEvaluator,
    TrainingEvaluator,
    compare,
    data,
    draw,
    profile,
    tiers,
)
from nasworkbench.checks import (
    choice,
    file_bytes,
    flag,
    is_whole,
    json_value,
    number,
    optional,
    whole,
)
from nasworkbench.controllers import Outcome
from nasworkbench.errors import LONGEST_MESSAGE, SettingsError, TableError
from nasworkbench.nas_bench_graph import GraphArchitecture
from nasworkbench.tables import exact_toy
from nasworkbench.tables.building import TABLES

NUMPY_INTEGERS = (numpy.int8, numpy.uint8, numpy.int32, numpy.uint32, numpy.int64, numpy.uint64)
NUMPY_FLOATS = (numpy.float16, numpy.float32, numpy.float64, numpy.longdouble)
TORCH_INTEGERS = (torch.uint8, torch.int8, torch.int32, torch.int64)
TORCH_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

#: What is neither a number nor a word.
STRANGE = [None, object(), [1], (1,), {}, {1}, 1j, b"1", int, "1", "one", "", float("nan")]
BOOLEANS = [True, False, numpy.True_, numpy.False_, torch.tensor(True), torch.tensor(False)]
MANY = [numpy.array([1, 2]), numpy.array([1]), torch.tensor([1, 2]), torch.tensor([1])]


def refusal(check, *arguments, **settings):
    """The message with which a check refuses."""
    error = settings.get("error", SettingsError)
    with pytest.raises(error) as raised:
        check(*arguments, **settings)
    assert type(raised.value) is error
    return str(raised.value)


# --- whole numbers ------------------------------------------------------------------------------


@given(st.integers(), st.integers(), st.integers(min_value=0))
def test_whole_numbers_in_their_limits(value, least, width):
    most = least + width
    fits = least <= value <= most
    assert is_whole(value, least, most) == fits
    assert is_whole(value) and is_whole(value, value, value)
    if fits:
        assert whole("count", value, least, most) == value
    else:
        assert refusal(whole, "count", value, least, most).startswith(
            f"count must be a whole number from {least} to {most}, got {str(value)[:5]}"
        )


@pytest.mark.parametrize("kind", [*NUMPY_INTEGERS, *TORCH_INTEGERS])
def test_whole_numbers_of_numpy_and_torch_become_pythons(kind):
    if isinstance(kind, torch.dtype):
        value = torch.tensor(7, dtype=kind)
    else:
        value = kind(7)
        assert type(whole("count", numpy.array(7, dtype=kind))) is int
    assert is_whole(value, 7, 7) and not is_whole(value, 8) and not is_whole(value, most=6)
    found = whole("count", value)
    assert found == 7 and type(found) is int


@pytest.mark.parametrize("value", [*STRANGE, *BOOLEANS, *MANY, 1.0, numpy.float64(1), math.inf])
def test_what_is_not_a_whole_number(value):
    assert not is_whole(value)
    message = refusal(whole, "count", value, 0)
    assert message.startswith("count must be a whole number from 0, got ")
    assert message.endswith(f"{value!r:.80}")


def test_the_limits_of_whole():
    assert whole("count", 1) == 1 == whole("count", 1, most=1)
    assert refusal(whole, "count", 0) == "count must be a whole number from 1, got 0"
    assert refusal(whole, "n", 4, -3, 3) == "n must be a whole number from -3 to 3, got 4"


# --- numbers ------------------------------------------------------------------------------------

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(FLOATS, FLOATS, FLOATS, st.booleans(), st.booleans())
def test_numbers_in_their_limits(value, a, b, above, below):
    least, most = sorted((a, b))
    fits = (least < value if above else least <= value) and (
        value < most if below else value <= most
    )
    if fits:
        assert number("rate", value, least, most, above=above, below=below) == value
    else:
        message = refusal(number, "rate", value, least, most, above=above, below=below)
        assert message.startswith("rate must be a finite number") and f"got {value!r}" in message


@given(st.one_of(st.integers(), st.fractions()))
def test_whole_numbers_and_fractions_become_floats(value):
    found = number("rate", value)
    assert found == float(value) and type(found) is float


@pytest.mark.parametrize("kind", [*NUMPY_FLOATS, *TORCH_FLOATS, *NUMPY_INTEGERS, *TORCH_INTEGERS])
def test_numbers_of_numpy_and_torch_become_pythons(kind):
    value = torch.tensor(2, dtype=kind) if isinstance(kind, torch.dtype) else kind(2)
    found = number("rate", value, 2, 2)
    assert found == 2.0 and type(found) is float
    assert "above 2" in refusal(number, "rate", value, 2, above=True)


@pytest.mark.parametrize(
    "value",
    [
        *STRANGE,
        *BOOLEANS,
        *MANY,
        *(sign * value for sign in (1, -1) for value in (math.inf, math.nan, numpy.inf)),
        numpy.float32("nan"),
        torch.tensor(math.inf),
        10**400,
        Fraction(-(10**400)),
    ],
)
def test_what_is_not_a_finite_number(value):
    message = refusal(number, "rate", value)
    assert message == f"rate must be a finite number, got {value!r:.80}"


@pytest.mark.parametrize(
    ("limits", "settings", "allowed"),
    [
        ((0,), {}, " from 0"),
        ((0,), {"above": True}, " above 0"),
        ((0, 1), {}, " from 0 to 1"),
        ((0, 1), {"above": True}, " above 0 to 1"),
        ((0, 1), {"below": True}, " from 0 and below 1"),
        ((0, 1), {"above": True, "below": True}, " above 0 and below 1"),
        ((-math.inf, 0.5), {}, " to 0.5"),
        ((-math.inf, 0.5), {"below": True}, " below 0.5"),
    ],
)
def test_the_limits_of_numbers_in_words(limits, settings, allowed):
    message = refusal(number, "rate", "x", *limits, **settings)
    assert message == f"rate must be a finite number{allowed}, got 'x'"


# --- flags and words ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", BOOLEANS)
def test_flags(value):
    assert flag("flip", value) is bool(value)


@pytest.mark.parametrize("value", [*STRANGE, *MANY, 0, 1, 1.0, numpy.int64(1), torch.tensor(0)])
def test_what_is_not_a_flag(value):
    assert refusal(flag, "flip", value) == f"flip must be True or False, got {value!r:.80}"


def test_words():
    for allowed in (("add", "concat"), ["add", "concat"], {"add": 1, "concat": 2}, iter(["add"])):
        assert choice("combine", "add", allowed) == "add"
    assert refusal(choice, "combine", "sum", ("add", "concat", "max")) == (
        "combine must be one of add, concat and max, got 'sum'"
    )


@pytest.mark.parametrize("value", [*STRANGE, *BOOLEANS, *MANY, 1, "ADD", "ad", "add "])
def test_what_is_not_one_of_the_words(value):
    message = refusal(choice, "combine", value, ("add", "concat"))
    assert message == f"combine must be one of add and concat, got {value!r:.80}"


# --- all of them --------------------------------------------------------------------------------


def test_none_where_it_is_allowed():
    for check in (whole, number, flag):
        assert optional(check, "size", None) is None
    assert optional(whole, "size", numpy.int32(3)) == 3
    assert optional(number, "limit", 2, 0, above=True) == 2.0
    assert refusal(optional, whole, "size", 0) == (
        "size, unless None, must be a whole number from 1, got 0"
    )
    assert refusal(optional, number, "limit", 0, 0, above=True) == (
        "limit, unless None, must be a finite number above 0, got 0"
    )


CHECKS = [(whole, []), (number, []), (flag, []), (choice, [["add"]])]


@pytest.mark.parametrize(("check", "arguments"), CHECKS)
@pytest.mark.parametrize("value", ["x" * 100_000, [0] * 100_000, 10**4000, "\n" * 1000])
def test_long_values_are_cut(check, arguments, value):
    if check is whole and isinstance(value, int):
        arguments = [0, 5]
    message = refusal(check, "it", value, *arguments)
    assert repr(value)[:70] in message and len(message) < 160 and "\n" not in message


@pytest.mark.parametrize(("check", "arguments"), CHECKS)
def test_the_error_is_of_the_callers_family(check, arguments):
    assert "it must be" in refusal(check, "it", None, *arguments, error=TableError)


# --- every place that takes a number ------------------------------------------------------------

A = "identity"
SPACE = CellSpace(1, (A, "conv_1x1"), ("add",), tied=True)
FOUND = Genotype(*[Cell((Block(0, A, 1, "conv_1x1"),))] * 2)


def searched(n, x, folder):
    space, reward = SPACE, x(0.5)
    controller = RandomSearch(space, n(3))
    search = Search(
        space, controller, lambda genotype: float(reward), folder / type(reward).__name__,
        seed=n(2), failure_reward=x(0.25), time_limit=x(8.0),
    )  # fmt: skip
    search.run(n(2), workers=n(1))
    return [search.finished, search.best(n(1))[0].tokens, search.store.meta("goal")]


def compared(n, x, folder):
    table = exact_toy(n(1))
    compared = compare(
        {"random": RandomSearch}, table.space, TableEvaluator(table), budget=n(5), seeds=n(2),
        samples=n(40), directory=folder / type(x(1)).__name__, workers=n(1), progress=False,
    )  # fmt: skip
    rows = compared.rows([n(1), n(5)]).to_dict("list")
    picked = compare(
        {"random": RandomSearch}, table.space, TableEvaluator(table), budget=n(5),
        seeds=[n(0), n(4)], workers=n(1), progress=False,
    )  # fmt: skip
    return [rows["rank"], [run.to_dict() for run in picked.runs]]


def edited(n, x, folder):
    editor = CellEditor(FOUND, cells=n(1), filters=n(4), image_size=n(16))
    editor.set_size("filters", n(8))
    for message in (
        {"do": "connect", "role": "normal", "block": n(0), "side": "left", "state": n(1)},
        {"do": "set_output", "role": "normal", "states": [n(2), n(0)]},
        {"do": "toggle_output", "role": "reduction", "state": n(1)},
    ):
        editor.perform(message)
    return [editor.sizes, editor.genotype.to_json(), editor.message["text"]]


def stepped(n, x, folder):
    stepper = ControllerStepper(PPO(SPACE, n(3), hidden=n(8)), seed=n(2))
    stepper.go(n(1))
    stepper.force(n(0))
    stepper.heat(x(0.5))
    return [stepper.step, stepper.tokens, stepper.state.temperature]


#: What a user gives numbers to, and what it makes of them, ready for JSON.
USES = {
    "Block and Cell": lambda n, x, _: Cell(
        [Block(n(0), A, n(1), A)], concat=[n(2), n(0)], inputs=n(2)
    ).to_dict(),
    "one state as the concat": lambda n, x, _: Cell([Block(0, A, 1, A)], n(2)).to_dict(),
    "GraphArchitecture": lambda n, x, _: GraphArchitecture(
        [n(0), n(1), n(0), n(3)], ["gcn"] * 4
    ).to_json(),
    "CellSpace": lambda n, x, _: CellSpace(n(2), [A], ["add"], inputs=n(3)).settings(),
    "decode": lambda n, x, _: SPACE.decode([n(token) for token in (0, 1, 1, 0, 0)]).to_json(),
    "CellNetwork": lambda n, x, _: repr(
        CellNetwork(
            FOUND,
            cells=(n(1), n(1), n(2)),
            filters=n(4),
            classes=n(3),
            channels=n(1),
            stem_filters=n(4),
            image_size=n(16),
            dropout=x(0.25),
            auxiliary=False,
        ).layout
    ),
    "profile": lambda n, x, _: vars(profile(CellNetwork(FOUND, n(1), n(4)), n(16))),
    "RandomSearch": lambda n, x, _: [p.tokens for p in RandomSearch(SPACE, n(1)).ask(n(2))],
    "RegularizedEvolution": lambda n, x, _: RegularizedEvolution(
        SPACE, n(1), population=n(4), sample=n(2), identity=x(0.25)
    ).settings(),
    "PPO": lambda n, x, _: PPO(
        SPACE, n(1), learning_rate=x(0.25), batch_size=n(2), clip=x(0.5), epochs=n(2), hidden=n(4)
    ).settings(),
    "Outcome": lambda n, x, _: Outcome(RandomSearch(SPACE, 0).ask(1)[0], x(0.5)).reward,
    "Recipe": lambda n, x, _: Recipe(
        epochs=n(2), learning_rate=x(0.5), momentum=x(0.25), cutout=n(4), time_limit=x(8.0)
    ).settings(),
    "TrainingEvaluator": lambda n, x, _: repr(
        TrainingEvaluator(data.load("digits"), Recipe.digits(n(1)), cells=n(1), filters=n(4))
        .build(FOUND)
        .layout
    ),
    "TableSettings": lambda n, x, _: replace(
        TABLES["cells"], cells=n(2), filters=n(4), seeds=n(1)
    ).settings(),
    "Tier": lambda n, x, _: replace(
        tiers.get("toy"), trials=n(5), workers=n(1), time_limit=x(8.0)
    ).settings(),
    "data.load": lambda n, x, _: data.load(
        "digits", image_size=n(9), train_size=n(20), validation_size=n(10), seed=n(1)
    ).settings(),
    "exact_toy": lambda n, x, _: exact_toy(n(1)).keys,
    "png": lambda n, x, _: len(draw(FOUND).png(n(40))),
    "Search": searched,
    "compare": compared,
    "CellEditor": edited,
    "ControllerStepper": stepped,
}


@pytest.mark.parametrize("whole_kind", [numpy.int64, numpy.uint8, torch.tensor])
@pytest.mark.parametrize("use", USES)
def test_every_place_takes_the_numbers_of_numpy_and_torch(use, whole_kind, tmp_path):
    plain = json.dumps(USES[use](int, float, tmp_path))
    real_kind = numpy.float32 if whole_kind is numpy.int64 else numpy.float64
    assert json.dumps(USES[use](whole_kind, real_kind, tmp_path)) == plain


# --- texts and files from outside ---------------------------------------------------------------


def test_a_message_is_one_printable_line():
    error = SettingsError("a\x1b[2J\x1b]0;b\x07c\r\nd\te\u202ef\ud800\u2028g\0 ä 猫 …")
    assert str(error) == (r"a\x1b[2J\x1b]0;b\x07c d\te\u202ef\ud800 g\x00 ä 猫 …")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    long = str(SettingsError("begin" + "x" * 10**6 + "end"))
    assert long.startswith("begin") and long.endswith("end") and len(long) < LONGEST_MESSAGE


class Unshowable:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("value", [10**5000, Unshowable()], ids=["long", "broken"])
def test_a_value_that_cannot_be_shown(value):
    kind = type(value).__name__
    for check in (flag, lambda *given: whole(*given, most=5), lambda *given: choice(*given, ["a"])):
        with pytest.raises(SettingsError, match=f"got a value of type {kind}$"):
            check("it", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}), (b"\xef\xbb\xbf[1]", [1]), ("1e308", 1e308)],
)
def test_json_that_can_be_read(text, value):
    assert json_value(text, 100, SettingsError) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "the key 'b' comes twice"),
        ("[NaN]", "NaN is not a finite number"),
        ("[-Infinity]", "-Infinity is not a finite number"),
        ("[1e999]", "1e999 is not a finite number"),
        ("9" * 90, "it has 90 characters, more than 80"),
        ("[" * 80, "not JSON"),
        (b"\xff", "codec"),
        (None, "NoneType"),
        ("", "Expecting value"),
    ],
)
def test_json_that_cannot_be_read(text, reason):
    with pytest.raises(TableError, match="not JSON") as raised:
        json_value(text, 80, TableError)
    assert reason in str(raised.value)


def test_files_up_to_a_size(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert file_bytes(path, 5, "the file", TableError) == b"12345"
    with pytest.raises(TableError, match=r"cannot read the file .*file: it is larger than 4 bytes"):
        file_bytes(str(path), 4, "the file", TableError)
    with pytest.raises(TableError, match=r"cannot read the file .*not a regular file"):
        file_bytes(tmp_path, 5, "the file", TableError)
    with pytest.raises(TableError, match=r"cannot read the file .*No such file"):
        file_bytes(tmp_path / "none", 5, "the file", TableError)

"""The checks of arguments: what they let pass, in which type, and what their messages say."""

import math
from fractions import Fraction

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasworkbench.checks import choice, flag, is_whole, number, optional, whole
from nasworkbench.errors import SettingsError, TableError

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

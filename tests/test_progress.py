"""Progress: when a bar is shown, what it says, and how a duration is written."""

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasworkbench import progress


class Terminal(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


class IPython:
    """A module like IPython, in a notebook or imported by a script."""

    def __init__(self, shell):
        self.get_ipython = lambda: shell


@pytest.fixture
def surroundings(monkeypatch):
    """Sets the terminal, the notebook and the environment variable."""

    def set_(terminal=False, notebook=None, variable=None):
        monkeypatch.setattr(sys, "stderr", Terminal(terminal))
        monkeypatch.setitem(sys.modules, "IPython", None if notebook is None else IPython(notebook))
        if variable is None:
            monkeypatch.delenv(progress.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(progress.VARIABLE, variable)
        return sys.stderr

    return set_


# --- whether a bar is shown ---------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("variable", [None, "0", "1"])
def test_who_asks_is_obeyed(surroundings, terminal, variable):
    surroundings(terminal=terminal, variable=variable)
    assert progress.is_shown(True) is True
    assert progress.is_shown(False) is False


def test_shown_in_a_terminal_or_a_notebook(surroundings):
    surroundings(terminal=True)
    assert progress.is_shown(None)
    surroundings(notebook=object())
    assert progress.is_shown(None)
    surroundings()  # a file: a batch job's log, a test
    assert not progress.is_shown(None)


def test_not_shown_in_a_script_that_has_imported_ipython(surroundings, monkeypatch):
    surroundings()
    monkeypatch.setitem(sys.modules, "IPython", IPython(None))
    assert not progress.is_shown(None)


def test_not_shown_if_the_environment_variable_is_0(surroundings):
    surroundings(terminal=True, notebook=object(), variable="0")
    assert not progress.is_shown(None)
    for other in ("1", "", "yes"):
        surroundings(terminal=True, variable=other)
        assert progress.is_shown(None)


def test_ipython_is_not_imported_to_find_out():
    code = (
        "import sys\n"
        "from nasworkbench.progress import is_shown\n"
        "is_shown(None)\n"
        "assert 'IPython' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the bar ------------------------------------------------------------------------------------


def test_a_bar_goes_on_where_an_earlier_one_ended(surroundings):
    stream = surroundings(terminal=True)
    with progress.bar("search", total=10, done=4, progress=True) as bar:
        bar.update(6)
    assert "search" in stream.getvalue() and "10/10" in stream.getvalue()
    assert bar.n == bar.total == 10


def test_a_hidden_bar_writes_nothing(surroundings):
    stream = surroundings(terminal=True)
    with progress.bar("search", total=3, progress=False) as bar:
        bar.update(3)
    assert stream.getvalue() == ""


def test_without_a_standard_error_there_is_no_bar(monkeypatch):
    """A program without a terminal, or one that was started with 2>&-, has None there."""
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    assert not progress.is_shown(None)
    with progress.bar("search", total=3, progress=True) as bar:
        bar.update(3)


# --- durations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.76, "0.8 s"),
        (12, "12.0 s"),
        (99, "99.0 s"),
        (100, "1.7 min"),
        (120, "2 min"),
        (300, "5 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (9_000, "2.5 h"),
        (36_000, "10 h"),
        (172_799, "48 h"),
        (172_800, "2 days"),
        (300_000, "3.5 days"),
        (2_592_000, "30 days"),
        (8_640_000, "100 days"),
    ],
)
def test_duration(seconds, text):
    assert progress.duration(seconds) == text


UNITS = {"s": 1, "min": 60, "h": 3_600, "days": 86_400}


@given(st.floats(0, 1e9))
def test_a_duration_is_exact_to_a_twentieth_of_its_unit(seconds):
    value, unit = progress.duration(seconds).split(" ")
    size = UNITS[unit]
    assert abs(float(value) * size - seconds) <= 0.05 * size * (1 + 1e-9)
    assert size == 1 or float(value) >= 1.6  # one unit and a bit is told in smaller ones

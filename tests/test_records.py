"""Results that survive: the file of records, and the tasks that fill it."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_kill_script import ROUNDS
from search_helpers import environment

from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.executors import Executor, Finished, InlineExecutor, Records, run_all

WORK = {"name": "squares", "of": [1, 2, 3], "how": {"exact": True}}
RESULTS = {"one": 1, "two": {"of": [4.0, None, "é\n"]}, "three": []}


def filled(path, results=RESULTS, work=WORK):
    with Records(path, work) as records:
        for name, result in results.items():
            records.add(name, result)
    return path


def stored(path, work=WORK):
    with Records(path, work) as records:
        return dict(records.results)


# --- keeping ------------------------------------------------------------------------------------


def test_results_are_kept(tmp_path):
    path = tmp_path / "a" / "b" / "results.jsonl"
    with Records(path, WORK) as records:
        assert len(records.results) == 0
        for name, result in RESULTS.items():
            assert name not in records.results
            records.add(name, result)
            assert name in records.results
        assert records.results == RESULTS
        assert stored_lines(path)[1:] == [
            {"name": name, "result": result} for name, result in RESULTS.items()
        ]  # on the disk before it is closed
    assert stored(path) == RESULTS
    assert stored_lines(path)[0] == {"work": WORK}


def stored_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_opening_again_changes_nothing(tmp_path):
    path = filled(tmp_path / "results.jsonl")
    before = path.read_bytes()
    stored(path)
    assert path.read_bytes() == before


def test_result_is_at_once_what_will_be_read(tmp_path):
    """Tuples are lists in JSON and keys are texts: a fresh result looks as a stored one."""
    path = tmp_path / "results.jsonl"
    with Records(path, {"sizes": (1, 2)}) as records:
        records.add("a", {"pair": (1, 2), 3: 4})
        fresh = dict(records.results)
    assert fresh == stored(path, {"sizes": [1, 2]}) == {"a": {"pair": [1, 2], "3": 4}}


def test_later_result_takes_the_place(tmp_path):
    path = filled(tmp_path / "results.jsonl")
    with Records(path, WORK) as records:
        records.add("one", "again")
        assert len(records.results) == 3
    assert stored(path) == RESULTS | {"one": "again"}


def test_result_that_is_no_json_leaves_the_file_as_it_was(tmp_path):
    path = filled(tmp_path / "results.jsonl")
    before = path.read_bytes()
    with Records(path, WORK) as records:
        with pytest.raises(TypeError, match="not JSON serializable"):
            records.add("four", {1, 2})
        with pytest.raises(ValueError, match="not JSON compliant"):
            records.add("four", float("nan"))  # it could not be read again
        assert "four" not in records.results
        assert path.read_bytes() == before
        records.add("five", 5)
    assert stored(path) == RESULTS | {"five": 5}


# --- half a line --------------------------------------------------------------------------------


def test_half_a_last_line_is_cut_off_wherever_it_ends(tmp_path):
    whole = filled(tmp_path / "whole.jsonl").read_bytes()
    path = tmp_path / "results.jsonl"
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        lines = max(whole[:end].count(b"\n") - 1, 0)  # whole ones, after the first
        expected = dict(list(RESULTS.items())[:lines])
        with Records(path, WORK) as records:
            assert records.results == expected, end
            records.add("new", end)
        assert stored(path) == expected | {"new": end}
        assert len(stored_lines(path)) == lines + 2


def test_the_rest_of_a_power_cut(tmp_path):
    """Some file systems leave zeros at the end of what was being written."""
    path = filled(tmp_path / "results.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(100))
    assert stored(path) == RESULTS
    assert path.read_bytes() == whole


BYTES = st.binary(min_size=1, max_size=30).filter(lambda data: b"\n" not in data)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(BYTES)
def test_any_half_line_is_cut_off(tmp_path_factory, rest):
    path = filled(tmp_path_factory.mktemp("half") / "results.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    assert stored(path) == RESULTS
    assert path.read_bytes() == whole


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, b'{"work": 3}'),
        (1, b'{"work": [1]}'),
        (1, b'{"work": {"name": "squares"'),
        (2, b""),
        (2, b'{"name": "one", "result": 1'),
        (2, b'{"name": "one", "result": 1}{}'),
        (3, b'{"name": "two"}'),
        (3, b'{"result": 4}'),
        (3, b'{"name": ["two"], "result": 4}'),
        (3, b"[1, 2]"),
        (3, b"null"),
        (3, b"\xff\xfe\x00"),
        (3, b"[" * 100_000),
        (3, b'{"name": "two", "result": 4, "result": 5}'),
        (3, b'{"name": "two", "result": NaN}'),
        (4, b'{"work": {"name": "squares"}}'),
    ],
)
def test_damaged_line_is_refused_and_left(tmp_path, number, line):
    path = filled(tmp_path / "results.jsonl")
    lines = path.read_bytes().splitlines()
    lines[number - 1] = line
    path.write_bytes(b"\n".join(lines) + b"\n")
    before = path.read_bytes()
    with pytest.raises(StoreError) as raised:
        Records(path, WORK)
    text = str(raised.value)
    assert f"results.jsonl, line {number}, is damaged" in text
    assert "left as it is: restore it from a copy" in text
    assert "choose another folder" in text
    assert ("delete that line" in text) == (number > 1)  # the first one is needed
    assert path.read_bytes() == before
    if number > 1:  # the advice helps
        path.write_bytes(b"\n".join(lines[: number - 1] + lines[number:]) + b"\n")
        assert stored(path) == {k: v for k, v in RESULTS.items() if k != list(RESULTS)[number - 2]}


@pytest.mark.parametrize(
    "data", [b"a diary\n", b"no end of line", b'{"name": "one", "result": 1}\n', bytes(50), b"\n"]
)
def test_files_of_another_kind_are_left(tmp_path, data):
    path = tmp_path / "results.jsonl"
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"not a file of results.*choose another folder"):
        Records(path, WORK)
    assert path.read_bytes() == data


# --- other work ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "parts"),
    [
        (WORK | {"of": [1, 2]}, ("of is [1, 2, 3] there and [1, 2] here",)),
        (WORK | {"how": {"exact": False}}, ("how is {'exact': True} there",)),
        ({"name": "squares", "of": [1, 2, 3]}, ("how is {'exact': True} there and None here",)),
        (WORK | {"more": 1}, ("more is None there and 1 here",)),
        (WORK | {"name": "x" * 5000}, ("name is 'squares' there and 'xxx",)),
    ],
)
def test_other_work_is_refused_by_name(tmp_path, work, parts):
    path = filled(tmp_path / "results.jsonl")
    before = path.read_bytes()
    with pytest.raises(StoreError) as raised:
        Records(path, work)
    text = str(raised.value)
    assert all(part in text for part in ("holds results of other work", *parts))
    assert len(text) < 700
    assert path.read_bytes() == before
    assert stored(path) == RESULTS  # the refused one has let go of it


def test_open_only_once(tmp_path):
    path = filled(tmp_path / "results.jsonl")
    with Records(path, WORK) as first:
        with pytest.raises(StoreError, match="open already, in another process or in this"):
            Records(path, WORK)
        first.add("four", 16)
    assert stored(path) == RESULTS | {"four": 16}


def test_let_go_of_after_an_exception(tmp_path):
    path = filled(tmp_path / "results.jsonl")
    with pytest.raises(ZeroDivisionError), Records(path, WORK) as records:
        records.add("four", 1 / 0)
    assert stored(path) == RESULTS


def test_places_where_no_file_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "results.jsonl", tmp_path / "folder"):
        for _ in range(2):  # the second time it is not locked
            with pytest.raises(StoreError, match="cannot read and write"):
                Records(path, WORK)


# --- a full disk --------------------------------------------------------------------------------


@contextlib.contextmanager
def files_up_to(size):
    """The system refuses to write beyond this many bytes of a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk(tmp_path):
    path = filled(tmp_path / "results.jsonl")
    before = path.read_bytes()
    with Records(path, WORK) as records:
        with files_up_to(len(before) + 20), pytest.raises(StoreError, match=r"cannot .*write"):
            records.add("long", "x" * 200)
        assert "long" not in records.results
        assert path.read_bytes() == before  # not even half a line
        with files_up_to(len(before) + 35):
            records.add("b", 1)
    assert stored(path) == RESULTS | {"b": 1}
    before = path.read_bytes()
    with files_up_to(len(before) + 20), pytest.raises(StoreError), Records(path, WORK) as records:
        records.add("long", "x" * 200)
    assert path.read_bytes() == before
    assert stored(path) == RESULTS | {"b": 1}


def test_disk_that_is_full_from_the_start(tmp_path):
    path = tmp_path / "results.jsonl"
    with files_up_to(10), pytest.raises(StoreError, match="cannot read and write"):
        Records(path, WORK)
    assert stored(path) == {}


def test_interrupted_while_writing(tmp_path, monkeypatch):
    """Ctrl-C while the disk is waited for: the result stays, and the file can be used."""
    path = filled(tmp_path / "results.jsonl")

    def interrupted(_):
        monkeypatch.undo()
        raise KeyboardInterrupt

    with Records(path, WORK) as records:
        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            records.add("four", 16)
        records.add("five", 25)
    assert stored(path) == RESULTS | {"four": 16, "five": 25}


def test_file_that_takes_little_at_a_time(tmp_path, monkeypatch):
    write, calls = os.write, []

    def little(descriptor, data):
        calls.append(data)
        return write(descriptor, data[:7])

    path = tmp_path / "results.jsonl"
    with Records(path, WORK) as records:
        monkeypatch.setattr(os, "write", little)
        for name, result in RESULTS.items():
            records.add(name, result)
        monkeypatch.undo()
    assert len(calls) > 10
    assert stored(path) == RESULTS


# --- kill -9 ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    script = Path(__file__).parent / "records_kill_script.py"
    output = subprocess.run(
        [sys.executable, str(script), str(tmp_path_factory.mktemp("killed"))],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=True,
    ).stdout
    return json.loads(output)


def test_killed_in_the_middle_of_a_line(killed):
    assert len(killed["middle"]) > 30
    assert all(found == [signal.SIGKILL, 1, True] for found in killed["middle"])


def test_nothing_that_add_returned_for_is_lost(killed):
    assert killed["random"]["signals"] == [signal.SIGKILL] * ROUNDS
    assert killed["random"]["lost"] == 0
    assert killed["random"]["said"] >= ROUNDS


def test_second_process_is_refused(killed):
    assert "second.jsonl is open already, in another process" in killed["second"]


# --- many tasks ----------------------------------------------------------------------------------


class Three(Executor):
    """Three workers; those that have a task end together, when somebody waits."""

    def __init__(self):
        super().__init__(workers=3)
        self.tasks, self.most = [], 0

    def begin(self, future, worker, arguments):
        self.tasks.append((future, Finished("ok", sum(arguments), worker=worker)))
        self.most = max(self.most, len(self.tasks))

    def wait(self, timeout=None):
        for future, finished in self.tasks:
            future.set_result(finished)
        self.tasks = []
        return super().wait(timeout)[::-1]


@pytest.mark.parametrize("count", [0, 1, 3, 10])
def test_every_task_is_run_once(count):
    executor, kept = Three(), {}
    run_all(executor, [(n, 100) for n in range(count)], kept.__setitem__, "sums", False)
    assert sorted(kept) == list(range(count))
    assert all(finished.value == index + 100 for index, finished in kept.items())
    assert executor.most == min(count, 3)


def test_failed_tasks_are_kept_too():
    kept = {}
    run_all(InlineExecutor(lambda n: 1 / n), [(0,), (2,)], kept.__setitem__, "inverse", False)
    ends = {index: (finished.status, finished.value) for index, finished in kept.items()}
    assert ends == {0: ("error", None), 1: ("ok", 0.5)}


@pytest.mark.parametrize("error", [RuntimeError("the disk is full"), KeyboardInterrupt()])
def test_interruption_loses_only_what_ran(tmp_path, error):
    """From the task or from ``keep``; the next time the rest is run, and only that."""
    path, ran = tmp_path / "results.jsonl", []
    names = [str(n) for n in range(6)]

    def task(name):
        ran.append(name)
        if name == "3" and ran.count("3") == 1 and isinstance(error, KeyboardInterrupt):
            raise error
        return name * 2

    def build():
        with Records(path, WORK) as records:
            left = [(name,) for name in names if name not in records.results]

            def keep(index, finished):
                if finished.value == "33" and ran.count("3") == 1:
                    raise error
                records.add(left[index][0], finished.value)

            with InlineExecutor(task) as executor:
                run_all(executor, left, keep, "work", False, len(names) - len(left))

    with pytest.raises(type(error)):
        build()
    assert stored(path) == {name: name * 2 for name in names[:3]}
    build()
    assert ran == ["0", "1", "2", "3", "3", "4", "5"]
    assert stored(path) == {name: name * 2 for name in names}


def test_stopped_executor_is_no_endless_loop():
    executor = Three()
    executor.stop()
    with pytest.raises(SettingsError, match="has been stopped: make a new one"):
        run_all(executor, [(1,)], print, "nothing", False)


def test_bar_counts_what_was_done_before(capsys):
    run_all(
        InlineExecutor(str), [(1,), (2,)], lambda index, finished: None, "my work", True, done=3
    )
    shown = capsys.readouterr().err
    assert "my work:  60%" in shown
    assert "3/5" in shown
    assert "5/5" in shown
    run_all(InlineExecutor(str), [(1,)], lambda index, finished: None, "my work", False)
    assert capsys.readouterr().err == ""

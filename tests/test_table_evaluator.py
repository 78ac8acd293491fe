"""Searches on a table: what they look up, what they never see, and how they go on."""

import dataclasses
import json
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from search_helpers import CONTROLLERS, change, environment, small_space
from table_helpers import KILLED_AT, SEEDS, TRIALS, Sealed, install, search_on, small_table
from test_search_kill import COLUMNS, assert_equal

from nasworkbench import CellSpace, Search, TableEvaluator, tables, zoo
from nasworkbench.errors import SettingsError, StoreError, TableError, WorkbenchError
from nasworkbench.training import Evaluation
from nasworkbench.training.evaluator import Task

TABLE = small_table()
PARTIAL = small_table(40)


def genotypes(table, count=None):
    return [table.genotype(row) for row in range(len(table) if count is None else count)]


@pytest.fixture
def library(monkeypatch):
    """Lets the library know one table and no other."""
    monkeypatch.setattr(tables, "names", tables.names)  # to be put back in the end
    monkeypatch.setattr(tables, "load", tables.load)
    return install


# --- looking up ---------------------------------------------------------------------------------


def test_the_reward_is_the_mean_validation_accuracy():
    evaluator = TableEvaluator(TABLE)
    for row, genotype in enumerate(genotypes(TABLE)):
        found = evaluator(genotype, seed=row)
        assert found == Evaluation(
            reward=pytest.approx(sum(TABLE.validation[row]) / SEEDS, abs=1e-12),
            parameters=1000 + row,
            seconds=0.0,
        )
        assert type(found.reward) is float and type(found.parameters) is int
    assert evaluator(genotypes(TABLE, 1)[0]).reward == evaluator.reward(0)


def test_one_training_is_chosen_by_the_seed():
    evaluator = TableEvaluator(TABLE, average=False)
    (genotype,) = genotypes(TABLE, 1)
    for seed in (*range(7), 2**32 - 1, numpy.uint32(5)):
        assert evaluator(genotype, seed).reward == TABLE.validation[0, int(seed) % SEEDS]
    assert evaluator.reward(3, 1) == TABLE.validation[3, 1]


def test_a_search_reaches_every_training_of_the_table(tmp_path):
    search = search_on(TABLE, tmp_path / "run", "RandomSearch", average=False)
    search.run(60)
    trials = search.trials()
    fresh = trials[~trials.cached]
    expected = [
        TABLE.validation[TABLE.row(key), seed % SEEDS]
        for key, seed in zip(fresh.key, fresh.seed, strict=True)
    ]
    assert fresh.reward.tolist() == expected
    assert set(fresh.seed % SEEDS) == set(range(SEEDS))


def test_without_parameters_and_with_an_equal_cell():
    bare = TableEvaluator(dataclasses.replace(TABLE, columns={}))
    a, b = (small_space().decode(t) for t in ((0, 0, 0, 1, 0) * 2, (0, 0, 1, 0, 0) * 2))
    assert a != b and a.key == b.key
    assert bare(a) == bare(b)
    assert bare(a).parameters is None
    assert bare.lookups == 3


def test_lookups_are_counted():
    evaluator = TableEvaluator(PARTIAL, missing="fail")
    assert evaluator.lookups == 0
    for genotype in [*genotypes(PARTIAL, 4), *genotypes(PARTIAL, 2)]:
        evaluator(genotype)
    assert evaluator.lookups == 6
    evaluator(TABLE.genotype(200))  # not in it, and asked for
    assert evaluator.lookups == 7


def test_a_search_looks_up_each_architecture_once(tmp_path):
    search = search_on(TABLE, tmp_path / "run")
    search.run(80)
    trials = search.trials()
    evaluator = search.evaluator
    assert trials.cached.any()
    assert evaluator.lookups == trials.key.nunique()


def test_what_is_no_table_and_no_such_word():
    with pytest.raises(SettingsError, match=r"table must be a Table, got \{\}"):
        TableEvaluator({})
    with pytest.raises(SettingsError, match="missing must be one of error and fail, got 'skip'"):
        TableEvaluator(TABLE, missing="skip")


# --- what is not in the table -------------------------------------------------------------------


def test_missing_is_an_error_or_a_failure():
    stranger = zoo.get("nasnet-a")
    with pytest.raises(TableError, match=f"key '{stranger.key}' is not among the 441 of the table"):
        TableEvaluator(TABLE)(stranger)
    found = TableEvaluator(TABLE, missing="fail")(stranger)
    assert (found.status, found.reward) == ("error", None)
    assert found.cause == "not in the table 'small'"
    assert Task(TableEvaluator(TABLE, missing="fail"))(stranger, 0) == found


@pytest.mark.parametrize("missing", ["error", "fail"])
def test_a_search_survives_what_is_missing(tmp_path, missing):
    search = search_on(PARTIAL, tmp_path / "run", "RandomSearch", missing=missing)
    if missing == "fail":
        with pytest.raises(WorkbenchError, match=r"all failed alike \(error: not in the table"):
            search.run(60)
    search.run(60 - search.finished)
    trials = search.trials()
    known = trials.key.isin(PARTIAL.keys)
    assert 0 < known.sum() < 60
    assert (trials.status[known] == "ok").all()
    lost = trials[~known]
    assert (lost.status == "error").all() and lost.reward.isna().all()
    assert (lost.told_reward == 0.0).all()
    for key, cause in zip(lost.key, lost.cause, strict=True):
        assert "not in the table 'small'" in cause or (
            f"TableError: the architecture with key '{key}' is not among the 40 of the table "
            "'small'"
            in cause
            and "missing='fail'" in cause
        )
        assert ("TableError" in cause) == (missing == "error")
        assert "\n" not in cause and len(cause) < 400


# --- the proof: a search cannot see test --------------------------------------------------------


def contents(folder: Path) -> bytes:
    """All bytes that a search has left in its folder."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def numbers_in(data: bytes) -> set[float]:
    """Every number that could be read out of these bytes: eight bytes of SQLite's or of numpy's and
    torch's kind, at any place, or decimals in a text."""
    found = {float(text) for text in re.findall(rb"0\.\d+", data)}
    for start in range(8):
        whole = data[start : start + (len(data) - start) // 8 * 8]
        for kind in (">f8", "<f8"):
            values = numpy.frombuffer(whole, kind)
            found.update(values[(values > 0) & (values < 1)].tolist())
    return found


@pytest.mark.parametrize("name", CONTROLLERS)
@pytest.mark.parametrize("average", [True, False])
def test_a_search_never_reads_the_test_accuracies(tmp_path, name, average, library):
    mark = tmp_path / "mark"
    sealed = small_table(read_test=Sealed(mark))
    search = search_on(sealed, tmp_path / "run", name, average=average)
    search.run(30)
    search.store.close()
    library(sealed)
    for evaluator in (None, TableEvaluator(sealed, average=average)):
        search = Search.resume(tmp_path / "run", evaluator)
        search.run(10)
    assert search.finished == 50
    assert len(search.trials()) == 50
    assert search.best(3)[0].reward == search.trials().reward.max()
    assert repr(search).startswith("Search in")
    assert not mark.exists()
    with pytest.raises(AssertionError, match="were read"):  # the seal works
        _ = sealed.test
    assert mark.exists()


def test_worker_processes_never_read_them(tmp_path):
    mark = tmp_path / "mark"
    search = search_on(small_table(read_test=Sealed(mark)), tmp_path / "run")
    search.run(25, executor="processes", workers=1)
    trials = search.trials()
    assert (trials.status == "ok").all()
    assert trials.reward.tolist() == [TABLE.mean_validation[TABLE.row(key)] for key in trials.key]
    assert not mark.exists()


def test_nothing_of_the_test_accuracies_is_stored(tmp_path):
    table = small_table()
    _ = table.mean_test  # somebody has read them before
    secret = {*table.test.flatten().tolist(), *table.test.mean(1).tolist()}
    secret |= set(table.mean_test.tolist())
    assert len(secret) >= 4 * len(table)
    for average in (True, False):
        folder = tmp_path / str(average)
        search = search_on(table, folder, average=average)
        search.run(70)
        before_closing = contents(folder)
        rewards = set(search.trials().reward)
        search.store.close()
        found = numbers_in(before_closing) | numbers_in(contents(folder))
        assert rewards <= found  # what a search has seen is there
        assert not secret & found
    assert {0.25, 0.75} <= numbers_in(b"x" + struct.pack(">d", 0.25) + b"[0.5, 0.75]")


def test_settings_tell_nothing_of_test():
    a = TableEvaluator(small_table())
    b = TableEvaluator(small_table(read_test=lambda: 1 - TABLE.test))
    assert a.settings() == b.settings()


# --- going on -----------------------------------------------------------------------------------


def test_settings_make_the_same_evaluator_again(tmp_path, library):
    search = search_on(PARTIAL, tmp_path / "run", average=False, missing="fail")
    assert json.loads(json.dumps(search.evaluator.settings())) == {
        "table": "small",
        "digest": PARTIAL.digest,
        "average": False,
        "missing": "fail",
    }
    search.run(5)
    library(PARTIAL)
    resumed = Search.resume(tmp_path / "run")
    assert resumed.evaluator.settings() == search.evaluator.settings()
    assert resumed.space.settings() == search.space.settings()
    assert resumed.evaluator.table is PARTIAL
    assert Search.resume(tmp_path / "run", device="cuda").evaluator.table is PARTIAL  # it has none


def test_a_table_of_ones_own_is_passed_in(tmp_path):
    search_on(TABLE, tmp_path / "run").run(5)
    with pytest.raises(StoreError, match=r"your own table 'small'.*Pass the evaluator: Search\.re"):
        Search.resume(tmp_path / "run")
    assert Search.resume(tmp_path / "run", TableEvaluator(TABLE)).finished == 5


def test_a_table_that_has_changed(tmp_path, library):
    search_on(TABLE, tmp_path / "run").run(5)
    changed = dataclasses.replace(TABLE, validation=TABLE.validation + 1e-9)
    library(changed)
    words = f"'small' is not the one.*{TABLE.digest} there, {changed.digest} here.*new search"
    with pytest.raises(StoreError, match=words):
        Search.resume(tmp_path / "run")
    with pytest.raises(StoreError, match=f"another evaluator: digest is '{TABLE.digest}' there"):
        Search.resume(tmp_path / "run", TableEvaluator(changed))
    with pytest.raises(StoreError, match="average is True there and False here"):
        Search.resume(tmp_path / "run", TableEvaluator(TABLE, average=False))
    assert Search.resume(tmp_path / "run", TableEvaluator(TABLE)).finished == 5


@pytest.mark.parametrize(
    "settings",
    [{}, {"table": "small"}, {"table": ["small"], "digest": ""}, {"temper": 1}],
)
def test_tampered_settings_of_an_evaluator(tmp_path, library, settings):
    search_on(TABLE, tmp_path / "run").store.close()
    record = json.dumps({"class": "TableEvaluator", "settings": settings})
    update = "UPDATE meta SET value = ? WHERE name = 'evaluator'"
    change(tmp_path / "run", update, record, forged=True)
    library(TABLE)
    with pytest.raises(StoreError):
        Search.resume(tmp_path / "run")


def test_a_search_of_another_space_is_another_search(tmp_path, library):
    search_on(TABLE, tmp_path / "run")
    library(TABLE)
    with pytest.raises(StoreError, match="another space: blocks is 1 there and 2 here"):
        Search.resume(tmp_path / "run", space=CellSpace(2))


def test_killed_and_resumed_it_is_the_same_search(tmp_path, library):
    """By SIGKILL; nothing but the folder is given to go on."""
    whole, killed = search_on(TABLE, tmp_path / "whole"), tmp_path / "killed"
    whole.run(TRIALS)
    script = [sys.executable, str(Path(__file__).with_name("table_helpers.py")), str(killed)]
    assert subprocess.run(script, env=environment()).returncode == -signal.SIGKILL
    library(TABLE)
    search = Search.resume(killed)
    told = [number for update in search.store.updates() for number in update["numbers"]]
    assert search.finished == KILLED_AT + 1 and KILLED_AT not in told
    search.run(TRIALS - search.finished)
    a, b = whole.trials(), search.trials()
    assert len(a) == TRIALS
    assert a[COLUMNS].equals(b[COLUMNS])
    assert a.cached.any()
    assert_equal(whole.store.state(), search.store.state())
    assert whole.store.updates() == search.store.updates()

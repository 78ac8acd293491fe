"""Tables are built child by child: exact, in one order, and whatever interrupts it."""

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
from search_helpers import alive, children, environment, gone_within, tiny_data
from table_build_script import TINY, Dies

from nasworkbench import CellNetwork, CellSpace, TrainingEvaluator, profile
from nasworkbench.errors import SettingsError, SpaceError, StoreError, TableError, WorkbenchError
from nasworkbench.executors import Executor, Finished, InlineExecutor, ProcessExecutor
from nasworkbench.tables import TABLES, build, read, save
from nasworkbench.tables.building import FILE
from nasworkbench.tables.reliability import intraclass_correlation, reliability
from nasworkbench.training import evaluate

UNIQUE = TINY.space.unique
N = len(UNIQUE)  # 10
SCRIPT = Path(__file__).parent / "table_build_script.py"


@pytest.fixture(scope="module")
def data():
    return TINY.evaluator().dataset


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The table, built in one go."""
    folder = tmp_path_factory.mktemp("whole")
    return build(TINY, folder, executor=InlineExecutor(TINY.evaluator().measure))


def lines(folder):
    """The names of all trainings in the order in which they were kept, duplicate ones twice."""
    whole, _, _ = (folder / FILE).read_text().rpartition("\n")
    return [json.loads(line)["name"] for line in whole.splitlines()[1:]]


NAMES = {f"{key} {seed}" for key in UNIQUE.keys for seed in range(TINY.seeds)}


def assert_same_but_for_seconds(a, b):
    assert (a.name, a.keys) == (b.name, b.keys)
    assert a.columns.keys() == b.columns.keys()
    for name in a.columns:
        assert name == "seconds" or numpy.array_equal(a.columns[name], b.columns[name])
    for name in ("tokens", "validation", "test"):
        assert numpy.array_equal(getattr(a, name), getattr(b, name))
    assert dict(a.info) | {"hours": 0} == dict(b.info) | {"hours": 0}


class Child:
    """Stands in for ``TrainingEvaluator.measure``: no training, and what is told of a cell."""

    def __init__(self, told=None, interrupt_at=None):
        self.told, self.interrupt_at = told or {}, interrupt_at
        self.calls = []

    def __call__(self, genotype, seed):
        if len(self.calls) == self.interrupt_at:
            self.interrupt_at = None
            raise KeyboardInterrupt
        self.calls.append(f"{genotype.key} {seed}")
        told = self.told.get((genotype.key, seed), {})
        if isinstance(told, Exception):
            raise told
        value = int(genotype.key[:4], 16) / 2**17 + seed / 4
        ok = {"status": "ok", "cause": None, "seconds": 2.0, "parameters": 7, "mult_adds": 9}
        return ok | {"validation": value, "test": value / 2} | told


class Counted:
    """Notes what it trains."""

    def __init__(self, evaluator, calls):
        self.evaluator, self.calls = evaluator, calls

    def __call__(self, genotype, seed):
        self.calls.append(f"{genotype.key} {seed}")
        return self.evaluator.measure(genotype, seed)


def built(folder, child, settings=TINY, **arguments):
    return build(settings, folder, executor=InlineExecutor(child), progress=False, **arguments)


class Four(Executor):
    """Four workers that are done at once."""

    def __init__(self, function):
        super().__init__(workers=4)
        self.function = function

    def begin(self, future, worker, arguments):
        future.set_result(Finished("ok", self.function(*arguments)))


# --- what is in it ------------------------------------------------------------------------------


def test_rows_are_what_training_gives(whole, data):
    evaluator = TrainingEvaluator(data, TINY.recipe, cells=1, filters=2)
    for row in range(N):
        genotype = whole.genotype(row)
        assert whole.keys[row] == genotype.key
        for seed in range(TINY.seeds):
            network, result = evaluator.train(genotype, seed)
            assert whole.validation[row, seed] == result.validation_accuracy
            assert whole.test[row, seed] == evaluate(network, data.test, data)
        assert whole.validation[row, 1] == evaluator(genotype, 1).reward
        assert isinstance(network, CellNetwork)
        counted = profile(network, data.image_size)
        assert whole.columns["parameters"][row] == counted.parameters
        assert whole.columns["mult_adds"][row] == counted.mult_adds


def test_what_the_table_says_of_itself(whole):
    assert whole.keys == UNIQUE.keys
    assert whole.tokens.tolist() == [list(tokens) for tokens in UNIQUE.tokens]
    assert whole.columns["token_sequences"].tolist() == list(UNIQUE.token_sequences)
    assert whole.columns["seconds"].shape == (N, 2)
    assert (whole.columns["seconds"] > 0).all()
    info = whole.info
    assert info["settings"] == TINY.settings() | {"seeds": 2}
    assert (info["complete"], info["architectures"], info["failed"]) == (True, N, [])
    assert info["reliability"] == reliability(whole.validation).to_dict()
    assert info["reliability"]["icc"] == intraclass_correlation(whole.validation)
    assert json.loads(json.dumps(info, allow_nan=False)) == info
    assert len(set(whole.validation.ravel().tolist())) > 5  # they differ: it was worth comparing


def test_hours_and_provenance(tmp_path):
    found = built(tmp_path, Child(), provenance={"torch": "2"})
    assert found.info["provenance"] == {"torch": "2"}
    assert found.info["hours"] == round(2 * N * 2.0 / 3600, 2)
    longer = Child({(key, 0): {"seconds": 3600.0} for key in UNIQUE.keys})
    assert built(tmp_path / "long", longer).info["hours"] == pytest.approx(
        N + N * 2 / 3600, abs=0.01
    )


def test_built_table_is_a_file_and_can_be_sent(whole, tmp_path):
    save(whole, tmp_path / "tiny.npz")
    stored = read(tmp_path / "tiny.npz")
    assert_same_but_for_seconds(stored, whole)
    assert stored.info == whole.info
    assert_same_but_for_seconds(pickle.loads(pickle.dumps(whole)), whole)


def test_one_seed_has_no_reliability_and_is_a_file(tmp_path):
    found = built(tmp_path, Child(), dataclasses.replace(TINY, seeds=1))
    assert found.seeds == 1
    assert found.info["reliability"]["icc"] is None
    save(found, tmp_path / "tiny.npz")


# --- the order ----------------------------------------------------------------------------------


def test_order_is_shuffled_and_seed_by_seed(tmp_path):
    child = Child()
    built(tmp_path, child)
    assert child.calls == lines(tmp_path)
    assert set(child.calls) == NAMES
    keys = [call.split()[0] for call in child.calls]
    assert keys[:N] == keys[N:]  # the whole of seed 0, then the whole of seed 1
    assert [call[-1] for call in child.calls] == ["0"] * N + ["1"] * N
    assert keys[:N] != list(UNIQUE.keys)
    again = Child()
    built(tmp_path / "again", again)
    assert again.calls == child.calls


def test_fewer_cells_are_the_first_of_the_order(tmp_path):
    everything = Child()
    found = built(tmp_path / "all", everything)
    for count in (1, 4, N):
        child = Child()
        part = built(tmp_path / str(count), child, cells=count)
        assert child.calls == everything.calls[:count] + everything.calls[N : N + count]
        assert len(part) == count
        assert part.info["complete"] == (count == N)
        assert part.info["architectures"] == N
        assert list(part.keys) == [k for k in UNIQUE.keys if f"{k} 0" in child.calls]
        assert all(
            part.validation[row].tolist() == found.validation[found.row(key)].tolist()
            for row, key in enumerate(part.keys)
        )


def test_more_cells_later(tmp_path):
    first, second = Child(), Child()
    built(tmp_path, first, cells=3)
    assert_same_but_for_seconds(built(tmp_path, second), built(tmp_path / "b", Child()))
    assert len(first.calls) == 6
    assert set(first.calls) | set(second.calls) == NAMES
    assert not set(first.calls) & set(second.calls)
    third = Child()
    assert len(built(tmp_path, third, cells=3)) == 3  # only those asked for
    assert third.calls == []


def test_more_seeds_later(tmp_path):
    one, two = dataclasses.replace(TINY, seeds=1), Child()
    before = built(tmp_path, Child(), one)
    after = built(tmp_path, two)
    assert [call[-1] for call in two.calls] == ["1"] * N
    assert numpy.array_equal(after.validation[:, :1], before.validation)
    assert_same_but_for_seconds(after, built(tmp_path / "b", Child()))


def test_what_is_left_is_said_before_it_starts(tmp_path):
    """How long it takes is known from the trainings of before, and shared among the workers."""
    lines, child = [], Child()
    child.told = {(key, seed): {"seconds": 60.0} for key in UNIQUE.keys for seed in range(6)}
    built(tmp_path, child, cells=1, say=lines.append)
    built(tmp_path, child, cells=1, say=lines.append)  # nothing is left: no line
    more = dataclasses.replace(TINY, seeds=3)
    build(more, tmp_path, executor=Four(child), say=lines.append, progress=False)
    assert lines == ["trainings left: 2", "trainings left: 28 (about 7 min)"]


@pytest.mark.parametrize("cells", [0, N + 1, -1, True, 2.0, "all"])
def test_number_of_cells(tmp_path, cells):
    with pytest.raises(
        SettingsError, match=f"cells must be a whole number from 1 to 10, got {cells!r}"
    ):
        built(tmp_path, Child(), cells=cells)
    assert list(tmp_path.iterdir()) == []


# --- what fails ---------------------------------------------------------------------------------

BAD, WORSE = UNIQUE.keys[2], UNIQUE.keys[5]
DIVERGED = {"status": "diverged", "cause": "the loss was nan", "validation": None}


def test_failed_cells_are_left_out_and_listed(tmp_path):
    """One training is enough, of whatever seed."""
    child = Child({(BAD, 1): DIVERGED, (WORSE, 0): MemoryError("no room")})
    found = built(tmp_path, child)
    assert len(found) == N - 2
    assert found.info["failed"] == [BAD, WORSE]
    assert not found.info["complete"]
    assert found.keys == tuple(key for key in UNIQUE.keys if key not in (BAD, WORSE))
    assert found.info["hours"] == round((N - 2) * 4 / 3600, 2)
    results = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()[1:]]
    results = {record["name"]: record["result"] for record in results}
    assert results[f"{WORSE} 0"]["status"] == "out_of_memory"
    assert "MemoryError: no room" in results[f"{WORSE} 0"]["cause"]
    assert results[f"{BAD} 1"]["cause"] == "the loss was nan"


def test_only_what_the_cell_itself_did_is_final(tmp_path):
    """A cell that diverged would do so again; a process that died may have been the machine's."""
    told = {(BAD, 1): DIVERGED, (WORSE, 0): MemoryError("no room")}
    built(tmp_path, Child(told))
    child = Child()
    found = built(tmp_path, child)
    assert child.calls == [f"{WORSE} 0"]
    assert found.info["failed"] == [BAD]
    assert (
        found.validation[found.row(WORSE)].tolist()
        == built(tmp_path / "b", Child()).validation[UNIQUE.keys.index(WORSE)].tolist()
    )


def test_nothing_could_be_trained(tmp_path):
    child = Child({(key, 1): ValueError("cannot") for key in UNIQUE.keys})
    with pytest.raises(TableError, match="not one cell of the table 'tiny' could be trained"):
        built(tmp_path, child)
    assert len(built(tmp_path, Child())) == N


def test_real_divergence(tmp_path, data):
    settings = dataclasses.replace(
        TINY, recipe=dataclasses.replace(TINY.recipe, learning_rate=1e30)
    )
    with pytest.raises(TableError, match="not one cell"):
        build(settings, tmp_path, cells=1, executor=InlineExecutor(settings.evaluator().measure))
    record = json.loads((tmp_path / FILE).read_text().splitlines()[1])["result"]
    assert record["status"] == "diverged"
    assert record["validation"] is None
    assert record["test"] is None


# --- other work ---------------------------------------------------------------------------------


def test_other_settings_are_refused(tmp_path):
    built(tmp_path, Child())
    before = (tmp_path / FILE).read_bytes()
    for name, value in (
        ("filters", 3),
        ("cells", 2),
        ("data", {"name": "digits"}),
        ("recipe", dataclasses.replace(TINY.recipe, epochs=2)),
        ("space", CellSpace(1, ("identity", "conv_3x3"), "add", tied=True)),
    ):
        child = Child()
        with pytest.raises(StoreError, match=f"holds results of other work: {name} is"):
            built(tmp_path, child, dataclasses.replace(TINY, **{name: value}))
        assert child.calls == []
    assert (tmp_path / FILE).read_bytes() == before


def test_damaged_trainings_are_refused(tmp_path):
    built(tmp_path, Child())
    text = (tmp_path / FILE).read_text().splitlines(keepends=True)
    text[4] = text[4][:30] + "\n"
    (tmp_path / FILE).write_text("".join(text))
    with pytest.raises(StoreError, match=r"trainings\.jsonl, line 5, is damaged"):
        built(tmp_path, Child())


@pytest.mark.parametrize("wrong", [0, -1, True, 1.0, None])
def test_settings_that_cannot_be(wrong):
    for name in ("cells", "filters", "seeds"):
        with pytest.raises(
            SettingsError, match=f"{name} must be a whole number from 1, got {wrong}"
        ):
            dataclasses.replace(TINY, **{name: wrong})


def test_plan_of_a_space_too_large(tmp_path):
    with pytest.raises(SpaceError, match="too large to enumerate"):
        built(tmp_path, Child(), dataclasses.replace(TINY, space=CellSpace()))


def test_known_tables():
    assert list(TABLES) == ["cells"]
    assert (TABLES["cells"].space.size, TABLES["cells"].seeds) == (22500, 3)


def test_test_split_travels_with_the_data(data):
    sent = pickle.loads(pickle.dumps(data))
    assert "test" in vars(sent)
    assert "test" not in vars(pickle.loads(pickle.dumps(tiny_data(test=None))))


# --- interruptions ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 7, N, 2 * N - 1])
def test_interrupted_and_resumed(tmp_path, count):
    child = Child(interrupt_at=count)
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path, child)
    assert lines(tmp_path) == child.calls
    assert len(child.calls) == count
    found = built(tmp_path, child)
    assert len(child.calls) == len(set(child.calls)) == 2 * N
    assert_same_but_for_seconds(found, built(tmp_path / "whole", Child()))


def test_stopped_executor_is_refused(tmp_path, data):
    executor = ProcessExecutor(TINY.evaluator().measure, 1)
    executor.stop()
    with pytest.raises(WorkbenchError, match="stopped"):
        build(TINY, tmp_path, executor=executor)


def test_crashed_worker_then_complete(tmp_path, whole, data):
    """A process that dies takes one training with it; the next build makes up for it."""
    with ProcessExecutor(Dies(TINY.evaluator(), BAD), workers=1) as executor:
        found = build(TINY, tmp_path, executor=executor)
    assert found.info["failed"] == [BAD]
    rows = [row for row in range(N) if UNIQUE.keys[row] != BAD]
    assert numpy.array_equal(found.validation, whole.validation[rows])  # in processes as inline
    assert numpy.array_equal(found.test, whole.test[rows])
    record = next(
        r for r in map(json.loads, (tmp_path / FILE).open()) if r.get("name") == f"{BAD} 0"
    )
    assert record["result"] == {
        "status": "crashed",
        "cause": "its process ended with exit code 3",
    }
    calls = []
    again = build(TINY, tmp_path, executor=InlineExecutor(Counted(TINY.evaluator(), calls)))
    assert calls == [f"{BAD} 0"]
    assert_same_but_for_seconds(again, whole)


def kept(folder):
    """How many trainings are in the file."""
    path = folder / FILE
    return max(path.read_bytes().count(b"\n") - 1, 0) if path.exists() else 0


def interrupted(folder, number):
    """Build in processes; once three more trainings are kept, send this signal to all of the group,
    as a terminal does. Exit code and errors; all its processes have gone."""
    enough = kept(folder) + 3
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    with process:
        end = time.monotonic() + 120
        while kept(folder) < enough:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.005)
        everyone = [process.pid, *children(process.pid)]
        assert len(everyone) >= 3
        os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=60)
    assert gone_within(everyone, 10), [pid for pid in everyone if alive(pid)]
    return process.returncode, errors


def test_ctrl_c_and_kill_in_the_middle(tmp_path, whole, data):
    """Nothing is lost, nothing is left running, and in the end nothing differs."""
    code, errors = interrupted(tmp_path, signal.SIGINT)
    assert code != 0
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback") == 1  # the parent's alone
    assert (tmp_path / FILE).read_bytes().endswith(b"\n")
    first = lines(tmp_path)
    assert 3 <= len(first) < 2 * N

    code, _ = interrupted(tmp_path, signal.SIGKILL)
    assert code == -signal.SIGKILL
    names = lines(tmp_path)
    assert names[: len(first)] == first
    assert len(names) == len(set(names))
    assert len(first) + 3 <= len(names) < 2 * N

    text = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(text[: text.rindex(b"seconds")])  # as if hit while it wrote
    calls = []
    found = build(TINY, tmp_path, executor=InlineExecutor(Counted(TINY.evaluator(), calls)))
    assert sorted([*names[:-1], *calls]) == sorted(NAMES)  # each once
    assert_same_but_for_seconds(found, whole)

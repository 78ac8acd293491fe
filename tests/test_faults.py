"""Faults on purpose: whatever is killed, cut short or without room goes on where it was."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy
import pytest
from fault_script import KILLS, TRIALS
from search_helpers import CONTROLLERS, environment, share_or_fail, small_space
from table_build_script import TINY
from test_search_kill import COLUMNS

from nasworkbench import History, Search
from nasworkbench.errors import StoreError
from nasworkbench.executors import InlineExecutor
from nasworkbench.search import Store
from nasworkbench.tables import build

SCRIPT = Path(__file__).parent / "fault_script.py"


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A function from the name of a work to the folder where it was done undisturbed, and those
    where it was killed and ended all the same."""
    done = {}

    def folders(name):
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            output = subprocess.run(
                [sys.executable, str(SCRIPT), name, str(folder)],
                stdout=subprocess.PIPE,
                text=True,
                env=environment(),
                check=True,
            ).stdout
            answer = json.loads(output.splitlines()[-1])
            assert answer["signals"] == [signal.SIGKILL] * KILLS
            done[name] = folder / "whole", [folder / f"killed-{n}" for n in range(answer["ended"])]
        return done[name]

    return folders


def rows(trials, *, without=()):
    """The columns that do not depend on the clock, as plain values."""
    columns = [name for name in COLUMNS if name not in without]
    return [[None if value != value else value for value in row]
            for row in trials[columns].astype(object).to_numpy().tolist()]  # fmt: skip


def test_searches_killed_with_workers(killed):
    """The order is that of completion, so only the sums are known."""
    whole, folders = killed("search")
    for folder in [whole, *folders]:
        search = Search.resume(folder, share_or_fail)
        frame = search.trials()
        assert list(frame.completion_order) == list(range(1, TRIALS + 1))
        assert frame.number.is_unique and set(frame.status) == {"ok", "error"}
        measured = frame[(frame.status == "ok") & ~frame.cached]
        assert measured.key.is_unique
        by_key = dict(zip(measured.key, measured.reward, strict=True))
        expected = [share_or_fail(trial.genotype) for trial in search.best(9)]
        assert expected == sorted(by_key.values(), reverse=True)[:9]
        told = [row["told"] for row in search.store.updates()]
        every = list(range(5, TRIALS + 1, 5))
        assert told in (every, every[:-1])  # it was killed between the last trial and its update


def test_jobs_killed(killed):
    """Same trials of both searches, same networks trained again, same verdict, same pictures."""
    whole, folders = killed("job")
    for folder in folders:
        assert {path.name for path in folder.iterdir()} >= {path.name for path in whole.iterdir()}
        for part in ("", "random"):
            with History(whole / part) as one, History(folder / part) as other:
                expected = rows(one.trials(), without=["curves"])  # they have seconds
                assert len(expected) == 4 and expected == rows(other.trials(), without=["curves"])
        with closing(Store(whole)) as one, closing(Store(folder)) as other:
            networks = [store.retrainings() for store in (one, other)]
            for row in [*networks[0], *networks[1]]:
                del row["seconds"]
            assert networks[0] == networks[1] and len(networks[0]) == 4
            assert one.meta("verdict") == other.meta("verdict") is not None
        picture = "normal_cell.svg"
        assert (whole / picture).read_bytes() == (folder / picture).read_bytes()


def test_tables_killed(killed):
    whole, folders = killed("table")
    expected = build(TINY, whole)  # nothing is left to train
    for folder in folders:
        table = build(TINY, folder)
        assert table.keys == expected.keys and table.digest == expected.digest


def test_comparisons_killed(killed):
    whole, folders = killed("compare")
    for folder in folders:
        for path in whole.glob("*.jsonl"):
            lines = [sorted((folder_ / path.name).read_text().splitlines())
                     for folder_ in (whole, folder)]  # fmt: skip
            assert lines[0] == lines[1] and len(lines[0]) == 5


# --- the log of a search, cut short or changed ----------------------------------------------------


@pytest.fixture(scope="module")
def with_log(tmp_path_factory):
    """The folder of a search whose process was killed: all its trials are in the log beside the
    file. And the trials of one that was not disturbed."""
    folder = tmp_path_factory.mktemp("log")
    space = small_space()
    search = Search(space, CONTROLLERS["PPO"](space), share_or_fail, folder / "whole", seed=5)
    search.store.connection.execute("PRAGMA wal_autocheckpoint = 0")
    search.store.checkpoint = lambda *_, **__: None  # as if it were killed before
    search.run(TRIALS)
    shutil.copytree(folder / "whole", folder / "killed")
    return folder / "killed", search.trials()


def damaged_logs(data, rng):
    """20 logs that end too early, as after a power cut, and 20 with a wrong bit."""
    for _ in range(20):
        yield data[: int(rng.integers(len(data)))]
    for _ in range(20):
        changed = bytearray(data)
        changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        yield bytes(changed)


def test_torn_log(with_log, tmp_path):
    """What is read is a beginning of the search as it was, and it goes on to the same end; or it is
    refused, and nothing is changed."""
    folder, expected = with_log
    data = (folder / "search.sqlite-wal").read_bytes()
    assert len(data) > 100_000
    beginnings = set()
    for number, damaged in enumerate(damaged_logs(data, numpy.random.default_rng(13))):
        copy = shutil.copytree(folder, tmp_path / str(number))
        (copy / "search.sqlite-wal").write_bytes(damaged)
        try:
            search = Search.resume(copy, evaluator=share_or_fail)
            frame = search.trials()
        except StoreError:
            continue
        assert rows(expected)[: len(frame)] == rows(frame)
        beginnings.add(len(frame))
        if number % 5 == 0 and len(frame) < TRIALS:
            search.run(TRIALS - len(frame))
            assert rows(expected) == rows(search.trials())
        search.store.close()
        shutil.rmtree(copy)
    assert len(beginnings) > 10


# --- no room on the disk --------------------------------------------------------------------------


@pytest.fixture
def full_at(monkeypatch):
    """A function that lets no file grow beyond so many bytes; writing further fails as on a full
    disk. None: as large as it likes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))

    yield limit
    limit(None)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("size", [150_000, 250_000, 400_000])
def test_search_on_a_full_disk(with_log, tmp_path, full_at, size):
    _, expected = with_log
    space = small_space()
    folder = tmp_path / "run"
    full_at(size)
    with pytest.raises(StoreError, match=r"cannot write to .*search\.sqlite"):
        search = Search(space, CONTROLLERS["PPO"](space), share_or_fail, folder, seed=5)
        search.run(TRIALS)
    full_at(None)
    search.store.close()
    search = Search.resume(folder, evaluator=share_or_fail)
    assert search.finished < TRIALS
    assert rows(expected)[: search.finished] == rows(search.trials())
    search.run(TRIALS - search.finished)
    assert rows(expected) == rows(search.trials())


def test_search_on_a_small_disk(with_log, tmp_path):
    """As above, on a disk that is really full."""
    _, expected = with_log
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=320k", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    try:
        space = small_space()
        search = Search(space, CONTROLLERS["PPO"](space), share_or_fail, folder / "run", seed=5)
        with pytest.raises(StoreError, match=r"cannot write to .*search\.sqlite.*full"):
            search.run(TRIALS)
        assert 0 < search.finished < TRIALS
        remount = ["mount", "-o", "remount,size=20m", str(folder)]
        subprocess.run(remount, check=True, capture_output=True)
        search.run(TRIALS - search.finished)  # in the same process
        assert rows(expected) == rows(search.trials())
        search.store.close()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_new_search_on_a_full_disk(tmp_path, full_at):
    space = small_space()
    full_at(10_000)
    with pytest.raises(StoreError, match="cannot make the run folder"):
        Search(space, CONTROLLERS["PPO"](space), share_or_fail, tmp_path / "run", seed=5)
    full_at(None)
    assert not list(tmp_path.glob("run/*.sqlite*"))
    Search(space, CONTROLLERS["PPO"](space), share_or_fail, tmp_path / "run", seed=5).run(2)


def test_table_on_a_full_disk(tmp_path, full_at):
    full_at(4_000)
    with pytest.raises(StoreError, match="File too large"):
        build(TINY, tmp_path, executor=InlineExecutor(TINY.evaluator().measure))
    full_at(None)
    kept = (tmp_path / "trainings.jsonl").read_text().count("\n") - 1
    assert 0 < kept < 20
    table = build(TINY, tmp_path, executor=InlineExecutor(TINY.evaluator().measure))
    whole = build(TINY, tmp_path / "whole", executor=InlineExecutor(TINY.evaluator().measure))
    assert table.keys == whole.keys and table.digest == whole.digest

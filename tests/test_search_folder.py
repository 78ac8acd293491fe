"""Run folders: whose they are, whether they are whole, and that nothing in them is lost."""

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import torch
from search_helpers import (
    CONTROLLERS,
    Recording,
    change,
    identity_share,
    new,
    share_or_fail,
    small_space,
)

from nasworkbench import PPO, CellSpace, RandomSearch, Search, cli, data, report, tiers
from nasworkbench.errors import DataError, SettingsError, StoreError, WorkbenchError
from nasworkbench.job import Job
from nasworkbench.search import History, Store, schema, sqlite_file
from nasworkbench.training import Recipe
from nasworkbench.training.evaluator import TrainingEvaluator
from nasworkbench.widgets.replay import SearchReplay

JOB = {"name": "run", "tier": "toy", "tier_settings": {"trials": 22}}
RETRAINED = {"origin": "controller", "key": "k", "seed": 1, "genotype": "{}", "status": "ok"}


@pytest.fixture
def folder(tmp_path):
    """A finished search of six trials, closed."""
    search = new(tmp_path / "run", controller="RandomSearch")
    search.run(6)
    search.store.close()
    return tmp_path / "run"


def files(folder):
    """What lies in a folder, by name; SQLite's helper files apart."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if not path.name.endswith(("-shm", "-wal", ".lock"))
    }


# --- folders that are taken, or free ------------------------------------------------------------


def test_folder_that_holds_a_search(folder):
    before = files(folder)
    with pytest.raises(StoreError, match=r"holds a search already.*Search\.resume.*another name"):
        new(folder)
    assert files(folder) == before


def test_folder_that_holds_a_damaged_search_is_not_overwritten(folder):
    (folder / "search.sqlite").write_bytes(b"")
    with pytest.raises(StoreError, match="holds a search already"):
        new(folder)


@pytest.mark.parametrize("leftover", [None, "search.sqlite.new", "search.sqlite.new-journal"])
def test_half_made_folder_is_taken(tmp_path, leftover):
    run = tmp_path / "run"
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    if leftover:
        (run / "search.sqlite.new").write_bytes(b"SQLite format 3\0" + bytes(40))
        (run / leftover).write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    search = new(run)
    search.run(3)
    assert search.finished == 3
    assert (run / "notes.txt").read_text() == "mine"


def make_twenty(folders, barrier, queue):
    """In each folder at the moment at which another process does; says which it got."""
    got, refused = [], []
    for folder in folders:
        barrier.wait(60)
        try:
            got.append(str(new(folder, controller="RandomSearch").directory))
        except Exception as error:
            refused.append(str(error))
    queue.put((got, refused))


@pytest.mark.parametrize("default", [False, True])
def test_two_processes_at_one_moment(tmp_path, monkeypatch, default):
    """Twenty times: one gets the folder; by default each gets a folder of its own."""
    monkeypatch.chdir(tmp_path)
    folders = [None] * 20 if default else [tmp_path / str(number) for number in range(20)]
    fork = multiprocessing.get_context("fork")
    barrier, queue = fork.Barrier(2), fork.SimpleQueue()
    processes = [fork.Process(target=make_twenty, args=(folders, barrier, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    (got, refused), (more_got, more_refused) = queue.get(), queue.get()
    for process in processes:
        process.join()
    got, refused = got + more_got, refused + more_refused
    assert all("holds a search already" in message for message in refused), refused
    assert len(set(got)) == len(got) == (40 if default else 20)
    for directory in got:
        search = Search.resume(directory, evaluator=identity_share)
        search.run(1)
        assert search.finished == 1
        assert not list(search.directory.glob("*.new*"))


@pytest.mark.parametrize("wait", [0, 1, 2, 5, 8])
def test_killed_while_the_folder_is_made(tmp_path, wait):
    """Either there is a whole store afterwards, or none and the folder can be taken."""
    run = tmp_path / "run"
    count = 0

    def trace(statement):
        nonlocal count
        count += 1
        if count > wait:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def traced(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(trace)
        return connection

    child = os.fork()
    if child == 0:
        try:
            sqlite3.connect = traced
            Store.create(run, {"name": "x"})
        finally:
            os._exit(1)  # never back into pytest
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert not (run / "search.sqlite").exists()
    with pytest.raises(StoreError, match=r"holds no search: there is no file search\.sqlite in it"):
        Search.resume(run)
    search = new(run)
    search.run(2)
    assert search.finished == 2


def test_killed_before_the_first_state_was_stored(tmp_path):
    """The store is there, the controller's state not yet: it starts as a fresh one."""
    whole = new(tmp_path / "whole", controller="PPO")
    whole.run(7)
    search = new(tmp_path / "run", controller="PPO")
    search.store.close()
    change(tmp_path / "run", "DELETE FROM state")
    resumed = Search.resume(tmp_path / "run", identity_share)
    resumed.run(7)
    assert list(resumed.trials().key) == list(whole.trials().key)


def test_resume_where_there_is_no_search(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match="holds no search"):
            Search.resume(place)
    assert not (tmp_path / "nowhere").exists()


# --- damaged files ------------------------------------------------------------------------------


def truncated(data):
    return data[: len(data) // 2]


def torn_page(data):
    return data[:-100]


def without_header(data):
    return bytes(100) + data[100:]


def noise(data):
    middle = len(data) // 2
    return data[:middle] + bytes(range(256)) * 32 + data[middle + 8192 :]


def empty(data):
    return b""


def text(data):
    return b"this is no database at all, but a line of text\n" * 100


@pytest.mark.parametrize("damage", [truncated, torn_page, without_header, noise, empty, text])
def test_damaged_file_is_left_as_it_is(folder, damage):
    path = folder / "search.sqlite"
    path.write_bytes(damage(path.read_bytes()))
    before = files(folder)
    for attempt in (lambda: Search.resume(folder, identity_share), lambda: Store(folder)):
        with pytest.raises(StoreError, match=r"is damaged or holds no search .*restore"):
            attempt()
    assert files(folder) == before


def test_damaged_file_with_a_log_is_left_as_it_is(tmp_path):
    """After a kill there is a write-ahead log, which SQLite would like to write into the file."""
    search, run = new(tmp_path / "open"), tmp_path / "run"
    search.run(60)
    search.store.connection.execute("PRAGMA wal_checkpoint")
    search.run(2)  # some trials are in the file now, some in the log
    run.mkdir()
    for name in ("search.sqlite", "search.sqlite-wal"):  # what a kill would leave
        (run / name).write_bytes((tmp_path / "open" / name).read_bytes())
    assert Search.resume(shutil.copytree(run, tmp_path / "copy"), identity_share).finished == 62
    path = run / "search.sqlite"
    path.write_bytes(noise(path.read_bytes()))
    before = files(run)
    with pytest.raises(StoreError, match="damaged or holds no search"):
        Search.resume(run, identity_share)
    assert files(run)["search.sqlite"] == before["search.sqlite"]


@pytest.mark.parametrize("table", ["meta", "state", "updates", "trials", "retrainings"])
def test_missing_table(folder, table):
    change(folder, f"DROP TABLE {table}")
    before = files(folder)
    with pytest.raises(StoreError, match="its tables are not those of a search"):
        Search.resume(folder, identity_share)
    assert files(folder)["search.sqlite"] == before["search.sqlite"]


def test_someone_elses_database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "search.sqlite")) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
        connection.commit()
    with pytest.raises(StoreError, match="its tables are not those of a search"):
        Search.resume(tmp_path)


@pytest.mark.parametrize(
    "statement, values, words",
    [
        ("UPDATE meta SET value = '99' WHERE name = 'format'", (), "format must be .* got 99"),
        ("DELETE FROM meta WHERE name = 'format'", (), "format is missing"),
        ("UPDATE meta SET value = '{' WHERE name = 'format'", (), "damaged"),
        ("UPDATE meta SET value = '{' WHERE name = 'controller'", (), "damaged"),
        ("DELETE FROM meta WHERE name = 'space'", (), "damaged .*space is missing"),
        (
            "UPDATE meta SET value = '[]' WHERE name = 'evaluator'",
            (),
            "damaged .*evaluator must be a dict with class and settings",
        ),
        (
            "UPDATE meta SET value = ? WHERE name = 'controller'",
            (json.dumps({"class": ["PPO"], "settings": {}}),),
            "damaged .*controller must be a dict with class and settings",
        ),
        (
            "UPDATE meta SET value = ? WHERE name = 'controller'",
            (json.dumps({"class": "PPO", "settings": {"temper": 1}}),),
            r"settings of the controller \(PPO\) do not fit this version.*temper",
        ),
        (
            "UPDATE meta SET value = ? WHERE name = 'controller'",
            (json.dumps({"class": "CellSpace", "settings": {"seed": 1}}),),
            r"settings of the controller \(CellSpace\) do not fit",
        ),
    ],
)
def test_tampered_description(folder, statement, values, words):
    change(folder, statement, *values, forged=True)
    with pytest.raises(StoreError, match=words):
        Search.resume(folder, identity_share)


@pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", "Store", "__import__", "eval"])
@pytest.mark.parametrize("role", ["space", "controller", "evaluator"])
def test_unknown_classes_are_never_looked_up(folder, name, role):
    record = json.dumps({"class": name, "settings": {"command": "touch /tmp/owned"}})
    change(folder, "UPDATE meta SET value = ? WHERE name = ?", record, role, forged=True)
    given = {} if role == "evaluator" else {"evaluator": identity_share}
    with pytest.raises(StoreError, match=f"your own {role} '{name}'.*Pass it: Search.resume"):
        Search.resume(folder, **given)


@pytest.mark.parametrize(
    "statement, words",
    [
        ("UPDATE trials SET tokens = x'0001' WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET tokens = 7 WHERE number = 3", "trial 3 holds what no"),
        ("UPDATE trials SET log_probs = 'x' WHERE number = 3", "trial 3 holds what no"),
        ("UPDATE trials SET curves = 'x' WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET reward = 0.5 + reward WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET digest = x'00' WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET cause = CAST(x'ff' AS TEXT) WHERE number = 3", "Could not decode"),
        ("UPDATE state SET value = x'00ff'", "controller's state: .*digest"),
        ("UPDATE state SET digest = x'00ff'", "controller's state: .*digest"),
    ],
)
def test_tampered_rows(folder, statement, words):
    change(folder, statement)
    with pytest.raises(StoreError, match=words):
        search = Search.resume(folder, identity_share)
        search.best()
        search.run(1)


@pytest.mark.parametrize("column", ["value", "shape", "dtype", "kind", "name"])
def test_state_that_is_a_program_is_not_run(tmp_path, column):
    """A state is weights and numbers; anything that would be called on loading is refused."""

    class Program:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    buffer = io.BytesIO()
    torch.save(Program(), buffer)
    search, run = new(tmp_path / "run"), tmp_path / "run"
    search.run(6)
    parts = search.store._all("SELECT name FROM state")
    search.store.close()
    whole = (run / "search.sqlite").read_bytes()
    assert len(parts) > 10
    refused = 0
    for (name,) in parts:
        for blob in (buffer.getvalue(), pickle.dumps(Program(), protocol=0)):
            (run / "search.sqlite").write_bytes(whole)
            value = blob if column == "value" else blob.decode("latin-1")
            query = f"UPDATE state SET {column} = ? WHERE name = ?"
            change(run, query, value, name, forged=True)
            with contextlib.ExitStack() as stack:
                try:
                    search = Search.resume(run, identity_share)
                    stack.callback(search.store.close)
                    search.run(1)
                except StoreError:
                    refused += 1
    assert refused >= 2 * (len(parts) - 1)  # name, shape and dtype of the JSON part are not read
    assert not (tmp_path / "owned").exists()


def contents_of(folder):
    """All that the library reads of a run folder, comparable."""
    with History(folder) as history:
        store = history.store
        return repr(
            [
                history.trials().to_dict("records"),
                history.updates(),
                history.retrained(),
                [(name, history.meta(name)) for name in sorted(schema.META)],
                store.state(),
                history.best(50),
                [store.trial(number) for number in range(store.finished_count + 2)],
                store.unfinished(),
                [store.measured(trial.key) for trial in history.best(50)],
                (store.finished_count, store.failed_count),
            ]
        )


def test_every_flipped_bit_is_noticed_or_without_effect(tmp_path):
    search, run = new(tmp_path / "run", share_or_fail, notes={"job": JOB}), tmp_path / "run"
    search.run(22)
    search.store.set_meta(verdict={"sentence": "No verdict."})
    search.store.retrained(dict(RETRAINED, reward=0.5, test=1))
    search.store.close()
    torch.set_printoptions(profile="full")
    whole, data = contents_of(run), bytearray((run / "search.sqlite").read_bytes())
    assert "0.9" in whole and "No verdict." in whole
    chance, noticed = random.Random(0), 0
    for _ in range(60):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        flipped = data.copy()
        flipped[place] ^= bit
        (run / "search.sqlite").write_bytes(flipped)
        try:
            found = contents_of(run)
        except StoreError:
            noticed += 1
        else:
            assert found == whole, (place, bit)
    assert noticed > 15


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW songs AS SELECT * FROM trials",
        "CREATE TRIGGER t AFTER UPDATE ON trials BEGIN DELETE FROM updates; END",
        "CREATE TABLE songs (name TEXT)",
        "CREATE INDEX more ON trials (hex(zeroblob(9)))",
        "DROP INDEX trials_key",
        "ALTER TABLE trials ADD COLUMN more TEXT AS (hex(key))",
        "ALTER TABLE meta RENAME TO m; CREATE VIEW meta AS SELECT * FROM m",
        "ALTER TABLE meta RENAME TO m; CREATE VIEW meta AS WITH RECURSIVE c(x) AS (SELECT 1 UNION "
        "ALL SELECT x + 1 FROM c) SELECT 'format' AS name, x AS value FROM c WHERE x < 0",
        "ALTER TABLE trials RENAME TO m; CREATE VIEW trials AS SELECT * FROM m",
        "DROP TABLE updates; CREATE TABLE updates (number INTEGER PRIMARY KEY, told, metrics, "
        "digest) WITHOUT ROWID",
        "DROP TABLE state; CREATE VIRTUAL TABLE state USING fts5(name, kind, shape, dtype, value)",
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, 'reward REAL', "
        "'reward REAL DEFAULT (abs(1))') WHERE name = 'trials'",
        "PRAGMA writable_schema = 1; INSERT INTO sqlite_master VALUES ('trigger', 'trials', "
        "'trials', 0, 'CREATE TRIGGER trials AFTER UPDATE ON trials BEGIN SELECT 1; END')",
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM "
        "sqlite_master WHERE name = 'meta') WHERE name = 'updates'",
    ],
)
def test_file_that_defines_something_else(folder, statement):
    with closing(sqlite3.connect(folder / "search.sqlite")) as connection:
        connection.executescript(statement)
        connection.commit()
    before = files(folder)
    for attempt in (lambda: History(folder), lambda: Search.resume(folder, identity_share)):
        with pytest.raises(StoreError, match="damaged or holds no search"):
            attempt()
    assert files(folder) == before


@pytest.mark.parametrize(
    "statement, words",
    [
        ("UPDATE trials SET number = -1 WHERE number = 3", "holds what no"),
        ("UPDATE trials SET reward = 9e999 WHERE number = 3", "holds what no"),
        ("UPDATE trials SET reward = NULL WHERE number = 3", "holds what no"),
        ("UPDATE trials SET told_reward = 'x' WHERE number = 3", "holds what no"),
        ("UPDATE trials SET ended_at = 1e300 WHERE number = 3", "holds what no"),
        ("UPDATE trials SET ended_at = NULL WHERE number = 3", "holds what no"),
        ("UPDATE trials SET seconds = x'00' WHERE number = 3", "holds what no"),
        ("UPDATE trials SET seed = 1.5 WHERE number = 3", "holds what no"),
        ("UPDATE trials SET key = x'00' WHERE number = 3", "holds what no"),
        ("UPDATE trials SET completion_order = -5 WHERE number = 3", "a trial is missing"),
        ("UPDATE trials SET completion_order = 1000000 WHERE number = 5", "a trial is missing"),
        ("UPDATE trials SET completion_order = 1.5 WHERE number = 5", "holds what no"),
        ("DELETE FROM trials WHERE number = 3", "a trial is missing"),
        ("UPDATE trials SET tokens = CAST(x'ffff' || substr(tokens, 3) AS BLOB) WHERE number = 3",
         "trial 3: .*out of range"),
        ("UPDATE trials SET tokens = zeroblob(2000) WHERE number = 3", "trial 3: "),
        ("UPDATE trials SET log_probs = x'00' WHERE number = 3", "trial 3: "),
        ("UPDATE trials SET distributions = zeroblob(6) WHERE number = 3", "trial 3: "),
        ("UPDATE trials SET curves = '{' WHERE number = 3", "trial 3: "),
        ("UPDATE trials SET tokens = zeroblob(3000000) WHERE number = 3", "too big"),
        ("UPDATE retrainings SET test = 'x'", "holds what no"),
        ("UPDATE retrainings SET origin = x'00'", "holds what no"),
        ("UPDATE updates SET told = 'x'", "holds what no"),
        ("UPDATE updates SET metrics = '7'", "updates: "),
        ("UPDATE updates SET metrics = '{\"numbers\": 5}'", "updates: "),
        ("UPDATE updates SET metrics = '{\"entropy\": \"x\"}'", "updates: .*must be numbers"),
        ("UPDATE updates SET metrics = '{\"advantages\": [1]}'", "updates: .*as many"),
        ("UPDATE updates SET metrics = printf('%.*c', 100000, '[')", "updates: "),
        ("UPDATE state SET shape = '[3]' WHERE kind = 'torch'", "controller's state: "),
        ("UPDATE state SET shape = '{' WHERE kind = 'torch'", "controller's state: "),
        ("UPDATE state SET dtype = '|O' WHERE kind = 'torch'", "controller's state: "),
        ("UPDATE state SET dtype = 'f4,f4' WHERE kind = 'torch'", "controller's state: "),
        ("UPDATE state SET value = 'text' WHERE kind = 'torch'", "holds what no"),
        ("UPDATE state SET name = 'x' WHERE name = '1'", "controller's state: "),
        ("UPDATE state SET value = CAST('{}' AS BLOB) WHERE kind = 'json'", "controller's state: "),
        ("UPDATE state SET value = CAST('{\"told\": 99, \"controller\": {}}' AS BLOB) "
         "WHERE kind = 'json'", "controller's state: .*told"),
        ("UPDATE state SET value = CAST('{\"told\": 6, \"controller\": {\"asked\": 6}}' AS BLOB) "
         "WHERE kind = 'json'", "controller's state: '"),
        ("UPDATE state SET value = CAST(printf('%.*c', 100000, '[') AS BLOB) WHERE kind = 'json'",
         "controller's state: "),
    ],
)  # fmt: skip
def test_rows_of_somebody_who_knows_the_digests(tmp_path, monkeypatch, statement, words):
    monkeypatch.setattr(sqlite_file, "LARGEST", 2**20)
    search, run = new(tmp_path / "run"), tmp_path / "run"
    search.run(6)
    search.store.retrained(RETRAINED)
    search.store.close()
    change(run, statement, forged=True)
    with pytest.raises(StoreError, match=rf"damaged or holds no search \(.*{words}"):
        contents_of(run)
        Search.resume(run, identity_share).run(1)


def test_numbers_that_a_search_may_hold_can_be_read(tmp_path):
    """What is refused when it is read must have been refused when it was written."""
    search = new(tmp_path / "run", share_or_fail, "RandomSearch", failure_reward=-3e38, seed=2**70)
    search.run(12)
    search.store.set_meta(goal=2**40, mine=[1e300, None, "\u2028\x00"])
    with History(tmp_path / "run") as history:
        assert history.trials().told_reward.min() == -3e38
        assert history.meta("mine") == [1e300, None, "\u2028\x00"]


@pytest.mark.parametrize(
    "name, value",
    [
        ("seed", [1]), ("seed", -1), ("seed", 0.5), ("space", 7), ("space", {"class": "CellSpace"}),
        ("controller", {"class": 3, "settings": {}}), ("evaluator", {"class": "x", "settings": []}),
        ("goal", "x"), ("goal", [5]), ("failure_reward", "0"), ("failure_reward", [0]),
        ("failure_reward", 1e999), ("time_limit", "1 h"), ("time_limit", -1), ("created_at", "x"),
        ("created_at", 1e300), ("created_at", None), ("verdict", []), ("verdict", {"sentence": 3}),
        ("job", 5), ("job", {"name": "x"}), ("job", {"name": 5, "tier": "", "tier_settings": {}}),
        ("provenance", "x"), ("running", "x"), ("mine", "\ud800"),
    ],
)  # fmt: skip
def test_named_values_of_wrong_types(folder, capsys, name, value):
    query = "INSERT OR REPLACE INTO meta VALUES (?, ?, x'')"
    change(folder, query, name, json.dumps(value), forged=True)
    for attempt in (
        lambda: History(folder),
        lambda: Search.resume(folder, identity_share),
        lambda: report.render(folder),
        lambda: SearchReplay(folder),
    ):
        with pytest.raises(StoreError, match=r"damaged or holds no search .its named values: "):
            attempt()
    assert cli.main(["report", str(folder)]) != 0
    assert "damaged or holds no search" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", [None, 5, {"a": 1}, {"epochs": -1}])
def test_settings_of_a_tier_of_wrong_types(tmp_path, recipe):
    space, toy = small_space(), tiers.get("toy").settings()
    evaluator = TrainingEvaluator(data.load("digits"), Recipe.digits(), cells=1, filters=2)
    job = {"name": "run", "tier": "toy", "tier_settings": toy | {"recipe": recipe}}
    Search(space, PPO(space), evaluator, tmp_path / "run", notes={"job": job}).store.close()
    with pytest.raises(StoreError, match="the settings of its tier: "):
        Job.resume(tmp_path / "run")


def test_log_or_journal_that_is_not_one(folder, tmp_path):
    """A journal may name a file to be deleted after it has been played back."""
    victim, journal = tmp_path / "victim", folder / "search.sqlite-journal"
    victim.write_text("mine")
    name = os.fsencode(victim)
    magic = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    end = name + len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + magic
    journal.write_bytes(magic + bytes(508) + bytes(4) + end)
    for attempt in (lambda: History(folder), lambda: Search.resume(folder, identity_share)):
        with pytest.raises(StoreError, match=r"damaged or holds no search .*journal"):
            attempt()
    assert victim.read_text() == "mine"
    journal.unlink()
    for suffix in ("-wal", "-shm", "-journal"):
        helper = folder / f"search.sqlite{suffix}"
        helper.unlink(missing_ok=True)
        os.mkfifo(helper)
        with pytest.raises(StoreError, match="damaged or holds no search"):
            History(folder)
        helper.unlink()
    assert contents_of(folder)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda p: p.symlink_to(p), Path.touch])
def test_file_that_is_not_one(tmp_path, make):
    make(tmp_path / "search.sqlite")
    for attempt in (History, Search.resume, Store, report.render):
        with pytest.raises(StoreError, match="holds no search"):
            attempt(tmp_path)
    assert os.listdir(tmp_path) == ["search.sqlite"]


def test_data_set_of_somebody_elses_file(tmp_path, monkeypatch):
    """Nothing is downloaded, and no folder is read that this machine has not named."""
    marker = tmp_path / "marker"
    monkeypatch.setattr(data.sources.Source, "download", lambda self, root: marker.mkdir())
    monkeypatch.setattr(data.sources.Cifar, "download", lambda self, root: marker.mkdir())
    monkeypatch.setenv("NASWORKBENCH_DATA", str(tmp_path / "mine"))
    digits = data.load("digits")
    space = small_space()
    evaluator = TrainingEvaluator(digits, Recipe.digits(), cells=1, filters=2)
    Search(space, RandomSearch(space), evaluator, tmp_path / "run").store.close()
    settings = evaluator.settings()
    theirs = tmp_path / "theirs"
    for stored, words in (
        ({"name": "cifar10", "root": None, "download": True}, "cifar10 is not here"),
        ({"name": "cifar10", "root": str(marker), "download": True}, "run folder cannot say where"),
        ({"name": "imagefolder", "root": str(theirs)}, "run folder cannot say where your data are"),
        ({"name": "digits", "seed": 0, "extra": 1}, "do not fit this version"),
        ({"name": ["digits"]}, "there is no data set"),
    ):
        (theirs / "train" / "a").mkdir(parents=True, exist_ok=True)
        record = {"class": "TrainingEvaluator", "settings": settings | {"dataset": stored}}
        query = "UPDATE meta SET value = ? WHERE name = 'evaluator'"
        change(tmp_path / "run", query, json.dumps(record), forged=True)
        with pytest.raises((StoreError, DataError), match=words):
            Search.resume(tmp_path / "run")
    assert not marker.exists()
    stored = {"name": "digits", "root": str(theirs), "download": True}  # these have no folder
    record = {"class": "TrainingEvaluator", "settings": settings | {"dataset": stored}}
    change(tmp_path / "run", query, json.dumps(record), forged=True)
    assert Search.resume(tmp_path / "run").evaluator.dataset.name == "digits"


@pytest.mark.parametrize(
    "role, settings",
    [
        ("evaluator", {"cells": 10**9}), ("evaluator", {"filters": 10**9}),
        ("controller", {"hidden": 10**9}), ("space", {"blocks": 10**9}),
        ("space", {"inputs": 10**9}), ("controller", {"hidden": [1]}),
        ("evaluator", {"filters": "many"}), ("space", {"operations": 5}),
    ],
)  # fmt: skip
def test_settings_that_would_fill_the_memory(tmp_path, role, settings):
    space = small_space()
    evaluator = TrainingEvaluator(data.load("digits"), Recipe.digits(), cells=1, filters=2)
    Search(space, PPO(space), evaluator, tmp_path / "run").store.close()
    with History(tmp_path / "run") as history:
        record = history.meta(role)
    record["settings"].update(settings)
    query = "UPDATE meta SET value = ? WHERE name = ?"
    change(tmp_path / "run", query, json.dumps(record), role, forged=True)
    with pytest.raises(WorkbenchError) as error:
        search = Search.resume(tmp_path / "run")
        search.evaluator.build(space.sample(0))
    assert "is more than" in str(error.value) or 10**9 not in settings.values()


# --- whose folder it is -------------------------------------------------------------------------


class OwnSpace(CellSpace):
    """A space of the user's own."""


class OwnController(RandomSearch):
    """A controller of the user's own."""


@pytest.mark.parametrize(
    "given, words",
    [
        (
            lambda: {"evaluator": share_or_fail},
            "another evaluator: identity_share there, share_or_fail here",
        ),
        (lambda: {"evaluator": Recording()}, "identity_share there, Recording here"),
        (
            lambda: {"space": CellSpace(blocks=2)},
            "another space: blocks is 1 there and 2 here",
        ),
        (
            lambda: {"controller": PPO(small_space())},
            "another controller: RandomSearch there, PPO here",
        ),
        (
            lambda: {"controller": RandomSearch(small_space(), 4)},
            "another controller: seed is 3 there and 4 here",
        ),
        (
            lambda: {"controller": RandomSearch(CellSpace(blocks=3), 3)},
            "another space: blocks is 1 there and 3 here",
        ),
    ],
)
def test_folder_of_another_search(folder, given, words):
    before = files(folder)
    with pytest.raises(StoreError, match=words):
        Search.resume(folder, **({"evaluator": identity_share} | given()))
    assert files(folder) == before


def test_settings_of_an_evaluator_are_compared(tmp_path):
    new(tmp_path / "run", Recording(identity_share)).run(1)
    with pytest.raises(StoreError, match="of is 'identity_share' there and 'share_or_fail' here"):
        Search.resume(tmp_path / "run", Recording(share_or_fail))
    assert Search.resume(tmp_path / "run", Recording(identity_share)).finished == 1


def test_own_classes_are_passed_in(tmp_path):
    space = OwnSpace(blocks=1, operations=("identity", "conv_1x1"))
    search = Search(space, OwnController(space, 1), identity_share, tmp_path / "run")
    search.run(3)
    run = tmp_path / "run"
    with pytest.raises(StoreError, match=r"your own space 'OwnSpace'.*resume\(directory, space="):
        Search.resume(run, identity_share)
    with pytest.raises(StoreError, match="your own controller 'OwnController'"):
        Search.resume(run, identity_share, space=space)
    with pytest.raises(StoreError, match="your own evaluator 'identity_share'"):
        Search.resume(run, None, OwnController(space, 1))
    resumed = Search.resume(run, identity_share, OwnController(space, 1))  # it brings its space
    resumed.run(3)
    assert resumed.finished == 6
    assert isinstance(resumed.space, OwnSpace)
    whole = Search(space, OwnController(space, 1), identity_share, tmp_path / "whole")
    whole.run(6)
    assert list(whole.trials().key) == list(resumed.trials().key)


def test_controller_and_space_that_do_not_fit_each_other(folder):
    with pytest.raises(SettingsError, match="made for another space"):
        controller = RandomSearch(CellSpace(blocks=2), 3)
        Search.resume(folder, identity_share, controller, space=small_space())


@pytest.mark.parametrize("name", CONTROLLERS)
def test_what_the_library_made_it_makes_again(tmp_path, name):
    search = new(tmp_path / "run", controller=name, seed=9, failure_reward=0.25, time_limit=30.0)
    search.run(6)
    resumed = Search.resume(tmp_path / "run", identity_share)
    assert type(resumed.controller) is type(search.controller)
    assert resumed.controller.settings() == search.controller.settings()
    assert resumed.space.settings() == search.space.settings()
    assert (resumed.seed, resumed.failure_reward, resumed.time_limit) == (9, 0.25, 30.0)


def test_settings_that_json_cannot_hold(tmp_path):
    class Evaluator:
        def settings(self):
            return {"weights": {1, 2}}

        def __call__(self, genotype):
            return 0.0

    with pytest.raises(SettingsError, match="settings of Evaluator' cannot be stored as JSON"):
        new(tmp_path / "run", Evaluator())
    assert not (tmp_path / "run").exists()


def test_notes_and_provenance(tmp_path):
    import torch

    search = new(tmp_path / "run", notes={"who": "a student"})
    assert search.store.meta("who") == "a student"
    assert search.store.meta("nothing", "else") == "else"
    assert search.store.meta("provenance")["torch"].startswith(torch.__version__.split("+")[0])

"""Run folders: whose they are, whether they are whole, and that nothing in them is lost."""

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
from search_helpers import CONTROLLERS, Recording, identity_share, new, share_or_fail, small_space

from nasworkbench import PPO, CellSpace, RandomSearch, Search
from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.search import Store
from nasworkbench.search.packing import digest


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
    with pytest.raises(StoreError, match=r"holds no search: there is no search\.sqlite in it"):
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
    with pytest.raises(StoreError, match="the tables of a search are missing"):
        Search.resume(folder, identity_share)
    assert files(folder)["search.sqlite"] == before["search.sqlite"]


def test_someone_elses_database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "search.sqlite")) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
        connection.commit()
    with pytest.raises(StoreError, match="the tables of a search are missing"):
        Search.resume(tmp_path)


def change(folder, statement, *values):
    with closing(sqlite3.connect(folder / "search.sqlite")) as connection, connection:
        assert connection.execute(statement, values).rowcount != 0


@pytest.mark.parametrize(
    "statement, values, words",
    [
        ("UPDATE meta SET value = '99' WHERE name = 'format'", (), "format 99; this version"),
        ("DELETE FROM meta WHERE name = 'format'", (), "format None"),
        ("UPDATE meta SET value = '{' WHERE name = 'format'", (), "damaged"),
        ("UPDATE meta SET value = '{' WHERE name = 'controller'", (), "damaged"),
        ("DELETE FROM meta WHERE name = 'space'", (), "description of its space is damaged"),
        (
            "UPDATE meta SET value = '[]' WHERE name = 'evaluator'",
            (),
            "of its evaluator is damaged",
        ),
        (
            "UPDATE meta SET value = ? WHERE name = 'controller'",
            (json.dumps({"class": ["PPO"], "settings": {}}),),
            "description of its controller is damaged",
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
    change(folder, statement, *values)
    with pytest.raises(StoreError, match=words):
        Search.resume(folder, identity_share)


@pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", "Store", "__import__", "eval"])
@pytest.mark.parametrize("role", ["space", "controller", "evaluator"])
def test_unknown_classes_are_never_looked_up(folder, name, role):
    record = json.dumps({"class": name, "settings": {"command": "touch /tmp/owned"}})
    change(folder, "UPDATE meta SET value = ? WHERE name = ?", record, role)
    given = {} if role == "evaluator" else {"evaluator": identity_share}
    with pytest.raises(StoreError, match=f"your own {role} '{name}'.*Pass it: Search.resume"):
        Search.resume(folder, **given)


@pytest.mark.parametrize(
    "statement, words",
    [
        ("UPDATE trials SET tokens = x'0001' WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET tokens = 7 WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET log_probs = 'x' WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET curves = 'x' WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET reward = 0.5 + reward WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE trials SET digest = x'00' WHERE number = 3", "trial 3: .*digest"),
        ("UPDATE state SET value = x'00ff'", "controller's state: .*digest"),
        ("UPDATE state SET digest = x'00ff'", "controller's state: .*digest"),
    ],
)
def test_tampered_rows(folder, statement, words):
    change(folder, statement)
    search = Search.resume(folder, identity_share)
    with pytest.raises(StoreError, match=words):
        search.best()
        search.run(1)


def test_state_that_is_a_program_is_not_run(folder, tmp_path):
    """A state is weights and numbers; anything that would be called on loading is refused."""
    import io
    import pickle

    import torch

    class Program:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    buffer = io.BytesIO()
    torch.save(Program(), buffer)
    for blob in (buffer.getvalue(), pickle.dumps(Program(), protocol=2)):
        part = ("state", "json", "", "", blob)  # with the right digest
        change(folder, "UPDATE state SET value = ?, digest = ?", blob, digest(part))
        search = Search.resume(folder, identity_share)
        with pytest.raises(StoreError, match="the controller's state: "):
            search.run(1)
        search.store.close()
    assert not (tmp_path / "owned").exists()


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

    with pytest.raises(SettingsError, match="settings of Evaluator are stored as JSON"):
        new(tmp_path / "run", Evaluator())
    assert not (tmp_path / "run").exists()


def test_notes_and_provenance(tmp_path):
    import torch

    search = new(tmp_path / "run", notes={"who": "a student"})
    assert search.store.meta("who") == "a student"
    assert search.store.meta("nothing", "else") == "else"
    assert search.store.meta("provenance")["torch"].startswith(torch.__version__.split("+")[0])

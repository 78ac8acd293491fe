"""The shipped recordings are whole, are what their numbers say, and a new one is packed alike."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy
import pytest
from search_helpers import new

from nasworkbench import recordings
from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.recordings import experiments
from nasworkbench.recordings.experiments import END, FOLDER
from nasworkbench.search import History, Search, Store


def rows(folder, query):
    with closing(sqlite3.connect(Path(folder) / "search.sqlite")) as connection:
        return connection.execute(query).fetchall()


def test_the_names_are_the_files():
    files = Path(recordings.__file__).parent.glob("*.sqlite.xz")
    assert {p.name.removesuffix(".sqlite.xz") for p in files} == set(recordings.names())
    sizes = [p.stat().st_size for p in Path(recordings.__file__).parent.glob("*.xz")]
    assert sum(sizes) < 300_000


@pytest.mark.parametrize("name", recordings.names())
def test_a_recording_is_a_real_laptop_run(name):
    about = recordings.about(name)
    assert about["command"].startswith("nasworkbench search --tier laptop ")
    assert about["trials"] == 200
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", about["date"])
    assert {"python", "torch", "nasworkbench", "processor", "system"} <= about.keys()
    folder = recordings.folder(name)
    assert folder == recordings.folder(name)  # unpacked once
    found = rows(folder, "SELECT curves, seconds FROM trials WHERE status = 'ok' AND NOT cached")
    assert all(json.loads(curves)[-1]["validation_accuracy"] > 0 for curves, _ in found)
    assert len(found) > 150 and all(seconds > 0.1 for _, seconds in found)


@pytest.mark.parametrize("name", recordings.names())
def test_no_path_of_the_machine_is_in_it(name):
    with closing(sqlite3.connect(recordings.folder(name) / "search.sqlite")) as connection:
        dump = "\n".join(connection.iterdump())
    assert re.findall(r"(?<![\w.])/[a-z]+/[\w./]*|[A-Z]:\\\\", dump) == []


def test_the_controller_learnt_and_its_distributions_are_the_true_ones():
    """The float16 distributions give the exact log-probabilities of what was drawn."""
    with History(recordings.folder("laptop")) as history:
        table, updates = history.trials(), history.updates()
        entropies = []
        for number in table["number"]:
            drawn, trial = history.distributions(number), history.trial(number)
            assert drawn.sum(1) == pytest.approx(1.0, abs=5e-3)
            taken = drawn[numpy.arange(len(trial.tokens)), list(trial.tokens)]
            assert taken == pytest.approx(numpy.exp(trial.proposal.log_probs), rel=2e-3, abs=1e-6)
            logs = numpy.log(drawn, where=drawn > 0, out=numpy.zeros_like(drawn))
            entropies.append(-(drawn * logs).sum(1).mean())
    assert numpy.mean(entropies[-20:]) < 0.5 * numpy.mean(entropies[:20])
    assert table["reward"].iloc[-40:].mean() > table["reward"].iloc[:40].mean() + 0.1
    assert [update["numbers"] for update in updates] == [
        list(table["number"])[start : start + 20] for start in range(0, 200, 20)
    ]
    assert all(len(update["advantages"]) == 20 for update in updates)
    with History(recordings.folder("laptop-random")) as history:
        baseline = history.trials()
    assert table["reward"].max() > baseline["reward"].max()
    assert baseline["log_prob"].isna().all()


def test_an_unknown_name():
    with pytest.raises(StoreError, match="no recording 'lap-top'; the recordings are laptop and"):
        recordings.folder("lap-top")


def test_a_damaged_or_missing_file(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setitem(recordings.RECORDINGS, "other", "0" * 64)
    with pytest.raises(StoreError, match=r"cannot be read.*Install the library again"):
        recordings.folder("other")
    (tmp_path / "other.sqlite.xz").write_bytes(lzma.compress(b"something else"))
    with pytest.raises(StoreError, match=r"not the one that was shipped.*Install"):
        recordings.folder("other")


def test_the_unpacked_folder_is_gone_when_the_process_ends():
    code = (
        "from nasworkbench import recordings as r; f = r.folder('laptop'); "
        "print(f, (f / 'search.sqlite').stat().st_size)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder, size = run.stdout.split()
    assert int(size) > 300_000
    assert not Path(folder).parent.exists()


def test_packing(tmp_path, monkeypatch):
    search = new(tmp_path / "s")
    search.run(12)
    search.store.retrained(
        {"origin": "controller", "key": "k", "seed": 1, "genotype": "{}", "status": "ok"}
    )
    # what is still in the log of a search that is open is packed too
    digest = recordings.pack(tmp_path / "s", tmp_path / "own.sqlite.xz", "python own.py")
    packed = (tmp_path / "own.sqlite.xz").read_bytes()
    assert hashlib.sha256(packed).hexdigest() == digest
    monkeypatch.setattr(recordings, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setitem(recordings.RECORDINGS, "own", digest)
    folder = recordings.folder("own")
    assert os.listdir(folder) == ["search.sqlite"]
    kept = "SELECT * FROM trials ORDER BY number"
    assert rows(folder, kept) == rows(tmp_path / "s", kept)
    assert rows(folder, "SELECT count(*) FROM state") == [(0,)]
    assert rows(folder, "SELECT key FROM retrainings") == [("k",)]
    assert recordings.about("own")["command"] == "python own.py"
    with closing(Store(tmp_path / "s")) as store:
        assert store.meta("command") is None and store.state()[0]  # the run itself is unchanged


def test_packing_refuses(tmp_path):
    with pytest.raises(StoreError, match="holds no search"):
        recordings.pack(tmp_path, tmp_path / "x.sqlite.xz")
    new(tmp_path / "s")
    with pytest.raises(StoreError, match="cannot write the recording to"):
        recordings.pack(tmp_path / "s", tmp_path / "nowhere" / "x.sqlite.xz")


def test_a_recording_is_read_and_not_gone_on_with():
    with pytest.raises(StoreError, match="is a recording: it holds what was measured"):
        Search.resume(recordings.folder("laptop")).run(1)
    with History(recordings.folder("laptop")) as history:
        assert history.count == 200


# --- experiments --------------------------------------------------------------------------------

EXPERIMENTS = sorted(p.name.removesuffix(END) for p in FOLDER.glob(f"*{END}"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_whole(name):
    recorded = recordings.experiment(name)
    asked = {"question", "x", "measure", "more_is_better", "command", "date", "torch"}
    assert asked <= recorded.about.keys()
    assert f"{FOLDER.parents[1]}" not in json.dumps(recorded.about)
    shapes = {recorded.values(variant).shape for variant in recorded.names}
    assert len(recorded.names) > 1
    assert len(shapes) == 1  # the same seeds of all
    seeds, points = shapes.pop()
    assert points == len(recorded.points)
    assert seeds >= (1 if name.startswith("paper-space") else 30)  # those seeds take hours
    assert recorded.points == sorted(set(recorded.points))
    rows = recorded.rows()
    assert (rows["low"] <= rows["mean"]).all()
    assert (rows["mean"] <= rows["high"]).all()


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """An experiment of two seeds and three points, one of them without a number."""
    monkeypatch.setattr(experiments, "FOLDER", tmp_path)
    values = {"a": [[1, 2, 3], [3, 4, 5]], "b": [[0, 0, None], [1, 0, 7]]}
    stored = {"about": {"x": "steps"}, "points": [1, 10, 100], "values": values}
    (tmp_path / f"own{END}").write_bytes(lzma.compress(json.dumps(stored).encode()))
    return recordings.experiment("own")


def test_an_experiment_by_hand(recorded):
    assert recorded.names == ["a", "b"]
    assert recorded.values("a").tolist() == [[1, 2, 3], [3, 4, 5]]
    assert recorded.at("b", 1).tolist() == [0, 1]
    rows = recorded.rows()
    assert rows[["controller", "at", "mean"]].to_numpy().tolist() == [
        ["a", 1, 2], ["a", 10, 3], ["a", 100, 4], ["b", 1, 0.5], ["b", 10, 0],
    ]  # fmt: skip
    assert rows["low"].tolist() == [1, 2, 3, 0, 0]
    assert rows["high"].tolist() == [3, 4, 5, 1, 0]
    assert recorded.rows(["b"])["at"].tolist() == [1, 10]
    assert recorded.difference("a", "b", 1) == (1.5, 1, 2)  # by pairs: 1 and 2


def test_what_an_experiment_does_not_have(recorded):
    with pytest.raises(SettingsError, match="a variant of 'own' must be one of a and b"):
        recorded.values("c")
    with pytest.raises(SettingsError, match="a point of 'own' must be one of 1, 10 and 100"):
        recorded.at("a", 2)
    with pytest.raises(StoreError, match="the experiment must be one of own, got 'other'"):
        recordings.experiment("other")


@pytest.mark.parametrize(
    "data", [b"", b"{}", lzma.compress(b"{}"), lzma.compress(b'{"about": {}, "values": 3}'),
             lzma.compress(b'{"about": {}, "points": [1], "values": {"a": [[1, 2], [1]]}}')]
)  # fmt: skip
def test_a_damaged_experiment(recorded, data):
    (experiments.FOLDER / f"own{END}").write_bytes(data)
    with pytest.raises(StoreError, match="the experiment own cannot be read"):
        recordings.experiment("own")

"""``nasworkbench table``: building, interrupting, listing and looking into tables."""

import dataclasses
import hashlib
import importlib.util
import re
import signal
import subprocess
import sys
import time

import numpy
import pytest
from search_helpers import children, environment, gone_within
from table_helpers import small_table

from nasworkbench import Recipe, cli, tables
from nasworkbench.errors import TableError
from nasworkbench.executors import InlineExecutor
from nasworkbench.spaces import CellSpace
from nasworkbench.tables import TableSettings, building
from nasworkbench.tables.building import FILE

#: 10 different cells, each trained twice on 64 of the digits: 20 trainings of a few hundredths.
SETTINGS = TableSettings(
    name="tiny",
    space=CellSpace(1, ("identity", "avg_pool_3x3"), ("add",), tied=True),
    data={"name": "digits", "train_size": 64, "validation_size": 64},
    recipe=Recipe(epochs=1, batch_size=64, learning_rate=0.1, bn_momentum=0.3, clip_norm=None),
    cells=1,
    filters=2,
    seeds=2,
)
CELLS = 10


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(building.TABLES, "tiny", SETTINGS)
    monkeypatch.setenv("NASWORKBENCH_PROGRESS", "0")


@pytest.fixture
def inline(monkeypatch):
    """Train in this process; gives a list of what was trained, and can be cut short."""
    work = Inline()
    monkeypatch.setattr(building, "ProcessExecutor", work.executor)
    return work


class Inline:
    def __init__(self) -> None:
        self.trained: list[tuple[str, int]] = []
        self.interrupt_at: int | None = None
        self.fail_at: int | None = None

    def executor(self, train, workers):
        def work(genotype, seed):
            if len(self.trained) == self.interrupt_at:
                raise KeyboardInterrupt
            self.trained.append((genotype.key, seed))
            if len(self.trained) == self.fail_at:
                raise RuntimeError("this child cannot be trained")
            return train(genotype, seed)

        return InlineExecutor(work)


def command(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``nasworkbench table``."""
    capsys.readouterr()
    code = cli.main(["table", *map(str, arguments)])
    output = capsys.readouterr()
    return code, output.out, output.err


def build(capsys, folder, *arguments) -> tuple[int, str]:
    code, output, error = command(capsys, "build", "tiny", "--folder", folder, *arguments)
    assert error == ""
    return code, output


def equal(a, b) -> None:
    """Two tables, but for the seconds that their trainings took."""
    assert (a.keys, a.digest, a.seeds) == (b.keys, b.digest, b.seeds)
    assert numpy.array_equal(a.tokens, b.tokens)
    assert numpy.array_equal(a.test, b.test)
    assert numpy.array_equal(a.columns["parameters"], b.columns["parameters"])


# --- build --------------------------------------------------------------------------------------


def test_build_trains_writes_and_says_what_it_has(capsys, tmp_path, inline):
    code, output = build(capsys, tmp_path / "run")
    assert code == 0 and len(inline.trained) == 2 * CELLS
    path = tmp_path / "run" / "tiny.npz"
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    table = tables.read(path, checksum)
    lines = output.splitlines()
    assert lines[0] == "trainings left: 20"
    assert lines[-4:] == [
        "Table 'tiny': 10 architectures, 2 seeds",
        f"reliability: {tables.Reliability(**table.info['reliability'])}",
        f"{table.info['hours']:.2f} hours of training",
        f"{path}: {path.stat().st_size:,} bytes, SHA-256 {checksum}",
    ]
    assert lines[-3].startswith("reliability: 10 cells, 2 trainings each: intraclass correlation")
    assert table.info["provenance"]["torch"]
    assert table.info["complete"]

    # once more: nothing is left to train, and the file is the same to the byte
    code, output = build(capsys, tmp_path / "run", "-o", tmp_path / "again.npz")
    assert code == 0 and len(inline.trained) == 2 * CELLS
    assert "left" not in output and checksum in output
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_an_interrupted_build_goes_on(capsys, tmp_path, inline):
    build(capsys, tmp_path / "whole")
    inline.trained.clear()
    inline.interrupt_at = 13
    code, output = build(capsys, tmp_path / "cut")
    assert code == 130
    assert output.splitlines()[-1] == "interrupted; all is saved. Go on with the same command"
    assert not (tmp_path / "cut" / "tiny.npz").exists()
    assert len((tmp_path / "cut" / FILE).read_text().splitlines()) == 1 + 13
    inline.interrupt_at = None
    code, output = build(capsys, tmp_path / "cut")
    assert code == 0
    # how long it takes is known from those that are done
    assert re.match(r"trainings left: 7 \(about [\d.]+ (s|min)\)\n", output)
    assert sorted(inline.trained) == sorted(
        (k, s) for k in SETTINGS.space.unique.keys for s in (0, 1)
    )
    equal(*(tables.read(tmp_path / name / "tiny.npz") for name in ("whole", "cut")))


def test_fewer_cells_then_more_and_other_seeds(capsys, tmp_path, inline):
    code, output = build(capsys, tmp_path, "--cells", 4, "--seeds", 1)
    assert code == 0 and output.startswith("trainings left: 4\n")
    assert "Table 'tiny': 4 architectures (not all of its space), 1 seed\n" in output
    assert "reliability: unknown, as each architecture has been trained once" in output
    code, output = build(capsys, tmp_path, "--cells", 6, "--seeds", 3)
    assert output.startswith("trainings left: 14 (about ")
    table = tables.read(tmp_path / "tiny.npz")
    assert (len(table), table.seeds) == (6, 3)
    assert len(set(inline.trained)) == len(inline.trained) == 18


def test_a_cell_that_cannot_be_trained_is_left_out(capsys, tmp_path, inline):
    inline.fail_at = 3
    code, output = build(capsys, tmp_path)
    assert code == 0
    assert "Table 'tiny': 9 architectures (not all of its space)" in output
    assert "cells left out, because a training failed: 1\n" in output
    code, output, _ = command(capsys, "info", tmp_path / "tiny.npz")
    assert "9 of its 10 different architectures" in output
    assert re.search(rf"^failed +{inline.trained[2][0]}$", output, re.M)


def test_worker_processes_give_the_same_table(capsys, tmp_path, inline, monkeypatch):
    build(capsys, tmp_path / "inline", "--cells", 2, "--seeds", 1)
    monkeypatch.undo()
    monkeypatch.setitem(building.TABLES, "tiny", SETTINGS)
    arguments = ["--cells", 2, "--seeds", 1, "--workers", 1]
    code, output = build(capsys, tmp_path / "processes", *arguments)
    assert code == 0 and output.startswith("trainings left: 2\n")
    equal(*(tables.read(tmp_path / name / "tiny.npz") for name in ("inline", "processes")))


def test_ctrl_c_ends_the_workers_and_keeps_what_is_done(tmp_path):
    """The signal itself, in the middle of the trainings of a process."""
    script = (
        "import sys, test_table_cli as t\n"
        "t.building.TABLES['tiny'] = t.dataclasses.replace(t.SETTINGS, seeds=200)\n"
        f"sys.exit(t.cli.main(['table', 'build', 'tiny', '--folder', {str(tmp_path)!r}, "
        "'--workers', '1']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 120
        records = tmp_path / FILE
        while not records.exists() or records.read_bytes().count(b"\n") < 4:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.02)
        workers = children(process.pid)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.startswith("trainings left: 2,000\n")
    assert output.splitlines()[-1] == "interrupted; all is saved. Go on with the same command"
    assert workers and gone_within(workers, 10)
    with tables.building.Records(records, SETTINGS.settings()) as kept:
        assert len(kept.results) >= 3
        assert all(result["status"] == "ok" for result in kept.results.values())


# --- list and info ------------------------------------------------------------------------------


def test_list_says_what_is_here(capsys, monkeypatch):
    monkeypatch.setattr(tables, "names", lambda: ("small", "lost", "graph-cora"))

    def load(name):
        if name == "lost":
            raise TableError("cannot read the table lost.npz")
        return small_table(7)

    monkeypatch.setattr(tables, "load", load)
    code, output, _ = command(capsys, "list")
    assert code == 0
    small, lost, graph = (line.split(maxsplit=2) for line in output.splitlines())
    assert small == ["small", "here", "7 architectures (not all of its space), 3 seeds"]
    assert lost == ["lost", "missing", "cannot read the table lost.npz"]
    assert graph[2].startswith("graph networks on cora, NAS-Bench-Graph")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    _, output, _ = command(capsys, "list")
    graph = output.splitlines()[-1].split(maxsplit=2)
    assert graph[:2] == ["graph-cora", "missing"]
    assert graph[2].endswith('pip install "nasworkbench[graphs]"')


def test_list_names_every_table(capsys):
    code, output, _ = command(capsys, "list")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == list(tables.names())


def test_info_shows_the_best_and_the_median(capsys, tmp_path):
    table = small_table(hours=1.5, settings={"recipe": {"epochs": 9}}, failed=[], architectures=441)
    tables.save(table, tmp_path / "small.npz")
    code, output, _ = command(capsys, "info", tmp_path / "small.npz")
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == "Table 'small': 441 architectures, 3 seeds"
    assert lines[1] == repr(table.space)
    assert lines[2] == "441 of its 441 different architectures"
    assert lines[3] == f"reliability: {tables.reliability(table.validation)}"
    fields = dict(re.split(r"\s{2,}", line) for line in lines[5:10] if line)
    assert fields == {
        "hours": "1.5",
        "settings.recipe.epochs": "9",
        "failed": "none",
        "digest": table.digest,
    }
    start = next(n for n, line in enumerate(lines) if line.split()[:1] == ["rank"])
    assert lines[start].split() == ["rank", "validation", "parameters", "key"]
    rows = [line.split(maxsplit=3) for line in lines[start + 1 :]]
    median = sorted(range(441), key=lambda row: -table.mean_validation[row])[220]
    for shown, row in zip(rows, [*table.best(5), median], strict=True):
        rank, validation, parameters, key = shown
        assert int(rank) == table.ranks[row]
        assert validation == f"{table.mean_validation[row]:.4f}"
        assert parameters == f"{1000 + row:,}"
        assert key == table.keys[row] + (" (the median)" if row == median else "")
    assert rows[-1][0] == "221"


def test_info_shows_test_only_when_asked(capsys, tmp_path, monkeypatch):
    table = small_table()
    read = []
    sealed = dataclasses.replace(table, read_test=lambda: read.append(1) or table.test)
    monkeypatch.setattr(tables, "names", lambda: ("small",))
    monkeypatch.setattr(tables, "load", lambda name: sealed)
    code, output, _ = command(capsys, "info", "small")
    assert code == 0 and not read
    assert f"{table.mean_test[table.best()[0]]:.4f}" not in output
    code, output, _ = command(capsys, "info", "small", "--test")
    assert code == 0 and read
    title = next(line for line in output.splitlines() if line.split()[:1] == ["rank"])
    assert title.split() == ["rank", "validation", "test", "parameters", "key"]
    first = output.splitlines()[output.splitlines().index(title) + 1].split()
    assert first[2] == f"{table.mean_test[table.best()[0]]:.4f}"


def test_info_of_the_smallest_table(capsys, tmp_path):
    """One cell without further columns: it is the best and the median."""
    table = dataclasses.replace(small_table(1), columns={})
    tables.save(table, tmp_path / "one.npz")
    code, output, _ = command(capsys, "info", tmp_path / "one.npz", "--test")
    assert code == 0
    assert "reliability: unknown, as there are too few architectures" in output
    row = output.splitlines()[-1].split(maxsplit=3)
    assert row == ["1", f"{table.mean_validation[0]:.4f}", f"{table.mean_test[0]:.4f}",
                   f"{table.keys[0]} (the median)"]  # fmt: skip


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["build", "cellz"], 2, "the table to build must be one of cells and tiny, got 'cellz'"),
        (["build", "tiny", "--cells", "0"], 2, "cells must be a whole number from 1 to 10, got 0"),
        (["build", "tiny", "--cells", "11"], 2, "from 1 to 10, got 11"),
        (["build", "tiny", "--seeds", "0"], 2, "seeds must be a whole number from 1, got 0"),
        (["build", "tiny", "--workers", "0"], 2, "'--workers': 0 is not in the range"),
        (["build", "tiny", "-o", "x.csv"], 2, "--output must be a file NAME.npz, got 'x.csv'"),
        (["build", "tiny", "-o", "nowhere/x.npz"], 1, "there is no folder nowhere"),
        (["build", "tiny", "--cells", "many"], 2, "many"),
        (["info", "cellz"], 2, "there is no table 'cellz'"),
        (["info", "lost.npz"], 1, "cannot read the table lost.npz"),
        (["info"], 2, "NAME"),
        (["find"], 2, "find"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(
    capsys, tmp_path, monkeypatch, inline, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    found, _, error = command(capsys, *arguments)
    assert found == code and words in error
    assert error.startswith("nasworkbench: ") and error.count("\n") == 1
    assert not inline.trained
    assert not list(tmp_path.rglob("*.npz"))


def test_folders_and_files_that_are_something_else(capsys, tmp_path, inline, monkeypatch):
    build(capsys, tmp_path / "run", "--cells", 2, "--seeds", 1)
    other = dataclasses.replace(SETTINGS, filters=4)
    monkeypatch.setitem(building.TABLES, "tiny", other)
    code, _, error = command(capsys, "build", "tiny", "--folder", tmp_path / "run")
    assert code == 1 and "holds results of other work: filters is 2 there and 4 here" in error
    monkeypatch.setitem(building.TABLES, "tiny", SETTINGS)

    path = tmp_path / "run" / "tiny.npz"
    path.write_bytes(path.read_bytes()[:-100])
    code, _, error = command(capsys, "info", path)
    assert code == 1 and "is damaged or not a table" in error and error.count("\n") == 1

    records = tmp_path / "run" / FILE
    records.write_text(records.read_text().replace('"status"', "'status'"))
    code, _, error = command(capsys, "build", "tiny", "--folder", tmp_path / "run")
    assert code == 1 and "is damaged" in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["build", "list", "info"])
def test_every_command_has_help(capsys, name):
    code, output, _ = command(capsys, name, "--help")
    assert code == 0 and f"nasworkbench table {name}" in output
    code, output, _ = command(capsys, "--help")
    assert code == 0 and name in output

"""NAS-Bench-Graph's tables: the published numbers, and files that are not to be trusted."""

import hashlib
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
from nas_bench_graph.architecture import Arch

from nasworkbench import tables
from nasworkbench.errors import TableError, WorkbenchError
from nasworkbench.nas_bench_graph import (
    GRAPH_OPERATIONS,
    GRAPH_TABLES,
    PROTEINS_OPERATIONS,
    GraphArchitecture,
    load_graph_table,
)
from nasworkbench.nas_bench_graph.table import read_records

LIGHT = Path(importlib.util.find_spec("nas_bench_graph").origin).parent / "light"


def trusted(name):
    """The published file, as pickle itself reads it; no other one is unpickled."""
    data = (LIGHT / f"{name.removeprefix('graph-')}.bench").read_bytes()
    assert hashlib.sha256(data).hexdigest() == GRAPH_TABLES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it names numpy.core
        return pickle.loads(data)


def read_known(file):
    """A file whose checksum is taken for the published one: what it holds is still not trusted."""
    return read_records(file, hashlib.sha256(file.read_bytes()).hexdigest())


@pytest.fixture(scope="module")
def arxiv():
    return load_graph_table("graph-arxiv")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder that is taken for the package; it holds the file of proteins."""
    (tmp_path / "light").mkdir()
    shutil.copy(LIGHT / "proteins.bench", tmp_path / "light")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return tmp_path / "light" / "proteins.bench"


# --- the numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPH_TABLES)
def test_every_table_holds_the_published_numbers(name):
    table, published = tables.load(name), trusted(name)
    rows = 2_021 if name == "graph-proteins" else 26_206
    assert len(table) == len(published) == rows and table.seeds == 1 and table.name == name
    order = [published[code] for code in published]
    assert table.validation[:, 0].tolist() == [record["valid_perf"] for record in order]
    assert table.test[:, 0].tolist() == [record["perf"] for record in order]
    assert table.columns["latency"].tolist() == [record["latency"] for record in order]
    millions = numpy.array([record["para"] for record in order])
    assert table.columns["parameters"].dtype == numpy.int64
    assert abs(table.columns["parameters"] - 1e6 * millions).max() < 0.5
    assert table.info["licence"] == "Apache-2.0" and table.info["version"] == "1.4.0"
    assert table.info["complete"] and "four skips" in table.info["except"]


@pytest.mark.parametrize("name", ["graph-cora", "graph-proteins"])
def test_an_architecture_has_the_numbers_of_its_code(name):
    """By way of the authors' own code for each architecture, not of the order in the file."""
    table, published = load_graph_table(name), trusted(name)
    codes = set()
    for row, key in enumerate(table.keys):
        architecture = table.genotype(row)
        code = Arch(list(architecture.wiring), list(architecture.operations)).valid_hash()
        assert table.validation[row, 0] == published[code]["valid_perf"]
        assert architecture.key == key
        codes.add(code)
    assert codes == published.keys()


def test_facts_of_arxiv(arxiv):
    best = arxiv.best()[0]
    assert arxiv.validation[best, 0] == arxiv.validation.max() == 0.7366666666666667
    assert arxiv.ranks[best] == 1 and arxiv.genotype(best).key in arxiv
    assert arxiv.space.operations == GRAPH_OPERATIONS
    assert load_graph_table("graph-proteins").space.operations == PROTEINS_OPERATIONS


def test_every_class_of_the_space_is_there_but_one(arxiv):
    proteins = load_graph_table("graph-proteins")
    assert set(proteins.space.unique.keys) - set(proteins.keys) == {"input"}
    nothing = GraphArchitecture((0, 1, 2, 3), 4 * ("skip",))
    for table in (arxiv, proteins):
        assert nothing.key not in table
        with pytest.raises(TableError, match="'input' is not among"):
            table.row(nothing.key)


@pytest.mark.parametrize("first", ["nas_bench_graph.table", "nas_bench_graph", "tables.loading"])
def test_package_and_tables_can_be_imported_in_any_order(first):
    code = (
        f"import nasworkbench.{first}; from nasworkbench import tables, nas_bench_graph as graph; "
        "assert tables.load_graph_table is graph.load_graph_table; print(tables.names()[-1])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "graph-pubmed\n"


def test_loading_neither_imports_the_package_nor_warns(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("nas_bench_graph")]:
        monkeypatch.delitem(sys.modules, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = load_graph_table("graph-proteins")
        assert table.test.shape == (2_021, 1)
    assert not any(name.startswith("nas_bench_graph") for name in sys.modules)


def test_a_table_can_be_sent_to_another_process():
    table = load_graph_table("graph-proteins")
    sent = pickle.loads(pickle.dumps(table))
    assert sent.keys == table.keys and (sent.test == table.test).all()


def test_the_test_values_are_read_when_they_are_asked_for(package):
    table = load_graph_table("graph-proteins")
    assert table.validation.max() == 0.8533333333333334
    package.unlink()
    with pytest.raises(TableError, match=r"cannot read the table .*proteins\.bench.*pip install"):
        _ = table.test


# --- names --------------------------------------------------------------------------------------


def test_names():
    assert set(GRAPH_TABLES) <= set(tables.names())
    assert len(GRAPH_TABLES) == 9 == len(list(LIGHT.glob("*.bench")))
    for name in ("arxiv", "graph-mutag", None, ["graph-arxiv"]):
        with pytest.raises(TableError, match=r"there is no table .*graph-arxiv, .*graph-pubmed"):
            tables.load(name)
        with pytest.raises(TableError, match=r"table .* one of graph-arxiv, .*graph-pubmed"):
            load_graph_table(name)


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        WorkbenchError, match=r'nas_bench_graph.*pip install "nasworkbench\[graphs]"'
    ):
        tables.load("graph-arxiv")


# --- files that are not to be trusted -------------------------------------------------------------


class Calls:
    """Pickled, it asks to call the function when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(marker):
    touch = f"open({str(marker)!r}, 'w').close()"
    yield pickle.dumps(Calls(os.system, f"touch {marker}"), 3), "posix.system"
    yield pickle.dumps(Calls(eval, touch), 3), "builtins.eval"
    yield pickle.dumps(Calls(exec, touch), 0), "__builtin__.exec"
    yield pickle.dumps({0: Calls(exec, touch)}, 5), "builtins.exec"


def test_a_pickle_that_calls_something_is_refused(tmp_path):
    marker, file = tmp_path / "marker", tmp_path / "evil.bench"
    for data, asked in attacks(marker):
        file.write_bytes(data)
        with pytest.raises(TableError, match=rf"evil\.bench is damaged.*asks for {asked}"):
            read_known(file)
        assert not marker.exists()
        pickle.loads(data)  # the attack is real
        assert marker.exists()
        marker.unlink()


def test_a_file_that_was_exchanged_is_not_unpickled(package):
    marker = package.parent / "marker"
    for data, _ in attacks(marker):
        package.write_bytes(data)
        with pytest.raises(
            TableError, match=r"SHA-256 must be b9e7fb09.*, got [0-9a-f]{64}\..*pip"
        ):
            load_graph_table("graph-proteins")
        assert not marker.exists()


def test_a_changed_or_truncated_file_is_refused(package):
    data = package.read_bytes()
    changed = bytearray(data)
    changed[1000] ^= 1
    for wrong in (bytes(changed), data[:-1], data[: len(data) // 2], b"", data + b"."):
        package.write_bytes(wrong)
        with pytest.raises(TableError, match="cut short or changed"):
            load_graph_table("graph-proteins")
    package.unlink()
    with pytest.raises(TableError, match="cannot read the table"):
        load_graph_table("graph-proteins")


def old_numpy(value):
    """A pickle of a numpy value as numpy 1 wrote it."""
    data = pickle.dumps(value, 3)
    return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


FLOAT = old_numpy(numpy.float64(0.5))
ENTRY = {"valid_perf": 0.5, "perf": 0.5, "latency": 0.1, "para": 0.1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (old_numpy(numpy.float32(0.5)), "asks for the dtype .*'f4'"),
        (old_numpy(numpy.int64(1)), "asks for the dtype .*'i8'"),
        (old_numpy(numpy.array([None, 1])), "asks for numpy.core.multiarray._reconstruct"),
        (pickle.dumps(numpy.dtype("O"), 3), "asks for the dtype .*'O8'"),
        (pickle.dumps(numpy.dtype([("a", "f8")]), 3), "asks for the dtype"),
        (FLOAT.replace(b"X\x01\x00\x00\x00<", b"X\x01\x00\x00\x00>"), "64-bit floats of another"),
        (FLOAT.replace(b"C\x08", b"C\x07").replace(b"\xe0?", b"?"), "requires a buffer of 8"),
        (b"\x80\x03cnumpy.core.multiarray\nscalar\nK\x01C\x00\x86R.", "not a 64-bit float"),
        (b"\x80\x03cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb.", "floats of another kind"),
        (b"\x80\x03cnumpy.core.multiarray\nscalar\n}X\x01\x00\x00\x00aK\x01sb.", "attribute"),
        (b"\x80\x03cnumpy.core.multiarray\nscalar\nN}X\x01\x00\x00\x00aK\x01s\x86b.", "attribute"),
        (b"\x80\x03cnumpy\ndtype\n)\x81.", "UnpicklingError|TypeError"),
        (b"\x80\x03Pname\n.", "persistent"),
        (b"\x80\x03\x82\x01.", "extension"),
        (pickle.dumps({0: ENTRY})[:-4], "UnpicklingError|EOFError"),
        (b"", "EOFError"),
        (b"not a pickle", "UnpicklingError"),
        (pickle.dumps([ENTRY]), "does not hold a dict of architectures"),
        (pickle.dumps({}), "does not hold a dict of architectures"),
        (pickle.dumps({"0": ENTRY}), "entry '0' does not hold the numbers valid_perf, perf"),
        (pickle.dumps({True: ENTRY}), "entry True"),
        (pickle.dumps({0: 0.5}), "entry 0 does not hold"),
        (pickle.dumps({7: ENTRY | {"perf": "0.5"}}), "entry 7 does not hold"),
        (pickle.dumps({7: {"valid_perf": 0.5}}), "entry 7 does not hold"),
        (pickle.dumps({10**30: ENTRY}), "is not the code of an architecture"),
        (pickle.dumps({90000: ENTRY}), "90000 is not the code of an architecture"),
        (pickle.dumps({-1: ENTRY}), "-1 is not the code of an architecture"),
    ],
)
def test_content_that_is_no_table_is_refused(tmp_path, data, message):
    file = tmp_path / "odd.bench"
    file.write_bytes(data)
    with pytest.raises(
        TableError, match=rf"(?s)odd\.bench is damaged or not a table.*{message}"
    ) as e:
        read_known(file)
    assert "pip install --force-reinstall nas-bench-graph==1.4.0" in str(e.value)


def test_numbers_are_read_as_pickle_reads_them(tmp_path):
    records = {12345: ENTRY, 0: {name: numpy.float64(k / 7) for k, name in enumerate(ENTRY)}}
    file = tmp_path / "good.bench"
    file.write_bytes(old_numpy(records))
    assert read_known(file) == records


def test_codes_of_other_operations_are_not_in_the_space(package, monkeypatch):
    """89999 has a digit beyond the nine operations, 80000 an operation beyond the five."""
    monkeypatch.setitem(GRAPH_TABLES, "graph-proteins", None)  # as if it had been published so
    for code in (89999, 80000):
        package.write_bytes(pickle.dumps({code: ENTRY}))
        with pytest.raises(
            TableError, match=rf"the code {code} is not an architecture of GraphSpace\(5"
        ):
            load_graph_table("graph-proteins")

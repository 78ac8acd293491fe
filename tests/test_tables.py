"""Tables in memory and as files: what they refuse, what they rank, what they never read."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import zipfile
from fractions import Fraction

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasworkbench.errors import TableError
from nasworkbench.spaces import CellSpace
from nasworkbench.spaces.base import Space
from nasworkbench.tables import Table, read, save

SPACE = CellSpace(1, ("identity", "conv_1x1"), "add", tied=True)
UNIQUE = SPACE.unique
N = len(UNIQUE)  # 10
BRIEF = settings(max_examples=100, deadline=None, derandomize=True)


def untouched():
    raise AssertionError("the test accuracies were read")


def table(validation=None, test=None, **changes):
    """A table of all ten unique architectures with two seeds, unless told otherwise."""
    generator = numpy.random.default_rng(1)
    accuracies = generator.integers(0, 481, (2, N, 2)) / 480
    arguments = {
        "name": "ten",
        "space": SPACE,
        "tokens": numpy.array(UNIQUE.tokens, dtype=numpy.uint8),
        "keys": UNIQUE.keys,
        "validation": accuracies[0] if validation is None else validation,
        "read_test": lambda: accuracies[1] if test is None else test,
        "columns": {
            "parameters": generator.integers(1000, 9999, N).astype(numpy.int32),
            "seconds": generator.random((N, 2)).astype(numpy.float32),
        },
        "info": {"complete": True, "settings": {"filters": 2}, "failed": [], "hours": 0.25},
    }
    return Table(**arguments | changes)


def with_value(array, place, value):
    array = array.copy()
    array[place] = value
    return array


GOOD = table()


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [numpy.nan, -0.001, 1.001, numpy.inf, -numpy.inf])
def test_accuracies_out_of_range(value):
    wrong = with_value(GOOD.validation, (3, 1), value)
    with pytest.raises(TableError) as raised:
        table(wrong)
    text = str(raised.value)
    assert f"table ten: key {UNIQUE.keys[3]}: the validation accuracies" in text
    assert str(value).lstrip("-") in text
    assert "numbers from 0 to 1" in text


def test_accuracies_at_the_ends():
    assert table(with_value(GOOD.validation, 0, [0.0, 1.0])).validation[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (with_value(GOOD.validation, (3, 1), numpy.nan), (UNIQUE.keys[3], "test accuracies")),
        (GOOD.validation[:-1], ("test must have one or more rows", "of the 10 keys", "(9, 2)")),
        (GOOD.validation[:, 0], ("test must have a column for each seed", "(10,)")),
        (GOOD.validation[:, :1], ("test has 1 seeds, validation 2",)),
        (GOOD.validation.tolist(), ("test must be a numpy array of numbers, got list",)),
    ],
)
def test_faults_of_test_show_when_it_is_used(wrong, parts):
    found = table(test=wrong)
    for use in (lambda: found.test, lambda: found.mean_test):
        with pytest.raises(TableError) as raised:
            use()
        assert all(part in str(raised.value) for part in ("table ten", *parts))
    assert found.best(N)  # without the test accuracies it is as good as any


TOKENS = GOOD.tokens


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"validation": GOOD.validation[:-1]},
            ("validation must have one or more rows", "10 keys", "(9, 2)"),
        ),
        ({"validation": GOOD.validation[:, :0]}, ("a column for each seed", "(10, 0)")),
        ({"validation": GOOD.validation[:, 0]}, ("validation must have", "(10,)")),
        ({"validation": GOOD.validation.tolist()}, ("validation must be a numpy", "got list")),
        ({"validation": GOOD.validation.astype(str)}, ("numbers, got <U",)),
        ({"validation": GOOD.validation.astype(object)}, ("numbers, got object",)),
        ({"keys": ()}, ("tokens must have one or more rows, one for each of the 0 keys",)),
        ({"keys": UNIQUE.keys[:-1]}, ("tokens must have one or more rows", "(10, 5)", "9 keys")),
        ({"keys": (*UNIQUE.keys[:-1], UNIQUE.keys[2])}, (UNIQUE.keys[2], "occurs 2 times")),
        ({"keys": UNIQUE.keys[::-1]}, ("row 0: its tokens decode to the key", UNIQUE.keys[-1])),
        ({"tokens": TOKENS[:, :-1]}, ("tokens are of another space", "(10, 4)", "5 decisions")),
        ({"tokens": TOKENS[:, :, None]}, ("of another space", "(10, 5, 1)")),
        ({"tokens": TOKENS.astype(float)}, ("tokens must be a numpy array of whole", "float64")),
        ({"tokens": TOKENS.tolist()}, ("tokens must be a numpy array of whole", "got list")),
        (
            {"tokens": with_value(TOKENS, (4, 2), 2)},
            ("row 4: [", "is not a token sequence of CellSpace"),
        ),
        (
            {"tokens": with_value(TOKENS.astype(int), (4, 0), -1)},
            ("row 4: [-1, ", "is not a token sequence of CellSpace"),
        ),
        ({"space": CellSpace(2, SPACE.operations, "add", tied=True)}, ("of another space",)),
        (
            {"space": CellSpace(1, SPACE.operations[::-1], "add", tied=True)},
            ("row 0: its tokens decode to the key", "of another space than CellSpace"),
        ),
        ({"columns": {"seconds": numpy.ones(9)}}, ("seconds must have one or more rows", "(9,)")),
        ({"columns": {"seconds": numpy.ones(())}}, ("seconds must have one or more rows", "()")),
        ({"columns": {"names": numpy.array(["a"] * 10)}}, ("names must be a numpy array", "<U1")),
        ({"columns": {"seconds": [1.0] * 10}}, ("seconds must be a numpy array", "got list")),
    ],
)
def test_tables_that_cannot_be(changes, parts):
    with pytest.raises(TableError) as raised:
        table(**changes)
    assert all(part in str(raised.value) for part in ("table ten", *parts)), raised.value


# --- looking up ---------------------------------------------------------------------------------


def test_rows():
    assert len(GOOD) == N
    for row, key in enumerate(UNIQUE.keys):
        assert key in GOOD
        assert GOOD.row(key) == row
        assert GOOD.genotype(row).key == key
    for tokens in SPACE.token_sequences():  # every token sequence leads to a row
        assert GOOD.genotype(GOOD.row(SPACE.decode(tokens).key)).key == SPACE.decode(tokens).key
    assert GOOD.seeds == 2
    assert table(GOOD.validation[:, :1]).seeds == 1


def part(rows):
    """Only these rows, and it says that it is not complete."""
    return table(
        GOOD.validation[rows],
        tokens=TOKENS[rows],
        keys=tuple(UNIQUE.keys[row] for row in rows),
        columns={},
        info={},
    )


def test_key_that_is_not_there():
    for known, key in ((part([1, 2]), UNIQUE.keys[0]), (GOOD, "0" * 20)):
        assert key not in known
        with pytest.raises(TableError) as raised:
            known.row(key)
        text = str(raised.value)
        assert f"the architecture with key {key!r} is not among the {len(known)}" in text
        assert "the table 'ten'" in text
        assert repr(SPACE) in text
        assert "Search that space" in text
        assert "TableEvaluator(table, missing='fail')" in text


@pytest.mark.parametrize("wrong", [GOOD.genotype(0), 3, None, ["a"]])
def test_what_is_no_key(wrong):
    with pytest.raises(TableError) as raised:
        GOOD.row(wrong)
    text = str(raised.value)
    assert "genotype.key" in text
    assert UNIQUE.keys[0] in text
    assert type(wrong).__name__ in text
    assert len(text) < 150


def test_repr():
    assert repr(GOOD) == "Table 'ten': 10 architectures, 2 seeds"
    assert repr(part([1])) == "Table 'ten': 1 architectures (not all of its space), 2 seeds"
    assert repr(table(GOOD.validation[:, :1])) == "Table 'ten': 10 architectures, 1 seed"


# --- ranks --------------------------------------------------------------------------------------

HITS = st.lists(st.lists(st.integers(0, 480), min_size=3, max_size=3), min_size=N, max_size=N)
FEW_HITS = st.lists(st.permutations([100, 101, 333]), min_size=N, max_size=N)


@BRIEF
@given(st.one_of(HITS, FEW_HITS))
def test_ranks_and_best_against_exact_means(hits):
    """Of 480 images so many are right: with fractions nothing is rounded."""
    found = table(numpy.array(hits) / 480)
    means = [Fraction(sum(row), 3 * 480) for row in hits]
    ranks = [1 + sum(other > mean for other in means) for mean in means]
    assert found.ranks.tolist() == ranks
    order = sorted(range(N), key=lambda row: (-means[row], row))  # equals in the order of rows
    for count in (1, 3, N):
        assert found.best(count) == order[:count]
    assert found.best() == order[:1]
    assert numpy.allclose(found.mean_validation, [float(mean) for mean in means], rtol=0, atol=1e-9)
    assert len(set(found.mean_validation.tolist())) == len(set(means))  # equals are equal


def test_same_accuracies_in_another_order_are_equal():
    """Added in another order, 0.1 + 0.2 + 0.3 is another float."""
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    values = numpy.zeros((N, 3))
    values[0], values[1], values[2] = (0.1, 0.2, 0.3), (0.3, 0.2, 0.1), (0.2, 0.2, 0.2)
    assert table(values).ranks.tolist() == [1, 1, 1] + 7 * [4]


# --- what does not read the test accuracies ------------------------------------------------------


def test_frame():
    frame = GOOD.frame()
    assert list(frame.columns) == ["key", "validation", "rank", "parameters", "seconds"]
    assert list(frame.key) == list(GOOD.keys)
    assert list(frame.validation) == GOOD.mean_validation.tolist()
    assert list(frame["rank"]) == GOOD.ranks.tolist()
    assert list(frame.parameters) == GOOD.columns["parameters"].tolist()
    assert list(frame.seconds) == GOOD.columns["seconds"].mean(1).tolist()
    with_test = GOOD.frame(test=True)
    assert list(with_test.test) == GOOD.mean_test.tolist()
    assert with_test.drop(columns="test").equals(frame)


def test_test_accuracies_are_read_once_and_only_when_used():
    calls = []

    def read_test():
        calls.append(1)
        return GOOD.test

    found = table(read_test=read_test)
    found.best(3)
    assert found.row(found.keys[2]) == 2
    _ = found.ranks, found.digest, found.mean_validation, found.seeds, repr(found)
    assert calls == []
    assert numpy.array_equal(found.test, GOOD.test)
    assert numpy.array_equal(found.mean_test, found.test.mean(1).round(12))
    assert calls == [1]


def test_digest_tells_tables_apart():
    assert GOOD.digest == table().digest
    assert len(GOOD.digest) == 12
    other = with_value(GOOD.validation, (9, 1), 0.123)
    swapped = GOOD.validation[:, ::-1]  # the same means
    digests = {table(values).digest for values in (GOOD.validation, other, swapped)}
    assert len(digests | {part([1, 2]).digest, part([2, 1]).digest}) == 5
    assert table(read_test=untouched).digest == GOOD.digest


# --- files --------------------------------------------------------------------------------------


def same(a, b):
    """Whether two arrays are the same to the bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def assert_same(a, b):
    assert (a.name, a.keys, dict(a.info)) == (b.name, b.keys, dict(b.info))
    assert a.space.settings() == b.space.settings()
    for name in ("tokens", "validation", "test"):
        assert same(getattr(a, name), getattr(b, name)), name
    assert a.columns.keys() == b.columns.keys()
    assert all(same(a.columns[name], b.columns[name]) for name in a.columns)
    assert a.digest == b.digest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ten.npz"


def test_file_gives_the_table_back(path):
    checksum = save(GOOD, path)
    assert checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    for found in (read(path), read(path, checksum), read(str(path), checksum)):
        assert_same(found, GOOD)
    with numpy.load(path, allow_pickle=False) as archive:  # it is numpy's own format
        assert same(archive["validation"], GOOD.validation)


FLOATS = st.floats(0, 1, width=64)


@BRIEF
@given(st.lists(FLOATS, min_size=N, max_size=N), st.sampled_from(["<f8", "<f4", "<f2", ">f8"]))
def test_accuracies_come_back_to_the_bit(tmp_path_factory, values, kind):
    path = tmp_path_factory.mktemp("bits") / "ten.npz"
    array = numpy.array(values).reshape(N, 1).astype(kind)
    save(table(array, array[::-1]), path)
    found = read(path)
    assert same(found.validation, array)
    assert same(found.test, array[::-1])


def test_space_with_many_choices(path):
    """More than a byte can number."""
    space = CellSpace(1, ("identity",), "add", inputs=300, tied=True)
    sequences = [(299, 256, 0, 0, 0), (0, 255, 0, 0, 0)]
    keys = tuple(space.decode(tokens).key for tokens in sequences)
    tokens, accuracies = numpy.array(sequences, dtype=numpy.int16), numpy.array([[0.5], [0.6]])
    save(Table("wide", space, tokens, keys, accuracies, lambda: accuracies), path)
    assert read(path).tokens.tolist() == [list(tokens) for tokens in sequences]


def test_same_table_same_bytes(path, tmp_path, monkeypatch):
    first = save(GOOD, path)
    monkeypatch.setattr("time.time", lambda: 2e9)
    shuffled = dataclasses.replace(GOOD, columns=dict(reversed(GOOD.columns.items())))
    assert save(shuffled, tmp_path / "again.npz") == first
    assert save(read(path), path) == first
    assert save(table(with_value(GOOD.validation, (0, 0), 0.3)), path) != first


def test_read_leaves_the_test_accuracies_alone(path):
    save(GOOD, path)
    found = read(path)
    calls = []
    inner = found.read_test
    found = dataclasses.replace(found, read_test=lambda: calls.append(1) or inner())
    _ = found.ranks, found.best(3), found.digest
    assert calls == []
    assert same(found.test, GOOD.test)
    damaged = rewritten(path, {"test": with_value(GOOD.test, (0, 0), numpy.nan)})
    found = read(damaged)  # not read yet
    with pytest.raises(TableError, match="the test accuracies"):
        _ = found.test


def test_table_travels_to_other_processes(path):
    save(GOOD, path)
    found = read(path)
    sent = pickle.loads(pickle.dumps(found))
    assert "test" not in vars(sent)
    assert_same(sent, found)


# --- files that are damaged ---------------------------------------------------------------------


def test_another_checksum(path):
    save(GOOD, path)
    with pytest.raises(TableError) as raised:
        read(path, "0" * 64)
    text = str(raised.value)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(part in text for part in (str(path), found, "0" * 64, "install the package again"))


def read_all(path):
    """A table, and its test accuracies too."""
    found = read(path)
    _ = found.test
    return found


def test_truncated_anywhere(path):
    checksum = save(GOOD, path)
    whole = path.read_bytes()
    for end in range(0, len(whole), 5):
        path.write_bytes(whole[:end])
        with pytest.raises(TableError, match="is not the one that was published"):
            read(path, checksum)
        with pytest.raises(TableError, match=r"ten\.npz"):
            read_all(path)


def test_flipped_byte_anywhere(path):
    """With a checksum each is found. Without, it is found or has touched nothing of the table."""
    checksum = save(GOOD, path)
    whole = path.read_bytes()
    generator = numpy.random.default_rng(5)
    refused = 0
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= generator.integers(1, 256)
        path.write_bytes(data)
        if place % 20 == 0:
            with pytest.raises(TableError, match="published"):
                read(path, checksum)
        try:
            found = read_all(path)
        except TableError as error:
            assert "ten.npz" in str(error)
            refused += 1
        else:
            assert_same(found, GOOD)
    assert refused > len(whole) / 2


def members(path):
    with numpy.load(path, allow_pickle=True) as archive:
        return dict(archive)


def rewritten(path, changes, without=()):
    """The file with other members, as numpy writes them."""
    arrays = members(path) | changes
    for name in without:
        del arrays[name]
    buffer = io.BytesIO()
    numpy.savez(buffer, **arrays)
    path.write_bytes(buffer.getvalue())
    return path


def about(**changes):
    text = json.loads(members_about(changes.pop("path")))
    return numpy.frombuffer(json.dumps(text | changes).encode(), dtype=numpy.uint8)


def members_about(path):
    return members(path)["about"].tobytes()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"format": 2}, ("its format is 2; this version reads 1",)),
        ({"space": {"blocks": 0}}, ("SpaceError", "blocks")),
        ({"space": {"kind": "graph"}}, ("damaged or not a table", "TypeError")),
        ({"space": [1]}, ("damaged or not a table",)),
        ({"columns": ["nothing"]}, ("damaged or not a table", "column_nothing")),
        ({"space": SPACE.settings() | {"blocks": 2}}, ("tokens are of another space",)),
        (
            {"space": SPACE.settings() | {"operations": ["identity", "conv_3x3"]}},
            ("decode to the key", "of another space"),
        ),
    ],
)
def test_file_that_says_something_else(path, changes, parts):
    save(GOOD, path)
    rewritten(path, {"about": about(path=path, **changes)})
    with pytest.raises(TableError) as raised:
        read(path)
    assert all(part in str(raised.value) for part in (str(path), *parts)), raised.value


@pytest.mark.parametrize("name", ["about", "tokens", "keys", "validation", "column_seconds"])
def test_missing_and_senseless_members(path, name):
    save(GOOD, path)
    good = path.read_bytes()
    rewritten(path, {}, without=[name])
    with pytest.raises(TableError, match=f"damaged or not a table .*{name}"):
        read(path)
    for wrong in (numpy.zeros(0), numpy.array("text"), numpy.ones((3, 3, 3)), numpy.array([b"{"])):
        path.write_bytes(good)
        rewritten(path, {name: wrong})
        with pytest.raises(TableError, match=r"ten\.npz"):
            read(path)


def test_test_member_is_missing(path):
    save(GOOD, path)
    found = read(rewritten(path, {}, without=["test"]))
    with pytest.raises(TableError, match=r"ten\.npz is damaged or not a table .*test"):
        _ = found.test


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("name", ["about", "tokens", "keys", "validation", "test", "column_x"])
def test_nothing_is_unpickled(path, tmp_path, name):
    save(dataclasses.replace(GOOD, columns={"x": GOOD.columns["seconds"]}), path)
    mark = tmp_path / "mark"
    rewritten(path, {name: numpy.array([Bomb(mark)], dtype=object)})
    with pytest.raises(TableError, match="Object arrays cannot be loaded"):
        read_all(path)
    assert not mark.exists()
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(TableError, match="damaged or not a table"):
        read(path)
    assert not mark.exists()
    _ = numpy.load(rewritten_again(path, mark), allow_pickle=True)["x"]
    assert mark.exists()  # the bomb works where one unpickles


def rewritten_again(path, mark):
    numpy.savez(path, x=numpy.array([Bomb(mark)], dtype=object))
    return path


@pytest.mark.parametrize("data", [b"", b"PK", b"a text file\n", b"\x93NUMPY\x01\x00", bytes(1000)])
def test_files_of_another_kind(path, data):
    path.write_bytes(data)
    with pytest.raises(TableError, match=r"ten\.npz is damaged or not a table"):
        read(path)


def test_arrays_and_archives_that_are_no_table(path):
    numpy.save(path.with_suffix(".npy"), GOOD.validation)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", b"not numpy's format")
    for place in (path, path.with_suffix(".npy")):
        with pytest.raises(TableError, match="is damaged or not a table"):
            read(place)


def test_file_that_is_not_there(path):
    for place in (path, path.parent):
        with pytest.raises(TableError, match="cannot read the table"):
            read(place)


# --- writing ------------------------------------------------------------------------------------


class Coin(Space):
    """A space of another kind."""

    decisions = ()

    def decode(self, tokens):
        return GOOD.genotype(0)

    def encode(self, genotype):
        return ()

    def settings(self):
        return {}

    def __repr__(self):
        return "Coin()"


def test_only_spaces_of_cells_have_a_file(path):
    tokens = numpy.zeros((1, 0), dtype=int)
    accuracies = numpy.array([[0.5]])
    coin = Table("coin", Coin(), tokens, (UNIQUE.keys[0],), accuracies, lambda: accuracies)
    with pytest.raises(TableError, match=r"only tables of a CellSpace .*got one of Coin\(\)"):
        save(coin, path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("info", [{"icc": float("nan")}, {"x": float("inf")}, {"set": {1}}])
def test_info_that_is_no_json(path, info):
    with pytest.raises(TableError, match="its info or its keys cannot be written"):
        save(table(info=info), path)
    assert list(path.parent.iterdir()) == []


def test_faulty_test_accuracies_are_not_written(path):
    with pytest.raises(TableError, match="the test accuracies"):
        save(table(test=GOOD.validation + 1), path)
    assert list(path.parent.iterdir()) == []


def test_places_where_nothing_can_be_written(path, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for place in (tmp_path / "folder", tmp_path / "file" / "ten.npz", tmp_path / "no" / "ten.npz"):
        with pytest.raises(TableError, match="cannot write the table to"):
            save(GOOD, place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("function", ["os.replace", "os.fsync"])
def test_failure_leaves_the_old_file(path, monkeypatch, function):
    """A read-only folder, a full disk: nothing is half written."""
    save(GOOD, path)
    before = path.read_bytes()

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(function, refuse)
    with pytest.raises(TableError, match=r"cannot write the table to .*ten\.npz.*Permission"):
        save(table(name="other"), path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["ten.npz"]

"""Data sets: names, splits, sizes, one's own tensors, batches, other processes."""

import json
import multiprocessing
import subprocess
import sys

import numpy
import pytest
import torch
from data_helpers import rows, tensors
from hypothesis import given
from hypothesis import strategies as st

from nasworkbench import data
from nasworkbench.data import Dataset, Split, sources
from nasworkbench.data.splits import shares, statistics
from nasworkbench.errors import DataError, SettingsError

pytestmark = pytest.mark.usefixtures("no_data_found")


# --- digits and what all sets share -------------------------------------------------------------


def test_digits_are_split_957_480_360_with_equal_shares_of_the_classes():
    digits = data.load("digits")
    splits = (digits.train, digits.validation, digits.test)
    assert [len(split) for split in splits] == [957, 480, 360]
    assert (digits.classes, digits.channels, digits.image_size) == (10, 1, 8)
    assert digits.class_names == tuple("0123456789")
    everything = torch.cat([split.labels for split in splits])
    assert len(everything) == 1797
    for split in splits:
        share = torch.bincount(everything) * len(split) / 1797
        assert (torch.bincount(split.labels) - share).abs().max() < 2
    assert int(digits.train.images.max()) == 255 and int(digits.train.images.min()) == 0
    values = rows(digits.train) | rows(digits.validation)
    assert not values & rows(digits.test)


def test_a_seed_moves_validation_and_never_test():
    zero, again, one = data.load("digits"), data.load("digits"), data.load("digits", seed=1)
    assert torch.equal(zero.train.images, again.train.images)
    assert torch.equal(zero.validation.labels, again.validation.labels)
    assert not torch.equal(zero.validation.images, one.validation.images)
    assert torch.equal(zero.test.images, one.test.images)
    assert rows(zero.train) | rows(zero.validation) == rows(one.train) | rows(one.validation)


def test_mean_and_deviation_are_those_of_the_training_split():
    images, labels = tensors(50, channels=3)
    own = Dataset.from_tensors("own", (images, labels), tensors(4, channels=3))
    pixels = images.double() / 255
    assert own.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert own.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_a_constant_channel_has_a_deviation_above_zero():
    mean, std = statistics(Split(torch.full((2, 1, 4, 4), 51).byte(), torch.tensor([0, 1])))
    assert mean == pytest.approx((0.2,)) and std == (1 / 255,)


def test_sizes_are_taken_and_images_resized():
    small = data.load("digits", image_size=12, train_size=100, validation_size=50)
    assert (len(small.train), len(small.validation), len(small.test)) == (100, 50, 360)
    assert small.train.images.shape[1:] == (1, 12, 12) == small.test.images.shape[1:]
    whole = data.load("digits")
    assert rows(data.load("digits", train_size=100).train) < rows(whole.train)
    assert torch.equal(
        data.load("digits", train_size=100).validation.images, whole.validation.images
    )


def test_resizing_keeps_a_constant_image_and_its_own_size():
    split = Split(torch.full((3, 2, 6, 6), 77).byte(), torch.zeros(3).long())
    assert (split.resized(9).images == 77).all() and split.resized(9).image_size == 9
    assert split.resized(6) is split


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"image_size": 0}, ["image_size", "0"]),
        ({"image_size": 8.5}, ["image_size", "8.5"]),
        ({"train_size": -1}, ["train_size", "-1"]),
        ({"train_size": 958}, ["train_size", "a whole number from 1 to 957, got 958"]),
        ({"validation_size": 481}, ["validation_size", "a whole number from 1 to 480, got 481"]),
        ({"image_size": True}, ["image_size, unless None, must be a whole number from 1", "True"]),
        ({"seed": -1}, ["seed must be a whole number from 0", "-1"]),
        ({"seed": "1"}, ["seed", "'1'"]),
    ],
)
def test_sizes_out_of_range_are_errors(arguments, parts):
    with pytest.raises(SettingsError) as error:
        data.load("digits", **arguments)
    assert all(part in str(error.value) for part in parts)


def test_settings_are_json_and_load_the_same_set():
    sizes = {"image_size": numpy.int64(10), "train_size": torch.tensor(99), "validation_size": 33}
    chosen = data.load("digits", **sizes, seed=3)
    again = data.load(**json.loads(json.dumps(chosen.settings())))
    assert torch.equal(chosen.train.images, again.train.images)
    assert torch.equal(chosen.validation.labels, again.validation.labels)
    assert again.settings() == chosen.settings()


def test_names_and_errors_of_unknown_sets():
    expected = {"digits", "fashion-mnist", "cifar10", "cifar100", "imagefolder", "imagenet"}
    assert set(data.names()) == expected
    with pytest.raises(DataError, match=r"'mnist'.*digits.*from_tensors"):
        data.load("mnist")


@pytest.mark.parametrize(
    "name", ["fashion-mnist", "cifar10", "cifar100", "imagefolder", "imagenet"]
)
def test_missing_data_say_where_they_may_be_and_how_to_get_them(name, tmp_path, monkeypatch):
    for source in (sources.FashionMnist, sources.Cifar):
        monkeypatch.setattr(source, "download", lambda self, root: pytest.fail("a download"))
    with pytest.raises(DataError) as error:
        data.load(name)
    description = data.describe(name)
    assert description.place is None
    for part in (*map(str, description.places), description.how_to_get):
        assert part in str(error.value)
    assert str(tmp_path / "nothing") in str(error.value)
    with pytest.raises(DataError) as error:
        data.load(name, root=tmp_path / "elsewhere")
    assert str(tmp_path / "elsewhere") in str(error.value)


def test_digits_are_described_as_found():
    description = data.describe("digits")
    assert description.place is not None and description.place.is_file()
    assert "1,797" in description.summary


def test_a_failed_download_is_a_data_error(monkeypatch, tmp_path):
    def fail(self, root):
        raise OSError(f"no net for {root}")

    monkeypatch.setattr(sources.Cifar, "download", fail)
    with pytest.raises(DataError, match="cifar10 could not be downloaded: no net for"):
        data.load("cifar10", root=tmp_path, download=True)
    with pytest.raises(DataError, match=r"imagenet cannot be downloaded.*image-net\.org"):
        data.load("imagenet", root=tmp_path, download=True)


def test_what_takes_long_to_import_is_imported_only_by_who_needs_it():
    code = (
        "import sys, nasworkbench.data as data, nasworkbench.executors, nasworkbench.search\n"
        "heavy = {'torchvision', 'sklearn', 'PIL', 'scipy', 'pandas', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules)\n"
        "data.load('digits')\n"
        "assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- one's own tensors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "parts"),
    [
        (tensors(3)[0], ["validation", "pair"]),
        ((tensors(3)[0] / 255, tensors(3)[1]), ["validation", "uint8", "float32", "255"]),
        ((tensors(3)[0][0], tensors(3)[1]), ["validation", "(1, 4, 4)"]),
        ((tensors(3)[0][:, :, :3], tensors(3)[1]), ["validation", "square"]),
        ((tensors(3)[0], tensors(3)[1].int()), ["validation", "int64", "int32"]),
        ((tensors(3)[0], tensors(4)[1]), ["validation", "(3, 1, 4, 4)", "4 labels"]),
        ((tensors(3)[0][:0], tensors(3)[1][:0]), ["validation", "one or more images"]),
        ((tensors(3)[0], tensors(3)[1] - 1), ["validation", "from 0", "-1"]),
        (tensors(4, classes=4), ["validation", "label 3", "3 classes"]),
        (tensors(3, side=5), ["validation", "(1, 5)", "(1, 4)"]),
        (tensors(3, channels=2), ["validation", "(2, 4)", "(1, 4)"]),
    ],
)
def test_tensors_that_are_no_data_set(pair, parts):
    with pytest.raises(DataError) as error:
        Dataset.from_tensors("mine", tensors(6), pair)
    assert all(part in str(error.value) for part in ("mine", *parts))


def test_ones_own_set_cannot_be_loaded_by_name():
    own = Dataset.from_tensors("mine", tensors(6), tensors(3), class_names=["a", "b", "c"])
    assert own.class_names == ("a", "b", "c")
    settings = json.loads(json.dumps(own.settings()))
    assert settings["name"].startswith("custom:mine@")
    with pytest.raises(DataError, match=r"custom:mine@.*from_tensors"):
        data.load(**settings)


def test_the_digest_tells_whether_it_is_the_same_set():
    def settings(*arguments, **options):
        return Dataset.from_tensors("mine", *arguments, **options).settings()

    first = settings(tensors(6), tensors(3))
    assert first == settings(tensors(6), tensors(3), test=tensors(3))
    assert first != settings(tensors(6, seed=1), tensors(3))
    assert first != settings(tensors(6), tensors(3, seed=1))
    assert first != settings(tensors(6), tensors(3), class_names=["x", "y", "z"])


def test_test_data_are_read_once_and_only_when_used():
    calls = []

    def read():
        calls.append(1)
        return Split(*tensors(5))

    own = Dataset.from_tensors("mine", tensors(6), tensors(3), test=read)
    _ = own.settings(), repr(own), own.classes, own.mean
    assert calls == []
    assert len(own.test) == len(own.test) == 5 and calls == [1]


def test_a_set_without_test_data_or_with_strange_ones():
    with pytest.raises(DataError, match="'mine' has no test split"):
        _ = Dataset.from_tensors("mine", tensors(6), tensors(3)).test
    with pytest.raises(DataError, match="test has the label 3"):
        _ = Dataset.from_tensors("mine", tensors(6), tensors(3), tensors(8, classes=4)).test


# --- batches and processes ----------------------------------------------------------------------


@given(count=st.integers(1, 300), batch=st.integers(1, 80), seed=st.integers(0, 9))
def test_shuffled_shares_deal_out_every_image_evenly(count, batch, seed):
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    parts = shares(count, batch, order)
    assert torch.equal(torch.cat(parts), order)
    sizes = [len(part) for part in parts]
    assert max(sizes) <= batch and max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-count // batch)


@given(count=st.integers(1, 300), batch=st.integers(1, 80))
def test_stored_order_is_cut_into_whole_batches(count, batch):
    parts = [list(range(count))[part] for part in shares(count, batch)]
    assert [place for part in parts for place in part] == list(range(count))
    assert all(len(part) == batch for part in parts[:-1])


def report(queue, dataset):
    shared = dataset.train.images.is_shared() and dataset.train.labels.is_shared()
    queue.put((shared, int(dataset.train.images.sum()), len(dataset.test), dataset.settings()))


def test_a_spawned_process_shares_the_images():
    digits = data.load("digits")
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=report, args=(queue, digits))
    process.start()
    try:
        total = int(digits.train.images.sum())
        assert queue.get(timeout=60) == (True, total, 360, digits.settings())
    finally:
        process.join(timeout=60)
    assert process.exitcode == 0


def test_the_folder_of_the_data_may_begin_at_home_or_here(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for root in ("~/mine", "mine", "./there/../mine"):
        monkeypatch.setenv("NASWORKBENCH_DATA", root)
        assert data.describe("fashion-mnist").places[0] == tmp_path / "mine"
        assert data.describe("cifar10", root).places[0] == tmp_path / "mine/cifar-10-batches-py"
    monkeypatch.setenv("NASWORKBENCH_DATA", "~nobody-has-this-name/mine")
    with pytest.raises(DataError, match="is not here"):
        data.load("cifar10")


def test_a_name_shows_no_escapes():
    pair = tensors(6, side=8)
    named = Dataset.from_tensors("a\x1b[2Jb", pair, pair)
    assert r"Dataset(a\x1b[2Jb: " in repr(named) and repr(named).isprintable()

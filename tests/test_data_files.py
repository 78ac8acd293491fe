"""Data sets from files, generated here in each source's own format, whole and corrupt."""

import gzip
import hashlib
import pickle
import struct

import numpy as np
import pytest
import torch
from data_helpers import rows, tensors
from PIL import Image

from nasworkbench import data
from nasworkbench.data import FileSplit, Split, folders, loading, sources
from nasworkbench.data.splits import shares
from nasworkbench.errors import DataError

pytestmark = pytest.mark.usefixtures("no_data_found")


# --- fashion-mnist: IDX files -------------------------------------------------------------------


def write_idx(path, array, zipped=True):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content += array.numpy().tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.fixture
def fashion(monkeypatch):
    """Write a tiny Fashion-MNIST into a folder; 4 of its 14 training images are held out."""
    monkeypatch.setattr(sources.FashionMnist, "held_out", 4)

    def write(folder, zipped=True):
        for stem, count in (("train", 14), ("t10k", 6)):
            images, labels = tensors(count, side=28, classes=10, seed=count)
            end = ".gz" if zipped else ""
            write_idx(folder / f"{stem}-images-idx3-ubyte{end}", images.squeeze(1), zipped)
            write_idx(folder / f"{stem}-labels-idx1-ubyte{end}", labels.byte(), zipped)
        return folder

    return write


@pytest.mark.parametrize("layout", [".", "fashion-mnist", "FashionMNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_fashion_mnist_is_found_in_every_layout(fashion, tmp_path, layout, zipped):
    place = fashion(tmp_path / layout, zipped)
    assert data.describe("fashion-mnist", tmp_path).place == place.resolve()
    found = data.load("fashion-mnist", root=tmp_path)
    assert (len(found.train), len(found.validation), len(found.test)) == (10, 4, 6)
    images, labels = tensors(14, side=28, classes=10, seed=14)
    assert rows(found.train) | rows(found.validation) == rows(Split(images, labels))
    by_image = dict(zip((i.numpy().tobytes() for i in images), labels.tolist(), strict=True))
    assert all(
        by_image[i.numpy().tobytes()] == y
        for i, y in zip(found.train.images, found.train.labels.tolist(), strict=True)
    )
    assert found.class_names[9] == "Ankle boot"


def test_the_default_root_and_debians_folder_are_searched(fashion, tmp_path, monkeypatch):
    fashion(tmp_path / "no-debian")
    assert len(data.load("fashion-mnist").train) == 10
    fashion(tmp_path / "mine")
    monkeypatch.setenv("NASWORKBENCH_DATA", str(tmp_path / "mine"))
    assert data.describe("fashion-mnist").place == tmp_path / "mine"


def test_a_set_with_a_file_missing_is_not_found(fashion, tmp_path):
    (fashion(tmp_path) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="is not here"):
        data.load("fashion-mnist", root=tmp_path)


def damage_empty(path):
    path.write_bytes(b"")


def damage_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_longer(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"more"))


def damage_shorter(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))


def damage_text(path):
    path.write_bytes(b"<html>404</html>")


def damage_kind(path):
    path.write_bytes(gzip.compress(b"\0\0\x0d\x03" + bytes(40)))


@pytest.mark.parametrize(
    "damage",
    [damage_empty, damage_half, damage_longer, damage_shorter, damage_text, damage_kind],
)
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"])
def test_corrupt_idx_files_are_named(fashion, tmp_path, damage, file):
    damage(fashion(tmp_path) / file)
    with pytest.raises(DataError) as error:
        data.load("fashion-mnist", root=tmp_path)
    assert str(tmp_path / file) in str(error.value)


def test_a_corrupt_test_file_shows_only_when_test_is_used(fashion, tmp_path):
    damage_half(fashion(tmp_path) / "t10k-images-idx3-ubyte.gz")
    found = data.load("fashion-mnist", root=tmp_path)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte"):
        _ = found.test


def test_images_and_labels_that_do_not_belong_together(fashion, tmp_path):
    write_idx(fashion(tmp_path) / "train-labels-idx1-ubyte.gz", torch.zeros(13).byte())
    with pytest.raises(DataError, match=r"\(14, 28, 28\), their labels \(13,\)"):
        data.load("fashion-mnist", root=tmp_path)


def test_too_few_images_to_hold_some_out(fashion, tmp_path, monkeypatch):
    monkeypatch.setattr(sources.FashionMnist, "held_out", 14)
    fashion(tmp_path)
    with pytest.raises(DataError, match="14 of the training images are held out"):
        data.load("fashion-mnist", root=tmp_path)


# --- CIFAR: torchvision's pickled batches -------------------------------------------------------


@pytest.fixture(params=[10, 100])
def cifar(request, tmp_path, monkeypatch):
    """A tiny CIFAR whose digests torchvision is told; returns (name, folder, pixels by label)."""
    from torchvision import datasets

    classes = request.param
    kind = {10: datasets.CIFAR10, 100: datasets.CIFAR100}[classes]
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    monkeypatch.setattr(sources.Cifar, "held_out", 4)
    names = [f"class {number}" for number in range(classes)]

    def write(name, record):
        content = pickle.dumps(record)
        (folder / name).write_bytes(content)
        return hashlib.md5(content).hexdigest()

    def batch(count, seed):
        images, labels = tensors(count, channels=3, side=32, classes=classes, seed=seed)
        key = "labels" if classes == 10 else "fine_labels"
        return {"data": images.reshape(count, -1).numpy(), key: labels.tolist()}

    training = [
        [name, write(name, batch(10, place))] for place, (name, _) in enumerate(kind.train_list)
    ]
    test = [[name, write(name, batch(7, 99))] for name, _ in kind.test_list]
    meta = kind.meta | {"md5": write(kind.meta["filename"], {kind.meta["key"]: names})}
    monkeypatch.setattr(kind, "train_list", training)
    monkeypatch.setattr(kind, "test_list", test)
    monkeypatch.setattr(kind, "meta", meta)
    return f"cifar{classes}", folder, training


def test_cifar_is_read_by_torchvision(cifar, tmp_path):
    name, _, training = cifar
    found = data.load(name, root=tmp_path)
    assert len(found.train) == 10 * len(training) - 4
    assert (len(found.validation), len(found.test)) == (4, 7)
    assert (found.channels, found.image_size) == (3, 32)
    assert found.class_names[1] == "class 1" and found.classes == int(name[5:])
    images, labels = tensors(7, channels=3, side=32, classes=found.classes, seed=99)
    assert torch.equal(found.test.images, images) and torch.equal(found.test.labels, labels)


def test_a_corrupt_cifar_file_is_named(cifar, tmp_path):
    name, folder, training = cifar
    damage_half(folder / training[-1][0])
    with pytest.raises(DataError) as error:
        data.load(name, root=tmp_path)
    assert str(folder / training[-1][0]) in str(error.value) and "corrupt" in str(error.value)


def test_the_papers_split_of_cifar_10():
    assert sources.Cifar(10).held_out == 5_000


# --- folders of images --------------------------------------------------------------------------


def write_images(folder, counts, size=(20, 14), seed=0):
    generator = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture
def photographs(tmp_path):
    write_images(tmp_path / "train", {"cat": 12, "dog": 9})
    write_images(tmp_path / "test", {"cat": 1, "dog": 2}, seed=1)
    return tmp_path


def test_an_image_folder_holds_out_a_tenth_without_a_validation_folder(photographs):
    found = data.load("imagefolder", root=photographs, image_size=10)
    assert (len(found.train), len(found.validation), len(found.test)) == (19, 2, 3)
    assert found.class_names == ("cat", "dog")
    assert found.train.images.shape[1:] == (3, 10, 10) and isinstance(found.train, Split)
    assert found.test.labels.tolist() == [0, 1, 1]


def test_an_image_folder_with_its_own_validation(photographs):
    write_images(photographs / "val", {"dog": 4}, seed=2)
    found = data.load("imagefolder", root=photographs, image_size=14)
    assert len(found.train) == 21 and found.validation.labels.tolist() == [1] * 4


def test_a_part_of_a_sorted_folder_is_drawn_from_all_classes(photographs):
    write_images(photographs / "val", {"cat": 2, "dog": 2}, seed=2)
    found = data.load("imagefolder", root=photographs, image_size=8, train_size=11)
    assert 0 < int(found.train.labels.sum()) < 9  # the first eleven would all be cats
    assert len(found.validation) == 4


def test_the_shorter_side_is_resized_and_the_centre_cut_out(tmp_path):
    (tmp_path / "train" / "a").mkdir(parents=True)
    pixels = np.zeros((8, 24, 3), dtype=np.uint8)
    pixels[:, 8:16] = 200  # the middle third: exactly the centre square
    for number in range(2):
        Image.fromarray(pixels).save(tmp_path / "train" / "a" / f"{number}.png")
    found = data.load("imagefolder", root=tmp_path, image_size=8)
    assert (found.train.images == 200).all()
    assert found.train.image_size == 8


def test_large_folders_stay_in_files_and_give_the_same_batches(photographs, monkeypatch):
    held = data.load("imagefolder", root=photographs, image_size=10)
    monkeypatch.setattr(loading, "HELD_IN_MEMORY", 0)
    lazy = data.load("imagefolder", root=photographs, image_size=10)
    assert isinstance(lazy.train, FileSplit)
    assert (lazy.channels, lazy.image_size) == (3, 10) and lazy.mean == held.mean
    order = torch.randperm(19, generator=torch.Generator().manual_seed(5))
    state = torch.random.get_rng_state()
    for workers in (0, 1):
        batches = lazy.train.batches(4, order, workers)
        for part, (images, labels) in zip(shares(19, 4, order), batches, strict=True):
            chosen = held.train.select(part)
            assert torch.equal(images, chosen.images) and torch.equal(labels, chosen.labels)
    assert torch.equal(state, torch.random.get_rng_state())
    assert lazy.settings() == held.settings()
    assert "FileSplit(19 images" in repr(lazy.train)


@pytest.mark.parametrize("damage", [damage_empty, damage_half, damage_text])
def test_corrupt_images_are_named(photographs, damage):
    corrupt = photographs / "train" / "cat" / "3.png"
    damage(corrupt)
    with pytest.raises(DataError) as error:
        data.load("imagefolder", root=photographs, image_size=10)
    assert str(corrupt) in str(error.value)


def test_folders_that_do_not_fit(photographs):
    write_images(photographs / "val", {"bird": 1})
    with pytest.raises(DataError, match=r"bird.*cat and dog"):
        data.load("imagefolder", root=photographs)
    (photographs / "train" / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        folders.read_folder(photographs / "train", ("cat", "dog", "empty"))


def test_a_folder_without_classes_or_without_test(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="one subfolder for each class"):
        data.load("imagefolder", root=tmp_path)
    write_images(tmp_path / "train", {"a": 3})
    with pytest.raises(DataError, match=r"there is no folder .*test"):
        _ = data.load("imagefolder", root=tmp_path, image_size=8).test


def test_imagenet_holds_validation_out_of_train_and_tests_on_val(tmp_path, monkeypatch):
    names = {"n01": ("tench", "Tinca tinca"), "n02": ("goldfish",)}
    torch.save((names, ["n01"]), tmp_path / "meta.bin")
    write_images(tmp_path / "train", {"n01": 5, "n02": 5})
    write_images(tmp_path / "val", {"n01": 1, "n02": 2})
    monkeypatch.setattr(folders.ImageNet, "held_out", 3)
    found = data.load("imagenet", root=tmp_path, image_size=12)
    assert (len(found.train), len(found.validation), len(found.test)) == (7, 3, 3)
    assert found.class_names == ("tench, Tinca tinca", "goldfish")
    assert found.test.labels.tolist() == [0, 1, 1]


def test_half_an_imagenet_is_named(tmp_path):
    torch.save(({}, []), tmp_path / "meta.bin")
    with pytest.raises(DataError, match=r"ILSVRC2012_img_train\.tar"):
        data.load("imagenet", root=tmp_path)

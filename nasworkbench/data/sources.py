"""Where each data set comes from: how it is found, read, and got when it is missing.

A *place* is the file or folder in which a source was found. ``read`` gives images at their own
size; choosing, splitting and resizing are the business of ``loading.py``. torchvision and
scikit-learn are imported where they are used: loading the digits should not wait for torchvision.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError
from .idx import read_idx
from .splits import AnySplit, Split

#: Debian's package dataset-fashion-mnist puts its files here.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


class Source(ABC):
    """One data set by name. Subclasses fill in where it may be and how it is read."""

    name: str
    summary: str
    how_to_get: str
    #: training images for validation if the set has none of its own; None: a tenth
    held_out: int | None = None
    stratified = False  # whether they are chosen with equal shares of the classes
    image_size: int | None = None  # None: the images come in one size of their own

    @abstractmethod
    def places(self, root: Path) -> list[Path]:
        """Where to look, best first."""

    def present(self, place: Path) -> bool:
        """Whether the set is at this place, whole or not."""
        return place.exists()

    @abstractmethod
    def class_names(self, place: Path) -> tuple[str, ...]:
        """The classes, in the order of the labels."""

    @abstractmethod
    def read(self, place: Path, part: str) -> AnySplit:
        """The ``train`` or the ``test`` part.

        Raises:
            DataError: a missing, empty or corrupt file, by name.
        """

    def read_validation(self, place: Path) -> AnySplit | None:
        """The set's own validation part; ``None``: some of ``train`` is to be held out."""
        return None

    def download(self, root: Path) -> None:
        """Fetch the set from the net into ``root``."""
        raise DataError(f"{self.name} cannot be downloaded from here. {self.how_to_get}")


class Digits(Source):
    """scikit-learn's 1,797 scanned digits: 957 / 480 / 360, the same 360 for every seed."""

    name = "digits"
    summary = "1,797 scanned digits, 8 x 8, grey, 10 classes (inside scikit-learn)"
    how_to_get = "It comes with scikit-learn: pip install scikit-learn"
    held_out = 480
    stratified = True
    test_count = 360

    def places(self, root: Path) -> list[Path]:
        spec = importlib.util.find_spec("sklearn")  # finds the folder without importing it
        folder = Path(spec.origin).parent if spec and spec.origin else Path("sklearn")
        return [folder / "datasets" / "data" / "digits.csv.gz"]

    def class_names(self, place: Path) -> tuple[str, ...]:
        return tuple("0123456789")

    def read(self, place: Path, part: str) -> AnySplit:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        bunch = load_digits()
        # The scans have 17 grey levels, 0 to 16.
        images = torch.from_numpy(bunch.images * 255 / 16).round().byte().unsqueeze(1)
        labels = torch.from_numpy(bunch.target).long()
        # The seed of this split is fixed: what is test data never changes sides.
        rest, test = train_test_split(
            range(len(labels)), test_size=self.test_count, stratify=labels, random_state=0
        )
        return Split(images, labels).select(torch.tensor(test if part == "test" else rest))


class FashionMnist(Source):
    """Four IDX files, plain or ``.gz``, in any of the folders where they usually are."""

    name = "fashion-mnist"
    summary = "70,000 pictures of clothes, 28 x 28, grey, 10 classes (31 MB)"
    files = tuple(
        (stem, kind) for stem in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    )
    how_to_get = (
        "It is four files, {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]. "
        "On Debian: apt install dataset-fashion-mnist; anywhere: data.load('fashion-mnist', "
        "download=True), on the command line --download"
    )
    held_out = 5_000  # this project's choice, as the paper's for CIFAR-10

    def places(self, root: Path) -> list[Path]:
        torchvision_layout = root / "FashionMNIST" / "raw"
        return [root, root / "fashion-mnist", torchvision_layout, DEBIAN_FASHION_MNIST]

    def present(self, place: Path) -> bool:
        return all(self._file(place, stem, kind).is_file() for stem, kind in self.files)

    def class_names(self, place: Path) -> tuple[str, ...]:
        return ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip

    def read(self, place: Path, part: str) -> AnySplit:
        stem = {"train": "train", "test": "t10k"}[part]
        images = read_idx(self._file(place, stem, "images-idx3"), 3)
        labels = read_idx(self._file(place, stem, "labels-idx1"), 1)
        if len(images) != len(labels):
            raise DataError(
                f"{place}: the {stem} files hold {len(images)} images and {len(labels)} labels; "
                "they do not belong together"
            )
        return Split(images.unsqueeze(1), labels.long())

    def download(self, root: Path) -> None:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(str(root), download=True)

    def _file(self, place: Path, stem: str, kind: str) -> Path:
        plain = place / f"{stem}-{kind}-ubyte"
        return plain if plain.is_file() else plain.with_name(f"{plain.name}.gz")


class Cifar(Source):
    """CIFAR-10 or CIFAR-100 through torchvision, which unpickles only files of the right digest."""

    held_out = 5_000  # of the 50,000, at random: NASNet paper, appendix A.1

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.name = f"cifar{classes}"
        self.summary = f"60,000 colour photographs, 32 x 32, {classes} classes (170 MB)"
        self.how_to_get = (
            f"Fetch it with data.load('{self.name}', download=True), on the command line "
            "--download, or put torchvision's folder there"
        )

    @property
    def _torchvision(self) -> Any:
        from torchvision import datasets

        return {10: datasets.CIFAR10, 100: datasets.CIFAR100}[self.classes]

    def places(self, root: Path) -> list[Path]:
        return [root / {10: "cifar-10-batches-py", 100: "cifar-100-python"}[self.classes]]

    def class_names(self, place: Path) -> tuple[str, ...]:
        return tuple(self._open(place, "train").classes)

    def read(self, place: Path, part: str) -> AnySplit:
        content = self._open(place, part)
        images = torch.from_numpy(content.data).permute(0, 3, 1, 2).contiguous()
        return Split(images, torch.tensor(content.targets))

    def download(self, root: Path) -> None:
        self._torchvision(str(root), download=True)

    def _open(self, place: Path, part: str) -> Any:
        from torchvision.datasets.utils import check_integrity

        kind = self._torchvision
        files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        for name, md5 in files:
            if not check_integrity(str(place / name), md5):
                raise DataError(
                    f"{place / name} is missing, empty or corrupt; delete the folder and fetch it "
                    f"again. {self.how_to_get}"
                )
        return kind(str(place.parent), train=part == "train")

"""Where each data set comes from: how it is found, read, and got when it is missing.

A *place* is the file or folder in which a source was found. ``read`` gives images at their own
size; choosing, splitting and resizing are the business of ``loading.py``. torchvision and
scikit-learn are imported where they are used: loading the digits should not wait for torchvision.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from abc import ABC, abstractmethod
from importlib import resources
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from ..errors import DataError
from .splits import AnySplit, Split

#: Debian's package dataset-fashion-mnist puts its files here.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

#: Most bytes of one file, unpacked (this project's choice; CIFAR-100's largest has 155 million).
MOST_BYTES = 256 * 2**20


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
        """Where the set may be, best first."""

    def present(self, place: Path) -> bool:
        """Whether the set is at this place, whole or not."""
        return place.exists()

    @abstractmethod
    def read(self, place: Path, part: str) -> tuple[AnySplit, tuple[str, ...]]:
        """The ``train`` or the ``test`` part, and the classes' names in the order of the labels.

        Raises:
            DataError: a missing, empty or corrupt file, by name.
        """

    def read_validation(self, place: Path) -> AnySplit | None:
        """The set's own validation part; ``None``: some of ``train`` is to be held out."""
        return None

    def download(self, root: Path) -> None:
        """Fetch the set from the net into ``root``."""
        raise DataError(f"{self.name} cannot be downloaded by this library. {self.how_to_get}")


class Digits(Source):
    """scikit-learn's 1,797 scanned digits: 957 / 480 / 360, the same 360 for every seed."""

    name = "digits"
    summary = "1,797 scanned digits, 8 x 8, grey, 10 classes (inside scikit-learn)"
    how_to_get = "It comes with scikit-learn: pip install scikit-learn"
    held_out = 480
    stratified = True

    def places(self, root: Path) -> list[Path]:
        return [Path(str(resources.files("sklearn"))) / "datasets" / "data" / "digits.csv.gz"]

    def read(self, place: Path, part: str) -> tuple[AnySplit, tuple[str, ...]]:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        bunch = load_digits()
        # The scans have 17 grey levels, 0 to 16.
        images = torch.from_numpy(bunch.images * 255 / 16).round().byte().unsqueeze(1)
        labels = torch.from_numpy(bunch.target).long()
        # The seed of this split is fixed: what is test data never changes sides.
        rest, test = train_test_split(
            range(len(labels)), test_size=360, stratify=labels, random_state=0
        )
        chosen = torch.tensor(test if part == "test" else rest)
        return Split(images, labels).select(chosen), tuple("0123456789")


class FashionMnist(Source):
    """Four IDX files, plain or ``.gz``, in any of the folders where they usually are."""

    name = "fashion-mnist"
    summary = "70,000 pictures of clothes, 28 x 28, grey, 10 classes (31 MB)"
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
        files = [file for part in ("train", "test") for file in self._files(place, part)]
        return all(file.is_file() for file in files)

    def read(self, place: Path, part: str) -> tuple[AnySplit, tuple[str, ...]]:
        images, labels = (read_idx(file) for file in self._files(place, part))
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise DataError(
                f"{place}: the {part} images have the shape {tuple(images.shape)}, their labels "
                f"{tuple(labels.shape)}; the two files do not belong together. {self.how_to_get}"
            )
        names = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                 "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
        return Split(images.unsqueeze(1), labels.long()), names

    def download(self, root: Path) -> None:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(str(root), download=True)

    def _files(self, place: Path, part: str) -> list[Path]:
        """Of the images and of the labels."""
        stem = {"train": "train", "test": "t10k"}[part]
        plain = [place / f"{stem}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
        return [path if path.is_file() else path.with_name(f"{path.name}.gz") for path in plain]


class Cifar(Source):
    """CIFAR-10 or CIFAR-100 through torchvision, which unpickles only files of the right digest."""

    held_out = 5_000  # of the 50,000, at random: NASNet paper, appendix A.1

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.name = f"cifar{classes}"
        self.summary = f"60,000 colour photographs, 32 x 32, {classes} classes (170 MB)"
        self.how_to_get = (
            f"Fetch it with data.load('{self.name}', download=True), on the command line "
            "--download, or copy torchvision's folder there"
        )

    @property
    def _torchvision(self) -> Any:
        from torchvision import datasets

        return getattr(datasets, f"CIFAR{self.classes}")

    def places(self, root: Path) -> list[Path]:
        return [root / {10: "cifar-10-batches-py", 100: "cifar-100-python"}[self.classes]]

    def read(self, place: Path, part: str) -> tuple[AnySplit, tuple[str, ...]]:
        from torchvision.datasets.utils import check_integrity

        kind = self._torchvision
        files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        for name, md5 in files:
            size = (place / name).stat().st_size if (place / name).is_file() else 0
            if size > MOST_BYTES or not check_integrity(str(place / name), md5):
                raise DataError(
                    f"{place / name} is missing, empty or corrupt; delete the folder and fetch it "
                    f"again. {self.how_to_get}"
                )
        content = kind(str(place.parent), train=part == "train")
        images = torch.from_numpy(content.data).permute(0, 3, 1, 2).contiguous()
        return Split(images, torch.tensor(content.targets)), tuple(content.classes)

    def download(self, root: Path) -> None:
        self._torchvision(str(root), download=True)


def read_idx(path: Path) -> Tensor:
    """The uint8 array of an IDX file, plain or ``.gz``: a magic number, the sizes, then the bytes.

    Raises:
        DataError: the file is missing, empty, corrupt, longer than its header says, or another
            kind of file.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"it holds more than {MOST_BYTES:,} bytes")
        if not content.startswith(b"\0\0\x08"):  # 8: unsigned bytes
            raise ValueError(
                f"an IDX file of bytes begins with 00 00 08, not {content[:3].hex(' ')}"
            )
        sizes = struct.unpack_from(f">{content[3]}I", content, offset=4)
        array = numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)
    except (OSError, EOFError, zlib.error, struct.error, ValueError, IndexError) as error:
        raise DataError(
            f"{path} is empty or corrupt ({error}); delete it and fetch it again"
        ) from None
    return torch.from_numpy(array.copy())

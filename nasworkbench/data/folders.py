"""Folders of image files, one subfolder for each class: any user's, and ImageNet's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch

from ..errors import DataError, listed
from .sources import Source
from .splits import AnySplit, FileSplit

#: The image size of the paper's mobile networks (and of ImageNet here unless another is asked for).
MOBILE_SIZE = 224


class ImageFolder(Source):
    """``train/CLASS/FILE``, and beside ``train`` perhaps ``val`` (or ``validation``) and ``test``.

    Without a validation folder, a tenth of the training images is held out; without a test folder,
    touching the test split is an error.
    """

    name = "imagefolder"
    summary = "your own images: a folder with train/CLASS/..., perhaps val/ and test/"
    how_to_get = "Give the folder that holds train/ as root=..., on the command line --root"
    image_size = MOBILE_SIZE

    def places(self, root: Path) -> list[Path]:
        return [root]

    def present(self, place: Path) -> bool:
        return (place / "train").is_dir()

    def read(self, place: Path, part: str) -> tuple[AnySplit, tuple[str, ...]]:
        from torchvision.datasets.folder import find_classes

        try:
            class_names, present = (find_classes(place / folder)[0] for folder in ("train", part))
            if not set(present) <= set(class_names):
                raise DataError(
                    f"{place / part} may have subfolders for the classes of train/ only, got "
                    f"{listed(present)}; train/ has {listed(class_names)}"
                )
            images = {name: _images(place / part / name) for name in present}
            if empty := [name for name in present if not images[name]]:
                raise FileNotFoundError(f"there is no image for the classes {listed(empty)}")
        except (OSError, RecursionError) as error:  # or thousands of folders in each other
            raise DataError(
                f"{place / part}: {error}. Put {part} images there, in one subfolder for each "
                "class, and remove empty subfolders"
            ) from None
        samples = [
            (p, label) for label, name in enumerate(class_names) for p in images.get(name, ())
        ]
        return _files(samples), tuple(class_names)

    def read_validation(self, place: Path) -> AnySplit | None:
        parts = [part for part in ("val", "validation") if (place / part).is_dir()]
        return self.read(place, parts[0])[0] if parts else None


class ImageNet(Source):
    """ImageNet 2012 as torchvision lays it out; its 50,000 ``val`` images are the test data here.

    The labels of ImageNet's own test images are not public, so the held-out images that guide a
    search are taken from ``train``.
    """

    name = "imagenet"
    summary = "ImageNet 2012, 1.28 million colour photographs, 1,000 classes (150 GB)"
    how_to_get = (
        "Register at image-net.org, fetch ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_train.tar "
        "and ILSVRC2012_img_val.tar, and give their folder as root=... (--root on the command "
        "line); they are unpacked on first use"
    )
    held_out = 10_000  # this project's choice
    image_size = MOBILE_SIZE

    def places(self, root: Path) -> list[Path]:
        return [root, root / "imagenet"]

    def present(self, place: Path) -> bool:
        markers = ("meta.bin", "ILSVRC2012_devkit_t12.tar.gz")
        return any((place / name).is_file() for name in markers)

    def read(self, place: Path, part: str) -> tuple[AnySplit, tuple[str, ...]]:
        from torchvision import datasets

        split = {"train": "train", "test": "val"}[part]
        try:
            content = datasets.ImageNet(str(place), split)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"imagenet, {split}: {place} is incomplete or corrupt ({error}). {self.how_to_get}"
            ) from None
        return _files(content.samples), tuple(", ".join(words) for words in content.classes)


def _images(folder: Path) -> list[str]:
    """The image files in a folder and below it; what links lead to more than once is taken once."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    paths: list[str] = []
    known = set()
    for inner, folders, files in os.walk(folder, followlinks=True):
        folders.sort()  # else the order on the disk would decide which link is taken
        if (real := os.path.realpath(inner)) in known:
            folders.clear()
            continue
        known.add(real)
        paths += [os.path.join(inner, f) for f in files if f.lower().endswith(IMG_EXTENSIONS)]
    return sorted(paths, key=os.path.split)  # torchvision's order


def _files(samples: Iterable[tuple[str, int]]) -> FileSplit:
    paths, labels = zip(*samples, strict=True)
    return FileSplit(paths, torch.tensor(labels), MOBILE_SIZE)

"""Folders of image files, one subfolder a class: any user's, and ImageNet's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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

    def class_names(self, place: Path) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in (place / "train").iterdir() if path.is_dir()))

    def read(self, place: Path, part: str) -> AnySplit:
        folder = place / part
        if not folder.is_dir():
            raise DataError(
                f"{self.name}: there is no folder {folder}; put {part} images there, "
                "one subfolder a class"
            )
        return read_folder(folder, self.class_names(place))

    def read_validation(self, place: Path) -> AnySplit | None:
        folders = [place / name for name in ("val", "validation") if (place / name).is_dir()]
        return read_folder(folders[0], self.class_names(place)) if folders else None


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

    def class_names(self, place: Path) -> tuple[str, ...]:
        return tuple(", ".join(words) for words in self._open(place, "train").classes)

    def read(self, place: Path, part: str) -> AnySplit:
        content = self._open(place, {"train": "train", "test": "val"}[part])
        paths = [path for path, _ in content.samples]
        return FileSplit(paths, torch.tensor(content.targets), MOBILE_SIZE)

    def _open(self, place: Path, split: str) -> Any:
        from torchvision import datasets

        try:
            return datasets.ImageNet(str(place), split)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"imagenet, {split}: {place} is incomplete or corrupt ({error}). {self.how_to_get}"
            ) from None


def read_folder(folder: Path, class_names: tuple[str, ...]) -> FileSplit:
    """The files of ``folder/CLASS/``, labelled by the place of CLASS in ``class_names``.

    Raises:
        DataError: no class, a class without images, or a class that the training folder lacks.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    found = {path.name for path in folder.iterdir() if path.is_dir()}
    if not found or not found <= set(class_names):
        raise DataError(
            f"{folder} should have one subfolder for each class of train/, got "
            f"{listed(sorted(found)) if found else 'none'}; train/ has "
            f"{listed(class_names) if class_names else 'none'}"
        )
    labels = {name: label for label, name in enumerate(class_names) if name in found}
    try:
        samples = make_dataset(folder, labels, IMG_EXTENSIONS)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: {error}. Put images there or remove the subfolder") from None
    paths = [path for path, _ in samples]
    return FileSplit(paths, torch.tensor([label for _, label in samples]), MOBILE_SIZE)

"""``data.load``: find a data set by name, split it, and make the images one size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ..checks import optional, whole
from ..errors import DataError, listed, shown
from .dataset import OWN, Dataset
from .folders import ImageFolder, ImageNet
from .sources import Cifar, Digits, FashionMnist, Source
from .splits import AnySplit, FileSplit, statistics

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (Digits(), FashionMnist(), Cifar(10), Cifar(100), ImageFolder(), ImageNet())
}

#: Splits of files up to this many bytes are read once and kept in memory (this project's choice).
HELD_IN_MEMORY = 256 * 2**20


@dataclass(frozen=True)
class Description:
    """What is known about a data set without reading it."""

    summary: str
    place: Path | None  #: the file or folder in which it was found
    places: tuple[Path, ...]  #: where it is searched for, best first
    how_to_get: str


def names() -> tuple[str, ...]:
    """The names that :func:`load` knows."""
    return tuple(SOURCES)


def describe(name: str, root: str | Path | None = None) -> Description:
    """What the set is, whether it is on this machine, where it may be, and how to get it.

    Raises:
        DataError: an unknown name.
    """
    source = _source(name)
    places = tuple(source.places(_folder(root)))
    place = next((place for place in places if source.present(place)), None)
    return Description(source.summary, place, places, source.how_to_get)


def load(
    name: str,
    root: str | Path | None = None,
    image_size: int | None = None,
    train_size: int | None = None,
    validation_size: int | None = None,
    seed: int = 0,
    download: bool = False,
) -> Dataset:
    """A data set by name, split into train, validation and (read when first used) test.

    Args:
        name: one of :func:`names`.
        root: folder that holds the data; default: the one in the environment variable
            NASWORKBENCH_DATA, or ~/.cache/nasworkbench. For ``imagefolder`` and ``imagenet`` the
            folder that holds ``train/``.
        image_size: side in pixels to resize to, once; ``None``: as they are (224 for folders of
            images: the paper's mobile size).
        train_size, validation_size: keep only so many images, drawn at random; ``None``: all.
        seed: of the split into train and validation and of these draws. The test data are the same
            for every seed.
        download: whether a missing set may be fetched from the net into ``root``.

    Raises:
        DataError: an unknown name; missing data (says where they may be and how to get them); an
            empty or corrupt file, by name.
        SettingsError: a size or seed out of range.
    """
    source = _source(name)
    given = {"image_size": image_size, "train_size": train_size, "validation_size": validation_size}
    sizes = {field: optional(whole, field, size) for field, size in given.items()}
    seed = whole("seed", seed, 0, 2**32 - 1)  # scikit-learn takes these
    place = _find(source, root, download)
    size = sizes["image_size"] or source.image_size
    train, class_names = source.read(place, "train")
    validation = source.read_validation(place)
    if validation is None:
        train, validation = _divide(source, train, seed)
    train = _ready(_some(train, "train_size", sizes, seed), size)
    validation = _ready(_some(validation, "validation_size", sizes, seed), size)
    mean, std = statistics(train)
    folder = None if root is None else str(_folder(root))
    settings = {"name": name, "root": folder, **sizes, "seed": seed}
    read_test = partial(_read_test, name, place, size)
    return Dataset(name, class_names, train, validation, read_test, mean, std, settings)


def _source(name: str) -> Source:
    if isinstance(name, str) and name.startswith(OWN):
        raise DataError(
            f"{name!r} was made from tensors and cannot be loaded by name. Make it again with "
            "Dataset.from_tensors, and pass it, or the evaluator that holds it"
        )
    if not isinstance(name, str) or name not in SOURCES:
        raise DataError(
            f"there is no data set {shown(name)}; the data sets are {listed(names())}. Make one of "
            "your own tensors with Dataset.from_tensors"
        )
    return SOURCES[name]


def _folder(root: str | Path | None) -> Path:
    if root is None:
        root = os.environ.get("NASWORKBENCH_DATA") or "~/.cache/nasworkbench"
    return Path(os.path.realpath(os.path.expanduser(root)))  # of a link to itself too


def _find(source: Source, root: str | Path | None, download: bool) -> Path:
    if download and describe(source.name, root).place is None:
        try:
            source.download(_folder(root))
        except (OSError, RuntimeError) as error:
            raise DataError(f"{source.name} could not be downloaded: {error}") from error
    description = describe(source.name, root)
    if description.place is None:
        raise DataError(
            f"the data set {source.name} is not here; it was searched for in "
            f"{', '.join(map(str, description.places))}. {description.how_to_get}"
        )
    return description.place


def _read_test(name: str, place: Path, size: int | None) -> AnySplit:
    return _ready(SOURCES[name].read(place, "test")[0], size)


def _divide(source: Source, split: AnySplit, seed: int) -> tuple[AnySplit, AnySplit]:
    """Take the validation images out of the training images."""
    held_out = source.held_out or max(len(split) // 10, 1)
    if held_out >= len(split):
        raise DataError(
            f"{source.name}: {held_out} of the training images are held out for validation, but "
            f"there are only {len(split)}"
        )
    if source.stratified:
        from sklearn.model_selection import train_test_split

        rest, taken = train_test_split(
            range(len(split)), test_size=held_out, stratify=split.labels, random_state=seed
        )
        return split.select(torch.tensor(rest)), split.select(torch.tensor(taken))
    order = _shuffled(split, seed)
    return split.select(order[held_out:]), split.select(order[:held_out])


def _some(split: AnySplit, field: str, sizes: dict[str, int | None], seed: int) -> AnySplit:
    size = optional(whole, field, sizes[field], 1, len(split))
    return split if size is None else split.select(_shuffled(split, seed)[:size])


def _shuffled(split: AnySplit, seed: int) -> torch.Tensor:
    return torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))


def _ready(split: AnySplit, size: int | None) -> AnySplit:
    """The split with images of this size, in memory if they are few."""
    if size is not None:
        split = split.resized(size)
    if isinstance(split, FileSplit) and len(split) * 3 * split.image_size**2 <= HELD_IN_MEMORY:
        return split.in_memory()
    return split

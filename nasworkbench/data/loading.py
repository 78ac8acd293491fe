"""``data.load``: find a data set by name, split it, and make the images one size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ..errors import DataError, SettingsError, listed
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

    name: str
    summary: str
    found: Path | None
    looked: tuple[Path, ...]
    how_to_get: str


def names() -> tuple[str, ...]:
    """The names that :func:`load` knows."""
    return tuple(SOURCES)


def default_root() -> Path:
    """Where data are looked for: the folder NASWORKBENCH_DATA names, else ~/.cache/nasworkbench."""
    return Path(os.environ.get("NASWORKBENCH_DATA") or Path.home() / ".cache" / "nasworkbench")


def describe(name: str, root: str | Path | None = None) -> Description:
    """What the set is, whether it is on this machine, where was looked, and how to get it.

    Raises:
        DataError: an unknown name.
    """
    source = _source(name)
    places = tuple(source.places(_folder(root)))
    found = next((place for place in places if source.present(place)), None)
    return Description(name, source.summary, found, places, source.how_to_get)


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
        root: folder to look in; default :func:`default_root`. For ``imagefolder`` and ``imagenet``
            the folder that holds ``train/``.
        image_size: side in pixels to resize to, once; ``None``: as they are (224 for folders of
            images: the paper's mobile size).
        train_size, validation_size: keep only so many images, drawn at random; ``None``: all.
        seed: of the split into train and validation and of these draws. The test data are the same
            for every seed.
        download: whether a missing set may be fetched from the net into ``root``.

    Raises:
        DataError: an unknown name; missing data (says where it looked and how to get them); an
            empty or corrupt file, by name.
        SettingsError: a size or seed out of range.
    """
    source = _source(name)
    for field, value in (("image_size", image_size), ("train_size", train_size),
                         ("validation_size", validation_size)):  # fmt: skip
        if value is not None and (not isinstance(value, int) or value < 1):
            raise SettingsError(f"{field} is a whole number from 1, or None, got {value!r}")
    if not isinstance(seed, int) or seed < 0:
        raise SettingsError(f"seed is a whole number from 0, got {seed!r}")

    place = _find(source, root, download)
    size = image_size or source.image_size
    train = source.read(place, "train")
    validation = source.read_validation(place)
    if validation is None:
        train, validation = _divide(source, train, seed)
    train = _ready(_some(train, train_size, "train_size", seed), size)
    validation = _ready(_some(validation, validation_size, "validation_size", seed), size)
    mean, std = statistics(train)
    return Dataset(
        name=name,
        class_names=source.class_names(place),
        train=train,
        validation=validation,
        read_test=partial(_read_test, name, place, size),
        mean=mean,
        std=std,
        load_settings={
            "name": name,
            "root": None if root is None else str(_folder(root)),
            "image_size": image_size,
            "train_size": train_size,
            "validation_size": validation_size,
            "seed": seed,
        },
    )


def _source(name: str) -> Source:
    if isinstance(name, str) and name.startswith(OWN):
        raise DataError(
            f"{name!r} was made from its owner's tensors and cannot be loaded by name. Make it "
            "again with Dataset.from_tensors, and pass it, or the evaluator that holds it, yourself"
        )
    if name not in SOURCES:
        raise DataError(
            f"unknown data set {name!r}; known are {listed(names())}. Your own tensors become one "
            "by Dataset.from_tensors"
        )
    return SOURCES[name]


def _folder(root: str | Path | None) -> Path:
    return default_root() if root is None else Path(root).expanduser().resolve()


def _find(source: Source, root: str | Path | None, download: bool) -> Path:
    description = describe(source.name, root)
    if description.found is None and download:
        try:
            source.download(_folder(root))
        except (OSError, RuntimeError) as error:
            raise DataError(f"{source.name} could not be downloaded: {error}") from error
        description = describe(source.name, root)
    if description.found is None:
        raise DataError(
            f"the data set {source.name} is not here. Looked in: "
            f"{', '.join(map(str, description.looked))}. {description.how_to_get}"
        )
    return description.found


def _read_test(name: str, place: Path, size: int | None) -> AnySplit:
    return _ready(SOURCES[name].read(place, "test"), size)


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


def _some(split: AnySplit, size: int | None, field: str, seed: int) -> AnySplit:
    if size is None:
        return split
    if size > len(split):
        raise SettingsError(f"{field}={size}, but there are only {len(split)} images to take from")
    return split.select(_shuffled(split, seed)[:size])


def _shuffled(split: AnySplit, seed: int) -> torch.Tensor:
    return torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))


def _ready(split: AnySplit, size: int | None) -> AnySplit:
    """The split with images of this size, in memory if they are few."""
    if size is not None:
        split = split.resized(size)
    if isinstance(split, FileSplit) and len(split) * 3 * split.image_size**2 <= HELD_IN_MEMORY:
        return split.in_memory()
    return split

"""A data set: train and validation splits, and a test split that nothing reads until asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from torch import Tensor

from ..errors import DataError, errors_in, printable
from .splits import AnySplit, FileSplit, Split, statistics

#: Marks the name, in :meth:`Dataset.settings`, of a set that :func:`load` cannot make again.
OWN = "custom:"

Pair = tuple[Tensor, Tensor]  # images, labels


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images to train on, to choose architectures by (validation), and for the final score (test).

    Made by :func:`nasworkbench.data.load` or :meth:`from_tensors`.

    Args:
        name: as the user calls it.
        class_names: one for each class, in the order of the labels.
        train, validation: a :class:`Split` or :class:`FileSplit` each.
        read_test: called once, when :attr:`test` is first used. It must be picklable if the set is
            to be sent to other processes.
        mean, std: of each channel over the training split, for pixels in 0..1.
        load_settings: what ``data.load`` takes to make this set again; ``None``: a set of the
            user's own.

    Raises:
        DataError: splits that do not fit one another, or a label without a class name.
    """

    name: str
    class_names: tuple[str, ...]
    train: AnySplit
    validation: AnySplit
    read_test: Callable[[], AnySplit]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    load_settings: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self._check("validation", self.validation)
        self._check("train", self.train)

    def _check(self, role: str, split: AnySplit) -> None:
        ours = (self.train.channels, self.train.image_size)
        theirs = (split.channels, split.image_size)
        if theirs != ours:
            raise DataError(
                f"{self.name}: (channels, side) must be those of the train images, {ours}; "
                f"the {role} images have {theirs}"
            )
        if int(split.labels.max()) >= self.classes:
            raise DataError(
                f"{self.name}: {role} has the label {int(split.labels.max())}, but the labels of "
                f"{self.classes} classes are 0 to {self.classes - 1}"
            )

    @classmethod
    def from_tensors(
        cls,
        name: str,
        train: Pair | AnySplit,
        validation: Pair | AnySplit,
        test: Pair | AnySplit | Callable[[], AnySplit] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Dataset:
        """A data set of one's own.

        Args:
            name: any text.
            train, validation: ``(images, labels)`` as :class:`Split` takes them, or a split.
            test: the same, or a function that returns a split when the test data are first used;
                ``None``: using ``.test`` is an error.
            class_names: default: the numbers of the classes in the training labels.

        Raises:
            DataError: tensors of a wrong type or shape; the message names the split.
        """
        trained, validated = _split(name, "train", train), _split(name, "validation", validation)
        if class_names is None:
            class_names = [str(c) for c in range(int(trained.labels.max()) + 1)]
        if not callable(test):
            test = partial(_given_test, name, None if test is None else _split(name, "test", test))
        mean, std = statistics(trained)
        return cls(name, tuple(class_names), trained, validated, test, mean, std)

    @cached_property
    def test(self) -> AnySplit:
        """The test split. A search never touches it: it is read when first used, and only then.

        Raises:
            DataError: there are no test data, or their files are missing or corrupt.
        """
        split = self.read_test()
        self._check("test", split)
        return split

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """Colour channels of each image."""
        return self.train.channels

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return self.train.image_size

    def settings(self) -> dict[str, Any]:
        """A JSON-ready dict that ``data.load(**settings)`` takes.

        A set of one's own cannot be loaded again: its name is marked ``custom:`` and carries a
        digest of the training and validation data, so that a stored search can tell whether it is
        given the same set again.
        """
        if self.load_settings is not None:
            return dict(self.load_settings)
        return {"name": f"{OWN}{self.name}@{self._digest}"}

    @cached_property
    def _digest(self) -> str:
        """Eight hexadecimal digits of what is trained on and validated on."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for split in (self.train, self.validation):
            digest.update(split.labels.numpy().tobytes())
            if isinstance(split, FileSplit):
                digest.update(repr((split.image_size, list(split.paths))).encode())
            else:
                digest.update(repr(tuple(split.images.shape)).encode())
                digest.update(split.images.contiguous().numpy().tobytes())
        return digest.hexdigest()[:8]

    def __repr__(self) -> str:
        name, side = printable(self.name, 80), self.image_size
        return (
            f"Dataset({name}: {self.classes} classes, {self.channels} x {side} x {side}, "
            f"{len(self.train)} train / {len(self.validation)} validation)"
        )


def _given_test(name: str, split: AnySplit | None) -> AnySplit:
    """The test split that the owner gave, or the error that there is none."""
    if split is None:
        raise DataError(f"the data set {name!r} has no test split; pass test=(images, labels)")
    return split


def _split(name: str, role: str, pair: object) -> AnySplit:
    if isinstance(pair, AnySplit):
        return pair
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise DataError(
            f"{name}, {role}: expected a pair (images, labels), got {type(pair).__name__}"
        )
    with errors_in(f"{name}, {role}: ", DataError):
        return Split(*pair)

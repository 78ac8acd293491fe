"""The recipe: everything that decides how a child network is trained, apart from the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import SettingsError

SCHEDULES = ("cosine", "constant")
CROPS = ("none", "pad", "upsample")


@dataclass(frozen=True)
class Recipe:
    """Optimiser, schedule, regularisation and augmentation of one training run.

    The defaults are those of the paper's search on CIFAR-10; where the paper gives no number, that
    of the authors' released code ("slim": tensorflow/models, ``nasnet.py``).

    Args:
        epochs: passes over the training images. Paper A.1: 20 in the search.
        batch_size: images a step, at most. slim: 32.
        learning_rate: at the first step. slim: 0.025.
        final_learning_rate: that the cosine falls to. Single period down to 0, as the paper.
        schedule: "cosine" (one period over all steps; the paper's) or "constant".
        momentum: of SGD. Paper: 0.9.
        nesterov: not the paper's; an option.
        weight_decay: of the weights of convolutions and linear layers only (as slim's L2), never of
            batch norm or biases. slim: 5e-4.
        clip_norm: largest norm of all gradients together, or ``None``. slim: 5.
        label_smoothing: 0 on CIFAR; 0.1 on ImageNet (paper A.7).
        auxiliary_weight: of the auxiliary head's loss, if the network has one. Paper A.7: 0.4.
        drop_path_keep: probability, at the last step, that a path is kept; 1 turns drop path off.
            slim: 0.6 for the final CIFAR networks.
        drop_path_in_depth: keep more in the first cells than in the last (slim's default), instead
            of the same in all (the paper's text).
        ema_decay: of the moving average of the weights, or ``None``. Paper A.7 (ImageNet): 0.9999.
        amp: bfloat16 on devices that have it (CUDA); elsewhere without effect.
        bn_momentum: given to every batch norm, or ``None``: as the network has it. Short trainings
            need more than the usual 0.1: see :func:`nasworkbench.training.train`.
        crop: "none"; "pad": zeros around the image (4 at 32 pixels, as AdaNet's NASNet code; in
            proportion at other sizes), then a random crop of the old size; "upsample": enlarge to
            5/4 of the side (40 at 32 pixels), then a random crop of the old size (paper A.6).
        flip: left to right, every second image at random (paper A.6).
        cutout: side of the square set to the mean at a random place, partly outside at the borders;
            0 turns it off. AdaNet's NASNet code: 16.
        evaluate_every: epochs from one validation to the next; the last epoch always has one.
        time_limit: seconds after which training stops, or ``None``.
        workers: processes that read ahead, for data sets in files.

    Raises:
        SettingsError: a value out of range; the message names the field and what is allowed.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.025
    final_learning_rate: float = 0.0
    schedule: str = "cosine"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    clip_norm: float | None = 5.0
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.4
    drop_path_keep: float = 1.0
    drop_path_in_depth: bool = False
    ema_decay: float | None = None
    amp: bool = True
    bn_momentum: float | None = None
    crop: str = "none"
    flip: bool = False
    cutout: int = 0
    evaluate_every: int = 1
    time_limit: float | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        for field, (allowed, fits) in _ALLOWED.items():
            value = getattr(self, field)
            if not fits(value):
                raise SettingsError(f"recipe: {field} must be {allowed}, got {value!r}")
        if self.nesterov and self.momentum == 0:
            raise SettingsError("recipe: nesterov needs a momentum above 0, got momentum=0")
        if self.final_learning_rate > self.learning_rate:
            raise SettingsError(
                f"recipe: final_learning_rate={self.final_learning_rate} must not be above "
                f"learning_rate={self.learning_rate}"
            )

    @classmethod
    def digits(cls, epochs: int = 1) -> Recipe:
        """For scikit-learn's digits: no flips (a mirrored 5 is not a 5), no crops, few steps, and
        batch norm that follows them (see ``train``). All numbers are this project's choice: the
        main job then fits into five minutes on two slow cores, and one pass ranks cells alike for
        two seeds (correlation 0.9)."""
        return cls(
            epochs=epochs,
            batch_size=64,
            learning_rate=0.1,
            weight_decay=5e-4,
            bn_momentum=0.3,
            clip_norm=None,
        )

    @classmethod
    def paper_search(cls) -> Recipe:
        """How the paper trains a child in the search on CIFAR-10 (A.1, A.6).

        From the paper: 20 epochs, one cosine period, momentum 0.9, L2, enlarge-and-crop, flip. Not
        in the paper, so slim's CIFAR values: batch 32, learning rate 0.025, L2 of 5e-4, clip 5.
        """
        return cls(crop="upsample", flip=True)

    @classmethod
    def paper_final(cls) -> Recipe:
        """How the best cells are trained at last, on CIFAR-10.

        From the paper: cosine, momentum 0.9, L2, ScheduledDropPath, auxiliary head,
        enlarge-and-crop, flip. From slim: 600 epochs (its 937,500 steps of batch 32 on all 50,000
        images), learning rate 0.025, L2 of 5e-4, clip 5, and drop path of 0.6 with slim's schedule,
        which is in depth too. The hole of 16 pixels is AdaNet's: the paper gives no size.
        """
        return cls(
            epochs=600,
            drop_path_keep=0.6,
            drop_path_in_depth=True,
            crop="upsample",
            flip=True,
            cutout=16,
        )

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate when this part of all steps (0 to 1) is done."""
        if self.schedule == "constant":
            return self.learning_rate
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2

    def settings(self) -> dict[str, Any]:
        """A JSON-ready dict; ``Recipe(**settings)`` is equal to this recipe."""
        return asdict(self)


def _number(low: float, high: float = math.inf, *, above: bool = False, below: bool = False) -> Any:
    """What is allowed, in words and as a test: a finite number from ``low`` to ``high``.

    ``above`` and ``below`` leave the bound itself out.
    """
    words = f"a number {'above' if above else 'from'} {low:g}"
    if high < math.inf:
        words += f" {'and below' if below else 'to'} {high:g}"

    def fits(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        over = value > low if above else value >= low
        under = value < high if below else value <= high
        return math.isfinite(value) and over and under

    return words, fits


def _whole(low: int) -> Any:
    return f"a whole number from {low}", lambda value: type(value) is int and value >= low


def _one_of(words: tuple[str, ...]) -> Any:
    return f"one of {', '.join(map(repr, words))}", lambda value: value in words


def _or_none(rule: tuple[str, Callable[[object], bool]]) -> Any:
    words, fits = rule
    return f"{words}, or None", lambda value: value is None or fits(value)


_FLAG = ("True or False", lambda value: isinstance(value, bool))

_ALLOWED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "learning_rate": _number(0, above=True),
    "final_learning_rate": _number(0),
    "schedule": _one_of(SCHEDULES),
    "momentum": _number(0, 1, below=True),
    "nesterov": _FLAG,
    "weight_decay": _number(0),
    "clip_norm": _or_none(_number(0, above=True)),
    "label_smoothing": _number(0, 1, below=True),
    "auxiliary_weight": _number(0),
    "drop_path_keep": _number(0, 1, above=True),
    "drop_path_in_depth": _FLAG,
    "ema_decay": _or_none(_number(0, 1, above=True, below=True)),
    "amp": _FLAG,
    "bn_momentum": _or_none(_number(0, 1, above=True)),
    "crop": _one_of(CROPS),
    "flip": _FLAG,
    "cutout": _whole(0),
    "evaluate_every": _whole(1),
    "time_limit": _or_none(_number(0, above=True)),
    "workers": _whole(0),
}

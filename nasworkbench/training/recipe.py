"""The recipe: everything that decides how a child network is trained, apart from the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any

from ..checks import choice, flag, number, optional, whole
from ..errors import SettingsError

SCHEDULES = ("cosine", "constant")
CROPS = ("none", "pad", "upsample")

_POSITIVE = partial(number, least=0, above=True)
_FROM_ZERO = partial(number, least=0)
_SHARE = partial(number, least=0, most=1, above=True)
_BELOW_ONE = partial(number, least=0, most=1, below=True)


def _setting(default: Any, check: Callable[..., Any], *first: Any, **limits: Any) -> Any:
    """A field with its default, and the check that every value of it goes through."""
    return field(default=default, metadata={"check": partial(check, *first, **limits)})


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

    epochs: int = _setting(20, whole)
    batch_size: int = _setting(32, whole)
    learning_rate: float = _setting(0.025, _POSITIVE)
    final_learning_rate: float = _setting(0.0, _FROM_ZERO)
    schedule: str = _setting("cosine", choice, allowed=SCHEDULES)
    momentum: float = _setting(0.9, _BELOW_ONE)
    nesterov: bool = _setting(False, flag)
    weight_decay: float = _setting(5e-4, _FROM_ZERO)
    clip_norm: float | None = _setting(5.0, optional, _POSITIVE)
    label_smoothing: float = _setting(0.0, _BELOW_ONE)
    auxiliary_weight: float = _setting(0.4, _FROM_ZERO)
    drop_path_keep: float = _setting(1.0, _SHARE)
    drop_path_in_depth: bool = _setting(False, flag)
    ema_decay: float | None = _setting(None, optional, _SHARE, below=True)
    amp: bool = _setting(True, flag)
    bn_momentum: float | None = _setting(None, optional, _SHARE)
    crop: str = _setting("none", choice, allowed=CROPS)
    flip: bool = _setting(False, flag)
    cutout: int = _setting(0, whole, least=0)
    evaluate_every: int = _setting(1, whole)
    time_limit: float | None = _setting(None, optional, _POSITIVE)
    workers: int = _setting(0, whole, least=0)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = f.metadata["check"](f"recipe: {f.name}", getattr(self, f.name))
            object.__setattr__(self, f.name, value)
        if self.nesterov and self.momentum == 0:
            raise SettingsError("recipe: nesterov needs a momentum above 0, got momentum=0")
        if self.final_learning_rate > self.learning_rate:
            raise SettingsError(
                f"recipe: final_learning_rate must be at most learning_rate={self.learning_rate}, "
                f"got {self.final_learning_rate}"
            )

    @classmethod
    def digits(cls, epochs: int = 1) -> Recipe:
        """For scikit-learn's digits: no flips (a mirrored 5 is not a 5), no crops, few steps, and
        batch norm that follows them (see ``train``). All numbers are this project's choice: the
        main job then fits into five minutes on two slow cores, and one pass ranks cells alike for
        two seeds (correlation 0.9)."""
        return cls(epochs, batch_size=64, learning_rate=0.1, bn_momentum=0.3, clip_norm=None)

    @classmethod
    def paper_search(cls) -> Recipe:
        """How the paper trains a child in the search on CIFAR-10 (A.1, A.6).

        From the paper: 20 epochs, one cosine period, momentum 0.9, L2, enlarge-and-crop, flip. Not
        in the paper, so slim's CIFAR values: batch 32, learning rate 0.025, L2 of 5e-4, clip 5.
        """
        return cls(crop="upsample", flip=True)

    @classmethod
    def paper_final(cls) -> Recipe:
        """How the best cells of a search are trained again, on CIFAR-10.

        From the paper: cosine, momentum 0.9, L2, ScheduledDropPath, auxiliary head,
        enlarge-and-crop, flip. From slim: 600 epochs (its 937,500 steps of batch 32 on all 50,000
        images), learning rate 0.025, L2 of 5e-4, clip 5, and drop path of 0.6 with slim's schedule,
        which is in depth too. The hole of 16 pixels is AdaNet's: the paper gives no size.
        """
        search = cls.paper_search()
        return replace(search, epochs=600, drop_path_keep=0.6, drop_path_in_depth=True, cutout=16)

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate when this share of all steps (0 to 1) is done."""
        if self.schedule == "constant":
            return self.learning_rate
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2

    def settings(self) -> dict[str, Any]:
        """A JSON-ready dict; ``Recipe(**settings)`` is equal to this recipe."""
        return asdict(self)

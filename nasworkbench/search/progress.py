"""The bar of a running search: best reward, trials a minute, time left, failures."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from tqdm.auto import tqdm

from ..progress import is_shown
from .store import Trial


class Progress:
    """A tqdm bar; nothing where nobody watches.

    Args:
        title: in front of the bar.
        done, goal: trials finished, and to be finished.
        best: best reward so far, None if there is none.
        failed: failed trials so far.
        show: see :func:`nasworkbench.progress.is_shown`.
    """

    def __init__(
        self, title: str, done: int, goal: int, best: float | None, failed: int, show: bool | None
    ) -> None:
        self.best, self.failed = best, failed
        self.start, self.done = time.monotonic(), done
        self.first = done
        self.bar = tqdm(
            total=goal,
            initial=done,
            desc=title,
            unit="trial",
            disable=not is_shown(show),
            dynamic_ncols=True,
            mininterval=0.1 if sys.stderr.isatty() else 5.0,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {n}/{total} "
            "[{elapsed}<{remaining}{postfix}]",
        )

    def show(self, trial: Trial) -> None:
        """One more trial has ended."""
        self.done += 1
        if trial.status == "ok" and (self.best is None or (trial.reward or 0.0) > self.best):
            self.best = trial.reward
        self.failed += trial.status != "ok"
        minutes = (time.monotonic() - self.start) / 60
        rate: dict[str, Any] = {
            "trials/min": f"{(self.done - self.first) / max(minutes, 1e-9):.0f}"
        }
        if self.best is not None:
            rate = {"best": f"{self.best:.4f}"} | rate
        if self.failed:
            rate["failed"] = self.failed
        self.bar.set_postfix(rate, refresh=False)
        self.bar.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

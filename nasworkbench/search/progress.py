"""The bar of a running search: best reward, speed, time left, failures."""

from __future__ import annotations

from typing import Any, Self

from ..progress import bar
from .trial import Trial


class Progress:
    """A bar of trials; use it by ``with``.

    Args:
        title: in front of the bar.
        done, goal: trials finished, and to be finished.
        best: best reward so far, None if there is none.
        failed: failed trials so far.
        progress: see :func:`nasworkbench.progress.is_shown`.
    """

    def __init__(
        self,
        title: str,
        done: int,
        goal: int,
        best: float | None,
        failed: int,
        progress: bool | None,
    ) -> None:
        self.best, self.failed = best, failed
        self.bar = bar(title, goal, done, progress, unit=" trials")

    def show(self, trial: Trial) -> None:
        """One more trial has ended."""
        if trial.status == "ok" and (self.best is None or (trial.reward or 0.0) > self.best):
            self.best = trial.reward
        self.failed += trial.status != "ok"
        words: dict[str, Any] = {}
        if self.best is not None:
            words["best"] = f"{self.best:.4f}"
        if self.failed:
            words["failed"] = self.failed
        self.bar.set_postfix(words, refresh=False)
        self.bar.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

"""The history of a search: one typed, read-only view of a run folder.

Everything that shows or judges a search reads it here: plots, dashboard, replay, report, command
line. The folder may belong to a search that runs, in this process or another; it is left as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy

from ..checks import whole
from ..controllers.policy import padded
from ..errors import StoreError
from ..spaces import Space
from .rebuilding import build_space, describe, difference
from .store import Store
from .trial import Trial

if TYPE_CHECKING:
    import pandas

#: Of columns that pandas could not tell from an empty frame.
TYPES = {"cached": bool, "reward": float, "told_reward": float}
FRAME = (
    "number", "tokens", "key", "seed", "status", "reward", "told_reward", "completion_order",
    "cached", "cause", "seconds", "parameters", "worker", "proposed_at", "ended_at", "attempts",
    "updates_at_proposal", "updates_at_tell", "log_prob", "curves",
)  # fmt: skip


class History:
    """What a search has measured so far. Close it, or use it by ``with``.

    Args:
        directory: a run folder, finished or not.
        space: for a search of your own space class.

    Attributes:
        controller, evaluator: ``{"class": ..., "settings": {...}}`` of each, as stored.
        name: the controller's class, e.g. ``PPO``.

    Raises:
        StoreError: no search there, a damaged file, another space than the one given, or a space
            class of your own that was not given (only when something needs the space).
    """

    def __init__(self, directory: str | Path, space: Space | None = None) -> None:
        self.directory = Path(directory).absolute()
        self.store = Store(directory, space, read_only=True)
        self.controller = self.store.meta("controller")
        self.evaluator = self.store.meta("evaluator")
        self._stored_space, self._read = self.store.meta("space"), 0
        self.name: str = self.controller["class"]
        changed = space is not None and difference(self._stored_space, describe(space))
        if changed:
            self.close()
            raise StoreError(f"{directory} holds a search with another space: {changed}")

    @property
    def space(self) -> Space:
        """The search space, given or built from what is stored.

        Raises:
            StoreError: a class of the user's own that was not given.
        """
        if self.store.space is None:
            self.store.space = build_space(self._stored_space)
        return self.store.space

    @property
    def reward_label(self) -> str:
        """What a reward is, in words."""
        accuracy = self.evaluator["settings"].get("reward") == "accuracy" or self.reads_table
        return "reward (validation accuracy)" if accuracy else "reward"

    @property
    def reads_table(self) -> bool:
        """Whether the rewards were read from a table."""
        return self.evaluator["class"] == "TableEvaluator"

    @property
    def count(self) -> int:
        """Number of trials that have ended."""
        return self.store.finished_count

    def meta(self, name: str, default: Any = None) -> Any:
        """What was stored under this name: ``provenance``, ``goal``, ``job``, ``verdict``, your
        own notes, ..."""
        return self.store.meta(name, default)

    def trials(self) -> pandas.DataFrame:
        """One row per finished trial, in the order of completion; the columns are :data:`FRAME`:
        those of :class:`Trial`, and ``log_prob``, log P of all its tokens (NaN without a policy).
        """
        return trials_frame(self.store)

    def read(self) -> pandas.DataFrame:
        """As :meth:`trials`, those that have ended since the last call."""
        frame = trials_frame(self.store, self._read)
        self._read += len(frame)
        return frame

    def trial(self, number: int) -> Trial:
        """The trial of this number.

        Raises:
            StoreError: there is no such trial.
        """
        _ = self.space
        trial = self.store.trial(whole("number", number, least=0))
        if trial is None:
            raise StoreError(f"{self.directory} holds no trial {number}")
        return trial

    def best(self, k: int = 1) -> list[Trial]:
        """The ``k`` best trials of different architectures, best first; or all, if fewer."""
        _ = self.space
        return self.store.best(whole("k", k))

    def distributions(self, number: int) -> numpy.ndarray | None:
        """P of every choice of every decision when this trial was drawn: (T, C) float32, 0 where
        a decision has no such choice; None for a controller without a policy."""
        flat = self.trial(number).proposal.distributions
        return None if flat is None else padded(flat, [d.choices for d in self.space.decisions])

    def updates(self, after: int = 0) -> list[dict[str, Any]]:
        """A dict per update of the controller, those after number ``after``: ``update`` (from 1),
        ``told`` (trials that had ended by then) and what it measured, among it ``numbers`` (the
        trials it learned from), their ``advantages`` and ``baseline_before``."""
        return self.store.updates(after)

    def retrained(self) -> list[dict[str, Any]]:
        """A dict per network of the final retraining: ``origin``, ``key``, ``seed``, ``genotype``,
        ``reward``, ``status``, ``cause``, ``validation``, ``test`` and ``seconds``."""
        return self.store.retrainings()

    def close(self) -> None:
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"History of {self.directory}: {self.count} trials of {self.name}"


def trials_frame(store: Store, after: int = 0) -> pandas.DataFrame:
    """The trials that ended after the first ``after`` of them; see :meth:`History.trials`."""
    import pandas

    rows = store.rows(after)
    for row in rows:
        row["log_prob"] = sum(row["log_probs"]) if row["log_probs"] else float("nan")
    return pandas.DataFrame(rows, columns=list(FRAME)).astype(TYPES)

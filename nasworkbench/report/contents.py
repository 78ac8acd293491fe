"""What a report says of one run folder, read once: all numbers of a page are from the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from ..search import History


@dataclass(frozen=True)
class Contents:
    """A run's history, and what was read of it: trials, updates, and the retrained networks."""

    history: History
    trials: pandas.DataFrame
    updates: list[dict[str, Any]]
    retrained: list[dict[str, Any]]

    @property
    def measured(self) -> pandas.DataFrame:
        """The trials that measured a reward of their own, in the order of ``Search.best``."""
        measured = self.trials[(self.trials["status"] == "ok") & ~self.trials["cached"]]
        return measured.sort_values(["reward", "number"], ascending=[False, True])

    @property
    def job(self) -> dict[str, Any]:
        """What the main job noted: name, tier and the tier's settings; empty without one."""
        return self.history.meta("job") or {}


@contextmanager
def read(directory: Path) -> Iterator[Contents]:
    """The contents of a run folder, whose file is open inside.

    Raises:
        StoreError: no search in the folder, or a damaged one.
    """
    with History(directory) as history:
        yield Contents(history, history.trials(), history.updates(), history.retrained())

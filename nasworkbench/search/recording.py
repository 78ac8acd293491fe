"""A recorded search, trial by trial, with the policy that drew each of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from ..controllers import Controller
from ..controllers.policy_gradient import PolicyGradient
from ..errors import SettingsError, StoreError, WorkbenchError
from .rebuilding import CLASSES, build_controller, build_space, describe, difference, record
from .reenacting import Past, doubts, reenact, stored_past, told_before
from .sqlite_file import damaged
from .store import FILE, UNFINISHED, Store, Trial, trials_frame

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Step:
    """One trial of a recording, the best of those that had ended by then, and its past."""

    trial: Trial
    best: Trial | None
    past: Past


class Recording:
    """All finished trials of a run folder, in the order in which they ended.

    Reading takes a second or two for a thousand trials, most of it for the re-enacted updates
    (see :mod:`.reenacting`). The folder is left as it is, and the file is closed again.

    Args:
        directory: a run folder, finished or not.
        controller: for a search of your own controller class: a new one, with the same settings.
        space: for a search of your own space class.
        progress: show a bar if it takes longer than two seconds; None: if somebody watches.

    Attributes:
        directory, space: as given, or built from what was stored.
        description: ``{"class": ..., "settings": ...}`` of the controller.
        steps: a :class:`Step` per finished trial.
        probabilities: (trials, T, C) float32: P of every choice of every decision when the trial
            was drawn; 0 where a decision has no such choice. None without a policy.
        note: what a reader of the probabilities must know, if anything; else empty.

    Raises:
        StoreError: no search there, a damaged file, another controller or space than given, or a
            class of your own that was not given.
        SettingsError: the controller has learnt already.
    """

    def __init__(
        self,
        directory: str | Path,
        controller: Controller | None = None,
        space: Any = None,
        progress: bool | None = None,
    ) -> None:
        self.directory = Path(directory)
        if space is None and controller is not None:
            space = controller.space
        with _readable(self.directory) as folder, closing(Store(folder)) as store:
            self.description = record(store.meta("controller"), "controller", directory)
            self.space = store.space = self._space(store, space)
            try:
                self._frame = trials_frame(store)
                trials = sorted(
                    store.trials(f"NOT {UNFINISHED}"), key=lambda t: t.completion_order or 0
                )
                if [t.completion_order for t in trials] != list(range(1, len(trials) + 1)):
                    raise ValueError("the order in which its trials ended is not complete")
                updates = store.updates()
                pasts = stored_past(trials, updates)
                proposed, ended = (
                    self._frame[name].astype(float).tolist() for name in ("proposed_at", "ended_at")
                )
            except (TypeError, ValueError) as error:
                raise damaged(self.directory / FILE, error) from None
        self.probabilities: numpy.ndarray | None = None
        self.note = ""
        if any(trial.proposal.log_probs for trial in trials):
            actor = self._controller(controller)
            if isinstance(actor, PolicyGradient):
                initial = actor.state_dict()
                try:
                    self.probabilities = reenact(
                        actor, trials, pasts, self._frame["told"].tolist(),
                        told_before(proposed, ended), progress,
                    )  # fmt: skip
                    self.note = doubts(pasts, actor.updates, len(updates))
                except (TypeError, ValueError, WorkbenchError) as error:
                    raise damaged(self.directory / FILE, error) from error
                finally:
                    actor.load_state_dict(initial)  # it may be the user's
            else:
                self.note = (
                    f"The policy of {self.description['class']} cannot be re-enacted: only that "
                    "of a PolicyGradient can."
                )
        self.steps = _steps(trials, pasts)

    def __len__(self) -> int:
        return len(self.steps)

    def trials(self) -> pandas.DataFrame:
        """What ``Search.trials()`` gives."""
        return self._frame.copy()

    def rows(self) -> pandas.DataFrame:
        """A row a trial: ``number``, ``completion_order``, ``key``, ``status``, ``cached``,
        ``reward``, ``told_reward``, the fields of :class:`Past`, ``best_number`` and
        ``best_reward``."""
        import pandas

        kept = ("number", "completion_order", "key", "status", "cached", "reward", "told_reward")
        rows = []
        for step in self.steps:
            row = {name: getattr(step.trial, name) for name in kept} | asdict(step.past)
            best = {name: getattr(step.best, name, None) for name in ("number", "reward")}
            rows.append(row | {f"best_{name}": value for name, value in best.items()})
        names = (*kept, *Past.__dataclass_fields__, "best_number", "best_reward")
        return pandas.DataFrame(rows, columns=list(names))

    def __repr__(self) -> str:
        return f"Recording of {self.directory}: {len(self)} trials of {self.description['class']}"

    def _space(self, store: Store, given: Any) -> Any:
        stored = record(store.meta("space"), "space", self.directory)
        self._check(stored, given, "space")
        return build_space(stored) if given is None else given

    def _controller(self, given: Controller | None) -> Controller:
        """One at the beginning of the search."""
        self._check(self.description, given, "controller")
        if given is None:
            return build_controller(self.description, self.space)
        if isinstance(given, PolicyGradient) and (given.updates or given.waiting):
            raise SettingsError(
                "this controller has learnt already, and its past cannot be re-enacted from here: "
                f"pass a new one, {type(given).__name__}(space, ...), with the same settings"
            )
        return given

    def _check(self, stored: dict[str, Any], given: Any, role: str) -> None:
        if given is None and stored["class"] not in CLASSES:
            raise StoreError(
                f"{self.directory}: this search used your own {role} {stored['class']!r}, which "
                f"the library cannot build. Pass a new one: {role}=..."
            )
        changed = given is not None and difference(stored, describe(given))
        if changed:
            raise StoreError(f"{self.directory} holds a search with another {role}: {changed}")


def _steps(trials: list[Trial], pasts: list[Past]) -> list[Step]:
    best: Trial | None = None
    steps = []
    for trial, past in zip(trials, pasts, strict=True):
        reward = trial.reward if trial.status == "ok" else None
        if reward is not None and (best is None or reward > (best.reward or 0.0)):
            best = trial
        steps.append(Step(trial, best, past))
    return steps


@contextmanager
def _readable(folder: Path) -> Iterator[Path]:
    """The folder itself or, where nothing may be written, a copy of its file: SQLite must be able
    to write beside a file even to read it."""
    file = folder / FILE
    if not file.is_file() or (os.access(folder, os.W_OK) and os.access(file, os.W_OK)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="nasworkbench-") as copy:
        try:
            for path in (file, file.with_name(FILE + "-wal")):
                if path.exists():
                    shutil.copyfile(path, Path(copy) / path.name)
            yield Path(copy)
        except OSError as error:
            raise StoreError(f"cannot read {file}: {error}") from None
        except StoreError as error:
            raise StoreError(str(error).replace(copy, str(folder))) from None

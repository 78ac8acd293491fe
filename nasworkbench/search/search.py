"""The search: ask the controller, evaluate, store, tell the controller. Nothing else.

    proposal = controller.ask()          which cell next?
    evaluation = evaluator(genotype)     build and train the child network
    store                                before anybody is told
    controller.tell(outcome)             learn

Every arrow of this loop can be cut by kill -9 and the search goes on from there: see ``store.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ..checks import number, whole
from ..controllers import Controller
from ..controllers.policy import one_thread
from ..errors import SettingsError, StoreError
from ..executors import Executor, InlineExecutor, ProcessExecutor
from ..files import new_directory
from ..provenance import provenance
from ..spaces import Space
from ..tables import TableEvaluator
from ..training import Evaluation
from ..training.evaluator import LARGEST, Task
from .background import Background
from .history import trials_frame
from .loop import Activity, Loop
from .rebuilding import ROLES, build_controller, build_evaluator, build_space, describe, difference
from .schema import checked_notes
from .store import FILE, LOCK, Store
from .trial import Trial

if TYPE_CHECKING:
    import pandas

EXECUTORS = ("inline", "processes")

#: The runs of this process that are at work, by the identity of their controllers.
_AT_WORK: dict[int, object] = {}


class Search(Background):
    """A controller looks for good genotypes in a space; all it measures lies in one folder.

    Args:
        space: e.g. :class:`nasworkbench.CellSpace`.
        controller: e.g. :class:`nasworkbench.PPO`, made for this space.
        evaluator: from a genotype to an :class:`Evaluation` or a number.
        directory: the run folder; by default ``runs/search-<time>``. It must not hold a search yet.
        seed: the children's seeds follow from it and from the trial's number.
        failure_reward: what the controller is told of a child that failed; None: nothing.
        time_limit: seconds after which a child's process is killed (executor ``processes``);
            ``Recipe.time_limit`` ends a child by itself, with any executor.
        notes: anything else, JSON-ready, to keep with the search: ``search.store.meta(name)``.

    Raises:
        StoreError: the folder holds a search already.
        SettingsError: the controller was made for another space, a setting is out of range, or a
            note is not ready for JSON or has the name of one that the search keeps itself.
        TableError: the evaluator's table is of another space.
    """

    def __init__(
        self,
        space: Space,
        controller: Controller,
        evaluator: Callable[..., Evaluation | float],
        directory: str | Path | None = None,
        *,
        seed: int = 0,
        failure_reward: float | None = 0.0,
        time_limit: float | None = None,
        notes: dict[str, Any] | None = None,
    ) -> None:
        _check_objects(space, controller, evaluator)
        if isinstance(evaluator, TableEvaluator) and evaluator.missing == "error":
            evaluator.require_space(space)  # else every trial would be an error
        seed = whole("seed", seed, least=0)
        if failure_reward is not None:
            failure_reward = number("failure_reward", failure_reward, -LARGEST, LARGEST)
        if time_limit is not None:
            time_limit = number("time_limit", time_limit, 0.001)
        meta = {
            "space": describe(space),
            "controller": describe(controller),
            "evaluator": describe(evaluator),
            "seed": seed,
            "failure_reward": failure_reward,
            "time_limit": time_limit,
            "provenance": provenance(),
            **({} if notes is None else checked_notes(notes)),
        }
        directory = new_directory("runs", "search") if directory is None else Path(directory)
        directory = directory.absolute()
        Store.create(directory, meta)
        self._attach(directory, space, controller, evaluator)
        self.store.save_state(controller.state_dict(), 0)

    def _attach(self, directory: str | Path, space: Space, controller: Any, evaluator: Any) -> None:
        super().__init__()
        self.directory = Path(directory).absolute()  # a notebook may go to another folder
        self.space, self.controller, self.evaluator = space, controller, evaluator
        self.store = Store(directory, space)
        self.seed = self.store.meta("seed")
        self.failure_reward = self.store.meta("failure_reward")
        self.time_limit = self.store.meta("time_limit")
        self._loop: Loop | None = None

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        evaluator: Callable[..., Evaluation | float] | None = None,
        controller: Controller | None = None,
        space: Space | None = None,
        device: str | None = None,
        root: str | Path | None = None,
    ) -> Search:
        """The search in a folder, as it was when its process ended, however that was.

        What the library made, it makes again. Your own objects are passed in, and must have the
        settings of the stored ones (a fresh controller will do: its state is loaded). ``device``
        is for a machine without the device that the search was started on, ``root`` the folder of
        the data, if it is not where this machine keeps them.

        Raises:
            StoreError: no search there, a damaged file, another space, controller or evaluator.
        """
        with closing(Store(directory, read_only=True)) as store:
            records = {role: store.meta(role) for role in ROLES}
        if space is None and controller is not None:
            space = controller.space
        given = dict(zip(ROLES, (space, controller, evaluator), strict=True))
        for role, thing in given.items():
            changed = thing is not None and difference(records[role], describe(thing))
            if changed:
                raise StoreError(f"{directory} holds a search with another {role}: {changed}")
        space = space if space is not None else build_space(records["space"])
        controller = controller or build_controller(records["controller"], space)
        evaluator = evaluator or build_evaluator(records["evaluator"], device, root)
        _check_objects(space, controller, evaluator)
        search = cls.__new__(cls)
        search._attach(directory, space, controller, evaluator)
        return search

    # --- running ------------------------------------------------------------------------------

    def run(
        self,
        trials: int | None = None,
        executor: str | Executor = "inline",
        workers: int = 2,
        progress: bool | None = None,
    ) -> None:
        """Run ``trials`` more trials; block until they have ended.

        Ctrl-C (a notebook's stop button) leaves everything saved: call ``run`` again.

        Args:
            trials: how many *more*; None: as many as the last call had left.
            executor: ``inline`` (here, one by one, one torch thread; reproducible to the trial;
                ``InlineExecutor(Task(evaluator), threads=4)`` has more) or ``processes``;
                or an executor of your own, which is called with a genotype and a seed, gives an
                :class:`Evaluation`, and serves several searches.
            workers: processes, one torch thread each.
            progress: show a bar; None: if somebody watches (a terminal or a notebook).

        Raises:
            StoreError: another process is running this search, or its folder was deleted, moved or
                replaced: see :meth:`save_as`.
            SettingsError: an unknown executor, fewer than one worker or trial, or a controller that
                is at work in another search.
            WorkbenchError: the first five trials have all failed alike. What is saved is complete:
                run again to go on all the same.
        """
        trials = self._prepare(trials, executor, workers)
        self._run(trials, executor, workers, progress)

    def _prepare(self, trials: int | None, executor: str | Executor, workers: int) -> int | None:
        """Refuse what cannot be run, before anything has been changed; returns ``trials``."""
        if trials is not None:
            trials = whole("trials", trials)
        if not isinstance(executor, Executor) and executor not in EXECUTORS:
            raise SettingsError(f"executor must be 'inline' or 'processes', got {executor!r}")
        whole("workers", workers)
        self._reset()
        run = object()
        if _AT_WORK.setdefault(id(self.controller), run) is not run:
            raise SettingsError(
                f"this {type(self.controller).__name__} is at work in a search that is running: "
                "make a controller for each search, or wait"
            )
        return trials

    def _run(
        self, trials: int | None, executor: str | Executor, workers: int, progress: bool | None
    ) -> None:
        with ExitStack() as stack:
            stack.callback(_AT_WORK.pop, id(self.controller))
            self.store.check_place()  # else the lock would make the folder again
            try:
                stack.enter_context(FileLock(self.directory / LOCK).acquire(blocking=False))
            except Timeout:
                raise StoreError(
                    f"another process is running the search in {self.directory}"
                ) from None
            with one_thread():
                loop = Loop(self.store, self.controller, self.seed, self.failure_reward, self)
            # the goal is kept in the file, so that a resume knows it
            goal = self.store.meta("goal", 0) if trials is None else loop.done + trials
            if loop.done >= goal:
                return
            self.store.begin_run(goal)
            try:
                with self._make_executor(executor, workers) as runner, one_thread():
                    self._loop = loop
                    loop.run(runner, goal, type(self.controller).__name__, progress)
            finally:
                self._loop = None
                with suppress(StoreError):  # the folder may be lost
                    self.store.set_meta(running=False)
                self.store.checkpoint()

    def _make_executor(
        self, executor: str | Executor, workers: int
    ) -> AbstractContextManager[Executor]:
        if isinstance(executor, Executor):
            return nullcontext(executor)  # who made it ends it
        if executor == "inline":
            return InlineExecutor(Task(self.evaluator, lambda: self.stopping))
        return ProcessExecutor(Task(self.evaluator), workers, self.time_limit)

    def save_as(self, directory: str | Path) -> None:
        """Write the complete search into another folder, and go on there.

        This works too if its own folder was deleted while the search was open.

        Args:
            directory: a new folder, or one without a search.

        Raises:
            SettingsError: the search is running.
            StoreError: the folder holds a search, or cannot be written.
        """
        if id(self.controller) in _AT_WORK:
            raise SettingsError("this search is running: stop() it or wait for result()")
        path = Path(directory).absolute() / FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder {directory}: {error}") from None
        self.store.copy_to(path)
        store = Store(directory, self.space)
        self.store.close()
        self.directory, self.store = path.parent, store

    @property
    def finished(self) -> int:
        """Number of trials that have ended."""
        return self.store.finished_count

    # --- running in a thread ------------------------------------------------------------------

    def start(
        self, trials: int | None = None, executor: str | Executor = "inline", workers: int = 2
    ) -> None:
        """:meth:`run` in a thread, without a bar; see :meth:`result`.

        A program that ends stops it, as :meth:`stop` does.

        Raises:
            SettingsError: the search is running already, or as for :meth:`run`.
        """
        trials = self._prepare(trials, executor, workers)
        self._start(lambda: self._run(trials, executor, workers, progress=False))

    @property
    def activity(self) -> list[Activity | None]:
        """What each worker does, None for an idle one; empty if no loop is at work here."""
        loop = self._loop
        return [] if loop is None else loop.activity

    # --- what was found -----------------------------------------------------------------------

    def best(self, k: int = 1) -> list[Trial]:
        """The ``k`` best trials of different genotypes, best first; fewer if there are fewer."""
        return self.store.best(whole("k", k))

    def trials(self) -> pandas.DataFrame:
        """One row per finished trial, in the order of completion; see :meth:`History.trials`."""
        return trials_frame(self.store)

    def __repr__(self) -> str:
        best = "".join(f", best reward {trial.reward:.4f}" for trial in self.best())
        return f"Search in {self.directory}: {self.finished} trials{best}"


def _check_objects(space: Any, controller: Any, evaluator: Any) -> None:
    """Refuse what is not a space, a controller for it, and an evaluator."""
    kinds: tuple[Any, ...] = (Space, Controller, Callable)
    for role, thing, kind in zip(ROLES, (space, controller, evaluator), kinds, strict=True):
        if isinstance(thing, type) or not isinstance(thing, kind):
            hint = f"; did you mean {thing.__name__}(...)?" if isinstance(thing, type) else ""
            raise SettingsError(f"the {role} of a search cannot be {thing!r:.80}{hint}")
    if controller.space.settings() != space.settings():
        raise SettingsError(
            f"the controller was made for another space: {controller.space!r}, not {space!r}"
        )

"""The loop of a running search: ask, evaluate, store, tell.

Every trial is stored before anybody is told of it, and told exactly once, in the order of
completion. The draw of a proposal follows from the controller's seed, the proposal's number and
what the controller has learnt: a stored state and the trials since then give the controller back.
"""

from __future__ import annotations

import re
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

import numpy
from tqdm import tqdm

from ..controllers import Controller, Outcome
from ..errors import SettingsError, StoreError, WorkbenchError
from ..executors import Executor, Finished, InlineExecutor
from ..progress import bar
from ..training.evaluator import checked_end
from .background import Background
from .store import Store
from .trial import Trial

#: The state of a controller that makes no updates is stored after so many trials: a search that is
#: resumed tells it of no more than these again. This project's choice.
STATE_EVERY = 100

#: A search whose first trials, so many of them, all fail alike stops. This project's choice.
ALIKE = 5

#: What the ``cause`` of an unfinished trial says, so that the next process knows it. A child may
#: take the process of an inline search with it: the cause is stored before the child is started.
#: Workers protect the search, and a worker that dies with it is not to blame.
INLINE = "started inline"
INLINE_AGAIN = "started inline again: the process died the first time"
STOPPED = "the search was stopped; it will run again"
ALONE = "; it will run once more, alone"  # after the cause of its first end

DIED = "the process died twice while it was evaluated; run it with executor='processes' to see more"


@dataclass(frozen=True)
class Activity:
    """What a worker is busy with."""

    number: int  #: of the trial
    key: str  #: of its architecture
    since: float  #: seconds since 1970


class Loop:
    """One call of ``run``.

    Args:
        store, controller: of the search; the controller is set to what the store says.
        seed: the children's seeds follow from it and from the trial's number.
        failure_reward: what the controller is told of a child that failed; None: nothing.
        control: pauses and stops the loop.

    Raises:
        StoreError: the store holds trials and no state of the controller: it is a recording.
    """

    def __init__(
        self,
        store: Store,
        controller: Controller,
        seed: int,
        failure_reward: float | None,
        control: Background,
    ) -> None:
        self.store, self.controller, self.control = store, controller, control
        self.seed, self.failure_reward = seed, failure_reward
        self.done = store.finished_count
        self._recover()
        self.queue = deque(store.unfinished())
        #: numbers of trials that were killed or found no memory: nothing runs beside them
        self.alone = {t.number for t in self.queue if (t.cause or "").endswith(ALONE)}
        self.running: dict[Future[Finished], tuple[Trial, float]] = {}  # and since when
        self.held: list[Trial] = []  # the same architecture is being evaluated now
        self.executor: Executor | None = None
        best = store.best(1)
        self.best = best[0].reward if best else None
        self.failed = store.failed_count

    def _recover(self) -> None:
        """Load the stored state and tell the controller what has ended since.

        The state in memory does not count: an interruption may have cut the controller short in
        the middle of an update, or another process may have gone on with the search.
        """
        state, self.stored_at = self.store.state()
        if state is not None:
            with self.store.reading("the controller's state"):
                self.controller.load_state_dict(state)
        elif self.done:
            raise StoreError(
                f"{self.store.path} is a recording: it holds what was measured, but not the "
                "controller's state to go on from. Look at it with History(directory) or "
                "SearchReplay(directory), or start a search of your own"
            )
        since = self.store.proposed_from(self.controller.asked)
        self.controller.proposed_since([trial.proposal for trial in since])
        for trial in self.store.finished_after(self.stored_at):
            self.tell(trial)

    @property
    def activity(self) -> list[Activity | None]:
        """What each worker does, None for an idle one."""
        workers = [] if self.executor is None else list(self.executor.workers)
        busy = [None if future is None else self.running.get(future) for future in workers]
        return [w and Activity(w[0].number, w[0].key, w[1]) for w in busy]

    def run(self, executor: Executor, goal: int, title: str, progress: bool | None) -> None:
        """Until ``goal`` trials have ended, or the search is stopped.

        A bar of this title shows the best reward and the failures, if ``progress`` says so (see
        :func:`nasworkbench.progress.is_shown`).
        """
        if not executor.workers:  # nothing would ever run
            raise SettingsError("this executor has been stopped; make a new one")
        self.executor = executor
        with bar(title, goal, self.done, progress, unit=" trials") as shown:
            try:
                while self.done < goal and not self.control.stopping:
                    if not self.control.paused:
                        self._fill(executor, goal)
                    elif not self.running:
                        self.control.unpaused.wait()
                    for future in executor.wait(0.1):
                        self._finish(future)
                    self._show(shown)
                    self.store.checkpoint(every=60)
            finally:
                if self.running:
                    executor.stop()  # what still runs is lost, and must not be met again
                for trial, _ in self.running.values():
                    trial.status, cause = "stopped", trial.cause or STOPPED
                    trial.cause = {INLINE: STOPPED, INLINE_AGAIN: INLINE}.get(cause, cause)
                    self.store.ended(trial)

    def _show(self, shown: tqdm) -> None:
        """The bar after some more trials have ended."""
        if self.done > shown.n:
            best = {} if self.best is None else {"best": f"{self.best:.4f}"}
            failed = {"failed": self.failed} if self.failed else {}
            shown.set_postfix({**best, **failed}, refresh=False)
            shown.update(self.done - shown.n)

    def _fill(self, executor: Executor, goal: int) -> None:
        """Give every free worker a trial, those left over from an earlier run first."""
        while (
            executor.free
            and self.done + len(self.running) + len(self.held) < goal
            and not self.control.paused
            and not self.control.stopping
            and not self._keeps_alone()
        ):
            fresh = not self.queue
            trial = self._ask() if fresh else self.queue.popleft()
            inline = isinstance(executor, InlineExecutor)
            if inline and trial.cause == INLINE_AGAIN:
                trial.status, trial.cause = "crashed", DIED
                self._end(trial)
                continue
            known = self.store.measured(trial.key)
            twin = any(trial.key == other.key for other, _ in self.running.values())
            starts = known is None and not twin
            trial.attempts += starts
            if starts and inline:
                trial.cause = INLINE_AGAIN if trial.cause == INLINE else INLINE
            if fresh:
                self.store.proposed(trial)
            elif starts:
                self.store.started(trial)
            if starts:
                future = executor.submit(trial.genotype, trial.seed)
                self.running[future] = (trial, time.time())
            elif known is None:
                self.held.append(trial)
            else:
                trial.status, trial.reward, trial.cached = "ok", known.reward, True
                trial.parameters, trial.seconds, trial.cause = known.parameters, 0.0, None
                self._end(trial)

    def _keeps_alone(self) -> bool:
        """Whether others run that the next trial, or the running one, must not have beside it."""
        trials = [*(trial for trial, _ in self.running.values()), *islice(self.queue, 1)]
        return bool(self.running) and any(trial.number in self.alone for trial in trials)

    def _ask(self) -> Trial:
        """Ask the controller for one proposal."""
        (proposal,) = self.controller.ask(1)
        seeds = numpy.random.SeedSequence([self.seed, proposal.number])
        seed = int(seeds.generate_state(1)[0])
        return Trial(proposal, proposal.genotype.key, seed, self.controller.updates)

    def _finish(self, future: Future[Finished]) -> None:
        """Note how an evaluation ended; those that waited for the same architecture come next."""
        evaluation, worker = checked_end(future)
        if evaluation.status == "stopped" and self.control.stopping:
            return  # it stays among the running ones and is stored as stopped
        trial, _ = self.running.pop(future)
        for name in ("status", "cause", "reward", "curves", "parameters", "seconds"):
            setattr(trial, name, getattr(evaluation, name))
        trial.worker = worker
        if trial.status == "stopped":  # a word for trials that run again
            trial.status, trial.cause = "error", "the evaluator stopped without being told to"
        killed = trial.status == "crashed" and "SIGKILL" in str(trial.cause)
        if (killed or trial.status == "out_of_memory") and trial.number not in self.alone:
            self.alone.add(trial.number)  # others may have taken the memory
            trial.status, trial.cause = "stopped", f"{trial.cause}{ALONE}"
            self.store.ended(trial)
            self.queue.appendleft(trial)
            return
        self._end(trial)
        self.queue.extendleft(held for held in reversed(self.held) if held.key == trial.key)
        self.held = [held for held in self.held if held.key != trial.key]

    def _end(self, trial: Trial) -> None:
        """Store how a trial ended, then tell the controller."""
        trial.completion_order = self.done = self.done + 1
        trial.told_reward = trial.reward if trial.status == "ok" else self.failure_reward
        trial.updates_at_tell = self.controller.updates
        self.store.ended(trial)
        self.tell(trial)
        if trial.status != "ok":
            self.failed += 1
        elif self.best is None or (trial.reward or 0.0) > self.best:
            self.best = trial.reward
        if self.done == self.failed == ALIKE:
            self._check_alike(trial)

    def _check_alike(self, trial: Trial) -> None:
        """After the first trials, if all have failed."""
        trials = self.store.finished_after(0)
        if len({(t.status, re.sub(r"\d+", "", str(t.cause))) for t in trials}) == 1:
            raise WorkbenchError(
                f"the first {ALIKE} trials have all failed alike ({trial.status}: "
                f"{trial.cause}). Everything is saved. Put the cause right and start a new "
                "search, or run this one again to go on as it is"
            )

    def tell(self, trial: Trial) -> None:
        """Tell the controller of a stored trial; its new state is stored with its update."""
        before = self.controller.last_update
        if trial.told_reward is not None:
            self.controller.tell([Outcome(trial.proposal, trial.told_reward)])
        update = self.controller.last_update
        order = trial.completion_order or 0
        if update is not before:
            self.store.save_state(self.controller.state_dict(), order, update)
        elif order - self.stored_at >= STATE_EVERY:
            self.store.save_state(self.controller.state_dict(), order)
        else:
            return
        self.stored_at = order

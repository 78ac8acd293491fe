"""The loop of a running search: fill the workers, note what they find, until the goal."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from ..executors import Executor, Finished
from ..training.evaluator import Evaluation
from .ledger import Ledger
from .progress import Progress
from .store import Trial


@dataclass(frozen=True)
class Activity:
    """What a worker is busy with."""

    number: int  #: of the trial
    key: str  #: of its genotype
    since: float  #: seconds since 1970


class Loop:
    """The state of one call of ``run``: what runs, what waits for it, what is still queued."""

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        queue: deque[Trial],
        bar: Progress,
        done: int,
        goal: int,
        go: threading.Event,
        stopping: threading.Event,
    ) -> None:
        self.ledger, self.executor, self.queue, self.bar = ledger, executor, queue, bar
        self.done, self.goal, self.go, self.stopping = done, goal, go, stopping
        self.running: dict[Future[Finished], Trial] = {}
        self.since: dict[Future[Finished], float] = {}
        self.held: list[Trial] = []  # the same genotype is being evaluated at this moment

    @property
    def workers(self) -> list[Activity | None]:
        """What each worker of the executor does for this search."""
        running = self.running.copy()
        return [
            Activity(running[future].number, running[future].key, self.since[future])
            if future in running
            else None
            for future in list(self.executor.workers)
        ]

    def run(self) -> None:
        try:
            while self.done < self.goal and not self.stopping.is_set():
                if self.go.is_set():
                    self.fill()
                elif not self.running:
                    self.go.wait()
                for future in self.executor.wait(0.1):
                    self.finish(future)
        finally:
            if self.running:
                self.executor.stop()  # what still runs is worth nothing, and must not be met again
            for trial in self.running.values():
                trial.status, trial.cause = "stopped", "the search was stopped; it will run again"
                self.ledger.store.ended(trial)

    def fill(self) -> None:
        """Give every free worker a trial, those left over from an earlier run first."""
        while (
            self.executor.free
            and self.done + len(self.running) + len(self.held) < self.goal
            and self.go.is_set()
            and not self.stopping.is_set()
        ):
            trial = self.queue.popleft() if self.queue else self.ledger.propose()
            known = self.ledger.store.measured(trial.key)
            if known is not None:
                trial.status, trial.reward, trial.cached = "ok", known.reward, True
                trial.parameters, trial.seconds, trial.cause = known.parameters, 0.0, None
                self.end(trial)
            elif any(trial.key == other.key for other in self.running.values()):
                self.held.append(trial)
            else:
                future = self.executor.submit(trial.genotype, trial.seed)
                self.since[future] = time.time()
                self.running[future] = trial

    def finish(self, future: Future[Finished]) -> None:
        """Note how an evaluation ended; those that waited for the same genotype come next."""
        trial, record = self.running[future], future.result()
        trial.status, trial.cause = record.status, record.cause
        trial.seconds, trial.worker = record.seconds, record.worker
        if record.status == "ok":
            evaluation: Evaluation = record.value
            if evaluation.status == "stopped" and self.stopping.is_set():
                return  # it stays among the running ones and is stored as stopped
            trial.status, trial.cause = evaluation.status, evaluation.cause
            trial.reward, trial.curves = evaluation.reward, list(evaluation.curves)
            trial.parameters = evaluation.parameters
            if trial.status == "stopped":  # a word for trials that run again
                trial.status, trial.cause = "error", "the evaluator stopped without being told to"
        del self.running[future]
        self.end(trial)
        self.queue.extendleft(held for held in reversed(self.held) if held.key == trial.key)
        self.held = [held for held in self.held if held.key != trial.key]

    def end(self, trial: Trial) -> None:
        trial.completion_order = self.done = self.done + 1
        self.ledger.end(trial)
        self.bar.show(trial)

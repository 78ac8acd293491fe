"""The ledger: between controller and store, so that every proposal is told exactly once."""

from __future__ import annotations

from collections import deque

import numpy

from ..controllers import Controller, Outcome
from ..errors import StoreError
from .store import UNFINISHED, Store, Trial


class Ledger:
    """Proposes, ends and tells trials; each step is stored before the next one begins.

    Args:
        store: of the search.
        controller: of the search.
        seed: the children's seeds follow from it and from the trial's number.
        failure_reward: what the controller is told of a child that failed; None: nothing.
    """

    def __init__(
        self, store: Store, controller: Controller, seed: int, failure_reward: float | None
    ) -> None:
        self.store, self.controller = store, controller
        self.seed, self.failure_reward = seed, failure_reward

    @property
    def finished(self) -> int:
        """Number of trials that have ended."""
        return self.store.count(f"NOT {UNFINISHED}")

    def recover(self) -> deque[Trial]:
        """Set the controller to its stored state, tell it what ended untold, list what is left.

        The state in memory does not count: an interruption may have cut the controller short in
        the middle of an update, or another process may have gone on with the search.
        """
        state = self.store.state()
        if state:
            self.controller.load_state_dict(state)
        elif self.controller.state_dict() and self.finished:
            raise StoreError(
                f"{self.store.path} is a recording: it holds what was measured, but not the "
                "controller's state to go on from. Look at it by Recording(directory) or "
                "SearchReplay(directory), or start a search of your own"
            )
        untold = self.store.trials(f"NOT told AND NOT {UNFINISHED}")
        for trial in sorted(untold, key=lambda trial: trial.completion_order or 0):
            self.tell(trial)
        return deque(self.store.trials(UNFINISHED))

    def propose(self) -> Trial:
        """Ask the controller for one proposal and store it."""
        (proposal,) = self.controller.ask(1)
        seeds = numpy.random.SeedSequence([self.seed, proposal.number])
        trial = Trial(proposal, proposal.genotype.key, int(seeds.generate_state(1)[0]))
        self.store.proposed([trial], self.controller.state_dict())
        return trial

    def end(self, trial: Trial) -> None:
        """Store how a trial ended, then tell the controller."""
        trial.told_reward = trial.reward if trial.status == "ok" else self.failure_reward
        self.store.ended(trial)
        self.tell(trial)

    def tell(self, trial: Trial) -> None:
        """Tell the controller of a stored trial; its new state is stored with the fact."""
        before = self.controller.last_update
        if trial.told_reward is not None:
            self.controller.tell([Outcome(trial.proposal, trial.told_reward)])
        after = self.controller.last_update
        self.store.told([trial], self.controller.state_dict(), None if after is before else after)

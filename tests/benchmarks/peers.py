"""Other people's searchers behind this project's interface, to be compared with."""

from __future__ import annotations

from typing import Any

import optuna

from nasworkbench.controllers import Controller, Outcome, Proposal
from nasworkbench.errors import WorkbenchError
from nasworkbench.spaces import Space


class TPE(Controller):
    """Optuna's tree-structured Parzen estimator, multivariate, otherwise with its defaults."""

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__(space, seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(multivariate=True, seed=seed)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.distributions: dict[str, Any] = {
            decision.name: optuna.distributions.CategoricalDistribution(
                tuple(range(decision.choices))
            )
            for decision in space.decisions
        }
        self.trials: dict[int, optuna.Trial] = {}

    def _draw(self, numbers: range) -> list[Proposal]:
        proposals = []
        for number in numbers:
            trial = self.study.ask(self.distributions)
            self.trials[number] = trial
            proposals.append(self.proposal(number, [trial.params[n] for n in self.distributions]))
        return proposals

    def _learn(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.study.tell(self.trials.pop(outcome.proposal.number), outcome.reward)

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed, "optuna": optuna.__version__, "multivariate": True}

    def state_dict(self) -> dict[str, Any]:
        raise WorkbenchError("a peer runs in comparisons, not in a stored search")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise WorkbenchError("a peer runs in comparisons, not in a stored search")

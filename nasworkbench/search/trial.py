"""A trial: one proposal, and how its evaluation ended."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..controllers import Proposal
from ..genotype import Architecture
from ..spaces import Space
from .packing import unpack_distributions, unpack_log_probs, unpack_tokens

#: Of the table of trials, in the store's order.
COLUMNS = (
    "number", "key", "seed", "proposed_at", "updates_at_proposal", "attempts", "status", "reward",
    "told_reward", "updates_at_tell", "completion_order", "cached", "cause", "seconds",
    "parameters", "worker", "ended_at", "curves", "tokens", "log_probs", "distributions",
)  # fmt: skip
#: Of the table of the networks of the final judgement, in its order.
RETRAINED = (
    "origin", "key", "seed", "genotype", "reward", "status", "cause", "validation", "test",
    "seconds",
)  # fmt: skip


@dataclass
class Trial:
    """A proposal, and how its evaluation ended.

    Args:
        proposal: number, tokens, architecture, and the probabilities it was drawn with.
        key: of the canonical architecture.
        seed: of the child.
        updates_at_proposal: updates that the policy had had when it drew this trial.
        attempts: how often its evaluation was started.
        status: ``ok``, or why there is no reward; None while it waits or runs.
        reward: what the evaluator measured.
        told_reward: what the controller was told; None: nothing.
        updates_at_tell: updates that the policy had had when it was told.
        completion_order: 1 for the trial that ended first.
        cached: whether the reward is that of an earlier trial of the same key.
        cause: why it failed, one line.
        seconds: the evaluation took.
        parameters: of the child network.
        worker: that evaluated it.
        curves: the training history, a dict per epoch.
    """

    proposal: Proposal
    key: str
    seed: int
    updates_at_proposal: int = 0
    attempts: int = 0
    status: str | None = None
    reward: float | None = None
    told_reward: float | None = None
    updates_at_tell: int | None = None
    completion_order: int | None = None
    cached: bool = False
    cause: str | None = None
    seconds: float = 0.0
    parameters: int | None = None
    worker: int | None = None
    curves: list[dict[str, Any]] | None = None

    @property
    def number(self) -> int:
        return self.proposal.number

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.proposal.tokens

    @property
    def genotype(self) -> Architecture:
        return self.proposal.genotype

    @classmethod
    def from_row(cls, row: dict[str, Any], space: Space) -> Trial:
        """The trial of a row that :func:`unpack_row` gave.

        Raises:
            SpaceError: its tokens are not of this space.
            ValueError: its distributions are not.
        """
        tokens, drawn = row["tokens"], (row["log_probs"], row["distributions"])
        if drawn[1] is not None and len(drawn[1]) != sum(space.choices):
            raise ValueError(f"its distributions have {len(drawn[1])} choices")
        names = cls.__dataclass_fields__.keys() - {"proposal"}
        return cls(
            Proposal(row["number"], tokens, space.decode(tokens), *drawn),
            **{name: row[name] for name in names} | {"seconds": row["seconds"] or 0.0},
        )

    def __repr__(self) -> str:
        reward = "no reward" if self.reward is None else f"reward {self.reward:.4f}"
        return f"Trial({self.number}, {self.status or 'unfinished'}, {reward}, key {self.key})"


def unpack_row(fields: Iterable[Any]) -> dict[str, Any]:
    """A stored row as a dict by column, with tokens, probabilities and curves unpacked.

    Raises:
        TypeError, ValueError: something in it cannot be read.
    """
    row = dict(zip(COLUMNS, fields, strict=True))
    row["tokens"] = unpack_tokens(row["tokens"])
    row["log_probs"] = unpack_log_probs(row["log_probs"], len(row["tokens"]))
    row["distributions"] = unpack_distributions(row["distributions"])
    row["curves"] = json.loads(row["curves"]) if row["curves"] else None
    row["cached"] = bool(row["cached"])
    return row

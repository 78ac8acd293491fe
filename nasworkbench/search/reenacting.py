"""What a controller was when it drew each trial of a recorded search.

A store keeps what was drawn, how probable that was, and what came of it; it does not keep what the
policy was at that moment. But a controller that starts from the same seed and is told the same
rewards in the same order becomes the same again. So its past is *re-enacted*: a new one is told the
stored outcomes one by one, and asked before every update for the distributions from which the cells
were drawn. The stored log-probabilities say whether this past is the true one.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from tqdm.auto import tqdm

from ..controllers import Outcome
from ..controllers.policy import entropy, one_thread
from ..controllers.policy_gradient import DRAWS, HEATING, PATIENCE, PolicyGradient
from ..progress import is_shown
from .store import Trial

#: Nats by which a re-enacted log-probability may miss the stored one: a hundredth of the
#: probability, which no picture shows. Another processor rounds otherwise, and after nine updates
#: at a learning rate of 0.01 that has been seen to come to 0.0015. This project's choice.
TOLERANCE = 0.01


@dataclass
class Past:
    """What a trial meant to its controller. None where the controller has no such thing, or where
    it has not come to that yet.

    Args:
        log_prob: log P of the whole string when it was drawn, as it was stored.
        update: number (from 1) of the update that learnt from it.
        ratio: mean over the update's batch, in its last pass; PPO's only.
        clip_fraction: mean over the update's batch and passes; PPO's only.
        drawn_after: updates that the policy had had when it drew this trial.
        entropy: nats per decision of the distributions it was drawn from.
        gap: the largest difference, over the decisions, between the re-enacted and the stored
            log-probability of what was drawn.
        baseline: b before the update; the batch's mean reward before the very first.
        advantage: as the update used it, so whitened where the controller whitens.
    """

    log_prob: float | None = None
    update: int | None = None
    ratio: float | None = None
    clip_fraction: float | None = None
    drawn_after: int | None = None
    entropy: float | None = None
    gap: float | None = None
    baseline: float | None = None
    advantage: float | None = None


def stored_past(trials: Sequence[Trial], updates: Sequence[dict[str, Any]]) -> list[Past]:
    """What the store itself says of each trial's past, without any controller.

    Args:
        trials: in the order in which they ended, which is that in which they were told.
        updates: ``store.updates()``.
    """
    told = [update["told"] for update in updates]
    pasts = []
    for place, trial in enumerate(trials):
        past = Past(log_prob=trial.proposal.log_prob if trial.proposal.log_probs else None)
        number = bisect_right(told, place)  # the first update by which this trial had been told
        if trial.told_reward is not None and number < len(updates):
            past.update = number + 1
            past.ratio = updates[number].get("ratio")
            past.clip_fraction = updates[number].get("clip_fraction")
        pasts.append(past)
    return pasts


def told_before(proposed: Sequence[float], ended: Sequence[float]) -> list[int]:
    """How many trials the controller had been told of when it was asked for each trial.

    With many workers that is not the number of those before it: while it ran, others were told.

    Args:
        proposed, ended: when, in seconds, in the order in which the trials ended.
    """
    return [min(bisect_right(ended, moment), place) for place, moment in enumerate(proposed)]


def reenact(
    controller: PolicyGradient,
    trials: Sequence[Trial],
    pasts: Sequence[Past],
    told: Sequence[bool],
    before: Sequence[int],
    progress: bool | None = None,
) -> numpy.ndarray:
    """Fill in the pasts what only the controller knows.

    Args:
        controller: a new one; it learns.
        trials: in the order in which they ended.
        pasts: of each trial; they are changed.
        told: whether the controller was told of each trial.
        before: see :func:`told_before`.
        progress: show a bar if it takes longer than two seconds; None: if somebody watches.

    Returns:
        (trials, T, C) float32: P of every choice of every decision as each trial was drawn; 0
        where a decision has no such choice.

    Raises:
        WorkbenchError: a trial that this controller cannot have proposed.
    """
    choices = controller.policy.choices
    probabilities = numpy.zeros((len(trials), len(choices), max(choices)), numpy.float32)
    order = sorted(range(len(trials)), key=before.__getitem__)  # as they were drawn
    looked = 0  # so many of them have been looked at
    batch: list[int] = []

    def look(end: int) -> None:
        _look(controller, trials, order[looked:end], pasts, probabilities)

    bar = tqdm(trials, "re-enacting", disable=not is_shown(progress), delay=2.0, leave=False)
    with bar:
        for place, trial in enumerate(bar):
            if trial.told_reward is None or not told[place]:
                continue
            batch.append(place)
            if len(batch) == controller.batch_size:  # the policy is about to change
                drawn = bisect_right(order, place, key=before.__getitem__)
                look(drawn)
                _note_advantages(controller, trials, batch, pasts)
                looked, batch = drawn, []
            controller.tell([Outcome(trial.proposal, trial.told_reward)])
        look(len(order))
    return probabilities


def _look(
    controller: PolicyGradient,
    trials: Sequence[Trial],
    drawn: Sequence[int],
    pasts: Sequence[Past],
    probabilities: numpy.ndarray,
) -> None:
    """The distributions from which these trials were drawn: those of the present policy.

    A controller that wants fresh architectures only may have had to heat its policy for them: then
    that temperature is taken with which the stored log-probabilities agree best.
    """
    for heat in range(DRAWS - PATIENCE if controller.no_repeats else 1):
        if not drawn:
            return
        strings = torch.tensor([trials[place].proposal.tokens for place in drawn])
        stored = torch.tensor([trials[place].proposal.log_probs for place in drawn])
        with torch.no_grad(), one_thread():
            controller.policy.temperature = HEATING**heat
            log_distribution = controller.policy.log_distribution(strings)
            controller.policy.temperature = 1.0
        found = log_distribution.gather(-1, strings[..., None]).squeeze(-1)
        gaps = (found - stored).abs().amax(1).tolist()
        entropies = entropy(log_distribution).mean(1).tolist()
        for row, place in enumerate(drawn):
            past = pasts[place]
            if past.gap is None or gaps[row] < past.gap:
                past.gap, past.entropy = gaps[row], entropies[row]
                past.drawn_after = controller.updates
                probabilities[place] = log_distribution[row].exp().numpy()
        drawn = [place for place in drawn if (pasts[place].gap or 0.0) > TOLERANCE]


def _note_advantages(
    controller: PolicyGradient,
    trials: Sequence[Trial],
    batch: Sequence[int],
    pasts: Sequence[Past],
) -> None:
    """Just before the update that learns from this batch."""
    rewards = torch.tensor([float(trials[place].told_reward or 0.0) for place in batch])
    baseline = rewards.mean().item() if controller.baseline is None else controller.baseline
    for place, advantage in zip(batch, controller.advantages(rewards).tolist(), strict=True):
        pasts[place].baseline, pasts[place].advantage = baseline, advantage


def doubts(pasts: Sequence[Past], made: int, stored: int) -> str:
    """Why the re-enacted past is not to be trusted; empty if it is.

    Args:
        pasts: re-enacted.
        made: updates that the controller made.
        stored: updates that are stored.
    """
    gaps = [past.gap for past in pasts if past.gap is not None and not past.gap <= TOLERANCE]
    if not gaps and made == stored:
        return ""
    what = (
        f"the log-probabilities of {len(gaps)} of {len(pasts)} trials differ by up to "
        f"{max(gaps, key=lambda gap: math.inf if math.isnan(gap) else gap):.2g} from what is stored"
        if gaps
        else f"it made {made} updates, and {stored} are stored"
    )
    return (
        f"The re-enacted policy is not quite the one that drew these trials: {what}. That comes "
        "from another version of the library or of PyTorch, another processor, or a controller "
        "that had learnt before this search."
    )

"""A controller's policy, one decision at a time: what :class:`ControllerStepper` shows.

One string of tokens is drawn from a copy of the policy, and read decision by decision: the
distribution at decision t depends on the tokens before t alone, so what comes later can be drawn
anew without touching what came before. Neither the controller's weights nor its generator are ever
changed, and no widget is needed here.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from ...checks import number, whole
from ...controllers.base import Controller
from ...controllers.policy import one_thread
from ...controllers.policy_gradient import PolicyGradient
from ...errors import SpaceError, WorkbenchError, listed
from ...genotype import Cell
from ...plots.decisions import option_names
from ...spaces import CellSpace, GraphSpace
from ...spaces.base import Decision, Space, Tokens
from ...spaces.graph_space import WIRINGS

#: Colder or hotter than this a policy is a maximum, or a die (this project's choice).
COLDEST, HOTTEST = 0.01, 10.0

#: Decisions of a block in a CellSpace: two inputs, two operations, how to combine.
BLOCK = 5


@dataclass(frozen=True)
class Numbers:
    """What is known after one decision, in nats; ``even`` is a controller that prefers nothing."""

    decided: int  #: decisions so far, this one included
    log_prob: float  #: log P of this decision's token
    log_prob_sum: float  #: of all tokens so far: log P of the string up to here
    even_log_prob: float
    even_log_prob_sum: float
    entropy: float  #: of this decision
    mean_entropy: float  #: of the decisions so far
    even_entropy: float
    even_mean_entropy: float


class StepperState:
    """One string of tokens, and where in it we stand.

    The string is drawn to its end at once, and :attr:`step` says how much of it is shown: going
    back and forward again shows the same.

    Args:
        controller: a controller with a policy (``PPO``, ``Reinforce``). It is not changed.
        seed: of this stepper's own draws.

    Raises:
        WorkbenchError: a controller without a policy, or one whose weights are not finite.
        SettingsError: a seed that is no whole number from 0.
    """

    def __init__(self, controller: PolicyGradient, seed: int = 0) -> None:
        if not isinstance(controller, PolicyGradient):
            raise WorkbenchError(_refusal(controller))
        self.controller = controller
        self.space: Space = controller.space
        self.decisions: tuple[Decision, ...] = self.space.decisions
        self.temperature = 1.0
        self._generator = torch.Generator().manual_seed(whole("seed", seed, 0, 2**63 - 1))
        self._policy, self.updates = self._copied()
        self.step = 0  #: the decision that is shown, from 0
        self.string: Tokens = (0,) * len(self.decisions)  #: all tokens, also those not yet shown
        self._draw_from(0)

    # --- where we stand -----------------------------------------------------------------------

    @property
    def decision(self) -> Decision:
        """The decision that is shown."""
        return self.decisions[self.step]

    @property
    def token(self) -> int:
        """What was drawn for it."""
        return self.string[self.step]

    @property
    def tokens(self) -> Tokens:
        """The tokens so far, that of the decision that is shown included."""
        return self.string[: self.step + 1]

    @property
    def genotype(self) -> Any:
        """What the tokens decode to; None before the last decision."""
        return self.space.decode(self.string) if self.at_end else None

    @property
    def at_end(self) -> bool:
        """Whether all is decided."""
        return self.step == len(self.decisions) - 1

    @property
    def learned_since(self) -> int:
        """Updates of the controller since its policy was last read."""
        return self.controller.updates - self.updates

    # --- steps ----------------------------------------------------------------------------------

    def go(self, step: int) -> None:
        """Show a decision, by its number from 0.

        Raises:
            SpaceError: there is no such decision; nothing is changed.
        """
        last = len(self.decisions) - 1
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= last:
            raise SpaceError(f"there is no decision {step!r}; they are numbered 0 to {last}")
        self.step = step

    def forward(self) -> None:
        """Show the next decision.

        Raises:
            SpaceError: this is the last one.
        """
        if self.at_end:
            raise SpaceError("this is the last decision: all is decided. Go back, or draw it anew")
        self.step += 1

    def back(self) -> None:
        """Show the decision before.

        Raises:
            SpaceError: this is the first one.
        """
        if self.step == 0:
            raise SpaceError("this is the first decision: nothing was decided before it")
        self.step -= 1

    def resample(self) -> None:
        """Draw this decision and all that follow anew; those before it stay."""
        self._draw_from(self.step)

    def force(self, choice: int | str) -> None:
        """Decide this decision by hand, and draw all that follow anew, given it.

        Args:
            choice: a token, or the name of what it stands for (``sep_conv_3x3``, ``h[i]``).

        Raises:
            SpaceError: no choice of this decision; nothing is changed.
        """
        names = option_names(self.decision)
        token = names.index(choice) if choice in names else choice
        if not isinstance(token, int) or isinstance(token, bool) or not 0 <= token < len(names):
            raise SpaceError(
                f"{self.decision.name}: {choice!r} is no choice of it; the choices are "
                f"{listed(names)}, or their tokens 0 to {len(names) - 1}"
            )
        self.string = (*self.string[: self.step], token, *self.string[self.step + 1 :])
        self._draw_from(self.step + 1)

    def refresh(self) -> None:
        """Read the controller's policy again: the same tokens, the probabilities of now.

        Raises:
            WorkbenchError: its weights are not finite; what was read before stays.
        """
        policy, updates = self._copied()
        self.log_distribution = self._read(policy, self.string)
        self._policy, self.updates = policy, updates

    def heat(self, temperature: float) -> None:
        """Divide the logits by a temperature: the same tokens, other probabilities.

        Above 1 the policy is more even, below 1 it is surer of itself. The controller's own
        proposals are drawn at 1.

        Raises:
            SettingsError: a temperature outside 0.01 to 10.
        """
        heated = copy.copy(self._policy)  # shares the weights
        heated.temperature = number("temperature", temperature, COLDEST, HOTTEST)
        self.log_distribution = self._read(heated, self.string)
        self._policy, self.temperature = heated, heated.temperature

    # --- the policy -----------------------------------------------------------------------------

    def _copied(self) -> tuple[Any, int]:
        """A copy, so that a search that runs on changes nothing under the reader's eyes."""
        updates = self.controller.updates
        policy = copy.deepcopy(self.controller.policy).requires_grad_(False)
        policy.temperature = self.temperature
        return policy, updates

    def _read(self, policy: Any, string: Tokens) -> numpy.ndarray:
        with torch.no_grad(), one_thread():
            found = policy.log_distribution(torch.tensor([string]))[0]
        if torch.isnan(found).any():
            raise WorkbenchError(
                "the policy gives no probabilities: its weights are not finite. A learning rate "
                "that is too high does that; load an earlier state of the controller"
            )
        return found.double().numpy()  # (T, C)

    def _draw_from(self, start: int) -> None:
        string = list(self.string)
        for step in range(start, len(string)):  # each distribution is given all tokens before it
            row = torch.from_numpy(self._read(self._policy, tuple(string))[step]).exp()
            string[step] = int(torch.multinomial(row, 1, generator=self._generator))
        self.log_distribution = self._read(self._policy, tuple(string))  #: (T, C)
        self.string = tuple(string)

    @property
    def numbers(self) -> Numbers:
        """What is known after the decision that is shown."""
        shown = self.log_distribution[: self.step + 1]
        finite = numpy.where(numpy.isinf(shown), 0.0, shown)
        entropies = -(numpy.exp(finite) * finite).sum(1)
        log_probs = shown[numpy.arange(len(shown)), list(self.tokens)]
        even = [math.log(decision.choices) for decision in self.decisions[: self.step + 1]]
        return Numbers(
            len(shown),
            float(log_probs[-1]),
            math.fsum(log_probs),
            -even[-1],
            -math.fsum(even),
            float(entropies[-1]),
            float(entropies.mean()),
            even[-1],
            math.fsum(even) / len(even),
        )

    # --- what is being built ----------------------------------------------------------------------

    def pictures(self) -> list[tuple[str, Any]]:
        """``(caption, what can be drawn of it)``: the cells of all blocks that are decided, or the
        whole architecture at the end; nothing before the first block is complete."""
        if not isinstance(self.space, CellSpace):
            return [("the architecture", self.genotype)] if self.at_end else []
        left = len(self.decisions) - len(self.tokens)
        filled = self.space.decode((*self.tokens, *(0,) * left))  # token 0 is always legal
        roles = ("both",) if self.space.tied else ("normal", "reduction")
        found = []
        for role, (_, cell) in zip(roles, filled.cells, strict=False):
            of_role = [d for d in self.decisions[: self.step + 1] if d.cell == role]
            complete = len(of_role) // BLOCK
            if complete:
                title = "the cell, both normal and reduction" if role == "both" else f"{role} cell"
                count = f"{complete} of {self.space.blocks} blocks"
                part = Cell(cell.blocks[:complete], inputs=cell.inputs)
                found.append((f"{title}: {count}", part))
        return found

    def words(self) -> str:
        """One sentence about what is being decided just now."""
        if isinstance(self.space, CellSpace):
            return self._block_in_words()
        if isinstance(self.space, GraphSpace):
            return self._graph_in_words()
        pairs = zip(self.decisions, self.tokens, strict=False)
        return "; ".join(f"{d.name}: {option_names(d)[token]}" for d, token in pairs)

    def _block_in_words(self) -> str:
        start = self.step - self.step % BLOCK
        shown = self.decisions[start : self.step + 1]
        names = [
            option_names(d)[token] for d, token in zip(shown, self.tokens[start:], strict=True)
        ]
        left, right, *rest = [*names, *"?" * (BLOCK - len(names))]
        sides = (("left", left, rest[0]), ("right", right, rest[1]))
        parts = [f"{side} = {n if n == '?' else f'{n} through {op}'}" for side, n, op in sides]
        return f"block {self.decision.block}: {', '.join(parts)}, combined by {rest[2]}"

    def _graph_in_words(self) -> str:
        wiring, *tokens = self.tokens
        names = [self.decisions[1].options[token] for token in tokens]
        names += "?" * (len(self.decisions) - 1 - len(names))
        reads = [f"node {read}" if read else "input" for read in WIRINGS[wiring]]
        return ", ".join(f"node {n} = {names[n - 1]}({reads[n - 1]})" for n in range(1, 5))


def _refusal(thing: Any) -> str:
    if isinstance(thing, Controller):
        return (
            f"{type(thing).__name__} has no policy to step through: it computes no probabilities. "
            "The stepper takes a PPO or a Reinforce"
        )
    hint = (
        ": pass its .controller"
        if isinstance(getattr(thing, "controller", None), Controller)
        else ""
    )
    return f"the stepper takes a controller, a PPO or a Reinforce; got {thing!r:.80}{hint}"

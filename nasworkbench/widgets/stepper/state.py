"""A controller's policy, one decision at a time: what :class:`ControllerStepper` shows.

One token sequence is drawn from a copy of the policy, and read decision by decision: the
distribution at decision t depends on the tokens before t alone, so what comes later can be drawn
anew without touching what came before. Neither the controller's weights nor its generator are ever
changed. Methods return what is to be said of them, if anything; there are no widgets here.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy
import torch

from ...checks import is_whole, number, whole
from ...controllers.policy import one_thread
from ...controllers.policy_gradient import PolicyGradient
from ...errors import SpaceError, WorkbenchError, listed, shown
from ...genotype import Cell
from ...spaces import CellSpace
from ...spaces.base import Decision, Space, Tokens

#: Colder or hotter than this a policy is a maximum, or a die (this project's choice).
COLDEST, HOTTEST = 0.01, 10.0

#: Decisions of a block in a CellSpace: two inputs, two operations, how to combine.
BLOCK = 5


class StepperState:
    """One token sequence, and the decision of it that is shown.

    The sequence is drawn to its end at once, and :attr:`step` says how much of it is shown: going
    back and forward again shows the same.

    Args:
        controller: a controller with a policy (``PPO``, ``Reinforce``). It is not changed.
        seed: of this stepper's own draws.

    Raises:
        WorkbenchError: a controller without a policy, or one whose weights are not finite.
        SettingsError: a seed that is not a whole number from 0.
    """

    def __init__(self, controller: PolicyGradient, seed: int = 0) -> None:
        if not isinstance(controller, PolicyGradient):
            hint = ": pass its .controller" if hasattr(controller, "controller") else ""
            raise WorkbenchError(
                "the stepper takes a controller that has a policy, a PPO or a Reinforce; got "
                f"{controller!r:.80}{hint}"
            )
        self.controller = controller
        self.space: Space = controller.space
        self.decisions: tuple[Decision, ...] = self.space.decisions
        self.temperature = 1.0
        self._generator = torch.Generator().manual_seed(whole("seed", seed, 0, 2**63 - 1))
        self._policy, self.updates = self._copied()
        self.step = 0  #: the decision that is shown, from 0
        self.sequence: Tokens = (0,) * len(self.decisions)  #: also the tokens not yet shown
        self._draw_from(0)

    # --- what is shown ------------------------------------------------------------------------

    @property
    def decision(self) -> Decision:
        """The decision that is shown."""
        return self.decisions[self.step]

    @property
    def token(self) -> int:
        """What was drawn for it."""
        return self.sequence[self.step]

    @property
    def tokens(self) -> Tokens:
        """The tokens so far, that of the decision that is shown included."""
        return self.sequence[: self.step + 1]

    @property
    def genotype(self) -> Any:
        """What the tokens decode to; None before the last decision."""
        return self.space.decode(self.sequence) if self.at_end else None

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
        self.step = whole("decision", step, 0, len(self.decisions) - 1, SpaceError)

    def forward(self) -> None:
        """Show the next decision.

        Raises:
            SpaceError: this is the last one.
        """
        if self.at_end:
            raise SpaceError("this is the last decision: all is decided. Go back, or draw it again")
        self.step += 1

    def back(self) -> None:
        """Show the decision before.

        Raises:
            SpaceError: this is the first one.
        """
        if self.step == 0:
            raise SpaceError("this is the first decision: nothing was decided before it")
        self.step -= 1

    def resample(self) -> str:
        """Draw this decision and all that follow anew; those before it stay."""
        self._draw_from(self.step)
        return f"decisions {self.step} to {len(self.decisions) - 1} are drawn anew"

    def force(self, choice: int | str) -> str:
        """Decide this decision by hand, and draw all that follow anew, given it.

        Args:
            choice: a token, or the name of what it stands for (``sep_conv_3x3``, ``h[i]``).

        Raises:
            SpaceError: not a choice of this decision; nothing is changed.
        """
        labels = self.decision.labels
        named = isinstance(choice, str) and choice in labels
        token: Any = labels.index(choice) if named else choice
        if not is_whole(token, 0, len(labels) - 1):
            raise SpaceError(
                f"{self.decision.name}: {shown(choice)} is not one of its choices, which are "
                f"{listed(labels)}, or their tokens 0 to {len(labels) - 1}"
            )
        self.sequence = (*self.sequence[: self.step], int(token), *self.sequence[self.step + 1 :])
        self._draw_from(self.step + 1)
        return "decided by hand; all decisions after it are drawn anew, given it"

    def refresh(self) -> str:
        """Read the controller's policy again: the same tokens, the probabilities of now.

        Raises:
            WorkbenchError: its weights are not finite; what was read before stays.
        """
        policy, updates = self._copied()
        self.log_distribution = self._read(policy, self.sequence)
        self._policy, self.updates = policy, updates
        return "the policy is read again; the tokens are the same"

    def heat(self, temperature: float) -> str:
        """Divide the logits by a temperature: the same tokens, other probabilities.

        Above 1 the policy is more even, below 1 it is surer of itself. The controller's own
        proposals are drawn at 1.

        Raises:
            SettingsError: a temperature outside 0.01 to 10.
        """
        heated = copy.copy(self._policy)  # shares the weights
        heated.temperature = number("temperature", temperature, COLDEST, HOTTEST)
        self.log_distribution = self._read(heated, self.sequence)
        self._policy, self.temperature = heated, heated.temperature
        return f"temperature {heated.temperature:.3g}; the controller itself proposes at 1"

    # --- the policy -----------------------------------------------------------------------------

    def _copied(self) -> tuple[Any, int]:
        """A copy, so that a search that runs on changes nothing under the reader's eyes."""
        updates = self.controller.updates
        policy = copy.deepcopy(self.controller.policy).requires_grad_(False)
        policy.temperature = self.temperature
        return policy, updates

    def _read(self, policy: Any, tokens: Tokens) -> numpy.ndarray:
        with torch.no_grad(), one_thread():
            log_distribution = policy.log_distribution(torch.tensor([tokens]))[0]  # (T, C)
        if torch.isnan(log_distribution).any():
            raise WorkbenchError(
                "the policy gives no probabilities: its weights are not finite. A learning rate "
                "that is too high does that; load an earlier state of the controller"
            )
        return log_distribution.double().numpy()

    def _draw_from(self, start: int) -> None:
        tokens = list(self.sequence)
        for step in range(start, len(tokens)):  # each distribution is given all tokens before it
            row = torch.from_numpy(self._read(self._policy, tuple(tokens))[step]).exp()
            tokens[step] = int(torch.multinomial(row, 1, generator=self._generator))
        self.log_distribution = self._read(self._policy, tuple(tokens))  #: (T, C)
        self.sequence = tuple(tokens)

    @property
    def numbers(self) -> dict[str, tuple[float, float]]:
        """What is known after the decision that is shown, in nats: of this controller, and of one
        that prefers nothing.

        ``log_prob`` of the decision's token, ``log_prob_sum`` of all tokens so far, ``entropy`` of
        the decision, ``mean_entropy`` of the decisions so far.
        """
        shown = self.log_distribution[: self.step + 1]
        finite = numpy.where(numpy.isinf(shown), 0.0, shown)
        entropies = -(numpy.exp(finite) * finite).sum(1)
        log_probs = shown[numpy.arange(len(shown)), list(self.tokens)]
        even = numpy.log([decision.choices for decision in self.decisions[: self.step + 1]])
        return {
            "log_prob": (log_probs[-1], -even[-1]),
            "log_prob_sum": (log_probs.sum(), -even.sum()),
            "entropy": (entropies[-1], even[-1]),
            "mean_entropy": (entropies.mean(), even.mean()),
        }

    # --- what is being built ----------------------------------------------------------------------

    def pictures(self) -> list[tuple[str, Any]]:
        """``(caption, what can be drawn of it)``: the cells of all blocks that are decided, or the
        whole architecture at the end; nothing before the first block is complete."""
        if not isinstance(self.space, CellSpace):
            return [("the architecture", self.genotype)] if self.at_end else []
        left = len(self.decisions) - len(self.tokens)
        filled = self.space.decode((*self.tokens, *(0,) * left))  # token 0 is always legal
        roles = ("both",) if self.space.tied else ("normal", "reduction")
        pictures = []
        for role, (_, cell) in zip(roles, filled.cells, strict=False):
            of_role = [d for d in self.decisions[: self.step + 1] if d.cell == role]
            complete = len(of_role) // BLOCK
            if complete:
                title = "the cell, both normal and reduction" if role == "both" else f"{role} cell"
                count = f"{complete} of {self.space.blocks} blocks"
                part = Cell(cell.blocks[:complete], inputs=cell.inputs)
                pictures.append((f"{title}: {count}", part))
        return pictures

    def words(self) -> str:
        """One sentence about what is being decided just now."""
        return self.space.in_words(self.tokens)

"""The NASNet search space: two cells, each a short list of decisions per block."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ..checks import flag, whole
from ..errors import SpaceError
from ..genotype import COMBINATIONS, NASNET_OPERATIONS, OPERATIONS, Block, Cell, Genotype
from .base import Decision, Space, Tokens, checked_names

ROLES = ("normal", "reduction")


class CellSpace(Space[Genotype]):
    """Genotypes of ``blocks`` blocks per cell over a set of operations (NASNet paper, section 3).

    Every block is five decisions, in the paper's order: two hidden states, two operations, how to
    combine them. First all blocks of the normal cell, then all of the reduction cell: 50 decisions
    for five blocks. The output of a cell joins the blocks that no block reads.

    Args:
        blocks: blocks per cell, B in the paper (5).
        operations: a subset of :data:`nasworkbench.genotype.OPERATIONS`, in any order.
        combinations: ``add``, ``concat`` or both. With one of them its decision has one choice.
        inputs: hidden states that a cell is given (2).
        tied: the reduction cell is the normal cell, and only one cell is decided. Not in the paper:
            it squares down a space until it can be enumerated.

    Raises:
        SpaceError: no blocks, no operations, unknown or repeated names, more than 1,000 hidden
            states in a cell.
    """

    def __init__(
        self,
        blocks: int = 5,
        operations: Sequence[str] = NASNET_OPERATIONS,
        combinations: Sequence[str] = COMBINATIONS,
        inputs: int = 2,
        tied: bool = False,
    ) -> None:
        self.inputs = whole("inputs", inputs, 1, Cell.MOST_STATES - 1, SpaceError)
        self.blocks = whole("blocks", blocks, 1, Cell.MOST_STATES - self.inputs, SpaceError)
        self.tied = flag("tied", tied, SpaceError)
        self.operations = checked_names("operations", operations, OPERATIONS)
        self.combinations = checked_names("combinations", combinations, COMBINATIONS)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions in the order in which a controller makes them."""
        decisions = []
        names = tuple(map(str, range(self.inputs + self.blocks)))
        for role in ("both",) if self.tied else ROLES:
            for block in range(self.blocks):
                states = names[: self.inputs + block]
                for name, kind, options in (
                    ("left input", "hidden_state", states),
                    ("right input", "hidden_state", states),
                    ("left operation", "operation", self.operations),
                    ("right operation", "operation", self.operations),
                    ("combination", "combination", self.combinations),
                ):
                    title = f"{role} block {block} {name}"
                    decisions.append(Decision(title, role, block, kind, options))
        return tuple(decisions)

    def decode(self, tokens: Sequence[int]) -> Genotype:
        tokens = self.check(tokens)
        if self.tied:
            cell = self._decode_cell(tokens)
            return Genotype(cell, cell)
        step = 5 * self.blocks
        return Genotype(self._decode_cell(tokens[:step]), self._decode_cell(tokens[step:]))

    def _decode_cell(self, tokens: Sequence[int]) -> Cell:
        blocks = []
        for start in range(0, len(tokens), 5):
            left, right, left_op, right_op, combine = tokens[start : start + 5]
            sides = left, self.operations[left_op], right, self.operations[right_op]
            blocks.append(Block(*sides, self.combinations[combine]))
        return Cell(tuple(blocks), inputs=self.inputs)

    def encode(self, genotype: Genotype) -> Tokens:
        if not isinstance(genotype, Genotype):
            raise SpaceError(f"a CellSpace holds genotypes of two cells, got {genotype!r:.80}")
        options: list[str] = []
        if self.tied and genotype.normal != genotype.reduction:
            raise SpaceError(
                "the two cells differ; in this space (tied) the reduction cell is the normal cell"
            )
        for role, cell in genotype.cells[:1] if self.tied else genotype.cells:
            if cell.inputs != self.inputs or len(cell.blocks) != self.blocks:
                raise SpaceError(
                    f"{role} cell: has {len(cell.blocks)} blocks and {cell.inputs} inputs; this "
                    f"space has cells of {self.blocks} blocks and {self.inputs} inputs"
                )
            if cell.concat != cell.loose_ends:
                raise SpaceError(
                    f"{role} cell: its output joins the hidden states {list(cell.concat)}; this "
                    f"space joins exactly the blocks that no block reads, {list(cell.loose_ends)}"
                )
            for block in cell.blocks:
                options += [*map(str, block.inputs), block.left_op, block.right_op, block.combine]
        return tuple(d.token(option) for d, option in zip(self.decisions, options, strict=True))

    def in_words(self, tokens: Sequence[int]) -> str:
        """What the tokens have decided of their last block."""
        start = max(len(tokens) - 1, 0) // 5 * 5
        block = zip(self.decisions[start:], tokens[start:], strict=False)
        names = [decision.labels[token] for decision, token in block]
        left, right, *operations, combination = [*names, *"?" * (5 - len(names))]
        sides = zip(("left", "right"), (left, right), operations, strict=True)
        parts = [f"{side} = {n if n == '?' else f'{n} through {op}'}" for side, n, op in sides]
        number = self.decisions[start].block
        return f"block {number}: {', '.join(parts)}, combined by {combination}"

    def settings(self) -> dict[str, Any]:
        """The arguments that build this space again, ready for JSON."""
        return {
            "blocks": self.blocks,
            "operations": list(self.operations),
            "combinations": list(self.combinations),
            "inputs": self.inputs,
            "tied": self.tied,
        }

    def __repr__(self) -> str:
        return (
            f"CellSpace(blocks={self.blocks}, {len(self.operations)} operations, "
            f"{'/'.join(self.combinations)}{', tied' if self.tied else ''}): "
            f"{len(self.decisions)} decisions, {_rounded(self.size)} token sequences"
        )


def _rounded(size: int) -> str:
    """A whole number with three digits, also one that is too large for a float."""
    return f"{size:.3g}" if size < 1e300 else f"about 10^{size.bit_length() * 0.30103:.0f}"

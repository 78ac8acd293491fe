"""The NASNet search space: two cells, each a short list of decisions per block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from ..errors import SpaceError, listed
from ..genotype import COMBINATIONS, NASNET_OPERATIONS, OPERATIONS, Block, Cell, Genotype
from .base import Decision, Space, Tokens

ROLES = ("normal", "reduction")


class CellSpace(Space):
    """Genotypes of ``blocks`` blocks per cell over a set of operations (NASNet paper, section 3).

    Every block asks five decisions, in the paper's order: two hidden states, two operations, how
    to combine. First all blocks of the normal cell, then all of the reduction cell: 50 decisions
    for five blocks. The output of a cell joins the blocks that no block reads.

    Args:
        blocks: blocks per cell, B in the paper (5).
        operations: a subset of :data:`nasworkbench.genotype.OPERATIONS`, in any order.
        combinations: ``add``, ``concat`` or both. With one of them its decision has one choice.
        inputs: hidden states that a cell is given (2).
        tied: the reduction cell is the normal cell, and only one cell is decided. Not in the paper:
            it squares down a space until it can be enumerated.

    Raises:
        SpaceError: no blocks, no operations, unknown or repeated names.
    """

    def __init__(
        self,
        blocks: int = 5,
        operations: Sequence[str] = NASNET_OPERATIONS,
        combinations: Sequence[str] = COMBINATIONS,
        inputs: int = 2,
        tied: bool = False,
    ) -> None:
        for what, value in (("blocks", blocks), ("inputs", inputs)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SpaceError(f"{what} must be a whole number from 1, got {value!r}")
        if not isinstance(tied, bool):
            raise SpaceError(f"tied must be True or False, got {tied!r}")
        self.blocks = blocks
        self.inputs = inputs
        self.tied = tied
        self.operations = _names("operations", operations, OPERATIONS)
        self.combinations = _names("combinations", combinations, COMBINATIONS)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions in the order in which a controller makes them."""
        decisions = []
        for role in ("both",) if self.tied else ROLES:
            for block in range(self.blocks):
                states = tuple(str(state) for state in range(self.inputs + block))
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
            blocks.append(
                Block(
                    left,
                    self.operations[left_op],
                    right,
                    self.operations[right_op],
                    self.combinations[combine],
                )
            )
        return Cell(tuple(blocks), inputs=self.inputs)

    def encode(self, genotype: Genotype) -> Tokens:
        if not isinstance(genotype, Genotype):
            raise SpaceError(f"a CellSpace holds genotypes of two cells, got {genotype!r:.80}")
        tokens: list[int] = []
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
            for number, block in enumerate(cell.blocks):
                where = f"{role} cell, block {number}"
                tokens += block.inputs
                for side, _, operation in block.sides:
                    tokens.append(
                        _index(self.operations, operation, f"{where}, {side} input", "operation")
                    )
                tokens.append(_index(self.combinations, block.combine, where, "combination"))
        return tuple(tokens)

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
            f"{len(self.decisions)} decisions, {self.size:.3g} strings"
        )


def _names(what: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else (names,)
    wrong = [name for name in names if name not in known]
    if not names or wrong or len(set(names)) != len(names):
        raise SpaceError(
            f"{what} must be one or more different names out of {listed(known)}; got {list(names)}"
        )
    return names


def _index(options: tuple[str, ...], name: str, where: str, kind: str) -> int:
    if name not in options:
        raise SpaceError(
            f"{where}: the {kind} {name!r} is not in this space; it has {listed(options)}"
        )
    return options.index(name)

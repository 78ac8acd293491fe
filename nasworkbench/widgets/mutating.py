"""One decision of a cell changed at random, as regularised evolution changes it."""

from __future__ import annotations

import numpy

from ..controllers.evolution import mutate
from ..errors import SpaceError
from ..genotype import Block, Cell, Genotype
from ..spaces import CellSpace
from ..spaces.base import Decision


def mutated(cell: Cell, space: CellSpace, seed: int) -> tuple[tuple[Block, ...], str]:
    """The blocks of a mutated cell, and what changed, in words.

    Args:
        cell: what to mutate; its output may join any states, they are no decisions.
        space: of this cell alone (``tied``), with as many blocks.
        seed: of the choice.

    Raises:
        SpaceError: the cell is not in the space, or no decision has a second choice.
    """
    blocks = Cell(cell.blocks, inputs=cell.inputs)
    before = space.encode(Genotype(blocks, blocks))
    after = mutate(before, space, numpy.random.default_rng(seed))
    for decision, old, new in zip(space.decisions, before, after, strict=True):
        if old != new:
            words = decision.name.removeprefix(f"{decision.cell} ")
            return space.decode(after).normal.blocks, (
                f"{words}: {_said(decision, old, cell)} → {_said(decision, new, cell)}"
            )
    raise SpaceError("there is nothing to mutate: no decision of this space has a second choice")


def _said(decision: Decision, choice: int, cell: Cell) -> str:
    hidden = decision.kind == "hidden_state"
    return cell.state_name(choice) if hidden else decision.options[choice]

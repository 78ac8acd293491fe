"""What every dialect here shares: cells of two inputs, two sides a block, results added.

Each dialect has a table of its operations; what cannot be said in either direction is refused here,
with the cell, the block and the side. :mod:`nasworkbench.dialects` adds the dialect's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..checks import whole
from ..errors import DialectError, GenotypeError, listed
from ..genotype import Block, Cell

#: The concat that a dialect implies where its text does not hold one.
ImpliedConcat = Callable[[tuple[Block, ...]], tuple[int, ...]]


def read_cell(
    where: str,
    states: Sequence[Any],
    operations: Sequence[Any],
    concat: Sequence[int] | ImpliedConcat,
    ours: Mapping[Any, str],
    refused: Mapping[Any, str] | None = None,
) -> Cell:
    """The cell that a dialect describes by two states and two operations a block.

    Args:
        where: the cell, for messages.
        states: the hidden states that are read, in this library's numbering.
        operations: the operations in the dialect's words, as many.
        concat: the states of the output, or a function of the blocks that gives them.
        ours: this library's operation for each of the dialect's.
        refused: the dialect's operations that have no counterpart here, with the reason.

    Raises:
        DialectError: incomplete blocks, an unknown operation, or a cell that cannot exist.
    """
    if not operations or len(operations) % 2 or len(operations) != len(states):
        raise DialectError(
            f"{where}: every block needs two operations and two states, "
            f"got {len(operations)} operations and {len(states)} states"
        )
    sides = []
    for number, (state, operation) in enumerate(zip(states, operations, strict=True)):
        place = f"{where}, block {number // 2}, {('left', 'right')[number % 2]} input"
        if not isinstance(operation, str | int) or operation not in ours:
            if refused and isinstance(operation, str) and operation in refused:
                raise DialectError(
                    f"{place}: '{operation}' has no counterpart here: {refused[operation]}"
                )
            known = (f"{theirs} ({name})" for theirs, name in ours.items())
            raise DialectError(
                f"{place}: unknown operation {operation!r:.60}; known are {listed(known)}"
            )
        state = whole(f"{place}: the state", state, 0, Cell.MOST_STATES - 1, DialectError)
        sides.append((state, ours[operation]))
    try:
        blocks = tuple(Block(*sides[k], *sides[k + 1]) for k in range(0, len(sides), 2))
        return Cell(blocks, concat(blocks) if callable(concat) else tuple(concat))
    except GenotypeError as error:
        raise DialectError(f"{where}, {error}") from None


def write_sides(
    role: str, cell: Cell, operations: Mapping[str, Any], implied: ImpliedConcat | None = None
) -> list[tuple[int, Any]]:
    """``(state, the dialect's operation)`` for each side of each block, two a block.

    Args:
        role: the cell, for messages.
        cell: what to write.
        operations: the dialect's word for each of this library's operations that it has.
        implied: the only concat that the dialect can say, as a function of the blocks.

    Raises:
        DialectError: other than two inputs, a combination other than add, an operation without a
            counterpart, or another concat than the implied one.
    """
    if cell.inputs != 2:
        raise DialectError(
            f"{role} cell: the dialect's cells take 2 inputs, this one {cell.inputs}"
        )
    sides = []
    for number, block in enumerate(cell.blocks):
        if block.combine != "add":
            raise DialectError(
                f"{role} cell, block {number}: the dialect adds the two results and has no other "
                f"combination, this block has '{block.combine}'"
            )
        for side, state, operation in block.sides:
            if operation not in operations:
                raise DialectError(
                    f"{role} cell, block {number}, {side} input: the dialect has no operation that "
                    f"computes '{operation}'; it has {listed(operations)}"
                )
            sides.append((state, operations[operation]))
    if implied is not None and cell.concat != implied(cell.blocks):
        raise DialectError(
            f"{role} cell, concat: the dialect does not write it down; for these blocks it is "
            f"always {list(implied(cell.blocks))}, this cell has {list(cell.concat)}"
        )
    return sides

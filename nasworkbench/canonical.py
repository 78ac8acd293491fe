"""The canonical form of a cell: one list of blocks for all cells that are the same graph.

The blocks form a small directed graph. Each block gets a colour that depends on the graph alone:
first what it computes, then, refined until nothing changes, by whom it is read. Blocks are put in
order of (depth, colour); where two share both, each is tried first and the smallest result wins.
Tries that are images of each other under a symmetry of the graph are made once.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

#: left state, left operation, right state, right operation, combination
Row = tuple[int, str, int, str, str]


class BlockLike(Protocol):
    """What is read of a block."""

    @property
    def combine(self) -> str: ...

    @property
    def sides(self) -> tuple[tuple[str, int, str], tuple[str, int, str]]: ...


class CellLike(Protocol):
    """What is read of a cell."""

    @property
    def inputs(self) -> int: ...

    @property
    def blocks(self) -> tuple[BlockLike, ...]: ...

    @property
    def concat(self) -> tuple[int, ...]: ...

    @property
    def used(self) -> tuple[int, ...]: ...

    @property
    def loose_ends(self) -> tuple[int, ...]: ...


def canonical_form(cell: CellLike) -> tuple[tuple[Row, ...], tuple[int, ...]]:
    """The rows of the blocks that reach the output, in canonical order, and the concat."""
    if not cell.used:  # the output joins inputs only; but a cell has a block, so this one stands in
        return ((0, "identity", 0, "identity", "add"),), cell.concat
    states = [cell.inputs + number for number in cell.used]
    return _renumbered(cell, _smallest_order(cell, states, _first_colours(cell, states)))


def _renumbered(cell: CellLike, order: list[int]) -> tuple[tuple[Row, ...], tuple[int, ...]]:
    """The used blocks in this order (given as states), with sorted sides, and the concat."""
    new = {state: cell.inputs + place for place, state in enumerate(order)}
    rows = []
    for state in order:
        block = cell.blocks[state - cell.inputs]
        (left, left_op), (right, right_op) = sorted((new.get(s, s), op) for _, s, op in block.sides)
        rows.append((left, left_op, right, right_op, block.combine))
    return tuple(rows), tuple(sorted(new.get(state, state) for state in cell.concat))


def _first_colours(cell: CellLike, states: list[int]) -> dict[int, Any]:
    """Rank every block by its depth, then by a digest of what it computes from the inputs."""
    meaning: dict[int, Any] = {}
    for state in states:
        block = cell.blocks[state - cell.inputs]
        parts = sorted((meaning.get(s, (0, str(s))), op) for _, s, op in block.sides)
        depth = 1 + max(depth for (depth, _), _ in parts)
        expression = repr((block.combine, parts, state in cell.concat))
        digest = hashlib.blake2b(expression.encode(), digest_size=8).hexdigest()
        meaning[state] = (depth, digest)
    return _ranked({state: meaning[state] for state in states})


def _ranked(colours: dict[int, Any]) -> dict[int, int]:
    """Colours as small whole numbers, in an order that depends on the colours alone."""
    rank = {colour: place for place, colour in enumerate(sorted(set(colours.values())))}
    return {state: rank[colour] for state, colour in colours.items()}


def _refined(cell: CellLike, states: list[int], colours: dict[int, int]) -> dict[int, int]:
    """Tell apart blocks that are read, or fed, by blocks of different colours."""
    while True:
        readers: dict[int, list] = {state: [] for state in states}
        feeds: dict[int, list] = {state: [] for state in states}
        for state in states:
            (_, left, left_op), (_, right, right_op) = cell.blocks[state - cell.inputs].sides
            for me, my_op, other, other_op in (
                (left, left_op, right, right_op),
                (right, right_op, left, left_op),
            ):
                shown = colours.get(other, -1 - other)
                if me in readers:
                    readers[me].append((colours[state], my_op, other_op, shown, me == other))
                feeds[state].append((colours.get(me, -1 - me), my_op))
        finer = _ranked(
            {s: (colours[s], tuple(sorted(readers[s])), tuple(sorted(feeds[s]))) for s in states}
        )
        if len(set(finer.values())) == len(set(colours.values())):
            return finer
        colours = finer


def _smallest_order(cell: CellLike, states: list[int], colours: dict[int, int]) -> list[int]:
    colours, tied = _first_tie(cell, states, colours)
    if not tied:
        return sorted(states, key=colours.__getitem__)
    if _are_twins(cell, tied):
        return _smallest_order(cell, states, _told_apart(colours, tied))
    candidates = []
    seen = []
    for first in tied:
        chosen = _told_apart(colours, [first])
        # two tries that can end in the same cell are images of each other under a symmetry
        probe = _renumbered(cell, _some_order(cell, states, chosen))
        if probe not in seen:
            seen.append(probe)
            candidates.append(_smallest_order(cell, states, chosen))
    return min(candidates, key=lambda order: _renumbered(cell, order))


def _some_order(cell: CellLike, states: list[int], colours: dict[int, int]) -> list[int]:
    """One of the orders that :func:`_smallest_order` chooses from."""
    while True:
        colours, tied = _first_tie(cell, states, colours)
        if not tied:
            return sorted(states, key=colours.__getitem__)
        colours = _told_apart(colours, tied[:1])


def _first_tie(
    cell: CellLike, states: list[int], colours: dict[int, int]
) -> tuple[dict[int, int], list[int]]:
    """Refined colours, and the blocks of the first colour that several share (or none)."""
    if len(set(colours.values())) < len(states):
        colours = _refined(cell, states, colours)
    groups: dict[int, list[int]] = {}
    for state in states:
        groups.setdefault(colours[state], []).append(state)
    return colours, next((group for _, group in sorted(groups.items()) if len(group) > 1), [])


def _told_apart(colours: dict[int, int], first: list[int]) -> dict[int, int]:
    """These blocks, in this order, before all others of their colour."""
    place = {state: number for number, state in enumerate(first, start=-len(first))}
    return {s: (len(first) + 1) * colour + place.get(s, 0) for s, colour in colours.items()}


def _are_twins(cell: CellLike, states: list[int]) -> bool:
    """Whether the blocks read the same and nobody reads them: any order gives the same cell."""
    kinds = {
        (tuple(sorted((s, op) for _, s, op in b.sides)), b.combine)
        for b in (cell.blocks[state - cell.inputs] for state in states)
    }
    return len(kinds) == 1 and set(states) <= set(cell.loose_ends)

"""The canonical form of a cell: one list of blocks for all cells that are the same graph.

The blocks form a small directed graph. Each block gets a colour that depends on the graph alone:
first what it computes, then, refined until nothing changes, by whom it is read. Blocks are put in
order of (depth, colour); where two share both, each is tried first and the smallest result wins.
Tries that are images of each other under a symmetry of the graph are made once. What remains can
still grow with the factorial of the number of blocks, so it ends with an error after
:data:`MOST_VISITS`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from .errors import GenotypeError

#: left state, left operation, right state, right operation, combination
Row = tuple[int, str, int, str, str]

Form = tuple[tuple[Row, ...], tuple[int, ...]]

#: Blocks visited before a cell is given up (this project's choice: three seconds). 800 blocks in a
#: ring, all alike, take 1.6 million visits, 24 blocks in pairs 10,000, a published cell under 100.
MOST_VISITS = 2_000_000


def canonical_form(cell: Any) -> Form:
    """The rows of a cell's blocks that reach the output, in canonical order, and the concat.

    Raises:
        GenotypeError: hundreds of blocks that are too alike to be told apart.
    """
    if not cell.used:  # the output joins inputs only; but a cell has a block, so this one stands in
        return ((0, "identity", 0, "identity", "add"),), cell.concat
    ordering = _Ordering(cell)
    return ordering.renumbered(ordering.smallest(ordering.first_colours()))


class _Ordering:
    """The search for the order of a cell's used blocks that gives the smallest rows.

    Colours are a whole number for each used block (by its state); equal ones are not told apart.
    """

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.states = [cell.inputs + number for number in cell.used]
        self.visits = 0

    def renumbered(self, order: list[int]) -> Form:
        """The used blocks in this order (given as states), with sorted sides, and the concat."""
        cell = self.cell
        new = {state: cell.inputs + place for place, state in enumerate(order)}
        rows = []
        for state in order:
            block = cell.blocks[state - cell.inputs]
            sides = sorted((new.get(s, s), op) for _, s, op in block.sides)
            (left, left_op), (right, right_op) = sides
            rows.append((left, left_op, right, right_op, block.combine))
        return tuple(rows), tuple(sorted(new.get(state, state) for state in cell.concat))

    def first_colours(self) -> dict[int, int]:
        """Rank every block by its depth, then by a digest of what it computes from the inputs."""
        meaning: dict[int, Any] = {}
        for state in self.states:
            block = self.cell.blocks[state - self.cell.inputs]
            parts = sorted((meaning.get(s, (0, str(s))), op) for _, s, op in block.sides)
            depth = 1 + max(depth for (depth, _), _ in parts)
            expression = repr((block.combine, parts, state in self.cell.concat))
            digest = hashlib.blake2b(expression.encode(), digest_size=8).hexdigest()
            meaning[state] = (depth, digest)
        return _ranked(meaning)

    def refined(self, colours: dict[int, int]) -> dict[int, int]:
        """Tell apart blocks that read, or are read by, blocks of different colours."""
        cell, states = self.cell, self.states
        while True:
            self.visits += len(states)
            if self.visits > MOST_VISITS:
                raise GenotypeError(
                    f"a cell of {len(cell.blocks)} blocks has too many that are alike: to tell "
                    "whether it equals another cell would take too long. Take fewer blocks, or "
                    "blocks that differ more"
                )
            readers: dict[int, list] = {state: [] for state in states}
            sources: dict[int, list] = {state: [] for state in states}
            for state in states:
                (_, left, left_op), (_, right, right_op) = cell.blocks[state - cell.inputs].sides
                for me, my_op, other, other_op in (
                    (left, left_op, right, right_op),
                    (right, right_op, left, left_op),
                ):
                    shown = colours.get(other, -1 - other)
                    if me in readers:
                        readers[me].append((colours[state], my_op, other_op, shown, me == other))
                    sources[state].append((colours.get(me, -1 - me), my_op))
            around = {n: (tuple(sorted(readers[n])), tuple(sorted(sources[n]))) for n in states}
            finer = _ranked({state: (colours[state], *around[state]) for state in states})
            if len(set(finer.values())) == len(set(colours.values())):
                return finer
            colours = finer

    def smallest(self, colours: dict[int, int]) -> list[int]:
        """The order within these colours whose rows are the smallest."""
        while True:
            colours, tied = self.first_tie(colours)
            if not tied:
                return sorted(self.states, key=colours.__getitem__)
            if self.are_twins(tied):
                colours = _told_apart(colours, tied)
                continue
            tries = self.tries(colours, tied)
            if len(tries) > 1:
                return min(map(self.smallest, tries), key=self.renumbered)
            colours = tries[0]

    def tries(self, colours: dict[int, int], tied: list[int]) -> list[dict[int, int]]:
        """Colours with one of the tied blocks before the others, for each that has to be tried."""
        tries = []
        orders: dict[Form, list[int]] = {}
        symmetries: list[dict[int, int]] = []
        known: set[int] = set()  # the blocks that were tried, and their images
        for first in tied:
            if first in known:
                continue
            chosen = _told_apart(colours, [first])
            order = self.some(chosen)
            other = orders.setdefault(self.renumbered(order), order)
            if other is order:
                tries.append(chosen)
            else:  # two orders that give one cell: a symmetry takes the one to the other
                symmetries.append(dict(zip(other, order, strict=True)))
            known.add(first)
            while new := {image[s] for image in symmetries for s in known} - known:
                known |= new
        return tries

    def some(self, colours: dict[int, int]) -> list[int]:
        """One of the orders that :meth:`smallest` chooses from."""
        while True:
            colours, tied = self.first_tie(colours)
            if not tied:
                return sorted(self.states, key=colours.__getitem__)
            colours = _told_apart(colours, tied[:1])

    def first_tie(self, colours: dict[int, int]) -> tuple[dict[int, int], list[int]]:
        """Refined colours, and the blocks of the first colour that several share (or none)."""
        if len(set(colours.values())) < len(self.states):
            colours = self.refined(colours)
        groups: dict[int, list[int]] = {}
        for state in self.states:
            groups.setdefault(colours[state], []).append(state)
        return colours, next((group for _, group in sorted(groups.items()) if len(group) > 1), [])

    def are_twins(self, states: list[int]) -> bool:
        """Whether the blocks read the same and nobody reads them: any order gives the same cell."""
        kinds = {
            (tuple(sorted((s, op) for _, s, op in b.sides)), b.combine)
            for b in (self.cell.blocks[state - self.cell.inputs] for state in states)
        }
        return len(kinds) == 1 and set(states) <= set(self.cell.loose_ends)


def _ranked(colours: dict[int, Any]) -> dict[int, int]:
    """Colours as small whole numbers, in an order that depends on the colours alone."""
    rank = {colour: place for place, colour in enumerate(sorted(set(colours.values())))}
    return {state: rank[colour] for state, colour in colours.items()}


def _told_apart(colours: dict[int, int], first: list[int]) -> dict[int, int]:
    """These blocks, in this order, before all others of their colour."""
    place = {state: number for number, state in enumerate(first, start=-len(first))}
    return {s: (len(first) + 1) * colour + place.get(s, 0) for s, colour in colours.items()}

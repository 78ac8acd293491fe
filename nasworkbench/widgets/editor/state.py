"""A genotype that a person edits: edits, undo, the reasons why some are refused; no widgets here.

The methods named in :data:`EDITS` are what a person can do. Each returns what is to be said of it,
mostly nothing, and raises the library's own error where it is not legal; the genotype then stays
the last legal one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy

from ... import zoo
from ...checks import choice, whole
from ...controllers.evolution import mutate
from ...dialects.detect import detect
from ...errors import GenotypeError, SpaceError, WorkbenchError, errors_in, listed
from ...genotype import COMBINATIONS, OPERATIONS, Block, Cell, Genotype
from ...spaces import CellSpace

ROLES = ("normal", "reduction")

#: The methods that a front end may ask for.
EDITS = (
    *("set_operation", "connect", "set_combination", "add_block", "remove_block", "toggle_output"),
    *("set_output", "set_automatic", "undo", "redo", "random", "mutate", "load_zoo", "paste"),
)

#: This project's choices: a cell must be readable on a screen.
MOST_BLOCKS = 24
MOST_INPUTS = 8
STEPS_KEPT = 500


@dataclass(frozen=True)
class Version:
    """What undo brings back: a genotype, and the cells whose output follows from their blocks."""

    genotype: Genotype
    automatic: frozenset[str]

    @classmethod
    def of(cls, genotype: Genotype) -> Version:
        automatic = (role for role, cell in genotype.cells if cell.concat == cell.loose_ends)
        return cls(genotype, frozenset(automatic))


class EditorState:
    """A genotype, and all that can be done to it.

    Args:
        start: a :class:`Genotype`, edited freely; a :class:`CellSpace`, whose genotypes alone are
            then legal; ``None``: NASNet-A.
        seed: of random cells and mutations; ``None`` takes a new one each time.

    Attributes:
        space: the space whose genotypes are legal, or ``None``.

    Raises:
        WorkbenchError: something else, or a genotype too large for a screen.
    """

    def __init__(self, start: Genotype | CellSpace | None = None, seed: int | None = None) -> None:
        self.generator = numpy.random.default_rng(seed)
        self.space = start if isinstance(start, CellSpace) else None
        if self.space is not None:
            start = self.space.sample(self.generator)
        start = zoo.get("nasnet-a") if start is None else start
        #: what can be chosen
        self.operations = self.space.operations if self.space else OPERATIONS
        self.combinations = self.space.combinations if self.space else COMBINATIONS
        self._now = Version.of(self.check(start))
        self._before: list[Version] = []
        self._after: list[Version] = []

    @property
    def genotype(self) -> Genotype:
        """The present genotype: always a legal one."""
        return self._now.genotype

    @property
    def automatic(self) -> frozenset[str]:
        """The cells (``normal``, ``reduction``) whose output joins the blocks nobody reads."""
        return self._now.automatic

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Whether an edit was taken back."""
        return bool(self._after)

    def cell(self, role: str) -> Cell:
        """The normal or the reduction cell.

        Raises:
            WorkbenchError: another role.
        """
        return getattr(self.genotype, choice("cell", role, ROLES, GenotypeError))

    def check(self, genotype: object) -> Genotype:
        """The genotype, if it may be edited here.

        Raises:
            WorkbenchError: no genotype, one outside of the space, or one too large for a screen.
        """
        if not isinstance(genotype, Genotype):
            raise GenotypeError(
                "the editor holds a Genotype, and starts from a Genotype or a CellSpace, got "
                f'{genotype!r:.80}. Make a genotype by zoo.get("nasnet-a")'
            )
        if self.space is not None:
            self.space.encode(genotype)
        for role, cell in genotype.cells:
            if len(cell.blocks) > MOST_BLOCKS or cell.inputs > MOST_INPUTS:
                raise GenotypeError(
                    f"{role} cell: {len(cell.blocks)} blocks and {cell.inputs} inputs; the editor "
                    f"shows up to {MOST_BLOCKS} blocks and {MOST_INPUTS} inputs"
                )
        return genotype

    def load(self, genotype: Genotype) -> None:
        """Take another genotype; undo brings the present one back."""
        self._step(Version.of(self.check(genotype)))

    def load_zoo(self, name: str) -> str:
        """Take a published genotype."""
        self.load(zoo.get(name))
        return f"loaded {name}"

    def paste(self, text: str, form: str | None = None) -> str:
        """Take the genotype that a text holds.

        Args:
            text: JSON, or another project's text.
            form: ``JSON`` or a dialect's name; ``None`` or empty: it is recognised.

        Raises:
            WorkbenchError: the text is of no known form (says why not, for each), or of several
                that disagree.
        """
        form, genotype = detect(text, form or None)
        self.load(genotype)
        return f"read as {form}"

    def undo(self) -> None:
        """Take the last edit back."""
        if not self._before:
            raise WorkbenchError("nothing to undo: this is the cell as it was first loaded")
        self._after.append(self._now)
        self._now = self._before.pop()

    def redo(self) -> None:
        """Do again what was taken back."""
        if not self._after:
            raise WorkbenchError("nothing to redo: no edit was undone")
        self._before.append(self._now)
        self._now = self._after.pop()

    def set_operation(self, role: str, block: int, side: str, operation: str) -> None:
        """Choose the operation of a block's ``left`` or ``right`` input."""
        self._change(role, block, f"{_side(side)}_op", operation)

    def connect(self, role: str, block: int, side: str, state: int) -> None:
        """Let a block's ``left`` or ``right`` input read another hidden state."""
        self._change(role, block, _side(side), state)

    def set_combination(self, role: str, block: int, combine: str) -> None:
        """Let a block ``add`` its two results or ``concat`` them."""
        self._change(role, block, "combine", combine)

    def add_block(self, role: str) -> None:
        """A further block at the end, which reads the cell's two newest inputs.

        It joins the output, or it would do nothing.
        """
        cell = self.cell(role)
        operation = "sep_conv_3x3" if "sep_conv_3x3" in self.operations else self.operations[0]
        older, newer = max(cell.inputs - 2, 0), cell.inputs - 1
        block = Block(older, operation, newer, operation, self.combinations[0])
        concat = self._concat(role)
        joined = None if concat is None else (*concat, cell.state_count)
        self._put(role, (*cell.blocks, block), joined)

    def remove_block(self, role: str, block: int) -> None:
        """Take a block out; the later ones move up by one.

        Raises:
            GenotypeError: another block reads it. It is not rewired in silence: which state those
                blocks should read instead is a choice, and yours.
        """
        cell = self.cell(role)
        self._block(role, block)
        gone = cell.inputs + block
        readers = [
            f"block {number} ({side})"
            for number, other in enumerate(cell.blocks)
            for side, state, _ in other.sides
            if state == gone
        ]
        if readers:
            raise GenotypeError(
                f"{role} cell: block {block} cannot be removed, {listed(readers)} "
                f"read{'s' if len(readers) == 1 else ''} it; connect those to other states first"
            )

        def moved(state: int) -> int:
            return state - (state > gone)

        kept = [other for number, other in enumerate(cell.blocks) if number != block]
        blocks = [replace(b, left=moved(b.left), right=moved(b.right)) for b in kept]
        concat = self._concat(role)
        if concat is not None:
            concat = tuple(moved(state) for state in concat if state != gone)
        self._put(role, tuple(blocks), concat)

    def set_output(self, role: str, states: tuple[int, ...] | list[int] | None) -> None:
        """Choose the hidden states that the output joins; ``None``: the blocks nobody reads."""
        self._put(role, self.cell(role).blocks, None if states is None else tuple(states))

    def set_automatic(self, role: str, on: bool) -> None:
        """Let the output follow the blocks, or stay as it is now, whatever is edited later."""
        concat = self.cell(role).concat
        self.set_output(role, None if on else concat)

    def toggle_output(self, role: str, state: int) -> None:
        """Let a hidden state join the output, or no longer."""
        concat = self.cell(role).concat
        joined = [other for other in concat if other != state]
        self.set_output(role, joined if state in concat else [*concat, state])

    def random(self) -> str:
        """Two cells drawn at random: from the space, or with as many blocks as these have."""
        if self.space is not None:
            self.load(self.space.sample(self.generator))
        else:
            normal, reduction = (self._space_of(r).sample(self.generator).normal for r in ROLES)
            self.load(Genotype(normal, reduction))
        return "two random cells"

    def mutate(self) -> str:
        """Change one decision, as regularised evolution does.

        Raises:
            SpaceError: no decision has a second choice.
        """
        role = ROLES[self.generator.integers(2)]
        space, cell = self._space_of(role), self.cell(role)
        plain = Cell(cell.blocks, inputs=cell.inputs)  # what its output joins is no decision
        before = space.encode(Genotype(plain, plain))
        after = mutate(before, space, self.generator)
        for decision, old, new in zip(space.decisions, before, after, strict=True):
            if old != new:
                self._put(role, space.decode(after).normal.blocks, self._concat(role))
                name = decision.name.removeprefix(f"{decision.cell} ")
                change = f"{decision.labels[old]} → {decision.labels[new]}"
                return f"mutated: {role} cell, {name}: {change}"
        raise SpaceError(
            "there is nothing to mutate: no decision of this space has a second choice"
        )

    def _space_of(self, role: str) -> CellSpace:
        """One cell's decisions alone."""
        cell = self.cell(role)
        return CellSpace(
            len(cell.blocks), self.operations, self.combinations, inputs=cell.inputs, tied=True
        )

    def _concat(self, role: str) -> tuple[int, ...] | None:
        return None if role in self.automatic else self.cell(role).concat

    def _block(self, role: str, block: int) -> Block:
        blocks = self.cell(role).blocks
        return blocks[whole(f"{role} cell: block", block, 0, len(blocks) - 1, GenotypeError)]

    def _change(self, role: str, number: int, field: str, value: Any) -> None:
        blocks, block = list(self.cell(role).blocks), self._block(role, number)
        with errors_in(f"{role} cell, block {number}, ", GenotypeError):
            blocks[number] = replace(block, **{field: value})
        self._put(role, tuple(blocks), self._concat(role))

    def _put(self, role: str, blocks: tuple[Block, ...], concat: tuple[int, ...] | None) -> None:
        """Make this the cell, if it is legal; in a tied space it is both cells."""
        with errors_in(f"{role} cell, ", GenotypeError):
            cell = Cell(blocks, concat, self.cell(role).inputs)  # type: ignore[arg-type]
        roles = ROLES if self.space is not None and self.space.tied else (role,)
        genotype = replace(self.genotype, name=None, **dict.fromkeys(roles, cell))
        self.check(genotype)
        automatic = self.automatic - set(roles) if concat else self.automatic | set(roles)
        if (version := Version(genotype, frozenset(automatic))) != self._now:
            self._step(version)

    def _step(self, version: Version) -> None:
        self._before = [*self._before, self._now][-STEPS_KEPT:]
        self._after.clear()
        self._now = version


def _side(side: str) -> str:
    return choice("side", side, ("left", "right"), GenotypeError)

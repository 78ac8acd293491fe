"""Architectures: what a controller designs. A genotype is the one that is made of two cells.

A *cell* reads a few hidden states (two in NASNet: 0 = h[i-1], the older input, 1 = h[i], the newer
one) and appends one hidden state per *block*. A block applies one operation to each of two earlier
states and combines the results. The cell's output is the concatenation of some states: unless said
otherwise, of the blocks that no other block reads (NASNet paper, section 3).

Everything here is frozen, checked when it is made, and knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

from .canonical import canonical_form
from .checks import choice, file_bytes, is_whole, json_value, whole
from .errors import GenotypeError, errors_in, listed, printable, shown
from .files import write_atomically

#: The thirteen operations of the NASNet search space, in the paper's order (section 3).
NASNET_OPERATIONS = (
    "identity", "conv_1x3_3x1", "conv_1x7_7x1", "dil_conv_3x3", "avg_pool_3x3", "max_pool_3x3",
    "max_pool_5x5", "max_pool_7x7", "conv_1x1", "conv_3x3", "sep_conv_3x3", "sep_conv_5x5",
    "sep_conv_7x7",
)  # fmt: skip

#: Every operation a genotype may name: NASNet's, and those that other published cells need.
OPERATIONS = (
    *NASNET_OPERATIONS, "dil_sep_conv_3x3", "dil_sep_conv_5x5", "max_pool_2x2", "conv_7x1_1x7",
)  # fmt: skip

#: How the two results of a block become one hidden state.
COMBINATIONS = ("add", "concat")

FORMAT = "nasworkbench.genotype/1"

#: Longest texts that are read, and used as a name (this project's choice: two cells of a thousand
#: hidden states take 400,000 characters).
LONGEST_TEXT = 1_000_000
LONGEST_NAME = 1_000


class Architecture(Protocol):
    """What every part of the library may ask of an architecture, whatever space it is from."""

    @property
    def key(self) -> str:
        """Equal for architectures that compute the same."""

    def to_json(self) -> str:
        """One line of JSON with a ``format`` field; :func:`from_text` reads it back."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """How it shows itself in a notebook; :class:`Drawable` does it by ``drawing.draw``."""


class Drawable:
    """Shows itself in a notebook as the picture that :func:`nasworkbench.drawing.draw` makes."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        from .drawing import draw  # the one import of a higher layer

        return draw(self)._repr_mimebundle_(include, exclude)


def state_name(state: int, inputs: int) -> str:
    """``h[i-1]`` and ``h[i]`` for the two inputs of a cell, ``block k`` for a block's output."""
    if state >= inputs:
        return f"block {state - inputs}"
    back = inputs - 1 - state
    return f"h[i-{back}]" if back else "h[i]"


@dataclass(frozen=True)
class Block:
    """Two hidden states, an operation for each, and how the results are combined.

    Raises:
        GenotypeError: a state that is not a whole number from 0, an unknown operation or
            combination; the message names the side.
    """

    left: int
    left_op: str
    right: int
    right_op: str
    combine: str = "add"

    def __post_init__(self) -> None:
        for side, state, operation in self.sides:
            if type(state) is not int or state < 0:  # a space makes millions of blocks
                state = whole(f"{side} input: the hidden state", state, 0, error=GenotypeError)
                object.__setattr__(self, side, state)
            if operation not in OPERATIONS:
                raise GenotypeError(
                    f"{side} input: unknown operation {shown(operation)}; the operations are "
                    f"{listed(OPERATIONS)}"
                )
        if self.combine not in COMBINATIONS:
            choice("the combination", self.combine, COMBINATIONS, GenotypeError)

    @property
    def sides(self) -> tuple[tuple[str, int, str], tuple[str, int, str]]:
        """``(side, hidden state, operation)`` for the left and the right input."""
        return ("left", self.left, self.left_op), ("right", self.right, self.right_op)

    @property
    def inputs(self) -> tuple[int, int]:
        """The two hidden states that the block reads."""
        return self.left, self.right


@dataclass(frozen=True)
class Cell(Drawable):
    """Blocks in order, and the hidden states whose concatenation is the cell's output.

    Args:
        blocks: at least one :class:`Block`; block ``k`` may read the states 0 to
            ``inputs + k - 1`` and makes the state ``inputs + k``.
        concat: the states of the output. ``None``: every block that no block reads. The cell's
            inputs join the output only by an explicit list (as NASNet-A's ``p`` does).
        inputs: how many hidden states the cell is given; 2 in NASNet-A, 4 in NASNet-B.

    Raises:
        GenotypeError: an empty cell, a state from the future, a concat out of range, more than
            1,000 hidden states.
    """

    blocks: tuple[Block, ...]
    concat: tuple[int, ...] = None  # type: ignore[assignment]  # resolved by __post_init__
    inputs: int = 2

    MOST_STATES: ClassVar[int] = 1_000  #: hidden states of a cell (this project's choice)

    def __post_init__(self) -> None:
        inputs = whole("inputs", self.inputs, 1, self.MOST_STATES - 1, GenotypeError)
        object.__setattr__(self, "inputs", inputs)
        blocks = tuple(self.blocks) if isinstance(self.blocks, Iterable) else ()
        if not 1 <= len(blocks) <= self.MOST_STATES - inputs:
            raise GenotypeError(
                f"a cell needs at least one block, and at most {self.MOST_STATES - inputs} beside "
                f"{inputs} inputs; got {len(blocks) or 'none'}"
            )
        for number, block in enumerate(blocks):
            if not isinstance(block, Block):
                raise GenotypeError(f"block {number} must be a Block, got {shown(block)}")
            for side, state, _ in block.sides:
                if state >= self.inputs + number:
                    raise GenotypeError(
                        f"block {number}, {side} input: reads hidden state {state}, which does not "
                        f"exist yet; block {number} may read 0 to {self.inputs + number - 1}"
                    )
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "concat", self._checked_concat())

    def _checked_concat(self) -> tuple[int, ...]:
        if self.concat is None:
            return self.loose_ends
        several = isinstance(self.concat, Iterable) and not is_whole(self.concat)
        states = tuple(self.concat) if several else (self.concat,)
        last = self.state_count - 1
        different = {
            whole("concat: a hidden state", state, 0, last, GenotypeError)
            for state in states[: self.state_count + 1]
        }
        if not different or len(different) != len(states):
            raise GenotypeError(
                f"concat must be one or more different hidden states, got {shown(list(states))}"
            )
        return tuple(sorted(different))

    @property
    def state_count(self) -> int:
        """Number of hidden states: the inputs and one per block."""
        return self.inputs + len(self.blocks)

    @property
    def loose_ends(self) -> tuple[int, ...]:
        """The block outputs that no block reads."""
        read = {state for block in self.blocks for state in block.inputs}
        return tuple(state for state in range(self.inputs, self.state_count) if state not in read)

    @cached_property
    def states_read(self) -> frozenset[int]:
        """The hidden states that the output depends on."""
        states = set(self.concat)
        for number in reversed(range(len(self.blocks))):
            if self.inputs + number in states:
                states.update(self.blocks[number].inputs)
        return frozenset(states)

    @cached_property
    def used(self) -> tuple[int, ...]:
        """The blocks (by number, from 0) from which the output can be reached, in order."""
        return tuple(n for n in range(len(self.blocks)) if self.inputs + n in self.states_read)

    def state_name(self, state: int) -> str:
        """What readers call a hidden state: see :func:`state_name`."""
        return state_name(state, self.inputs)

    def canonical(self) -> Cell:
        """The one cell that stands for all cells equal to this one under the symmetries.

        Blocks that do not reach the output are left out; the two sides of a block are sorted;
        independent blocks are put into an order that depends on the graph alone. Blocks that look
        alike stay apart: they have weights of their own. Where no block reaches the output (it
        joins inputs only), one identity block takes their place, since a cell has at least one.
        """
        rows, concat = canonical_form(self)
        return Cell(tuple(Block(*row) for row in rows), concat, self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {
            "inputs": self.inputs,
            "blocks": [dict(vars(block)) for block in self.blocks],
            "concat": list(self.concat),
        }

    @classmethod
    def from_dict(cls, record: object) -> Cell:
        """The cell that :meth:`to_dict` described; a :class:`GenotypeError` if it cannot exist."""
        fields = fields_of(record, "a cell", {"blocks"}, {"concat", "inputs"})
        if not isinstance(fields["blocks"], list):
            raise GenotypeError(f"'blocks' must be a list, got {shown(fields['blocks'])}")
        if not isinstance(fields.get("concat"), list | None):
            raise GenotypeError(f"'concat' must be a list or null, got {shown(fields['concat'])}")
        blocks = []
        for number, entry in enumerate(fields["blocks"]):
            required = {"left", "left_op", "right", "right_op"}
            arguments = fields_of(entry, f"block {number}", required, {"combine"})
            with errors_in(f"block {number}, ", GenotypeError):
                blocks.append(Block(**arguments))
        return cls(tuple(blocks), fields.get("concat"), fields.get("inputs", 2))  # type: ignore[arg-type]

    def __str__(self) -> str:
        lines = []
        for number, block in enumerate(self.blocks):
            left, right = (f"{op}({self.state_name(state)})" for _, state, op in block.sides)
            sign = {"add": "+", "concat": "++"}[block.combine]
            lines.append(f"  block {number} = {left} {sign} {right}")
        lines.append("  output  = " + ", ".join(self.state_name(s) for s in self.concat))
        return "\n".join(lines)


@dataclass(frozen=True)
class Genotype(Drawable):
    """A normal cell (stride 1) and a reduction cell (stride 2); the name does not count in ``==``.

    Raises:
        GenotypeError: a part that is not a cell, or cells with different numbers of inputs.
    """

    normal: Cell
    reduction: Cell
    name: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for role, cell in self.cells:
            if not isinstance(cell, Cell):
                raise GenotypeError(f"the {role} cell must be a Cell, got {shown(cell)}")
        if self.normal.inputs != self.reduction.inputs:
            raise GenotypeError(
                f"the normal cell takes {self.normal.inputs} inputs and the reduction cell "
                f"{self.reduction.inputs}; both must take the same number"
            )
        name = self.name
        if name is not None and not (isinstance(name, str) and len(name) <= LONGEST_NAME):
            raise GenotypeError(
                f"a genotype's name must be None or text of up to {LONGEST_NAME:,} characters, got "
                f"{shown(name)}"
            )

    @property
    def cells(self) -> tuple[tuple[str, Cell], tuple[str, Cell]]:
        """``(role, cell)`` for both cells."""
        return ("normal", self.normal), ("reduction", self.reduction)

    def canonical(self) -> Genotype:
        """Both cells in canonical form; see :meth:`Cell.canonical`."""
        return replace(self, normal=self.normal.canonical(), reduction=self.reduction.canonical())

    @cached_property
    def key(self) -> str:
        """20 hexadecimal digits, equal for genotypes that are equal under the symmetries."""
        normal = canonical_form(self.normal)
        tied = self.reduction is self.normal  # as spaces of one cell decode it: half the work
        form = [[normal, normal if tied else canonical_form(self.reduction)], self.normal.inputs]
        text = json.dumps(form, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def to_json(self) -> str:
        """One line of JSON that :meth:`from_json` reads back."""
        record: dict[str, Any] = {"format": FORMAT}
        if self.name is not None:
            record["name"] = self.name
        record |= {role: cell.to_dict() for role, cell in self.cells}
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> Genotype:
        """The genotype that :meth:`to_json` wrote.

        Raises:
            GenotypeError: not JSON, or not a genotype that can exist; the message says where.
        """
        genotype = from_text(text)
        if not isinstance(genotype, cls):
            raise GenotypeError(f"this is a {type(genotype).__name__}, not a genotype of two cells")
        return genotype

    @classmethod
    def from_dict(cls, record: object) -> Genotype:
        """The genotype of a parsed JSON text; raises as :meth:`from_json`."""
        fields = fields_of(record, "a genotype", {"format", "normal", "reduction"}, {"name"})
        cells = {}
        for role in ("normal", "reduction"):
            with errors_in(f"{role} cell, ", GenotypeError):
                cells[role] = Cell.from_dict(fields[role])
        return cls(**cells, name=fields.get("name"))

    def save(self, path: str | Path) -> Path:
        """Write the genotype as a JSON file and return the path.

        Raises:
            GenotypeError: it cannot be written there.
        """
        text = json.dumps(json.loads(self.to_json()), indent=1) + "\n"
        return write_atomically(path, text.encode(), "the genotype", GenotypeError)

    @classmethod
    def load(cls, path: str | Path) -> Genotype:
        """Read a genotype that :meth:`save` wrote.

        Raises:
            GenotypeError: no such file, or no genotype in it.
        """
        data = file_bytes(path, LONGEST_TEXT, "a genotype from", GenotypeError)
        with errors_in(f"{path}: ", GenotypeError):
            return cls.from_json(data)

    def __str__(self) -> str:
        title = f"Genotype {printable(self.name, 80)}" if self.name else "Genotype"
        return f"{title}\n normal cell\n{self.normal}\n reduction cell\n{self.reduction}"


#: Readers of parsed JSON by its field ``format``; other packages add the formats of their own.
FORMATS: dict[str, Callable[[dict[str, Any]], Architecture]] = {FORMAT: Genotype.from_dict}


def from_text(text: str | bytes) -> Architecture:
    """The architecture, of whatever kind, that its ``to_json`` wrote.

    Raises:
        GenotypeError: not JSON, an unknown format, or an architecture that cannot exist.
    """
    record = json_value(text, LONGEST_TEXT, GenotypeError)
    form = record.get("format") if isinstance(record, dict) else None
    if not isinstance(form, str) or form not in FORMATS:
        raise GenotypeError(
            "an architecture is a JSON object whose field 'format' must be one of "
            f"{listed(FORMATS)}, got {shown(record, 60)}"
        )
    return FORMATS[form](record)


def fields_of(
    record: object, what: str, required: Set[str], optional: Set[str] = frozenset()
) -> dict[str, Any]:
    """A record of a parsed text, if it has the fields that ``what`` should have; else an error."""
    if not isinstance(record, dict):
        raise GenotypeError(f"{what} is a JSON object, got {shown(record, 60)}")
    missing, unknown = required - record.keys(), record.keys() - required - optional
    if missing or unknown:
        raise GenotypeError(
            f"{what} has the fields {listed(sorted(required | optional))}; "
            f"missing: {', '.join(sorted(missing)) or 'none'}; "
            f"unknown: {', '.join(sorted(map(str, unknown))) or 'none':.60}"
        )
    return record

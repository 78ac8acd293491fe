"""The dialect of ENAS's micro search space: two strings of integers.

Four numbers a block, ``state operation state operation``, e.g. ``0 2 0 0`` = avg 3x3 of state 0
plus sep 3x3 of state 0. States are numbered as in this library (0 the older input, 1 the newer);
operations are 0 sep 3x3, 1 sep 5x5, 2 avg 3x3, 3 max 3x3, 4 identity. ENAS adds only. Source:
the scripts and ``micro_child.py`` of melodyguan/enas.

Identity at stride 2 is a factorised reduction in ENAS's code, where NASNet's authors run ReLU, a
strided 1x1 convolution and BN.

The output is the concatenation of every state that no block reads. **That includes a cell input**:
a cell that never reads h[i-1] hands it on. The strings cannot say any other concat.

Here the two strings stand on two lines, ``normal: ...`` and ``reduce: ...`` (the labels may be left
out, the order is then normal first).
"""

from __future__ import annotations

from ..errors import DialectError, GenotypeError, listed
from ..genotype import Block, Cell, Genotype
from ._literals import check_size, shown

DIALECT = "enas"

#: ENAS's number for each of our operations that it has.
OPERATIONS = {
    "sep_conv_3x3": 0,
    "sep_conv_5x5": 1,
    "avg_pool_3x3": 2,
    "max_pool_3x3": 3,
    "identity": 4,
}

OURS = {number: ours for ours, number in OPERATIONS.items()}

LABELS = ("normal", "reduce")


def loads(text: str, name: str | None = None) -> Genotype:
    """Read the two integer strings.

    Raises:
        DialectError: malformed text; the message names the cell and the block.
    """
    lines = [line.strip() for line in check_size(text, DIALECT).splitlines() if line.strip()]
    if len(lines) != 2:
        raise DialectError(
            f"dialect 'enas': expected two lines, the normal cell and the reduction cell, "
            f"got {len(lines)}"
        )
    strings: dict[str, str] = {}
    for line, expected in zip(lines, LABELS, strict=True):
        label, colon, rest = line.partition(":")
        label, rest = (label.strip(), rest) if colon else (expected, line)
        if label not in LABELS or label in strings:
            raise DialectError(
                f"dialect 'enas': a line begins with 'normal:' or 'reduce:', each once, "
                f"got {shown(line)!r}"
            )
        strings[label] = rest
    normal, reduction = (_read_cell(strings[label], label) for label in LABELS)
    return Genotype(normal, reduction, name)


def dumps(genotype: Genotype) -> str:
    """Write two lines, ``normal: ...`` and ``reduce: ...``.

    Raises:
        DialectError: ENAS has no number for an operation, a combination other than add, cells with
            other than two inputs, or a concat that is not "every state that no block reads".
    """
    lines = []
    for label, (role, cell) in zip(LABELS, genotype.cells, strict=True):
        lines.append(f"{label}: {' '.join(map(str, _numbers(cell, role)))}")
    return "\n".join(lines) + "\n"


def unread_states(cell_inputs: int, blocks: tuple[Block, ...]) -> tuple[int, ...]:
    """Every state, cell inputs included, that no block reads: the concat of an ENAS cell."""
    read = {state for block in blocks for state in block.inputs}
    return tuple(state for state in range(cell_inputs + len(blocks)) if state not in read)


def _read_cell(string: str, label: str) -> Cell:
    words = string.split()
    for place, word in enumerate(words):
        if not (word.isascii() and word.isdigit() and len(word) <= 3):
            raise DialectError(
                f"dialect 'enas', {label}, block {place // 4}: expected a whole number, "
                f"got {shown(word)!r}"
            )
    if not words or len(words) % 4:
        raise DialectError(
            f"dialect 'enas', {label}: four numbers per block (state operation state operation) "
            f"are needed, got {len(words)}"
        )
    blocks = []
    for number in range(len(words) // 4):
        left, left_op, right, right_op = map(int, words[4 * number : 4 * number + 4])
        for side, operation in (("left", left_op), ("right", right_op)):
            if operation not in OURS:
                raise DialectError(
                    f"dialect 'enas', {label}, block {number}, {side} input: unknown operation "
                    f"{operation}; the operations are "
                    f"{listed(f'{n} ({ours})' for n, ours in OURS.items())}"
                )
        blocks.append(Block(left, OURS[left_op], right, OURS[right_op]))
    try:
        return Cell(tuple(blocks), unread_states(2, tuple(blocks)))
    except GenotypeError as error:
        raise DialectError(f"dialect 'enas', {label}: {error}") from None


def _numbers(cell: Cell, role: str) -> list[int]:
    if cell.inputs != 2:
        raise DialectError(
            f"dialect 'enas', {role} cell: its cells take 2 inputs, this one {cell.inputs}"
        )
    numbers = []
    for number, block in enumerate(cell.blocks):
        if block.combine != "add":
            raise DialectError(
                f"dialect 'enas', {role} cell, block {number}: ENAS adds the two results and has "
                f"no other combination, this block has '{block.combine}'"
            )
        for side, state, operation in block.sides:
            if operation not in OPERATIONS:
                raise DialectError(
                    f"dialect 'enas', {role} cell, block {number}, {side} input: ENAS has no "
                    f"operation like '{operation}'; it has {listed(OPERATIONS)}"
                )
            numbers += [state, OPERATIONS[operation]]
    unread = unread_states(2, cell.blocks)
    if cell.concat != unread:
        raise DialectError(
            f"dialect 'enas', {role} cell, concat: ENAS concatenates every state that no block "
            f"reads, here {list(unread)}, and its string cannot say {list(cell.concat)}"
        )
    return numbers

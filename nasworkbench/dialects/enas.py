"""The dialect of ENAS's micro search space: two strings of integers.

Four numbers a block, ``state operation state operation``, e.g. ``0 2 0 0`` = avg 3x3 of state 0
plus sep 3x3 of state 0. States are numbered as in this library (0 the older input, 1 the newer);
operations are 0 sep 3x3, 1 sep 5x5, 2 avg 3x3, 3 max 3x3, 4 identity. ENAS adds only. Source:
the scripts and ``micro_child.py`` of melodyguan/enas.

Identity at stride 2 is a factorised reduction in ENAS's code, where NASNet's authors run ReLU, a
strided 1x1 convolution and BN.

The output is the concatenation of every state that no block reads. **That includes a cell input**:
a cell that never reads h[i-1] hands it on. The strings cannot say any other concat.

Here the two strings are on two lines, ``normal: ...`` and ``reduce: ...`` (the labels may be left
out, the order is then normal first).
"""

from __future__ import annotations

import re

from ..errors import DialectError
from ..genotype import Block, Genotype
from ._cells import read_cell, write_sides

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
LINE = re.compile(r"(?:(normal|reduce)\s*:)?((?:\s*\b[0-9]{1,3}\b)*)")


def loads(text: str) -> Genotype:
    """Read the two integer strings.

    Raises:
        DialectError: malformed text; the message names the cell and the block.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) != 2:
        raise DialectError(
            f"expected two lines, the normal cell and the reduction cell, got {len(lines)}"
        )
    cells = {}
    for line, expected in zip(lines, LABELS, strict=True):
        match = LINE.fullmatch(line.strip())
        label = (match[1] or expected) if match else ""
        if not match or label in cells:
            raise DialectError(
                f"a line must be 'normal:' or 'reduce:', each once, and then whole numbers up to "
                f"999; got {line!r:.60}"
            )
        numbers = [int(word) for word in match[2].split()]
        cells[label] = read_cell(label, numbers[0::2], numbers[1::2], implied_concat, OURS)
    return Genotype(cells["normal"], cells["reduce"])


def dumps(genotype: Genotype) -> str:
    """Write two lines, ``normal: ...`` and ``reduce: ...``.

    Raises:
        DialectError: ENAS has no number for an operation, a combination other than add, cells with
            other than two inputs, or a concat that is not "every state that no block reads".
    """
    lines = []
    for label, (role, cell) in zip(LABELS, genotype.cells, strict=True):
        sides = write_sides(role, cell, OPERATIONS, implied_concat)
        lines.append(f"{label}: {' '.join(f'{state} {operation}' for state, operation in sides)}\n")
    return "".join(lines)


def implied_concat(blocks: tuple[Block, ...]) -> tuple[int, ...]:
    """Every state, cell inputs included, that no block reads: the concat of an ENAS cell."""
    read = {state for block in blocks for state in block.inputs}
    return tuple(state for state in range(2 + len(blocks)) if state not in read)

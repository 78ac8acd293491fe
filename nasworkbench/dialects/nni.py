"""The dialect of NNI's model hub: a flat dict of labelled choices.

Matched against NNI 3.0 (microsoft/nni @009e1f7, ``nni/nas/hub/pytorch/nasnet.py`` and
``nni/nas/nn/pytorch/cell.py``): the nodes of a cell are numbered from 2 behind its two predecessors
(0 the older, 1 the newer, as in this library), and node 2's two sides are

    "normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": [0],
    "normal/op_2_1": "skip_connect", "normal/input_2_1": [1], ...   and the same with "reduce/".

NNI 3 writes an input as ``[0]``, NNI 2 as ``0``; both are read, ``[0]`` is written. ``width`` and
``depth`` may stand in the same dict; they describe the network around the cells and are left out.

**The concat is not in the dict**: it belongs to the search space. Four nodes are read as the DARTS
space (concatenates every node), any other number as NASNet, ENAS or AmoebaNet (concatenate the
nodes that no node reads). NNI's PNAS space, five nodes and all of them concatenated, cannot be told
from these and is not covered.

NNI adds only; its ``skip_connect`` at stride 2 is a factorised reduction, as in DARTS. Some of its
operations carry a familiar name and compute something else, so they have no counterpart in either
direction; see :data:`STRANGERS`.
"""

from __future__ import annotations

import json
import re

from ..errors import DialectError, GenotypeError, listed
from ..genotype import Block, Cell, Genotype
from ._literals import literal, parse_expression, shown, whole_number

DIALECT = "nni"

#: NNI's operation for each of ours that it has. Its ``dil_conv_3x3`` is DARTS's: depthwise.
OPERATIONS = {
    "identity": "skip_connect",
    "avg_pool_3x3": "avg_pool_3x3",
    "max_pool_3x3": "max_pool_3x3",
    "max_pool_5x5": "max_pool_5x5",
    "max_pool_7x7": "max_pool_7x7",
    "conv_1x1": "conv_1x1",
    "conv_3x3": "conv_3x3",
    "sep_conv_3x3": "sep_conv_3x3",
    "sep_conv_5x5": "sep_conv_5x5",
    "sep_conv_7x7": "sep_conv_7x7",
    "dil_sep_conv_3x3": "dil_conv_3x3",
    "dil_sep_conv_5x5": "dil_conv_5x5",
    "conv_7x1_1x7": "conv_7x1_1x7",
}

OURS = {theirs: ours for ours, theirs in OPERATIONS.items()}

#: NNI's operations that nothing here computes, and why.
STRANGERS = {
    "none": "it multiplies by zero; it is not identity",
    "conv_3x1_1x3": "it runs 1x3 and 3x1 without batch normalisation and ReLU between them, unlike "
    "conv_1x3_3x1 here",
    "dil_sep_conv_3x3": "it applies the dilated separable convolution twice, unlike the one of the "
    "same name here",
    "max_pool_2x2": "it pads nothing and shrinks the map at stride 1, unlike the one here",
}

#: Nodes of NNI's DARTS space, the one space with that number; it concatenates all nodes.
DARTS_NODES = 4

LABELS = ("normal", "reduce")
NETWORK_KEYS = ("width", "depth")
_KEY = re.compile(r"(normal|reduce)/(op|input)_([0-9]{1,3})_([01])")


def loads(text: str, name: str | None = None) -> Genotype:
    """Read NNI's dict, written as JSON or as Python prints it.

    Raises:
        DialectError: malformed text; the message names the key.
    """
    record = literal(parse_expression(text, DIALECT), DIALECT, "the text")
    if not isinstance(record, dict):
        raise DialectError(f"dialect 'nni': expected one dict, got {shown(record)}")
    choices: dict[str, dict[tuple[str, int, int], object]] = {label: {} for label in LABELS}
    for key, value in record.items():
        if key in NETWORK_KEYS:
            continue
        match = _KEY.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            raise DialectError(
                f"dialect 'nni': unknown key {shown(key)!r}; the keys are 'normal/op_2_0', "
                f"'normal/input_2_0', ..., 'reduce/input_6_1', and {listed(NETWORK_KEYS)}"
            )
        label, kind, node, side = match.groups()
        choices[label][kind, int(node), int(side)] = value
    normal, reduction = (_read_cell(choices[label], label) for label in LABELS)
    return Genotype(normal, reduction, name)


def dumps(genotype: Genotype) -> str:
    """Write NNI's dict as JSON, one choice a line.

    Raises:
        DialectError: NNI has no such operation, combination, number of inputs or concat.
    """
    record: dict[str, object] = {}
    for label, (role, cell) in zip(LABELS, genotype.cells, strict=True):
        record |= _written_cell(cell, role, label)
    lines = (f" {json.dumps(label)}: {json.dumps(chosen)}" for label, chosen in record.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def usual_concat(blocks: tuple[Block, ...]) -> tuple[int, ...]:
    """The states that NNI's space of this number of nodes concatenates."""
    if len(blocks) == DARTS_NODES:
        return tuple(range(2, 2 + DARTS_NODES))
    return Cell(blocks).loose_ends


def _read_cell(choices: dict[tuple[str, int, int], object], label: str) -> Cell:
    nodes = len(choices) // 4
    wanted = [
        (kind, 2 + number, side)
        for number in range(max(nodes, 1))
        for side in (0, 1)
        for kind in ("op", "input")
    ]
    missing = [key for key in wanted if key not in choices]
    if missing or len(choices) != len(wanted):
        gaps = ", ".join(f"'{label}/{kind}_{node}_{side}'" for kind, node, side in missing[:4])
        raise DialectError(
            f"dialect 'nni', {label}: each node needs two operations and two inputs, and the nodes "
            f"are numbered 2, 3, ...; missing: {gaps or 'none, but there are keys left over'}"
        )
    blocks = []
    for number in range(nodes):
        sides: list[tuple[int, str]] = []
        for side in (0, 1):
            where = f"{label}/input_{2 + number}_{side}"
            state = choices["input", 2 + number, side]
            if isinstance(state, list) and len(state) == 1:
                state = state[0]
            operation = choices["op", 2 + number, side]
            sides.append(
                (
                    whole_number(state, DIALECT, where),
                    _ours(operation, f"{label}/op_{2 + number}_{side}"),
                )
            )
        blocks.append(Block(*sides[0], *sides[1]))
    try:
        return Cell(tuple(blocks), usual_concat(tuple(blocks)))
    except GenotypeError as error:
        raise DialectError(f"dialect 'nni', {label}: {error}") from None


def _ours(operation: object, where: str) -> str:
    if isinstance(operation, str) and operation in STRANGERS:
        raise DialectError(
            f"dialect 'nni', {where}: NNI's '{operation}' has no counterpart here: "
            f"{STRANGERS[operation]}"
        )
    if not isinstance(operation, str) or operation not in OURS:
        raise DialectError(
            f"dialect 'nni', {where}: unknown operation {shown(operation)!r}; known here are "
            f"{listed(OURS)}"
        )
    return OURS[operation]


def _written_cell(cell: Cell, role: str, label: str) -> dict[str, object]:
    if cell.inputs != 2:
        raise DialectError(
            f"dialect 'nni', {role} cell: its cells take 2 inputs, this one {cell.inputs}"
        )
    record: dict[str, object] = {}
    for number, block in enumerate(cell.blocks):
        if block.combine != "add":
            raise DialectError(
                f"dialect 'nni', {role} cell, block {number}: NNI adds the two results and has "
                f"no other combination, this block has '{block.combine}'"
            )
        for place, (side, state, operation) in enumerate(block.sides):
            if operation not in OPERATIONS:
                raise DialectError(
                    f"dialect 'nni', {role} cell, block {number}, {side} input: NNI has no "
                    f"operation that computes '{operation}'; it has {listed(OPERATIONS)}"
                )
            record[f"{label}/op_{2 + number}_{place}"] = OPERATIONS[operation]
            record[f"{label}/input_{2 + number}_{place}"] = [state]
    usual = usual_concat(cell.blocks)
    if cell.concat != usual:
        raise DialectError(
            f"dialect 'nni', {role} cell, concat: NNI's dict does not hold the concat; with "
            f"{len(cell.blocks)} nodes its space concatenates {list(usual)}, this cell "
            f"{list(cell.concat)}"
        )
    return record

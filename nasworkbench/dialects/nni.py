"""The dialect of NNI's model hub: a flat dict of labelled choices.

Matched against NNI 3.0 (microsoft/nni @009e1f7, ``nni/nas/hub/pytorch/nasnet.py`` and
``nni/nas/nn/pytorch/cell.py``): the nodes of a cell are numbered from 2 behind its two predecessors
(0 the older, 1 the newer, as in this library), and node 2's two sides are

    "normal/op_2_0": "sep_conv_3x3", "normal/input_2_0": [0],
    "normal/op_2_1": "skip_connect", "normal/input_2_1": [1], ...   and the same with "reduce/".

NNI 3 writes an input as ``[0]``, NNI 2 as ``0``; both are read, ``[0]`` is written. ``width`` and
``depth`` may be in the same dict; they describe the network around the cells and are left out.

**The concat is not in the dict**: it belongs to the search space. Four nodes are read as the DARTS
space (concatenates every node), any other number as NASNet, ENAS or AmoebaNet (concatenate the
nodes that no node reads). NNI's PNAS space, five nodes and all of them concatenated, cannot be told
from these and is not covered.

NNI adds only; its ``skip_connect`` at stride 2 is a factorised reduction, as in DARTS. Some of its
operations carry a familiar name and compute something else, so they have no counterpart in either
direction; see :data:`REFUSED`.
"""

from __future__ import annotations

import json
import re

from ..errors import DialectError, listed
from ..genotype import Block, Cell, Genotype
from . import darts
from ._cells import read_cell, write_sides
from ._literals import literal, parse_expression

#: NNI's operation for each of ours that it has: DARTS's, and four more.
OPERATIONS = darts.OPERATIONS | {
    "max_pool_5x5": "max_pool_5x5",
    "max_pool_7x7": "max_pool_7x7",
    "conv_1x1": "conv_1x1",
    "conv_3x3": "conv_3x3",
}

OURS = {theirs: ours for ours, theirs in OPERATIONS.items()}

#: NNI's operations that nothing here computes, and why.
REFUSED = {
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
_KEY = re.compile(r"(normal|reduce)/(op|input)_[0-9]{1,3}_[01]")


def loads(text: str) -> Genotype:
    """Read NNI's dict, written as JSON or as Python prints it.

    Raises:
        DialectError: malformed text; the message names the cell, and the key or the block.
    """
    record = literal(parse_expression(text), "the text")
    if not isinstance(record, dict):
        raise DialectError(f"expected one dict, got {record!r:.60}")
    choices: dict[str, dict[str, object]] = {label: {} for label in LABELS}
    for key, value in record.items():
        if key in NETWORK_KEYS:
            continue
        match = _KEY.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            raise DialectError(
                f"unknown key {key!r:.60}; the keys are 'normal/op_2_0', 'normal/input_2_0', ..., "
                f"'reduce/input_6_1', and {listed(NETWORK_KEYS)}"
            )
        choices[match[1]][key] = value
    normal, reduction = (_read_cell(choices[label], label) for label in LABELS)
    return Genotype(normal, reduction)


def dumps(genotype: Genotype) -> str:
    """Write NNI's dict as JSON, one choice a line.

    Raises:
        DialectError: NNI has no such operation, combination, number of inputs or concat.
    """
    record: dict[str, object] = {}
    for label, (role, cell) in zip(LABELS, genotype.cells, strict=True):
        sides = write_sides(role, cell, OPERATIONS, implied_concat)
        for suffix, (state, operation) in zip(_suffixes(len(cell.blocks)), sides, strict=True):
            record |= {f"{label}/op_{suffix}": operation, f"{label}/input_{suffix}": [state]}
    lines = (f" {json.dumps(key)}: {json.dumps(chosen)}" for key, chosen in record.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def implied_concat(blocks: tuple[Block, ...]) -> tuple[int, ...]:
    """The states that NNI's space of this number of nodes concatenates."""
    if len(blocks) == DARTS_NODES:
        return tuple(range(2, 2 + DARTS_NODES))
    return Cell(blocks).loose_ends


def _suffixes(nodes: int) -> list[str]:
    """How the keys of the nodes' sides end: node 2, side 0 first."""
    return [f"{node}_{side}" for node in range(2, 2 + nodes) for side in (0, 1)]


def _read_cell(choices: dict[str, object], label: str) -> Cell:
    suffixes = _suffixes(max(len(choices) // 4, 1))
    keys = [f"{label}/{kind}_{suffix}" for suffix in suffixes for kind in ("op", "input")]
    missing = [key for key in keys if key not in choices]
    if missing or len(choices) != len(keys):
        raise DialectError(
            f"{label}: each node needs two operations and two inputs, and the nodes are numbered "
            f"2, 3, ...; missing: {missing[:4] or 'none, but there are keys left over'}"
        )
    operations, states = (
        [choices[f"{label}/{kind}_{suffix}"] for suffix in suffixes] for kind in ("op", "input")
    )
    states = [s[0] if isinstance(s, list) and len(s) == 1 else s for s in states]
    return read_cell(label, states, operations, implied_concat, OURS, REFUSED)

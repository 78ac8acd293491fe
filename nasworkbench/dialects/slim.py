"""The dialect of TensorFlow's slim: three lists a cell, hidden states counted the other way round.

``nasnet_utils.py`` (tensorflow/models, research/slim/nets/nasnet) and its fork ``model_specs.py``
(tensorflow/tpu, models/official/amoeba_net) describe a cell by

* ``operations``: two per block, as text, e.g. ``separable_5x5_2`` (a 5x5 separable convolution,
  applied twice), ``none`` (identity), ``1x7_7x1``;
* ``hiddenstate_indices``: two per block; **0 is the current layer h[i], 1 the one before, h[i-1]**
  (ours: 0 = h[i-1], 1 = h[i]), 2 and up are block outputs;
* ``used_hiddenstates``: one 0 or 1 per state; **a state marked 0 goes into the concat**, whatever
  the word "used" may suggest (NASNet-A keeps h[i-1], which six operations of its cell read).

Here both cells are in one dict, readable as Python and as JSON::

    {"normal": {"operations": [...], "hiddenstate_indices": [...], "used_hiddenstates": [...]},
     "reduction": {...}}

The released code has five blocks and adds only; any number of blocks is read and written here.
"""

from __future__ import annotations

import json

from ..checks import whole
from ..errors import DialectError
from ..genotype import Block, Cell, Genotype, fields_of
from ._cells import read_cell, write_sides
from ._literals import literal, parse_expression, sequence

#: slim's operation for each of ours. ``none`` is *identity* here (DARTS's ``none`` is a zero).
#: ``dilated_3x3`` exists with the rates 2, 4 and 6; this library's ``dil_conv_3x3`` has rate 2.
OPERATIONS = {
    "identity": "none",
    "conv_1x3_3x1": "1x3_3x1",
    "conv_1x7_7x1": "1x7_7x1",
    "dil_conv_3x3": "dilated_3x3_rate_2",
    "avg_pool_3x3": "avg_pool_3x3",
    "max_pool_2x2": "max_pool_2x2",
    "max_pool_3x3": "max_pool_3x3",
    "max_pool_5x5": "max_pool_5x5",
    "max_pool_7x7": "max_pool_7x7",
    "conv_1x1": "1x1",
    "conv_3x3": "3x3",
    "sep_conv_3x3": "separable_3x3_2",
    "sep_conv_5x5": "separable_5x5_2",
    "sep_conv_7x7": "separable_7x7_2",
}

#: The way back, and one name more: slim's parser looks for "separable" and the kernel size and
#: never at "dil_2", so AmoebaNet-B's ``dil_2_separable_5x5_2`` *runs* without dilation.
OURS = {theirs: ours for ours, theirs in OPERATIONS.items()} | {
    "dil_2_separable_5x5_2": "sep_conv_5x5"
}

FIELDS = ("operations", "hiddenstate_indices", "used_hiddenstates")


def loads(text: str) -> Genotype:
    """Read two cells in slim's form.

    Raises:
        DialectError: malformed text; the message names the cell and the block.
        GenotypeError: missing or unknown fields.
    """
    record = literal(parse_expression(text), "the text")
    cells = fields_of(record, "slim's text", {"normal", "reduction"})
    normal, reduction = (_read_cell(cells[r], f"{r} cell") for r in ("normal", "reduction"))
    return Genotype(normal, reduction)


def dumps(genotype: Genotype) -> str:
    """Write both cells in slim's form, one list a line.

    Raises:
        DialectError: slim has no word for an operation, a combination other than add, or cells
            with other than two inputs.
    """
    lines = []
    for role, cell in genotype.cells:
        states, operations = zip(*write_sides(role, cell, OPERATIONS), strict=True)
        indices = [swapped(state) for state in states]
        used = [int(swapped(state) not in cell.concat) for state in range(cell.state_count)]
        inner = ",\n".join(
            f'  "{field}": {json.dumps(entries)}'
            for field, entries in zip(FIELDS, (operations, indices, used), strict=True)
        )
        lines.append(f' "{role}": {{\n{inner}}}')
    return "{\n" + ",\n".join(lines) + "}\n"


def swapped(state: int) -> int:
    """The state's number in the other convention: 0 and 1 change places, the rest stay."""
    return 1 - state if state < 2 else state


def _read_cell(record: object, where: str) -> Cell:
    lists = fields_of(record, f"the {where}", set(FIELDS))
    operations, indices, used = (sequence(lists[f], f"{where}, {f}") for f in FIELDS)
    what = f"{where}, hiddenstate_indices: the state"
    states = [
        swapped(whole(what, index, 0, Cell.MOST_STATES - 1, DialectError)) for index in indices
    ]

    def concat(blocks: tuple[Block, ...]) -> tuple[int, ...]:
        needed = 2 + len(blocks)
        if len(used) != needed or not all(type(flag) is int and flag in (0, 1) for flag in used):
            raise DialectError(
                f"{where}, used_hiddenstates: {needed} numbers are needed, one a state, each 0 "
                f"(goes into the concat) or 1 (does not), got {used!r:.60}"
            )
        return tuple(swapped(state) for state, flag in enumerate(used) if flag == 0)

    return read_cell(where, states, operations, concat, OURS)

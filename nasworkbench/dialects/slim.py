"""The dialect of TensorFlow's slim: three lists a cell, hidden states counted the other way round.

``nasnet_utils.py`` (tensorflow/models, research/slim/nets/nasnet) and its fork ``model_specs.py``
(tensorflow/tpu, models/official/amoeba_net) describe a cell by

* ``operations``: two per block, as text, e.g. ``separable_5x5_2`` (a 5x5 separable convolution,
  applied twice), ``none`` (identity), ``1x7_7x1``;
* ``hiddenstate_indices``: two per block; **0 is the current layer h[i], 1 the one before, h[i-1]**
  (ours: 0 = h[i-1], 1 = h[i]), 2 and up are block outputs;
* ``used_hiddenstates``: one 0 or 1 per state; **a state marked 0 goes into the concat**, whatever
  the word "used" may suggest (NASNet-A keeps h[i-1], which six operations of its cell read).

Here both cells stand in one dict, readable as Python and as JSON::

    {"normal": {"operations": [...], "hiddenstate_indices": [...], "used_hiddenstates": [...]},
     "reduction": {...}}

The released code has five blocks and adds only; any number of blocks is read and written here.
"""

from __future__ import annotations

import json

from ..errors import DialectError, GenotypeError, listed
from ..genotype import Block, Cell, Genotype
from ._literals import has_fields, literal, parse_expression, sequence, shown, whole_number

DIALECT = "slim"

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


def loads(text: str, name: str | None = None) -> Genotype:
    """Read two cells in slim's form.

    Raises:
        DialectError: malformed text; the message names the cell and the block.
    """
    record = literal(parse_expression(text, DIALECT), DIALECT, "the text")
    cells = has_fields(record, ("normal", "reduction"), DIALECT, "the text")
    return Genotype(
        _read_cell(cells["normal"], "normal"), _read_cell(cells["reduction"], "reduction"), name
    )


def dumps(genotype: Genotype) -> str:
    """Write both cells in slim's form, one list a line.

    Raises:
        DialectError: slim has no word for an operation, a combination other than add, or cells
            with other than two inputs.
    """
    lines = []
    for role, cell in genotype.cells:
        fields = _written_cell(cell, role)
        inner = ",\n".join(f'  "{field}": {json.dumps(fields[field])}' for field in FIELDS)
        lines.append(f' "{role}": {{\n{inner}}}')
    return "{\n" + ",\n".join(lines) + "}\n"


def swapped(state: int) -> int:
    """The state's number in the other convention: 0 and 1 change places, the rest stay."""
    return 1 - state if state < 2 else state


def _read_cell(record: object, role: str) -> Cell:
    where = f"{role} cell"
    fields = has_fields(record, FIELDS, DIALECT, where)
    operations, indices, used = (
        sequence(fields[field], DIALECT, f"{where}, {field}") for field in FIELDS
    )
    blocks = len(operations) // 2
    if not blocks or len(operations) % 2:
        raise DialectError(
            f"dialect 'slim', {where}, operations: two per block are needed, got {len(operations)}"
        )
    for field, entries, needed in (
        ("hiddenstate_indices", indices, 2 * blocks),
        ("used_hiddenstates", used, 2 + blocks),
    ):
        if len(entries) != needed:
            raise DialectError(
                f"dialect 'slim', {where}, {field}: {blocks} blocks need {needed} entries, "
                f"got {len(entries)}"
            )
    for state, flag in enumerate(used):
        if flag not in (0, 1) or isinstance(flag, (bool, float)):
            raise DialectError(
                f"dialect 'slim', {where}, used_hiddenstates, state {state}: 0 (goes into the "
                f"concat) or 1 (does not), got {shown(flag)}"
            )
    sides = []
    for place, (operation, index) in enumerate(zip(operations, indices, strict=True)):
        side = f"{where}, block {place // 2}, {'left' if place % 2 == 0 else 'right'} input"
        if not isinstance(operation, str) or operation not in OURS:
            raise DialectError(
                f"dialect 'slim', {side}: unknown operation {shown(operation)}; "
                f"known here are {listed(OURS)}"
            )
        sides.append((swapped(whole_number(index, DIALECT, side)), OURS[operation]))
    concat = tuple(swapped(state) for state, flag in enumerate(used) if flag == 0)
    try:
        return Cell(tuple(Block(*sides[2 * k], *sides[2 * k + 1]) for k in range(blocks)), concat)
    except GenotypeError as error:
        raise DialectError(
            f"dialect 'slim', {where}, in this library's numbering: {error}"
        ) from None


def _written_cell(cell: Cell, role: str) -> dict[str, list]:
    if cell.inputs != 2:
        raise DialectError(
            f"dialect 'slim', {role} cell: its cells take 2 inputs, this one {cell.inputs}"
        )
    operations, indices = [], []
    for number, block in enumerate(cell.blocks):
        if block.combine != "add":
            raise DialectError(
                f"dialect 'slim', {role} cell, block {number}: slim adds the two results and has "
                f"no other combination, this block has '{block.combine}'"
            )
        for side, state, operation in block.sides:
            if operation not in OPERATIONS:
                raise DialectError(
                    f"dialect 'slim', {role} cell, block {number}, {side} input: slim has no "
                    f"operation like '{operation}'; it has {listed(OPERATIONS)}"
                )
            operations.append(OPERATIONS[operation])
            indices.append(swapped(state))
    used = [int(swapped(state) not in cell.concat) for state in range(cell.state_count)]
    return dict(zip(FIELDS, (operations, indices, used), strict=True))

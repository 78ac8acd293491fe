"""The dialect of DARTS: ``Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=[2], ...)``.

Each block is two ``(operation, hidden state)`` pairs in a row; hidden states are numbered as in
this library (0 the older input, 1 the newer). DARTS knows addition only. Source:
``cnn/genotypes.py`` and ``cnn/operations.py`` of quark0/darts.

Three of its names want care:

* ``skip_connect`` is identity at stride 1; at stride 2 (on a reduction cell's inputs) DARTS runs a
  factorised reduction there, where NASNet's authors run ReLU, a strided 1x1 convolution and BN;
* ``dil_conv_3x3`` is a *depthwise* dilated convolution followed by a 1x1, this library's
  ``dil_sep_conv_3x3``; the plain dilated 3x3 of the NASNet space has no name in DARTS;
* ``none`` multiplies by zero. No operation here does, so it is an error, never identity.
"""

from __future__ import annotations

import ast

from ..errors import DialectError, GenotypeError, listed
from ..genotype import Block, Cell, Genotype
from ._literals import literal, parse_expression, sequence, shown, whole_number

DIALECT = "darts"

#: DARTS's operation for each of ours that it has.
OPERATIONS = {
    "identity": "skip_connect",
    "avg_pool_3x3": "avg_pool_3x3",
    "max_pool_3x3": "max_pool_3x3",
    "sep_conv_3x3": "sep_conv_3x3",
    "sep_conv_5x5": "sep_conv_5x5",
    "sep_conv_7x7": "sep_conv_7x7",
    "dil_sep_conv_3x3": "dil_conv_3x3",
    "dil_sep_conv_5x5": "dil_conv_5x5",
    "conv_7x1_1x7": "conv_7x1_1x7",
}

OURS = {theirs: ours for ours, theirs in OPERATIONS.items()}

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")


def loads(text: str, name: str | None = None) -> Genotype:
    """Read ``Genotype(...)`` as DARTS prints it; ``range(2, 6)`` is understood as a concat.

    Raises:
        DialectError: malformed text, or an operation without a counterpart; the message names the
            cell and the block. Nothing in the text is ever run.
    """
    call = parse_expression(text, DIALECT)
    if not (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Genotype"
    ):
        raise DialectError(
            f"dialect 'darts': expected Genotype(normal=..., normal_concat=..., reduce=..., "
            f"reduce_concat=...), got another {type(call).__name__}"
        )
    given = dict(zip(FIELDS, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg not in FIELDS or keyword.arg in given:
            raise DialectError(
                f"dialect 'darts': unexpected or repeated field {keyword.arg!r}; the fields are "
                f"{listed(FIELDS)}"
            )
        given[keyword.arg] = keyword.value
    if len(call.args) > len(FIELDS) or len(given) < len(FIELDS):
        missing = [field for field in FIELDS if field not in given]
        raise DialectError(
            f"dialect 'darts': exactly the fields {listed(FIELDS)} are needed; missing: {missing}"
        )
    return Genotype(
        _read_cell(given["normal"], given["normal_concat"], "normal"),
        _read_cell(given["reduce"], given["reduce_concat"], "reduce"),
        name,
    )


def dumps(genotype: Genotype) -> str:
    """Write ``Genotype(...)`` on one line, as DARTS prints it.

    Raises:
        DialectError: DARTS has no word for an operation, a combination other than add, or cells
            with other than two inputs.
    """
    parts = []
    for field, (role, cell) in zip(("normal", "reduce"), genotype.cells, strict=True):
        parts += [f"{field}={_pairs(cell, role)!r}", f"{field}_concat={list(cell.concat)!r}"]
    return f"Genotype({', '.join(parts)})"


def _read_cell(pairs_node: ast.expr, concat_node: ast.expr, field: str) -> Cell:
    pairs = sequence(literal(pairs_node, DIALECT, f"'{field}'"), DIALECT, f"'{field}'")
    if not pairs or len(pairs) % 2:
        raise DialectError(
            f"dialect 'darts', '{field}': two (operation, state) pairs per block are needed, "
            f"got {len(pairs)}"
        )
    sides = []
    for place, pair in enumerate(pairs):
        where = f"'{field}', block {place // 2}, {'left' if place % 2 == 0 else 'right'} input"
        entries = sequence(pair, DIALECT, where)
        if len(entries) != 2 or not isinstance(entries[0], str):
            raise DialectError(
                f"dialect 'darts', {where}: expected ('operation', state), got {shown(pair)}"
            )
        sides.append((whole_number(entries[1], DIALECT, where), _ours(entries[0], where)))
    blocks = tuple(Block(*sides[k], *sides[k + 1]) for k in range(0, len(sides), 2))
    concat = tuple(_concat(concat_node, f"'{field}_concat'"))
    try:
        return Cell(blocks, concat)
    except GenotypeError as error:
        raise DialectError(f"dialect 'darts', '{field}': {error}") from None


def _ours(operation: str, where: str) -> str:
    if operation == "none":
        raise DialectError(
            f"dialect 'darts', {where}: 'none' is DARTS's zero operation and has no counterpart "
            "here (it is not identity); choose the block's best operation other than 'none'"
        )
    if operation not in OURS:
        raise DialectError(
            f"dialect 'darts', {where}: unknown operation {shown(operation)!r}; known here are "
            f"{listed(OURS)}"
        )
    return OURS[operation]


def _concat(node: ast.expr, where: str) -> list[int]:
    """A list of states, or ``range(a, b)``: the one call that is understood, never made."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        if node.keywords or len(node.args) not in (1, 2):
            raise DialectError(f"dialect 'darts', {where}: range takes one or two whole numbers")
        bounds = [
            whole_number(literal(argument, DIALECT, where), DIALECT, where)
            for argument in node.args
        ]
        first, end = bounds if len(bounds) == 2 else (0, bounds[0])
        return list(range(first, end))
    states = sequence(literal(node, DIALECT, where), DIALECT, where)
    return [whole_number(state, DIALECT, where) for state in states]


def _pairs(cell: Cell, role: str) -> list[tuple[str, int]]:
    if cell.inputs != 2:
        raise DialectError(
            f"dialect 'darts', {role} cell: its cells take 2 inputs, this one {cell.inputs}"
        )
    pairs = []
    for number, block in enumerate(cell.blocks):
        if block.combine != "add":
            raise DialectError(
                f"dialect 'darts', {role} cell, block {number}: DARTS adds the two results and has "
                f"no other combination, this block has '{block.combine}'"
            )
        for side, state, operation in block.sides:
            if operation not in OPERATIONS:
                raise DialectError(
                    f"dialect 'darts', {role} cell, block {number}, {side} input: DARTS has no "
                    f"operation like '{operation}'; it has {listed(OPERATIONS)}"
                )
            pairs.append((OPERATIONS[operation], state))
    return pairs

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

from ..checks import whole
from ..errors import DialectError, listed
from ..genotype import Cell, Genotype
from ._cells import read_cell, write_sides
from ._literals import literal, parse_expression, sequence

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

#: DARTS's operation that nothing here computes, and why.
REFUSED = {
    "none": "it is DARTS's zero operation, not identity; choose the block's best operation other "
    "than 'none'"
}

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")


def loads(text: str) -> Genotype:
    """Read ``Genotype(...)`` as DARTS prints it; ``range(2, 6)`` is understood as a concat.

    Raises:
        DialectError: malformed text, or an operation without a counterpart; the message names the
            cell and the block. Nothing in the text is ever run.
    """
    call = parse_expression(text)
    if not (isinstance(call, ast.Call) and _name(call) == "Genotype"):
        raise DialectError(
            f"expected Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...), "
            f"got {type(call).__name__}"
        )
    names = [*FIELDS[: len(call.args)], *(keyword.arg for keyword in call.keywords)]
    nodes = [*call.args, *(keyword.value for keyword in call.keywords)]
    if set(names) != set(FIELDS) or len(nodes) != len(FIELDS):
        raise DialectError(
            f"Genotype must have the fields {listed(FIELDS)}, each once; got "
            f"{len(nodes)}: {names!r:.80}"
        )
    given = dict(zip(names, nodes, strict=True))
    normal, reduction = (
        _read_cell(given[f], given[f"{f}_concat"], f) for f in ("normal", "reduce")
    )
    return Genotype(normal, reduction)


def dumps(genotype: Genotype) -> str:
    """Write ``Genotype(...)`` on one line, as DARTS prints it.

    Raises:
        DialectError: DARTS has no word for an operation, a combination other than add, or cells
            with other than two inputs.
    """
    parts = []
    for field, (role, cell) in zip(("normal", "reduce"), genotype.cells, strict=True):
        pairs = [(operation, state) for state, operation in write_sides(role, cell, OPERATIONS)]
        parts += [f"{field}={pairs!r}", f"{field}_concat={list(cell.concat)!r}"]
    return f"Genotype({', '.join(parts)})"


def _read_cell(pairs_node: ast.expr, concat_node: ast.expr, field: str) -> Cell:
    where = f"'{field}'"
    pairs = [sequence(pair, where) for pair in sequence(literal(pairs_node, where), where)]
    for pair in pairs:
        if len(pair) != 2:
            raise DialectError(f"{where}: expected ('operation', state), got {pair!r:.60}")
    operations, states = ([pair[place] for pair in pairs] for place in (0, 1))
    concat = _concat(concat_node, f"'{field}_concat'")
    return read_cell(where, states, operations, concat, OURS, REFUSED)


def _concat(node: ast.expr, where: str) -> list[int]:
    """A list of states, or ``range(a, b)``: the one call that is understood, never made."""
    if not isinstance(node, ast.Call) or _name(node) != "range":
        return sequence(literal(node, where), where)
    if node.keywords or len(node.args) not in (1, 2):
        raise DialectError(f"{where}: range takes one or two whole numbers")
    given = (literal(bound, where) for bound in node.args)
    bounds = (whole(where, bound, 0, Cell.MOST_STATES - 1, DialectError) for bound in given)
    return list(range(*bounds))


def _name(call: ast.Call) -> str | None:
    return call.func.id if isinstance(call.func, ast.Name) else None

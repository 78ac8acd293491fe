"""A cell as the paper draws it (NASNet paper, Figure 4): inputs below, output on top.

Two operations of a block stand side by side and feed its combination; what the cell puts out flows
into one node at the top. Blocks that do not reach the output are dashed and grey.
"""

from __future__ import annotations

from itertools import pairwise

from ..genotype import Cell, Genotype
from .dot import Theme, attributes, digraph, header, painted, quoted, subgraph

#: Two short lines for each operation, so that ten of them fit side by side.
SHORT_LABELS = {
    "identity": ("identity",),
    "conv_1x3_3x1": ("1x3", "3x1"),
    "conv_1x7_7x1": ("1x7", "7x1"),
    "conv_7x1_1x7": ("7x1", "1x7"),
    "conv_1x1": ("conv", "1x1"),
    "conv_3x3": ("conv", "3x3"),
    "dil_conv_3x3": ("dil", "3x3"),
    "dil_sep_conv_3x3": ("dil sep", "3x3"),
    "dil_sep_conv_5x5": ("dil sep", "5x5"),
    "avg_pool_3x3": ("avg", "3x3"),
    "max_pool_2x2": ("max", "2x2"),
    "max_pool_3x3": ("max", "3x3"),
    "max_pool_5x5": ("max", "5x5"),
    "max_pool_7x7": ("max", "7x7"),
    "sep_conv_3x3": ("sep", "3x3"),
    "sep_conv_5x5": ("sep", "5x5"),
    "sep_conv_7x7": ("sep", "7x7"),
}


def cell_source(cell: Cell, theme: Theme) -> str:
    """DOT text of one cell."""
    return digraph([*header(theme, "BT"), *_cell_lines(cell, "cell", theme)])


def genotype_source(genotype: Genotype, theme: Theme) -> str:
    """DOT text of both cells side by side, with their titles and the genotype's name."""
    lines = header(theme, "BT", genotype.name or "")
    for role, cell in genotype.cells:
        lines += subgraph(
            f"cluster_{role}",
            _cell_lines(cell, role, theme),
            label=f"{role} cell",
            labelloc="t",
            color=theme.background,  # no frame: the blocks have frames already
            fontsize="12",
            margin="4",
        )
    return digraph(lines)


def _cell_lines(cell: Cell, prefix: str, theme: Theme) -> list[str]:
    """All nodes and edges of a cell; every node's name begins with ``prefix``."""
    inputs = [f"{prefix}_input_{state}" for state in range(cell.inputs)]
    outputs = [f"{prefix}_block_{number}_combine" for number in range(len(cell.blocks))]
    names = inputs + outputs  # by hidden state
    live = {s for n in cell.used for s in cell.blocks[n].inputs} | set(cell.concat)
    lines = subgraph(
        f"{prefix}_inputs",
        [
            f"{name} "
            + attributes(
                label=cell.state_name(state),
                shape="ellipse",
                **painted(theme.state, theme, state in live),
            )
            for state, name in enumerate(inputs)
        ]
        # drawn in order, older to newer
        + [f"{a} -> {b} [style=invis]" for a, b in pairwise(inputs)],
        rank="same",
    )
    for number in range(len(cell.blocks)):
        lines += _block_lines(cell, number, prefix, names, theme)
    lines.append(
        f"{prefix}_output "
        + attributes(
            label=quoted("concat → h[i+1]" if len(cell.concat) > 1 else "h[i+1]"),
            shape="box",
            width="1.6",
            **painted(theme.output, theme),
        )
    )
    for state in cell.concat:
        lines.append(
            f"{names[state]} -> {prefix}_output "
            + attributes(color=_edge_colour(cell, state, theme, True))
        )
    return lines


def _block_lines(cell: Cell, number: int, prefix: str, names: list[str], theme: Theme) -> list[str]:
    block, used = cell.blocks[number], number in cell.used
    combine = f"{prefix}_block_{number}_combine"
    operations, edges = [], []
    for side, state, operation in block.sides:
        node = f"{prefix}_block_{number}_{side}"
        label = quoted(*SHORT_LABELS[operation])
        operations.append(
            f"{node} "
            + attributes(label=label, shape="box", **painted(theme.operation, theme, used))
        )
        style = "" if used else "dashed"
        edges.append(
            f"{names[state]} -> {node} "
            + attributes(color=_edge_colour(cell, state, theme, used), style=style)
        )
        edges.append(
            f"{node} -> {combine} "
            + attributes(color=theme.edge if used else theme.faded, style=style)
        )
    sides = subgraph(f"{prefix}_block_{number}_sides", operations, rank="same")
    title = [f"block {number}", block.combine] + ([] if used else ["not used"])
    result = f"{combine} " + attributes(
        # the number stands in the node: as the frame's title it would be crossed by arrows
        label=quoted(*title),
        # told apart without colour and without reading: round adds, angular concatenates
        shape="ellipse" if block.combine == "add" else "hexagon",
        margin="0",
        **painted(theme.combination, theme, used),
    )
    framed = subgraph(
        f"cluster_{prefix}_block_{number}",
        [*sides, result],
        label=quoted(""),  # else it would inherit the cell's title
        color=theme.frame if used else theme.faded,
        style="rounded" if used else "rounded,dashed",
        margin="5",
    )
    # Edges stand outside of the frame: an edge inside would draw its source into it.
    return framed + edges


def _edge_colour(cell: Cell, state: int, theme: Theme, used: bool) -> str:
    if not used:
        return theme.faded
    if state >= cell.inputs:
        return theme.edge
    return theme.newer if state == cell.inputs - 1 else theme.older

"""A cell as the paper draws it (NASNet paper, Figure 4): inputs below, output on top.

Two operations of a block are side by side and feed its combination; what the cell puts out flows
into one node at the top. Blocks that do not reach the output are dashed and grey.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ..genotype import Cell, Genotype
from .dot import Theme, label, new_graph, painted

if TYPE_CHECKING:
    import graphviz


def cell_source(cell: Cell, theme: Theme) -> str:
    """DOT text of one cell."""
    graph = new_graph(theme, "BT")
    _add_cell(graph, cell, "cell", theme)
    return graph.source


def genotype_source(genotype: Genotype, theme: Theme) -> str:
    """DOT text of both cells side by side, with their titles and the genotype's name."""
    graph = new_graph(theme, "BT", genotype.name or "")
    for role, cell in genotype.cells:
        with graph.subgraph(name=f"cluster_{role}") as part:
            # no frame: the blocks have frames already
            part.attr(label=f"{role} cell", color=theme.background, margin="4")
            _add_cell(part, cell, role, theme)
    return graph.source


def short_label(operation: str) -> list[str]:
    """The operation in two short lines, so that ten of them fit side by side: ``sep``, ``3x3``."""
    *kind, size = operation.split("_")
    short = [word for word in kind if word not in ("conv", "pool")] or kind
    return [" ".join(short), size] if short else [size]


def _add_cell(graph: graphviz.Digraph, cell: Cell, prefix: str, theme: Theme) -> None:
    """Add all nodes and edges of a cell; every node's name begins with ``prefix``."""
    inputs = [f"{prefix}_input_{state}" for state in range(cell.inputs)]
    outputs = [f"{prefix}_block_{number}_combine" for number in range(len(cell.blocks))]
    names = inputs + outputs  # by hidden state
    with graph.subgraph(name=f"{prefix}_inputs") as row:
        row.attr(rank="same")
        for state, name in enumerate(inputs):
            paint = painted(theme.state, theme, state in cell.states_read)
            row.node(name, cell.state_name(state), shape="ellipse", **paint)
        for older, newer in pairwise(inputs):  # drawn in order
            row.edge(older, newer, style="invis")
    for number in range(len(cell.blocks)):
        _add_block(graph, cell, number, prefix, names, theme)
    title = "concat → h[i+1]" if len(cell.concat) > 1 else "h[i+1]"
    paint = painted(theme.output, theme)
    graph.node(f"{prefix}_output", title, shape="box", width="1.6", **paint)
    for state in cell.concat:
        graph.edge(names[state], f"{prefix}_output", color=_edge_colour(cell, state, theme))


def _add_block(
    graph: graphviz.Digraph, cell: Cell, number: int, prefix: str, names: list[str], theme: Theme
) -> None:
    block, used = cell.blocks[number], number in cell.used
    node = f"{prefix}_block_{number}"
    with graph.subgraph(name=f"cluster_{node}") as frame:
        # without a label of its own it would inherit the cell's title
        frame.attr(label="", color=theme.frame if used else theme.faded, margin="5")
        frame.attr(style="rounded" if used else "rounded,dashed")
        with frame.subgraph(name=f"{node}_sides") as sides:
            sides.attr(rank="same")
            for side, _, operation in block.sides:
                paint = painted(theme.operation, theme, used)
                text = label(*short_label(operation))
                sides.node(f"{node}_{side}", text, shape="box", **paint)
        # The number is in the node: as the frame's title it would be crossed by arrows.
        title = [f"block {number}", block.combine] + ([] if used else ["not used"])
        # told apart without colour and without reading: round adds, angular concatenates
        shape = "ellipse" if block.combine == "add" else "hexagon"
        paint = painted(theme.combination, theme, used)
        frame.node(f"{node}_combine", label(*title), shape=shape, margin="0", **paint)
    # Edges are outside of the frame: an edge inside would draw its source into it.
    style = {} if used else {"color": theme.faded, "style": "dashed"}
    for side, state, _ in block.sides:
        arrow = {"color": _edge_colour(cell, state, theme)} | style
        graph.edge(names[state], f"{node}_{side}", **arrow)
        graph.edge(f"{node}_{side}", f"{node}_combine", **style)


def _edge_colour(cell: Cell, state: int, theme: Theme) -> str:
    if state >= cell.inputs:
        return theme.edge
    return theme.newer if state == cell.inputs - 1 else theme.older

"""A graph architecture: the input below, the output on top, an arrow for each node that is read.

Skips that do nothing are dashed and grey. This module reads attributes only: ``wiring``,
``operations``, ``idle``, ``leaves`` and ``joined``, as
:class:`nasworkbench.spaces.GraphArchitecture` has them.
"""

from __future__ import annotations

from typing import Any

from .dot import Theme, label, new_graph, painted


def graph_source(architecture: Any, theme: Theme) -> str:
    """DOT text of a graph architecture."""
    graph = new_graph(theme, "BT")
    graph.attr(nodesep="0.16")  # there is space: four nodes at most side by side
    graph.node("input", "input", shape="ellipse", **painted(theme.state, theme))
    names = ["input", *(f"node_{number}" for number in range(1, len(architecture.wiring) + 1))]
    for number, operation in enumerate(architecture.operations, 1):
        paint = painted(theme.operation, theme, number not in architecture.idle)
        graph.node(names[number], label(operation, f"node {number}"), shape="box", **paint)
    graph.node("output", "output", shape="box", width="1.2", **painted(theme.output, theme))
    unused = {"color": theme.faded, "style": "dashed"}
    for number, read in enumerate(architecture.wiring, 1):
        style = {} if _leads_on(architecture, number) else unused
        graph.edge(names[read], names[number], **style)
    for leaf in architecture.leaves:
        graph.edge(names[leaf], "output", **({} if leaf in architecture.joined else unused))
    return graph.source


def _leads_on(architecture: Any, number: int) -> bool:
    """Whether the output can be reached from a node."""
    readers = [node for node, read in enumerate(architecture.wiring, 1) if read == number]
    return number in architecture.joined or any(_leads_on(architecture, n) for n in readers)

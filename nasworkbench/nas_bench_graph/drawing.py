"""A graph architecture: the input below, the output on top, an arrow for each node that is read.

Skips that do nothing are dashed and grey.
"""

from __future__ import annotations

from .. import drawing
from ..drawing.dot import Theme, label, new_graph, painted
from .space import NODES, GraphArchitecture


@drawing.source.register
def graph_source(architecture: GraphArchitecture, theme: Theme) -> str:
    """DOT text of a graph architecture."""
    live = set(architecture.joined)  # from these the output can be reached
    for node in reversed(NODES):
        if node in live:
            live.add(architecture.wiring[node - 1])
    graph = new_graph(theme, "BT")
    graph.attr(nodesep="0.16")  # four nodes at most are side by side
    graph.node("input", "input", shape="ellipse", **painted(theme.state, theme))
    for node, operation in zip(NODES, architecture.operations, strict=True):
        paint = painted(theme.operation, theme, node not in architecture.idle)
        graph.node(f"node_{node}", label(operation, f"node {node}"), shape="box", **paint)
    graph.node("output", "output", shape="box", width="1.2", **painted(theme.output, theme))
    unused = {"color": theme.faded, "style": "dashed"}
    for node, read in zip(NODES, architecture.wiring, strict=True):
        source = f"node_{read}" if read else "input"
        graph.edge(source, f"node_{node}", **({} if node in live else unused))
    for leaf in architecture.leaves:
        graph.edge(f"node_{leaf}", "output", **({} if leaf in architecture.joined else unused))
    return graph.source

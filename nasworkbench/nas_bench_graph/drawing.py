"""A graph architecture: the input below, the output on top, an arrow for each node that is read.

Skips that do nothing are dashed and grey.
"""

from __future__ import annotations

from .. import drawing
from ..drawing.dot import Theme, attributes, digraph, header, painted, quoted
from .space import NODES, GraphArchitecture


@drawing.source.register
def graph_source(architecture: GraphArchitecture, theme: Theme) -> str:
    """DOT text of a graph architecture."""
    live = set(architecture.joined)  # from these the output can be reached
    for node in reversed(NODES):
        if node in live:
            live.add(architecture.wiring[node - 1])
    lines = [
        *header(theme, "BT"),
        "graph " + attributes(nodesep="0.16"),  # four nodes at most are side by side
        "input " + attributes(label="input", shape="ellipse", **painted(theme.state, theme)),
    ]
    for node, operation in zip(NODES, architecture.operations, strict=True):
        paint = painted(theme.operation, theme, node not in architecture.idle)
        label = quoted(operation, f"node {node}")
        lines.append(f"node_{node} " + attributes(label=label, shape="box", **paint))
    output = attributes(label="output", shape="box", width="1.2", **painted(theme.output, theme))
    lines.append(f"output {output}")
    for node, read in zip(NODES, architecture.wiring, strict=True):
        source = f"node_{read}" if read else "input"
        lines.append(_arrow(source, f"node_{node}", theme, node in live))
    for leaf in architecture.leaves:
        lines.append(_arrow(f"node_{leaf}", "output", theme, leaf in architecture.joined))
    return digraph(lines)


def _arrow(source: str, target: str, theme: Theme, used: bool) -> str:
    style = {} if used else {"color": theme.faded, "style": "dashed"}
    return f"{source} -> {target} {attributes(**style)}"

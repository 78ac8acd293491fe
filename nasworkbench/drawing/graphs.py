"""A graph architecture: the input below, the output on top, an arrow for each node that is read.

Skips that do nothing are dashed and grey. This room reads attributes only: ``wiring``,
``operations``, ``idle``, ``leaves`` and ``joined``, as
:class:`nasworkbench.spaces.GraphArchitecture` has them.
"""

from __future__ import annotations

from typing import Any

from .dot import Theme, attributes, digraph, header, painted, quoted


def graph_source(architecture: Any, theme: Theme) -> str:
    """DOT text of a graph architecture."""
    lines = [
        *header(theme, "BT"),
        "graph " + attributes(nodesep="0.16"),  # there is room: four nodes at most side by side
        "input " + attributes(label="input", shape="ellipse", **painted(theme.state, theme)),
    ]
    names = ["input", *(f"node_{number}" for number in range(1, len(architecture.wiring) + 1))]
    for number, operation in enumerate(architecture.operations, 1):
        used = number not in architecture.idle
        lines.append(
            f"{names[number]} "
            + attributes(
                label=quoted(operation, f"node {number}"),
                shape="box",
                **painted(theme.operation, theme, used),
            )
        )
    lines.append(
        "output "
        + attributes(label="output", shape="box", width="1.2", **painted(theme.output, theme))
    )
    for number, read in enumerate(architecture.wiring, 1):
        lines.append(_arrow(names[read], names[number], theme, _leads_on(architecture, number)))
    for leaf in architecture.leaves:
        lines.append(_arrow(names[leaf], "output", theme, leaf in architecture.joined))
    return digraph(lines)


def _leads_on(architecture: Any, number: int) -> bool:
    """Whether the output can be reached from a node."""
    readers = [node for node, read in enumerate(architecture.wiring, 1) if read == number]
    return number in architecture.joined or any(_leads_on(architecture, n) for n in readers)


def _arrow(source: str, target: str, theme: Theme, used: bool) -> str:
    style = {} if used else {"color": theme.faded, "style": "dashed"}
    return f"{source} -> {target} {attributes(**style)}"

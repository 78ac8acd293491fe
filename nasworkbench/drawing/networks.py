"""A whole stacked network, compactly (NASNet paper, Figure 2): runs of normal cells as one node.

A cell reads two layers: the newer one, h[i], is a solid arrow, the older one, h[i-1], a thin dashed
arrow in another colour. Inside a run each cell reads the two cells before it; the arrows into and
out of the run show what its first and last cells exchange with the rest, and one solid arrow stands
for both where the next layer reads the last two cells of the run.

No network class is known here. What is read is ``network.genotype.name`` and ``network.layout``:
records in order, none before the layers that it reads, with ``name``,
``role`` (stem, reduction, normal, auxiliary or classifier), ``inputs`` (names of earlier
records, the older first), ``filters`` (channels it puts out) and ``stage``.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from .dot import Theme, label, new_graph, painted, plain

LEGEND = "solid: the newer input, h[i]; dashed: the older input, h[i-1]"

#: By role: the node's shape and its colours' name in the theme.
ROLES = {
    "stem": ("box", "state"),
    "reduction": ("octagon", "combination"),
    "normal": ("box", "operation"),
    "auxiliary": ("note", "output"),
    "classifier": ("box", "output"),
}


def network_source(network: Any, theme: Theme) -> str:
    """DOT text of a network."""
    groups = grouped(network.layout)
    graph = new_graph(theme, "LR", network.genotype.name or "", LEGEND)
    node_of: dict[str, str] = {}
    for place, group in enumerate(groups):
        node_of |= {record.name: f"layer_{place}" for record in group}
        shape, paint = ROLES[group[0].role]
        graph.node(
            f"layer_{place}",
            label(*label_lines(group)),
            shape=shape,
            margin="0" if shape == "octagon" else None,
            peripheries="2" if len(group) > 1 else None,
            **painted(getattr(theme, paint), theme),
        )
    newer = {"color": theme.edge, "penwidth": "1.4"}
    older = {"color": theme.older, "style": "dashed", "constraint": "false"}
    for (source, target), is_newer in sorted(_edges(groups, node_of).items()):
        graph.edge(source, target, **(newer if is_newer else older))
    return graph.source


def network_words(network: Any) -> tuple[str, str]:
    """A title for the picture, and the same in words, a line for each node."""
    name = plain(network.genotype.name or "")
    lines = [plain(", ".join(label_lines(group))) for group in grouped(network.layout)]
    return f"network of {name}" if name else "a network", "\n".join(lines)


def grouped(records: Iterable[Any]) -> list[list[Any]]:
    """The layers by node: consecutive normal cells of one stage share one, others stand alone."""

    def node(record: Any) -> Any:
        return (record.stage, record.filters) if record.role == "normal" else record.name

    return [list(group) for _, group in groupby(records, node)]


def label_lines(group: list[Any]) -> list[str]:
    """The text of a node: what it is, how many of it, how many channels it puts out."""
    first = group[0]
    is_cell = first.role in ("normal", "reduction")
    title = f"{first.role} cell" if is_cell else str(first.name).replace("_", " ")
    unit = "classes" if first.role in ("classifier", "auxiliary") else "channels"
    return [title, *([f"× {len(group)}"] if len(group) > 1 else []), f"{first.filters} {unit}"]


def _edges(groups: list[list[Any]], node_of: dict[str, str]) -> dict[tuple[str, str], bool]:
    """``(source, target)`` -> whether it carries a newer input; one arrow for a pair of nodes."""
    edges: dict[tuple[str, str], bool] = {}
    for record in (record for group in groups for record in group):
        for place, name in enumerate(record.inputs):
            pair = node_of[name], node_of[record.name]
            if pair[0] != pair[1]:
                edges[pair] = edges.get(pair, False) or place == len(record.inputs) - 1
    return edges

"""A whole stacked network, compactly (NASNet paper, Figure 2): runs of normal cells as one node.

A cell reads two layers: the newer one, h[i], is a solid arrow, the older one, h[i-1], a thin dashed
arrow in another colour. Inside a run each cell reads the two cells before it; the arrows into and
out of the run show what its first and last cells exchange with the rest, and one solid arrow stands
for both where the next layer reads the last two cells of the run.

This room knows no network class. It reads ``network.layout``: records in order with ``name``,
``role`` (stem, reduction, normal, auxiliary or classifier), ``inputs`` (names of earlier
records, the older first), ``filters`` (channels it puts out) and ``stage``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import WorkbenchError, listed
from .dot import Paint, Theme, attributes, digraph, header, painted, quoted

ROLES = ("stem", "reduction", "normal", "auxiliary", "classifier")
FIELDS = ("name", "role", "inputs", "filters", "stage")
LEGEND = "solid: the newer input, h[i]; dashed: the older input, h[i-1]"


@dataclass
class Group:
    """One node of the picture: a layer, or a run of normal cells of the same stage."""

    records: list[Any] = field(default_factory=list)

    @property
    def role(self) -> str:
        """The role that all its records share."""
        return self.records[0].role


def network_source(network: Any, theme: Theme) -> str:
    """DOT text of a network.

    Raises:
        WorkbenchError: a layout that lacks fields, or that reads a layer it does not have.
    """
    groups = grouped(checked_layout(network))
    node_of = {
        record.name: f"layer_{place}"
        for place, group in enumerate(groups)
        for record in group.records
    }
    lines = header(theme, "LR", title_of(network), LEGEND)
    for place, group in enumerate(groups):
        lines.append(
            f"layer_{place} "
            + attributes(
                label=quoted(*label_lines(group)),
                shape=_SHAPES[group.role],
                margin="0" if group.role == "reduction" else "",
                peripheries="2" if group.role == "normal" and len(group.records) > 1 else "",
                **painted(_paint(group.role, theme), theme),
            )
        )
    for (source, target), newer in sorted(_edges(groups, node_of).items()):
        style = (
            attributes(color=theme.edge, penwidth="1.4")
            if newer
            else attributes(color=theme.older, style="dashed", constraint="false")
        )
        lines.append(f"{source} -> {target} {style}")
    return digraph(lines)


def checked_layout(network: Any) -> list[Any]:
    """The layout as a list, if every record can be drawn.

    Raises:
        WorkbenchError: see :func:`network_source`.
    """
    try:
        records = list(network.layout)
    except TypeError:
        raise WorkbenchError(
            f"a network's layout is a tuple of records, got {type(network.layout).__name__}"
        ) from None
    known: set[str] = set()
    for place, record in enumerate(records):
        missing = [name for name in FIELDS if not hasattr(record, name)]
        if missing:
            raise WorkbenchError(
                f"layout, record {place}: needs the fields {listed(FIELDS)}; missing: "
                f"{listed(missing)}"
            )
        if record.role not in ROLES:
            raise WorkbenchError(
                f"layout, record {place} ({record.name!r}): unknown role {record.role!r}; the "
                f"roles are {listed(ROLES)}"
            )
        strangers = [name for name in record.inputs if name not in known]
        if strangers and place:
            raise WorkbenchError(
                f"layout, record {place} ({record.name!r}): reads {strangers[0]!r}, which is no "
                "earlier layer"
            )
        known.add(record.name)
    if not records:
        raise WorkbenchError("this network's layout is empty: there is nothing to draw")
    return records


def grouped(records: list[Any]) -> list[Group]:
    """Consecutive normal cells of one stage become one group; every other layer stays alone."""
    groups: list[Group] = []
    for record in records:
        last = groups[-1].records[-1] if groups else None
        repeats = (
            last is not None
            and record.role == last.role == "normal"
            and (record.stage, record.filters) == (last.stage, last.filters)
        )
        if repeats:
            groups[-1].records.append(record)
        else:
            groups.append(Group([record]))
    return groups


def label_lines(group: Group) -> list[str]:
    """What stands on a node: what it is, how many of it, how many channels it puts out."""
    first, count = group.records[0], len(group.records)
    title = {"normal": "normal cell", "reduction": "reduction cell"}.get(
        group.role, str(first.name).replace("_", " ")
    )
    unit = "classes" if group.role in ("classifier", "auxiliary") else "channels"
    return [title, *([f"× {count}"] if count > 1 else []), f"{first.filters} {unit}"]


def title_of(network: Any) -> str:
    """The name of the network's genotype, if it has one."""
    name = getattr(getattr(network, "genotype", None), "name", None)
    return name if isinstance(name, str) else ""


_SHAPES = {
    "stem": "box",
    "reduction": "octagon",
    "normal": "box",
    "auxiliary": "note",
    "classifier": "box",
}


def _paint(role: str, theme: Theme) -> Paint:
    return {
        "stem": theme.state,
        "reduction": theme.combination,
        "normal": theme.operation,
        "auxiliary": theme.output,
        "classifier": theme.output,
    }[role]


def _edges(groups: list[Group], node_of: dict[str, str]) -> dict[tuple[str, str], bool]:
    """``(source, target)`` -> whether it carries a newer input; one arrow for a pair of nodes."""
    edges: dict[tuple[str, str], bool] = {}
    for group in groups:
        for record in group.records:
            for place, name in enumerate(record.inputs):
                if name not in node_of or node_of[name] == node_of[record.name]:
                    continue
                pair = node_of[name], node_of[record.name]
                edges[pair] = edges.get(pair, False) or place == len(record.inputs) - 1
    return edges

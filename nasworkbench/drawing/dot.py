"""Colours, labels and the empty graph with which every picture begins.

Every text that a user can choose passes :func:`label`; node names are made here and never come from
a user. The package graphviz writes the DOT text; it is imported where it is used, so that importing
this library stays light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import graphviz

#: Longest text on a picture, in characters; a longer one is cut (this project's choice).
LONGEST_LABEL = 80


@dataclass(frozen=True)
class Paint:
    """Fill and border of one kind of node."""

    fill: str
    border: str


@dataclass(frozen=True)
class Theme:
    """Colours of a picture: tints of the Okabe-Ito palette, made for colour-blind readers too."""

    background: str
    text: str
    frame: str  # border of a block
    edge: str
    older: str  # edges out of h[i-1]
    newer: str  # edges out of h[i]
    faded: str  # everything about a block that does not reach the output
    state: Paint  # cell inputs; a network's stem
    operation: Paint  # operations; normal cells
    combination: Paint  # add and concat inside a block; reduction cells
    output: Paint  # the cell's output; a network's classifier


THEMES = {
    "light": Theme(
        background="#ffffff", text="#1a1a1a", frame="#c4c4c4", edge="#555555", older="#0072b2",
        newer="#b35900", faded="#757575", state=Paint("#d3ebf9", "#0072b2"),
        operation=Paint("#fdf7cc", "#8f8000"), combination=Paint("#c9eee1", "#007556"),
        output=Paint("#f3dcea", "#9c4a7c"),
    ),
    "dark": Theme(
        background="#1e1e1e", text="#f0f0f0", frame="#5a5a5a", edge="#b5b5b5", older="#56b4e9",
        newer="#e69f00", faded="#939393", state=Paint("#123f5a", "#56b4e9"),
        operation=Paint("#4a4510", "#f0e442"), combination=Paint("#0b4535", "#2ac99b"),
        output=Paint("#512a43", "#cc79a7"),
    ),
}  # fmt: skip


def plain(text: str) -> str:
    """The text on one line, without control characters, cut to a length that fits a picture."""
    shown = (c if c.isprintable() else " " for c in text[: 4 * LONGEST_LABEL])
    words = " ".join("".join(shown).split())
    return words if len(words) <= LONGEST_LABEL else words[: LONGEST_LABEL - 1] + "…"


def label(*lines: str) -> str:
    """A label of one or more centred lines that shows exactly these texts.

    Graphviz resolves ``&lt;`` and its kin in labels, so ``&`` is escaped too.
    """
    import graphviz

    shown = [graphviz.escape(plain(line).replace("&", "&amp;")) for line in lines]
    return graphviz.nohtml("\\n".join(shown))


def painted(paint: Paint, theme: Theme, used: bool = True) -> dict[str, str]:
    """Fill, border and text colour of a node; dashed and grey if it is not used."""
    if not used:
        return {"style": "dashed", "color": theme.faded, "fontcolor": theme.faded}
    return {
        "style": "filled,rounded" if paint == theme.operation else "filled",
        "fillcolor": paint.fill,
        "color": paint.border,
        "fontcolor": theme.text,
    }


def new_graph(theme: Theme, direction: str, *titles: str) -> graphviz.Digraph:
    """An empty graph: fonts, spacing, background, titles on top."""
    import graphviz

    text = {"fontname": "Helvetica", "fontcolor": theme.text}
    graph = graphviz.Digraph("nasworkbench")
    graph.attr(
        "graph",
        rankdir=direction,
        bgcolor=theme.background,
        pad="0.12",
        nodesep="0.07",
        ranksep="0.32" if direction == "BT" else "0.24",
        labelloc="t",
        label=label(*filter(None, titles)),
        fontsize="12",
        **text,
    )
    graph.attr("node", fontsize="10", height="0.28", width="0.3", margin="0.06,0.03", **text)
    graph.attr("edge", arrowsize="0.5", color=theme.edge, fontsize="9", **text)
    return graph

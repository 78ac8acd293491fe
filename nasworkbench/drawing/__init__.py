"""Pictures of cells, genotypes, graphs and networks, by graphviz, as the paper's Figure 4 looks.

``draw(thing)`` returns a :class:`Drawing`, which shows itself in a notebook and saves itself as
SVG, PNG or DOT. This room reads attributes only and imports neither torch nor the networks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import WorkbenchError
from ..genotype import Cell, Genotype
from .cells import cell_source, genotype_source
from .dot import plain, theme_named
from .graphs import graph_source
from .networks import checked_layout, grouped, label_lines, network_source, title_of
from .rendering import DPI, Drawing, dot_available

__all__ = ["DPI", "Drawing", "dot_available", "draw"]


def draw(thing: Cell | Genotype | Any, theme: str = "light") -> Drawing:
    """A picture of a cell, a genotype, a graph architecture or a network.

    Args:
        thing: a :class:`~nasworkbench.genotype.Cell`, a
            :class:`~nasworkbench.genotype.Genotype`, a
            :class:`~nasworkbench.spaces.GraphArchitecture` (anything with a ``.wiring``), or a
            network (anything with a ``.layout``, see :mod:`nasworkbench.drawing.networks`).
        theme: ``"light"`` or ``"dark"``.

    Raises:
        WorkbenchError: something else, an unknown theme, or a layout that cannot be drawn.
            Graphviz itself is needed only when the drawing is rendered.
    """
    colours = theme_named(theme)
    if isinstance(thing, Cell):
        return Drawing(cell_source(thing, colours), "a cell", str(thing))
    if isinstance(thing, Genotype):
        named = replace(thing, name=plain(thing.name or "") or None)
        title = f"genotype {named.name}" if named.name else "a genotype"
        return Drawing(
            genotype_source(named, colours), f"{title}: normal cell and reduction cell", str(named)
        )
    if hasattr(thing, "wiring"):
        return Drawing(graph_source(thing, colours), "a graph architecture", str(thing))
    if hasattr(thing, "layout"):
        source = network_source(thing, colours)
        name = plain(title_of(thing))
        groups = grouped(checked_layout(thing))
        text = "\n".join(plain(", ".join(label_lines(group))) for group in groups)
        return Drawing(source, f"network of {name}" if name else "a network", text)
    raise WorkbenchError(
        f"cannot draw {type(thing).__name__}: draw takes a Cell, a Genotype, a "
        "GraphArchitecture or a network with a .layout"
    )

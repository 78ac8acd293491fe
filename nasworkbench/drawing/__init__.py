"""Pictures of cells, genotypes, graphs and networks, by graphviz, as the paper's Figure 4 looks.

``draw(thing)`` returns a :class:`Drawing`, which shows itself in a notebook and saves itself as
SVG, PNG or DOT. This room reads attributes only and imports neither torch nor the networks.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import singledispatch
from typing import Any

from ..errors import WorkbenchError
from ..genotype import Cell, Genotype
from .cells import cell_source, genotype_source
from .dot import Theme, plain, theme_named
from .networks import checked_layout, grouped, label_lines, network_source, title_of
from .rendering import DPI, Drawing, dot_available

__all__ = ["DPI", "Drawing", "dot_available", "draw", "source"]


@singledispatch
def source(thing: Any, theme: Theme) -> str:
    """DOT text of a thing; a package that brings another kind of architecture registers its own.

    Raises:
        WorkbenchError: a thing that has no picture.
    """
    if hasattr(thing, "layout"):
        return network_source(thing, theme)
    raise WorkbenchError(
        f"cannot draw {type(thing).__name__}: draw takes a Cell, a Genotype, another architecture "
        "of the library's or a network with a .layout"
    )


source.register(Cell, cell_source)
source.register(Genotype, genotype_source)


def draw(thing: Any, theme: str = "light") -> Drawing:
    """A picture of a cell, an architecture or a network.

    Args:
        thing: a :class:`~nasworkbench.genotype.Cell`, a
            :class:`~nasworkbench.genotype.Genotype`, an architecture that :func:`source` knows, or
            a network (anything with a ``.layout``, see :mod:`nasworkbench.drawing.networks`).
        theme: ``"light"`` or ``"dark"``.

    Raises:
        WorkbenchError: something else, an unknown theme, or a layout that cannot be drawn.
            Graphviz itself is needed only when the drawing is rendered.
    """
    colours = theme_named(theme)
    if isinstance(thing, Genotype):
        thing = replace(thing, name=plain(thing.name or "") or None)
    dot = source(thing, colours)
    if isinstance(thing, Genotype):
        title = f"genotype {thing.name}" if thing.name else "a genotype"
        return Drawing(dot, f"{title}: normal cell and reduction cell", str(thing))
    if hasattr(thing, "layout"):
        name = plain(title_of(thing))
        groups = grouped(checked_layout(thing))
        text = "\n".join(plain(", ".join(label_lines(group))) for group in groups)
        return Drawing(dot, f"network of {name}" if name else "a network", text)
    words = re.sub("(?<!^)(?=[A-Z])", " ", type(thing).__name__).lower()  # GraphArchitecture
    return Drawing(dot, f"a {words}", str(thing))

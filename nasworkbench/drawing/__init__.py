"""Pictures of cells, genotypes, graphs and networks, by graphviz, as the paper's Figure 4 looks.

``draw(thing)`` returns a :class:`Drawing`, which shows itself in a notebook and saves itself as
SVG, PNG or DOT. Another kind of architecture can be drawn once it says how it becomes DOT text:
``drawing.source.register(Kind, function)``, as :mod:`nasworkbench.networks` does for its networks.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import singledispatch
from typing import Any

from ..checks import choice
from ..errors import WorkbenchError, listed
from ..genotype import Cell, Genotype
from .cells import cell_source, genotype_source
from .dot import THEMES, Theme, plain
from .networks import network_source, network_words
from .rendering import DPI, Drawing, dot_available

__all__ = ["DPI", "Drawing", "dot_available", "draw", "network_source", "source"]


@singledispatch
def source(thing: Any, theme: Theme) -> str:
    """DOT text of a cell, a genotype, or of another kind of thing that is registered.

    Raises:
        WorkbenchError: a thing that has no picture.
    """
    kinds = (kind.__name__ for kind in source.registry if kind is not object)
    raise WorkbenchError(f"cannot draw {type(thing).__name__}; what can be drawn: {listed(kinds)}")


source.register(Cell, cell_source)
source.register(Genotype, genotype_source)


def draw(thing: Any, theme: str = "light") -> Drawing:
    """A picture of a cell, a genotype, another architecture or a network.

    Args:
        thing: a :class:`~nasworkbench.genotype.Cell`, a
            :class:`~nasworkbench.genotype.Genotype`, a network, or another architecture that has
            registered itself with :func:`source`.
        theme: ``"light"`` or ``"dark"``.

    Raises:
        WorkbenchError: something else, or an unknown theme. Graphviz itself is needed only when
            the drawing is rendered.
    """
    if isinstance(thing, Genotype):
        thing = replace(thing, name=plain(thing.name or "") or None)
    dot = source(thing, THEMES[choice("theme", theme, THEMES, WorkbenchError)])
    if isinstance(thing, Genotype):
        title = f"genotype {thing.name}" if thing.name else "a genotype"
        return Drawing(dot, f"{title}: normal cell and reduction cell", str(thing))
    if hasattr(thing, "layout"):
        return Drawing(dot, *network_words(thing))
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(thing).__name__).lower()
    return Drawing(dot, f"a {kind}", str(thing))

"""From DOT text to SVG and PNG: by graphviz's ``dot``, else by pygraphviz, which brings its own."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import choice, whole
from ..errors import WorkbenchError
from ..files import write_atomically

#: Most arrows that are drawn (this project's choice): graphviz would take minutes for more.
MOST_ARROWS = 1_000

#: Pixels an inch of the PNG: the size at which browsers show the SVG.
DPI = 96

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"


@dataclass(frozen=True)
class Drawing:
    """A picture: its DOT text, and ways to render, save and show it.

    Attributes:
        source: the DOT text.
        title: what a screen reader announces.
        text: the same in words, for terminals and for the SVG's description.
    """

    source: str
    title: str
    text: str

    def svg(self) -> str:
        """The picture as SVG text, with a title and a description for screen readers.

        Raises:
            WorkbenchError: graphviz is not installed, or does not work.
        """
        return accessible(render(self.source, "svg").decode(), self.title, self.text)

    def png(self, dpi: int = DPI) -> bytes:
        """The picture as a PNG file's bytes; ``dpi`` pixels an inch.

        Raises:
            WorkbenchError: graphviz is not installed, or ``dpi`` is out of range.
        """
        whole("dpi", dpi, 10, 1200, WorkbenchError)
        first, _, rest = self.source.partition("\n")
        return render(f"{first}\n  graph [dpi={dpi}]\n{rest}", "png")

    def save(self, path: str | Path) -> Path:
        """Write a file; the suffix (.svg, .png or .dot) says what. Returns the path.

        Raises:
            WorkbenchError: another suffix, a folder that is not there, or no graphviz.
        """
        path = Path(path)
        ways = {
            ".svg": lambda: self.svg().encode(),
            ".png": self.png,
            ".dot": lambda: self.source.encode(),
        }
        suffix = choice(f"the end of {path.name!r}", path.suffix.lower(), ways)
        return write_atomically(path, ways[suffix](), "the drawing")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Drawing of {self.title}>"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict[str, Any], dict]:
        """SVG, PNG (what an untrusted notebook shows) and text; text alone without graphviz. With
        it the PNG's alternative text; the SVG holds its own."""
        try:
            shown = {"image/svg+xml": self.svg(), "image/png": self.png(), "text/plain": self.text}
        except WorkbenchError as error:
            return {"text/plain": f"{self.text}\n\n(no picture: {error})"}, {}
        words = "; ".join(" ".join(line.split()) for line in self.text.splitlines())
        return shown, {"image/png": {"alt": f"Drawing of {self.title}; {words}"}}


def dot_available() -> bool:
    """Whether graphviz's ``dot`` program is on the PATH."""
    return shutil.which("dot") is not None


def render(source: str, form: str) -> bytes:
    """Run graphviz on a DOT text.

    Args:
        source: the DOT text.
        form: ``"svg"``, ``"png"`` or ``"json"``.

    Raises:
        WorkbenchError: neither ``dot`` nor pygraphviz is there, the picture is too large, or
            graphviz failed.
    """
    if (arrows := source.count(" -> ")) > MOST_ARROWS:
        raise WorkbenchError(
            f"this is too large to draw: {arrows:,} arrows, and at most {MOST_ARROWS:,} are drawn. "
            "It can be written as text: .save('name.dot')"
        )
    if dot_available():
        import graphviz

        try:
            return graphviz.pipe("dot", form, source.encode(), quiet=True)
        except (graphviz.CalledProcessError, graphviz.ExecutableNotFound, OSError) as error:
            raise WorkbenchError(f"graphviz's dot cannot draw this: {error}") from None
    try:
        import pygraphviz
    except ImportError:
        raise WorkbenchError(
            "drawing needs graphviz: its program 'dot' (apt install graphviz; brew and conda have "
            'it too) or the package pygraphviz (pip install "nasworkbench[drawing]"). Neither is '
            "here. .save('name.dot') writes the DOT text without them."
        ) from None
    try:
        return pygraphviz.AGraph(string=source).draw(format=form, prog="dot")
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"pygraphviz cannot draw this: {error}") from None


def accessible(svg: str, title: str, text: str) -> str:
    """The SVG as one image with a name, and with a rounded background.

    A page shows the SVG as it is, in light and in dark themes, so the background stays opaque.
    """
    for prefix, uri in (("", _SVG), ("xlink", _XLINK)):
        ElementTree.register_namespace(prefix, uri)
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise WorkbenchError(f"graphviz has returned something else than an SVG: {error}") from None
    root.set("role", "img")
    root.set("aria-label", title)
    for place, (tag, content) in enumerate((("title", title), ("desc", text))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}")
        element.text = content
        root.insert(place, element)
    graph = root.find(f"{{{_SVG}}}g")
    background = graph.find(f"{{{_SVG}}}polygon") if graph is not None else None
    if background is not None:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", background.get("points", ""))]
        x, y = min(numbers[0::2]), min(numbers[1::2])
        width, height = max(numbers[0::2]) - x, max(numbers[1::2]) - y
        background.tag = f"{{{_SVG}}}rect"
        del background.attrib["points"]
        sizes = {"x": x, "y": y, "width": width, "height": height, "rx": 8}
        background.attrib |= {key: f"{value:g}" for key, value in sizes.items()}
    return ElementTree.tostring(root, encoding="unicode")

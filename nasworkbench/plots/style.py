"""The style of every figure of the course: colours, sizes, and how a figure becomes a picture.

Nothing global is changed: matplotlib's settings stay as the user has them, and a figure is made
without pyplot, so that it needs no display and is never shown twice.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, Literal

import numpy
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

from ..checks import choice
from ..files import write_atomically

#: Okabe and Ito's palette, told apart with every common kind of colour vision.
BLUE = "#0072b2"
VERMILLION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
ORANGE = "#e69f00"
SKY = "#56b4e9"

#: Who is drawn in which colour, in every figure: the controller, and the baseline it must beat.
CONTROLLER, BASELINE = BLUE, VERMILLION

INK, FAINT, GRID = "#1a1a1a", "#595959", "#dddddd"
TEXT, SMALL = 11, 9.5  # points; legible at a notebook's width
SIZE = (8.0, 4.5)  # inches; a notebook's width
DPI = 144
NAME = re.compile(r"[^$]*[^\W\d_]")  # has a letter; not the powers of ten of an axis
SHOWN_DPI = 120  # of a figure that a notebook shows at 100


def described(shown: Figure) -> str:
    """The figure in words, for readers who do not see it: each plot's title, what is drawn against
    what, and the names and remarks in it; numbers, as in a heat map, are left out."""
    sentences = []
    for ax in shown.axes:
        ticks = (*ax.get_yticklabels(), *ax.get_xticklabels())
        texts = (*getattr(ax.get_legend(), "texts", ()), *ticks, *ax.texts)
        names = dict.fromkeys(filter(NAME.match, (text.get_text() for text in texts)))
        axes = " against ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
        head = ": ".join(filter(None, (ax.get_title("left") or ax.get_title(), axes)))
        sentence = " ".join(", with ".join(filter(None, (head, "; ".join(names)))).split())
        sentences += [f"{sentence[0].upper()}{sentence[1:]}."] if sentence else []
    return " ".join(["Figure.", *dict.fromkeys(sentences)])


class ShownFigure(Figure):
    """A figure that shows itself in a notebook, without pyplot and its global state."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        # finer than it is shown, for fine screens; yet a notebook holds a dozen of them
        width = round(100 * self.get_figwidth())
        return png(self, SHOWN_DPI), {"width": width, "alt": described(self)}

    __repr__ = described


def figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = SIZE) -> tuple[Figure, Any]:
    """A white figure and its axes: one :class:`Axes`, or an array of them if there are several."""
    shown = ShownFigure(figsize=size, facecolor="white", layout="constrained")
    return shown, shown.subplots(rows, columns)


def styled(
    ax: Axes, x: str, y: str, title: str = "", grid: Literal["both", "x", "y"] | None = "both"
) -> Axes:
    """Give the axes the course's style: labels with units, a pale grid behind, no box.

    Args:
        ax: what to draw on.
        x, y, title: what the axes are called.
        grid: across which axes it has lines.
    """
    ax.set_facecolor("white")
    ax.set_axisbelow(True)
    ax.grid(False)
    if grid:
        ax.grid(True, axis=grid, color=GRID, linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.set_xlabel(x, fontsize=TEXT, color=INK)
    ax.set_ylabel(y, fontsize=TEXT, color=INK)
    ax.tick_params(labelsize=SMALL, colors=INK, color=FAINT)
    if title:
        ax.set_title(title, fontsize=TEXT, color=INK, loc="left")
    return ax


def legend(ax: Axes, columns: int = 1) -> None:
    """The names of what is drawn, above the axes: there they hide nothing."""
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        fontsize=SMALL,
        labelcolor=INK,
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=1.8,
    )


def say(ax: Axes, message: str) -> None:
    """Write a sentence where a figure would be, if there is nothing to draw."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.text(
        0.5, 0.5, message, transform=ax.transAxes, ha="center", va="center",
        fontsize=TEXT, color=FAINT, wrap=True,
    )  # fmt: skip


def note(
    ax: Axes,
    text: str,
    at: Any,
    offset: tuple[float, float],
    coordinates: Any = "data",
    **more: Any,
) -> None:
    """Write a text so many points away from a place on the axes."""
    style: dict[str, Any] = {"fontsize": SMALL, "color": INK} | more
    ax.annotate(text, at, offset, coordinates, textcoords="offset points", **style)


def colour_bar(ax: Axes, mesh: QuadMesh, label: str, **more: Any) -> Colorbar:
    """What the colours of a heat map mean, to the right of it."""
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02, **more)
    bar.set_label(label, fontsize=TEXT, color=INK)
    bar.ax.tick_params(labelsize=SMALL, colors=INK)
    return bar


def positions(values: Any) -> numpy.ndarray:
    """A column of a table as an array of floats, with NaN where there is no number."""
    return numpy.asarray(values, dtype=float)


def png(shown: Figure, dpi: int = DPI) -> bytes:
    """The figure as an opaque PNG file's bytes, in all its colours: fewer would change bands."""
    buffer = io.BytesIO()
    shown.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()


def save(shown: Figure, path: str | Path) -> Path:
    """Write the figure as .png, .svg or .pdf, with a white background; returns the path.

    Raises:
        WorkbenchError: another suffix, or a folder that is not there.
    """
    path = Path(path)
    ends = (".png", ".svg", ".pdf")
    suffix = choice(f"the end of {path.name!r}", path.suffix.lower(), ends)
    buffer = io.BytesIO()
    shown.savefig(buffer, format=suffix[1:], dpi=DPI, facecolor="white")
    return write_atomically(path, buffer.getvalue(), "the figure")

"""A policy's distributions over one string as SVG, so quickly that a slider can be dragged.

``plots.draw_policy`` draws the same with matplotlib, for paper; that takes longer than a slider
waits. Here all that does not change is one picture (:attr:`HeatMap.frame`), and what does is laid
over it (:meth:`HeatMap.svg`): few elements for the browser, one for all cells of one colour.

A panel for each kind of decision, a row for each of its options, and the decisions of one block
below each other, so that what goes together stands together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import matplotlib
import numpy

from ...plots.style import FAINT, INK
from ...spaces.base import Decision
from ..common import escaped

ROW, GAP = 14, 16  # pixels: height of an option, and between two panels
LABELS, ROOM = 104, 430  # width of the options' names, and of all columns together
NARROWEST, WIDEST = 9.0, 40.0  # of a column
HEAD = 46  # three lines of names above the columns

#: Of each per cent of probability, as in ``plots.draw_policy``: dark blue is 0, yellow is 1, told
#: apart in black and white too.
COLOURS = [
    "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])
    for colour in matplotlib.colormaps["cividis"](numpy.linspace(0, 1, 101))
]

KINDS = {"hidden_state": "input"}
CELLS = {"normal": "normal cell", "reduction": "reduction cell", "both": "one cell for both"}


class HeatMap:
    """The map of one space; :meth:`svg` fills it with numbers.

    Args:
        decisions: the space's.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = tuple(decisions)
        self.options = [decision.labels for decision in self.decisions]
        blocks = [
            list(group)
            for _, group in groupby(
                range(len(self.decisions)),
                key=lambda t: (self.decisions[t].cell, self.decisions[t].block),
            )
        ]
        kinds = list(dict.fromkeys(decision.kind for decision in self.decisions))
        widths = [max(sum(self._is(t, kind) for t in b) for kind in kinds) for b in blocks]
        self._unit = min(max(ROOM / max(sum(widths), 1), NARROWEST), WIDEST)
        self._words: list[str] = []
        self._place: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)] * len(self.decisions)
        self._rows: list[list[int]] = [[] for _ in self.decisions]  # of each option, in its panel
        starts = self._columns(blocks, widths)
        y = float(HEAD)
        for kind in kinds:
            y = self._panel(kind, blocks, widths, starts, y) + GAP
        self.height = y + 18
        self._key(y + 4)
        self._size = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} '
            f'{self.height:.0f}" style="width:{self.width:.0f}px;max-width:100%;display:block" '
        )
        #: the names, the key and the background
        self.frame = (
            f'{self._size}aria-hidden="true" font-family="sans-serif" font-size="11" '
            f'fill="{INK}"><rect width="100%" height="100%" rx="6" fill="white"/>'
            f"{''.join(self._words)}</svg>"
        )
        self._cells = self._all_cells()

    def _is(self, t: int, kind: str) -> bool:
        return self.decisions[t].kind == kind

    def _say(self, x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> None:
        self._words.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escaped(words)}</text>'
        )

    def _columns(self, blocks: list[list[int]], widths: list[int]) -> list[float]:
        """Where each block's columns begin; names it and its cell above them."""
        starts, x, cell, first = [], float(LABELS), "", float(LABELS)
        bold = ' font-weight="bold"'
        for block, width in zip(blocks, widths, strict=True):
            decision = self.decisions[block[0]]
            if decision.cell != cell and cell:
                self._say((first + x - 3) / 2, 13, CELLS.get(cell, cell), more=bold)
                x += 9
                first = x
            cell = decision.cell
            starts.append(x)
            wide = width * self._unit
            title = f"block {decision.block}" if wide > 42 else str(decision.block)
            self._say(x + wide / 2, 28, title)
            x += wide + 3
        self._say((first + x - 3) / 2, 13, CELLS.get(cell, cell), more=bold)
        self.width = max(x + 5, LABELS + 230.0)  # room for the key
        return starts

    def _panel(
        self, kind: str, blocks: list[list[int]], widths: list[int], starts: list[float], y: float
    ) -> float:
        """Names and places of one kind of decision, from ``y`` down; returns where it ends."""
        members = [t for t in range(len(self.decisions)) if self._is(t, kind)]
        names = list(dict.fromkeys(name for t in members for name in self.options[t]))
        self._say(4, y - 4, KINDS.get(kind, kind), "start", f' fill="{FAINT}" font-style="italic"')
        for row, name in enumerate(names):
            self._say(LABELS - 6, y + row * ROW + 11, name, "end")
        for block, width, start in zip(blocks, widths, starts, strict=True):
            own = [t for t in block if self._is(t, kind)]
            for column, t in enumerate(own):
                wide = width * self._unit / len(own)
                self._place[t] = (start + column * wide, y, wide)
                self._rows[t] = [names.index(name) for name in self.options[t]]
                side = self._side(t) if len(own) > 1 else ""
                self._say(self._place[t][0] + wide / 2, y - 4, side, more=f' fill="{FAINT}"')
        return y + len(names) * ROW

    def _side(self, t: int) -> str:
        name = self.decisions[t].name
        return "L" if " left " in name else "R" if " right " in name else ""

    def _key(self, y: float) -> None:
        """What the colours mean."""
        self._say(LABELS - 6, y + 9, "probability  0", "end")
        self._words += [
            f'<rect x="{LABELS + n}" y="{y}" width="1.5" height="11" fill="{colour}"/>'
            for n, colour in enumerate(COLOURS)
        ]
        self._say(LABELS + 107, y + 9, "1", "start")
        self._words.append(_rings([(LABELS + 140, y + 5.5)]))
        self._say(LABELS + 150, y + 9, "drawn", "start")

    def _all_cells(self) -> list[tuple[int, int, str]]:
        """Of every option of every decision: the way around its place."""
        return [
            (t, c, f"M{x:.1f} {y + row * ROW}h{wide - 0.6:.1f}v{ROW - 0.6}h-{wide - 0.6:.1f}z")
            for t, (x, y, wide) in enumerate(self._place)
            for c, row in enumerate(self._rows[t])
        ]

    def svg(self, probabilities: numpy.ndarray, tokens: Sequence[int]) -> str:
        """What lies over :attr:`frame`: the probabilities and what was drawn.

        Args:
            probabilities: (T, C) of every choice of every decision.
            tokens: T, those that were drawn.
        """
        shades = (100 * probabilities + 0.5).astype(int).clip(0, 100).tolist()
        ways: dict[int, list[str]] = {}
        for t, c, way in self._cells:
            ways.setdefault(shades[t][c], []).append(way)
        parts = [
            f'<path d="{"".join(found)}" fill="{COLOURS[shade]}">'
            f"<title>probability {shade / 100:.2f}</title></path>"
            for shade, found in ways.items()
        ]
        middles = []
        for t, token in enumerate(tokens):
            x, y, wide = self._place[t]
            middles.append((x + wide / 2 - 0.3, y + (self._rows[t][token] + 0.5) * ROW - 0.3))
        mean = sum(float(probabilities[t, token]) for t, token in enumerate(tokens)) / len(tokens)
        label = (
            f"Heat map: the probability of every option of {len(tokens)} decisions. What was drawn "
            f"had a probability of {mean:.2f} on average."
        )
        return (
            f'{self._size}role="img" aria-label="{label}">{"".join(parts)}{_rings(middles)}</svg>'
        )


def _rings(middles: Sequence[tuple[float, float]]) -> str:
    """To be seen on dark and on light."""
    way = "".join(f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0" for x, y in middles)
    ring = f'<path pointer-events="none" d="{way}" fill="none" '
    return f'{ring}stroke="{INK}" stroke-width="3"/>{ring}stroke="white" stroke-width="1.6"/>'

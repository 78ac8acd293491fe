"""A policy's distributions over one token sequence as SVG, so quickly that a slider can be dragged.

``plots.draw_policy`` draws the same with matplotlib, for paper; that takes longer than a slider
waits. Here all that does not change is one picture (:attr:`HeatMap.frame`), and what does is laid
over it (:meth:`HeatMap.svg`): few elements for the browser, one for all fields of one colour.

A panel for each kind of decision, a row for each of its options, and the decisions of one block
below each other, so that what goes together is seen together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import matplotlib
import numpy

from ...plots.style import FAINT, INK
from ...spaces.base import Decision
from ..common import escaped

ROW, GAP = 14, 16  # pixels: height of an option, and between two panels
LABELS, COLUMNS = 104, 430  # width of the options' names, and of all columns together
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

    Attributes:
        frame: the names, the key and the background, as SVG.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._texts: list[str] = []
        #: by decision and choice: left, top and width of its field
        self._fields: list[list[tuple[float, float, float]]] = [[] for _ in decisions]
        by_block = groupby(enumerate(decisions), lambda item: (item[1].cell, item[1].block))
        blocks = [list(group) for _, group in by_block]
        widths = self._widths([[decision for _, decision in block] for block in blocks])
        starts, right = self._name_blocks(blocks, widths)
        y = float(HEAD)
        for kind in dict.fromkeys(decision.kind for decision in decisions):
            of_kind = [[(t, d) for t, d in block if d.kind == kind] for block in blocks]
            names = list(
                dict.fromkeys(name for block in of_kind for _, d in block for name in d.labels)
            )
            style = f' fill="{FAINT}" font-style="italic"'
            self._write(4, y - 4, KINDS.get(kind, kind), "start", style)
            for row, name in enumerate(names):
                self._write(LABELS - 6, y + row * ROW + 11, name, "end")
            for block, width, start in zip(of_kind, widths, starts, strict=True):
                for column, (t, decision) in enumerate(block):
                    wide = width / len(block)
                    left = start + column * wide
                    if len(block) > 1:
                        side = _side(decision)
                        self._write(left + wide / 2, y - 4, side, style=f' fill="{FAINT}"')
                    self._fields[t] = [
                        (left, y + names.index(name) * ROW, wide) for name in decision.labels
                    ]
            y += len(names) * ROW + GAP
        self._write_key(y + 4)
        width, height = max(right + 5, LABELS + 230.0), y + 18  # the key is 230 wide
        self._size = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'style="width:{width:.0f}px;max-width:100%;display:block" '
        )
        self.frame = (
            f'{self._size}aria-hidden="true" font-family="sans-serif" font-size="11" '
            f'fill="{INK}"><rect width="100%" height="100%" rx="6" fill="white"/>'
            f"{''.join(self._texts)}</svg>"
        )
        #: of every choice of every decision: the way around its field
        self._ways = [
            (t, c, f"M{x:.1f} {y}h{wide - 0.6:.1f}v{ROW - 0.6}h-{wide - 0.6:.1f}z")
            for t, fields in enumerate(self._fields)
            for c, (x, y, wide) in enumerate(fields)
        ]

    @staticmethod
    def _widths(blocks: Sequence[Sequence[Decision]]) -> list[float]:
        """Of the columns of each block: as many as its decisions of the most frequent kind."""
        columns = [max(Counter(d.kind for d in block).values()) for block in blocks]
        unit = min(max(COLUMNS / sum(columns), NARROWEST), WIDEST)
        return [count * unit for count in columns]

    def _name_blocks(
        self, blocks: list[list[tuple[int, Decision]]], widths: list[float]
    ) -> tuple[list[float], float]:
        """Name each block and each cell above the columns; where each block's begin, and the last
        one ends."""
        starts: list[float] = []
        x = float(LABELS)
        named = zip((block[0][1] for block in blocks), widths, strict=True)
        for cell, group in groupby(named, lambda pair: pair[0].cell):
            x += 9 if starts else 0
            first = x
            for decision, width in group:
                starts.append(x)
                title = f"block {decision.block}" if width > 42 else str(decision.block)
                self._write(x + width / 2, 28, title)
                x += width + 3
            self._write((first + x - 3) / 2, 13, CELLS.get(cell, cell), style=' font-weight="bold"')
        return starts, x

    def _write(
        self, x: float, y: float, words: str, anchor: str = "middle", style: str = ""
    ) -> None:
        self._texts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escaped(words)}</text>'
        )

    def _write_key(self, y: float) -> None:
        """What the colours mean."""
        self._write(LABELS - 6, y + 9, "probability  0", "end")
        self._texts += [
            f'<rect x="{LABELS + n}" y="{y}" width="1.5" height="11" fill="{colour}"/>'
            for n, colour in enumerate(COLOURS)
        ]
        self._write(LABELS + 107, y + 9, "1", "start")
        self._texts.append(_rings([(LABELS + 140, y + 5.5)]))
        self._write(LABELS + 150, y + 9, "drawn", "start")

    def svg(self, probabilities: numpy.ndarray, tokens: Sequence[int]) -> str:
        """What lies over :attr:`frame`: the probabilities and what was drawn.

        Args:
            probabilities: (T, C) of every choice of every decision.
            tokens: T, those that were drawn.
        """
        shades = (100 * probabilities + 0.5).astype(int).clip(0, 100).tolist()
        ways: dict[int, list[str]] = {}
        for t, c, way in self._ways:
            ways.setdefault(shades[t][c], []).append(way)
        parts = [
            f'<path d="{"".join(around)}" fill="{COLOURS[shade]}">'
            f"<title>probability {shade / 100:.2f}</title></path>"
            for shade, around in ways.items()
        ]
        drawn = [fields[token] for fields, token in zip(self._fields, tokens, strict=True)]
        rings = _rings([(x + wide / 2 - 0.3, y + ROW / 2 - 0.3) for x, y, wide in drawn])
        mean = float(probabilities[range(len(tokens)), list(tokens)].mean())
        label = (
            f"Heat map: the probability of every option of {len(tokens)} decisions. What was drawn "
            f"had a probability of {mean:.2f} on average."
        )
        return f'{self._size}role="img" aria-label="{label}">{"".join(parts)}{rings}</svg>'


def _side(decision: Decision) -> str:
    return "L" if " left " in decision.name else "R" if " right " in decision.name else ""


def _rings(middles: Sequence[tuple[float, float]]) -> str:
    """To be seen on dark and on light."""
    way = "".join(f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0" for x, y in middles)
    ring = f'<path pointer-events="none" d="{way}" fill="none" '
    return f'{ring}stroke="{INK}" stroke-width="3"/>{ring}stroke="white" stroke-width="1.6"/>'

"""A cell as nodes and edges with coordinates: graphviz's own, of the library's own drawing.

The picture that :func:`nasworkbench.draw` makes is laid out once more, as JSON. A front end draws
it from that, so that an edited cell looks like every other cell in this library.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

from ..drawing.cells import cell_source
from ..drawing.dot import THEMES
from ..drawing.rendering import render
from ..genotype import Cell

#: How cell_source names its nodes.
_NAME = re.compile(r"cell_(?:(input)_(\d+)|block_(\d+)_(left|right|combine)|(output))")

_POINTS_AN_INCH = 72


@lru_cache(maxsize=256)
def diagram(cell: Cell) -> dict[str, Any]:
    """What a front end needs to draw a cell; ready for JSON. Do not change it: it is remembered.

    Lengths are points, the origin is the upper left corner.

    Returns:
        ``width``, ``height``, and three lists. ``nodes``: ``key``, ``kind`` (``input``,
        ``operation``, ``combine`` or ``output``), centre ``x`` and ``y``, ``width``, ``height``,
        ``lines`` (the text), ``label`` (the same in words, for screen readers), ``used``, and as
        far as it has them ``block``, ``side`` and ``state`` (the hidden state that it is).
        ``edges``: ``path`` and ``tip`` (SVG path data of the line and of its arrow head),
        ``source`` and ``target`` (keys of nodes), ``kind`` (``older``, ``newer`` or ``inner``),
        ``used``. ``frames``: ``x``, ``y``, ``width``, ``height``, ``used``, one a block.

    Raises:
        WorkbenchError: graphviz is not installed.
    """
    laid = json.loads(render(cell_source(cell, THEMES["light"]), "json"))
    _, _, width, height = map(float, laid["bb"].split(","))
    nodes: dict[int, dict[str, Any]] = {}
    frames = []
    for thing in laid["objects"]:
        if match := _NAME.fullmatch(thing["name"]):
            nodes[thing["_gvid"]] = _node(cell, thing, match, height)
        elif match := re.fullmatch(r"cluster_cell_block_(\d+)", thing["name"]):
            left, bottom, right, top = map(float, thing["bb"].split(","))
            frames.append(
                {
                    "x": left,
                    "y": height - top,
                    "width": right - left,
                    "height": top - bottom,
                    "used": int(match[1]) in cell.used,
                }
            )
    edges = [
        _edge(cell, edge, nodes[edge["tail"]], nodes[edge["head"]], height)
        for edge in laid["edges"]
        if edge.get("style") != "invis"  # it holds the inputs in order, and is not seen
    ]
    return {
        "width": width,
        "height": height,
        "nodes": list(nodes.values()),
        "edges": edges,
        "frames": frames,
    }


def _node(cell: Cell, thing: dict[str, Any], match: re.Match[str], height: float) -> dict[str, Any]:
    x, y = map(float, thing["pos"].split(","))
    _, state, block, part, _ = match.groups()
    found: dict[str, Any] = {
        "key": thing["name"].removeprefix("cell_"),
        "x": x,
        "y": height - y,
        "width": float(thing["width"]) * _POINTS_AN_INCH,
        "height": float(thing["height"]) * _POINTS_AN_INCH,
        "lines": thing["label"].split("\\n"),
        "used": block is None or int(block) in cell.used,
    }
    if state is not None:
        reaches = {s for number in cell.used for s in cell.blocks[number].inputs} | {*cell.concat}
        found |= {"kind": "input", "state": int(state), "used": int(state) in reaches}
        found["label"] = f"{cell.state_name(int(state))}, an input of the cell"
    elif block is None:
        names = ", ".join(cell.state_name(joined) for joined in cell.concat)
        found |= {"kind": "output", "label": f"output of the cell: joins {names}"}
    elif part == "combine":
        number = int(block)
        found |= {"kind": "combine", "block": number, "state": cell.inputs + number}
        found["label"] = f"block {number}: {cell.blocks[number].combine}"
    else:
        read, operation = {
            side: (read, operation) for side, read, operation in cell.blocks[int(block)].sides
        }[part]
        found |= {"kind": "operation", "block": int(block), "side": part, "reads": read}
        found["label"] = f"block {block}, {part}: {operation} of {cell.state_name(read)}"
    if not found["used"]:
        found["label"] += ", not used: the output cannot be reached from it"
    return found


def _edge(
    cell: Cell, edge: dict[str, Any], source: dict[str, Any], target: dict[str, Any], height: float
) -> dict[str, Any]:
    """``pos`` is ``e,x,y`` (where the arrow ends) and the control points of a Bézier spline."""
    tip, *points = [
        (float(x), height - float(y))
        for x, y in (word.split(",")[-2:] for word in edge["pos"].split())
    ]
    start, *rest = (f"{x:.2f},{y:.2f}" for x, y in points)
    reads = source.get("state", cell.inputs)
    kind = "inner" if reads >= cell.inputs else "newer" if reads == cell.inputs - 1 else "older"
    used = target["used"] if target["kind"] != "combine" else source["used"]
    return {
        "path": f"M{start}C{' '.join(rest)}",
        "tip": _arrow_head(points[-1], tip),
        "source": source["key"],
        "target": target["key"],
        "kind": kind,
        "used": used,
    }


def _arrow_head(base: tuple[float, float], tip: tuple[float, float]) -> str:
    """A triangle from the end of the line to the tip, half as wide as long on either side."""
    (x, y), (tip_x, tip_y) = base, tip
    length = math.hypot(tip_x - x, tip_y - y) or 1.0
    across_x, across_y = -(tip_y - y) / length * 1.8, (tip_x - x) / length * 1.8
    return (
        f"M{x + across_x:.2f},{y + across_y:.2f} {tip_x:.2f},{tip_y:.2f} "
        f"{x - across_x:.2f},{y - across_y:.2f}Z"
    )

"""A cell as nodes and edges with coordinates: graphviz's own, of the library's own drawing.

The picture that :func:`nasworkbench.draw` makes is laid out once more, as JSON. A front end draws
it from that, so that an edited cell looks like every other cell in this library.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from ...drawing.cells import cell_source
from ...drawing.dot import THEMES
from ...drawing.rendering import render
from ...genotype import Cell

_PREFIX = "cell_"  #: how cell_source begins the names of nodes
_FRAME = "cluster_cell_block_"
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
    layout = json.loads(render(cell_source(cell, THEMES["light"]), "json"))
    _, _, width, height = map(float, layout["bb"].split(","))
    meanings = _meanings(cell)
    nodes: dict[int, dict[str, Any]] = {}
    frames = []
    for shape in layout["objects"]:
        key = shape["name"].removeprefix(_PREFIX)
        if key in meanings:
            x, y = map(float, shape["pos"].split(","))
            nodes[shape["_gvid"]] = meanings[key] | {
                "key": key,
                "x": x,
                "y": height - y,
                "width": float(shape["width"]) * _POINTS_AN_INCH,
                "height": float(shape["height"]) * _POINTS_AN_INCH,
                "lines": shape["label"].split("\\n"),
            }
        elif key.startswith(_FRAME):
            left, bottom, right, top = map(float, shape["bb"].split(","))
            size = {"width": right - left, "height": top - bottom}
            used = int(key.removeprefix(_FRAME)) in cell.used
            frames.append({"x": left, "y": height - top, "used": used} | size)
    edges = [
        _edge(cell, edge, nodes[edge["tail"]], nodes[edge["head"]], height)
        for edge in layout["edges"]
        if edge.get("style") != "invis"  # it keeps the inputs in order
    ]
    shapes = {"nodes": list(nodes.values()), "edges": edges, "frames": frames}
    return {"width": width, "height": height} | shapes


def _meanings(cell: Cell) -> dict[str, dict[str, Any]]:
    """What each node of the drawing is, by its key."""
    reached = {state for number in cell.used for state in cell.blocks[number].inputs}
    joined = ", ".join(cell.state_name(state) for state in cell.concat)
    meanings: dict[str, dict[str, Any]] = {
        "output": {"kind": "output", "used": True, "label": f"output of the cell: joins {joined}"}
    }
    for state in range(cell.inputs):
        label = f"{cell.state_name(state)}, an input of the cell"
        used = state in reached or state in cell.concat
        meanings[f"input_{state}"] = {"kind": "input", "state": state, "used": used, "label": label}
    for number, block in enumerate(cell.blocks):
        shared: dict[str, Any] = {"block": number, "used": number in cell.used}
        for side, read, operation in block.sides:
            label = f"block {number}, {side}: {operation} of {cell.state_name(read)}"
            node = {"kind": "operation", "side": side, "reads": read, "label": label}
            meanings[f"block_{number}_{side}"] = shared | node
        node = {"kind": "combine", "state": cell.inputs + number}
        label = f"block {number}: {block.combine}"
        meanings[f"block_{number}_combine"] = shared | node | {"label": label}
    for meaning in meanings.values():
        if not meaning["used"]:
            meaning["label"] += ", not used: the output cannot be reached from it"
    return meanings


def _edge(
    cell: Cell, edge: dict[str, Any], source: dict[str, Any], target: dict[str, Any], height: float
) -> dict[str, Any]:
    """An edge from what graphviz drew: a Bézier spline, and a polygon as its arrow head."""
    marks: list[dict[str, Any]] = [*edge["_draw_"], *edge["_hdraw_"]]
    drawn = {mark["op"]: mark.get("points", ()) for mark in marks}
    start, *line = (f"{x:.2f},{height - y:.2f}" for x, y in drawn["b"])
    tip = " ".join(f"{x:.2f},{height - y:.2f}" for x, y in drawn["P"])
    reads = source.get("state", cell.inputs)
    return {
        "path": f"M{start}C{' '.join(line)}",
        "tip": f"M{tip}Z",
        "source": source["key"],
        "target": target["key"],
        "kind": "inner" if reads >= cell.inputs else ("older", "newer")[reads == cell.inputs - 1],
        "used": target["used"] if target["kind"] != "combine" else source["used"],
    }

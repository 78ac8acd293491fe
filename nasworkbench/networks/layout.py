"""The layout of a child network: which cells come where, what each reads, how wide it is.

A plain list of records, made before any weight exists. :class:`CellNetwork` builds one module per
record and runs them in this order; the drawings and :func:`profile` read the same list.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..checks import is_whole
from ..errors import NetworkError
from ..genotype import Genotype

#: The two stems (NASNet paper, Figure 2): one 3x3 convolution, or one followed by two small
#: reduction cells, so that a 224 x 224 image enters the first stage as a 28 x 28 map.
STEMS = ("cifar", "imagenet")

#: The map that an auxiliary head's average pool needs (5x5, stride 3, no padding).
AUXILIARY_POOL = 5


@dataclass(frozen=True)
class Layer:
    """One layer of the stacked network.

    Args:
        name: ``stem``, ``stem_0``, ``stem_1``, ``normal_0``, ``reduction_0``, ..., ``auxiliary``
            or ``classifier``.
        role: ``stem``, ``reduction``, ``normal``, ``auxiliary`` or ``classifier``.
        inputs: names of the layers it reads, the older one first (a cell may ignore one).
        filters: channels of its output.
        stage: 0 is the stem; a reduction cell opens the stage 2 or 3.
        width: F inside the cell (0 where the layer is not a cell).
        halvings: how often cells have halved the map by the time it leaves (or enters a head).
        pair: a cell's older and newer layer, whether it reads them or not.
    """

    name: str
    role: str
    inputs: tuple[str, ...]
    filters: int
    stage: int
    width: int = 0
    halvings: int = 0
    pair: tuple[str, ...] = ()

    @property
    def is_cell(self) -> bool:
        """Whether the layer is a normal or a reduction cell (those of the stem included)."""
        return self.width > 0


def lay_out(
    genotype: Genotype,
    cells: tuple[int, int, int],
    filters: int,
    classes: int,
    stem: str,
    stem_filters: int,
    skip_reduction_layer_input: bool = False,
    auxiliary: bool = False,
) -> tuple[Layer, ...]:
    """All layers in order (NASNet paper, section 3; details as in the authors' ``nasnet.py``).

    Each cell is given the outputs of the two layers before it; the first cell the stem twice.
    Three stages of normal cells; a reduction cell before the second and third doubles F.
    ``skip_reduction_layer_input``: the normal cell right after a reduction cell is given, as its
    older input, what the reduction cell was given (the authors' large model), not the layer just
    before the reduction cell. Layers that no head can be reached from are left out: they exist
    where both cells ignore one of their inputs.
    """
    layers = [Layer("stem", "stem", (), stem_filters, 0)]
    pair = ("stem", "stem")  # what the next cell is given

    def append_cell(name: str, role: str, stage: int, width: int) -> None:
        nonlocal pair
        cell = genotype.normal if role == "normal" else genotype.reduction
        inputs = tuple(pair[state] for state in (0, 1) if state in cell.states_read)
        channels = len(cell.concat) * width
        halvings = layers[-1].halvings + (role != "normal")
        layers.append(Layer(name, role, inputs, channels, stage, width, halvings, pair))
        pair = (pair[1], name)

    def append_head(name: str, stage: int) -> None:
        head = Layer(name, name, pair[1:], classes, stage, halvings=layers[-1].halvings)
        layers.append(head)

    if stem == "imagenet":
        append_cell("stem_0", "stem", 0, filters // 4)
        append_cell("stem_1", "stem", 0, filters // 2)
    number = 0
    for stage, count in enumerate(cells, start=1):
        width, before = filters * 2 ** (stage - 1), pair
        if stage > 1:
            if stage == 3 and auxiliary:
                append_head("auxiliary", 2)  # "2/3 of the way up": before the second reduction
            append_cell(f"reduction_{stage - 2}", "reduction", stage, width)
            if skip_reduction_layer_input:
                pair = (before[0], pair[1])
        for _ in range(count):
            append_cell(f"normal_{number}", "normal", stage, width)
            number += 1
    append_head("classifier", 3)
    return _reaching_a_head(layers)


def _reaching_a_head(layers: list[Layer]) -> tuple[Layer, ...]:
    reached: set[str] = {"auxiliary", "classifier"}
    for layer in reversed(layers):
        if layer.name in reached:
            reached.update(layer.inputs)
    return tuple(layer for layer in layers if layer.name in reached)


def stage_sizes(cells: int | Sequence[int]) -> tuple[int, int, int]:
    """Normal cells of the three stages, from N or from three numbers.

    Raises:
        NetworkError: anything else than whole numbers from 1.
    """
    sizes = tuple(cells) if isinstance(cells, Sequence) else (cells,) * 3
    if len(sizes) != 3 or not all(is_whole(size, 1) for size in sizes):
        raise NetworkError(
            f"cells is the number of normal cells per stage: a whole number from 1, or three of "
            f"them, got {cells!r:.80}"
        )
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def map_size(image_size: int, stem: str, halvings: int) -> int:
    """Side of the square map after the stem's convolution and so many halvings, rounded up."""
    side = image_size if stem == "cifar" else (image_size - 3) // 2 + 1  # VALID 3x3, stride 2
    for _ in range(halvings):
        side = (side + 1) // 2
    return side


def smallest_image(stem: str, halvings: int, side: int) -> int:
    """The side of the smallest image whose map, after so many halvings, is still ``side`` wide."""
    return next(size for size in itertools.count(1) if map_size(size, stem, halvings) >= side)

"""The plan of a child network: which cells stand where, what each reads, how wide it is.

A plain list of records, made before any weight exists. :class:`CellNetwork` builds one module per
record and runs them in this order; the drawings and :func:`profile` read the same list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import NetworkError, listed
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
        inputs: names of the layers it reads, the older one first.
        filters: channels of its output.
        stage: 0 is the stem; a reduction cell opens the stage 2 or 3.
        width: F inside the cell (0 where the layer is no cell).
        halvings: how often cells have halved the map by the time it leaves this layer.
    """

    name: str
    role: str
    inputs: tuple[str, ...]
    filters: int
    stage: int
    width: int = 0
    halvings: int = 0

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
    """All layers in order (the authors' ``nasnet.py``; facts in the NASNet paper, section 3).

    Each cell reads the outputs of the two layers before it; the first cell reads the stem twice.
    Three stages of normal cells; a reduction cell before the second and third doubles F.
    ``skip_reduction_layer_input``: the normal cell right after a reduction cell reads, as its
    older input, what the reduction cell read (the authors' large model), not the layer just
    before the reduction cell.
    """
    states = {"normal": len(genotype.normal.concat), "reduction": len(genotype.reduction.concat)}
    layers = [Layer("stem", "stem", (), stem_filters, 0)]
    inputs = ("stem", "stem")

    def append(name: str, role: str, stage: int, width: int, reads: tuple[str, str]) -> None:
        nonlocal inputs
        kind = "normal" if role == "normal" else "reduction"
        halvings = layers[-1].halvings + (kind == "reduction")
        layers.append(Layer(name, role, reads, states[kind] * width, stage, width, halvings))
        inputs = (reads[1], name)

    if stem == "imagenet":
        append("stem_0", "stem", 0, filters // 4, inputs)
        append("stem_1", "stem", 0, filters // 2, inputs)

    heads: list[Layer] = []
    for stage in (1, 2, 3):
        before = inputs
        if stage > 1:
            if stage == 3 and auxiliary:
                # "2/3 of the way up": on the last layer before the second reduction cell.
                heads = [Layer("auxiliary", "auxiliary", (inputs[1],), classes, 2)]
            append(f"reduction_{stage - 2}", "reduction", stage, filters * 2 ** (stage - 1), inputs)
            if skip_reduction_layer_input:
                inputs = (before[0], inputs[1])
        first = sum(cells[: stage - 1])
        for number in range(first, first + cells[stage - 1]):
            append(f"normal_{number}", "normal", stage, filters * 2 ** (stage - 1), inputs)

    heads.append(Layer("classifier", "classifier", (inputs[1],), classes, 3))
    return (*layers, *heads)


def stage_sizes(cells: int | Sequence[int]) -> tuple[int, int, int]:
    """Normal cells of the three stages, from N or from three numbers.

    Raises:
        NetworkError: anything else than whole numbers from 1.
    """
    sizes = (cells,) * 3 if isinstance(cells, int) else tuple(cells)
    if len(sizes) != 3 or not all(is_count(size) for size in sizes):
        raise NetworkError(
            f"cells is the number of normal cells per stage: a whole number from 1, or three of "
            f"them, got {cells!r}"
        )
    return sizes[0], sizes[1], sizes[2]


def check_filters(filters: int, stem: str) -> None:
    """See that every cell has at least one filter.

    Raises:
        NetworkError: an unknown stem, or F below 1 in some cell (the first cell of the ImageNet
            stem has F/4).
    """
    if stem not in STEMS:
        raise NetworkError(f"unknown stem {stem!r}; the stems are {listed(STEMS)}")
    smallest = 4 if stem == "imagenet" else 1
    if not is_count(filters) or filters < smallest:
        reason = ", because its first cell has F/4" if stem == "imagenet" else ""
        raise NetworkError(
            f"filters (F) must be a whole number from {smallest} with the {stem} stem{reason}, "
            f"got {filters!r}"
        )


def map_size(image_size: int, stem: str, halvings: int) -> int:
    """Side of the square map after the stem's convolution and so many halvings, rounded up."""
    side = image_size if stem == "cifar" else (image_size - 3) // 2 + 1  # VALID 3x3, stride 2
    for _ in range(halvings):
        side = (side + 1) // 2
    return side


def smallest_image(layout: Sequence[Layer], stem: str) -> int:
    """The smallest side at which every reduction cell still finds a map of at least 2."""
    deepest = max(layer.halvings for layer in layout)
    return _smallest(lambda size: map_size(size, stem, deepest - 1) >= 2)


def smallest_auxiliary_image(layout: Sequence[Layer], stem: str) -> int:
    """The smallest side at which the auxiliary head's 5x5 pool fits."""
    halvings = auxiliary_halvings(layout)
    return _smallest(lambda size: map_size(size, stem, halvings) >= AUXILIARY_POOL)


def auxiliary_halvings(layout: Sequence[Layer]) -> int:
    """How often the map that the auxiliary head reads has been halved."""
    by_name = {layer.name: layer for layer in layout}
    return by_name[by_name["auxiliary"].inputs[0]].halvings


def _smallest(fits) -> int:
    size = 1
    while not fits(size):
        size += 1
    return size


def is_count(value: object) -> bool:
    """Whether the value is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1

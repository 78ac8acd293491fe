"""The paper's notation ``N @ P``: N normal cells per stage, P channels before the classifier."""

from __future__ import annotations

import re
from typing import Any

from ..errors import NetworkError
from ..genotype import Genotype

#: Published ImageNet sizes (N, P) whose settings the notation does not tell: NASNet-A large
#: (the authors' ``nasnet.py``) and PNASNet-5 large (``pnasnet.py``). All others, the mobile ones
#: among them: a stem of 32 filters.
LARGE: dict[tuple[int, int], dict[str, Any]] = {
    (6, 4032): {"stem_filters": 96, "skip_reduction_layer_input": True},
    (4, 4320): {"stem_filters": 96},
}


def read_notation(notation: str, genotype: Genotype) -> tuple[int, int]:
    """N and P of ``"N @ P"``; P = 4 F x the number of states in the normal cell's output.

    Raises:
        NetworkError: another form, or a P that no whole F gives; names the nearest one that does.
    """
    match = (
        re.fullmatch(r"\s*(\d+)\s*@\s*(\d+)\s*", notation) if isinstance(notation, str) else None
    )
    if match is None:
        raise NetworkError(
            f'the notation is "N @ P", N normal cells per stage and P channels in the penultimate '
            f'layer, as in "4 @ 1056"; got {notation!r}'
        )
    cells, penultimate = int(match[1]), int(match[2])
    states = len(genotype.normal.concat)
    if penultimate % (4 * states) or penultimate == 0:
        nearest = max(1, round(penultimate / (4 * states))) * 4 * states
        raise NetworkError(
            f"{notation!r}: the normal cell concatenates {states} states of 4 F channels in the "
            f"last stage, so P must be a multiple of {4 * states}; the nearest is {nearest} "
            f"(F = {nearest // (4 * states)}), got {penultimate}"
        )
    return cells, penultimate


def published_settings(stem: str, cells: int, penultimate: int) -> dict[str, Any]:
    """The settings with which this size was published."""
    return dict(LARGE.get((cells, penultimate), {})) if stem == "imagenet" else {}

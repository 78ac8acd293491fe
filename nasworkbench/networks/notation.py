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


def read_notation(notation: str, genotype: Genotype, stem: str) -> dict[str, Any]:
    """The settings of ``"N @ P"``: ``cells`` N, ``filters`` F, and those of the published size.

    P = 4 F x the number of states in the normal cell's output.

    Raises:
        NetworkError: another form, or a P that no whole F gives; names the nearest one that does.
    """
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*@\s*([0-9]{1,9})\s*", str(notation))
    if match is None:
        raise NetworkError(
            f'the notation is "N @ P", N normal cells per stage and P channels in the penultimate '
            f'layer, as in "4 @ 1056"; got {notation!r:.80}'
        )
    cells, penultimate = int(match[1]), int(match[2])
    states = len(genotype.normal.concat)
    filters, rest = divmod(penultimate, 4 * states)
    if rest or not filters:
        nearest = max(1, round(penultimate / (4 * states)))
        raise NetworkError(
            f"{notation!r}: the normal cell concatenates {states} states of 4 F channels in the "
            f"last stage, so P must be a multiple of {4 * states}; the nearest is "
            f"{nearest * 4 * states} (F = {nearest}), got {penultimate}"
        )
    published = LARGE.get((cells, penultimate), {}) if stem == "imagenet" else {}
    return {"cells": cells, "filters": filters} | published

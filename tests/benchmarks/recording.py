"""Stores an experiment for ``nasworkbench.recordings.experiment``."""

from __future__ import annotations

import json
import lzma
import time
from collections.abc import Mapping, Sequence

from nasworkbench.files import write_atomically
from nasworkbench.provenance import provenance
from nasworkbench.recordings.experiments import END, FOLDER


def record(
    name: str,
    values: Mapping[str, Sequence[Sequence[float | None]]],
    points: Sequence[int],
    **about: object,
) -> None:
    """Store an experiment in the library.

    Args:
        name: of the experiment.
        values: by variant, a list of numbers for each seed, one at each point.
        points: along the x axis.
        about: ``question``, ``x``, ``measure``, ``more_is_better`` and ``command``.
    """
    about |= {"date": time.strftime("%Y-%m-%d"), **provenance()}
    stored = {"about": about, "points": list(points), "values": dict(values)}
    text = json.dumps(stored, separators=(",", ":"), allow_nan=False).encode()
    packed = lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)
    write_atomically(FOLDER / f"{name}{END}", packed, f"the experiment {name}")

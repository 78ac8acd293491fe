"""From any architecture to its network."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from ..errors import NetworkError, listed
from ..genotype import Genotype
from .network import CellNetwork


@singledispatch
def build(architecture: Any, **settings: Any) -> Any:
    """The network of an architecture, with fresh weights from torch's global generator.

    Another kind of architecture is built once its network class takes these settings and is
    registered: ``build.register(Kind, KindNetwork)``.

    Args:
        architecture: e.g. a :class:`~nasworkbench.genotype.Genotype`.
        settings: ``cells`` (N, normal cells per stage), ``filters`` (F, the channels of a hidden
            state in the first stage), ``classes`` (logits of the classifier), ``channels`` of the
            images, ``image_size`` (side of the square images), and further arguments of the
            network class, e.g. ``dropout``.

    Raises:
        NetworkError: an architecture that no network is registered for, or a setting out of range.
    """
    kinds = (kind.__name__ for kind in build.registry if kind is not object)
    raise NetworkError(
        f"no network can be built from {architecture!r:.80} ({type(architecture).__name__}); "
        f"networks are built from {listed(kinds)}"
    )


build.register(Genotype, CellNetwork)

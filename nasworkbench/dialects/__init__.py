"""Other people's encodings of cells, read and written without loss.

``loads(text, dialect)`` and ``dumps(genotype, dialect)``; the dialects are ``"darts"``, ``"slim"``,
``"enas"`` and ``"nni"``, one file each, which says where the encoding comes from and what it cannot
say. An operation is never mapped onto a look-alike: what has no counterpart is a
:class:`~nasworkbench.errors.DialectError`. No text is ever evaluated.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from ..checks import choice, instance
from ..errors import DialectError, errors_in
from ..genotype import Genotype
from . import darts, enas, nni, slim
from ._literals import check_text

#: The dialects by name; each module has ``loads`` and ``dumps``.
DIALECTS: dict[str, ModuleType] = {"darts": darts, "slim": slim, "enas": enas, "nni": nni}

__all__ = ["DIALECTS", "dumps", "loads"]


def loads(text: str, dialect: str, name: str | None = None) -> Genotype:
    """Read a genotype from another project's text.

    Args:
        text: the encoding; see the dialect's module for its form.
        dialect: ``"darts"``, ``"slim"``, ``"enas"`` or ``"nni"``.
        name: the genotype's name, if it should have one.

    Raises:
        DialectError: an unknown dialect, or text that is malformed; the message says where.
    """
    module = _module(dialect)
    with errors_in(f"dialect '{dialect}': ", DialectError):
        return replace(module.loads(check_text(text)), name=name)


def dumps(genotype: Genotype, dialect: str) -> str:
    """Write a genotype as another project writes it; :func:`loads` reads it back unchanged.

    Raises:
        DialectError: an unknown dialect, or a genotype that the dialect cannot say; the message
            names the block and the reason.
    """
    instance("genotype", genotype, Genotype, "Genotype(normal, reduction)", DialectError)
    module = _module(dialect)
    with errors_in(f"dialect '{dialect}': ", DialectError):
        return module.dumps(genotype)


def _module(dialect: str) -> ModuleType:
    return DIALECTS[choice("dialect", dialect, DIALECTS, DialectError)]

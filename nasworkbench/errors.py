"""One family of errors, so that a user catches one name and reads one kind of message.

A message says what came, where, what is allowed, and the next step. It is one line of printable
text, whatever the file, the name or the library that it quotes.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

#: Longest message, in characters (this project's choice); longer ones lose their middle.
LONGEST_MESSAGE = 2_000


class WorkbenchError(Exception):
    """Anything a user can put right: bad input, missing data, a folder that is taken."""

    def __str__(self) -> str:
        return printable(super().__str__())


class GenotypeError(WorkbenchError):
    """A block, cell or genotype that cannot exist."""


class DialectError(WorkbenchError):
    """Text of another project's encoding that is malformed, or that cannot say what was asked."""


class SpaceError(WorkbenchError):
    """A search space that cannot be built, or a genotype or token string outside of it."""


class NetworkError(WorkbenchError):
    """A network that cannot be built, or an image it cannot take."""


class DataError(WorkbenchError):
    """A data set that is unknown, missing or corrupt."""


class SettingsError(WorkbenchError):
    """A setting outside its range: a recipe, a controller, an executor or a tier."""


class TableError(WorkbenchError):
    """A table that is unknown, damaged or of another space, or a key that is not in it."""


class StoreError(WorkbenchError):
    """A run folder that is taken, damaged, locked, or belongs to another search."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which ``pip install`` line brings it.

    Raises:
        WorkbenchError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise WorkbenchError(
            f"the package '{module}' is needed here and cannot be imported ({error}). "
            f'Install it with: pip install "nasworkbench[{extra}]"'
        ) from error


@contextmanager
def errors_in(where: str, error: type[WorkbenchError]) -> Iterator[None]:
    """What is raised inside says where, as an error of this class."""
    try:
        yield
    except WorkbenchError as problem:
        raise error(f"{where}{problem}") from None


def listed(names) -> str:
    """``a, b and c``: how the messages list what is allowed."""
    words = [str(name) for name in names]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def printable(text: object, most: int = LONGEST_MESSAGE) -> str:
    """A text from outside as one line that a terminal may show.

    Control characters, and whatever else is not printable, are written as escapes (``\\x1b``); of
    more than ``most`` characters the middle is left out.
    """
    line = " ".join(str(text).splitlines())
    if len(line) > most:
        line = f"{line[: 2 * most // 3]} … {line[-most // 4 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def shown(value: object, most: int = 80) -> str:
    """How a message shows a value: the beginning of its ``repr``, or its type if that fails."""
    try:
        return repr(value)[:most]
    except Exception:  # anyone's object; or a number of more than 4,300 digits
        return f"a value of type {type(value).__name__}"

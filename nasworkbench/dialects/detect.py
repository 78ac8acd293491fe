"""Recognise a pasted genotype by trying every form that is known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import shorten

from ..checks import choice
from ..errors import DialectError, WorkbenchError
from ..genotype import Genotype
from . import DIALECTS
from ._literals import check_text

#: Words that give a text's form away; then its reason is shown whole.
MARKS = {
    "JSON": '"format"',
    "darts": "Genotype(",
    "slim": "hiddenstate_indices",
    "nni": "/op_",
    "enas": "normal:",
}

#: What can read a text: this library's JSON and the dialects.
READERS: Mapping[str, Callable[[str], Genotype]] = {"JSON": Genotype.from_json} | {
    name: module.loads for name, module in DIALECTS.items()
}


def detect(text: str, form: str | None = None) -> tuple[str, Genotype]:
    """The form of a text, and the genotype that it holds.

    Args:
        text: this library's JSON, or any dialect's text.
        form: ``JSON`` or a dialect's name; ``None`` finds out by trying each.

    Raises:
        DialectError: of no known form; says why not, for each.
    """
    check_text(text)
    reasons: dict[str, str] = {}
    for name in READERS if form is None else [choice("form", form, READERS, DialectError)]:
        try:
            return name, READERS[name](text)
        except WorkbenchError as error:
            reasons[name] = str(error)
    likely = [name for name in reasons if MARKS[name] in text] if form is None else [form]
    if len(likely) == 1:
        raise DialectError(f"this cannot be read as {likely[0]}: {reasons[likely[0]]}")
    short = (f"{name}: {shorten(why, 90, placeholder=' …')}" for name, why in reasons.items())
    raise DialectError("this text is of no form known here. " + "; ".join(short))

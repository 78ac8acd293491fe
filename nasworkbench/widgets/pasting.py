"""Whose text is this? A pasted genotype is recognised by trying every form that is known here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..dialects import DIALECTS
from ..errors import DialectError, WorkbenchError, listed
from ..genotype import Genotype

#: Longest text that is looked at (this project's choice; a real cell takes 2,000 characters).
LONGEST_TEXT = 100_000

#: Words that give a text's form away; then its reason is shown whole.
MARKS = {
    "JSON": '"format"',
    "darts": "Genotype(",
    "slim": "hiddenstate_indices",
    "nni": "/op_",
    "enas": "normal:",
}

READERS: Mapping[str, Callable[[str], Genotype]] = {"JSON": Genotype.from_json} | {
    name: module.loads for name, module in DIALECTS.items()
}


def read_any(text: str, form: str | None = None) -> tuple[str, Genotype]:
    """The genotype that a text holds, whoever wrote it, and the form it was recognised by.

    Args:
        text: this library's JSON, or any dialect's text.
        form: ``JSON`` or a dialect's name; ``None`` finds out by trying each.

    Raises:
        DialectError: of no known form (says why not, for each), or of several that disagree.
    """
    if not isinstance(text, str) or not text.strip():
        raise DialectError("there is no text: paste a genotype as JSON, or in another dialect")
    if len(text) > LONGEST_TEXT:
        raise DialectError(
            f"the text has {len(text):,} characters; no genotype takes more than {LONGEST_TEXT:,}"
        )
    if form is not None and form not in READERS:
        raise DialectError(f"unknown form {form!r}; known are {listed(READERS)}")
    found: dict[str, Genotype] = {}
    reasons: dict[str, str] = {}
    for name in READERS if form is None else [form]:
        try:
            found[name] = READERS[name](text)
        except WorkbenchError as error:
            reasons[name] = str(error).removeprefix(f"dialect '{name}'").lstrip(":, ")
    if len(set(found.values())) > 1:
        raise DialectError(
            f"the text can be read as {listed(found)}, with different results: choose one of them"
        )
    if not found:
        raise DialectError(_nothing_fits(text, reasons))
    return next(iter(found.items()))


def _nothing_fits(text: str, reasons: dict[str, str]) -> str:
    marked = [name for name in reasons if MARKS[name] in text]
    if len(reasons) == 1 or len(marked) == 1:
        name = (marked or list(reasons))[0]
        return f"this cannot be read as {name}: {reasons[name]}"
    return "this text is of no form known here. " + "; ".join(_short(reasons))


def _short(reasons: dict[str, str]) -> Iterator[str]:
    for name, reason in reasons.items():
        yield f"{name}: {reason if len(reason) <= 90 else reason[:89] + '…'}"

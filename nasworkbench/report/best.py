"""The best architecture of a search, and what a table says about the search."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from markupsafe import Markup

from .. import tables
from ..comparison import best_retrained
from ..comparison.table_result import TableResult, table_result
from ..drawing import draw
from ..errors import StoreError, TableError, WorkbenchError
from ..genotype import Architecture, Genotype
from ..tables import Table
from .contents import Contents
from .formatting import decimals, missing, whole


def best(search: Contents) -> dict[str, Any] | None:
    """The best architecture, its text, and its drawings for light and dark pages.

    Best by validation after the final training, if there was one; else by reward.
    """
    measured = search.measured
    if measured.empty:
        return None
    retrained = best_retrained(search.retrained)
    if retrained is not None and (measured["key"] == retrained.key).any():
        measured = measured[measured["key"] == retrained.key]
    row = measured.iloc[0]
    runs = [
        run
        for run in search.retrained
        if (run["origin"], run["key"], run["status"]) == ("controller", row["key"], "ok")
    ]
    page: dict[str, Any] = {
        "number": int(row["number"]),
        "key": row["key"],
        "reward": row["reward"],
        "parameters": None if missing(row["parameters"]) else int(row["parameters"]),
        "seed": int(row["seed"]),
        "validation": _mean(run["validation"] for run in runs),
        "test": _mean(run["test"] for run in runs),
        "text": f"tokens {', '.join(map(str, row['tokens']))}",
        "title": "Best architecture",
        "drawings": [],
        "excuse": None,
    }
    try:
        architecture = search.history.trial(page["number"]).genotype
    except StoreError:  # a space of the user's own
        page["excuse"] = "The library cannot decode this search's tokens: here they are."
        return page
    page["text"] = str(architecture)
    if isinstance(architecture, Genotype):
        page["title"] = "Best cell"
    try:
        page["drawings"] = [
            (title, _inline_svg(part, "light"), _inline_svg(part, "dark"))
            for title, part in _parts(architecture)
        ]
    except WorkbenchError as error:
        page["excuse"] = f"No drawing: {error}"
    return page


def _parts(architecture: Architecture) -> list[tuple[str, Any]]:
    """What is drawn, with a title each."""
    if not isinstance(architecture, Genotype):
        return [(draw(architecture).title.removeprefix("a "), architecture)]
    if architecture.normal == architecture.reduction:
        return [("normal and reduction cell", architecture.normal)]
    return [(f"{role} cell", cell) for role, cell in architecture.cells]


def table_section(search: Contents, given: Table | None) -> dict[str, Any] | None:
    """What the search's table says of it; None if its rewards are not from a table.

    Raises:
        TableError: the given table is not what the search read.
    """
    if not search.history.reads_table:
        if given is not None:
            raise TableError(f"this search did not read its rewards from a table, nor from {given}")
        return None
    settings = search.history.evaluator["settings"]
    name, digest = settings.get("table"), settings.get("digest")
    if given is not None and given.digest != digest:
        raise TableError(
            f"the search read the table {name!r} with digest {digest}; this one, {given.name!r}, "
            f"has digest {given.digest}"
        )
    try:
        if given is None and name not in tables.names():
            raise TableError("the library has no table of this name")
        table = given or tables.load(name)
        if table.digest != digest:
            raise TableError(
                f"the search read a table of this name with digest {digest}; the one that is here "
                f"has digest {table.digest}"
            )
        best = next(iter(search.measured["key"]), None)
        result = table_result(table, search.trials["key"], best)
    except Exception as error:  # files and code of others; the report is worth having without them
        return {"name": name, "sentence": None, "excuse": str(error)}
    return {"name": name, "sentence": result.sentence, "facts": list(_table_facts(result))}


def _table_facts(result: TableResult) -> Iterator[tuple[str, str]]:
    if result.best is not None:
        yield "validation accuracy", decimals(result.best.validation)
        yield "test accuracy", decimals(result.best.test)
        yield "rank by validation", f"{whole(result.best.rank)} of {whole(result.architectures)}"
        yield "validation regret", decimals(result.best.validation_regret)
        yield "test regret", decimals(result.best.test_regret)
    yield "different architectures", whole(result.seen)
    yield "share of the table seen", f"{100 * result.share:.1f} %"
    yield "repeated proposals", whole(result.repeated)
    if result.missing:
        yield "not in the table", whole(result.missing)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _inline_svg(cell: Any, theme: str) -> Markup:
    """A drawing to stand inside a page: without ids, which would not be unique there, and without
    the titles of single nodes, which a page shows as tips under the mouse."""
    svg = re.sub(r' id="[^"]*"', "", draw(cell, theme).svg())
    first = svg.index("</title>")
    return Markup(svg[:first] + re.sub(r"<title>[^<]*</title>", "", svg[first:]))

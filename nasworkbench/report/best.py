"""What the search has found: its best architecture, and what a table reveals about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from markupsafe import Markup

from .. import tables
from ..comparison import best_retrained
from ..comparison.table_result import TableResult, table_result
from ..drawing import draw
from ..errors import GenotypeError, TableError, WorkbenchError
from ..genotype import Genotype, from_text
from ..tables import Table, TableEvaluator
from .formatting import decimals, missing, whole


def best(search: dict[str, Any]) -> dict[str, Any] | None:
    """The best cell, its text, and its drawings for light and dark pages.

    Best by validation after the final training, if there was one; else by reward.
    """
    trials = search["trials"]
    good = trials[(trials["status"] == "ok") & ~trials["cached"]]
    if good.empty:
        return None
    judged = best_retrained(search["retrainings"])
    if judged is not None and (good["key"] == judged.key).any():
        good = good[good["key"] == judged.key]
    row = good.sort_values(["reward", "number"], ascending=[False, True]).iloc[0]
    runs = [
        run
        for run in search["retrainings"]
        if (run["origin"], run["key"], run["status"]) == ("controller", row["key"], "ok")
    ]
    found: dict[str, Any] = {
        "number": int(row["number"]),
        "key": row["key"],
        "reward": row["reward"],
        "parameters": None if missing(row["parameters"]) else int(row["parameters"]),
        "seed": int(row["seed"]),
        "validation": _mean(run["validation"] for run in runs),
        "test": _mean(run["test"] for run in runs),
        "text": row["genotype"],
        "title": "Best architecture",
        "drawings": [],
        "excuse": None,
    }
    try:
        genotype = from_text(row["genotype"])
    except GenotypeError:  # of a user's own space
        found["excuse"] = "This search's genotypes are not cells: here is the text alone."
        return found
    parts: list[tuple[str, Any]] = [(draw(genotype).title.removeprefix("a "), genotype)]
    if isinstance(genotype, Genotype):
        found["title"] = "Best cell"
        parts = [(f"{role} cell", cell) for role, cell in genotype.cells]
        if tied(search):
            parts = [("normal and reduction cell", genotype.normal)]
    found["text"] = str(genotype)
    try:
        found["drawings"] = [
            (title, _inline_svg(part, "light"), _inline_svg(part, "dark")) for title, part in parts
        ]
    except WorkbenchError as error:
        found["excuse"] = f"No drawing: {error}"
    return found


def tied(search: dict[str, Any]) -> bool:
    """Whether one cell serves as both."""
    return (search["meta"]["space"] or {}).get("settings", {}).get("tied", False)


def reads_table(search: dict[str, Any]) -> bool:
    """Whether the search's rewards are from a table."""
    return (search["meta"]["evaluator"] or {}).get("class") == TableEvaluator.__name__


def revealed(search: dict[str, Any], given: Table | None) -> dict[str, Any] | None:
    """What the search's table says of it; None if its rewards are from no table.

    Raises:
        TableError: the given table is not what the search read.
    """
    if not reads_table(search):
        if given is not None:
            raise TableError(f"this search did not read its rewards from a table, nor from {given}")
        return None
    settings = search["meta"]["evaluator"].get("settings", {})
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
        found = table_result(table, search["trials"])
    except Exception as error:  # files and code of others; the report is worth having without them
        return {"table": name, "sentence": None, "excuse": str(error)}
    return {"table": name, "sentence": found.sentence, "facts": list(_table_facts(found))}


def _table_facts(found: TableResult) -> Iterator[tuple[str, str]]:
    if found.best is not None:
        yield "validation accuracy", decimals(found.best.validation)
        yield "test accuracy", decimals(found.best.test)
        yield "rank by validation", f"{whole(found.best.rank)} of {whole(found.architectures)}"
        yield "validation regret", decimals(found.best.validation_regret)
        yield "test regret", decimals(found.best.test_regret)
    yield "different architectures", whole(found.seen)
    yield "share of the table seen", f"{100 * found.share:.1f} %"
    yield "repeated proposals", whole(found.repeated)
    if found.missing:
        yield "not in the table", whole(found.missing)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _inline_svg(cell: Any, theme: str) -> Markup:
    """A drawing to stand inside a page: without ids, which would not be unique there, and without
    the titles of single nodes, which a page shows as tips under the mouse."""
    svg = re.sub(r' id="[^"]*"', "", draw(cell, theme).svg())
    first = svg.index("</title>")
    return Markup(svg[:first] + re.sub(r"<title>[^<]*</title>", "", svg[first:]))

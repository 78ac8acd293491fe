"""The report of a run folder: one HTML file that needs nothing else, now or in ten years.

Everything in it is read from the run folder's stores: the search itself, its referee (the random
search in ``random/``, if there is one), and what the final judgement added. Pictures are part of
the file, there is no request to anywhere, and every text that comes out of a store is escaped.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pandas
from markupsafe import Markup

from . import plots
from .drawing import draw
from .errors import GenotypeError, WorkbenchError
from .genotype import Genotype
from .referee import best_judged
from .search import Store, trials_frame
from .search.store import FILE

TEMPLATE = "report.html"
#: With more trials than this, their table is folded up until somebody opens it.
MOST_UNFOLDED = 500
#: Windows of the operations' figure; with about so many there is room for numbers in it.
WINDOWS = 12


def write(directory: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of a run folder, and return its path.

    The file appears complete or not at all: an older report stays until the new one is ready.

    Args:
        directory: a run folder, at any moment of its search.
        path: where to; by default ``report.html`` in the run folder.

    Raises:
        StoreError: no search in the folder, or a damaged one.
        WorkbenchError: the report cannot be written there.
    """
    directory = Path(directory)
    path = directory / TEMPLATE if path is None else Path(path)
    page = render(directory)
    half_made = path.with_name(path.name + ".new")
    try:
        half_made.write_text(page, encoding="utf-8")
        os.replace(half_made, path)
    except OSError as error:
        raise WorkbenchError(f"cannot write the report to {path}: {error}") from None
    return path


def render(directory: str | Path) -> str:
    """The report as HTML text; see :func:`write`."""
    directory = Path(directory)
    search = _read(directory)
    referee = _read(directory / "random") if (directory / "random" / FILE).is_file() else None
    job = search["meta"]["job"] or {}
    searches = [("search", _class_name(search), search)]
    if referee is not None:
        searches.append(("referee", "random search", referee))
    judged = plots.judged_rows(search["retrainings"])
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            name=job.get("name") or directory.resolve().name,
            tier=job.get("tier"),
            verdict=search["meta"]["verdict"],
            facts=_facts(search, referee),
            best=_best(search),
            rewards=_reward_figure(search, referee),
            operations=_operation_figure(search),
            updates=_update_figure(search),
            judged=_judged_figure(judged),
            cells=list(_judged_cells(judged)),
            searches=[_listed(prefix, label, found) for prefix, label, found in searches],
            settings=list(_settings(search, referee)),
            written_at=datetime.now(UTC).timestamp(),
        )
    )


# --- reading ----------------------------------------------------------------------------------


def _read(directory: Path) -> dict[str, Any]:
    """All that the report needs from one store, which is closed again at once."""
    names = ("space", "controller", "evaluator", "seed", "failure_reward", "time_limit")
    others = ("provenance", "created_at", "goal", "job", "verdict")
    store = Store(directory)
    with closing(store):
        return {
            "meta": {name: store.meta(name) for name in (*names, *others)},
            "trials": trials_frame(store),
            "updates": plots.update_rows(store.updates()),
            "retrainings": store.retrainings(),
        }


def _class_name(search: dict[str, Any]) -> str:
    return (search["meta"]["controller"] or {}).get("class", "controller")


# --- the sections' contents -------------------------------------------------------------------


def _facts(search: dict[str, Any], referee: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The numbers at the top: what was spent, and what was found."""
    trials = search["trials"]
    finished, goal = len(trials), search["meta"]["goal"] or 0
    failed = int((trials["status"] != "ok").sum())
    facts = [
        ("best reward", decimals(_top(trials))),
        ("finished trials", whole(finished) + (f" of {whole(goal)}" if finished < goal else "")),
        ("children trained", whole(int((~trials["cached"]).sum()))),
        ("rewards from the cache", whole(int(trials["cached"].sum()))),
        ("failed trials", whole(failed)),
        ("workers' time", duration(float(trials["seconds"].sum()))),
        ("from start to last trial", duration(_wall(search))),
    ]
    if referee is not None:
        facts.insert(1, ("random search's best", decimals(_top(referee["trials"]))))
    return facts


def _top(trials: pandas.DataFrame) -> float | None:
    good = trials.loc[trials["status"] == "ok", "reward"]
    return None if good.empty else float(good.max())


def _wall(search: dict[str, Any]) -> float | None:
    ended, started = search["trials"]["ended_at"], search["meta"]["created_at"]
    return None if ended.empty or started is None else max(0.0, float(ended.max()) - started)


def _best(search: dict[str, Any]) -> dict[str, Any] | None:
    """The best cell, its text, and its drawings for light and dark pages.

    Best by validation after the final training, if there was one; else by reward.
    """
    trials = search["trials"]
    good = trials[(trials["status"] == "ok") & ~trials["cached"]]
    if good.empty:
        return None
    judged = best_judged(search["retrainings"])
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
        "parameters": None if _missing(row["parameters"]) else int(row["parameters"]),
        "seed": int(row["seed"]),
        "validation": _mean(run["validation"] for run in runs),
        "test": _mean(run["test"] for run in runs),
        "text": row["genotype"],
        "cells": [],
        "excuse": None,
    }
    try:
        genotype = Genotype.from_json(row["genotype"])
    except GenotypeError:
        found["excuse"] = "This search's genotypes are not cells: here is the text alone."
        return found
    found["text"] = str(genotype)
    try:
        found["cells"] = [
            (role, _inline_svg(cell, "light"), _inline_svg(cell, "dark"))
            for role, cell in genotype.cells
        ]
    except WorkbenchError as error:
        found["excuse"] = f"No drawing: {error}"
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _inline_svg(cell: Any, theme: str) -> Markup:
    """A drawing to stand inside a page: without ids, which would not be unique there, and without
    the titles of single nodes, which a page shows as tips under the mouse."""
    svg = re.sub(r' id="[^"]*"', "", draw(cell, theme).svg())
    first = svg.index("</title>")
    return Markup(svg[:first] + re.sub(r"<title>[^<]*</title>", "", svg[first:]))


def _picture(made: Any) -> str:
    return "data:image/png;base64," + base64.b64encode(plots.png(made)).decode()


def _reward_figure(search: dict[str, Any], referee: dict[str, Any] | None) -> str | None:
    if search["trials"].empty:
        return None
    made, ax = plots.figure()
    other = None if referee is None else plots.reward_rows(referee["trials"])
    settings = (search["meta"]["evaluator"] or {}).get("settings", {})
    measure = "reward" + (" (validation accuracy)" if settings.get("reward") == "accuracy" else "")
    rows = plots.reward_rows(search["trials"])
    plots.draw_rewards(rows, ax, _class_name(search), other, measure=measure)
    return _picture(made)


def _operation_figure(search: dict[str, Any]) -> str | None:
    """Both roles, one above the other: the two cells of a genotype want different operations."""
    window = max(10, len(search["trials"]) // WINDOWS)
    settings = (search["meta"]["space"] or {}).get("settings", {})
    roles = {
        role: plots.operation_rows(search["trials"], window, role, settings.get("operations"))
        for role in ("normal", "reduction")
    }
    if not any(rows["count"].sum() for rows in roles.values()):
        return None
    made, axes = plots.figure(rows=2, size=(8.0, 8.4))
    for ax, (role, rows) in zip(axes, roles.items(), strict=True):
        plots.draw_operations(rows, ax)
        ax.set_title(f"{role} cell", loc="left", fontsize=11)
    return _picture(made)


def _update_figure(search: dict[str, Any]) -> str | None:
    if search["updates"].empty:
        return None
    made, axes = plots.figure(columns=3, size=(11.0, 3.4))
    plots.draw_updates(search["updates"], axes, _even_entropy(search["meta"]["space"]))
    return _picture(made)


def _even_entropy(space: dict[str, Any] | None) -> float | None:
    """Of a :class:`CellSpace`, whose settings say what its decisions are; else unknown."""
    from .search.library import build_space

    try:
        return plots.even_entropy(d.choices for d in build_space(space or {}).decisions)
    except (WorkbenchError, KeyError, TypeError):
        return None


def _judged_figure(judged: pandas.DataFrame) -> str | None:
    if not judged["test"].notna().any():
        return None
    lines = judged.groupby(["origin", "key"]).ngroups + judged["origin"].nunique()
    made, ax = plots.figure(size=(8.0, min(1.6 + 0.32 * lines, 14.0)))
    plots.draw_judged(judged, ax)
    return _picture(made)


def _judged_cells(judged: pandas.DataFrame) -> Iterator[dict[str, Any]]:
    """A line per retrained cell."""
    for (origin, cell, key), own in judged.groupby(["origin", "cell", "key"], sort=True):
        tests = own["test"].dropna()
        yield {
            "origin": origin,
            "cell": cell,
            "key": key,
            "reward": own["reward"].iloc[0],
            "runs": own.to_dict("records"),
            "mean": None if tests.empty else float(tests.mean()),
        }


def _listed(prefix: str, label: str, search: dict[str, Any]) -> dict[str, Any]:
    """One search's table of trials, and its failures counted by status and cause."""
    trials = search["trials"].sort_values("number")
    failed = trials[trials["status"] != "ok"].fillna({"cause": "no cause was noted"})
    failures = [
        {"status": status, "cause": cause, "count": len(own), "numbers": own["number"].tolist()}
        for (status, cause), own in failed.groupby(["status", "cause"])
    ]
    return {
        "prefix": prefix,
        "label": label,
        "failures": sorted(failures, key=lambda f: (-f["count"], f["cause"])),
        "failed": len(failed),
        "unfolded": len(trials) <= MOST_UNFOLDED and prefix == "search",
        "trials": trials.to_dict("records"),
    }


def _settings(
    search: dict[str, Any], referee: dict[str, Any] | None
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (name, value): everything that it takes to do it again."""
    meta = search["meta"]
    job = meta["job"] or {}
    yield (
        "run",
        [
            ("tier", str(job.get("tier") or "none")),
            ("seed of the children", str(meta["seed"])),
            ("told of a failure", str(meta["failure_reward"])),
            ("time limit", duration(meta["time_limit"]) if meta["time_limit"] else "none"),
            ("started", date(meta["created_at"])),
            ("last trial ended", date(search["trials"]["ended_at"].max())),
        ],
    )
    for role in ("space", "controller", "evaluator"):
        yield _described(role, meta[role])
    if referee is not None:
        yield _described("referee", referee["meta"]["controller"])
    if job.get("tier_settings"):
        yield "tier", list(_flat(job["tier_settings"]))
    yield "versions and machine", list(_flat(meta["provenance"] or {}))


def _described(role: str, record: dict[str, Any] | None) -> tuple[str, list[tuple[str, str]]]:
    record = record or {}
    values = list(_flat(record.get("settings") or {}))
    return role, [("class", str(record.get("class", "unknown"))), *values]


def _flat(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield prefix + name, ", ".join(map(str, value))
        else:
            yield prefix + name, str(value)


# --- how numbers are written ------------------------------------------------------------------


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "decimals": decimals,
        "whole": whole,
        "duration": duration,
        "date": date,
        "seconds": lambda value: "–" if _missing(value) else f"{value:.2f}",
        "text": lambda value: "" if _missing(value) else value,
    }
    return environment


def _missing(value: Any) -> bool:
    return value is None or bool(pandas.isna(value))


def decimals(value: Any) -> str:
    """A reward or an accuracy: four decimals."""
    return "–" if _missing(value) else f"{value:.4f}"


def whole(value: Any) -> str:
    """A count: 1,234."""
    return "–" if _missing(value) else f"{int(value):,}"


def duration(seconds: Any) -> str:
    """Seconds as ``0.76 s``, ``3 min 20 s`` or ``5 h 2 min``."""
    if _missing(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def date(timestamp: Any) -> str:
    """Seconds since 1970 as a date in UTC."""
    if _missing(timestamp):
        return "–"
    return datetime.fromtimestamp(float(timestamp), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

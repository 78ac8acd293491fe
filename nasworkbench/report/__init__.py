"""The report of a run folder: one HTML file that needs nothing else, now or in ten years.

Everything in it is read from the run folder's stores: the search itself, its baseline (the random
search in ``random/``, if there is one), and what the final retraining added. Pictures are part of
the file, there is no request to anywhere, and every text that comes out of a store is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pandas

from .. import plots
from ..files import write_atomically
from ..search.store import FILE
from ..tables import Table
from .best import best, table_section
from .contents import Contents, read
from .figures import operation_figure, retrained_figure, reward_figure, update_figure
from .formatting import date, decimals, duration, flat, missing, short, whole

TEMPLATE = "report.html"
MANY = "many_searches.json"
#: With more trials than this, their table is folded up until somebody opens it.
MOST_UNFOLDED = 500


def write(
    directory: str | Path, path: str | Path | None = None, table: Table | None = None
) -> Path:
    """Write the report of a run folder, and return its path.

    The file appears complete or not at all: an older report stays until the new one is ready.

    Args:
        directory: a run folder, at any time of its search.
        path: where to; by default ``report.html`` in the run folder.
        table: what the search's :class:`nasworkbench.TableEvaluator` read, if the library cannot
            load it by its name. The report shows its test accuracies.

    Raises:
        StoreError: no search in the folder, or a damaged one.
        TableError: ``table`` is not what the search read.
        WorkbenchError: the report cannot be written there.
    """
    directory = Path(directory)
    path = directory / TEMPLATE if path is None else Path(path)
    page = render(directory, table).encode(errors="replace")  # a name that is not UTF-8
    return write_atomically(path, page, "the report")


def render(directory: str | Path, table: Table | None = None) -> str:
    """The report as HTML text; see :func:`write`."""
    directory = Path(directory)
    with ExitStack() as stack:
        search = stack.enter_context(read(directory))
        baseline = None
        if (directory / "random" / FILE).is_file():
            baseline = stack.enter_context(read(directory / "random"))
        name = search.history.name
        searches = [("search", name, search)]
        if baseline is not None:
            searches.append(("baseline", "random search", baseline))
        retrained = plots.retrained_rows(search.retrained)
        page = {
            "name": search.job.get("name") or directory.resolve().name,
            "tier": search.job.get("tier"),
            "verdict": search.history.meta("verdict"),
            "table": table_section(search, table),
            "many": many_searches(),
            "facts": _facts(search, baseline),
            "best": best(search),
            "rewards": reward_figure(search, name, baseline),
            "operations": operation_figure(search),
            "updates": update_figure(search),
            "retrained": retrained_figure(retrained),
            "cells": list(_retrained_cells(retrained)),
            "searches": [_listed(*row) for row in searches],
            "settings": list(_settings(search, baseline)),
            "written_at": datetime.now(UTC).timestamp(),
        }
    return _environment().get_template(TEMPLATE).render(page)


def many_searches() -> list[str]:
    """What 30 searches of each controller on tables have shown, sentence by sentence: verdicts that
    ``tests/benchmarks/who_wins.py`` left beside this file."""
    return json.loads(Path(__file__).with_name(MANY).read_text(encoding="utf-8"))


# --- the sections' contents -------------------------------------------------------------------


def _facts(search: Contents, baseline: Contents | None) -> list[tuple[str, str]]:
    """The numbers at the top: what was spent, and what was found."""
    trials = search.trials
    finished, goal = len(trials), search.history.meta("goal", 0)
    trained = "architectures looked up" if search.history.reads_table else "children trained"
    facts = [
        ("best reward", decimals(_top(trials))),
        ("finished trials", whole(finished) + (f" of {whole(goal)}" if finished < goal else "")),
        (trained, whole(int((~trials["cached"]).sum()))),
        ("rewards from the cache", whole(int(trials["cached"].sum()))),
        ("failed trials", whole(int((trials["status"] != "ok").sum()))),
        ("workers' time", duration(float(trials["seconds"].sum()))),
        ("from start to last trial", duration(_wall(search))),
    ]
    if baseline is not None:
        facts.insert(1, ("random search's best", decimals(_top(baseline.trials))))
    return facts


def _top(trials: pandas.DataFrame) -> float | None:
    good = trials.loc[trials["status"] == "ok", "reward"]
    return None if good.empty else float(good.max())


def _wall(search: Contents) -> float | None:
    ended, started = search.trials["ended_at"], search.history.meta("created_at")
    return None if ended.empty or started is None else max(0.0, float(ended.max()) - started)


def _retrained_cells(rows: pandas.DataFrame) -> Iterator[dict[str, Any]]:
    """A line per retrained cell."""
    for (origin, cell, key), runs in rows.groupby(["origin", "cell", "key"], sort=True):
        tests = runs["test"].dropna()
        yield {
            "origin": origin,
            "cell": cell,
            "key": key,
            "reward": runs["reward"].iloc[0],
            "runs": runs.to_dict("records"),
            "mean": None if tests.empty else float(tests.mean()),
        }


def _listed(prefix: str, label: str, search: Contents) -> dict[str, Any]:
    """One search's table of trials, and its failures counted by status and cause."""
    trials = search.trials.sort_values("number")
    failed = trials[trials["status"] != "ok"].fillna({"cause": "no cause was noted"})
    failures = [
        {"status": status, "cause": cause, "count": len(rows), "numbers": rows["number"].tolist()}
        for (status, cause), rows in failed.groupby(["status", "cause"])
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
    search: Contents, baseline: Contents | None
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (name, value): everything that it takes to do it again."""
    meta, limit = search.history.meta, search.history.meta("time_limit")
    yield (
        "run",
        [
            ("tier", str(search.job.get("tier") or "none")),
            ("seed of the children", str(meta("seed"))),
            ("told of a failure", str(meta("failure_reward"))),
            ("time limit", duration(limit) if limit else "none"),
            ("started", date(meta("created_at"))),
            ("last trial ended", date(search.trials["ended_at"].max())),
        ],
    )
    for role in ("space", "controller", "evaluator"):
        yield _described(role, meta(role))
    if baseline is not None:
        yield _described("baseline", baseline.history.controller)
    if search.job.get("tier_settings"):
        yield "tier", list(flat(search.job["tier_settings"]))
    yield "versions and machine", list(flat(meta("provenance", {})))


def _described(role: str, record: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    return role, [("class", record["class"]), *flat(record["settings"])]


# --- the template -----------------------------------------------------------------------------


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
        "short": short,
        "seconds": lambda value: "–" if missing(value) else f"{value:.2f}",
        "text": lambda value: "" if missing(value) else value,
    }
    return environment

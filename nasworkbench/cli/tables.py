"""``nasworkbench table``: build a table of trained networks, list the tables, show one."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..checks import choice
from ..errors import SettingsError, TableError, WorkbenchError, listed, printable

if TYPE_CHECKING:
    import pandas

    from ..tables import Table

PATH = click.Path(path_type=Path)


@click.group()
def table() -> None:
    """Tables of trained networks, on which a search takes seconds."""


# --- build ------------------------------------------------------------------------------------


@table.command()
@click.argument("name", default="cells")
@click.option("--folder", type=PATH, help="Where trainings are kept; by default runs/table-NAME.")
@click.option("--cells", type=int, help="How many cells, drawn at random; by default all.")
@click.option("--seeds", type=int, help="Trainings of each cell; by default the table's.")
@click.option("--workers", type=click.IntRange(1), default=2, help="Worker processes.")
@click.option("--output", "-o", type=PATH, help="File to write; by default FOLDER/NAME.npz.")
def build(
    name: str,
    folder: Path | None,
    cells: int | None,
    seeds: int | None,
    workers: int,
    output: Path | None,
) -> None:
    """Train the cells of a table and put it together.

    Each training is kept as it comes. After an interruption the same command goes on.
    """
    from .. import tables
    from ..provenance import provenance

    settings = tables.TABLES[choice("the table to build", name, tables.TABLES)]
    if seeds is not None:
        settings = replace(settings, seeds=seeds)
    folder = Path("runs") / f"table-{name}" if folder is None else folder
    output = folder / f"{name}.npz" if output is None else output
    if output.suffix != ".npz":
        raise SettingsError(f"--output must be a file NAME.npz, got {str(output)!r}")
    if output.parent != folder and not output.parent.is_dir():  # say so before hours of training
        raise TableError(f"--output: there is no folder {output.parent}; make it first")
    try:
        built = tables.build(
            settings, folder, cells=cells, workers=workers, provenance=provenance(), say=click.echo
        )
    except KeyboardInterrupt:
        click.echo("\ninterrupted; all is saved. Go on with the same command")
        raise click.exceptions.Exit(130) from None
    checksum = tables.save(built, output)
    click.echo(f"{built}\n{_reliability(built)}")
    if built.info["failed"]:
        click.echo(f"cells left out, because a training failed: {len(built.info['failed']):,}")
    click.echo(f"{built.info['hours']:.2f} hours of training")
    click.echo(f"{output}: {output.stat().st_size:,} bytes, SHA-256 {checksum}")


# --- list -------------------------------------------------------------------------------------


@table.command("list")
def list_() -> None:
    """Show which tables there are, and which of them are on this machine."""
    from .. import tables

    for name in tables.names():
        here, summary = _described(name)
        click.echo(f"{name:<17}{'here' if here else 'missing':<9}{summary}")


def _described(name: str) -> tuple[bool, str]:
    """Whether a table is here, and what it is; those of a package are not read for that."""
    from .. import tables
    from ..nas_bench_graph.table import PACKAGE

    if name in tables.GRAPH_TABLES:
        here = importlib.util.find_spec(PACKAGE) is not None
        need = "" if here else '; pip install "nasworkbench[graphs]"'
        return here, f"graph networks on {name.removeprefix('graph-')}, NAS-Bench-Graph{need}"
    try:
        loaded = tables.load(name)
    except WorkbenchError as error:
        return False, str(error)
    return True, repr(loaded).removeprefix(f"Table {name!r}: ")


# --- info -------------------------------------------------------------------------------------

#: Parts of a table's info that are not shown as they are: other lines say it.
SUMMED_UP = ("architectures", "complete", "reliability")


@table.command()
@click.argument("name")
@click.option("--test", is_flag=True, help="Show the test accuracies too.")
def info(name: str, test: bool) -> None:
    """Show what a table holds, where it is from, and how far it can be trusted.

    NAME is one of those that `nasworkbench table list` shows, or a file that `nasworkbench table
    build` wrote.
    """
    from ..report.formatting import flat

    shown = find(name)
    click.echo(f"{shown}\n{shown.space}")
    if "architectures" in shown.info:
        click.echo(f"{len(shown):,} of its {shown.info['architectures']:,} different architectures")
    click.echo(f"{printable(_reliability(shown))}\n")
    rest = {name: value for name, value in shown.info.items() if name not in SUMMED_UP}
    fields = [*flat(rest), ("digest", shown.digest)]
    width = min(max(len(title) for title, _ in fields) + 2, 60)
    for title, value in fields:
        click.echo(printable(f"{title:<{width}}{value}"))
    click.echo()
    click.echo(_rows(shown, test).to_string(index=False))


def find(name: str) -> Table:
    """A table by its name or its file.

    Raises:
        WorkbenchError: neither, a damaged file, or a package that is missing.
    """
    from .. import tables

    if name in tables.names():
        return tables.load(name)
    path = Path(name)
    if path.suffix == ".npz" or len(path.parts) > 1 or path.is_file():
        return tables.read(name)
    raise SettingsError(
        f"there is no table {name!r}: name one of {listed(tables.names())}, or a file NAME.npz"
    )


def _reliability(table: Table) -> str:
    """How far two trainings of the same architectures agree."""
    from ..tables import Reliability, reliability

    if table.seeds < 2:
        return "reliability: unknown, as each architecture has been trained once"
    if len(table) < 3:
        return "reliability: unknown, as there are too few architectures"
    try:
        return f"reliability: {Reliability(**table.info['reliability'])}"
    except (KeyError, TypeError, ValueError):  # the table does not say
        return f"reliability: {reliability(table.validation)}"


def _rows(table: Table, test: bool) -> pandas.DataFrame:
    """The five best by validation, and the median."""
    import pandas

    order = table.best(len(table))
    median = order[(len(order) - 1) // 2]
    rows = [*order[:5], *([median] if median not in order[:5] else [])]
    columns = {
        "rank": [f"{table.ranks[row]:,}" for row in rows],
        "validation": [f"{table.mean_validation[row]:.4f}" for row in rows],
    }
    if test:
        columns["test"] = [f"{table.mean_test[row]:.4f}" for row in rows]
    if "parameters" in table.columns:
        columns["parameters"] = [f"{int(table.columns['parameters'][row]):,}" for row in rows]
    columns["key"] = [table.keys[row] + " (the median)" * (row == median) for row in rows]
    return pandas.DataFrame(columns)

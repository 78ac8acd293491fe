"""``nasworkbench table``: build a table of trained networks, list the tables, look into one."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import SettingsError, TableError, WorkbenchError

if TYPE_CHECKING:
    from ..tables import Table

PATH = click.Path(path_type=Path)


@click.group()
def table() -> None:
    """Tables of really trained networks, on which a search takes seconds."""


# --- build ------------------------------------------------------------------------------------


@table.command()
@click.argument("name", default="cells")
@click.option("--folder", type=PATH, help="Where trainings are kept; by default runs/table-NAME.")
@click.option("--cells", type=int, help="So many cells, drawn at random; by default all.")
@click.option("--seeds", type=int, help="Trainings of each cell; by default the table's.")
@click.option("--workers", default=2, help="Worker processes.")
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
    from ..tables import table_settings

    settings = table_settings(name)
    if seeds is not None:
        settings = replace(settings, seeds=seeds)
    if workers < 1:
        raise SettingsError(f"--workers must be a whole number from 1, got {workers}")
    folder = folder or Path("runs") / f"table-{name}"
    output = output or folder / f"{name}.npz"
    if output.suffix != ".npz":
        raise SettingsError(f"--output is a file NAME.npz, got {str(output)!r}")
    if output.parent != folder and not output.parent.is_dir():  # better said before than after
        raise SettingsError(f"--output: there is no folder {output.parent}")
    try:
        found = tables.build(
            settings, folder, cells=cells, workers=workers, provenance=provenance(), say=click.echo
        )
    except KeyboardInterrupt:
        click.echo("\ninterrupted; all is saved. Go on with the same command")
        raise click.exceptions.Exit(130) from None
    checksum = tables.save(found, output)
    click.echo(f"{found}\n{_trust(found)}")
    if found.info["failed"]:
        click.echo(f"cells left out, because a training failed: {len(found.info['failed']):,}")
    click.echo(f"{found.info['hours']:.2f} hours of training")
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
        found = tables.load(name)
    except WorkbenchError as error:
        return False, str(error)
    return True, repr(found).removeprefix(f"Table {name!r}: ")


# --- info -------------------------------------------------------------------------------------

#: Parts of a table's info that have lines of their own.
SAID = ("architectures", "complete", "reliability")


@table.command()
@click.argument("name")
@click.option("--test", is_flag=True, help="Reveal the test accuracies too.")
def info(name: str, test: bool) -> None:
    """Show what a table holds, where it is from, and how far it can be trusted.

    NAME is one of those that `nasworkbench table list` shows, or a file that `nasworkbench table
    build` wrote.
    """
    found = find(name)
    click.echo(f"{found}\n{found.space}")
    if "architectures" in found.info:
        click.echo(f"{len(found):,} of its {found.info['architectures']:,} different architectures")
    click.echo(f"{_trust(found)}\n")
    said = {name: value for name, value in found.info.items() if name not in SAID}
    fields = [*_flat(said), ("digest", found.digest)]
    width = max(len(title) for title, _ in fields) + 2
    for title, value in fields:
        click.echo(f"{title:<{width}}{value}")
    click.echo()
    for line in _places(found, test):
        click.echo(line)


def find(name: str) -> Table:
    """A table by its name or its file.

    Raises:
        WorkbenchError: neither, a damaged file, or a package that is missing.
    """
    from .. import tables

    if name in tables.names():
        return tables.load(name)
    if name.endswith(".npz") or Path(name).is_file():
        return tables.read(name)
    known = ", ".join(tables.names())
    raise TableError(f"there is no table {name!r}: it is no file NAME.npz, and none of {known}")


def _trust(found: Table) -> str:
    """How far two trainings of the same architectures agree."""
    from ..tables import Reliability, reliability

    if found.seeds < 2 or len(found) < 3:
        few = "one value of each architecture" if found.seeds < 2 else "so few architectures"
        return f"reliability: unknown, for {few} cannot tell"
    try:
        stated = Reliability(**found.info["reliability"])
    except (KeyError, TypeError):  # the table does not say
        stated = reliability(found.validation)
    return f"reliability: {stated}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield prefix + name, ", ".join(map(str, value)) or "none"
        else:
            yield prefix + name, str(value)


def _places(found: Table, test: bool) -> Iterator[str]:
    """A title, and a line for each of the five best by validation and for the median."""
    parameters = found.columns.get("parameters")
    order = found.best(len(found))
    median = order[(len(order) - 1) // 2]

    def line(rank: str, validation: str, test_: str, size: str, key: str) -> str:
        middle = (f"{test_:>10}" if test else "") + ("" if parameters is None else f"{size:>12}")
        return f"{rank:>7}{validation:>12}{middle}  {key}"

    yield line("rank", "validation", "test", "parameters", "key")
    for row in [*order[:5], *([median] if median not in order[:5] else [])]:
        yield line(
            f"{found.ranks[row]:,}",
            f"{found.mean_validation[row]:.4f}",
            f"{found.mean_test[row]:.4f}" if test else "",
            "" if parameters is None else f"{int(parameters[row]):,}",
            found.keys[row] + (" (the median)" if row == median else ""),
        )

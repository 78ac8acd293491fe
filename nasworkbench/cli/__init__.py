"""The command line, for searches that are too long for a notebook.

nasworkbench search --tier toy          find a cell, compare and draw it
nasworkbench resume runs/NAME           go on after an interruption
nasworkbench report runs/NAME           write the report again
nasworkbench export runs/NAME FILE      copy a search, finished or running, into one file
nasworkbench draw nasnet-a -o cell.svg  draw a published genotype, a file or a run's best
nasworkbench profile nasnet-a -n "4 @ 1056" --stem imagenet
nasworkbench data                       which data sets are here
nasworkbench table                      tables: build one, list them, look into one

Exit codes: 0; 1 for what was asked rightly and failed (a file or a folder that is missing, damaged
or taken, data that are not here); 2 for a wrong call (an unknown command, option or name, a value
that is not allowed); 130 for Ctrl-C.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __name__ as package
from ..checks import choice
from ..errors import GenotypeError, NetworkError, SettingsError, StoreError, WorkbenchError
from .tables import table

if TYPE_CHECKING:
    from ..genotype import Architecture, Genotype
    from ..job import Job

FOLDER = click.Path(path_type=Path)
SIZE = click.IntRange(1, 100_000)  # far beyond, torch cannot count the elements
PARTS = ("genotype", "normal", "reduction", "network")
WRONG_CALL = (click.ClickException, SettingsError, NetworkError)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name=package)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def app(debug: bool) -> None:
    """Neural architecture search with NASNet's controller, cells and search.

    FOLDER is a run folder, e.g. runs/laptop-20260101-120000. WHAT is the name of a published
    genotype (nasnet-a, ...), a genotype file, or a run folder, whose best genotype is taken.
    """


app.add_command(table)


@app.command()
@click.option("--tier", help="toy (seconds), laptop (minutes; the default), gpu (hours) or paper.")
@click.option("--data", help="Data set, see `nasworkbench data`; by default the tier's.")
@click.option("--root", type=FOLDER, help="Folder of the data.")
@click.option("--download", is_flag=True, help="Download the data if they are missing.")
@click.option("--controller", default="ppo", help="ppo, reinforce, evolution or random.")
@click.option("--trials", type=int, help="Trials of each search; by default the tier's.")
@click.option("--workers", type=int, help="Worker processes; by default the tier's.")
@click.option("--device", default="cpu", help="cpu, cuda or cuda:0.")
@click.option("--seed", type=int, default=0, help="Seed of both searches.")
@click.option("--name", help="Name of the run; by default tier and time.")
@click.option("--runs", type=FOLDER, default=Path("runs"), help="Folder of all runs.")
def search(
    tier: str | None,
    data: str | None,
    root: Path | None,
    download: bool,
    controller: str,
    trials: int | None,
    workers: int | None,
    device: str,
    seed: int,
    name: str | None,
    runs: Path,
) -> None:
    """Search for a cell, judge it against random search, write a report, draw it.

    Without --tier it is that of the environment variable NASWORKBENCH_TIER, else laptop.
    """
    from .. import tiers
    from ..data import load, names
    from ..job import Job

    given: dict[str, Any] = {"trials": trials, "workers": workers}
    preset = replace(tiers.get(tier), **{k: v for k, v in given.items() if v is not None})
    if name is not None and (name in ("", "..") or Path(name).name != name):
        raise SettingsError(f"--name must be the name of a folder in {runs}, got {name!r:.80}")
    data = preset.data if data is None else choice("--data", data, names())
    dataset = load(data, root=root, download=download)
    job = Job.create(
        preset,
        None if name is None else runs / name,
        runs=runs,
        dataset=dataset,
        controller=controller,
        device=device,
        seed=seed,
        progress=True,
    )
    click.echo(dataset)
    _run(job, lambda: click.echo(tiers.forecast(preset, dataset, device)))


@app.command()
@click.argument("folder", type=FOLDER)
@click.option("--workers", type=int, help="Worker processes; by default as before.")
@click.option("--device", help="cpu, cuda or cuda:0; by default as before.")
@click.option("--root", type=FOLDER, help="Folder of the data, if the search was given one.")
def resume(folder: Path, workers: int | None, device: str | None, root: Path | None) -> None:
    """Go on with an interrupted search from where it was."""
    from ..job import Job

    _run(Job.resume(folder, device=device, root=root, workers=workers, progress=True))


def _run(job: Job, first: Callable[[], object] = lambda: None) -> None:
    try:
        first()
        job.run(click.echo)
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; all is saved. Go on with: nasworkbench resume {job.directory}")
        raise click.exceptions.Exit(130) from None
    if job.best is not None:
        click.echo(f"{job.best}\n")
    click.echo(f"report: {job.directory / 'report.html'}")


@app.command()
@click.argument("folder", type=FOLDER)
@click.option("--output", "-o", type=FOLDER, help="File to write; by default FOLDER/report.html.")
@click.option("--table", "table_file", help="File of the search's table, if not the library's.")
def report(folder: Path, output: Path | None, table_file: str | None) -> None:
    """Write the report of a search, finished or not, as one offline HTML file."""
    from .. import report as reports
    from .tables import find as find_table

    table = None if table_file is None else find_table(table_file)
    click.echo(f"{reports.write(folder, output, table)}")


@app.command()
@click.argument("folder", type=FOLDER)
@click.argument("file", type=FOLDER)
def export(folder: Path, file: Path) -> None:
    """Copy the search in FOLDER into one new FILE, while it runs or later.

    All of it, the controller's state included. The file is the search.sqlite of another run
    folder: in an empty folder, under that name, `nasworkbench resume` or Search.resume goes on
    with it. The baseline of a main job is a search of its own: FOLDER/random.
    """
    from ..search import History

    with History(folder) as history:
        history.store.copy_to(file)
    click.echo(file)


@app.command()
@click.argument("what")
@click.option("-o", "--output", type=FOLDER, default=Path("genotype.svg"), help="File to write.")
@click.option("--part", default="genotype", type=click.Choice(PARTS), help="What is drawn.")
@click.option("--theme", default="light", type=click.Choice(["light", "dark"]), help="Colours.")
@click.option("--cells", type=SIZE, default=2, help="N, normal cells per stage of a network.")
@click.option("--filters", type=SIZE, default=32, help="F, filters of its first stage.")
def draw(what: str, output: Path, part: str, theme: str, cells: int, filters: int) -> None:
    """Draw a genotype, one of its cells, or the network that is stacked from it.

    The file's end, .svg, .png or .dot, says what it becomes.
    """
    import torch

    from ..drawing import draw as drawn
    from ..networks import CellNetwork

    thing: Any = find(what) if part == "genotype" else _with_cells(what)
    if part == "network":
        with torch.device("meta"):
            thing = CellNetwork(thing, cells=cells, filters=filters)
    elif part != "genotype":
        thing = getattr(thing, part)
    click.echo(f"{drawn(thing, theme=theme).save(output)}")


@app.command()
@click.argument("what")
@click.option("--notation", "-n", help='The paper\'s N @ P, e.g. "6 @ 768".')
@click.option("--cells", type=SIZE, default=6, help="N, normal cells per stage.")
@click.option("--filters", type=SIZE, default=32, help="F, filters of the first stage.")
@click.option("--stem", default="cifar", help="cifar or imagenet.")
@click.option("--classes", type=SIZE, help="By default 10 for cifar, 1000 for imagenet.")
@click.option("--image-size", type=SIZE, help="By default 32 for cifar, 224 for imagenet.")
def profile(
    what: str,
    notation: str | None,
    cells: int,
    filters: int,
    stem: str,
    classes: int | None,
    image_size: int | None,
) -> None:
    """Count the parameters and mult-adds of a network, and show the size of every map."""
    import torch

    from .. import zoo
    from ..networks import CellNetwork
    from ..networks import profile as profiled

    classes = classes if classes is not None else 1000 if stem == "imagenet" else 10
    with torch.device("meta"):  # without memory for the weights
        if notation is None:
            network = CellNetwork(_with_cells(what), cells, filters, classes, stem=stem)
        else:
            published = what in zoo.names() and not Path(what).exists()
            source = what if published else _with_cells(what)
            network = CellNetwork.from_notation(source, notation, stem=stem, classes=classes)
    counted = profiled(network, image_size or network.image_size)
    for layer, (height, width, channels) in counted.endpoints.items():
        click.echo(f"{layer:<14}{f'{height} x {width} x {channels}':>20}")
    click.echo(f"{'parameters':<14}{counted.parameters:>20,}")
    click.echo(f"{'mult-adds':<14}{counted.mult_adds:>20,}")


@app.command()
@click.argument("name", required=False)
@click.option("--root", type=FOLDER, help="Folder to look in.")
@click.option("--download", is_flag=True, help="Download it if it is missing.")
def data(name: str | None, root: Path | None, download: bool) -> None:
    """Show which data sets are on this machine; load one to check it."""
    from .. import data as datasets

    if name is None:
        for known in datasets.names():
            description = datasets.describe(known, root)
            here = "here" if description.place else "missing"
            click.echo(f"{known:<15}{here:<9}{description.summary}")
        return
    choice("NAME", name, datasets.names())
    dataset = datasets.load(name, root=root, download=download)
    click.echo(f"{datasets.describe(name, root).summary}\n{dataset}")


def find(what: str) -> Architecture:
    """A genotype by the name of a published one, a file, or a run folder.

    Raises:
        WorkbenchError: none of these, a search of an own space, or one without a good trial.
    """
    from .. import zoo
    from ..genotype import Genotype
    from ..search import History

    path = Path(what)
    if path.is_dir() and not (path / "best.json").exists():
        with History(path) as history:
            best = history.best()
        if not best:
            raise StoreError(f"{path} holds no genotype yet: no trial has ended well")
        return best[0].genotype  # of a search from Python, or one that has not come to its end
    path = path / "best.json" if path.is_dir() else path
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return Genotype.load(path)
    return zoo.get(what)


def _with_cells(what: str) -> Genotype:
    """As :func:`find`.

    Raises:
        GenotypeError: it has no cells.
    """
    from ..genotype import Genotype

    architecture = find(what)
    if not isinstance(architecture, Genotype):
        raise GenotypeError(f"{what} is a {type(architecture).__name__} and has no cells")
    return architecture


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code, see above."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments in ([], ["table"]):
        arguments.append("--help")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that is not UTF-8 is no reason to fail
    try:
        return app(args=arguments, prog_name=package, standalone_mode=False) or 0
    except (WorkbenchError, click.ClickException, OSError) as error:
        if debug:
            raise
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"{package}: {' '.join(text.split())}", err=True)
        return 2 if isinstance(error, WRONG_CALL) else 1
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"{package}: interrupted", err=True)
        return 130

"""The main job from the command line: a whole toy run, what it leaves, and going on with it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest
from PIL import Image
from search_helpers import environment, few_steps, same

from nasworkbench import (
    CellSpace,
    History,
    RandomSearch,
    Search,
    cli,
    comparison,
    data,
    job,
    tiers,
    zoo,
)
from nasworkbench.errors import SettingsError, StoreError
from nasworkbench.genotype import Genotype
from nasworkbench.search import Store

NAME = "first"
pytestmark = pytest.mark.usefixtures("prepared_workers")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(runs, prepared_workers) -> Path:
    """One toy run of three trials a side, made by the command line."""
    arguments = ["--tier", "toy", "--trials", "3", "--runs", str(runs), "--name", NAME]
    assert cli.main(["search", *arguments]) == 0
    return runs / NAME


@pytest.fixture
def quick_toy(monkeypatch):
    monkeypatch.setitem(tiers.TIERS, "toy", few_steps(tiers.get("toy")))


def command(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    code = cli.main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_a_run_leaves_all_that_is_promised(run):
    names = {path.name for path in run.iterdir()}
    pictures = {
        f"{name}.{suffix}"
        for name in ("normal_cell", "reduction_cell", "genotype", "network", "rewards")
        for suffix in ("svg", "png")
    }
    assert names >= {"search.sqlite", "best.json", "report.html", "random"} | pictures
    for name in pictures:
        blob = (run / name).read_bytes()
        if name.endswith("png"):
            assert blob.startswith(b"\x89PNG")
        else:
            assert ElementTree.fromstring(blob).tag.endswith("svg")


def test_both_searches_have_their_trials_and_the_best_are_judged(run):
    for folder in (run, run / "random"):
        with sqlite3.connect(folder / "search.sqlite") as connection:
            count = "SELECT count(*) FROM trials WHERE updates_at_tell IS NOT NULL"
            (told,) = connection.execute(count).fetchone()
        assert told == 3
    rows = Store(run).retrainings()
    judged = {origin: {r["key"] for r in rows if r["origin"] == origin} for origin in
              comparison.ORIGINS}  # fmt: skip
    assert len(rows) == 8 and all(len(keys) == 2 for keys in judged.values())
    assert all(0 <= row["test"] <= 1 for row in rows)


def test_the_best_is_chosen_by_validation(run):
    best = Genotype.load(run / "best.json")
    assert best.name == NAME
    rows = Store(run).retrainings()
    means: dict[str, list[float]] = {}
    for row in rows:
        if row["origin"] == "controller":
            means.setdefault(row["key"], []).append(row["validation"])
    assert best.key == max(means, key=lambda key: sum(means[key]))


def test_the_verdict_is_stored_and_reported(run):
    verdict = Store(run).meta("verdict")
    assert verdict["low"] <= verdict["difference"] <= verdict["high"]
    assert "In this pair of runs the 2 best cells of PPO" in verdict["sentence"]
    assert "95 % interval" in verdict["sentence"] and verdict["conclusion"] == "too few to compare"
    assert verdict["sentence"] in (run / "report.html").read_text(encoding="utf-8")


def test_after_a_few_trials_nobody_has_won(capsys, run):
    """Three trials a side: the command line says what is missing."""
    _, output, _ = command(capsys, "resume", run)
    sentence = Store(run).meta("verdict")["sentence"]
    assert sentence in output and "better" not in sentence
    assert sentence.endswith(
        "over cells and seeds: too few to compare. It takes at least 5 cells (here 2), "
        "12 trainings (here 4), 100 trials (here 3) and 3 updates (here 1): "
        "take a larger tier, or more trials."
    )


@pytest.mark.parametrize(
    "controller, updates", [("ppo", 0), ("reinforce", 0), ("evolution", None), ("random", None)]
)
def test_only_a_controller_that_learns_by_updates_needs_some(
    tmp_path, monkeypatch, controller, updates
):
    made = job.Job.create(tiers.get("toy"), tmp_path / "run", controller=controller)
    asked = []
    monkeypatch.setattr(job, "ProcessExecutor", lambda *arguments: contextlib.nullcontext())
    monkeypatch.setattr(Search, "run", lambda *arguments, **options: None)
    monkeypatch.setattr(job, "retrain_best", lambda *arguments: None)
    monkeypatch.setattr(made, "write", lambda *arguments: None)
    verdict = comparison.verdict

    def seen(*arguments):
        asked.append(arguments[1:])
        return verdict(*arguments)

    monkeypatch.setattr(job, "verdict", seen)
    made.run()
    assert asked == [(type(made.search.controller).__name__, 0, updates)]


def test_two_runs_at_one_moment_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: form.replace("%Y%m%d-%H%M%S", "now"))
    runs = [job.Job.create(tiers.get("toy"), runs=tmp_path) for _ in range(2)]
    assert [run.directory for run in runs] == [tmp_path / "toy-now", tmp_path / "toy-now-2"]
    assert [run.search.store.meta("job")["name"] for run in runs] == ["toy-now", "toy-now-2"]
    # one whose settings are refused leaves no folder
    with pytest.raises(SettingsError, match="device"):
        job.Job.create(tiers.get("toy"), runs=tmp_path / "none", device="cuda:77")
    assert not (tmp_path / "none").exists()


def test_a_second_run_of_that_name_is_refused(capsys, run, runs):
    before = (run / "search.sqlite").read_bytes()
    code, _, error = command(capsys, "search", "--tier", "toy", "--runs", runs, "--name", NAME)
    assert code == 1 and "holds a search already" in error and "resume" in error
    assert error.count("\n") == 1
    assert (run / "search.sqlite").read_bytes() == before


def test_resume_of_a_finished_run_trains_nothing(capsys, run):
    rows = Store(run).retrainings()
    (run / "report.html").unlink()
    code, output, _ = command(capsys, "resume", run)
    assert code == 0 and "In this pair of runs" in output
    assert Store(run).retrainings() == rows
    assert (run / "report.html").is_file()


def test_an_interrupted_job_goes_on(capsys, runs, monkeypatch, quick_toy):
    """Ctrl-C between the searches and the judgement: said in one line, exit code 130, resumable."""

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job, "retrain_best", interrupted)
        code, output, _ = command(
            capsys, "search", "--tier", "toy", "--trials", "1", "--runs", runs, "--name", "cut"
        )
    assert code == 130 and "resume" in output
    store = Store(runs / "cut", CellSpace())
    assert store.finished_count == 1 and store.meta("verdict") is None
    code, output, _ = command(capsys, "resume", runs / "cut", "--workers", "1")
    assert code == 0 and store.meta("verdict")["sentence"] in output
    assert len(store.proposed_from(0)) == 1


def test_a_second_resume_is_refused_while_the_first_judges(capsys, runs, monkeypatch, quick_toy):
    """The searches have ended and are locked by nobody: the job itself is."""
    create = ["search", "--tier", "toy", "--trials", "1", "--runs", str(runs), "--name", "twice"]
    second: list[tuple[int, str, str]] = []

    def retrain(*arguments: object) -> None:
        monkeypatch.setattr(job, "retrain_best", comparison.retrain_best)
        second.append(command(capsys, "resume", runs / "twice"))
        comparison.retrain_best(*arguments)

    monkeypatch.setattr(job, "retrain_best", retrain)
    assert cli.main(create) == 0
    ((code, output, error),) = second
    assert code == 1 and output == ""
    assert f"another process is running the search in {runs / 'twice'}" in error
    assert len(Store(runs / "twice").retrainings()) == 4


BARE = """
import sys
sys.modules["pygraphviz"] = None  # as if it were not installed
from nasworkbench import tiers
from nasworkbench.cli import main
from search_helpers import few_steps
tiers.TIERS["toy"] = few_steps(tiers.get("toy"))
sys.exit(main(sys.argv[1:]))
"""


def bare(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command where there is neither graphviz nor any other program."""
    return subprocess.run(
        [sys.executable, "-c", BARE, *map(str, arguments)],
        env=environment() | {"PATH": "/nowhere"}, cwd=folder, capture_output=True, text=True,
        timeout=200,
    )  # fmt: skip


def test_without_graphviz_a_job_ends_with_its_verdict_and_report(tmp_path):
    made = bare(tmp_path, "search", "--tier", "toy", "--trials", "2", "--name", "bare")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "runs" / "bare"
    sentence = Store(folder).meta("verdict")["sentence"]
    first, last = made.stdout.split(sentence)
    for part in (first, last):
        assert part.count("no drawings: drawing needs graphviz") == 1
    assert last.splitlines()[-1] == f"report: {folder / 'report.html'}"
    assert sentence in (folder / "report.html").read_text(encoding="utf-8")
    assert Genotype.load(folder / "best.json").name == "bare"
    names = {path.name for path in folder.iterdir()}
    assert names >= {"rewards.svg", "rewards.png"} and "genotype.svg" not in names

    again = bare(tmp_path, "report", folder, "-o", "again.html")
    assert again.returncode == 0, again.stderr
    assert "No drawing: drawing needs graphviz" in (tmp_path / "again.html").read_text("utf-8")
    drawn = bare(tmp_path, "draw", folder)
    assert drawn.returncode == 1 and drawn.stderr.startswith("nasworkbench: drawing needs")


def test_the_drawings_come_last(capsys, run, monkeypatch):
    """Whatever happens to them, verdict and report are there."""

    def interrupted(thing: object) -> None:
        raise KeyboardInterrupt

    for name in ("report.html", "rewards.png"):
        (run / name).unlink()
    monkeypatch.setattr(job, "draw", interrupted)
    code, output, _ = command(capsys, "resume", run)
    assert code == 130 and Store(run).meta("verdict")["sentence"] in output
    assert (run / "report.html").is_file() and (run / "rewards.png").is_file()


def test_a_name_that_is_not_utf_8(capsys, run, tmp_path, quick_toy):
    name = os.fsdecode(b"caf\xe9")
    arguments = ["--tier", "toy", "--trials", "1", "--runs", tmp_path, "--name", name]
    code, output, error = command(capsys, "search", *arguments)
    assert code == 0 and "caf?" in output, error
    folder = tmp_path / name
    assert Genotype.load(folder / "best.json").name == name
    assert r"caf\udce9" in (folder / "report.html").read_text(encoding="utf-8")
    shutil.copytree(run, tmp_path / "renamed" / name)
    for path in (folder, tmp_path / "renamed" / name):
        for words in (["resume", path], ["report", path], ["draw", path, "-o", path / "a.svg"],
                      ["export", path, path / "copy.sqlite"]):  # fmt: skip
            code, output, error = command(capsys, *words)
            assert code == 0 and "caf?" in output, error
    code, _, error = command(capsys, "search", *arguments)
    assert code == 1 and "caf" in error and "holds a search already" in error
    code, _, error = command(capsys, "resume", tmp_path / os.fsdecode(b"\xff"))
    assert code == 1 and "holds no search" in error


def test_data_that_have_moved(capsys, tmp_path):
    """A run folder may come from anybody: where the data are, the user says."""
    rng = numpy.random.default_rng(0)
    for part in ("train", "validation", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "data" / part / label).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(256, size=(8, 8, 3), dtype=numpy.uint8)
                Image.fromarray(pixels).save(tmp_path / "data" / part / label / f"{number}.png")
    dataset = data.load("imagefolder", tmp_path / "data", image_size=8)
    tier = replace(tiers.get("toy"), trials=1, top=1, seeds=1)
    made = job.Job.create(tier, tmp_path / "run", dataset=dataset)
    made.search.store.close()
    (tmp_path / "data").rename(tmp_path / "moved")
    code, _, error = command(capsys, "resume", tmp_path / "run")
    assert code == 1 and "--root" in error
    for _ in range(2):  # the second time its baseline is there too
        code, output, error = command(
            capsys, "resume", tmp_path / "run", "--root", tmp_path / "moved"
        )
        assert code == 0 and "report: " in output, error


# --- export -------------------------------------------------------------------------------------


def test_an_exported_search_is_the_search(capsys, run, tmp_path):
    (tmp_path / "copy").mkdir()
    path = tmp_path / "copy" / "search.sqlite"
    code, output, _ = command(capsys, "export", run, path)
    assert code == 0 and output.strip() == str(path)
    assert list(path.parent.iterdir()) == [path]  # without a log beside it
    with History(run) as ours, History(path.parent) as theirs:
        assert theirs.trials().equals(ours.trials())
        assert theirs.retrained() == ours.retrained()
        assert theirs.meta("verdict") == ours.meta("verdict")
    assert same(Store(run).state(), Store(path.parent).state())
    code, output, _ = command(capsys, "resume", path.parent)
    assert code == 0 and "In this pair of runs" in output

    before = path.read_bytes()
    code, _, error = command(capsys, "export", run, path)
    assert code == 1 and f"{path} is there already" in error
    assert path.read_bytes() == before
    code, _, error = command(capsys, "export", run, tmp_path / "nowhere" / "x")
    assert code == 1 and "cannot copy" in error and str(tmp_path / "nowhere" / "x") in error
    code, _, error = command(capsys, "export", run, tmp_path)
    assert code == 1 and "is there already" in error


def test_export_while_the_search_runs(capsys, tmp_path):
    """What is only in the log so far is in the copy, and the search is left in peace."""
    exported: list[int] = []

    def evaluate(genotype: Genotype) -> float:
        exported.append(
            cli.main(["export", str(tmp_path / "run"), str(tmp_path / f"{n()}.sqlite")])
        )
        return 0.5

    def n() -> int:
        return len(exported)

    space = CellSpace()
    search = Search(space, RandomSearch(space), evaluate, tmp_path / "run")
    search.run(3)
    assert exported == [0, 0, 0] and search.finished == 3
    for done in range(3):
        (tmp_path / str(done)).mkdir()
        (tmp_path / f"{done}.sqlite").rename(tmp_path / str(done) / "search.sqlite")
        copy = Search.resume(tmp_path / str(done), evaluator=evaluate)
        assert copy.finished == done
        assert [trial.number for trial in copy.store.unfinished()] == [done]


def test_the_report_command(capsys, run, tmp_path):
    code, output, _ = command(capsys, "report", run, "-o", tmp_path / "again.html")
    assert code == 0 and output.strip() == str(tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8").startswith("<!")
    code, _, error = command(capsys, "report", tmp_path)
    assert code == 1 and "holds no search" in error


def test_draw_takes_a_name_a_file_or_a_run(capsys, run, tmp_path):
    for number, (what, part) in enumerate(
        [("nasnet-a", "genotype"), (run / "best.json", "normal"), (run, "network")]
    ):
        path = tmp_path / f"{number}.svg"
        code, output, _ = command(capsys, "draw", what, "--part", part, "-o", path)
        assert code == 0 and output.strip() == str(path)
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_profile_prints_the_published_numbers(capsys):
    code, output, _ = command(
        capsys, "profile", "nasnet-a", "--notation", "4 @ 1056", "--stem", "imagenet"
    )
    assert code == 0
    assert re.search(r"^parameters +5,289,978$", output, re.M)
    assert re.search(r"^mult-adds +563,\d{3},\d{3}$", output, re.M)
    assert re.search(r"^stem_1 +28 x 28 x 88$", output, re.M)
    code, output, _ = command(capsys, "profile", "nasnet-a", "--cells", 2)
    assert "1,294,698" in output


def test_data_lists_and_loads(capsys):
    code, output, _ = command(capsys, "data")
    assert code == 0 and {line.split()[0] for line in output.splitlines()} >= {"digits", "cifar10"}
    code, output, _ = command(capsys, "data", "digits")
    assert code == 0 and "957 train / 480 validation" in output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["search", "--tier", "huge"],
            2,
            "the tier must be one of toy, laptop, gpu and paper, got 'huge'",
        ),
        (["search", "--tier", "toy", "--workers", "0"], 2, "workers must be a whole number"),
        (["search", "--tier", "toy", "--trials", "-1"], 2, "trials must be a whole number"),
        (["search", "--tier", "toy", "--data", "digit"], 2, "digit"),
        (["search", "--tier", "toy", "--device", "cuda:7"], 2, "cuda:7"),
        (
            ["search", "--tier", "toy", "--controller", "tpe"],
            2,
            "controller must be one of ppo, reinforce, evolution and random, got 'tpe'",
        ),
        *[
            (
                ["search", "--tier", "toy", "--name", name],
                2,
                f"of a folder in {{runs}}, got {name!r}",
            )
            for name in ("a/b", "..", ".", "", "a/", "/")
        ],
        (["search", "--tier", "toy", "--name", "n" * 300], 1, "cannot make the run folder"),
        (["search", "--tier", ""], 2, "the tier must be one of toy"),
        (["search", "--tier", "toy", "--data", ""], 2, "--data must be one of digits"),
        (["search", "--tier", "toy", "--seed", "-1"], 2, "seed must be a whole number from 0"),
        (["search", "--tier", "toy", "--runs", "/dev/null"], 1, "cannot make the run folder"),
        (["data", "digit"], 2, "NAME must be one of digits"),
        (["data", ""], 2, "NAME must be one of digits"),
        (["resume", "nowhere"], 1, "holds no search"),
        (["export", "nowhere", "copy.sqlite"], 1, "holds no search"),
        (["export", "nowhere"], 2, "FILE"),
        (["report", "nowhere"], 1, "holds no search"),
        (["draw", "nasnet-z"], 2, "nasnet-a"),
        (["draw", "none.json"], 1, "none.json"),
        (["draw", "nowhere/none"], 1, "nowhere/none"),
        (["draw", "nasnet-a", "-o", "x.jpg"], 2, ".svg, .png and .dot"),
        (["draw", "nasnet-a", "-o", "/nowhere/x.svg"], 1, "cannot write the drawing to /nowhere"),
        (["draw", "nasnet-a", "--part", "network", "--cells", "0"], 2, "cells"),
        (["draw", "nasnet-a", "--part", "network", "--filters", "0"], 2, "filters"),
        (["profile", "nasnet-a", "--image-size", "0"], 2, "'--image-size': 0 is not in the range"),
        (["profile", "nasnet-a", "--classes", "0"], 2, "'--classes': 0 is not in the range"),
        (["profile", "nasnet-a", "--cells", "0"], 2, "cells"),
        (["profile", "nasnet-a", "--filters", "9" * 20], 2, "'--filters': 9"),
        (["profile", "nasnet-a", "--stem", "mnist"], 2, "mnist"),
        (["draw", "nasnet-a", "--part", "all"], 2, "--part"),
        (["profile", "nasnet-a", "-n", "6 @ 769"], 2, "768"),
        (["profile"], 2, "WHAT"),
        (["search", "--trials", "many"], 2, "many"),
        (["fly"], 2, "fly"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(capsys, tmp_path, arguments, code, words):
    if arguments[0] == "search":
        arguments = ["search", "--runs", str(tmp_path), *arguments[1:]]
    found, _, error = command(capsys, *arguments)
    assert found == code and words.replace("{runs}", str(tmp_path)) in error
    assert error.startswith("nasworkbench: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["table"], ["--debug"]])
def test_without_a_command_there_is_help_in_lines(capsys, arguments):
    code, output, error = command(capsys, *arguments)
    assert code == 0 and error == ""
    lines = output.splitlines()
    assert lines[0].startswith("Usage: nasworkbench") and len(lines) > 10
    assert "Commands:" in lines


def test_debug_shows_the_error_itself():
    for arguments in (["--debug", "resume", "nowhere"], ["resume", "nowhere", "--debug"]):
        with pytest.raises(StoreError):
            cli.main(arguments)


@pytest.mark.parametrize(
    "name", ["search", "resume", "report", "export", "draw", "profile", "data"]
)
def test_every_command_has_help(capsys, name):
    code, output, _ = command(capsys, name, "--help")
    assert code == 0 and f"nasworkbench {name}" in output and len(output.splitlines()) > 5


def test_a_python_search_is_no_job(capsys, tmp_path):
    space = CellSpace()
    Search(space, RandomSearch(space), lambda genotype: 0.5, tmp_path / "own")
    code, _, error = command(capsys, "resume", tmp_path / "own")
    assert code == 1 and "evaluator" in error


def test_best_json_is_a_genotype(run):
    record = json.loads((run / "best.json").read_text(encoding="utf-8"))
    assert record["format"] == json.loads(zoo.get("nasnet-a").to_json())["format"]

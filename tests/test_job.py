"""The main job from the command line: a whole toy run, what it leaves, and going on with it."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nasworkbench import CellSpace, cli, comparison, job, zoo
from nasworkbench.errors import StoreError
from nasworkbench.genotype import Genotype
from nasworkbench.search import Store

NAME = "first"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(runs) -> Path:
    """One toy run of three trials a side, made by the command line."""
    arguments = ["--tier", "toy", "--trials", "3", "--runs", str(runs), "--name", NAME]
    assert cli.main(["search", *arguments]) == 0
    return runs / NAME


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
    assert "95 % interval" in (run / "report.html").read_text(encoding="utf-8")


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


def test_an_interrupted_job_goes_on(capsys, runs, monkeypatch):
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
        (["search", "--tier", "huge"], 1, "there is no tier 'huge'"),
        (["search", "--tier", "toy", "--workers", "0"], 1, "workers must be a whole number"),
        (["search", "--tier", "toy", "--trials", "-1"], 1, "trials must be a whole number"),
        (["search", "--tier", "toy", "--data", "digit"], 1, "digit"),
        (["search", "--tier", "toy", "--device", "cuda:7"], 1, "cuda:7"),
        (["search", "--tier", "toy", "--controller", "tpe"], 1, "no controller 'tpe'"),
        (["search", "--tier", "toy", "--name", "a/b"], 1, "--name"),
        (["resume", "nowhere"], 1, "holds no search"),
        (["draw", "nasnet-z"], 1, "nasnet-a"),
        (["draw", "none.json"], 1, "none.json"),
        (["draw", "nasnet-a", "--part", "all"], 2, "--part"),
        (["profile", "nasnet-a", "-n", "6 @ 769"], 1, "768"),
        (["profile"], 2, "WHAT"),
        (["search", "--trials", "many"], 2, "many"),
        (["fly"], 2, "fly"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(capsys, tmp_path, arguments, code, words):
    if arguments[0] == "search":
        arguments = [*arguments, "--runs", str(tmp_path)]
    found, _, error = command(capsys, *arguments)
    assert found == code and words in error
    assert error.startswith("nasworkbench: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_error_itself():
    for arguments in (["--debug", "resume", "nowhere"], ["resume", "nowhere", "--debug"]):
        with pytest.raises(StoreError):
            cli.main(arguments)


@pytest.mark.parametrize("name", ["search", "resume", "report", "draw", "profile", "data"])
def test_every_command_has_help(capsys, name):
    code, output, _ = command(capsys, name, "--help")
    assert code == 0 and f"nasworkbench {name}" in output and len(output.splitlines()) > 5


def test_a_python_search_is_no_job(capsys, tmp_path):
    from nasworkbench import RandomSearch, Search

    space = CellSpace()
    Search(space, RandomSearch(space), lambda genotype: 0.5, tmp_path / "own")
    code, _, error = command(capsys, "resume", tmp_path / "own")
    assert code == 1 and "evaluator" in error


def test_best_json_is_a_genotype(run):
    record = json.loads((run / "best.json").read_text(encoding="utf-8"))
    assert record["format"] == json.loads(zoo.get("nasnet-a").to_json())["format"]

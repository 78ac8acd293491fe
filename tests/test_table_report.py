"""The report of a search on a table: test accuracies are shown there, and nowhere else."""

import dataclasses
import re
from xml.etree import ElementTree

import numpy
import pandas
import pytest
from search_helpers import identity_share, new
from table_helpers import install, search_on, small_table
from test_report import SECTIONS, Page

from nasworkbench import PPO, CellSpace, Search, TableEvaluator, cli, report, tables
from nasworkbench.comparison.table_result import table_result
from nasworkbench.errors import TableError, WorkbenchError
from nasworkbench.nas_bench_graph import GraphSpace
from nasworkbench.report.contents import Contents
from nasworkbench.tables import Table

TABLE = small_table()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A search of 60 trials on the small table."""
    directory = tmp_path_factory.mktemp("runs") / "on-table"
    search_on(TABLE, directory).run(60)
    return directory


@pytest.fixture
def library(monkeypatch):
    """Lets the library know one table and no other."""
    monkeypatch.setattr(tables, "names", tables.names)  # to be put back in the end
    monkeypatch.setattr(tables, "load", tables.load)
    return install


@pytest.fixture
def without_figures(monkeypatch):
    """Figures take a second a page, and are tested elsewhere."""
    for name in ("reward_figure", "operation_figure", "update_figure"):
        monkeypatch.setattr(report, name, lambda *arguments: None)


def shown(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def facts(page: Page, section: str) -> str:
    return re.sub(r"\s+", " ", page.texts[section])


def reopened(folder):
    return Search.resume(folder, TableEvaluator(TABLE))


# --- what is shown ---------------------------------------------------------------------------


def frame(rows, rewards=None, statuses=None, cached=None) -> pandas.DataFrame:
    """Trials that looked up these rows of the table."""
    count = len(rows)
    return pandas.DataFrame(
        {
            "number": range(count),
            "key": [row if isinstance(row, str) else TABLE.keys[row] for row in rows],
            "reward": rewards or [TABLE.mean_validation[row] for row in rows],
            "status": statuses or ["ok"] * count,
            "cached": cached or [False] * count,
        }
    )


def result_of(trials):
    """What the report says of these trials."""
    best = next(iter(Contents(None, trials, [], []).measured["key"]), None)
    return table_result(TABLE, trials["key"], best)


def test_the_numbers_are_those_of_the_table():
    found = result_of(frame([3, 400, 3, 0], cached=[False, False, True, False]))
    assert (found.architectures, found.seen, found.repeated, found.missing) == (441, 3, 1, 0)
    assert found.share == 3 / 441
    means = [TABLE.validation.mean(1), TABLE.test.mean(1)]
    best = found.best
    assert best.key == TABLE.keys[400]
    assert (best.validation, best.test) == pytest.approx([mean[400] for mean in means], abs=1e-12)
    assert best.rank == 1 + (means[0] > means[0][400]).sum()
    assert best.validation_regret == pytest.approx(means[0].max() - means[0][400], abs=1e-12)
    assert best.test_regret == pytest.approx(means[1].max() - means[1][400], abs=1e-12)
    assert found.sentence == (
        f"In the table 'small' the best of the 3 architectures that this search looked up is "
        f"number {best.rank} of 441 by validation accuracy, {100 * best.validation_regret:.2f} "
        f"points behind the best; its test accuracy is {100 * best.test_regret:.2f} points behind "
        "the best."
    )


def test_the_best_is_that_of_the_search_by_its_rewards():
    """A search that is rewarded with single trainings may pick another than the table would."""
    found = result_of(frame([440, 0, 5], rewards=[0.1, 0.3, 0.3]))
    assert found.best.key == TABLE.keys[0]  # of equals the first one
    assert found.best.test_regret == 0
    assert found.best.validation_regret > 0.4
    assert "its test accuracy is the best of all." in found.sentence


def test_the_best_of_the_table_is_not_behind():
    row = int(numpy.argmax(TABLE.mean_validation))
    found = result_of(frame([row]))
    assert (found.best.rank, found.best.validation_regret) == (1, 0.0)
    assert "number 1 of 441 by validation accuracy; its test accuracy is" in found.sentence


def test_failures_are_no_best_and_strangers_are_counted():
    statuses, rewards = ["error", "ok", "error"], [None, 0.2, None]
    found = result_of(frame(["stranger", 7, "stranger"], rewards, statuses))
    assert (found.seen, found.repeated, found.missing) == (1, 1, 1)
    assert found.best.key == TABLE.keys[7]
    none = result_of(frame(["stranger"], [None], ["error"]))
    assert none.best is None
    assert none.sentence.startswith("No verdict: the table 'small' knows no architecture")


# --- the page -----------------------------------------------------------------------------------


def test_the_report_shows_test(folder, library):
    library(TABLE)
    page = shown(report.write(folder))
    sections = [a["id"] for tag, a in page.elements if tag == "section"]
    assert sections == [*SECTIONS[:3], "table", *SECTIONS[3:]]
    search = reopened(folder)
    found = table_result(TABLE, search.trials().key, search.best()[0].key)
    assert found.best.key == search.best()[0].key
    assert found.seen == search.trials().key.nunique() == 60 - found.repeated
    assert found.sentence in facts(page, "verdict")
    assert (
        f"validation accuracy {found.best.validation:.4f} "
        f"test accuracy {found.best.test:.4f} "
        f"rank by validation {found.best.rank} of 441 "
        f"validation regret {found.best.validation_regret:.4f} "
        f"test regret {found.best.test_regret:.4f} "
        f"different architectures {found.seen} "
        f"share of the table seen {100 * found.seen / 441:.1f} % "
        f"repeated proposals {found.repeated} "
    ) in facts(page, "table")
    assert "not in the table" not in page.texts["table"]
    assert f"architectures looked up {found.seen}" in facts(page, "facts")
    assert "children trained" not in page.texts["facts"]
    assert "#table" in {a["href"] for tag, a in page.elements if tag == "a"}


def test_a_search_without_a_table_has_no_such_section(tmp_path, without_figures):
    new(tmp_path / "run", identity_share).run(2)
    page = shown(report.write(tmp_path / "run"))
    assert [a["id"] for tag, a in page.elements if tag == "section"] == SECTIONS
    assert "children trained 2" in facts(page, "facts")
    with pytest.raises(TableError, match="did not read its rewards from a table"):
        report.write(tmp_path / "run", table=TABLE)


def test_a_table_that_cannot_be_read_is_one_sentence(folder, library, monkeypatch, without_figures):
    def excuse() -> str:
        page = shown(report.write(folder))
        assert "No verdict" in page.texts["verdict"]
        assert "test accuracy" not in page.texts["table"]
        assert "report FOLDER --table FILE.npz" in page.texts["table"]
        assert reopened(folder).best()[0].key in page.texts["best"]  # all else is there
        return facts(page, "table")

    words = "The rewards are from the table small, which cannot be read for this report: "
    assert words + "the library has no table of this name." in excuse()

    changed = dataclasses.replace(TABLE, validation=TABLE.validation / 2)
    library(changed)
    assert f"with digest {TABLE.digest}; the one that is here has digest {changed.digest}." in (
        excuse()
    )

    for error in (WorkbenchError("the package is not installed <b>"), KeyError("valid_perf")):

        def broken(name, error=error):
            raise error

        monkeypatch.setattr(tables, "load", broken)
        assert words + str(error) in excuse()

    def unreadable():
        raise OSError("no such device")

    library(small_table(read_test=unreadable))
    assert words + "no such device." in excuse()


def test_a_table_of_ones_own_is_given(folder, tmp_path, capsys, without_figures):
    found = result_of(reopened(folder).trials())
    path = report.write(folder, tmp_path / "given.html", TABLE)
    assert found.sentence in facts(shown(path), "verdict")

    file = tmp_path / "small.npz"
    tables.save(TABLE, file)
    arguments = ["report", str(folder), "-o", str(tmp_path / "again.html"), "--table"]
    assert cli.main([*arguments, str(file)]) == 0
    assert found.sentence in facts(shown(tmp_path / "again.html"), "verdict")

    other = dataclasses.replace(TABLE, validation=TABLE.validation / 2, name="other")
    tables.save(other, file)
    capsys.readouterr()
    assert cli.main([*arguments, str(file)]) == 1
    assert f"digest {TABLE.digest}; this one, 'other', has digest {other.digest}" in (
        capsys.readouterr().err
    )


def test_before_the_first_trial_there_is_no_verdict(tmp_path, without_figures):
    search_on(TABLE, tmp_path / "run")
    page = shown(report.write(tmp_path / "run", table=TABLE))
    assert "knows no architecture of this search yet" in page.texts["verdict"]
    assert "different architectures 0 share of the table seen 0.0 %" in facts(page, "table")
    assert "no best cell" in page.texts["best"]


def test_strangers_are_reported(tmp_path, without_figures):
    part = small_table(40)
    search = search_on(part, tmp_path / "run", "RandomSearch", missing="fail")
    with pytest.raises(WorkbenchError, match="the first 5 trials have all failed alike"):
        search.run(30)
    search.run()
    page = shown(report.write(tmp_path / "run", table=part))
    trials = Search.resume(tmp_path / "run", TableEvaluator(part, missing="fail")).trials()
    strangers = trials.key[trials.status != "ok"].nunique()
    assert f"not in the table {strangers}" in facts(page, "table")
    assert "not in the table 'small'" in page.texts["failures"]


# --- other kinds of genotypes -------------------------------------------------------------------


def any_table(space, without=0) -> Table:
    """A table of all architectures of a space but so many, with made-up accuracies."""
    generator, classes = numpy.random.default_rng(0), space.unique
    rows = generator.permutation(len(classes))[without:]
    return Table(
        name="any",
        space=space,
        tokens=numpy.array(classes.tokens)[rows],
        keys=tuple(classes.keys[row] for row in rows),
        validation=generator.random((len(rows), 1)),
        read_test=lambda: numpy.full((len(rows), 1), 0.5),
    )


def test_graph_architectures_from_search_to_drawing(tmp_path, capsys):
    """Store, trials, resume, report and the command line with genotypes that have no cells."""
    space, folder = GraphSpace(("gcn", "gat", "skip")), tmp_path / "run"
    table = any_table(space, without=20)
    evaluator = TableEvaluator(table, missing="fail")
    Search(space, PPO(space, 0, batch_size=5), evaluator, folder).run(30)
    search = Search.resume(folder, evaluator)
    search.run(10)
    trials, (best,) = search.trials(), search.best()
    assert len(trials) == 40 and (trials.status == "ok").sum() > 20
    assert best.reward == trials.reward.max() == table.mean_validation[table.row(best.key)]
    page = shown(report.write(folder, table=table))
    assert "Best architecture" in page.texts["best"]
    assert best.key in page.texts["best"]
    assert str(best.genotype) in page.texts["best"]
    drawings = [a["aria-label"] for tag, a in page.elements if tag == "svg"]
    assert drawings == ["a graph architecture"] * 2
    # a key that is a text is shown whole, in each row of the trials
    _, *rows = page.rows["trials"]
    assert [row[6] for row in rows] == trials.sort_values("number").key.tolist()
    assert table_result(table, trials.key, best.key).sentence in facts(page, "verdict")

    picture = tmp_path / "best.svg"
    assert cli.main(["draw", str(folder), "-o", str(picture)]) == 0
    texts = "".join(ElementTree.parse(picture).getroot().itertext())
    assert all(name in texts for name in (*best.genotype.operations, "input", "output"))
    for arguments in (["draw", str(folder), "--part", "normal"], ["profile", str(folder)]):
        capsys.readouterr()
        assert cli.main(arguments) == 1
        assert "is a GraphArchitecture and has no cells" in capsys.readouterr().err


def test_one_cell_for_both_is_drawn_once(tmp_path):
    space = CellSpace(1, ("identity", "conv_1x1", "avg_pool_3x3"), "add", tied=True)
    table = any_table(space)
    Search(space, PPO(space, 0, batch_size=5), TableEvaluator(table), tmp_path / "run").run(20)
    page = shown(report.write(tmp_path / "run", table=table))
    assert [a["aria-label"] for tag, a in page.elements if tag == "svg"] == ["a cell"] * 2
    assert page.texts["best"].count("normal and reduction cell") == 1
    assert "No operations" not in page.texts["operations"]


def test_draw_takes_the_folder_of_a_search_from_python(folder, tmp_path, capsys):
    picture = tmp_path / "cell.svg"
    for part in ("genotype", "normal", "network"):
        assert cli.main(["draw", str(folder), "--part", part, "-o", str(picture)]) == 0
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    capsys.readouterr()
    assert cli.main(["profile", str(folder), "--cells", "1", "--filters", "4"]) == 0
    search = reopened(folder)
    assert cli.find(str(folder)).key == search.best()[0].key
    search_on(TABLE, tmp_path / "empty")
    for arguments, words in (
        (["draw", str(tmp_path / "empty")], "holds no genotype yet"),
        (["draw", str(tmp_path)], "holds no search"),
    ):
        assert cli.main(arguments) == 1
        assert words in capsys.readouterr().err

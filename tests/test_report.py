"""The report as a reader of its HTML sees it: sections, rows, texts, and no request to anywhere."""

import base64
import io
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from nasworkbench import PPO, CellSpace, Genotype, RandomSearch, Reinforce, Search, plots, report
from nasworkbench.comparison import verdict
from nasworkbench.drawing import rendering
from nasworkbench.errors import StoreError, WorkbenchError
from nasworkbench.report import figures
from nasworkbench.training import Evaluation

ROOT = Path(__file__).parent.parent

#: So small that some genotypes are proposed twice and take their reward from the cache.
SPACE = CellSpace(blocks=1, operations=("identity", "conv_1x1"))
SECTIONS = [
    "verdict", "facts", "best", "rewards", "operations", "updates", "retrained", "failures",
    "trials", "provenance",
]  # fmt: skip
VOID = {"meta", "img", "input", "br"}
ATTACK = '<script>alert("x")</script><img src=http://evil.example/x>'


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text inside each section."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}  # of each section: its table rows' cells
        self.open: list[str] = []
        self.section = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attributes)["id"]
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        self.texts[self.section] = self.texts.get(self.section, "") + data
        if "td" in self.open or "th" in self.open:
            self.rows[self.section][-1][-1] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def page(directory) -> Page:
    return Page(report.write(directory).read_text(encoding="utf-8"))


def evaluate(genotype: Genotype) -> Evaluation:
    """Some raise with a text that wants to be HTML, some are not a number."""
    number = int(genotype.key, 16)
    if number % 5 == 0:
        raise RuntimeError(ATTACK)
    reward = float("nan") if number % 7 == 0 else number % 1000 / 1000
    return Evaluation(reward, parameters=12345)


def retraining(origin: str, trial, seed: int, test: float | None, validation: float | None) -> dict:
    return {
        "origin": origin, "key": trial.key, "seed": seed, "genotype": trial.genotype.to_json(),
        "reward": trial.reward, "status": "ok" if test else "error",
        "cause": None if test else ATTACK, "validation": validation, "test": test, "seconds": 1.5,
    }  # fmt: skip


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A run folder as the main job leaves it: 45 trials, a baseline with 30, a judgement."""
    directory = tmp_path_factory.mktemp("runs") / "my-run"
    search = Search(SPACE, PPO(SPACE, 6, batch_size=10), evaluate, directory, seed=77)
    search.run(45)
    baseline = Search(SPACE, RandomSearch(SPACE, 1), evaluate, directory / "random")
    baseline.run(30)
    search.store.set_meta(
        job={"name": f"run {ATTACK}", "tier": "laptop", "tier_settings": {"recipe": {"epochs": 9}}},
        verdict={"sentence": "In this pair of runs: not distinguishable.", "difference": 0.0},
    )
    first, second = search.best(2)
    (other,) = baseline.best(1)
    for row in (
        retraining("controller", first, 0, 0.91, 0.5),
        retraining("controller", first, 1, 0.93, 0.5),
        retraining("controller", second, 0, 0.8, 0.75),
        retraining("controller", second, 1, 0.84, 0.85),
        retraining("random", other, 0, 0.7, 0.9),
        retraining("random", other, 1, None, None),
    ):
        search.store.retrained(row)
    return search, baseline


@pytest.fixture(scope="module")
def seen(job):
    return page(job[0].directory)


def test_the_report_lies_in_the_run_folder_and_has_its_sections(job, seen):
    assert (job[0].directory / "report.html").is_file()
    assert [a["id"] for tag, a in seen.elements if tag == "section"] == SECTIONS
    links = {a["href"] for tag, a in seen.elements if tag == "a"}
    identifiers = [a["id"] for _, a in seen.elements if a.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert {link.removeprefix("#") for link in links} <= set(identifiers)


def test_the_verdict_comes_first_and_the_budget_second(job, seen):
    search, baseline = job
    assert "not distinguishable" in seen.texts["verdict"]
    trials = search.trials()
    assert trials.cached.any()
    facts = re.sub(r"\s+", " ", seen.texts["facts"])
    assert f"finished trials 45 children trained {int((~trials.cached).sum())}" in facts
    assert f"failed trials {(trials.status != 'ok').sum()}" in facts
    assert f"best reward {search.best()[0].reward:.4f}" in facts
    assert f"random search's best {baseline.best()[0].reward:.4f}" in facts


def test_the_best_cell_is_the_one_that_the_final_training_chose(job, seen):
    second = job[0].best(2)[1]  # 0.80 on validation in the mean; the first has 0.50
    text = seen.texts["best"]
    assert second.key in text
    assert "12,345 parameters" in text
    assert f"Reward {second.reward:.4f}" in text
    assert "0.8000 there" in text
    assert "0.8200 on test data" in text
    assert str(second.genotype) in text
    # both cells, each for light and for dark pages
    drawings = [a for tag, a in seen.elements if tag == "svg"]
    assert [a["aria-label"] for a in drawings] == ["a cell"] * 4
    classes = [a["class"] for tag, a in seen.elements if tag == "div" and "drawing" in str(a)]
    assert classes == ["drawing on-light", "drawing on-dark"] * 2


def test_nothing_is_fetched_from_anywhere(seen):
    for tag, attributes in seen.elements:
        for name in ("src", "srcset", "href", "xlink:href", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/webp;base64,")), (tag, value)
        assert "url(" not in (attributes.get("style") or "")
    assert seen.count("link") == seen.count("iframe") == 0
    assert sum(tag == "img" for tag, _ in seen.elements) == 4  # the figures
    policy = next(a["content"] for t, a in seen.elements if t == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_texts_from_the_store_stay_texts(seen):
    assert seen.count("script") == 1  # our own
    assert all(a.get("alt") for tag, a in seen.elements if tag == "img")
    assert seen.texts[""].count(f"run {ATTACK}") == 2  # the title and the headline
    assert ATTACK in seen.texts["failures"]
    assert ATTACK in seen.texts["trials"]
    assert ATTACK in seen.texts["retrained"]


def test_every_trial_of_both_searches_has_a_row(job, seen):
    header, *rows = seen.rows["trials"]
    assert header == [
        "number", "status", "reward", "cached", "seconds", "parameters", "key", "cause",
    ]  # fmt: skip
    assert len(rows) == 45 + 1 + 30
    search, _ = job
    for row, trial in zip(
        rows, search.trials().sort_values("number").to_dict("records"), strict=False
    ):
        assert row[0] == str(trial["number"])
        assert row[1] == trial["status"]
        assert row[2] == (f"{trial['reward']:.4f}" if trial["status"] == "ok" else "–")
        assert row[3] == ("yes" if trial["cached"] else "")
        assert row[6] == trial["key"][:8]
        assert (row[7] == "") == (trial["status"] == "ok")
    kinds = [a["class"] for tag, a in seen.elements if tag == "tr" and "class" in a]
    assert kinds.count("failed") == sum(row[1] != "ok" for row in rows if row != header)


def test_failures_are_counted_by_status_and_cause(job, seen):
    header = ["count", "status", "cause", "trials"]
    rows = seen.rows["failures"]
    starts = [place for place, row in enumerate(rows) if row == header]
    ours, theirs = rows[1 : starts[1]], rows[starts[1] + 1 :]
    for shown, search in ((ours, job[0]), (theirs, job[1])):
        failed = search.trials().query("status != 'ok'")
        expected = failed.groupby(["status", "cause"]).size()
        assert {(row[1], row[2]): int(row[0]) for row in shown} == expected.to_dict()
        counts = [int(row[0]) for row in shown]
        assert counts == sorted(counts, reverse=True)
        for row in shown:
            numbers = failed.query("cause == @row[2]")["number"].sort_values().astype(str)
            assert row[3].removesuffix(", …") == ", ".join(numbers[:8])


def test_the_judged_cells_have_a_row_with_every_seed(job, seen):
    first, second = job[0].best(2)
    _, *rows = seen.rows["retrained"]
    assert [row[:3] for row in rows] == [
        ["controller", "1", first.key[:8]],
        ["controller", "2", second.key[:8]],
        ["random", "1", job[1].best()[0].key[:8]],
    ]
    assert [row[4] for row in rows] == ["0.9100, 0.9300", "0.8000, 0.8400", "0.7000, error"]
    assert [row[5] for row in rows] == ["0.9200", "0.8200", "0.7000"]


def test_provenance_has_seeds_settings_and_versions(job, seen):
    rows = dict(row for row in seen.rows["provenance"])
    assert rows["seed of the children"] == "77"
    assert rows["learning_rate"] == "0.00035"
    assert rows["recipe.epochs"] == "9"
    assert rows["operations"] == "identity, conv_1x1"
    assert rows["python"] == job[0].store.meta("provenance")["python"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", rows["started"])


# --- searches that are not a finished job -----------------------------------------------------


def test_a_search_without_a_trial_says_so(tmp_path):
    Search(SPACE, PPO(SPACE, 0), evaluate, tmp_path / "empty")
    seen = page(tmp_path / "empty")
    assert [a["id"] for tag, a in seen.elements if tag == "section"] == SECTIONS
    assert "No verdict" in seen.texts["verdict"]
    assert "no best cell" in seen.texts["best"]
    assert "No trial has finished yet" in seen.texts["rewards"]
    assert "No operations to count" in seen.texts["operations"]
    assert "made no update" in seen.texts["updates"]
    assert "No cell has been retrained" in seen.texts["retrained"]
    assert "no trial failed" in seen.texts["failures"]
    assert "trials" not in seen.rows
    assert "empty" in seen.texts[""]


def test_a_search_in_which_everything_failed(tmp_path):
    def broken(genotype):
        raise ValueError(f"cannot build {genotype.key}")

    search = Search(SPACE, Reinforce(SPACE, 0, batch_size=8), broken, tmp_path / "run")
    search.run(40)
    further = search.trials().key.nunique() - 30
    assert further > 1
    seen = page(tmp_path / "run")
    assert "40 of 40 trials failed" in seen.texts["failures"]
    assert "no best cell" in seen.texts["best"]
    assert len(seen.rows["failures"]) == 1 + 30  # as many causes as trials: the first thirty
    assert f"{further} further causes" in re.sub(r"\s+", " ", seen.texts["failures"])
    assert len(seen.rows["trials"]) == 1 + 40
    assert seen.count("img") == 3  # rewards, operations, updates


def test_an_unfinished_search_says_how_far_it_is(tmp_path):
    search = Search(SPACE, RandomSearch(SPACE, 0), lambda genotype: 0.5, tmp_path / "run")
    search.run(3)
    search.store.set_meta(goal=10)
    assert "3 of 10" in page(tmp_path / "run").texts["facts"]


class OwnSpace(CellSpace):
    """A space of the user's own, which the library cannot build."""


def test_architectures_of_an_own_space_are_shown_as_text(tmp_path):
    space = OwnSpace(1, ("identity", "conv_1x1"))
    search = Search(space, RandomSearch(space, 0), lambda genotype: 0.5, tmp_path / "run")
    search.run(2)
    seen = page(tmp_path / "run")
    tokens = ", ".join(map(str, search.best()[0].tokens))
    assert f"tokens {tokens}" in seen.texts["best"]
    assert "cannot decode" in seen.texts["best"]
    assert "No operations to count" in seen.texts["operations"]


def test_without_graphviz_the_report_has_the_text(tmp_path, monkeypatch):
    search = Search(SPACE, RandomSearch(SPACE, 0), lambda genotype: 0.5, tmp_path / "run")
    search.run(1)
    monkeypatch.setattr(rendering, "dot_available", lambda: False)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    seen = page(tmp_path / "run")
    assert "No drawing: drawing needs graphviz" in seen.texts["best"]
    assert str(search.best()[0].genotype) in seen.texts["best"]
    assert seen.count("svg") == 0


def test_what_many_searches_say_is_quoted(tmp_path):
    Search(SPACE, RandomSearch(SPACE, 0), lambda genotype: 0.5, tmp_path / "run").run(1)
    sentences = report.many_searches()
    assert len(sentences) >= 4
    assert all("30 paired seeds" in each and "95 % interval" in each for each in sentences)
    said = page(tmp_path / "run").texts["verdict"]
    assert [each for each in sentences if each not in said] == []
    whole = (ROOT / "tests" / "benchmarks" / "who_wins.md").read_text(encoding="utf-8")
    assert [each for each in sentences if each not in whole] == []  # of one making


def test_too_few_to_compare_is_said_beside_the_many_searches(tmp_path):
    """The sentence as it is stored, also one that an older run folder has without a conclusion."""
    search = Search(SPACE, RandomSearch(SPACE, 0), lambda genotype: 0.5, tmp_path / "run")
    search.run(1)
    rows = [
        {"origin": origin, "key": cell, "test": test}
        for origin, test in (("controller", 0.9), ("random", 0.5))
        for cell in "ab"
    ]
    found = verdict(rows, "PPO", 6, 2)
    older = {name: found.to_dict()[name] for name in ("sentence", "difference", "low", "high")}
    for stored in (found.to_dict(), older):
        search.store.set_meta(verdict=stored)
        said = page(tmp_path / "run").texts["verdict"]
        assert found.sentence in said and "PPO was better" not in said.split("One search")[0]
        assert all(each in said for each in report.many_searches())
    assert ": too few to compare. It takes at least 5 cells (here 2)" in found.sentence


def test_many_trials_are_folded_up(tmp_path, monkeypatch):
    Search(SPACE, RandomSearch(SPACE, 0), lambda genotype: 0.5, tmp_path / "run").run(6)

    def unfolded() -> list[bool]:
        page_ = page(tmp_path / "run")
        return ["open" in a for tag, a in page_.elements if tag == "details"][2:]

    assert unfolded() == [True]
    monkeypatch.setattr(report, "MOST_UNFOLDED", 5)
    assert unfolded() == [False]


# --- the file ---------------------------------------------------------------------------------


def test_the_old_report_stays_until_the_new_one_is_complete(tmp_path, monkeypatch):
    Search(SPACE, RandomSearch(SPACE, 0), lambda genotype: 0.5, tmp_path / "run")
    path = tmp_path / "run" / "report.html"
    path.write_text("old")

    class Killed(BaseException):
        pass

    def killed(source, target):
        assert path.read_text() == "old"
        assert "</html>" in source.read_text(encoding="utf-8")  # complete before it is moved
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(Killed):
            report.write(tmp_path / "run")
    assert path.read_text() == "old"
    assert report.write(tmp_path / "run") == path
    assert "</html>" in path.read_text(encoding="utf-8")
    assert not list((tmp_path / "run").glob("*.new"))


def test_the_report_goes_where_it_is_asked_to(tmp_path):
    Search(SPACE, RandomSearch(SPACE, 0), lambda genotype: 0.5, tmp_path / "run")
    path = tmp_path / "elsewhere.html"
    assert report.write(tmp_path / "run", path) == path
    assert path.is_file()
    assert not (tmp_path / "run" / "report.html").exists()
    with pytest.raises(WorkbenchError, match=r"cannot write the report to .*nowhere"):
        report.write(tmp_path / "run", tmp_path / "nowhere" / "x.html")


def test_what_is_no_run_folder(tmp_path):
    with pytest.raises(StoreError, match=r"holds no search: there is no file search\.sqlite"):
        report.write(tmp_path)
    (tmp_path / "search.sqlite").write_bytes(b"SQLite format 3\0" + bytes(3000))
    with pytest.raises(StoreError, match="damaged or holds no search"):
        report.write(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.756, "0.8 s"), (59, "59.0 s"), (200, "3.3 min"), (18120, "5 h"),
     (3599.6, "60 min"), (float("nan"), "–")],
)  # fmt: skip
def test_durations_read_well(seconds, text):
    assert report.duration(seconds) == text


def test_numbers_read_well():
    assert report.decimals(0.5) == "0.5000"
    assert report.decimals(float("nan")) == report.whole(None) == report.date(None) == "–"
    assert report.whole(1234567.0) == "1,234,567"
    assert report.date(0) == "1970-01-01 00:00:00 UTC"


def test_a_figure_in_the_page_keeps_every_colour():
    figure, ax = plots.figure()
    for height in range(6):  # bands over bands: hundreds of tints
        ax.fill_between([0, 1], height, height + 1.5, alpha=0.2, color=f"C{height}")
    _, data = figures._picture(figure).split("data:image/webp;base64,")
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
    exact = Image.open(io.BytesIO(plots.png(figure)))
    assert shown.convert("RGB").tobytes() == exact.convert("RGB").tobytes()

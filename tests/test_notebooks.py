"""Every lesson keeps the house's rules, and its self-checks tell right from wrong.

That its cells run, and that the tagged ones print what is stored, is nbval's part of ``make test``.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import nbformat
import pytest
from lesson_answers import ANSWERS

from nasworkbench.lessons import check

FOLDER = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
TAGS = {"nbval-check-output", "nbval-ignore-output", "raises-exception", "exercise"}
HEAD = ("Goal.", "Time.", "Tier.", "Needs.")


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param


def cells_of(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def exercises_of(path):
    return [cell for cell in cells_of(path, "code") if "exercise" in cell.metadata.get("tags", ())]


def test_it_was_run_from_top_to_bottom(lesson):
    counts = [cell.execution_count for cell in cells_of(lesson, "code")]
    assert counts == list(range(1, len(counts) + 1))


def test_it_is_short(lesson):
    code = cells_of(lesson, "code")
    assert len(code) <= 25
    assert [cell.source for cell in code if len(cell.source.splitlines()) > 12] == []
    assert lesson.stat().st_size <= 300_000


def test_it_holds_nothing_that_rots(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    assert "widgets" not in notebook.metadata
    assert notebook.metadata.kernelspec.name == "python3"
    assert "base64" not in "".join(cell.source for cell in cells_of(lesson, "markdown"))
    for cell in cells_of(lesson, "code"):
        tags = cell.metadata.get("tags", [])
        assert set(tags) <= TAGS, tags
        if "nbval-check-output" in tags:
            assert not cell.source.rstrip().endswith(";")
            assert cell.outputs
        for output in cell.outputs:
            assert output.get("name") != "stderr", output
            kinds = set(output.get("data", {}))
            assert not kinds & {"image/svg+xml", "image/jpeg"}, kinds
            assert "widget-view" not in " ".join(kinds)
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"/(?:home|root|work|usr)/", text), text


def test_it_says_what_it_is_for_and_ends_with_exercises(lesson):
    first, *rest = [cell.source for cell in cells_of(lesson, "markdown")]
    assert first.startswith(f"# {lesson.stem[:2]} · ")
    for word in HEAD:
        assert f"**{word}**" in first, word
    titles = re.findall(r"^## (.*)$", "\n".join(rest), re.M)
    assert "Summary" in titles and "Exercises" in titles
    assert "Further reading" in "\n".join(rest)
    assert len(exercises_of(lesson)) >= 2
    assert re.search(r'^TIER = "toy"', cells_of(lesson, "code")[0].source, re.M)
    checked = [
        c for c in cells_of(lesson, "code") if "nbval-check-output" in c.metadata.get("tags", ())
    ]
    assert len(checked) >= 1


def test_each_widget_is_followed_by_what_stands_in_for_it(lesson):
    """Only its kernel can show a widget; a reader of the file sees the next cell."""
    code = cells_of(lesson, "code")
    for cell, following in zip(code, [*code[1:], None], strict=True):
        if ": a widget; .static() shows" in str(cell.outputs):
            assert following is not None and ".static()" in following.source, cell.source
            assert any("image/png" in output.get("data", {}) for output in following.outputs)


def test_its_links_lead_somewhere(lesson):
    text = "\n".join(cell.source for cell in cells_of(lesson, "markdown"))
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not (FOLDER / link).exists()] == []


def test_its_self_checks_tell_right_from_wrong(lesson, monkeypatch, tmp_path):
    """Each exercise with a wrong answer, then with a right one, then as the learner finds it."""
    monkeypatch.setenv("NASWORKBENCH_TIER", "toy")
    monkeypatch.setenv("NASWORKBENCH_PROGRESS", "0")
    monkeypatch.chdir(tmp_path)
    answers = ANSWERS[lesson.stem]
    assert len(answers) == len(exercises_of(lesson))
    names: dict = {"display": lambda *things, **settings: None}
    number = 0
    for cell in cells_of(lesson, "code"):
        if "raises-exception" in cell.metadata.get("tags", ()):
            continue
        said = run(cell.source, names)
        if "exercise" in cell.metadata.get("tags", ()):
            assert "no answer yet" in said, cell.source
            wrong, right = answers[number]
            number += 1
            for answer, verdict in ((wrong, "not yet: "), (right, "right")):
                source, places = re.subn(
                    r"^(\w+) = None.*$", lambda _, answer=answer: answer, cell.source, flags=re.M
                )
                assert places == 1, cell.source
                assert run(source, names).strip().splitlines()[-1].startswith(verdict), answer
    assert number == len(answers)


def run(source, names):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(source, "lesson", "exec"), names)
    return said.getvalue()


def test_check_says_no_answer_right_or_not_yet(capsys):
    def said(*arguments):
        check(*arguments)
        return capsys.readouterr().out.strip()

    assert said(None, 3, "think").startswith("no answer yet")
    assert said(3.001, 3, "think") == said("a", "a", "think") == "right"
    assert said(3.1, 3, "think") == said("b", "a", "think") == "not yet: think"
    assert said(4, lambda n: n % 2 == 0, "even") == "right"
    assert said(True, True, "no") == "right" and said(1.0, True, "no") == "right"
    assert said("text", 3, "a number").startswith("not yet: ValueError")
    assert said([1], lambda rows: rows[7], "longer").startswith("not yet: IndexError")

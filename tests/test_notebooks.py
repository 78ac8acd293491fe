"""Every lesson keeps the rules of all lessons, runs, prints what is stored where it is tagged so,
and its self-checks tell right from wrong."""

from __future__ import annotations

import base64
import copy
import io
import os
import re
import sys
from pathlib import Path

import nbformat
import numpy
import pytest
from lesson_answers import ANSWERS
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

from nasworkbench import draw, plots, zoo
from nasworkbench.lessons import check
from notebooks import (
    ENVIRONMENT,
    FAR,
    MOST_CHANGED,
    PNG,
    SHIFTS,
    client_of,
    normalise,
    pixels,
    share_changed,
    small,
)

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
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
    assert lesson.stat().st_size <= 500_000


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
            assert PNG not in kinds or alternative(output), cell.source
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


def alternative(output):
    """What a screen reader says of a picture, where converters read it; nothing, if that would help
    nobody: the name of a class, or that there is a figure."""
    words = output.get("metadata", {}).get(PNG, {}).get("alt", "")
    says = re.search("[a-z]{3}", words.removeprefix("Figure.")) and not words.startswith("<")
    return words if says else ""


def test_its_links_lead_somewhere(lesson):
    text = "\n".join(cell.source for cell in cells_of(lesson, "markdown"))
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not (FOLDER / link).exists()] == []


@pytest.mark.lessons
@pytest.mark.timeout(900)
def test_its_cells_run_and_its_self_checks_tell_right_from_wrong(lesson, tmp_path):
    assert len(ANSWERS[lesson.stem]) == len(exercises_of(lesson))
    execute(nbformat.read(lesson, as_version=4), ANSWERS[lesson.stem], tmp_path)


def execute(notebook, answers, folder):
    """All cells in one kernel. A cell may fail only where it is tagged so; one that is tagged to be
    compared prints what is stored; an exercise is tried with a wrong answer, with a right one, and
    as the learner finds it."""
    unused, stored, printed = iter(answers), {}, {}
    client = client_of(notebook, folder)
    with client.setup_kernel(env=os.environ | ENVIRONMENT):
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            tags, as_found = cell.metadata.get("tags", ()), cell.source
            if "nbval-check-output" in tags:
                stored[number] = texts(cell.outputs)
            if "exercise" in tags:
                for answer, verdict in zip(next(unused), ("not yet: ", "right"), strict=True):
                    cell.source, places = re.subn(
                        r"^\w+ = None.*$", lambda _, line=answer: line, as_found, flags=re.M
                    )
                    assert places == 1, f"cell {number}: no place for an answer in {as_found}"
                    text = run(client, number)
                    assert text.strip().splitlines()[-1].startswith(verdict), (
                        f"cell {number} with {answer!r} prints {text!r}"
                    )
                cell.source = as_found
            text = run(client, number)
            check_pictures(cell, number)
            if "exercise" in tags:
                assert "no answer yet" in text, f"cell {number} prints {text!r}"
            if "nbval-check-output" in tags:
                printed[number] = texts(cell.outputs)
    assert printed == stored, "these cells do not print what is stored"


def check_pictures(cell, number):
    """That they may be stored: in words too, and so that a reader sees no other colours."""
    for output in cell.outputs:
        if PNG in output.get("data", {}):
            assert alternative(output), f"cell {number}: a picture without alternative text"
            shown = base64.b64decode(output["data"][PNG])
            changed = share_changed(shown, small(shown))
            assert changed < MOST_CHANGED, f"cell {number}: {changed:.1%} of a picture has changed"


def run(client, number):
    """Execute a cell; what it printed on standard output."""
    cell = client.nb.cells[number]
    try:
        client.execute_cell(cell, number)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        traceback = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # without colours
        pytest.fail(f"cell {number}:\n{cell.source}\n{traceback}", pytrace=False)
    return "".join(output.text for output in cell.outputs if output.get("name") == "stdout")


def texts(outputs):
    """What a tagged cell is held to: all that it printed and showed, except pictures."""
    rows = []
    for output in copy.deepcopy(outputs):
        normalise(output, checked=True)
        shown = {kind: text for kind, text in output.get("data", {}).items() if kind != PNG}
        rows.append([output.get(key) for key in ("name", "text", "ename", "evalue")] + [shown])
    return rows


SQUARE = "from PIL import Image\nsquare = Image.new('RGB', (9, 9), 'red')\n"
DISPLAY = "display(square, metadata={{'image/png': {{'alt': '{}'}}}})"


@pytest.mark.lessons
@pytest.mark.parametrize(
    "source, tag, output, answers, message",
    [
        ("print(1)\n6 * 7", "nbval-check-output", "1\n", (), "do not print what is stored"),
        ("print(2)", "nbval-check-output", "1\n", (), "do not print what is stored"),
        ("print(1)\n1 / 0", "nbval-check-output", "1\n", (), "cell 1:.*ZeroDivisionError"),
        ("import os; os._exit(1)", "", "", (), "cell 1:.*Kernel died"),
        ("a = None\nprint(a or 'no answer yet')", "exercise", "", ("right", "right"), "'right'"),
        ("a = None\nprint(a or 'no answer yet')", "exercise", "", ("not yet: no", "b"), "'b'"),
        ("a = None\nprint(a)", "exercise", "", ("not yet: no", "right"), "no answer yet"),
        (
            "print('no answer yet')",
            "exercise",
            "",
            ("not yet: no", "right"),
            "no place for an answer",
        ),
        (
            "print(1)\nimport sys; print(0, file=sys.stderr)",
            "nbval-check-output",
            "1\n",
            (),
            "stored",
        ),
        (SQUARE + "display(square)", "", "", (), "cell 1: a picture without"),
        (SQUARE + DISPLAY.format("<Image size 9x9>"), "", "", (), "cell 1: a picture without"),
        (SQUARE + DISPLAY.format("Figure."), "", "", (), "cell 1: a picture without"),
        ("print(1)", "nbval-check-output", "1\n", (), None),
        (SQUARE + DISPLAY.format("A red square."), "", "", (), None),
        ("1 / 0", "raises-exception", "", (), None),
        ("a = None\nprint(a or 'no answer yet')", "exercise", "", ("not yet: no", "right"), None),
    ],
)
def test_what_is_wrong_with_a_lesson_is_seen(tmp_path, source, tag, output, answers, message):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": [tag] * bool(tag)})
    cell.outputs = [nbformat.v4.new_output("stream", text=output)] if output else []
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), cell])
    lines = [f"a = {answer!r}" for answer in answers]
    if message is None:
        execute(notebook, [lines] if lines else [], tmp_path)
        return
    with pytest.raises((AssertionError, pytest.fail.Exception), match=f"(?s){message}"):
        execute(notebook, [lines] if lines else [], tmp_path)


# --- pictures -------------------------------------------------------------------------------------


def bands():
    """Pale bands, one over the other, and the curves in them: what a small palette spoils."""
    figure, ax = plots.figure()
    x = numpy.linspace(0, 1, 50)
    for number in range(7):
        y = numpy.sin(3 * x + number) + number / 5
        ax.plot(x, y, f"C{number}", marker="o", label=f"controller {number}")
        ax.fill_between(x, y - 0.5, y + 0.7, color=f"C{number}", alpha=0.06 + 0.01 * number)
    plots.style.legend(ax)
    return plots.png(figure, plots.style.SHOWN_DPI)


def as_png(picture):
    buffer = io.BytesIO()
    Image.fromarray(numpy.asarray(picture, dtype=numpy.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_changed_picture_is_measured():
    before = numpy.full((10, 10, 3), 255)
    before[:4] = (200, 210, 220)  # 40 tinted pixels
    before[4:6] = (90, 90, 90)  # 20 grey ones; the rest is paper
    before[6, 0] = (254, 255, 255)  # the palest tint
    after = before.copy()
    assert share_changed(as_png(before), as_png(after)) == 0
    after[0] -= FAR  # ten pixels, not far enough to be seen
    assert share_changed(as_png(before), as_png(after)) == 0
    after[0, :2, 1] -= 1
    assert share_changed(as_png(before), as_png(after)) == 2 / 41
    after[4, :5] += FAR + 1
    assert share_changed(as_png(before), as_png(after)) == 5 / 20
    blank = as_png(numpy.full((10, 10, 3), 255))
    assert share_changed(blank, as_png(before)) == 0  # nothing that carried a picture


@pytest.mark.parametrize(
    "reduced",
    [
        lambda image: image.quantize(64, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE),
        lambda image: image.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE),
        lambda image: image.convert("L"),
    ],
)
def test_reductions_that_spoil_bands_are_told(reduced):
    before, buffer = bands(), io.BytesIO()
    reduced(Image.open(io.BytesIO(before)).convert("RGB")).save(buffer, "PNG")
    assert share_changed(before, buffer.getvalue()) > 0.05


@pytest.mark.parametrize("make", [bands, lambda: draw(zoo.get("nasnet-a")).png()])
def test_a_stored_picture_is_smaller_and_shows_the_same(make):
    before = make()
    after = small(before)
    assert len(after) < 0.5 * len(before)
    assert 0 < share_changed(before, after) < MOST_CHANGED
    # what fills an area has not changed at all
    old, new = (pixels(png).astype(int) @ SHIFTS for png in (before, after))
    _, numbers, counts = numpy.unique(old, return_inverse=True, return_counts=True)
    large = counts >= old.size / 2000
    assert large.sum() >= 5
    fills = large[numbers].reshape(old.shape)
    assert numpy.array_equal(old[fills], new[fills])
    assert numpy.array_equal(pixels(small(after)), pixels(after))  # stored again, the same


def test_pale_bands_that_differ_little_are_not_merged():
    picture = numpy.full((20, 20, 3), 255)
    picture[:10] = (255, 252, 249)
    picture[10:15] = (255, 250, 247)
    assert numpy.array_equal(pixels(small(as_png(picture))), picture)


def test_a_picture_that_cannot_be_reduced_is_kept(monkeypatch):
    """Noise has no common colours: 256 of them would show something else."""
    noise = as_png(numpy.random.default_rng(0).integers(0, 256, (40, 40, 3)))
    assert share_changed(noise, small(noise)) < MOST_CHANGED
    monkeypatch.setattr(sys.modules["notebooks"], "share_changed", lambda before, after: 0.01)
    assert small(noise) == noise


PAGES = [ROOT / "README.md", *sorted((ROOT / "tests" / "benchmarks").glob("*.md"))]


@pytest.mark.parametrize("page", [*PAGES, *LESSONS], ids=lambda path: path.stem)
def test_each_picture_of_a_page_is_there_in_words_too(page):
    if page.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in cells_of(page, "markdown"))
    else:
        text = page.read_text(encoding="utf-8")
    assert undescribed(text) == []


def undescribed(text):
    """The pictures of a page in Markdown, also those in HTML, that have no alternative text."""
    markdown = re.findall(r"!\[([^\]]*)\]\S*", text)
    html = re.findall(r"<img\b[^>]*>", text)
    found = [words for words in markdown if not words.strip()]
    return found + [tag for tag in html if not re.search(r"\balt=[\"'][^\"']", tag)]


def test_pictures_without_words_are_told():
    assert undescribed("![A cell](a.png) and <img alt='A cell' src='a.png'>") == []
    assert undescribed("![](a.png)") == [""]
    for tag in ("<img src='a.png'>", "<img alt='' src='a.png'>"):
        assert undescribed(tag) == [tag]


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

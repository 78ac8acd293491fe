"""Execute the lessons and store them in their normal form.

    python tests/notebooks.py                  all of notebooks/
    python tests/notebooks.py notebooks/04*    some

Each is executed from top to bottom in the ``toy`` tier; then everything that would differ from one
run or machine to the next is taken out: ids, timings, widget state. Pictures are kept as PNG, in
fewer colours where no reader sees a change. Twice in a row it changes nothing but, at times,
pictures.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "NASWORKBENCH_TIER": "toy",
    "NASWORKBENCH_PROGRESS": "0",
}
PNG = "image/png"
FAR = 8  # levels of 255; a colour that moves further may be seen to have changed
SHIFTS = numpy.array([65_536, 256, 1])  # red, green and blue in one number
MOST_CHANGED = 0.005  # of a picture's pixels that may move so far
VIEW = "application/vnd.jupyter.widget-view+json"
#: Figures that differ from run to run, and what stands in their place.
TIMINGS = (
    (re.compile(r"\b\d+(?:\.\d+)? (?:s|min|h|days)\b"), "… s"),
    (re.compile(r"/tmp/\w+"), "/tmp/…"),
)


def client_of(notebook: nbformat.NotebookNode, folder: str | Path) -> NotebookClient:
    """What runs a lesson's cells in a kernel of their own, which works in ``folder``."""
    return NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        client_of(notebook, folder).execute(env=os.environ | ENVIRONMENT)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            checked = "nbval-check-output" in cell.metadata.get("tags", ())
            for output in cell.outputs:
                normalise(output, checked)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def normalise(output: dict, checked: bool) -> None:
    data, about = output.get("data", {}), output.get("metadata", {})
    if VIEW in data:  # a widget lives in its kernel; what stands in for it is in the next cell
        output["data"] = data = {"text/plain": data["text/plain"]}
    data.pop("image/svg+xml", None)
    if PNG in data:
        data[PNG] = base64.b64encode(small(base64.b64decode(data[PNG]))).decode()
        about[PNG]["alt"] = timeless(about[PNG]["alt"])
        data["text/plain"] = timeless(data["text/plain"])
    if not checked and "text" in output:  # what is checked must be true to the letter
        output["text"] = timeless(output["text"])


def timeless(text: str) -> str:
    for pattern, fixed in TIMINGS:
        text = pattern.sub(fixed, text)
    return text


# --- pictures -------------------------------------------------------------------------------------


def small(png: bytes) -> bytes:
    """The picture in fewer bytes: with a palette of 256 colours if they show the same to a
    reader; else with more; as it is, if that would change it too."""
    before = pixels(png)
    colours, numbers = fewer(before)
    common = numpy.argsort(-numpy.bincount(numbers.ravel()), kind="stable")[:256]
    nearest = numpy.array([distances(colours[common], each).argmin() for each in colours])
    palette = Image.fromarray(nearest.astype(numpy.uint8)[numbers], "P")
    palette.putpalette(colours[common].tobytes())
    for picture in (palette, Image.fromarray(colours[numbers])):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", optimize=True)
        if share_changed(png, buffer.getvalue()) < MOST_CHANGED:
            return buffer.getvalue()
    return png


def share_changed(before: bytes, after: bytes) -> float:
    """Of the pixels that carry a picture, the share that a reader may see changed: by more than
    ``FAR`` levels of 255 in red, green or blue.

    Those that carry it are counted in two kinds, and the larger share is returned: the tinted ones
    (red, green and blue differ at all) and the greys other than white. All are counted in the
    picture before.
    """
    old, new = pixels(before), pixels(after)
    changed = numpy.abs(old.astype(int) - new).max(axis=2) > FAR
    tinted = old.max(axis=2) > old.min(axis=2)
    kinds = (tinted, ~tinted & (old[..., 0] < 255))
    return max(changed[kind].mean() if kind.any() else 0.0 for kind in kinds)


def fewer(picture: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The colours of a picture without those that lie near a more frequent one, as uint8 of shape
    (colours, 3); and which of them each pixel takes, of shape (height, width).

    What fills an area keeps its very colour, so that two pale bands are never merged: only what
    lies between areas (smoothed edges of lines and letters) moves, by at most ``FAR`` levels.
    """
    codes = picture.astype(numpy.int32) @ SHIFTS  # of one number each: they are sorted faster
    codes, numbers, counts = numpy.unique(codes, return_inverse=True, return_counts=True)
    every = (codes[:, None] // SHIFTS % 256).astype(numpy.uint8)
    kept, taken = numpy.empty_like(every), numpy.empty(len(every), dtype=int)
    size = 0
    for number in numpy.argsort(-counts, kind="stable"):
        apart = distances(kept[:size], every[number])
        fills = counts[number] >= numbers.size / 2000
        if size and not fills and apart.min() <= FAR:
            taken[number] = apart.argmin()
        else:
            kept[size], taken[number], size = every[number], size, size + 1
    return kept[:size], taken[numbers.reshape(picture.shape[:2])]


def distances(colours: numpy.ndarray, colour: numpy.ndarray) -> numpy.ndarray:
    return numpy.abs(colours.astype(int) - colour).max(axis=1, initial=0)


def pixels(png: bytes) -> numpy.ndarray:
    return numpy.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def main() -> None:
    paths = [Path(each) for each in sys.argv[1:]] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in paths:
        execute(path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()

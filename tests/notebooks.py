"""Execute the lessons and store them in their normal form.

    python tests/notebooks.py                  all of notebooks/
    python tests/notebooks.py notebooks/04*    some

Each is executed from top to bottom in the ``toy`` tier; then everything that would differ from one
run or machine to the next is taken out: ids, timings, widget state. Pictures are kept as PNG with
few colours. Twice in a row it changes nothing but, at times, pictures.
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
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "NASWORKBENCH_TIER": "toy",
    "NASWORKBENCH_PROGRESS": "0",
}
COLOURS = 64
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
    data = output.get("data", {})
    if VIEW in data:  # a widget lives in its kernel; what stands in for it is in the next cell
        output["data"] = data = {"text/plain": data["text/plain"]}
    data.pop("image/svg+xml", None)
    if "image/png" in data:
        data["image/png"] = base64.b64encode(small(base64.b64decode(data["image/png"]))).decode()
    if not checked and "text" in output:  # what is checked must be true to the letter
        for pattern, fixed in TIMINGS:
            output["text"] = pattern.sub(fixed, output["text"])


def small(png: bytes) -> bytes:
    """The picture in few colours. Median cut, Pillow's default, would give thin lines the colour of
    their neighbours; of the two ways that do not, one is better for drawings and one for figures,
    which the library has given a palette already."""
    picture = Image.open(io.BytesIO(png))
    method = Image.Quantize.MAXCOVERAGE if picture.mode == "P" else Image.Quantize.FASTOCTREE
    few = picture.convert("RGB").quantize(COLOURS, method, dither=Image.Dither.NONE)
    found = io.BytesIO()
    few.save(found, "PNG", optimize=True)
    return found.getvalue()


def main() -> None:
    paths = [Path(each) for each in sys.argv[1:]] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    for path in paths:
        execute(path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()

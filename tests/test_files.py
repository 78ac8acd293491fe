"""A file is complete or not there, whatever stops its writing; a folder has one maker."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from search_helpers import environment

from nasworkbench.errors import StoreError, WorkbenchError
from nasworkbench.files import create, new_directory, write_atomically

FORK = multiprocessing.get_context("fork")


def test_it_is_written_and_replaced(tmp_path):
    path = write_atomically(str(tmp_path / "a.bin"), b"one", "the file")
    assert path.read_bytes() == b"one"
    write_atomically(path, b"two", "the file")
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]


def no(*arguments):
    raise OSError("no")


@pytest.mark.parametrize("stop", ["fsync", "replace"])
def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path, monkeypatch, stop):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, stop, no)
    with pytest.raises(StoreError, match=r"cannot write the search to .*a\.bin: no$"):
        write_atomically(path, b"new", "the search", StoreError)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_no_such_folder(tmp_path):
    with pytest.raises(WorkbenchError, match=r"cannot write the file to .*nowhere"):
        write_atomically(tmp_path / "nowhere" / "x", b"", "the file")
    assert not (tmp_path / "nowhere").exists()


def test_what_is_not_a_file_is_not_replaced(tmp_path):
    """Not even a device in a folder that may be written: root's /dev/null became a file."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(WorkbenchError, match=f"to .*{name}: there is something there that is"):
            write_atomically(tmp_path / name, b"", "the file")
    assert (tmp_path / "folder").is_dir() and (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.iterdir())) == 2


def test_through_a_link_its_file_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    for data in (b"one", b"two"):
        assert write_atomically(tmp_path / "link", data, "the file") == tmp_path / "link"
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "file").read_bytes() == data


# --- a full disk ----------------------------------------------------------------------------------

#: A limit on the size of files is the full disk that every user may have.
FULL_DISK = """
import resource, sys
from pathlib import Path
from table_helpers import small_table
from nasworkbench import CellSpace, RandomSearch, Search, draw
from nasworkbench import plots, recordings, report, tables, zoo
from nasworkbench.cli import main
from nasworkbench.errors import WorkbenchError

folder, space = Path(sys.argv[1]), CellSpace()
search = Search(space, RandomSearch(space), lambda genotype: 0.5, folder / "run")
search.run(20)
figure, axes = plots.figure()
axes.plot([1, 2])
genotype = zoo.get("nasnet-a")
ways = {
    "genotype.json": (100, genotype.save),
    "drawing.svg": (100, draw(genotype).save),
    "drawing.png": (100, draw(genotype).save),
    "drawing.dot": (100, draw(genotype).save),
    "figure.png": (100, lambda path: plots.save(figure, path)),
    "figure.svg": (100, lambda path: plots.save(figure, path)),
    "figure.pdf": (100, lambda path: plots.save(figure, path)),
    "table.npz": (100, lambda path: tables.save(small_table(9), path)),
    # these read a search first: SQLite's index of the log has 32 KiB
    "report.html": (40_000, lambda path: report.write(folder / "run", path)),
    "copy.sqlite": (40_000, lambda path: recordings.pack(folder / "run", path)),
}
for name, (limit, save) in ways.items():
    path = folder / name
    path.write_bytes(b"old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save(path)
        print("no error from", name)
    except WorkbenchError as error:
        told = "cannot" in str(error) and ("too large" in str(error) or "full" in str(error))
        print(*([] if told else [name, error]), end="")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    if path.read_bytes() != b"old":
        print("lost:", name)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
if main(["export", str(folder / "run"), str(folder / "new.sqlite")]) != 1:
    print("exported")
print(sorted({path.name for path in folder.iterdir()} - ways.keys()))
"""


def test_a_full_disk_leaves_the_old_files(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path],
        env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout == "['run']\n", done.stderr
    assert done.stderr.startswith("nasworkbench: cannot copy ") and done.stderr.count("\n") == 1


# --- made once ------------------------------------------------------------------------------------


def made(path: Path) -> None:
    path.write_text("made")


def test_a_file_is_made_once(tmp_path):
    create(tmp_path / "a", made, "taken")
    assert (tmp_path / "a").read_text() == "made"
    with pytest.raises(StoreError, match=r"^taken$"):
        create(tmp_path / "a", no, "taken")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"^taken$"):
        create(tmp_path / "link", made, "taken")
    with pytest.raises(OSError, match="no"):
        create(tmp_path / "b", no, "taken")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "link"}


@pytest.mark.parametrize("links", [True, False])
def test_another_process_was_quicker(tmp_path, monkeypatch, links):
    """It has made the file between the first check and the last step."""

    def write(path: Path) -> None:
        path.write_text("second")
        (tmp_path / "a").write_text("first")

    if not links:
        monkeypatch.setattr(os, "link", no)
    with pytest.raises(StoreError, match=r"^taken$"):
        create(tmp_path / "a", write, "taken")
    assert (tmp_path / "a").read_text() == "first"
    assert not list(tmp_path.glob("*.new"))


def test_a_file_is_made_where_the_file_system_has_no_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", no)
    create(tmp_path / "a", made, "taken")
    assert (tmp_path / "a").read_text() == "made"
    assert not list(tmp_path.glob("*.new"))


def folders_made(parent, barrier, queue):
    barrier.wait()
    queue.put([new_directory(parent, "toy").name for _ in range(10)])


def test_two_processes_get_folders_of_their_own(tmp_path):
    barrier, queue = FORK.Barrier(2), FORK.SimpleQueue()
    arguments = (tmp_path / "runs", barrier, queue)
    processes = [FORK.Process(target=folders_made, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    names = queue.get() + queue.get()
    for process in processes:
        process.join()
    assert len(set(names)) == 20 == len(list((tmp_path / "runs").iterdir()))
    assert all(name.startswith("toy-20") for name in names)


@pytest.mark.parametrize("parent", ["file", "link"])
def test_a_folder_that_cannot_be_made(tmp_path, parent):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="cannot make the run folder"):
        new_directory(tmp_path / parent, "toy")

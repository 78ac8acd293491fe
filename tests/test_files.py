"""A file is complete or not there, whatever stops its writing."""

import os

import pytest

from nasworkbench.errors import StoreError, WorkbenchError
from nasworkbench.files import write_atomically


def test_it_is_written_and_replaced(tmp_path):
    path = write_atomically(str(tmp_path / "a.bin"), b"one", "the file")
    assert path.read_bytes() == b"one"
    write_atomically(path, b"two", "the file")
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]


def full_disk(path, data):
    with open(path, "wb") as file:
        file.write(data[:1])
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stop", ["write_bytes", "replace"])
def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path, monkeypatch, stop):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    if stop == "write_bytes":
        monkeypatch.setattr(type(path), "write_bytes", full_disk)
    else:
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(StoreError, match=r"cannot write the search to .*a\.bin"):
        write_atomically(path, b"new", "the search", StoreError)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_no_such_folder(tmp_path):
    with pytest.raises(WorkbenchError, match=r"cannot write the file to .*nowhere"):
        write_atomically(tmp_path / "nowhere" / "x", b"", "the file")
    assert not (tmp_path / "nowhere").exists()

"""Results of many tasks, kept as they come: a text file with one JSON record a line.

The first line says what the work is. A process that is killed while it writes leaves half a last
line, which the next one cuts off; everything before it is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from ..checks import json_value
from ..errors import StoreError

#: Longest line (this project's choice).
MOST_CHARACTERS = 10**7

START = b'{"work": '  # every file of results begins so


class Records:
    """A file of results by name; open it by ``with``.

    Args:
        path: the file; made, with its folder, if it does not exist.
        work: what is being done, ready for JSON. Results of other work are not mixed in.

    Raises:
        StoreError: the file is damaged, holds other work, is open already (in another process or
            in this one), or cannot be read or written.
    """

    def __init__(self, path: str | Path, work: dict[str, Any]) -> None:
        self.path = Path(path)
        self.work: dict[str, Any] = json.loads(json.dumps(work))  # as it is read: tuples are lists
        self.results: dict[str, Any] = {}
        with contextlib.ExitStack() as opened:  # closes what is open if anything below fails
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                opened.enter_context(FileLock(f"{self.path}.lock").acquire(blocking=False))
                # without a buffer, closing the file never writes what could not be written before
                self._file = opened.enter_context(self.path.open("a+b", buffering=0))
                self._file.seek(0)
                self._file.truncate(self._read(self._file.read()))
            except Timeout:
                raise StoreError(
                    f"{self.path} is open already, in another process or in this one: wait until "
                    "that has ended, or choose another folder"
                ) from None
            except OSError as error:
                raise self._unwritable(error) from None
            if self._file.seek(0, os.SEEK_END) == 0:
                self._write({"work": self.work})
            self._open = opened.pop_all()

    def _read(self, data: bytes) -> int:
        """Take in what the file holds; returns where its last whole line ends."""
        if not data.startswith(START[: len(data)]):
            raise StoreError(
                f"{self.path} is not a file of results, or its first line is damaged. It was left "
                "as it is: choose another folder"
            )
        end, work = data.rfind(b"\n") + 1, self.work
        for number, line in enumerate(data[:end].splitlines(), 1):
            try:
                record = json_value(line, MOST_CHARACTERS, StoreError)
                if number == 1:
                    work = dict(record["work"])
                else:
                    self.results[record["name"]] = record["result"]
            except (StoreError, KeyError, TypeError, AttributeError) as error:
                advice = "restore it from a copy, " + ("delete that line, " if number > 1 else "")
                raise StoreError(
                    f"{self.path}, line {number}, is damaged ({type(error).__name__}: {error}). "
                    f"It was left as it is: {advice}or choose another folder"
                ) from None
        self._check(work)
        return end

    def _check(self, stored: dict[str, Any]) -> None:
        for name in sorted(stored.keys() | self.work.keys()):
            if stored.get(name) != self.work.get(name):
                raise StoreError(
                    f"{self.path} holds results of other work: {name} is {stored.get(name)!r:.200} "
                    f"there and {self.work.get(name)!r:.200} here. Choose another folder"
                )

    def _write(self, record: dict[str, Any]) -> Any:
        """Append a line; returns the record as it will be read."""
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        try:
            rest = line
            while rest:  # a disk that fills up takes a part, then none
                rest = rest[os.write(self._file.fileno(), rest) :]
            os.fsync(self._file.fileno())  # results took minutes; a power cut must not take them
        except OSError as error:
            with contextlib.suppress(OSError):  # else the next process cuts the half line off
                self._file.truncate(end)
            raise self._unwritable(error) from None
        return json.loads(line)

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"cannot read and write {self.path}: {error}")

    def add(self, name: str, result: Any) -> None:
        """Keep one result, ready for JSON; it is on the disk when this returns. A second result
        with the same name takes the place of the first.

        Raises:
            StoreError: it cannot be written (a full disk); what was kept before stays.
        """
        self.results[name] = self._write({"name": name, "result": result})["result"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

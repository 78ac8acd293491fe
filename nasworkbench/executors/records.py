"""Results of many tasks, kept as they come: a text file with one JSON record a line.

The first line says what the work is. A process that is killed while it writes leaves half a last
line, which the next one cuts off; everything before it is kept.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from ..errors import StoreError


class Records:
    """A file of results by name; open it by ``with``.

    Args:
        path: the file; made, with its folder, if it is not there.
        work: what is being done, ready for JSON. Results of other work are not mixed in.

    Raises:
        StoreError: the file is damaged, holds other work, is in use by another process, or cannot
            be written.
    """

    def __init__(self, path: str | Path, work: dict[str, Any]) -> None:
        self.path = Path(path)
        self.work: dict[str, Any] = json.loads(json.dumps(work))  # as it is read: tuples are lists
        self.results: dict[str, Any] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(str(self.path) + ".lock")
            self._lock.acquire(blocking=False)
        except Timeout:
            raise StoreError(f"another process is writing to {self.path}") from None
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from None
        try:
            end = self._read()
            self._file = self.path.open("r+b" if self.path.exists() else "wb")
            self._file.truncate(end)
            self._file.seek(end)
            if end == 0:
                self._write({"work": self.work})
        except BaseException:
            self._lock.release()
            raise

    def _read(self) -> int:
        """Take in what the file holds; returns where its last whole line ends."""
        data = self.path.read_bytes() if self.path.exists() else b""
        end = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:end].splitlines()):
            try:
                record = json.loads(line)
                if number == 0:
                    self._check(record["work"])
                else:
                    self.results[record["name"]] = record["result"]
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"{self.path}, line {number + 1}, is damaged ({error}). It was left as it is: "
                    "restore it from a copy, delete that line, or choose another folder"
                ) from None
        return end

    def _check(self, stored: dict[str, Any]) -> None:
        names = stored.keys() | self.work.keys()
        changed = sorted(name for name in names if stored.get(name) != self.work.get(name))
        if changed:
            name = changed[0]
            raise StoreError(
                f"{self.path} holds results of other work: {name} is {stored.get(name)!r:.200} "
                f"there and {self.work.get(name)!r:.200} here. Choose another folder"
            )

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())  # a result took minutes; a power cut must not take it back

    def add(self, name: str, result: Any) -> None:
        """Keep one result, ready for JSON; it is on the disk when this returns."""
        try:
            self._write({"name": name, "result": result})
        except OSError as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from None
        self.results[name] = result

    def __contains__(self, name: str) -> bool:
        return name in self.results

    def __len__(self) -> int:
        return len(self.results)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._lock.release()

"""Files of results whose writer is killed; see ``test_records.py``.

    python records_kill_script.py FOLDER

It imports the library once and forks: each fork opens the file as a process of its own would.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nasworkbench.errors import StoreError
from nasworkbench.executors import Records

WORK = {"name": "kills", "of": [1, 2]}
ROUNDS = 30


def forked(action: Callable[[], None]) -> int:
    """Start a process that does this."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return child


def signal_of(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def dies_after(count: int) -> Callable[[int, bytes], int]:
    """An ``os.write`` that takes so many bytes, then kills its process."""
    write = os.write

    def partly(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:count])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("not reached")

    return partly


def in_the_middle(path: Path) -> list[list[int]]:
    """Die after every number of bytes of a line; what is found then: the signal, the results."""
    with Records(path, WORK) as records:
        records.add("before", {"value": 1})
    line = len(json.dumps({"name": "lost", "result": [1, 2, 3]})) + 1
    found = []
    for limit in range(line):

        def act(limit: int = limit) -> None:
            records = Records(path, WORK)
            os.write = dies_after(limit)
            records.add("lost", [1, 2, 3])

        number = signal_of(forked(act))
        with Records(path, WORK) as records:
            found.append([number, len(records.results), "before" in records.results])
    return found


def at_random(path: Path) -> dict:
    """Kill a process that adds and says so; count what was said and is not there."""
    chooser = random.Random(3)
    said: set[str] = set()
    lost, signals = 0, []
    for number in range(ROUNDS):
        reading, writing = os.pipe()

        def act(number: int = number, pipe: int = writing) -> None:
            with Records(path, WORK) as records:
                for count in range(100_000):
                    name = f"{number} {count}"
                    records.add(name, {"value": "x" * 2000, "count": count})
                    os.write(pipe, f"{name}\n".encode())

        child = forked(act)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said.add(pipe.readline().decode().strip())
            time.sleep(chooser.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            said.update(pipe.read().decode().splitlines())
        signals.append(signal_of(child))
        with Records(path, WORK) as records:
            lost += len(said - records.results.keys())
            wrong = [n for n, r in records.results.items() if int(n.split()[1]) != r["count"]]
            lost += len(wrong)
    return {"signals": signals, "said": len(said), "lost": lost}


def second_process(path: Path) -> str:
    """What a process is told that opens a file which this one holds open."""
    reading, writing = os.pipe()

    def act() -> None:
        try:
            Records(path, WORK)
        except StoreError as error:
            os.write(writing, str(error).encode())

    with Records(path, WORK):
        signal_of(forked(act))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(
        json.dumps(
            {
                "middle": in_the_middle(folder / "middle.jsonl"),
                "random": at_random(folder / "random.jsonl"),
                "second": second_process(folder / "second.jsonl"),
            }
        )
    )

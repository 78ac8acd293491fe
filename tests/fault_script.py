"""Long work that is killed again and again, at moments drawn from a seed; see ``test_faults.py``.

    python fault_script.py WORK FOLDER

It imports the library once and forks: each fork goes on with the work and dies by SIGKILL after so
many calls, as a process of its own would, at a hundredth of the price. Prints JSON: the signals,
and the folders in which the work came to its end.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from search_helpers import CONTROLLERS, few_steps, share_or_fail, small_space
from search_kill_script import die_at_event, forked
from table_build_script import TINY
from table_helpers import small_table

from nasworkbench import PPO, RandomSearch, Search, TableEvaluator, compare, tiers
from nasworkbench import job as module
from nasworkbench.executors import InlineExecutor
from nasworkbench.job import Job
from nasworkbench.tables import build

KILLS = 20
TRIALS = 60  # of a search
#: A kill comes within this share of the calls that the undisturbed work makes: the kills hit all of
#: it.
SHARE = 1 / 6


def search(folder: Path) -> None:
    """With workers; what is killed inline is in ``search_kill_script.py``."""
    if (folder / "search.sqlite").exists():
        this = Search.resume(folder, evaluator=share_or_fail)
    else:
        space = small_space()
        this = Search(space, CONTROLLERS["PPO"](space), share_or_fail, folder, seed=5)
    left = TRIALS - this.finished
    if left > 0:
        this.run(left, "processes")


def job(folder: Path) -> None:
    """Its children are trained here, so that the order of completion is the order of proposal; and
    in few steps: what is killed is the job, wherever it is, not the training."""
    module.ProcessExecutor = lambda work, *_: InlineExecutor(work)  # type: ignore[assignment,misc]
    if (folder / "search.sqlite").exists():
        Job.resume(folder).run()
    else:
        Job.create(few_steps(tiers.get("toy"), trials=4, top=1), folder).run()


def table(folder: Path) -> None:
    build(TINY, folder, executor=InlineExecutor(TINY.evaluator().measure))


def comparison(folder: Path) -> None:
    table = small_table()
    compare(
        {"PPO": partial(PPO, batch_size=5, hidden=8), "random": RandomSearch},
        table.space,
        TableEvaluator(table),
        budget=20,
        seeds=4,
        directory=folder,
        workers=1,
    )


WORK: dict[str, Callable[[Path], None]] = {
    "search": search,
    "job": job,
    "table": table,
    "compare": comparison,
}


def calls(work: Callable[[], None]) -> int:
    """How many calls and returns this makes."""
    count = 0

    def watch(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(watch)
    work()
    sys.setprofile(None)
    return count


def main(name: str, folder: Path) -> None:
    # workers are forked too, and are not the ones that die
    spawn, multiprocessing.get_context = multiprocessing.get_context, lambda _: spawn("fork")  # type: ignore[assignment]
    os.register_at_fork(after_in_child=lambda: sys.setprofile(None))
    work, chooser = WORK[name], random.Random(11)
    whole = calls(lambda: work(folder / "whole"))
    signals: list[int] = []
    ended = 0
    while len(signals) < KILLS:
        number = chooser.randint(1, int(whole * SHARE))
        killed = folder / f"killed-{ended}"
        signal = forked(lambda n=number: die_at_event(n), lambda f=killed: work(f))  # type: ignore[misc]
        if signal:
            signals.append(signal)
        else:
            ended += 1
    forked(lambda: None, lambda: work(folder / f"killed-{ended}"))
    print(json.dumps({"signals": signals, "ended": ended + 1}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

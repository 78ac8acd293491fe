"""Runs a search that is killed again and again; see ``test_search_kill.py``.

    python search_kill_script.py chain FOLDER     kill -9 at many moments of an inline search
    python search_kill_script.py processes FOLDER one run with workers, to be killed from outside
    python search_kill_script.py deaths FOLDER    a child that takes the process with it

The first imports torch once and forks: each fork resumes the search and dies by SIGKILL at the
moment it was given, just as a process of its own would, at a hundredth of the price.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
from pathlib import Path

from search_helpers import CONTROLLERS, operations, share_or_fail, slow_share, small_space

from nasworkbench import Search
from nasworkbench import report as report_module

TRIALS = 200
RANDOM_KILLS = 24

#: (function, event, what is called inside of it): die there, the n-th time.
MOMENTS = {
    "ask, before the policy is sampled": ("_draw", "call", None),
    "ask, after sampling": ("draw", "return", None),
    "proposed, in the transaction": ("_insert", "c_return", "execute"),
    "proposed, before its digest": ("_seal", "call", None),
    "proposed, after the commit": ("proposed", "return", None),
    "evaluation": ("share_or_fail", "call", None),
    "ended, in the transaction": ("_update", "c_return", "execute"),
    "ended, after the commit": ("ended", "return", None),
    "tell, before the controller learns": ("_learn", "call", None),
    "update, after a step of the optimiser": ("step", "return", None),
    "update done, not yet stored": ("update", "return", None),
    "update, in the transaction": ("save_state", "c_return", "execute"),
    "update, with the state half written": ("save_state", "c_return", "executemany"),
    "update, after the commit": ("save_state", "return", None),
}
FILES = ("loop.py", "store.py", "policy.py", "policy_gradient.py", "ppo.py", "base.py",
         "search_helpers.py")  # fmt: skip


def go_on(folder: Path) -> None:
    if (folder / "search.sqlite").exists():
        search = Search.resume(folder, evaluator=share_or_fail)
    else:
        space = small_space()
        search = Search(space, CONTROLLERS["PPO"](space), share_or_fail, folder, seed=5)
    with folder.with_suffix(".starts").open("a") as starts:
        print(search.finished, file=starts)
    left = TRIALS - search.finished
    if left > 0:
        search.run(left)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_event(number: int) -> None:
    """Die at the n-th call, return or call of C code from now."""
    count = 0

    def watch(frame, event, argument) -> None:
        nonlocal count
        count += 1
        if count == number:
            die()

    sys.setprofile(watch)


def die_at_moment(name: str, times: int) -> None:
    function, wanted, inside = MOMENTS[name]
    count = 0

    def watch(frame, event, argument) -> None:
        nonlocal count
        if event != wanted or frame.f_code.co_name != function:
            return
        if os.path.basename(frame.f_code.co_filename) not in FILES:
            return
        if inside is not None and getattr(argument, "__name__", None) != inside:
            return
        count += 1
        if count == times:
            die()

    sys.setprofile(watch)


def forked(arm, action) -> int:
    """The signal that ended a fork which did this; 0 if it came to its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            arm()
            action()
            status = 0
        finally:
            sys.setprofile(None)
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"a run failed with exit code {os.WEXITSTATUS(status)}")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def chain(folder: Path) -> None:
    """An undisturbed search, and one that dies at all these moments; print what was hit."""
    go_on(folder / "whole")  # here, so that no fork has to load torch's parts again
    chooser = random.Random(7)
    plan: list = list(MOMENTS) + [None] * RANDOM_KILLS
    chooser.shuffle(plan)
    hit = []
    for moment in plan:
        if moment is None:
            number = int(10 ** chooser.uniform(3, 5.3))
            signalled = forked(lambda n=number: die_at_event(n), lambda: go_on(folder / "killed"))
        else:
            times = chooser.randint(1, 4)
            signalled = forked(
                lambda m=moment, t=times: die_at_moment(m, t), lambda: go_on(folder / "killed")
            )
        hit.append([moment or "random", signalled])
    hit.append(["end", forked(lambda: None, lambda: go_on(folder / "killed"))])
    print(json.dumps(hit))


def report(folder: Path) -> None:
    """Die in the middle of writing a report over an old one, and just before it is put in place."""
    page = folder / "report.html"
    report_module.write(folder)
    old = page.read_bytes()
    results = []
    for function in ("render", "fsync", "replace"):

        def arm(name=function) -> None:
            def watch(frame, event, argument) -> None:
                inside = event == "return" and frame.f_code.co_name == name
                called = event == "c_call" and getattr(argument, "__name__", None) == name
                if inside or called:
                    die()

            sys.setprofile(watch)

        signalled = forked(arm, lambda: report_module.write(folder))
        results.append([function, signalled, page.read_bytes() == old])
    report_module.write(folder)
    print(json.dumps(results))


def processes(folder: Path) -> None:
    # workers that are forks of this process begin at once
    spawn, multiprocessing.get_context = multiprocessing.get_context, lambda _: spawn("fork")  # type: ignore[assignment]
    if (folder / "search.sqlite").exists():
        search = Search.resume(folder, evaluator=slow_share)
    else:
        space = small_space()
        search = Search(space, CONTROLLERS["PPO"](space), slow_share, folder, seed=5)
    ended = search.store.ended

    def ended_and_say(trial) -> None:
        ended(trial)
        print(trial.number, flush=True)

    search.store.ended = ended_and_say  # type: ignore[method-assign]
    left = TRIALS - search.finished
    if left > 0:
        search.run(left, "processes", workers=2)
    print("finished", flush=True)


def exits_at_two_pools(genotype) -> float:
    if operations(genotype)[:2] == ["avg_pool_3x3"] * 2:
        os._exit(7)
    return share_or_fail(genotype)


def deaths(folder: Path) -> None:
    """Go on until 40 trials have ended, however often the process dies; print its exit codes."""
    space, codes = small_space(), []
    search = Search(space, CONTROLLERS["PPO"](space), exits_at_two_pools, folder, seed=5)
    search.store.set_meta(goal=40)
    search.store.close()
    while (not codes or codes[-1]) and len(codes) < 100:
        child = os.fork()
        if child == 0:
            Search.resume(folder, evaluator=exits_at_two_pools).run()
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(json.dumps(codes))


if __name__ == "__main__":
    commands = {"chain": chain, "report": report, "processes": processes, "deaths": deaths}
    commands[sys.argv[1]](Path(sys.argv[2]))

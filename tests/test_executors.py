"""Functions that run elsewhere: all ways to end, and nothing left behind."""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from search_helpers import (
    Adder,
    FailsToLoad,
    Marking,
    act,
    alive,
    children,
    environment,
    gone_within,
)

from nasworkbench.errors import SettingsError, WorkbenchError
from nasworkbench.executors import Finished, InlineExecutor, ProcessExecutor
from nasworkbench.executors.processes import worker_gpu

HERE = Path(__file__).parent
LIMIT = 2.0


@pytest.fixture(scope="module")
def executor():
    """One worker for all tests of how a task can end: each must leave it fit for the next."""
    with ProcessExecutor(act, workers=1, time_limit=LIMIT) as made:
        yield made


def one(executor, *arguments):
    future = executor.submit(*arguments)
    assert executor.wait(60) == [future]
    return future.result()


def processes():
    """The worker processes of this one."""
    return {process.pid for process in multiprocessing.active_children()}


def python(*arguments, **options):
    """A Python of its own, which finds the helpers."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        **options,
    )


# --- how a task can end -------------------------------------------------------------------------


def test_result(executor):
    record = one(executor, "echo", [1, "two"])
    assert record == Finished("ok", [1, "two"], None, record.seconds, 0)
    assert 0 <= record.seconds < LIMIT


def test_error_names_exception_and_line(executor):
    record = one(executor, "raise")
    assert record.status == "error"
    assert record.value is None
    assert record.cause.startswith("ValueError: this child cannot be trained (search_helpers.py, ")
    line = int(record.cause.rstrip(")").rsplit(" ", 1)[1])
    source = (HERE / "search_helpers.py").read_text().splitlines()
    assert "this child cannot be trained" in source[line - 1]


def test_out_of_memory(executor):
    record = one(executor, "memory")
    assert record.status == "out_of_memory"
    assert "MemoryError: no room for this child" in record.cause


def test_exit_is_a_crash_and_the_worker_is_replaced(executor):
    before = one(executor, "pid").value
    record = one(executor, "exit")
    assert record.status == "crashed"
    assert record.cause == "its process ended with exit code 3"
    after = one(executor, "pid").value
    assert after != before
    assert not alive(before)


def test_killed_from_outside(executor):
    record = one(executor, "kill")
    assert record.status == "crashed"
    assert "SIGKILL" in record.cause
    assert "memory" in record.cause
    assert one(executor, "echo", 5).value == 5


def test_signal_without_a_name(executor):
    record = one(executor, "signal", signal.SIGRTMIN + 3)
    assert record.status == "crashed"
    assert record.cause.endswith(f"(signal {signal.SIGRTMIN + 3})")


def test_timeout_within_reach_of_the_limit(executor):
    pid = one(executor, "pid").value  # the worker is up: the limit is counted from now
    start = time.monotonic()
    record = one(executor, "hang")
    assert record.status == "timeout"
    assert record.cause == "killed at its limit of 2 s"
    assert LIMIT <= time.monotonic() - start < LIMIT + 6
    assert LIMIT <= record.seconds < LIMIT + 6
    assert not alive(pid)
    assert one(executor, "echo", 6).value == 6


def test_limit_does_not_count_the_start_of_a_worker(executor):
    """A fresh worker needs about as long to import torch as this limit."""
    one(executor, "exit")
    assert one(executor, "sleep", LIMIT / 2).status == "ok"


def test_result_that_cannot_be_sent_back(executor):
    before = one(executor, "pid").value
    record = one(executor, "unsendable")
    assert record.status == "error"
    assert "cannot be sent back" in record.cause
    assert one(executor, "pid").value == before


def test_crash_is_seen_though_a_left_behind_process_holds_the_pipe(executor, tmp_path):
    record = one(executor, "fork and exit", str(tmp_path / "pid"))
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert record.status == "crashed"
    assert record.cause == "its process ended with exit code 4"


def test_worker_that_dies_idle_costs_no_task(executor):
    pid = one(executor, "pid").value
    process = next(p for p in multiprocessing.active_children() if p.pid == pid)
    os.kill(pid, signal.SIGKILL)
    process.join(10)  # not only a zombie: its threads may outlive it for a moment
    record = one(executor, "echo", 7)
    assert (record.status, record.value) == ("ok", 7)


def test_worker_has_one_torch_thread(executor):
    assert one(executor, "threads").value == 1


def test_wait_comes_back_at_its_timeout(executor):
    assert executor.wait(5) == []  # nothing runs
    future = executor.submit("sleep", 1.0)
    start = time.monotonic()
    assert executor.free == 0
    assert executor.workers == [future]
    assert executor.wait(0.1) == []
    assert time.monotonic() - start < 0.9
    assert executor.wait() == [future]
    assert executor.free == 1
    assert executor.workers == [None]


# --- several workers, and what travels ----------------------------------------------------------


def test_tensors_travel_by_shared_memory_and_none_is_left_behind():
    shared, before = torch.zeros(4), processes()
    with ProcessExecutor(Marking(shared), workers=2) as executor:
        pids = processes() - before
        assert len(pids) == executor.free == 2
        for place in range(4):
            executor.submit(place)
            if not executor.free:
                executor.wait()
        while executor.free < 2:
            executor.wait()
        assert shared.tolist() == [1, 1, 1, 1]
        assert all(map(alive, pids))
    assert not any(map(alive, pids))
    assert executor.workers == []


def test_tensors_come_back():
    with ProcessExecutor(Adder(torch.arange(3)), workers=1) as executor:
        assert one(executor, torch.tensor([10, 20, 30])).value.tolist() == [10, 21, 32]


def test_packing_leaves_no_open_files():
    """A packed tensor holds a file open until a worker has unpacked it."""
    adder = Adder(torch.arange(3))

    def round_trip():
        with ProcessExecutor(adder, workers=1) as executor:
            assert one(executor, torch.tensor(1)).status == "ok"

    round_trip()
    before = len(os.listdir("/proc/self/fd"))
    round_trip()
    assert len(os.listdir("/proc/self/fd")) == before


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2", None])
def test_workers_out_of_range(workers):
    with pytest.raises(SettingsError, match="workers must be a whole number from 1, got "):
        ProcessExecutor(act, workers=workers)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_time_limit_out_of_range(limit):
    with pytest.raises(
        SettingsError, match="time_limit, unless None, must be a finite number above 0"
    ):
        ProcessExecutor(act, time_limit=limit)


def with_a_closure():
    secret = 3

    def mine():
        return secret

    return mine


class Refuses:
    def __call__(self):
        return 1

    def __reduce__(self):
        raise ValueError("not to be sent")


@pytest.mark.parametrize(
    "function",
    [lambda: 1, functools.partial(lambda: 1), with_a_closure(), open(os.devnull).read, Refuses()],  # noqa: SIM115
    ids=["lambda", "partial of a lambda", "closure", "method of a file", "refuses"],
)
def test_function_that_cannot_be_sent(function):
    before = children(os.getpid())
    with pytest.raises(WorkbenchError, match=r"cannot be sent to a worker process.*\.py file"):
        ProcessExecutor(function)
    assert children(os.getpid()) == before  # not one worker was started


def test_function_that_cannot_be_loaded_ends_at_once():
    before = processes()
    with ProcessExecutor(FailsToLoad(), workers=1) as executor:
        pids = processes() - before
        assert pids
        executor.submit()
        with pytest.raises(
            WorkbenchError, match=r"cannot load the function: ModuleNotFoundError.*is_not_there"
        ):
            executor.wait(60)
    assert not any(map(alive, pids))


CLASS = "class Mine:\n    def __call__(self, x):\n        return x\n"
#: What may be typed at a prompt, and the name that cannot be imported elsewhere.
PROMPTS = [
    ("def mine(x):\n    return x\n", "mine"),
    (f"{CLASS}mine = Mine()\n", "Mine"),
    (f"{CLASS}mine = Mine().__call__\n", "Mine"),
    ("def f(x, y=0):\n    return x\nmine = functools.partial(f, y=1)\n", "f"),
    ("def f(x, y):\n    return x\nmine = P(P(f, y=1), y=2)\n", "f"),
    (f"{CLASS}mine = functools.partial(Mine())\n", "Mine"),
    (f"{CLASS}mine = Task(functools.partial(Mine()))\n", "Mine"),
    (f"{CLASS}mine = functools.partial(print, Mine)\n", "Mine"),
]


@pytest.fixture(scope="module")
def said_at_a_prompt():
    """What is said of each function, all defined in one process, one after the other."""
    code = (
        "import functools\n"
        "from functools import partial as P\n"
        "from nasworkbench.training.evaluator import Task\n"
        "from nasworkbench.executors import ProcessExecutor\n"
        "from nasworkbench.errors import WorkbenchError\n"
    )
    for definition, name in PROMPTS:
        code += (
            f"{definition}\n"
            "try:\n"
            "    ProcessExecutor(mine)\n"
            "    print('it was sent')\n"
            "except WorkbenchError as error:\n"
            "    print(error)\n"
            f"del mine, {name}\n".replace("mine, mine", "mine")
        )
    with python("-c", code) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output.splitlines()


@pytest.mark.parametrize("number", range(len(PROMPTS)))
def test_function_of_a_prompt(said_at_a_prompt, number):
    assert len(said_at_a_prompt) == len(PROMPTS)
    line, name = said_at_a_prompt[number], PROMPTS[number][1]
    assert line.startswith(f"{name} is defined in a notebook or at a prompt")
    assert ".py file" in line


def test_unguarded_script(tmp_path):
    """Each worker runs the script again: it must end with an error, not in ever more processes."""
    path = tmp_path / "script.py"
    path.write_text(
        "import pathlib, os\n"
        f"pathlib.Path({str(tmp_path)!r}, f'ran-{{os.getpid()}}').touch()\n"
        "from search_helpers import act\n"
        "from nasworkbench.executors import ProcessExecutor\n"
        "with ProcessExecutor(act, workers=1) as executor:\n"
        "    executor.submit('echo', 1)\n"
        "    print(executor.wait(60))\n"
    )
    with python(str(path)) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert 'if __name__ == "__main__"' in errors.splitlines()[-1]
    assert "a worker process died while it started" in errors.splitlines()[-1]
    assert len(list(tmp_path.glob("ran-*"))) == 2  # the script itself and its one worker


# --- workers that do not start -------------------------------------------------------------------


def starting(executor):
    """The process of its only worker, which has not got ready."""
    return executor._processes[0].process


def wait_for_another(executor, old):
    """Wait until the worker has been started anew, or has ended a task."""
    while starting(executor) is old:
        assert executor.wait(0.05) == []


def test_killed_twice_while_it_starts_it_is_started_again():
    with ProcessExecutor(act, workers=1) as executor:
        executor.submit("echo", 3)
        for _ in range(2):
            old = starting(executor)
            old.kill()
            wait_for_another(executor, old)
        (future,) = executor.wait(60)
        assert future.result().value == 3
        assert one(executor, "kill").status == "crashed"  # and its failed starts are forgotten
        starting(executor).kill()
        assert one(executor, "echo", 4).value == 4


def test_killed_three_times_while_it_starts():
    with ProcessExecutor(act, workers=1) as executor:
        executor.submit("echo", 3)
        with pytest.raises(WorkbenchError) as caught:
            for _ in range(3):
                old = starting(executor)
                old.kill()
                wait_for_another(executor, old)
    words = str(caught.value)
    assert "a worker process died while it started: its process died of SIGKILL" in words
    assert "memory" in words and "fewer workers" in words
    assert "__main__" not in words


def test_stopped_while_it_starts_it_is_started_again(monkeypatch):
    with ProcessExecutor(act, workers=1) as executor:
        executor.submit("echo", 3)
        old = starting(executor)
        os.kill(old.pid, signal.SIGSTOP)
        monkeypatch.setattr(ProcessExecutor, "start_limit", 0.3)
        wait_for_another(executor, old)
        monkeypatch.undo()
        (future,) = executor.wait(60)
        assert future.result().value == 3
        assert not alive(old.pid)


def test_never_started_in_time(monkeypatch):
    monkeypatch.setattr(ProcessExecutor, "start_limit", 0.1)
    before = processes()
    with ProcessExecutor(act, workers=1) as executor:
        executor.submit("echo", 3)
        with pytest.raises(
            WorkbenchError, match=r"a worker process had not started after 0\.1 s.*fewer workers"
        ):
            executor.wait(60)
    assert processes() == before


def test_a_long_function_and_a_stopped_worker(monkeypatch):
    """More than fits into a pipe, which nobody reads: the executor is made all the same."""
    function = functools.partial(act, "echo", b"x" * 10**7)
    stopped = []
    begin = multiprocessing.get_context("spawn").Process.start

    def start_and_stop(process):
        begin(process)
        if not stopped:
            stopped.append(process.pid)
            os.kill(process.pid, signal.SIGSTOP)

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", start_and_stop)
    with ProcessExecutor(function, workers=1) as executor:
        executor.submit()
        with monkeypatch.context() as patch:
            patch.setattr(ProcessExecutor, "start_limit", 0.3)
            wait_for_another(executor, starting(executor))
        (future,) = executor.wait(60)
        assert future.result().value == b"x" * 10**7


# --- the end of the parent ----------------------------------------------------------------------

BUSY = """
import sys
from search_helpers import act
from nasworkbench.executors import ProcessExecutor

if __name__ == "__main__":
    with ProcessExecutor(act, workers=1) as executor:
        executor.submit("pid")
        print(executor.wait(60)[0].result().value, flush=True)
        executor.submit("hang")
        executor.wait()
"""


def busy_parent(tmp_path):
    path = tmp_path / "busy.py"
    path.write_text(BUSY)
    process = python(str(path), start_new_session=True)
    return process, int(process.stdout.readline())


def test_workers_die_with_a_killed_parent(tmp_path):
    process, worker = busy_parent(tmp_path)
    with process:
        assert alive(worker)
        process.kill()
        process.wait()
        assert gone_within([worker], 10)


def test_ctrl_c_ends_everything(tmp_path):
    process, worker = busy_parent(tmp_path)
    with process:
        everyone = [process.pid, *children(process.pid)]
        assert worker in everyone
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group
        _, errors = process.communicate(timeout=30)
    assert errors.count("Traceback") == 1  # the parent's alone
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert gone_within(everyone, 10)


# --- inline -------------------------------------------------------------------------------------


def test_inline():
    with InlineExecutor(act) as executor:
        assert executor.wait() == []
        assert executor.free == 1
        future = executor.submit("echo", "here")
        assert executor.free == 0
        assert executor.wait() == [future]
        record = future.result()
        assert record == Finished("ok", "here", None, record.seconds, 0)
        assert executor.free == 1
        assert one(executor, "pid").value == os.getpid()
        assert one(executor, "raise").status == "error"
        assert one(executor, "memory").status == "out_of_memory"
        future = executor.submit("echo", 1)
        assert executor.workers == [future]
    assert executor.wait() == []
    assert future.cancelled()


def test_inline_task_has_one_thread_unless_told():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert one(InlineExecutor(act), "threads").value == 1
        assert one(InlineExecutor(act, threads=3), "threads").value == 3
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [0, 1.5, "2", None])
def test_inline_threads_out_of_range(threads):
    with pytest.raises(SettingsError, match="threads must be a whole number from 1, got "):
        InlineExecutor(act, threads=threads)


def test_tasks_compute_in_float32_wherever_they_run(executor):
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert one(InlineExecutor(act), "dtype").value == torch.float32
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)
    assert one(executor, "double").value is None
    assert one(executor, "dtype").value == torch.float32  # of the next task, of the same process


def test_inline_lets_ctrl_c_through():
    def interrupted():
        raise KeyboardInterrupt

    executor = InlineExecutor(interrupted)
    future = executor.submit()
    with pytest.raises(KeyboardInterrupt):
        executor.wait()
    assert executor.free == 1
    assert future.cancelled()


@pytest.mark.parametrize(
    "error, status",
    [
        (MemoryError("x"), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out_of_memory",
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "error"),
        (KeyError("x"), "error"),
    ],
)
def test_what_counts_as_out_of_memory(error, status):
    def fail():
        raise error

    executor = InlineExecutor(fail)
    record = one(executor)
    assert record.status == status
    assert record.cause.startswith(type(error).__name__)
    assert "test_executors.py, line " in record.cause


@pytest.mark.parametrize("text", ["first\nsecond" + "x" * 1000, "\x1b[31m\x00 \ud800 \u202e"])
def test_cause_is_one_short_line(text):
    def fail():
        raise ValueError(text)

    record = one(InlineExecutor(fail))
    assert record.cause.isprintable()
    assert len(record.cause) < 400


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), StopIteration()])
def test_exit_is_an_error_like_another(error):
    def fail():
        raise error

    record = one(InlineExecutor(fail))
    assert record.status == "error"
    assert record.cause.startswith(f"{type(error).__name__}: ")


@pytest.mark.parametrize(
    "visible, count, expected",
    [
        (None, 0, [None, None, None]),
        ("5", 1, [None, None, None]),
        (None, 2, ["0", "1", "0"]),
        ("2,3", 2, ["2", "3", "2"]),
        ("GPU-aa,GPU-bb", 2, ["GPU-aa", "GPU-bb", "GPU-aa"]),
    ],
)
def test_workers_take_turns_on_the_gpus_of_this_process(monkeypatch, visible, count, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [worker_gpu(index) for index in range(3)] == expected

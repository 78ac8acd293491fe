"""What holds for every test, and for the processes that tests start."""

import multiprocessing
import multiprocessing.forkserver
import os
import signal
from pathlib import Path

import pytest
from slow_tests import SLOW

# torch computes in one thread, so that sums are rounded alike; before it is imported anywhere
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NASWORKBENCH_PROGRESS", "0")

# a shell that runs the tests in the background lets them ignore Ctrl-C, which some of them send
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BROWSER = Path(__file__).parent / "browser"


def pytest_collection_modifyitems(items):
    """Marks; and the file whose tests take longest begins first: pytest-xdist hands out files in
    this order."""
    ranks: dict[Path, int] = {}
    for item in items:
        if item.path.parent == BROWSER:
            item.add_marker(pytest.mark.browser)
        names = SLOW.get(item.path.stem)
        if names is not None and (not names or item.originalname in names):
            item.add_marker(pytest.mark.slow)
        ranks[item.path] = min(_rank(item), ranks.get(item.path, 3))
    items.sort(key=lambda item: ranks[item.path])


def _rank(item):
    marks = ("lessons", "browser", "slow")
    return next((n for n, mark in enumerate(marks) if item.get_closest_marker(mark)), len(marks))


@pytest.fixture
def no_data_found(monkeypatch, tmp_path):
    """No data set of this machine, but scikit-learn's, is found; nothing reaches the net."""
    from nasworkbench.data import sources

    monkeypatch.setenv("NASWORKBENCH_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "no-debian")


@pytest.fixture(scope="module")
def prepared_workers():
    """Worker processes are forks of one that has imported torch but nothing of this library: a
    tenth of the price of a fresh Python. Where its start is what is tested they are fresh."""
    context = multiprocessing.get_context
    context("forkserver").set_forkserver_preload(["torch", "torchvision.transforms.v2"])
    multiprocessing.forkserver.ensure_running()  # with the environment that all tests share
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            multiprocessing,
            "get_context",
            lambda method=None: context("forkserver" if method == "spawn" else method),
        )
        yield

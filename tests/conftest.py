"""What holds for every test, and for the processes that tests start."""

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks; and for pytest-xdist, which tests stay together: those of a file, so that what they
    share is made once, but each lesson by itself. The groups that take longest begin first."""
    ranks: dict[str, int] = {}
    groups = []
    for item in items:
        if item.path.parent == BROWSER:
            item.add_marker(pytest.mark.browser)
        names = SLOW.get(item.path.stem)
        if names is not None and (not names or item.originalname in names):
            item.add_marker(pytest.mark.slow)
        group = item.name if item.get_closest_marker("lessons") else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
        groups.append(group)
        for rank, mark in enumerate(("lessons", "browser", "slow")):
            if item.get_closest_marker(mark):
                ranks[group] = min(rank, ranks.get(group, rank))
    order = {id(item): ranks.get(group, 3) for item, group in zip(items, groups, strict=True)}
    items.sort(key=lambda item: order[id(item)])

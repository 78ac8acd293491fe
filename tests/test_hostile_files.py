"""Files that somebody else has made: each ends in one line of words, soon and in little memory.

The attacks are in ``hostile_files_script.py``, which runs in a process with limits of its own.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files_script import ATTACKS

from nasworkbench import errors
from nasworkbench.errors import LONGEST_MESSAGE

SCRIPT = Path(__file__).with_name("hostile_files_script.py")
MEGABYTES = 1_000  # beside what the library itself takes
FAMILY = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.WorkbenchError)
}


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs its limits and its /proc")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came of each attack of a group; each group runs once."""

    @functools.cache
    def of(group):
        folder = tmp_path_factory.mktemp(group)
        run = subprocess.run(
            [sys.executable, SCRIPT, group, folder],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        records = [json.loads(line) for line in run.stdout.splitlines()]
        return {record.pop("attack"): record for record in records}, run

    return of


@pytest.mark.parametrize(
    ("group", "attack"), [(group, name) for group, names in ATTACKS.items() for name in names]
)
def test_a_hostile_file_ends_in_one_line_of_words(outcomes, group, attack):
    found, run = outcomes(group)
    assert attack in found, f"it ended the process: {run.returncode}, {run.stderr[-500:]}"
    outcome = found[attack]
    assert outcome.get("error") in FAMILY, outcome
    message = outcome["message"]
    assert message.isprintable() and 20 < len(message) < 1.1 * LONGEST_MESSAGE
    assert not outcome["ran"]
    assert outcome["megabytes"] < MEGABYTES


@pytest.mark.parametrize("group", ATTACKS)
def test_the_limits_were_not_reached(outcomes, group):
    found, run = outcomes(group)
    assert run.returncode == 0 and found.keys() == ATTACKS[group].keys()

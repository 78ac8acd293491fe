"""What the workbench itself costs: import, first drawing, the search around a child, memory.

    python tests/benchmarks/overhead.py    # about two minutes

Targets: importing at most 1.1 times `import torch`; import to a drawn cell at most 3 s; ask,
decode, store and tell at most 2 % of a toy child's time; the main job's processes at most 3 GiB
together.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nasworkbench import PPO, CellSpace, Search, TrainingEvaluator, data, tiers

DRAW = """
import nasworkbench as nw
nw.draw(nw.CellSpace().sample(0)).png()
"""


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def nothing(genotype) -> float:
    """An evaluator that costs nothing: what remains is the search."""
    return len(genotype.key) / 20


def overhead(trials: int = 200) -> float:
    """Seconds a trial of ask, decode, store and tell, PPO's updates included."""
    space = CellSpace()
    with tempfile.TemporaryDirectory() as folder:
        search = Search(space, PPO(space), nothing, Path(folder) / "run")
        search.run(20, progress=False)
        start = time.perf_counter()
        search.run(trials, progress=False)
        return (time.perf_counter() - start) / trials


def child(tier: tiers.Tier) -> float:
    """Mean seconds of a child of this tier, one thread."""
    import torch

    torch.set_num_threads(1)
    evaluator = TrainingEvaluator(data.load(tier.data), tier.recipe, tier.cells, tier.filters)
    space = CellSpace()
    evaluator(space.sample(100))
    return statistics.mean(evaluator(space.sample(seed)).seconds or 0.0 for seed in range(6))


def memory() -> float:
    """Largest proportional set size of the toy job and its workers together, in GiB (Linux)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nasworkbench.cli", "search", "--tier", "toy"]
        command += ["--trials", "20", "--runs", folder]
        quiet = subprocess.DEVNULL
        job = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        peak = 0
        while job.poll() is None:
            peak = max(peak, sum(map(proportional, family(job.pid))))
            time.sleep(0.2)
    return peak / 2**20


def family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it has just ended
            continue
        for kid in children:
            found += family(int(kid))
    return found


def proportional(pid: int) -> int:
    """Kilobytes of a process, its shared pages divided among those who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    pairs = [(seconds("import nasworkbench"), seconds("import torch")) for _ in range(5)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"{'import, times import torch (1.1)':<44}{ratio:8.2f}")
    drawn = statistics.median(seconds(DRAW) for _ in range(3))
    print(f"{'import to drawn cell, s (3)':<44}{drawn:8.2f}")
    cost = overhead()
    print(f"{'search around a child, ms':<44}{1000 * cost:8.2f}")
    for name in ("toy", "laptop"):
        one = child(tiers.get(name))
        print(f"{f'{name} child, s':<44}{one:8.2f}")
        print(f"{f'overhead, % of a {name} child (2)':<44}{100 * cost / one:8.2f}")
    print(f"{'memory of the main job, GiB (3)':<44}{memory():8.2f}")


if __name__ == "__main__":
    main()

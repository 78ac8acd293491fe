"""How soon a widget follows a person: Python's share of it, without the browser.

    python tests/benchmarks/widgets.py    # about half a minute

Beside each figure, in the same run, what its work costs at the least: one drawing by graphviz for a
new diagram, one plain count for new numbers. Targets: the editor's diagram within 100 ms of an edit
and its numbers within 150 ms (N = 2, F = 32); a step of a replay of 1,000 trials within 50 ms.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nasworkbench as nw


def clock(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def row(what: str, seconds: list[float], target: float, least: list[float]) -> None:
    middle, worst = statistics.median(seconds), max(seconds)
    floor = statistics.median(least)
    print(
        f"{what:<34} median {1e3 * middle:6.1f} ms, worst {1e3 * worst:6.1f}   "
        f"(<= {1e3 * target:.0f})   {middle / floor:5.2f} x its least, {1e3 * floor:.1f} ms",
        flush=True,
    )


def edits(count: int = 40) -> None:
    editor = nw.CellEditor(nw.zoo.get("nasnet-a"))
    seen: dict[str, float] = {}
    for name in ("view", "numbers"):
        editor.observe(lambda change: seen.setdefault(change["name"], time.perf_counter()), name)
    diagrams, numbers, drawings, counts = [], [], [], []
    while len(numbers) < count:
        seen.clear()
        start = time.perf_counter()
        editor.perform({"do": "mutate"})
        if "numbers" in seen:  # else the mutation made a cell that was counted before
            diagrams.append(seen["view"] - start)
            numbers.append(seen["numbers"] - start)
            genotype = editor.genotype
            drawings.append(clock(lambda cell=genotype.normal: nw.draw(cell).svg()))
            counts.append(clock(lambda cells=genotype: nw.profile(nw.CellNetwork(cells, 2), 32)))
    row("editor: diagram after an edit", diagrams, 0.1, drawings)
    row("editor: numbers after an edit", numbers, 0.15, counts)


def steps(trials: int = 1000) -> None:
    table = nw.tables.load("cells")
    with tempfile.TemporaryDirectory() as folder:
        search = nw.Search(
            table.space, nw.PPO(table.space), nw.TableEvaluator(table), Path(folder) / "run"
        )
        search.run(trials, progress=False)
        start = time.perf_counter()
        replay = nw.SearchReplay(search)
        print(f"replay: {trials:,} trials opened in {time.perf_counter() - start:.1f} s")

        def step(number: int) -> Callable[[], None]:
            return lambda: setattr(replay, "step", number)

        some = range(2, trials, 11)
        first = [clock(step(number)) for number in some]
        drawings = [clock(nw.draw(table.genotype(row).normal).svg) for row in range(40)]
        row("replay: a step seen first", first, 0.05, drawings)
        row("replay: a step seen again", [clock(step(n)) for n in some], 0.05, drawings)


if __name__ == "__main__":
    edits()
    steps()

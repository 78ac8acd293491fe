"""The controller on the paper's 50 decisions: cells a second, and the time of a PPO update.

    python tests/benchmarks/controllers.py            # half a minute on one core
    python tests/benchmarks/controllers.py --quick    # few repeats, to see that it runs

One thread. The controller is the paper's (one LSTM layer of 100 units). "sampled": tokens with the
distribution of every decision. "asked": the same through ``PPO.ask``, each proposal with random
numbers of its own and decoded into a genotype. The update is PPO's, 20 cells and 4 epochs, from
told rewards to new weights. Each figure is the median of its repeats, and the slowest and fastest
tenth of them stand beside it.

Peers, measured earlier on two cores of the same kind (AMD Zen 5, torch 2.14) and quoted here, not
installed: carpedm20's ENAS-pytorch samples 4,289 cells/s in batches of 64 and 272 one by one;
Microsoft's NNI samples 38 cells/s one by one and takes 342 ms for one pass of a PPO update.

Targets: at least 5,000 cells/s in batches of 64, at least 400 one by one, at most 34 ms an update.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from nasworkbench.controllers import PPO, Outcome
from nasworkbench.spaces import CellSpace


def seconds(run: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each repeat, fastest first, after two that do not count."""
    times = []
    for turn in range(repeats + 2):
        start = time.perf_counter()
        run()
        if turn >= 2:
            times.append(time.perf_counter() - start)
    return sorted(times)


def row(
    what: str,
    times: list[float],
    cells: int | None = None,
    target: float | None = None,
    peers: str = "",
) -> None:
    """Print cells a second, or milliseconds where ``cells`` is None, and how the target fares."""
    tenth = len(times) // 10
    values = [times[tenth], statistics.median(times), times[-1 - tenth]]
    values = [1000 * t if cells is None else cells / t for t in values]
    unit = "ms" if cells is None else "cells/s"
    line = f"{what:<28}{values[1]:>9.1f} {unit:<9}{min(values):>9.1f} -{max(values):>9.1f}"
    if target is not None:
        ratio = target / values[1] if cells is None else values[1] / target
        sign = "<=" if cells is None else ">="
        verdict = "met" if ratio >= 1 else "MISSED"
        line += f"  {sign} {target:>6,g}  {ratio:>5.2f} x {verdict}"
    print(f"{line:<98}{peers}".rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repeats")
    few = parser.parse_args().quick
    torch.set_num_threads(1)
    space = CellSpace()
    controller = PPO(space, seed=0)
    policy, generator = controller.policy, torch.Generator().manual_seed(0)
    print(f"{controller!r}\n{space!r}, {torch.get_num_threads()} thread")
    print(f"{'':<28}{'median':>9} {'':<9}{'tenths':>20}  {'target':>9}  {'ratio':>7}")

    many, one = (5, 20) if few else (60, 500)
    times = seconds(lambda: policy.sample(64, generator), many)
    row("sampled, batches of 64", times, 64, 5000, "ENAS-pytorch 4,289")
    times = seconds(lambda: policy.sample(1, generator), one)
    row("sampled, one by one", times, 1, 400, "ENAS-pytorch 272, NNI 38")
    row("asked, 64 at once", seconds(lambda: controller.ask(64), many), 64)
    row("asked, one by one", seconds(lambda: controller.ask(1), one), 1)

    told = [Outcome(proposal, 0.5 + proposal.number / 100) for proposal in controller.ask(20)]
    times = seconds(lambda: controller.tell(told), 5 if few else 100)
    row("update, 20 cells x 4 epochs", times, None, 34, "NNI 342 a pass")
    state = seconds(controller.state_dict, 5 if few else 100)
    row("a copy of the state", state)


if __name__ == "__main__":
    main()

"""NASNet-A 4 @ 1056 against pretrainedmodels' ``NASNetAMobile``: speed and memory on the CPU.

    python tests/benchmarks/networks.py            # about five minutes on two cores
    python tests/benchmarks/networks.py --quick    # a small batch, to see that it runs

Images of 224 x 224 in batches of 32, two threads. The sides take turns in one process, so that
what else the machine does hits both; a ratio is the median over the turns. The peer stands at the
better of its two memory formats, ours as the user gets it. Training: forward, cross-entropy,
backward, SGD step. Evaluation: ``torch.inference_mode``, ours by ``folded()``. Peak memory: of a
process of its own that makes two training steps, everything it has loaded included.

Targets: training step at least 1.05 times as fast, evaluation at least 1.2 times, peak memory at
most 0.8 times the peer's.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from nasworkbench.networks import CellNetwork

OURS, CONTIGUOUS, LAST = "nasworkbench", "pretrainedmodels", "pretrainedmodels channels_last"
TARGETS = {"training": 1.05, "evaluation": 1.2, "memory": 0.8}


def build(side: str) -> nn.Module:
    """One side's network, with random weights."""
    torch.manual_seed(0)
    if side == OURS:
        return CellNetwork.from_notation("nasnet-a", "4 @ 1056", dropout=0.5)
    from pretrainedmodels.models.nasnet_mobile import NASNetAMobile

    network = NASNetAMobile(num_classes=1000)
    return network.to(memory_format=torch.channels_last) if side == LAST else network


def make_images(side: str, batch: int) -> torch.Tensor:
    images = torch.randn(batch, 3, 224, 224)
    return images.to(memory_format=torch.channels_last) if side == LAST else images


def trainer(side: str, batch: int) -> Callable[[], None]:
    """A function that makes one training step."""
    network, images = build(side).train(), make_images(side, batch)
    labels = torch.randint(1000, (batch,))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    return step


def evaluator(side: str, batch: int) -> Callable[[], None]:
    """A function that classifies one batch."""
    network, images = build(side).eval(), make_images(side, batch)
    if isinstance(network, CellNetwork):
        network = network.folded()

    def classify() -> None:
        with torch.inference_mode():
            network(images)

    return classify


def take_turns(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every run of each side, after one that does not count."""
    seconds: dict[str, list[float]] = {side: [] for side in runs}
    for turn in range(rounds + 1):
        for side, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[side].append(time.perf_counter() - start)
    return seconds


def high_water_mark() -> float:
    """MiB that this process has needed at most.

    Linux's own figure for this very program: ``ru_maxrss`` would include the one that started it.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def peak_memory(side: str, batch: int) -> float:
    """MiB that a process of its own needs at most for two training steps."""
    command = [sys.executable, __file__, "--memory-of", side, "--batch", str(batch)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report(what: str, ours: float, peers: dict[str, float], ratio: float, unit: str) -> None:
    target = TARGETS[what]
    met = ratio <= target if what == "memory" else ratio >= target
    sign = "<=" if what == "memory" else ">="
    values = "".join(f"{peers[side]:>16.1f}" for side in (CONTIGUOUS, LAST))
    verdict = "met" if met else "MISSED"
    print(f"{what:<12}{ours:>14.1f}{values}  {unit:<9}{ratio:>6.2f}  {sign} {target:<5}{verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="batch 4, two rounds, no verdict")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory-of", choices=[OURS, CONTIGUOUS, LAST], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    if arguments.memory_of:
        step = trainer(arguments.memory_of, arguments.batch)
        step()
        step()
        print(high_water_mark())
        return

    batch, rounds = (4, 2) if arguments.quick else (arguments.batch, arguments.rounds)
    print(f"batch {batch}, {rounds} rounds, {torch.get_num_threads()} threads")
    print(f"{'':<12}{'ours':>14}{'peer':>16}{'channels_last':>16}{'':>11}{'ratio':>6}  target")
    for what, make in (("training", trainer), ("evaluation", evaluator)):
        seconds = take_turns({side: make(side, batch) for side in (CONTIGUOUS, LAST, OURS)}, rounds)
        rates = {side: batch / statistics.median(times) for side, times in seconds.items()}
        best = max((CONTIGUOUS, LAST), key=rates.__getitem__)
        turns = zip(seconds[best], seconds[OURS], strict=True)
        ratio = statistics.median(peer / ours for peer, ours in turns)
        report(what, rates[OURS], rates, ratio, "images/s")
    memory = {side: peak_memory(side, batch) for side in (CONTIGUOUS, LAST, OURS)}
    ratio = memory[OURS] / min(memory[CONTIGUOUS], memory[LAST])
    report("memory", memory[OURS], memory, ratio, "MiB")


if __name__ == "__main__":
    main()

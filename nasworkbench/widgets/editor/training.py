"""Trying a cell out: what its network costs, what a table knows of it, and a training of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from ...errors import WorkbenchError
from ...genotype import Genotype
from ...networks import CellNetwork, profile
from ...tables import Table
from ...training import Evaluation
from ...training.evaluator import Task

#: The widget is told of a training's progress at most so often, in seconds.
TELL_EVERY = 0.1


def costs(genotype: Genotype, cells: int, filters: int, image_size: int) -> dict[str, Any]:
    """What a network of these cells costs, by :func:`nasworkbench.profile`; ready for JSON.

    Args:
        genotype: the cells.
        cells: N, normal cells per stage.
        filters: F, filters of the first stage.
        image_size: side of the images.

    Returns:
        ``parameters``, ``mult_adds`` and ``stages``: a name and the (height, width, channels)
        that come out of the stem and of each stage.

    Raises:
        NetworkError: no such network, or images too small for it.
    """
    with torch.device("meta"):  # no weight is drawn, and no random number
        network = CellNetwork(genotype, cells=cells, filters=filters)
    # to count on the meta device itself, torch would first load its compiler: a second
    cost = profile(network.to_empty(device="cpu"), image_size)
    stages = {
        f"stage {layer.stage}" if layer.stage else "stem": cost.endpoints[layer.name]
        for layer in network.layout
        if layer.name in cost.endpoints  # the last layer of a stage stays
    }
    return {
        "parameters": cost.parameters,
        "mult_adds": cost.mult_adds,
        "stages": [{"name": name, "shape": list(shape)} for name, shape in stages.items()],
    }


def measured(genotype: Genotype, table: Table | None) -> str:
    """What a table knows of the genotype, in words; empty if there is no table.

    Validation accuracies only: a cell that is edited by its test accuracy is fitted to it.
    """
    if table is None:
        return ""
    if genotype.key not in table:
        return f"table {table.name}: does not know this cell ({len(table):,} others)"
    row = table.row(genotype.key)
    trained = f"{table.seeds} trainings" if table.seeds > 1 else "one training"
    return (
        f"table {table.name}: measured validation accuracy {table.mean_validation[row]:.4f} "
        f"({trained}), rank {table.ranks[row]:,} of {len(table):,}"
    )


class Training:
    """At most one training in the background.

    Args:
        evaluator: any evaluator; one that takes ``should_stop`` can be stopped within a batch, one
            that takes ``on_step`` says how far it is. ``None``: there is nothing to train with.
        changed: called without arguments when :meth:`status` has changed, from whatever thread;
            in a training at most ten times a second.
    """

    def __init__(
        self, evaluator: Callable[..., Any] | None, changed: Callable[[], None] = lambda: None
    ) -> None:
        if evaluator is not None and not callable(evaluator):
            raise WorkbenchError(
                f"evaluator must be something to call with a genotype, such as "
                f"TrainingEvaluator(dataset, recipe), got {evaluator!r:.80}"
            )
        self.evaluator, self.changed = evaluator, changed
        self.results: dict[str, Evaluation] = {}  #: by a genotype's key
        self.running = False  #: whether a training is under way
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._done, self._total, self._told = 0, 0, 0.0
        self._last = ""

    def start(self, genotype: Genotype) -> None:
        """Train this genotype's network in the background.

        Raises:
            WorkbenchError: there is no evaluator, or a training is under way.
        """
        if self.evaluator is None:
            raise WorkbenchError(
                "there is nothing to train with: pass an evaluator, such as "
                "CellEditor(genotype, evaluator=TrainingEvaluator(dataset, recipe, cells=1, "
                "filters=8))"
            )
        with self._lock:
            if self.running:
                raise WorkbenchError("a training is running already: press Stop, or wait")
            self.running, self._done, self._total, self._last = True, 0, 0, ""
            self._stop = threading.Event()  # a new one: the last training may still hold its own
            self._thread = threading.Thread(
                target=self._work, args=(genotype, self._stop), daemon=True, name="nwb-training"
            )
        self.changed()
        self._thread.start()

    def stop(self) -> None:
        """End the training after its current batch; nothing happens if there is none."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the training; whether it has ended."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.running

    def status(self, genotype: Genotype) -> dict[str, Any]:
        """For a front end: ``available``, ``running``, ``done`` and ``total`` steps (0: unknown),
        ``words`` and ``known`` (what a training of this very genotype gave, in words)."""
        known = self.results.get(genotype.key)
        return {
            "available": self.evaluator is not None,
            "running": self.running,
            "done": self._done,
            "total": self._total,
            "words": self._words(),
            "known": "" if known is None else _in_words(known),
        }

    def _words(self) -> str:
        if self.running:
            share = f"{self._done / self._total:.0%}" if self._total else ""
            return "stopping" if self._stop.is_set() else f"training {share}".strip()
        if self.evaluator is None:
            return "to train a cell, pass an evaluator: CellEditor(genotype, evaluator=...)"
        cells, filters = (getattr(self.evaluator, name, None) for name in ("cells", "filters"))
        known = isinstance(cells, int) and isinstance(filters, int)
        # the evaluator's own network, not the one that is counted
        return self._last or (f"the evaluator trains N = {cells}, F = {filters}" if known else "")

    def _work(self, genotype: Genotype, stop: threading.Event) -> None:
        def on_step(step: int, steps: int) -> None:
            self._done, self._total = step, steps
            if time.monotonic() - self._told > TELL_EVERY:
                self._told = time.monotonic()
                self.changed()

        assert self.evaluator is not None
        try:
            result = Task(self.evaluator, stop.is_set, on_step)(genotype, seed=0)
        except Exception as error:  # an evaluator may be anyone's code: its failure is a result
            result = Evaluation(None, "error", f"{type(error).__name__}: {error}")
        if result.status == "ok":
            self.results[genotype.key] = result
        self._last = _in_words(result)
        self.running = False
        self.changed()


def _in_words(result: Evaluation) -> str:
    seconds = f" in {result.seconds:.1f} s" if result.seconds is not None else ""
    if result.reward is not None:
        return f"trained here{seconds}: reward {result.reward:.4f}"
    return f"training {result.status}{seconds}" + (f": {result.cause}" if result.cause else "")

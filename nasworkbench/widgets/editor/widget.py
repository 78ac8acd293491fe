"""The cell editor: a cell as a live diagram that is changed by clicks and keys.

The front end (``editor.js``) draws what it is given and sends what a person wants, as messages such
as ``{"do": "connect", "role": "normal", "block": 2, "side": "left", "state": 1}``. Messages are
never lost; the answer is always the whole state, so that any number of views show the same. The
genotype itself stays here: a closed browser loses nothing.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import anywidget
import traitlets

from ... import dialects, zoo
from ...checks import choice, instance, optional, whole
from ...dialects.detect import READERS
from ...drawing import Drawing, draw
from ...drawing.dot import THEMES
from ...errors import TableError, WorkbenchError, listed
from ...genotype import Genotype
from ...spaces import CellSpace
from ...tables import Table
from ..common import StandIn, answer_messages, attempt, front_end
from .diagram import diagram
from .form import EditorForm
from .state import EDITS, EditorState
from .training import Training, costs, measured

TRAINING = (
    "a training of this cell is under way: press Stop or wait for it, then go on editing (the "
    "cell is as it was)"
)

#: Largest network that is counted while one waits (this project's choice).
LARGEST = {"cells": 20, "filters": 512, "image_size": 512}

remembered_costs = lru_cache(maxsize=128)(costs)


def _theme_colours() -> str:
    """The drawings' own colours as CSS variables, light and dark."""
    places = {
        "light": ".nwb-editor",
        "dark": "[data-jp-theme-light='false'] .nwb-editor, body.vscode-dark .nwb-editor",
    }
    rules = []
    for name, place in places.items():
        colours: dict[str, str] = {}
        for part, colour in asdict(THEMES[name]).items():
            paints = colour if isinstance(colour, dict) else {"": colour}
            colours |= {f"{part}-{what}".rstrip("-"): value for what, value in paints.items()}
        lines = (f"--nwb-{part}: {value};" for part, value in colours.items())
        rules.append(f"{place} {{ {' '.join(lines)} }}")
    return "\n".join(rules)


class CellEditor(StandIn, anywidget.AnyWidget):
    """Edit a genotype by mouse or keyboard; its cost is shown beside it.

    ``editor.genotype`` is the present genotype. It is a trait: ``observe`` it, or assign
    another genotype to it. Assigning anything else raises the library's own error.

    Args:
        genotype_or_space: a genotype, where every legal edit is allowed; or a
            :class:`~nasworkbench.CellSpace`: the editor starts with a random genotype of it and
            refuses to leave it. By default NASNet-A.
        cells: N, normal cells per stage of the network that is counted.
        filters: F, its filters.
        image_size: side of its images.
        evaluator: for "Train this cell": a :class:`~nasworkbench.TrainingEvaluator`, or any other.
        table: a :class:`~nasworkbench.tables.Table`: measured accuracies of the cells it knows.

    While a cell is trained, edits are refused: the result that comes is that of the cell one sees.

    Raises:
        WorkbenchError: an argument that is none of these.
    """

    _esm = front_end("editor/editor.js")
    _css = _theme_colours() + front_end("common.css") + front_end("editor/editor.css")

    genotype: traitlets.TraitType = traitlets.TraitType(help="the present genotype")
    view = traitlets.Dict(help="what the diagram shows").tag(sync=True)
    numbers = traitlets.Dict(help="what the network costs, and the genotype as text").tag(sync=True)
    training = traitlets.Dict(help="how far a training is").tag(sync=True)
    message = traitlets.Dict(help="what was said last, and the reason of a refusal").tag(sync=True)

    def __init__(
        self,
        genotype_or_space: Genotype | CellSpace | None = None,
        *,
        cells: int = 2,
        filters: int = 32,
        image_size: int = 32,
        evaluator: Any = None,
        table: Table | None = None,
    ) -> None:
        self.table = optional(instance, "table", table, Table, 'tables.load("cells")', TableError)
        self.state = EditorState(genotype_or_space)
        sizes = {"cells": cells, "filters": filters, "image_size": image_size}
        self.sizes = {name: whole(name, size, 1, LARGEST[name]) for name, size in sizes.items()}
        self.trial = Training(evaluator, self._show_training)
        #: what a front end may ask for
        self.actions: dict[str, Callable[..., str | None]] = {
            **{name: getattr(self.state, name) for name in EDITS},
            **{"set_size": self.set_size, "train": self.train, "stop": self.trial.stop},
        }
        self._lock = threading.RLock()  # messages and the training come in threads of their own
        super().__init__()
        answer_messages(self, self.receive)
        self._publish("")

    def static(self) -> Drawing:
        """Both cells as a drawing, which shows itself without widgets."""
        return draw(self.genotype)

    def form(self) -> EditorForm:
        """The same editor as a form of drop-down lists; both show the same state."""
        return EditorForm(self)

    def set_size(self, name: str, value: int) -> None:
        """Set N (``cells``), F (``filters``) or the images' side (``image_size``) of the network
        that is counted.

        Raises:
            WorkbenchError: no such network, or one too large to count while one waits.
        """
        choice("name", name, LARGEST)
        sizes = self.sizes | {name: whole(name, value, 1, LARGEST[name])}
        remembered_costs(self.state.genotype, **sizes)  # refuses what cannot be built
        self.sizes = sizes

    def train(self) -> None:
        """Train this genotype's network in the background."""
        self.trial.start(self.state.genotype)

    def perform(self, message: dict[str, Any]) -> None:
        """Do what a message asks for; a refusal is said in :attr:`message`."""
        with self._lock:
            words, refusal = attempt(self._do, **message)
            if refusal:
                self._say(refusal, "problem")
            else:
                self._publish(words or "")

    def close(self) -> None:
        """Take the widget off the page and end a training; the genotype stays."""
        if hasattr(self, "trial"):  # a refused argument leaves half an editor, which closes too
            self.trial.stop()
        super().close()

    def receive(self, message: dict[str, Any]) -> None:
        """As :meth:`perform`, for the front end: whatever fails is said."""
        try:
            self.perform(message)
        except Exception as error:  # else it would be lost in the kernel's log
            self._say(f"this failed: {type(error).__name__}: {error}", "problem")

    def _do(self, do: Any = None, **arguments: Any) -> str | None:
        """Carry a message out. Returns what is to be said of it.

        Raises:
            WorkbenchError: it is not legal; nothing has changed.
        """
        if not isinstance(do, str) or do not in self.actions:
            raise WorkbenchError(f"the editor can do {listed(self.actions)}; got {do!r:.80}")
        action = self.actions[do]
        if wrong := arguments.keys() ^ inspect.signature(action).parameters.keys():
            raise WorkbenchError(f"{do}: missing or unknown: {listed(sorted(map(str, wrong)))}")
        if do in EDITS and self.trial.running:
            raise WorkbenchError(TRAINING)
        return action(**arguments)

    @traitlets.validate("genotype")
    def _check_assigned(self, proposal: dict[str, Any]) -> Genotype:
        genotype = proposal["value"]
        if genotype is not self.state.genotype:
            if self.trial.running:
                raise WorkbenchError(TRAINING)
            self.state.check(genotype)
        return genotype

    @traitlets.observe("genotype")
    def _take_assigned(self, change: Any) -> None:
        with self._lock:
            if change["new"] is not self.state.genotype:
                self.state.load(change["new"])
                self._publish("")

    def _publish(self, said: str) -> None:
        """Show the state: the diagram at once, the numbers after it."""
        try:
            self.genotype = self.state.genotype  # what is seen can be read
        finally:  # a user's observer may fail
            self.view = self._view()
            self._say(said)
            self.numbers = self._numbers()
            self._show_training()

    def _say(self, text: str, kind: str = "text") -> None:
        count = self.message.get("count", 0) + 1  # the same words twice are said twice
        self.message = {"text": text, "kind": kind, "count": count}

    def _view(self) -> dict[str, Any]:
        state, genotype = self.state, self.state.genotype
        cells = {}
        for role, cell in genotype.cells:
            drawn, problem = attempt(diagram, cell)
            cells[role] = {
                "diagram": drawn,
                "problem": problem,
                "blocks": [asdict(block) for block in cell.blocks],
                "states": [cell.state_name(number) for number in range(cell.state_count)],
                "inputs": cell.inputs,
                "concat": list(cell.concat),
                "automatic": role in state.automatic,
            }
        return {
            "cells": cells,
            "name": genotype.name or "",
            "space": "" if state.space is None else repr(state.space),
            "tied": state.space is not None and state.space.tied,
            "operations": list(state.operations),
            "combinations": list(state.combinations),
            "can_undo": state.can_undo,
            "can_redo": state.can_redo,
            "zoo": list(zoo.names()),
            "forms": list(READERS),
        }

    def _numbers(self) -> dict[str, Any]:
        genotype = self.state.genotype
        cost, problem = attempt(remembered_costs, genotype, **self.sizes)
        darts, no_darts = attempt(dialects.dumps, genotype, "darts")
        return (cost or {}) | {
            "sizes": self.sizes,
            "problem": problem,
            "darts": darts or "",
            "no_darts": no_darts,
            "json": genotype.to_json(),
            "measured": measured(genotype, self.table),
        }

    def _show_training(self) -> None:
        with self._lock:
            before = self.training.get("running", False)
            self.training = self.trial.status(self.state.genotype)
            if before and not self.training["running"]:
                self._say(self.training["words"])

    def _words(self) -> str:
        return f"{super()._words()}\n{self.genotype}"

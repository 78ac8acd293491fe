"""The cell editor: a cell as a live diagram that is changed by clicks and keys.

The front end (``editor.js``) draws what it is given and sends what a person wants, as messages such
as ``{"do": "connect", "role": "normal", "block": 2, "side": "left", "state": 1}``. Messages are
never lost; the answer is always the whole state, so that any number of views show the same. The
genotype itself stays here: a closed browser loses nothing.
"""

from __future__ import annotations

import threading
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ... import dialects, zoo
from ...drawing import Drawing, draw
from ...drawing.dot import THEMES
from ...errors import TableError, WorkbenchError
from ...genotype import Genotype
from ...spaces import CellSpace
from ...tables import Table
from ..common import StandIn
from ..pasting import READERS
from .diagram import diagram
from .messages import HARMLESS, checked_message, checked_sizes
from .state import EditorState
from .training import Training, costs, measured

_HERE = Path(__file__).parent

TRAINING = (
    "a training of this cell is under way: press Stop or wait for it, then go on editing (the "
    "cell is as it was)"
)

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
            if isinstance(colour, dict):
                colours |= {f"{part}-{what}": value for what, value in colour.items()}
            else:
                colours[part] = colour
        lines = (f"--nwb-{part}: {value};" for part, value in colours.items())
        rules.append(f"{place} {{ {' '.join(lines)} }}")
    return "\n".join(rules)


class _GenotypeTrait(traitlets.TraitType):
    """Refuses by the library's own error, None included."""

    info_text = "a Genotype"

    def validate(self, obj: Any, value: Any) -> Genotype:
        obj.check_assigned(value)
        return value


class CellEditor(StandIn, anywidget.AnyWidget):
    """Edit a genotype by mouse or keyboard; what it costs stands beside it.

    ``editor.genotype`` is the genotype as it stands. It is a trait: ``observe`` it, or assign
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
        WorkbenchError: something else than these.
    """

    _esm = (_HERE / "editor.js").read_text(encoding="utf-8")
    _css = _theme_colours() + "\n" + (_HERE / "editor.css").read_text(encoding="utf-8")

    genotype = _GenotypeTrait(help="the genotype as it stands")
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
        if table is not None and not isinstance(table, Table):
            raise TableError(
                f'table must be a Table, such as tables.load("cells"), got {table!r:.80}'
            )
        self.state = EditorState(genotype_or_space)
        self.table = table
        self.sizes = checked_sizes(cells, filters, image_size)
        self.trial = Training(evaluator, self._show_training)
        self._lock = threading.RLock()  # messages and the training come in threads of their own
        super().__init__()
        self.on_msg(self._on_message)
        self._publish("")

    def static(self) -> Drawing:
        """Both cells as a drawing, which shows itself without widgets."""
        return draw(self.genotype)

    def form(self) -> Any:
        """The same editor as a form of drop-down lists; both show the same state."""
        from .form import EditorForm

        return EditorForm(self)

    def perform(self, message: dict[str, Any]) -> bool:
        """Do what a message asks for; a refusal is said in :attr:`message`. Whether it was done."""
        with self._lock:
            try:
                said = self._do(message)
            except WorkbenchError as error:
                self._say(str(error), "problem")
                return False
            self._publish(said)
            return True

    def close(self) -> None:
        """Take the widget off the page and end a training; the genotype stays."""
        if hasattr(self, "trial"):  # a refused argument leaves half an editor, which closes too
            self.trial.stop()
        super().close()

    def _on_message(self, _: Any, message: Any, __: Any) -> None:
        try:
            self.perform(message)
        except Exception as error:  # else it would be lost in the kernel's log
            self._say(f"this failed: {type(error).__name__}: {error}", "problem")

    def _do(self, message: Any) -> str:
        """Carry a message out. Returns what is to be said of it.

        Raises:
            WorkbenchError: it is not legal; nothing has changed.
        """
        name, given = checked_message(message)
        if self.trial.running and name not in HARMLESS:
            raise WorkbenchError(TRAINING)
        if name == "operation":
            self.state.set_operation(**given)
        elif name == "combination":
            self.state.set_combination(**given)
        elif name in ("connect", "add_block", "remove_block", "toggle_output", "undo", "redo"):
            getattr(self.state, name)(**given)
        elif name == "output":
            self.state.set_output(**given)
        elif name == "automatic_output":
            role = given["role"]
            concat = self.state.cell(role).concat
            self.state.set_output(role, None if given["on"] else concat)
        elif name == "random":
            self.state.random()
            return "two random cells"
        elif name == "mutate":
            return "mutated: " + self.state.mutate()
        elif name == "zoo":
            self.state.load_zoo(given["name"])
            return f"loaded {given['name']}"
        elif name == "paste":
            return f"read as {self.state.paste(given['text'], given['form'] or None)}"
        elif name == "sizes":
            sizes = checked_sizes(**given)
            remembered_costs(self.state.genotype, **sizes)  # refuses what cannot be built
            self.sizes = sizes
        elif name == "train":
            self.trial.start(self.state.genotype)
        elif name == "stop":
            self.trial.stop()
        return ""

    def check_assigned(self, genotype: object) -> None:
        """See that this may be assigned to :attr:`genotype`.

        Raises:
            WorkbenchError: no genotype, one outside of the space, or a training is under way.
        """
        if genotype is self.state.genotype:
            return
        if self.trial.running:
            raise WorkbenchError(TRAINING)
        self.state.check(genotype)

    @traitlets.observe("genotype")
    def _take_assigned(self, change: Any) -> None:
        with self._lock:
            if change["new"] is not self.state.genotype:
                self.state.load(change["new"])
                self._publish("")

    def _publish(self, said: str) -> None:
        """Show the state: the diagram at once, the numbers after it."""
        self.view = self._view()
        self._say(said)
        self.numbers = self._numbers()
        self._show_training()
        self.genotype = self.state.genotype

    def _say(self, text: str, kind: str = "text") -> None:
        count = self.message.get("count", 0) + 1  # the same words twice are said twice
        self.message = {"text": text, "kind": kind, "count": count}

    def _view(self) -> dict[str, Any]:
        state, genotype = self.state, self.state.genotype
        cells = {}
        for role, cell in genotype.cells:
            try:
                drawn, problem = diagram(cell), ""
            except WorkbenchError as error:
                drawn, problem = None, str(error)
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
        found: dict[str, Any] = {"sizes": self.sizes, "problem": "", "darts": "", "no_darts": ""}
        try:
            found |= remembered_costs(genotype, **self.sizes)
        except WorkbenchError as error:
            found["problem"] = str(error)
        try:
            found["darts"] = dialects.dumps(genotype, "darts")
        except WorkbenchError as error:
            found["no_darts"] = str(error)
        return found | {"json": genotype.to_json(), "measured": measured(genotype, self.table)}

    def _show_training(self) -> None:
        with self._lock:
            before = self.training.get("running", False)
            self.training = self.trial.status(self.state.genotype)
            if before and not self.training["running"]:
                self._say(self.training["words"])

    def _words(self) -> str:
        return f"{super()._words()}\n{self.genotype}"

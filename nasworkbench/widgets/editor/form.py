"""The cell editor as a form: the same edits by drop-down lists, where no diagram can be used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import ipywidgets

from ...drawing import Drawing
from ..common import Panel, button, drawn, escaped, row, say, table, text
from .state import ROLES

_WIDE = {"width": "max-content"}


class EditorForm(Panel):
    """Drop-down lists for every decision of an editor's genotype.

    It shows the editor's state, and does nothing that a click in the diagram could not do; both
    may be used side by side.

    Args:
        editor: the :class:`~nasworkbench.CellEditor` whose state it shows.
    """

    def __init__(self, editor: Any) -> None:
        self.editor = editor
        self._filling = False
        self.role = ipywidgets.ToggleButtons(
            options=[(f"{role} cell", role) for role in ROLES], description="which cell"
        )
        self.rows = ipywidgets.VBox()
        self.blocks: list[dict[str, Any]] = []  # by block: the widgets of its row
        self.automatic = ipywidgets.Checkbox(
            description="output joins the blocks that no block reads", indent=False, layout=_WIDE
        )
        self.output = ipywidgets.SelectMultiple(description="output joins")
        self.zoo = ipywidgets.Dropdown(options=editor.view["zoo"], description="published")
        self.pasted = ipywidgets.Textarea(
            description="paste", placeholder="a genotype as JSON, or in another dialect"
        )
        self.form = ipywidgets.Dropdown(
            options=[("recognise the form", ""), *((name, name) for name in editor.view["forms"])],
            description="form",
        )
        fields = {"cells": "N", "filters": "F", "image_size": "image size"}
        self.sizes = {
            name: ipywidgets.IntText(
                description=title, continuous_update=False, layout={"width": "150px"}
            )
            for name, title in fields.items()
        }
        self.message, self.numbers, self.picture = text(role="status"), text(), text()
        self.progress = ipywidgets.FloatProgress(max=1.0, description="training")
        self.trained = text(kind="faint")

        titles = {
            "add_block": "Add block",
            "undo": "Undo",
            "redo": "Redo",
            "random": "Random cells",
            "mutate": "Mutate",
            "load_zoo": "Load",
            "paste": "Read the text",
            "train": "Train this cell",
            "stop": "Stop",
        }
        self.buttons = {
            name: button(title, partial(self._clicked, name)) for name, title in titles.items()
        }
        edits = ("add_block", "undo", "redo", "random", "mutate")
        training = (self.buttons["train"], self.buttons["stop"], self.progress, self.trained)
        super().__init__(
            [
                self.role,
                row(self.buttons[name] for name in edits),
                self.rows,
                row([self.output, self.automatic]),
                self.message,
                self.picture,
                row(self.sizes.values()),
                self.numbers,
                row(training),
                row([self.zoo, self.buttons["load_zoo"]]),
                row([self.pasted, self.form, self.buttons["paste"]]),
            ]
        )
        self.role.observe(self._fill, "value")
        self._when_chosen(self.automatic, "set_automatic", "on")
        self._when_chosen(self.output, "set_output", "states")
        for name, widget in self.sizes.items():
            self._when_chosen(widget, "set_size", "value", name=name)
        self._watched = {
            "view": self._fill,
            "numbers": self._fill_numbers,
            "training": self._fill_training,
            "message": self._fill_message,
        }
        for name, fill in self._watched.items():
            editor.observe(fill, name)
        for fill in (self._fill, self._fill_numbers, self._fill_training):
            fill()

    def static(self) -> Drawing:
        """Both cells as a drawing."""
        return self.editor.static()

    def close(self) -> None:
        """Take the form off the page; the editor stays."""
        for name, fill in self._watched.items():
            with contextlib.suppress(ValueError):  # closed before
                self.editor.unobserve(fill, name)
        super().close()

    # ---- what a person does

    def _ask(self, action: str, **arguments: Any) -> None:
        self.editor.perform({"do": action, **arguments})

    def _clicked(self, action: str) -> None:
        arguments = {
            "add_block": {"role": self.role.value},
            "load_zoo": {"name": self.zoo.value},
            "paste": {"text": self.pasted.value, "form": self.form.value},
        }
        self._ask(action, **arguments.get(action, {}))

    def _when_chosen(
        self, widget: ipywidgets.Widget, action: str, argument: str, **others: Any
    ) -> None:
        """Ask for ``action`` with what a person chooses, but not with what :meth:`_fill` sets."""

        def callback(change: Any) -> None:
            if not self._filling:
                place = {} if action == "set_size" else {"role": self.role.value}
                self._ask(action, **place, **others, **{argument: change["new"]})

        widget.observe(callback, "value")

    # ---- what the editor shows

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        self._filling = True
        try:
            yield
        finally:
            self._filling = False

    def _fill(self, _: Any = None) -> None:
        shown = self.editor.view["cells"][self.role.value]
        with self._quietly():
            while len(self.blocks) < len(shown["blocks"]):
                self.blocks.append(self._block_row(len(self.blocks)))
            del self.blocks[len(shown["blocks"]) :]
            states = [(name, state) for state, name in enumerate(shown["states"])]
            for number, block in enumerate(shown["blocks"]):
                readable = tuple(states[: shown["inputs"] + number])
                for field, value in block.items():
                    widget = self.blocks[number][field]
                    if field in ("left", "right") and widget.options != readable:
                        widget.options = readable
                    widget.value = value
            rows = tuple(row(parts.values()) for parts in self.blocks)
            if len(rows) != len(self.rows.children):
                self.rows.children = rows
            if self.output.options != tuple(states):
                self.output.value = ()  # a browser fails on what was selected and is no more
                self.output.options = states
                self.output.rows = len(states)
            self.output.value = tuple(shown["concat"])
            self.automatic.value = shown["automatic"]
            self.buttons["undo"].disabled = not self.editor.view["can_undo"]
            self.buttons["redo"].disabled = not self.editor.view["can_redo"]
        say(self.picture, drawn(self.editor.state.cell(self.role.value)))

    def _block_row(self, number: int) -> dict[str, Any]:
        view = self.editor.view
        operations, combinations = view["operations"], view["combinations"]
        parts: dict[str, Any] = {}
        for field, title, options, width, action, argument, side in (
            ("left_op", f"{number} left", operations, 190, "set_operation", "operation", "left"),
            ("left", "of", [], 105, "connect", "state", "left"),
            ("right_op", "right", operations, 185, "set_operation", "operation", "right"),
            ("right", "of", [], 105, "connect", "state", "right"),
            ("combine", "", combinations, 80, "set_combination", "combine", None),
        ):
            parts[field] = ipywidgets.Dropdown(
                options=options,
                description=title,
                tooltip=f"block {number}: {title}",
                layout={"width": f"{width}px"},
            )
            others = {"block": number} | ({"side": side} if side else {})
            self._when_chosen(parts[field], action, argument, **others)
        parts["remove"] = button(
            "Remove",
            lambda: self._ask("remove_block", role=self.role.value, block=number),
            tooltip=f"Remove block {number}",
        )
        return parts

    def _fill_numbers(self, _: Any = None) -> None:
        numbers = self.editor.numbers
        with self._quietly():
            for name, widget in self.sizes.items():
                widget.value = numbers["sizes"][name]
        if numbers["problem"]:
            return say(self.numbers, escaped(numbers["problem"]), "problem")
        rows = [
            ("parameters", f"{numbers['parameters']:,}"),
            ("mult-adds", f"{numbers['mult_adds']:,}"),
        ]
        for stage in numbers["stages"]:
            rows.append((stage["name"], " × ".join(map(str, stage["shape"]))))
        say(self.numbers, table(rows) + escaped(numbers["measured"]))

    def _fill_training(self, _: Any = None) -> None:
        status = self.editor.training
        self.progress.value = status["done"] / status["total"] if status["total"] else 0.0
        self.progress.bar_style = "" if status["total"] or not status["running"] else "info"
        self.buttons["stop"].disabled = not status["running"]
        self.buttons["train"].disabled = status["running"]
        words = {status["words"], status["known"]} - {""}
        say(self.trained, escaped("; ".join(sorted(words))), "faint")

    def _fill_message(self, _: Any = None) -> None:
        message = self.editor.message
        problem = message["kind"] == "problem"
        words = f"Refused: {message['text']}" if problem else message["text"]
        say(self.message, escaped(words), message["kind"], role="status")
        if problem:  # back to the last legal state
            self._fill()
            self._fill_numbers()

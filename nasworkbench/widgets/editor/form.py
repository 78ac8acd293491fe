"""The cell editor as a form: the same edits by drop-down lists, where no diagram can be used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets

from ...drawing import Drawing
from ..common import Panel, button, drawn, escaped, row, say, style_sheet, table, text
from .state import ROLES

if TYPE_CHECKING:
    from .widget import CellEditor

_STYLE = {"description_width": "initial"}
_WIDE = {"width": "max-content"}


class EditorForm(Panel):
    """Drop-down lists for every decision of an editor's genotype.

    It shows the editor's state, and does nothing that a click in the diagram could not do; both
    may be used side by side.

    Args:
        editor: the :class:`~nasworkbench.CellEditor` whose state it shows.
    """

    def __init__(self, editor: CellEditor) -> None:
        self.editor = editor
        self._filling = False
        self.role = ipywidgets.ToggleButtons(
            options=[(f"{role} cell", role) for role in ROLES],
            description="which cell",
            style=_STYLE,
        )
        self.rows = ipywidgets.VBox()
        self.blocks: list[dict[str, Any]] = []  # by block: the widgets of its row
        self.automatic = ipywidgets.Checkbox(
            description="output joins the blocks that no block reads", indent=False, layout=_WIDE
        )
        self.output = ipywidgets.SelectMultiple(description="output joins", style=_STYLE)
        self.zoo = ipywidgets.Dropdown(options=editor.view["zoo"], description="published")
        self.pasted = ipywidgets.Textarea(
            description="paste", placeholder="a genotype as JSON, or in another dialect"
        )
        self.form = ipywidgets.Dropdown(
            options=[("recognise the form", ""), *((name, name) for name in editor.view["forms"])],
            description="form",
        )
        titles = {"cells": "N", "filters": "F", "image_size": "image size"}
        self.sizes = {
            name: ipywidgets.IntText(
                description=title, continuous_update=False, layout={"width": "150px"}, style=_STYLE
            )
            for name, title in titles.items()
        }
        self.message, self.numbers, self.picture = text(role="status"), text(), text()
        self.progress = ipywidgets.FloatProgress(max=1.0, description="training", style=_STYLE)
        self.trained = text(kind="faint")

        buttons: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
            "add_block": ("Add block", lambda: {"role": self.role.value}),
            "undo": ("Undo", dict),
            "redo": ("Redo", dict),
            "random": ("Random cells", dict),
            "mutate": ("Mutate", dict),
            "load_zoo": ("Load", lambda: {"name": self.zoo.value}),
            "paste": (
                "Read the text",
                lambda: {"text": self.pasted.value, "form": self.form.value},
            ),
            "train": ("Train this cell", dict),
            "stop": ("Stop", dict),
        }
        self.buttons = {
            name: button(title, partial(self._ask_with, name, arguments))
            for name, (title, arguments) in buttons.items()
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
                style_sheet(),
            ]
        )
        self.role.observe(self._fill, "value")
        self._when_chosen(
            self.automatic, lambda on: self._ask("set_automatic", role=self.role.value, on=on)
        )
        self._when_chosen(
            self.output,
            lambda states: self._ask("set_output", role=self.role.value, states=list(states)),
        )
        for name, widget in self.sizes.items():
            self._when_chosen(
                widget, lambda value, name=name: self._ask("size", name=name, value=value)
            )
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

    def _ask_with(self, action: str, arguments: Callable[[], dict[str, Any]]) -> None:
        self._ask(action, **arguments())

    def _when_chosen(self, widget: ipywidgets.Widget, act: Callable[[Any], None]) -> None:
        """Call ``act`` with what a person chooses, but not with what :meth:`_fill` sets."""

        def callback(change: Any) -> None:
            if not self._filling:
                act(change["new"])

        widget.observe(callback, "value")

    def _choose(self, block: int, field: str, value: Any) -> None:
        place = {"role": self.role.value, "block": block}
        side = field.removesuffix("_op")
        if field == "combine":
            self._ask("set_combination", **place, combine=value)
        elif field == side:
            self._ask("connect", **place, side=side, state=value)
        else:
            self._ask("set_operation", **place, side=side, operation=value)

    def _choose_size(self, name: str, value: int) -> None:
        self._ask("size", name=name, value=value)

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
            rows = tuple(ipywidgets.HBox(list(parts.values())) for parts in self.blocks)
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
        columns: dict[str, tuple[str, list[str], str]] = {
            "left_op": (f"{number} left", view["operations"], "190px"),
            "left": ("of", [], "105px"),
            "right_op": ("right", view["operations"], "185px"),
            "right": ("of", [], "105px"),
            "combine": ("", view["combinations"], "80px"),
        }
        parts: dict[str, Any] = {}
        for field, (title, options, width) in columns.items():
            parts[field] = ipywidgets.Dropdown(
                options=options,
                description=title,
                tooltip=f"block {number}: {title}",
                layout={"width": width},
                style=_STYLE,
            )
            self._when_chosen(parts[field], partial(self._choose, number, field))
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

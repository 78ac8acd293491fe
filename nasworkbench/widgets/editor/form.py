"""The cell editor as a form: the same edits by drop-down lists, where no diagram can be used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets

from ...drawing import Drawing, draw
from ...errors import WorkbenchError
from ..common import StandIn, escaped, picture, say, sheet, text
from .state import ROLES

_WIDE = ipywidgets.Layout(width="max-content")


class EditorForm(StandIn, ipywidgets.VBox):
    """Drop-down lists for every decision of an editor's genotype.

    It shows the editor's state, and does nothing that a click in the diagram could not do; both
    may be used side by side.

    Args:
        editor: a :class:`~nasworkbench.widgets.editor.CellEditor`.
    """

    def __init__(self, editor: Any) -> None:
        self.editor = editor
        self._filling = False
        self.role = ipywidgets.ToggleButtons(
            options=[(f"{role} cell", role) for role in ROLES],
            description="which cell",
            style={"description_width": "initial"},
        )
        self.rows = ipywidgets.VBox()
        self.blocks: list[dict[str, Any]] = []  # by block: the widgets of its row
        self.automatic = ipywidgets.Checkbox(
            description="output joins the blocks that no block reads", indent=False, layout=_WIDE
        )
        self.output = ipywidgets.SelectMultiple(
            description="output joins", style={"description_width": "initial"}
        )
        self.buttons = {
            "add_block": self._button("Add block", lambda: self._act("add_block", role=self._role)),
            "undo": self._button("Undo", lambda: self._act("undo")),
            "redo": self._button("Redo", lambda: self._act("redo")),
            "random": self._button("Random cells", lambda: self._act("random")),
            "mutate": self._button("Mutate", lambda: self._act("mutate")),
            "zoo": self._button("Load", lambda: self._act("zoo", name=self.zoo.value)),
            "paste": self._button("Read the text", self._paste),
            "train": self._button("Train this cell", lambda: self._act("train")),
            "stop": self._button("Stop", lambda: self._act("stop")),
        }
        self.zoo = ipywidgets.Dropdown(options=editor.view["zoo"], description="published")
        self.pasted = ipywidgets.Textarea(
            description="paste", placeholder="a genotype as JSON, or in another dialect"
        )
        self.form = ipywidgets.Dropdown(
            options=[("recognise the form", ""), *((name, name) for name in editor.view["forms"])],
            description="form",
        )
        names = {"cells": "N", "filters": "F", "image_size": "image size"}
        self.sizes = {
            name: ipywidgets.IntText(
                description=title,
                continuous_update=False,
                layout=ipywidgets.Layout(width="150px"),
                style={"description_width": "initial"},
            )
            for name, title in names.items()
        }
        self.message = text(role="status")
        self.numbers = text()
        self.progress = ipywidgets.FloatProgress(
            max=1.0, description="training", style={"description_width": "initial"}
        )
        self.trained = text(kind="faint")
        self.picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))
        self.undrawn = text(kind="faint")  # why there is no picture

        b, row = self.buttons, ipywidgets.HBox
        wrap = ipywidgets.Layout(flex_flow="row wrap")
        super().__init__(
            [
                self.role,
                row([b[name] for name in ("add_block", "undo", "redo", "random", "mutate")]),
                self.rows,
                row([self.output, self.automatic], layout=wrap),
                self.message,
                self.picture,
                self.undrawn,
                row(list(self.sizes.values()), layout=wrap),
                self.numbers,
                row([b["train"], b["stop"], self.progress, self.trained], layout=wrap),
                row([self.zoo, b["zoo"]]),
                row([self.pasted, self.form, b["paste"]], layout=wrap),
                sheet(),
            ]
        )
        self.role.observe(lambda _: self._fill(), "value")
        self.automatic.observe(self._by_hand(self._choose_automatic), "value")
        self.output.observe(self._by_hand(self._choose_output), "value")
        for widget in self.sizes.values():
            widget.observe(self._by_hand(self._choose_sizes), "value")
        self._watched: list[tuple[Callable[[Any], None], str]] = [
            (lambda _: self._fill(), "view"),
            (lambda _: self._fill_numbers(), "numbers"),
            (lambda _: self._fill_training(), "training"),
            (lambda _: self._refused(), "message"),
        ]
        for watcher, name in self._watched:
            editor.observe(watcher, name)
        self._fill()
        self._fill_numbers()
        self._fill_training()

    def static(self) -> Drawing:
        """Both cells as a drawing."""
        return self.editor.static()

    def close(self) -> None:
        """Take the form off the page; the editor stays."""
        for watcher, name in self._watched:
            with contextlib.suppress(ValueError):  # closed before
                self.editor.unobserve(watcher, name)
        super().close()

    # ---- what a person does

    @property
    def _role(self) -> str:
        return self.role.value

    def _act(self, action: str, **arguments: Any) -> None:
        self.editor.perform({"do": action, **arguments})

    def _button(self, title: str, act: Callable[[], None]) -> ipywidgets.Button:
        button = ipywidgets.Button(description=title, layout=_WIDE)
        button.on_click(lambda _: act())
        return button

    def _by_hand(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        """The callback, but not for what :meth:`_fill` sets."""

        def callback(change: Any) -> None:
            if not self._filling:
                act(change["new"])

        return callback

    def _paste(self) -> None:
        self._act("paste", text=self.pasted.value, form=self.form.value)

    def _choose_automatic(self, on: bool) -> None:
        self._act("automatic_output", role=self._role, on=on)

    def _choose_output(self, states: tuple[int, ...]) -> None:
        self._act("output", role=self._role, states=list(states))

    def _choose_sizes(self, _: Any) -> None:
        self._act("sizes", **{name: widget.value for name, widget in self.sizes.items()})

    # ---- what the editor shows

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        self._filling = True
        try:
            yield
        finally:
            self._filling = False

    def _fill(self) -> None:
        shown = self.editor.view["cells"][self._role]
        with self._quietly():
            while len(self.blocks) < len(shown["blocks"]):
                self.blocks.append(self._block_row(len(self.blocks)))
            del self.blocks[len(shown["blocks"]) :]
            for number, block in enumerate(shown["blocks"]):
                states = shown["states"][: shown["inputs"] + number]
                readable = [(name, state) for state, name in enumerate(states)]
                for field, value in block.items():
                    widget = self.blocks[number][field]
                    if field in ("left", "right") and widget.options != tuple(readable):
                        widget.options = readable
                    widget.value = value
            rows = tuple(ipywidgets.HBox(list(row.values())) for row in self.blocks)
            if len(rows) != len(self.rows.children):
                self.rows.children = rows
            states = [(name, state) for state, name in enumerate(shown["states"])]
            if self.output.options != tuple(states):
                self.output.value = ()  # a browser fails on what was selected and is no more
                self.output.options = states
                self.output.rows = len(states)
            self.output.value = tuple(shown["concat"])
            self.automatic.value = shown["automatic"]
            self.buttons["undo"].disabled = not self.editor.view["can_undo"]
            self.buttons["redo"].disabled = not self.editor.view["can_redo"]
        cell = self.editor.state.cell(self._role)
        try:
            drawn, reason = picture(draw(cell)), ""
        except WorkbenchError as error:  # without graphviz; an older cell's picture must not stay
            drawn, reason = b"", str(error)
        self.picture.value = drawn
        self.picture.layout.display = None if drawn else "none"
        say(self.undrawn, escaped(reason), "faint")

    def _block_row(self, number: int) -> dict[str, Any]:
        view = self.editor.view

        def choice(title: str, options: list[Any], field: str, width: str) -> ipywidgets.Dropdown:
            widget = ipywidgets.Dropdown(
                options=options,
                description=title,
                tooltip=f"block {number}: {title}",
                layout=ipywidgets.Layout(width=width),
                style={"description_width": "initial"},
            )
            widget.observe(self._by_hand(lambda value: self._choose(number, field, value)), "value")
            return widget

        remove = self._button(
            "Remove", lambda: self._act("remove_block", role=self._role, block=number)
        )
        remove.tooltip = f"Remove block {number}"
        return {
            "left_op": choice(f"{number} left", view["operations"], "left_op", "190px"),
            "left": choice("of", [], "left", "105px"),
            "right_op": choice("right", view["operations"], "right_op", "185px"),
            "right": choice("of", [], "right", "105px"),
            "combine": choice("", view["combinations"], "combine", "80px"),
            "remove": remove,
        }

    def _choose(self, block: int, field: str, value: Any) -> None:
        place = {"role": self._role, "block": block}
        side = field.removesuffix("_op")
        if field == "combine":
            self._act("combination", **place, combine=value)
        elif field.endswith("_op"):
            self._act("operation", **place, side=side, operation=value)
        else:
            self._act("connect", **place, side=side, state=value)

    def _fill_numbers(self) -> None:
        found = self.editor.numbers
        with self._quietly():
            for name, widget in self.sizes.items():
                widget.value = found["sizes"][name]
        if found["problem"]:
            return say(self.numbers, escaped(found["problem"]), "problem")
        rows = [
            ("parameters", f"{found['parameters']:,}"),
            ("mult-adds", f"{found['mult_adds']:,}"),
        ]
        rows += [(stage["name"], " × ".join(map(str, stage["shape"]))) for stage in found["stages"]]
        cells = "".join(
            f"<tr><th scope='row'>{name}</th><td>{said}</td></tr>" for name, said in rows
        )
        say(self.numbers, f"<table>{cells}</table>{escaped(found['measured'])}")

    def _fill_training(self) -> None:
        found = self.editor.training
        self.progress.value = found["done"] / found["total"] if found["total"] else 0.0
        self.progress.bar_style = "" if found["total"] or not found["running"] else "info"
        self.buttons["stop"].disabled = not found["running"]
        self.buttons["train"].disabled = found["running"]
        words = {found["words"], found["known"]} - {""}
        say(self.trained, escaped("; ".join(sorted(words))), "faint")

    def _refused(self) -> None:
        found = self.editor.message
        problem = found["kind"] == "problem"
        said = escaped(f"Refused: {found['text']}" if problem else found["text"])
        say(self.message, said, "problem" if problem else "text", role="status")
        if problem:  # back to the last legal state
            self._fill()
            self._fill_numbers()

"""A slider over a recorded search: what the policy thought, what it drew, and what came of it.

Everything is reckoned once, when the recording is opened; a step only looks it up. So the slider
can be dragged: the heat map is text that is put together in a millisecond, the reward curve is one
picture with a mark laid over it, and a cell is drawn once.
"""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from ... import plots
from ...controllers import Controller
from ...errors import WorkbenchError
from ...plots.style import VERMILLION
from ...search import Search, Trial
from ..common import StandIn, escaped, say, sheet, text
from .state import CURVE, ReplayState

SAME_PLACE = "1 / 1 / 2 / 2"  # of a grid: one lies over the other
FILL = f"width:100%;display:block;aspect-ratio:{CURVE[0]}/{CURVE[1]}"
PACE = 250  # milliseconds a step while it plays


class SearchReplay(StandIn, ipywidgets.VBox):
    """ReplayState a recorded search, trial by trial in the order in which they ended.

    Args:
        source: a run folder, the name of a shipped recording (``nasworkbench.recordings.names()``),
            or a :class:`Search`, of which the trials that have ended by now are shown.
        controller: for a search of your own controller class: a new one, with the same settings.
        space: for a search of your own space class.

    Attributes:
        state: the :class:`ReplayState` behind it; ``state.recording`` has all numbers.

    Raises:
        StoreError: no such folder or recording, a damaged one, or a class of your own that was not
            given.
        SettingsError: the controller has learnt already.
    """

    def __init__(
        self,
        source: str | Path | Search,
        controller: Controller | None = None,
        space: Any = None,
    ) -> None:
        self.state = ReplayState(source, controller, space)
        self._lock = threading.RLock()  # callbacks may come in several threads
        last = len(self.state)
        limits = {"min": min(1, last), "max": last, "value": self.state.step}
        idle = last < 2
        self._back = self._button("Back", "step-backward", "show the trial that ended before")
        self._next = self._button("Next", "step-forward", "show the trial that ended next")
        self._slider = ipywidgets.IntSlider(
            **limits, description="Step", readout=False, disabled=idle,
            tooltip="the finished trials, in the order in which they ended",
            style={"description_width": "auto"}, layout={"flex": "1 1 240px", "width": "auto"},
        )  # fmt: skip
        self._number = ipywidgets.BoundedIntText(
            **limits, description=f"of {last:,}:", disabled=idle, tooltip="the step's number",
            style={"description_width": "auto"}, layout={"width": "auto"},
        )  # fmt: skip
        self._play = ipywidgets.Play(
            **limits, interval=PACE, disabled=idle, tooltip="show one step after another"
        )
        self._controls = (self._slider, self._number, self._play)
        self._part = ipywidgets.ToggleButtons(
            options=[(f"{part} cell", part) for part in self.state.parts],
            tooltips=["the cell that is drawn below"] * len(self.state.parts),
            style={"button_width": "auto"},
        )
        self._sentence, self._remark = text(), text()
        self._heat, self._numbers = text(), text()
        self._mark, self._drawn, self._best = text(), text(), text()
        self._places: list[tuple[float, float]] = []
        self._ends = (0.0, 1.0)
        super().__init__(self._rows())
        for control in self._controls:
            control.observe(self._moved, "value")
        self._part.observe(self._turned, "value")
        self._show()

    # --- for programs -------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """What is shown: from 1 to the number of trials; 0 if none has ended. Can be set.

        Raises:
            SettingsError: there is no such step.
        """
        return self.state.step

    @step.setter
    def step(self, step: int) -> None:
        with self._lock:
            self.state.go(step)
            self._show()

    @property
    def trial(self) -> Trial | None:
        """The trial that is shown."""
        return None if self.state.now is None else self.state.now.trial

    def static(self) -> Figure:
        """The reward curve, and the policy as it drew this step's trial, as a figure."""
        with self._lock:
            return self.state.static()

    def close(self) -> None:
        """Take the widget and its parts away; the recording stays as it is."""
        if "_mark" in self.__dict__:  # else it never came to be: the source was refused
            for button in (self._back, self._next):
                button.on_click(self._asked, remove=True)
            for control in (*self._controls, self._part):
                control.unobserve_all()
            for part in _parts(self):
                part.close()
        super().close()

    # --- the face -----------------------------------------------------------------------------

    def _rows(self) -> list[ipywidgets.Widget]:
        row = {"display": "flex", "flex_flow": "row wrap", "align_items": "center"}
        controls = ipywidgets.Box(
            [self._play, self._back, self._slider, self._next, self._number], layout=row
        )
        if not len(self.state):
            return [controls, self._sentence, sheet()]
        made, self._places, self._ends = self.state.curve()
        data = base64.b64encode(plots.png(made)).decode()
        picture = text(
            f'<img src="data:image/png;base64,{data}" style="{FILL};border-radius:6px" alt="Reward '
            'curve: rewards, best so far and running mean over the finished trials">'
        )
        curve = _laid_over(picture, self._mark)
        heat = _laid_over(text(self.state.map.frame), self._heat)
        row["align_items"] = "flex-start"
        for widget in (self._numbers, self._drawn, self._best):
            widget.layout = {"flex": "1 1 300px", "min_width": "260px", "margin": "2px 12px"}
        if self.state.recording.probabilities is None:
            heat.layout.display = "none"
        if not self.state.parts:
            self._part.layout.display = "none"
        return [
            controls,
            self._sentence,
            self._remark,
            ipywidgets.Box([heat, self._numbers], layout=row),
            curve,
            self._part,
            ipywidgets.Box([self._drawn, self._best], layout=row),
            sheet(),
        ]

    def _button(self, name: str, icon: str, tooltip: str) -> ipywidgets.Button:
        button = ipywidgets.Button(
            description=name, icon=icon, tooltip=tooltip, layout={"width": "auto"}
        )
        button.on_click(self._asked)
        return button

    def _asked(self, button: ipywidgets.Button) -> None:
        self._go(self.state.step + (-1 if button is self._back else 1))

    def _moved(self, change: dict[str, Any]) -> None:
        if change["new"] != self.state.step:
            self._go(change["new"])

    def _turned(self, _: dict[str, Any]) -> None:
        with self._lock:
            self._show_cells()

    def _go(self, step: int) -> None:
        """Where a control wants to; what it must not want is said, and the step stays."""
        with self._lock:
            try:
                self.state.go(step)
            except WorkbenchError as error:
                say(self._sentence, escaped(error), "problem", role="status")
            else:
                self._show()

    def _show(self) -> None:
        state = self.state
        for control in self._controls:
            control.value = state.step
        self._back.disabled, self._next.disabled = state.step <= 1, state.step >= len(state)
        say(self._sentence, escaped(state.sentence()), role="status")
        if state.now is None:
            return
        remark = state.remark()
        say(self._remark, escaped(remark), "problem" if state.doubtful else "faint")
        say(self._heat, state.heat_map())
        say(self._numbers, self._table())
        shares = (*self._places[state.step - 1], *self._ends)
        x, y, top, bottom = (f"{100 * share:.2f}%" for share in shares)
        line = f'stroke="{VERMILLION}" stroke-width='
        say(
            self._mark,
            f'<svg style="{FILL}" aria-hidden="true"><line x1="{x}" x2="{x}" y1="{top}" '
            f'y2="{bottom}" {line}"1.5" stroke-dasharray="5 3"/><circle cx="{x}" cy="{y}" r="6" '
            f'fill="none" {line}"2.5"/></svg>',
        )
        self._show_cells()

    def _table(self) -> str:
        rows = "".join(
            f"<tr><th scope='row'>{escaped(name)}</th><td><b>{escaped(value)}</b></td>"
            f"<td class='nwb-faint'>{escaped(meaning)}</td></tr>"
            for name, value, meaning in self.state.numbers()
        )
        return f"<table>{rows}</table>"

    def _show_cells(self) -> None:
        now = self.state.now
        if now is None:
            return
        for widget, trial, title in (
            (self._drawn, now.trial, "Drawn at this step"),
            (self._best, now.best, "Best so far"),
        ):
            if trial is None:
                say(widget, f"<b>{title}</b><br>no trial has succeeded yet")
                continue
            reward = "" if trial.reward is None else f", reward {trial.reward:.4f}"
            part = f" ({self._part.value} cell)" if self._part.value else ""
            title = f"<b>{title}</b>{part}<br>trial {trial.number}{reward}"
            say(widget, f"{title}<br>{self.state.cell(trial, self._part.value)}")


def _laid_over(below: ipywidgets.Widget, above: ipywidgets.Widget) -> ipywidgets.GridBox:
    for widget in (below, above):
        widget.layout.grid_area = SAME_PLACE
        widget.layout.margin = "0"
    return ipywidgets.GridBox(
        [below, above],
        layout={"grid_template_columns": "minmax(0, 1fr)", "max_width": "800px"},
    )


def _parts(box: ipywidgets.Box) -> list[ipywidgets.Widget]:
    """All widgets inside, the innermost first."""
    return [
        part
        for child in box.children
        for part in [*(_parts(child) if isinstance(child, ipywidgets.Box) else []), child]
    ]

"""A slider over a recorded search: what the policy thought, what it drew, and what came of it.

What does not change from step to step is made once, when the search is opened. So the slider can be
dragged: the heat map is text that is put together in a millisecond, the reward curve is one picture
with a mark laid over it, and a cell is drawn once.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from ... import plots
from ...plots.style import VERMILLION
from ...search import Search, Trial
from ..common import Panel, attempt, button, escaped, image, row, say, table, text
from .state import CURVE, ReplayState

FILL = f"width:100%;display:block;aspect-ratio:{CURVE[0]}/{CURVE[1]}"
INTERVAL = 250  # milliseconds a step while it plays


class SearchReplay(Panel):
    """Replay a recorded search, trial by trial in the order of completion.

    Args:
        source: a run folder, the name of a shipped recording (``nasworkbench.recordings.names()``),
            or a :class:`Search`, of which the trials that have ended by now are shown.
        space: for a search of your own space class.

    Attributes:
        state: the :class:`~nasworkbench.widgets.replay.state.ReplayState` behind it.

    Raises:
        StoreError: no such folder or recording, a damaged one, or a space class of your own that
            was not given.
    """

    def __init__(self, source: str | Path | Search, space: Any = None) -> None:
        self.state = ReplayState(source, space)
        self._lock = threading.RLock()  # callbacks may come in several threads
        super().__init__(self._build(), "replay/replay.css")
        for control in self.controls:
            control.observe(self._moved, "value")
        self.part.observe(self._turned, "value")
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
        return self.state.trial

    def static(self) -> Figure:
        """The reward curve, and the policy as it drew this step's trial, as a figure."""
        with self._lock:
            return self.state.static()

    # --- the face -----------------------------------------------------------------------------

    def _build(self) -> list[ipywidgets.Widget]:
        last = len(self.state)
        limits = {"min": min(1, last), "max": last, "value": self.state.step, "disabled": last < 2}
        self.back = button(
            "Back", lambda: self.go(self.step - 1), "step-backward", "show the trial before"
        )
        self.next = button(
            "Next", lambda: self.go(self.step + 1), "step-forward", "show the next trial"
        )
        self.slider = ipywidgets.IntSlider(
            **limits, description="Step", readout=False,
            tooltip="the finished trials, in the order of completion",
            layout={"flex": "1 1 240px", "width": "auto"},
        )  # fmt: skip
        self.number = ipywidgets.BoundedIntText(
            **limits, description=f"of {last:,}:", tooltip="the step's number",
            layout={"width": "auto"},
        )  # fmt: skip
        self.play = ipywidgets.Play(
            **limits, interval=INTERVAL, tooltip="show one step after another"
        )
        self.controls = (self.slider, self.number, self.play)
        parts = self.state.parts
        self.part = ipywidgets.ToggleButtons(
            options=[(f"{part} cell", part) for part in parts],
            tooltips=["the cell that is drawn below"] * len(parts),
            style={"button_width": "auto"},
            layout={"display": None if parts else "none"},
        )
        self.sentence, self.remark = text(), text()
        self.heat, self.numbers = text(), text()
        self.mark, self.drawn, self.best = text(), text(), text()
        controls = row([self.play, self.back, self.slider, self.next, self.number])
        if not last:
            return [controls, self.sentence]
        for widget in (self.numbers, self.drawn, self.best):
            widget.layout = {"flex": "1 1 300px", "min_width": "260px", "margin": "2px 12px"}
        fig, self._places, self._ends = self.state.curve()
        words = "Reward curve: rewards, best so far and running mean over the finished trials"
        picture = text(image("png", plots.png(fig), words, f"{FILL};border-radius:6px"))
        heat = _laid_over(text(self.state.map.frame), self.heat)
        if self.state.probabilities is None:
            heat.layout.display = "none"
        return [
            controls,
            self.sentence,
            self.remark,
            row([heat, self.numbers], align_items="flex-start"),
            _laid_over(picture, self.mark),
            self.part,
            row([self.drawn, self.best], align_items="flex-start"),
        ]

    def _moved(self, change: dict[str, Any]) -> None:
        if change["new"] != self.state.step:
            self.go(change["new"])

    def _turned(self, _: dict[str, Any]) -> None:
        with self._lock:
            self._show_cells()

    def go(self, step: int) -> None:
        """Show a step, as the controls do: what is refused is said, and the step stays."""
        with self._lock:
            _, refusal = attempt(self.state.go, step)
            if refusal:
                say(self.sentence, escaped(refusal), "problem", role="status")
            else:
                self._show()

    def _show(self) -> None:
        state = self.state
        for control in self.controls:
            control.value = state.step
        self.back.disabled, self.next.disabled = state.step <= 1, state.step >= len(state)
        say(self.sentence, escaped(state.sentence()), role="status")
        if not state.step:
            return
        say(self.remark, escaped(state.remark()), "faint")
        say(self.heat, state.heat_map())
        say(self.numbers, table(state.numbers(), css_class="nwb-step"))
        shares = (*self._places[state.step - 1], *self._ends)
        x, y, top, bottom = (f"{100 * share:.2f}%" for share in shares)
        line = f'stroke="{VERMILLION}" stroke-width='
        say(
            self.mark,
            f'<svg style="{FILL}" aria-hidden="true"><line x1="{x}" x2="{x}" y1="{top}" '
            f'y2="{bottom}" {line}"1.5" stroke-dasharray="5 3"/><circle cx="{x}" cy="{y}" r="6" '
            f'fill="none" {line}"2.5"/></svg>',
        )
        self._show_cells()

    def _show_cells(self) -> None:
        part = self.part.value
        for widget, trial, title in (
            (self.drawn, self.state.trial, "Drawn at this step"),
            (self.best, self.state.best, "Best so far"),
        ):
            if trial is None:
                say(widget, f"<b>{title}</b><br>no trial has succeeded yet")
                continue
            reward = "" if trial.reward is None else f", reward {trial.reward:.4f}"
            title = f"<b>{title}</b>{f' ({part} cell)' if part else ''}"
            title += f"<br>trial {trial.number}{reward}"
            say(widget, f'{title}<div class="nwb-cell">{self.state.cell(trial, part)}</div>')

    def close(self) -> None:
        """Take the widget off the page, and close the run folder."""
        if "state" in self.__dict__:  # else the source was refused
            self.state.close()
        super().close()


def _laid_over(below: ipywidgets.Widget, above: ipywidgets.Widget) -> ipywidgets.Box:
    box = ipywidgets.Box([below, above])
    box.add_class("nwb-overlay")
    return box

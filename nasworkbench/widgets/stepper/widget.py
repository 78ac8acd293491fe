"""ControllerStepper: watch a controller make its decisions, one after another.

A thin face on ``state.py``. The bars are an HTML table: they follow a step at once, take the
notebook's colours, and a screen reader reads them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets
import pandas
from matplotlib.figure import Figure

from ...controllers.policy_gradient import PolicyGradient
from ...plots import figure, png
from ...plots.decisions import axis_top, decision_rows, draw_decision, draw_policy, policy_rows
from ...spaces import CellSpace
from ...spaces.base import Tokens
from ..common import Panel, attempt, button, drawn, escaped, image, row, say, table, text
from .state import COLDEST, HOTTEST, StepperState


class ControllerStepper(Panel):
    """Step through the decisions of one token sequence that a controller's policy draws.

    Shown are the probabilities of the decision's options, the token that was drawn, log P and
    entropy up to here, and the cells as far as they are decided. *Resample* draws this decision and
    all after it anew; *Force* decides it by hand; *Refresh* reads the policy again after the
    controller has learned. The controller is never changed, and its generator is not used.

    Args:
        controller: a controller with a policy (``PPO``, ``Reinforce``).
        seed: of the stepper's own draws.

    Attributes:
        state: the :class:`~nasworkbench.widgets.stepper.state.StepperState` behind the widget.

    Raises:
        WorkbenchError: a controller without a policy (random search, evolution).
        SettingsError: a seed that is not a whole number from 0.
    """

    def __init__(self, controller: PolicyGradient, seed: int = 0) -> None:
        self.state = StepperState(controller, seed)
        self._lock = threading.RLock()  # callbacks may come in any thread
        self._drawings: dict[str, str] = {}  # by the words of what is drawn
        self._mapped: Any = None  # the probabilities that the map of all decisions shows
        super().__init__(self._build(), "stepper/stepper.css")
        self._paint()

    @property
    def step(self) -> int:
        """The decision that is shown, from 0."""
        return self.state.step

    @property
    def tokens(self) -> Tokens:
        """The tokens so far, that of the decision that is shown included."""
        return self.state.tokens

    @property
    def genotype(self) -> Any:
        """What the tokens decode to; None before the last decision."""
        return self.state.genotype

    # --- what the buttons do, from Python; errors as in StepperState ------------------------------

    def go(self, step: int) -> None:
        """Show a decision, by its number from 0."""
        self._change(self.state.go, step)

    def forward(self) -> None:
        """Show the next decision."""
        self._change(self.state.forward)

    def back(self) -> None:
        """Show the decision before."""
        self._change(self.state.back)

    def to_start(self) -> None:
        """Show the first decision."""
        self.go(0)

    def to_end(self) -> None:
        """Show the last decision: all is decided."""
        self.go(len(self.state.decisions) - 1)

    def resample(self) -> None:
        """Draw the decision that is shown and all that follow anew."""
        self._change(self.state.resample)

    def force(self, choice: int | str) -> None:
        """Decide the decision that is shown by hand (a token or a name), the rest is drawn anew."""
        self._change(self.state.force, choice)

    def refresh(self) -> None:
        """Read the controller's policy again: the same tokens, the probabilities of now."""
        self._change(self.state.refresh)

    def heat(self, temperature: float) -> None:
        """Divide the logits by a temperature: the same tokens, other probabilities."""
        self._change(self.state.heat, temperature)

    def static(self) -> Figure:
        """The bars of the decision that is shown, and below them all decisions."""
        with self._lock:
            state = self.state
            heat = f", temperature {state.temperature:.3g}" if state.temperature != 1 else ""
            so_far = f"log P so far {state.numbers['log_prob_sum'][0]:.2f} nats{heat}"
            title = f"decision {state.step}, {state.decision.name}: {so_far}"
            fig, (above, below) = figure(2, 1, size=(8.0, 8.6))
            draw_decision(self._rows(), above, title)
            draw_policy(self._all_rows(), below, step=state.step)
            return fig

    # --- the face ---------------------------------------------------------------------------------

    def _build(self) -> list[ipywidgets.Widget]:
        """The parts in rows: controls, this decision, the cells, the map of all decisions."""
        buttons = {
            "To start": ("fast-backward", "show the first decision", self.to_start),
            "Back": ("step-backward", "show the decision before", self.back),
            "Forward": ("step-forward", "show the next decision", self.forward),
            "To end": ("fast-forward", "decide all that is left", self.to_end),
            "Resample": ("random", "draw it and the rest anew", self.resample),
            "Force": ("hand-pointer-o", "decide it by hand", self._force_chosen),
            "Refresh": ("refresh", "read the controller's policy again", self.refresh),
        }
        self.buttons = {
            name: button(name, partial(self._try, action), icon, tooltip)
            for name, (icon, tooltip, action) in buttons.items()
        }
        moves = [self.buttons[name] for name in ("To start", "Back", "Forward", "To end")]
        last = len(self.state.decisions) - 1
        self.slider = ipywidgets.IntSlider(max=last, description="decision", layout=_px(300))
        self.options = ipywidgets.Dropdown(description="choice", layout=_px(230))
        self.temperature = ipywidgets.FloatLogSlider(
            1.0, min=-2, max=1, step=0.1, description="temperature", readout_format=".2f",
            continuous_update=False, layout=_px(330),
        )  # fmt: skip
        self.toggle = ipywidgets.ToggleButton(
            description="Show all decisions", icon="th", layout=_px(180),
            tooltip="a map of the probabilities of all decisions",
        )  # fmt: skip
        self.slider.observe(lambda change: self._try(self._slid, change["new"]), "value")
        self.temperature.observe(lambda change: self._try(self._heated, change["new"]), "value")
        self.toggle.observe(lambda _: self._try(self._change), "value")
        self.title, self.status, self.bars = text(), text(role="status"), text()
        self.status.layout.min_height = "26px"  # what is below stays where it is
        self.numbers, self.sentence = text(), text()
        self.cells, self.map = text(), text()
        beside = ipywidgets.VBox([self.numbers, self.sentence], layout={"flex": "1"})
        most = max(decision.choices for decision in self.state.decisions)
        return [
            row([*moves, self.slider]),
            row([self.buttons["Resample"], self.options, self.buttons["Force"]]),
            row([self.buttons["Refresh"], self.temperature, self.toggle]),
            self.status,
            self.title,
            row([self.bars, beside], align_items="flex-start", min_height=f"{20 * most + 26}px"),
            self.cells,
            self.map,
        ]

    def _try(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do what a user asked for; where it is refused, say why and keep what is shown."""
        _, refusal = attempt(action, *arguments)
        if refusal:
            say(self.status, escaped(refusal), "problem", role="status")

    def _change(self, action: Callable[..., str | None] = lambda: None, *arguments: Any) -> None:
        with self._lock:
            words = action(*arguments) or ""
            self._paint()
            say(self.status, escaped(words), "faint", role="status")

    def _slid(self, step: int) -> None:
        if step != self.step:  # the slider also follows the buttons
            self.go(step)

    def _force_chosen(self) -> None:
        self.force(self.options.value)

    def _heated(self, temperature: float) -> None:
        if temperature != self.state.temperature:  # also the echo of our own setting comes by
            self.heat(min(max(temperature, COLDEST), HOTTEST))  # 10 ** 1.0 may be a hair more

    def _paint(self) -> None:
        """Show the state. Nothing here is slow but a cell's first drawing and the map."""
        state = self.state
        decision, labels = state.decision, state.decision.labels
        self.slider.value, self.temperature.value = state.step, state.temperature
        options = tuple((label, token) for token, label in enumerate(labels))
        if self.options.options != options:
            self.options.options = options
        self.options.value = state.token
        rows = self._rows()
        token = f"{labels[state.token]} (P = {rows['probability'][state.token]:.3f})"
        say(
            self.title,
            f"Decision {state.step}, number {state.step + 1} of {len(state.decisions)}: "
            f"<b>{escaped(decision.name)}</b>. Drawn: <b>{escaped(token)}</b>",
            role="status",
        )
        say(self.bars, _bars(rows))
        say(self.numbers, _numbers(state))
        say(self.sentence, f"Being decided: {escaped(state.words())}")
        say(self.cells, self._decided_cells())
        self._paint_map()

    def _decided_cells(self) -> str:
        figures = [self._figure(caption, thing) for caption, thing in self.state.pictures()]
        if not figures:
            blocks = isinstance(self.state.space, CellSpace)
            words = "no block is complete yet" if blocks else "it is drawn when all is decided"
            figures = [f'<div class="nwb-faint">{words}</div>']
        return f'<div class="nwb-cells">{"".join(figures)}</div>'

    def _figure(self, caption: str, thing: Any) -> str:
        words = str(thing)  # says all of it
        if words not in self._drawings:
            self._drawings[words] = drawn(thing)
        return (
            f"<figure><figcaption>{escaped(caption)}</figcaption>{self._drawings[words]}</figure>"
        )

    def _paint_map(self) -> None:
        shown = self.state.log_distribution if self.toggle.value else None
        if shown is self._mapped:
            return
        self._mapped, content = shown, ""
        if shown is not None:
            fig, ax = figure(size=(8.0, 4.7))
            draw_policy(self._all_rows(), ax)
            words = "probabilities of all decisions, drawn tokens ringed"
            content = image("png", png(fig), words, "max-width: 800px; width: 100%")
        say(self.map, content)

    def _rows(self) -> pandas.DataFrame:
        state = self.state
        return decision_rows(state.log_distribution[state.step], state.decision, state.token)

    def _all_rows(self) -> pandas.DataFrame:
        return policy_rows(self.state.log_distribution, self.state.decisions, self.state.sequence)


def _bars(rows: pandas.DataFrame) -> str:
    """A row per option: its name, its bar with a dotted mark at the even share, its number."""
    top, even = axis_top(rows["probability"].tolist()), float(rows["even"].iloc[0])
    lines = []
    option: Any  # a row of the table
    for option in rows.itertuples(index=False):
        kind = ' class="nwb-drawn"' if option.chosen else ""
        lines.append(
            f'<tr{kind}><th scope="row">{escaped(option.choice)}</th><td class="nwb-lane"><div>'
            f'<div class="nwb-bar" style="width: {100 * option.probability / top:.2f}%"></div>'
            f'<div class="nwb-even" style="left: {100 * even / top:.2f}%"></div></div></td>'
            f"<td>{option.probability:.3f}{' ● drawn' if option.chosen else ''}</td></tr>"
        )
    foot = f"dotted: even, 1/{len(rows)} = {even:.3f}; the bars end at {top:g}"
    body = f'<table class="nwb-bars" aria-label="probabilities">{"".join(lines)}</table>'
    return f'{body}<div class="nwb-faint">{foot}</div>'


def _numbers(state: StepperState) -> str:
    """log P and entropy, of this decision and so far, beside those of an even controller."""
    count = len(state.tokens)
    names = {
        "log_prob": "log P of the token",
        "log_prob_sum": f"log P of all {count}",
        "entropy": "entropy of the decision",
        "mean_entropy": f"entropy, mean of all {count}",
    }
    rows = [
        (names[key], f"{value:.3f}", f"{even:.3f}") for key, (value, even) in state.numbers.items()
    ]
    notes = f"Read after {state.updates} updates of the controller."
    if state.learned_since:
        notes += f" <b>It has learned since ({state.learned_since} more): press Refresh.</b>"
    if state.temperature != 1:
        notes += f" All at temperature {state.temperature:.3g}."
    numbers = table(rows, ("in nats", "controller", "even"), "nwb-numbers")
    return f'{numbers}<div class="nwb-faint">{notes}</div>'


def _px(width: int) -> dict[str, str]:
    return {"width": f"{width}px"}

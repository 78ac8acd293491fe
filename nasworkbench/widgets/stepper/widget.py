"""ControllerStepper: watch a controller make its decisions, one after another.

A thin face on :class:`~nasworkbench.widgets.stepper.state.StepperState`. The bars are an HTML table: they
follow a step at once, take the notebook's colours, and a screen reader reads them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from ...controllers.policy_gradient import PolicyGradient
from ...drawing import draw
from ...errors import WorkbenchError
from ...plots import figure
from ...plots.decisions import decision_rows, draw_decision, draw_policy, option_names, policy_rows
from ...spaces import CellSpace
from ...spaces.base import Tokens
from ..common import StandIn, escaped, picture, say, sheet, text
from .html import STYLE, bars, image, numbers
from .state import COLDEST, HOTTEST, StepperState

#: Pictures of cells that are kept, so that going back and forward draws none twice.
KEPT = 200


class ControllerStepper(StandIn, ipywidgets.VBox):
    """Step through the decisions of one string that a controller's policy draws.

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
        SettingsError: a seed that is no whole number from 0.
    """

    _parts: tuple[ipywidgets.Widget, ...] = ()  # none yet where a controller was refused

    def __init__(self, controller: PolicyGradient, seed: int = 0) -> None:
        self.state = StepperState(controller, seed)
        self._lock = threading.RLock()  # callbacks may come in any thread
        self._pictures: dict[str, str] = {}
        self._mapped: Any = None  # the probabilities that the map of all decisions shows
        super().__init__(self._made(), layout=ipywidgets.Layout(width="100%"))
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

    # --- what the buttons do, from Python; errors as in StepperState --------------------------------

    def go(self, step: int) -> None:
        """Show a decision, by its number from 0."""
        self._change(lambda: self.state.go(step))

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
        last = len(self.state.decisions) - 1
        said = f"decisions {self.step} to {last} are drawn anew"
        self._change(self.state.resample, said)

    def force(self, choice: int | str) -> None:
        """Decide the decision that is shown by hand (a token or a name), the rest is drawn anew."""
        said = "decided by hand; all decisions after it are drawn anew, given it"
        self._change(lambda: self.state.force(choice), said)

    def refresh(self) -> None:
        """Read the controller's policy again: the same tokens, the probabilities of now."""
        self._change(self.state.refresh, "the policy is read again; the tokens are the same")

    def heat(self, temperature: float) -> None:
        """Divide the logits by a temperature: the same tokens, other probabilities."""
        said = f"temperature {temperature:.3g}; the controller itself proposes at 1"
        self._change(lambda: self.state.heat(temperature), said)

    def static(self) -> Figure:
        """The bars of the decision that is shown, and below them all decisions of the string."""
        with self._lock:
            state = self.state
            heat = f", temperature {state.temperature:.3g}" if state.temperature != 1 else ""
            so_far = f"log P so far {state.numbers.log_prob_sum:.2f} nats{heat}"
            rows = decision_rows(state.log_distribution[state.step], state.decision, state.token)
            made, (above, below) = figure(2, 1, size=(8.0, 8.6))
            draw_decision(rows, above, f"decision {state.step}, {state.decision.name}: {so_far}")
            draw_policy(self._all_rows(), below, step=state.step)
            return made

    def close(self) -> None:
        """Take the widget and its parts away; the controller never knew of it."""
        for part in self._parts:
            part.unobserve_all()
            part.close()
        super().close()

    # --- the face ---------------------------------------------------------------------------------

    def _made(self) -> list[ipywidgets.Widget]:
        """Every part, and the parts in rows: controls, this decision, the cells, the whole map."""
        last, wide = len(self.state.decisions) - 1, {"description_width": "auto"}
        moves = [
            self._button("To start", "fast-backward", "show the first decision", self.to_start),
            self._button("Back", "step-backward", "show the decision before", self.back),
            self._button("Forward", "step-forward", "show the next decision", self.forward),
            self._button("To end", "fast-forward", "decide all that is left", self.to_end),
        ]
        self._slider = ipywidgets.IntSlider(
            0, 0, last, description="decision", style=wide, layout=_px(300)
        )
        self._slider.observe(lambda change: self._try(self._slid, change["new"]), "value")
        self._dropdown = ipywidgets.Dropdown(description="choice", style=wide, layout=_px(230))
        self._heat = ipywidgets.FloatLogSlider(
            1.0, base=10, min=-2, max=1, step=0.1, description="temperature", readout_format=".2f",
            continuous_update=False, style=wide, layout=_px(330),
        )  # fmt: skip
        self._heat.observe(lambda change: self._try(self._heated, change["new"]), "value")
        hands = [
            self._button("Resample", "random", "draw it and the rest anew", self.resample),
            self._dropdown,
            self._button("Force", "hand-pointer-o", "decide it by hand", self._forced),
        ]
        self._toggle = ipywidgets.ToggleButton(
            description="Show all decisions", icon="th", layout=_px(180),
            tooltip="a map of the probabilities of all decisions of this string",
        )  # fmt: skip
        self._toggle.observe(lambda _: self._try(self._change), "value")
        whole = [
            self._button("Refresh", "refresh", "read the controller's policy again", self.refresh),
            self._heat,
            self._toggle,
        ]
        self._title, self._status, self._bars = text(), text(role="status"), text()
        self._status.layout.min_height = "26px"  # what is below stays where it is
        self._numbers, self._sentence = text(), text()
        self._cells, self._map = text(), text()
        beside = ipywidgets.VBox(
            [self._numbers, self._sentence], layout=ipywidgets.Layout(flex="1")
        )
        decided = _row([self._bars, beside], "flex-start")
        widest = max(decision.choices for decision in self.state.decisions)
        decided.layout.min_height = f"{20 * widest + 26}px"
        rows = [
            _row([*moves, self._slider]),
            _row(hands),
            _row(whole),
            self._status,
            self._title,
            decided,
            self._cells,
            self._map,
            sheet(STYLE),
        ]
        shown = [self._bars, beside, self._numbers, self._sentence]
        self._parts = (*moves, self._slider, *hands, *whole, *rows, *shown)
        return rows

    def _button(
        self, name: str, icon: str, tooltip: str, action: Callable[[], None]
    ) -> ipywidgets.Button:
        made = ipywidgets.Button(description=name, icon=icon, tooltip=tooltip, layout=_px(108))
        made.on_click(lambda _: self._try(action))
        return made

    def _try(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do what a user asked for; where it is refused, say why and keep what is shown."""
        try:
            action(*arguments)
        except WorkbenchError as error:
            say(self._status, escaped(error), "problem", role="status")

    def _change(self, action: Callable[[], None] = lambda: None, said: str = "") -> None:
        with self._lock:
            action()
            self._paint()
            say(self._status, escaped(said), "faint", role="status")

    def _slid(self, step: int) -> None:
        if step != self.step:  # the slider also follows the buttons
            self.go(step)

    def _forced(self) -> None:
        self.force(self._dropdown.value)

    def _heated(self, temperature: float) -> None:
        if temperature != self.state.temperature:  # also the echo of our own setting comes by
            self.heat(min(max(temperature, COLDEST), HOTTEST))  # 10 ** 1.0 may be a hair more

    def _paint(self) -> None:
        """Show the state. Nothing here is slow but a cell's first picture and the map."""
        state = self.state
        decision, count = state.decision, len(state.decisions)
        names = option_names(decision)
        self._slider.value, self._heat.value = state.step, state.temperature
        options = [(name, token) for token, name in enumerate(names)]
        if list(self._dropdown.options) != options:
            self._dropdown.options = options
        self._dropdown.value = state.token
        rows = decision_rows(state.log_distribution[state.step], decision, state.token)
        drawn = f"{names[state.token]} (P = {rows['probability'][state.token]:.3f})"
        say(
            self._title,
            f"Decision {state.step}, number {state.step + 1} of {count}: "
            f"<b>{escaped(decision.name)}</b>. Drawn: <b>{escaped(drawn)}</b>",
            role="status",
        )
        say(self._bars, bars(rows))
        say(self._numbers, numbers(state))
        say(self._sentence, f"Being decided: {escaped(state.words())}")
        say(self._cells, self._drawn_so_far())
        self._paint_map()

    def _drawn_so_far(self) -> str:
        found = [self._figure(caption, thing) for caption, thing in self.state.pictures()]
        if not found:
            blocks = isinstance(self.state.space, CellSpace)
            rest = "no block is complete yet" if blocks else "it is drawn when all is decided"
            found = [f'<div class="nwb-faint">{rest}</div>']
        return f'<div class="nwb-cells">{"".join(found)}</div>'

    def _figure(self, caption: str, thing: Any) -> str:
        words = str(thing)  # says all of it
        if words not in self._pictures:
            if len(self._pictures) >= KEPT:
                self._pictures.clear()
            try:
                found = image("svg+xml", draw(thing).svg().encode(), words)
            except WorkbenchError as error:  # no graphviz
                found = f'<pre>{escaped(words)}</pre><div class="nwb-faint">{escaped(error)}</div>'
            self._pictures[words] = found
        title = f"<figcaption>{escaped(caption)}</figcaption>"
        return f"<figure>{title}{self._pictures[words]}</figure>"

    def _paint_map(self) -> None:
        if not self._toggle.value:
            say(self._map, "")
            self._mapped = None
        elif self._mapped is not self.state.log_distribution:
            made, ax = figure(size=(8.0, 4.7))
            draw_policy(self._all_rows(), ax)
            words = "probabilities of all decisions of this string, drawn tokens ringed"
            say(
                self._map,
                image("png", picture(made), words, 'style="max-width: 800px; width: 100%"'),
            )
            self._mapped = self.state.log_distribution

    def _all_rows(self) -> Any:
        state = self.state
        return policy_rows(state.log_distribution, state.decisions, state.string)


def _row(parts: list[ipywidgets.Widget], align: str = "center") -> ipywidgets.Box:
    layout = ipywidgets.Layout(
        display="flex", flex_flow="row wrap", align_items=align, width="100%"
    )
    return ipywidgets.Box(parts, layout=layout)


def _px(width: int) -> ipywidgets.Layout:
    return ipywidgets.Layout(width=f"{width}px")

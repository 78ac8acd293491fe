"""A dashboard that drives a search: start, pause, resume, stop, and see what it finds.

The search runs in its own thread (``Search.start``), so the notebook stays usable. Buttons only ask
that thread for something. A second thread, the dashboard's, reads the run folder a few times a
second for the numbers; a picture costs more, so only the visible tab is drawn, and at a pace that
leaves the search 98 % of its speed. Everything shown is in the run folder: after a kernel restart,
``SearchDashboard(Search.resume(directory))`` shows it again.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets
from matplotlib.figure import Figure

from ...checks import whole
from ...executors import Executor
from ...search import Search
from ..common import Panel, answer_messages, attempt, escaped, front_end, row, say, text
from .state import AT_WORK, PHASES, DashboardState, Pace, in_words
from .tabs import TABS, summary

READ_EVERY = 0.2  # seconds between two readings of a search that runs
REST = 1.0  # of one that does not: another process, or a notebook cell, may go on with it
READING, DRAWING = 0.005, 0.01  # shares of the time that they may take at most
TRIALS = 20  # in the field of a search that has none left; this project's choice

TIPS = {
    "Start": "run so many more trials in the background",
    "Pause": "start no further trial; those that run go on",
    "Resume": "go on after a pause",
    "Stop": "end soon; a trial that runs is run again by the next start",
}


class Buttons(anywidget.AnyWidget):
    """A row of buttons. One that makes no sense now is marked so (``aria-disabled``) and keeps the
    keyboard's focus; pressed, it says why.

    Args:
        press: is called with the name of a button that was clicked.
        tips: tooltips by the buttons' names.

    Attributes:
        offered: names of the buttons that make sense now.
    """

    _esm = front_end("dashboard/buttons.js")
    _css = front_end("common.css")

    tips: traitlets.Dict[str, str] = traitlets.Dict().tag(sync=True)
    offered: traitlets.List[str] = traitlets.List().tag(sync=True)

    def __init__(self, press: Callable[[str], None], tips: dict[str, str]) -> None:
        self.press = press
        super().__init__()
        self.tips = tips
        answer_messages(self, self.receive)

    def receive(self, message: dict[str, Any]) -> None:
        """Press the button that the front end names."""
        if (name := message.get("press")) in self.tips:
            self.press(name)


class SearchDashboard(Panel):
    """Start, pause, resume and stop a search, and watch it.

    Args:
        search: from ``Search(...)`` or ``Search.resume(directory)``.
        trials: how many more Start runs; None: as many as are left of the last start, else 20.
        executor: ``inline``, ``processes``, or one of your own, as for :meth:`Search.run`.
        workers: processes.
        baseline: random search to compare with: another search, or its run folder.

    Attributes:
        state: the :class:`~nasworkbench.widgets.dashboard.state.DashboardState` behind it.

    Raises:
        SettingsError: not a Search, or not a number of trials.
        StoreError: the baseline's folder holds no search, or is damaged.

    The buttons' twins for programs are :meth:`start`, :meth:`pause`, :meth:`resume`, :meth:`stop`
    and :meth:`wait`. A notebook's own stop button does not reach a search in the background.
    """

    def __init__(
        self,
        search: Search,
        trials: int | None = None,
        executor: str | Executor = "inline",
        workers: int = 2,
        baseline: Search | str | Path | None = None,
    ) -> None:
        if trials is not None:
            trials = whole("trials", trials)
        self.state = DashboardState(search, baseline)
        self.search, self.executor, self.workers = search, executor, workers
        self.lock = threading.Lock()  #: held while the search is read and drawn
        self.pace = Pace(DRAWING)
        self._closing, self._wake = threading.Event(), threading.Event()
        self._wanted = True  # somebody waits for the picture
        self._pause = READ_EVERY
        self._refusal, self._undrawn, self._last_phase = "", "", ""
        self.drawn: dict[str, str] = {}  #: by tab: what of the search its picture shows
        shown = self._build(trials or self.state.left or TRIALS)
        super().__init__(shown, "dashboard/dashboard.css")
        self.refresh()
        self.thread = threading.Thread(target=self._live, name="dashboard", daemon=True)
        self.thread.start()
        atexit.register(self._end)  # a thread inside of a drawing must not meet Python's end

    # --- the parts ----------------------------------------------------------------------------

    def _build(self, trials: int) -> list[ipywidgets.Widget]:
        self.field = ipywidgets.BoundedIntText(
            trials, min=1, max=10**9, description="More trials:", layout={"width": "190px"},
            tooltip="how many more trials Start runs",
        )  # fmt: skip
        self.buttons = Buttons(self.press, TIPS)
        self.bar = ipywidgets.IntProgress(
            max=1, tooltip="trials that have ended", layout={"width": "99%"}
        )
        self.numbers, self.sentence, self.problem = text(), text(), text()
        self.words = {name: text() for name in TABS}
        self.pictures = {name: ipywidgets.HTML(layout={"display": "none"}) for name in TABS}
        views = [ipywidgets.VBox([self.words[name], self.pictures[name]]) for name in TABS]
        self.tabs = ipywidgets.Tab(views, titles=list(TABS), selected_index=0)
        self.tabs.observe(self._turned, "selected_index")
        words = (self.numbers, self.sentence, self.problem)
        return [row([self.field, self.buttons]), self.bar, *words, self.tabs]

    @property
    def tab(self) -> str:
        """The name of the visible tab."""
        return list(TABS)[self.tabs.selected_index or 0]

    def _turned(self, _: Any) -> None:
        self._wanted = True
        self._wake.set()

    # --- what the buttons do ------------------------------------------------------------------

    def start(self, trials: int | None = None) -> None:
        """Run more trials in the background; by default as many as the field says.

        Raises:
            SettingsError: the search is running already, or as for :meth:`Search.start`.
        """
        more = self.field.value if trials is None else trials
        self._do(self.state.start, more, self.executor, self.workers)

    def pause(self) -> None:
        """Start no further trial until :meth:`resume`; a SettingsError if nothing runs."""
        self._do(self.state.pause)

    def resume(self) -> None:
        """Go on after a pause; a SettingsError if there is none."""
        self._do(self.state.resume)

    def stop(self) -> None:
        """End soon: an inline child after its batch, workers at once. Their trials run again.
        A SettingsError if nothing runs."""
        self._do(self.state.stop)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the search has ended, and show how.

        Raises:
            TimeoutError: it is still running after ``timeout`` seconds.
            Whatever ended the search's thread.
        """
        try:
            self.search.result(timeout)
        finally:
            self._wanted = True
            self.refresh()

    def _do(self, action: Callable[..., None], *arguments: Any) -> None:
        action(*arguments)
        self._refusal = ""
        self._wake.set()

    def press(self, name: str) -> None:
        """What a click on a button does. A refusal is shown, and not raised."""
        try:
            getattr(self, name.lower())()
        except Exception as error:  # else it would be lost in the kernel's log
            self._refusal = in_words(error)
            self._show_problem()

    # --- showing ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what is new, and show it.

        Raises:
            StoreError: the run folder has been damaged meanwhile.
        """
        with self.lock:
            begun = time.monotonic()
            changed = self.state.read()
            cost = time.monotonic() - begun
            settled = not changed and self.state.phase not in AT_WORK
            if self._stale and (self._wanted or settled or self.pace.due()):
                begun = time.monotonic()
                self._draw()
                self.pace.spent(time.monotonic() - begun)
            self._wanted = False
            begun = time.monotonic()
            self._show()
            cost += time.monotonic() - begun
            soon = self.state.at_work or self._stale
            self._pause = max(READ_EVERY, min(cost / READING, 2.0)) if soon else REST

    def _show(self) -> None:
        """All words, of one reading; where the picture is older, that is said."""
        state, before = self.state, self._last_phase
        self._last_phase = state.phase
        if state.phase not in AT_WORK and before in AT_WORK:
            self._refusal = ""  # it was about a search at work
        if state.phase == "stopped" != before and before and self.search.failure is None:
            self.field.value = state.left
        self.bar.max = max(state.goal, state.done, 1)
        self.bar.value = state.done
        sentence, self.buttons.offered = PHASES[state.phase][0], list(PHASES[state.phase][1])
        say(self.numbers, escaped(state.numbers()))
        words = TABS[self.tab].words(state)
        if self._stale and self.drawn.get(self.tab):
            words += f" (The picture shows {self.drawn[self.tab]}.)"
        say(self.words[self.tab], words + escaped(self._undrawn))
        say(self.sentence, sentence, role="status")
        self._show_problem()

    def _show_problem(self) -> None:
        failure = None if self.state.phase in AT_WORK else self.search.failure
        ended = "" if failure is None else f"The search has ended: {in_words(failure)}"
        say(self.problem, escaped(self._refusal or ended), "problem", role="status")

    @property
    def _stale(self) -> bool:
        """Whether the visible picture does not show what has been read."""
        tab = TABS[self.tab]
        return self.drawn.get(self.tab) != tab.shows(self.state)

    def _draw(self) -> None:
        name, tab = self.tab, TABS[self.tab]
        picture, reason = attempt(tab.picture, self.state)
        self._undrawn = f" No drawing: {reason}" if reason else ""
        self.pictures[name].value = picture or ""
        self.pictures[name].layout.display = None if picture else "none"
        self.drawn[name] = tab.shows(self.state)

    def _live(self) -> None:
        """The life of the dashboard's thread."""
        while True:
            self._wake.wait(self._pause)
            self._wake.clear()
            if self._closing.is_set():
                return
            try:
                self.refresh()
            except Exception as error:
                self._refusal, self._pause = in_words(error), REST
                self._show_problem()

    # --- the end ------------------------------------------------------------------------------

    def _end(self) -> None:
        self._closing.set()
        self._wake.set()
        if threading.current_thread() is not self.thread:
            self.thread.join(5)

    def close(self) -> None:
        """Take the dashboard away; the search goes on."""
        if "thread" in self.__dict__ and not self._closing.is_set():
            self._end()
            atexit.unregister(self._end)
            self.state.close()
        super().close()

    def static(self) -> Figure:
        """Rewards and updates as one figure, without widgets."""
        with self.lock:
            self.state.read()
            return summary(self.state)

"""A dashboard that drives a search: start, pause, resume, stop, and see what it finds.

The search runs in its own thread (``Search.start``), so the notebook stays usable. Buttons only ask
that thread for something. A second thread, the dashboard's, looks at the store a few times a second
for the numbers; a picture costs more, so only the visible tab is drawn, and at a pace that leaves
the search 98 % of its speed. Everything shown is in the run folder: after a kernel restart,
``SearchDashboard(Search.resume(directory))`` shows it again.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from ...checks import whole
from ...executors import Executor
from ...search import Search
from ...spaces import CellSpace
from ..common import StandIn, escaped, say, sheet, text
from . import panels
from .panels import Pace
from .state import AT_WORK, SENTENCES, DashboardState, said

LOOK = 0.2  # seconds between two looks at a search that runs
REST = 1.0  # at one that does not: another process, or another cell, may go on with it
LOOKS, PICTURES = 0.005, 0.01  # shares of the time that they may take at most
TRIALS = 20  # in the field of a search that has none left; this project's choice


class SearchDashboard(StandIn, ipywidgets.VBox):
    """Start, pause, resume and stop a search, and watch it.

    Args:
        search: from ``Search(...)`` or ``Search.resume(directory)``.
        trials: how many more Start runs; None: as many as are left of the last start, else 20.
        executor: ``inline``, ``processes``, or one of your own, as for :meth:`Search.run`.
        workers: processes.
        baseline: random search to compare with: another search, or its run folder.

    Raises:
        SettingsError: no search, or not a number of trials.
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
            whole("trials", trials)
        self._watch = DashboardState(search, baseline)
        self.search, self.executor, self.workers = search, executor, workers
        self._lock = threading.Lock()  # this thread's look and that of _live must not meet
        self._closing, self._wake = threading.Event(), threading.Event()
        self._wanted = True  # somebody waits for the picture
        self._pace, self._patience = Pace(PICTURES), LOOK
        self._problem, self._state = "", ""
        self._drawn: dict[str, tuple[int, int]] = {}  # which version of each picture is shown
        self._watch.look()
        self._build(trials or self._watch.left or TRIALS)
        super().__init__(
            [
                *(self._controls, self._bar, self._numbers),
                *(self._news, self._message, self._tabs, sheet()),
            ]
        )
        self.refresh()
        self._thread = threading.Thread(target=self._live, name="dashboard", daemon=True)
        self._thread.start()
        atexit.register(self._end)  # a thread inside of a drawing must not meet Python's end

    # --- the parts ----------------------------------------------------------------------------

    def _build(self, trials: int) -> None:
        self._more = ipywidgets.BoundedIntText(
            trials, min=1, max=10**9, description="More trials:", layout={"width": "190px"},
            tooltip="how many more trials Start runs", style={"description_width": "initial"},
        )  # fmt: skip
        actions: dict[str, tuple[Callable[[], None], str]] = {
            "Start": (self.start, "run so many more trials in the background"),
            "Pause": (self.pause, "start no further trial; those that run go on"),
            "Resume": (self.resume, "go on after a pause"),
            "Stop": (self.stop, "end soon; a trial that runs is run again by the next start"),
        }
        self.buttons = {
            name: ipywidgets.Button(description=name, tooltip=tip, layout={"width": "90px"})
            for name, (_, tip) in actions.items()
        }
        for name, (action, _) in actions.items():
            self.buttons[name].on_click(lambda _, action=action: self._try(action))
        self._controls = ipywidgets.HBox([self._more, *self.buttons.values()])
        self._bar = ipywidgets.IntProgress(
            max=1, tooltip="trials that have ended", layout={"width": "99%"}
        )
        self._numbers, self._news, self._message = text(), text(), text()
        self._drawers = {
            "Rewards": panels.rewards,
            "Controller": panels.controller,
            "Operations": panels.operations,
            "Best cell": panels.cell,
        }
        if not isinstance(self.search.space, CellSpace):
            del self._drawers["Operations"]
        self._tables = {"Workers": panels.workers, "Failures": panels.failures}
        hidden = {"display": "none", "max_width": "100%", "align_self": "flex-start"}
        self._pictures = {name: ipywidgets.Image(layout=hidden) for name in self._drawers}
        self._texts = {name: text() for name in (*self._drawers, *self._tables)}
        views = [
            ipywidgets.VBox([words, self._pictures[name]]) if name in self._pictures else words
            for name, words in self._texts.items()
        ]
        self._tabs = ipywidgets.Tab(views, titles=list(self._texts), selected_index=0)
        self._tabs.observe(self._turned, "selected_index")

    @property
    def tab(self) -> str:
        """The name of the visible tab."""
        return list(self._texts)[self._tabs.selected_index or 0]

    def _turned(self, _: Any) -> None:
        self._wanted = True
        self._wake.set()

    # --- what the buttons do ------------------------------------------------------------------

    def start(self, trials: int | None = None) -> None:
        """Run more trials in the background; by default as many as the field says.

        Raises:
            SettingsError: the search is running already, or as for :meth:`Search.start`.
        """
        more = self._more.value if trials is None else trials
        self._watch.start(more, self.executor, self.workers)
        self._accepted()

    def pause(self) -> None:
        """Start no further trial until :meth:`resume`; a SettingsError if nothing runs."""
        self._watch.pause()
        self._accepted()

    def resume(self) -> None:
        """Go on after a pause; a SettingsError if there is none."""
        self._watch.resume()
        self._accepted()

    def stop(self) -> None:
        """End soon: an inline child after its batch, workers at once. Their trials run again.
        A SettingsError if nothing runs."""
        self._watch.stop()
        self._accepted()

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

    def _accepted(self) -> None:
        self._problem = ""
        self._wake.set()

    def _try(self, action: Callable[[], None]) -> None:
        """Do what a button says. A refusal is shown; nothing is raised into the kernel's log."""
        try:
            action()
        except Exception as error:
            self._problem = said(error)
            self._show_problem()

    # --- showing ------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what is new, and show it.

        Raises:
            StoreError: the run folder has been damaged meanwhile.
        """
        with self._lock:
            begun = time.monotonic()
            changed = self._watch.look()
            self._show_numbers()
            cost = time.monotonic() - begun
            settled = not changed and self._watch.state not in AT_WORK
            if self._stale and (self._wanted or settled or self._pace.due()):
                begun = time.monotonic()
                self._draw(self.tab)
                self._pace.spent(time.monotonic() - begun)
            self._wanted = False
            soon = self._watch.at_work or self._stale
            self._patience = max(LOOK, min(cost / LOOKS, 2.0)) if soon else REST

    def _show_numbers(self) -> None:
        watch, state, before = self._watch, self._watch.state, self._state
        self._state = state
        if state not in AT_WORK and before in AT_WORK:
            self._problem = ""  # it was about a search at work
        if state == "stopped" != before and before and self.search.failure is None:
            self._more.value = watch.left
        self._bar.max = max(watch.goal, watch.done, 1)
        self._bar.value = watch.done
        say(self._numbers, escaped(watch.numbers()))
        say(self._news, SENTENCES[state], role="status")
        self._show_problem()
        if self.tab in self._tables:
            say(self._texts[self.tab], self._tables[self.tab](watch))

    def _show_problem(self) -> None:
        failure = self.search.failure
        ended = "" if failure is None else f"The search has ended: {said(failure)}"
        say(self._message, escaped(self._problem or ended), "problem", role="status")

    @property
    def _version(self) -> tuple[int, int]:
        """What the visible picture would be drawn from, in two numbers."""
        watch = self._watch
        if self.tab == "Best cell":
            return (-1 if watch.best is None else watch.best["number"], 0)
        return (watch.done, len(watch.updates))

    @property
    def _stale(self) -> bool:
        return self.tab in self._drawers and self._drawn.get(self.tab) != self._version

    def _draw(self, name: str) -> None:
        version, image = self._version, self._pictures[name]
        picture, words = self._drawers[name](self._watch)
        if picture is not None:
            image.value = picture
        image.layout.display = "none" if picture is None else None
        say(self._texts[name], escaped(words))
        self._drawn[name] = version

    def _live(self) -> None:
        """The life of the dashboard's thread."""
        while True:
            self._wake.wait(self._patience)
            self._wake.clear()
            if self._closing.is_set():
                return
            try:
                self.refresh()
            except Exception as error:
                self._problem, self._patience = said(error), REST
                self._show_problem()

    # --- the end ------------------------------------------------------------------------------

    def _end(self) -> None:
        self._closing.set()
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(5)

    def close(self) -> None:
        """Take the dashboard away; the search goes on."""
        if "_thread" in self.__dict__ and not self._closing.is_set():
            self._end()
            atexit.unregister(self._end)
            self._tabs.unobserve(self._turned, "selected_index")
            self._watch.close()
            for part in _parts(self):
                part.close()
        super().close()

    def static(self) -> Figure:
        """Rewards and updates as one figure, without widgets."""
        with self._lock:
            self._watch.look()
            return panels.summary(self._watch)


def _parts(box: ipywidgets.Box) -> list[ipywidgets.Widget]:
    """All widgets inside, the innermost first."""
    return [
        part
        for child in box.children
        for part in [*(_parts(child) if isinstance(child, ipywidgets.Box) else []), child]
    ]

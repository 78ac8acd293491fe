"""The state of a replay, without widgets: where it stands, and what there is to see there."""

from __future__ import annotations

import base64
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
from matplotlib.figure import Figure

from ... import plots, recordings
from ...controllers import Controller
from ...drawing import draw
from ...errors import SettingsError, StoreError, WorkbenchError, listed
from ...genotype import Genotype
from ...plots.decisions import draw_policy, policy_rows
from ...plots.style import INK, SMALL
from ...search import Search, Trial
from ...search.recording import Recording, Step
from ...search.reenacting import TOLERANCE
from ..common import escaped
from .heatmap import HeatMap

#: Drawings kept; graphviz takes about ten milliseconds for one.
DRAWINGS = 1024

CURVE = (8.0, 2.5)  # inches


class ReplayState:
    """A recording, and a step of it: from 1 to the number of trials, 0 if there are none.

    Args:
        source: a run folder, the name of a shipped recording, or a :class:`Search`, of which the
            trials that have ended by now are shown.
        controller, space: see :class:`Recording`.

    Raises:
        StoreError: no such folder or recording, and as :class:`Recording`.
    """

    def __init__(
        self,
        source: str | Path | Search,
        controller: Controller | None = None,
        space: Any = None,
    ) -> None:
        if isinstance(source, Search):
            directory, space = source.directory, space or source.space
        else:
            directory = found(source)
        self.recording = Recording(directory, controller, space)
        self.step = 1 if len(self.recording) else 0
        self.even = plots.even_entropy(d.choices for d in self.recording.space.decisions)
        self.map = HeatMap(self.recording.space.decisions)
        self._drawn = lru_cache(DRAWINGS)(self._picture)

    def __len__(self) -> int:
        return len(self.recording)

    @property
    def now(self) -> Step | None:
        """What is shown; None if no trial has ended."""
        return self.recording.steps[self.step - 1] if self.step else None

    def go(self, step: int) -> None:
        """Show another step.

        Raises:
            SettingsError: there is no such step.
        """
        if isinstance(step, bool) or not isinstance(step, int) or not 1 <= step <= len(self):
            raise SettingsError(
                f"there is no step {step!r}: "
                + (f"steps go from 1 to {len(self)}" if len(self) else "no trial has ended yet")
            )
        self.step = step

    # --- in words -----------------------------------------------------------------------------

    def sentence(self) -> str:
        """What happened at this step."""
        now = self.now
        if now is None:
            return "No trial yet: the search has ended none."
        trial, past = now.trial, now.past
        words = f"Step {self.step} of {len(self)}: trial {trial.number}"
        if past.drawn_after is not None:
            words += f", drawn after {_count(past.drawn_after, 'update')} of the policy"
        if trial.status != "ok":
            words += f": {trial.status}. {trial.cause or ''}".rstrip(". ") + "."
        else:
            known = ", known from an earlier trial of this genotype" if trial.cached else ""
            words += f": reward {trial.reward or 0.0:.4f}{known}."
        if now.best is trial:
            words += " It is the best so far."
        elif now.best is not None:
            words += f" Best so far: trial {now.best.number} with {now.best.reward or 0.0:.4f}."
        return words

    def numbers(self) -> list[tuple[str, str, str]]:
        """``(name, value, what it means)`` of everything that is known of this step."""
        now = self.now
        if now is None:
            return []
        trial, past = now.trial, now.past
        rows: list[tuple[str, str, str]] = []

        def row(name: str, value: float | None, form: str, meaning: str) -> None:
            if value is not None:
                rows.append((name, format(value, form), meaning))

        row("reward", trial.reward, ".4f", "what the evaluator measured")
        if trial.told_reward != trial.reward:
            row("told", trial.told_reward, ".4f", "what the controller was told instead")
        row("baseline", past.baseline, ".4f", "what the controller expected: a moving average")
        if past.advantage is not None:
            more = "more" if past.advantage > 0 else "less"
            learnt = f"so update {past.update} makes these decisions {more} probable"
            row("advantage", past.advantage, "+.3f", learnt if past.advantage else "no lesson")
        clip = self.recording.description["settings"].get("clip")
        row("ratio", past.ratio, ".3f", "P now / P when drawn, mean over that update's batch")
        row("clip fraction", past.clip_fraction, ".1%", f"of those ratios were outside 1 ± {clip}")
        row("entropy", past.entropy, ".3f", f"nats per decision; undecided: {self.even:.3f}")
        row("log P", past.log_prob, ".2f", "of the whole string, when it was drawn")
        return rows

    @property
    def doubtful(self) -> bool:
        """Whether the probabilities of this step are not those that it was drawn with."""
        gap = None if self.now is None else self.now.past.gap
        return gap is not None and not gap <= TOLERANCE

    def remark(self) -> str:
        """What is missing, and why; empty if nothing is."""
        now = self.now
        if now is None:
            return ""
        past, name = now.past, self.recording.description["class"]
        if self.doubtful:
            return f"{self.recording.note} Of this trial: by {past.gap:.2g}."
        if self.recording.probabilities is None:
            return self.recording.note or f"{name} has no policy: it has no probabilities to show."
        if now.trial.told_reward is None:
            return "This trial failed, and the controller was told nothing of it."
        if past.update is None:
            return "No update has learnt from this trial: its batch is not full."
        return ""

    # --- in pictures --------------------------------------------------------------------------

    def heat_map(self) -> str:
        """The policy as it drew this trial, as SVG; empty if there is none."""
        now, probabilities = self.now, self.recording.probabilities
        if now is None or probabilities is None:
            return ""
        return self.map.svg(probabilities[self.step - 1], now.trial.proposal.tokens)

    @property
    def parts(self) -> tuple[str, ...]:
        """The cells that a genotype has to show, one at a time; empty: it is one picture."""
        now = self.now
        genotype = None if now is None else now.trial.genotype
        if not isinstance(genotype, Genotype) or getattr(self.recording.space, "tied", False):
            return ()
        return tuple(role for role, _ in genotype.cells)

    def cell(self, trial: Trial, part: str | None = None) -> str:
        """A trial's genotype, or one cell of it, as an HTML picture."""
        return self._drawn(trial.proposal.tokens, part)

    def _picture(self, tokens: tuple[int, ...], part: str | None) -> str:
        thing = self.recording.space.decode(tokens)
        if isinstance(thing, Genotype):
            thing = dict(thing.cells)[part or "normal"]
        try:
            drawing = draw(thing)
            data = base64.b64encode(drawing.svg().encode()).decode()
        except WorkbenchError as error:
            return f"<pre>{escaped(thing)}</pre><p>No drawing: {escaped(error)}</p>"
        return (
            f'<img src="data:image/svg+xml;base64,{data}" alt="{escaped(drawing.text)}" '
            'style="max-width:100%;max-height:430px">'
        )

    def curve(self) -> tuple[Figure, list[tuple[float, float]], tuple[float, float]]:
        """The reward curve, of each step where it is, and the upper and lower end of the axes:
        shares of the picture's width and height, from the upper left corner."""
        made, ax = plots.figure(size=CURVE)
        self._draw_curve(ax)
        made.draw_without_rendering()  # now the places are known
        rows = plots.reward_rows(self.recording.trials())
        bottom, width, height = ax.get_ylim()[0], made.bbox.width, made.bbox.height
        places = [
            ax.transData.transform((at, bottom if reward != reward else reward))
            for at, reward in zip(rows["finished"], rows["reward"], strict=True)
        ]
        ends = 1 - ax.bbox.y1 / height, 1 - ax.bbox.y0 / height
        return made, [(float(x / width), float(1 - y / height)) for x, y in places], ends

    def _draw_curve(self, ax: Any) -> None:
        name = self.recording.description["class"]
        plots.draw_rewards(plots.reward_rows(self.recording.trials()), ax, name)

    def static(self) -> Figure:
        """The reward curve with this step in it, and the policy's heat map below."""
        now, probabilities = self.now, self.recording.probabilities
        if now is None or probabilities is None:
            made, above = plots.figure()
        else:
            made, (above, below) = plots.figure(2, 1, size=(8.0, 8.6))
            with numpy.errstate(divide="ignore"):
                log_distribution = numpy.log(probabilities[self.step - 1])
            draw_policy(
                policy_rows(
                    log_distribution, self.recording.space.decisions, now.trial.proposal.tokens
                ),
                below,
            )
        self._draw_curve(above)
        if now is not None:
            above.axvline(self.step, color=INK, linewidth=1.2)
            words = textwrap.fill(self.sentence(), 100)
            made.suptitle(words, x=0.01, ha="left", fontsize=SMALL, color=INK)
        return made


def found(source: str | Path) -> Path:
    """The folder of a run, or of a shipped recording by its name.

    Raises:
        StoreError: neither.
    """
    if not isinstance(source, str | Path):
        raise StoreError(
            f"a replay shows a run folder, a Search, or a recording by its name "
            f"({listed(recordings.names())}); got {source!r:.80}"
        )
    if Path(source).exists():
        return Path(source)
    if source in recordings.names():
        return recordings.folder(str(source))
    raise StoreError(
        f"there is no folder {str(source)!r}, and no recording of that name; the recordings are "
        f"{listed(recordings.names())}"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}" if number else f"no {word}"

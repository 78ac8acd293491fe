"""The state of a replay, without widgets: the step that is shown, and what there is to see."""

from __future__ import annotations

import os
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
from matplotlib.figure import Figure
from scipy import stats

from ... import plots, recordings
from ...checks import whole
from ...errors import SettingsError, StoreError, listed
from ...genotype import Genotype
from ...plots.decisions import draw_policy, policy_rows
from ...plots.style import INK, SMALL
from ...search import History, Search, Trial
from ..common import drawn
from .heatmap import HeatMap

#: Drawings kept; graphviz takes about ten milliseconds for one.
DRAWINGS = 1024

CURVE = (8.0, 2.5)  # inches


class ReplayState:
    """The trials of a run folder in the order of completion, and a step: the number of one of
    them from 1, or 0 if there are none.

    Args:
        source: a run folder, the name of a shipped recording, or a :class:`Search`, of which the
            trials that have ended by now are shown.
        space: for a search of your own space class.

    Raises:
        StoreError: no such folder or recording, and as :class:`History`.
    """

    def __init__(self, source: str | Path | Search, space: Any = None) -> None:
        if isinstance(source, Search):
            directory, space = source.directory, space or source.space
        else:
            directory = run_folder(source)
        self.history = History(directory, space)
        self.trials = self.history.trials()
        self.step = 1 if len(self) else 0
        decisions = self.history.space.decisions
        self.even = plots.even_entropy(decision.choices for decision in decisions)
        self.map = HeatMap(decisions)
        rewards = self.trials["reward"].where(self.trials["status"] == "ok")
        rising = rewards > rewards.cummax().ffill().shift().fillna(-numpy.inf)
        self._best_numbers = self.trials["number"].where(rising).ffill()
        #: by a trial's number: the update that learnt from it, and the trial's place in its batch
        self._lessons = {
            number: (update, place)
            for update in self.history.updates()
            for place, number in enumerate(update.get("numbers", ()))
        }
        self._trial = lru_cache(DRAWINGS)(self.history.trial)
        self._drawing = lru_cache(DRAWINGS)(self._draw)

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def trial(self) -> Trial | None:
        """The trial that is shown; None if none has ended."""
        return self._trial(int(self.trials["number"].iloc[self.step - 1])) if self.step else None

    @property
    def best(self) -> Trial | None:
        """The best of the trials up to this step; None if none has succeeded."""
        number = self._best_numbers.iloc[self.step - 1] if self.step else numpy.nan
        return None if numpy.isnan(number) else self._trial(int(number))

    @property
    def probabilities(self) -> numpy.ndarray | None:
        """(T, C): P of every choice of every decision when this trial was drawn; None without a
        policy."""
        return None if self.trial is None else self.history.distributions(self.trial.number)

    def go(self, step: int) -> None:
        """Show another step.

        Raises:
            SettingsError: there is no such step.
        """
        if not len(self):
            raise SettingsError("there is no step to show: no trial has ended yet")
        self.step = whole("step", step, 1, len(self))

    def close(self) -> None:
        """Close the run folder."""
        self.history.close()

    # --- in words -----------------------------------------------------------------------------

    def sentence(self) -> str:
        """What happened at this step."""
        trial, best = self.trial, self.best
        if trial is None:
            return "No trial yet: the search has ended none."
        words = f"Step {self.step} of {len(self)}: trial {trial.number}"
        if self.probabilities is not None:
            words += f", drawn after {_count(trial.updates_at_proposal, 'update')} of the policy"
        if trial.status != "ok":
            words += f": {trial.status}. {trial.cause or ''}".rstrip(". ") + "."
        else:
            known = ", known from an earlier trial of this genotype" if trial.cached else ""
            words += f": reward {trial.reward:.4f}{known}."
        if best is trial:
            words += " It is the best so far."
        elif best is not None:
            words += f" Best so far: trial {best.number} with {best.reward:.4f}."
        return words

    def numbers(self) -> list[tuple[str, str, str]]:
        """``(name, value, what it means)`` of everything that is known of this step."""
        trial, probabilities = self.trial, self.probabilities
        if trial is None:
            return []
        update, place = self._lessons.get(trial.number, ({}, 0))
        advantage = update["advantages"][place] if "advantages" in update else None
        lesson = "no lesson"
        if advantage:
            more = "more" if advantage > 0 else "less"
            lesson = f"so update {update['update']} makes these decisions {more} probable"
        told = trial.told_reward if trial.told_reward != trial.reward else None
        entropy, log_prob = None, None
        if probabilities is not None:
            entropy = float(stats.entropy(probabilities, axis=1).mean())
            log_prob = trial.proposal.log_prob
        clip = self.history.controller["settings"].get("clip")
        known: list[tuple[str, float | None, str, str]] = [
            ("reward", trial.reward, ".4f", "what the evaluator measured"),
            ("told", told, ".4f", "what the controller was told instead"),
            ("baseline", update.get("baseline_before"), ".4f",
             "what the controller expected: a moving average"),
            ("advantage", advantage, "+.3f", lesson),
            ("ratio", update.get("ratio"), ".3f",
             "P now / P when drawn, mean over that update's batch"),
            ("clip fraction", update.get("clip_fraction"), ".1%",
             f"of those ratios were outside 1 ± {clip}"),
            ("entropy", entropy, ".3f", f"nats per decision; undecided: {self.even:.3f}"),
            ("log P", log_prob, ".2f", "of the whole token sequence, when it was drawn"),
        ]  # fmt: skip
        return [(name, format(n, form), words) for name, n, form, words in known if n is not None]

    def remark(self) -> str:
        """What is missing, and why; empty if nothing is."""
        trial = self.trial
        if trial is None:
            return ""
        if self.probabilities is None:
            return f"{self.history.name} has no policy: it has no probabilities to show."
        if trial.told_reward is None:
            return "This trial failed, and the controller was told nothing of it."
        if trial.number not in self._lessons:
            return "No update has learnt from this trial: its batch is not full."
        return ""

    # --- in pictures --------------------------------------------------------------------------

    def heat_map(self) -> str:
        """The policy as it drew this trial, as SVG; empty if there is none."""
        trial, probabilities = self.trial, self.probabilities
        if trial is None or probabilities is None:
            return ""
        return self.map.svg(probabilities, trial.tokens)

    @property
    def parts(self) -> tuple[str, ...]:
        """The cells that a genotype has to show, one at a time; empty: it is one picture."""
        genotype = None if self.trial is None else self.trial.genotype
        if not isinstance(genotype, Genotype) or getattr(self.history.space, "tied", False):
            return ()
        return tuple(role for role, _ in genotype.cells)

    def cell(self, trial: Trial, part: str | None = None) -> str:
        """A trial's architecture, or one cell of it, as HTML."""
        return self._drawing(trial.tokens, part)

    def _draw(self, tokens: tuple[int, ...], part: str | None) -> str:
        architecture = self.history.space.decode(tokens)
        if isinstance(architecture, Genotype):
            return drawn(dict(architecture.cells)[part or "normal"])
        return drawn(architecture)

    def curve(self) -> tuple[Figure, list[tuple[float, float]], tuple[float, float]]:
        """The reward curve, of each step where it is, and the upper and lower end of the axes:
        shares of the picture's width and height, from the upper left corner."""
        fig, ax = plots.figure(size=CURVE)
        rows = self._draw_curve(ax)
        fig.draw_without_rendering()  # now the places are known
        bottom, width, height = ax.get_ylim()[0], fig.bbox.width, fig.bbox.height
        points = zip(rows["finished"], rows["reward"].fillna(bottom), strict=True)
        places = ax.transData.transform(list(points))
        ends = 1 - ax.bbox.y1 / height, 1 - ax.bbox.y0 / height
        return fig, [(float(x / width), float(1 - y / height)) for x, y in places], ends

    def _draw_curve(self, ax: Any) -> Any:
        rows = plots.reward_rows(self.trials)
        plots.draw_rewards(rows, ax, self.history.name)
        return rows

    def static(self) -> Figure:
        """The reward curve with this step in it, and the policy's heat map below."""
        trial, probabilities = self.trial, self.probabilities
        if trial is None or probabilities is None:
            fig, above = plots.figure()
        else:
            fig, (above, below) = plots.figure(2, 1, size=(8.0, 8.6))
            with numpy.errstate(divide="ignore"):
                log_distribution = numpy.log(probabilities)
            rows = policy_rows(log_distribution, self.history.space.decisions, trial.tokens)
            draw_policy(rows, below)
        self._draw_curve(above)
        if trial is not None:
            above.axvline(self.step, color=INK, linewidth=1.2)
            words = textwrap.fill(self.sentence(), 100)
            fig.suptitle(words, x=0.01, ha="left", fontsize=SMALL, color=INK)
        return fig


def run_folder(source: str | Path) -> Path:
    """The folder of a run, or of a shipped recording by its name.

    Raises:
        StoreError: neither.
    """
    if isinstance(source, str | Path) and os.path.exists(source):
        return Path(source)
    if source in recordings.names():
        return recordings.folder(str(source))
    raise StoreError(
        f"a replay shows a run folder, a Search, or a recording by its name "
        f"({listed(recordings.names())}); there is no folder or recording {source!r:.80}"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}" if number else f"no {word}"

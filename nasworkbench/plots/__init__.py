"""Figures of a search. They return, they never show: one function makes the rows of a table,
another draws the rows on axes that are given to it.

>>> figure, ax = plots.figure()
>>> plots.draw_rewards(plots.reward_rows(search.trials()), ax)
"""

from .comparison import comparison_rows, draw_comparison, draw_learning, learning_rows
from .decisions import decision_rows, draw_decision, draw_policy, policy_rows
from .experiments import draw_experiment
from .operations import draw_operations, operation_rows
from .retrained import draw_retrained, mean_interval, retrained_rows
from .rewards import draw_rewards, reward_rows
from .style import described, figure, png, save, styled
from .updates import draw_updates, even_entropy, update_rows
from .verdicts import draw_verdicts, verdict_rows

__all__ = [
    "comparison_rows",
    "decision_rows",
    "described",
    "draw_comparison",
    "draw_decision",
    "draw_experiment",
    "draw_learning",
    "draw_operations",
    "draw_policy",
    "draw_retrained",
    "draw_rewards",
    "draw_updates",
    "draw_verdicts",
    "even_entropy",
    "figure",
    "learning_rows",
    "mean_interval",
    "operation_rows",
    "png",
    "policy_rows",
    "retrained_rows",
    "reward_rows",
    "save",
    "styled",
    "update_rows",
    "verdict_rows",
]

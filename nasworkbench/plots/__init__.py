"""Figures of a search. They return, they never show: one function makes the rows of a table,
another draws the rows on axes that are given to it.

>>> figure, ax = plots.figure()
>>> plots.draw_rewards(plots.reward_rows(search.trials()), ax)
"""

from .judged import draw_judged, judged_rows, mean_interval
from .operations import choice_rows, draw_operations, operation_rows
from .rewards import draw_rewards, reward_rows
from .style import figure, png, save, styled
from .updates import draw_updates, even_entropy, update_rows

__all__ = [
    "choice_rows",
    "draw_judged",
    "draw_operations",
    "draw_rewards",
    "draw_updates",
    "even_entropy",
    "figure",
    "judged_rows",
    "mean_interval",
    "operation_rows",
    "png",
    "reward_rows",
    "save",
    "styled",
    "update_rows",
]

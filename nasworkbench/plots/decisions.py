"""What a policy prefers: the probabilities of one decision's options, and of all decisions at once.

Both figures begin with what ``LSTMPolicy.log_distribution`` gives for one token sequence, (T, C):
log P of each choice c of each decision t, given the tokens before t.

>>> log_distribution = controller.policy.log_distribution(torch.tensor([proposal.tokens]))[0]
>>> rows = policy_rows(log_distribution, space.decisions, proposal.tokens)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import pandas
from matplotlib import colormaps
from matplotlib.axes import Axes

from ..checks import whole
from ..errors import SettingsError
from ..spaces.base import Decision
from .style import BLUE, INK, SKY, SMALL, colour_bar, note, positions, styled

COLUMNS = ["name", "cell", "block", "kind", "token", "choice"]
COLUMNS += ["log_prob", "probability", "even", "chosen"]

#: The upper ends of a probability axis: the first one with space above the longest bar is taken.
TOPS = (0.2, 0.5, 1.0)

#: Up to so many decisions have space for their names, up to so many for names that lie flat; and up
#: to so many blocks for the word "block" before their number.
MOST_NAMED, MOST_FLAT, MOST_WORDS = 60, 6, 12

#: Colours of the heat map. So few survive in a small PNG, and can be found again in its bar.
LEVELS = 50

#: A line of the key to the tokens has so many characters; of a longer one the middle is left out.
LONGEST_KEY = 90

#: How the key calls a kind of decision, where not by its name.
KEYED = {"hidden_state": "input"}

#: So much may the sum of the probabilities miss 1: the policy computes in single precision.
TOLERANCE = 1e-3


def axis_top(probabilities: Sequence[float]) -> float:
    """Where an axis for these probabilities ends, so that small ones can be told apart."""
    longest = max(probabilities, default=1.0)
    return next((top for top in TOPS if longest <= 0.9 * top), TOPS[-1])


def decision_rows(
    log_distribution: Any, decision: Decision, token: int | None = None
) -> pandas.DataFrame:
    """A row per option of one decision.

    Args:
        log_distribution: (C,) log-probabilities, a tensor or numbers; what follows the decision's
            own choices is the policy's padding and is not read.
        decision: whose options they are.
        token: the one that was drawn, if any.

    Returns:
        The columns ``name``, ``cell``, ``block`` and ``kind`` (of the decision), ``token``,
        ``choice`` (what it stands for), ``log_prob`` (nats), ``probability``, ``even`` (the
        probability if nothing is preferred) and ``chosen``.

    Raises:
        SettingsError: too few numbers, probabilities that do not add up to 1, or a token that is
            not one of this decision's.
    """
    return pandas.DataFrame(_rows(_array(log_distribution), decision, token), columns=COLUMNS)


def policy_rows(
    log_distribution: Any, decisions: Sequence[Decision], tokens: Sequence[int] | None = None
) -> pandas.DataFrame:
    """:func:`decision_rows` of every decision of one token sequence, one below the other.

    Args:
        log_distribution: (T, C) log-probabilities along the sequence.
        decisions: the space's, T of them.
        tokens: the sequence, T whole numbers; None: nothing is marked as chosen.

    Returns:
        The columns of :func:`decision_rows`, and before them ``decision``, its number from 0.

    Raises:
        SettingsError: another number of rows or tokens than decisions, and as
            :func:`decision_rows`.
    """
    values = _array(log_distribution)
    if values.ndim != 2 or len(values) != len(decisions):
        raise SettingsError(
            "log_distribution must be of the shape (T, C), with a row for each of the "
            f"{len(decisions)} decisions; got {values.shape}. Of a batch, (B, T, C), pass one "
            "sequence: log_distribution[0]"
        )
    if tokens is not None and len(tokens) != len(decisions):
        raise SettingsError(f"tokens must be one per decision, {len(decisions)}; got {len(tokens)}")
    drawn: Sequence[int | None] = [None] * len(decisions) if tokens is None else tokens
    table = [
        (number, *row)
        for number, (decision, token) in enumerate(zip(decisions, drawn, strict=True))
        for row in _rows(values[number], decision, token)
    ]
    return pandas.DataFrame(table, columns=["decision", *COLUMNS])


def _rows(values: numpy.ndarray, decision: Decision, token: int | None) -> list[tuple[Any, ...]]:
    choices = decision.choices
    if values.ndim != 1 or len(values) < choices:
        raise SettingsError(
            f"{decision.name}: this decision has {choices} choices and needs a log-probability "
            f"for each, in one row; got an array of shape {values.shape}"
        )
    log_probs = values[:choices]
    probabilities = numpy.exp(log_probs)
    total = probabilities.sum()
    if not abs(total - 1) <= TOLERANCE:  # so that nan is refused too
        raise SettingsError(
            f"{decision.name}: the probabilities of its {choices} choices must add up to 1, "
            f"got {total:.4g}. Pass the log-probabilities of policy.log_distribution(tokens)"
        )
    if token is not None:
        whole(f"{decision.name}: its token", token, 0, choices - 1)
    fixed = (decision.name, decision.cell, decision.block, decision.kind)
    columns = (decision.labels, log_probs.tolist(), probabilities.tolist())
    return [
        (*fixed, index, name, log_prob, probability, 1 / choices, index == token)
        for index, (name, log_prob, probability) in enumerate(zip(*columns, strict=True))
    ]


def _array(values: Any) -> numpy.ndarray:
    """Numbers or a tensor, also one that torch tracks, as an array in double precision."""
    values = values.detach() if hasattr(values, "detach") else values
    return numpy.asarray(values, dtype=float)


def draw_decision(rows: pandas.DataFrame, ax: Axes, title: str | None = None) -> Axes:
    """Draw :func:`decision_rows`: a bar per option, a dotted line where they would all be even.

    The chosen option's bar is darker, with the word *drawn* at its end.

    Args:
        rows: of one decision.
        ax: where to draw.
        title: None: the decision's name.
    """
    name = str(rows["name"].iloc[0])
    styled(ax, "probability", "", name if title is None else title, grid="x")
    places = numpy.arange(len(rows))
    values, even = positions(rows["probability"]), float(rows["even"].iloc[0])
    top = axis_top(values.tolist())
    colours = [BLUE if chosen else SKY for chosen in rows["chosen"]]
    ax.barh(places, values, color=colours, height=0.72)
    label = f"even: 1/{len(rows)} = {even:.3f}"
    ax.axvline(even, color=INK, linestyle=":", linewidth=1.6, label=label)
    for place, value, chosen in zip(places, values, rows["chosen"], strict=True):
        text, weight = (" ● drawn", "bold") if chosen else ("", "normal")
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # over the dotted line
        style = {"va": "center", "fontweight": weight, "bbox": behind}
        note(ax, f"{value:.3f}{text}", (value, place), (4, 0), **style)
    ax.set_yticks(places, rows["choice"])
    ax.set_ylim(len(rows) - 0.4, -0.6)  # the first option on top
    ax.set_xlim(0, 1.12 * top)  # space for the word behind the longest bar
    ax.set_xticks(numpy.linspace(0, top, 5 if top != 0.5 else 6))
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower right", fontsize=SMALL, labelcolor=INK, frameon=False)
    return ax


def draw_policy(
    rows: pandas.DataFrame, ax: Axes, step: int | None = None, top: float = 1.0
) -> Axes:
    """Draw :func:`policy_rows` as a heat map: a column per decision, a row per token.

    Tokens that were drawn carry a ring; where a decision has no such token nothing is drawn. The
    scale is the same for every policy, so that two maps can be compared.

    Args:
        rows: of all decisions of a token sequence.
        ax: where to draw; about 8 inches wide for 50 decisions.
        step: a decision to point at, by its number from 0.
        top: the probability at which the colours end.
    """
    styled(ax, "", "token", grid=None)
    ax.spines[["left", "bottom"]].set_visible(False)
    table = rows.pivot(index="token", columns="decision", values="probability")
    shown = numpy.ma.masked_invalid(table.to_numpy(dtype=float))
    tokens, steps = shown.shape
    colours = colormaps["cividis"].resampled(LEVELS)
    mesh = ax.pcolormesh(
        numpy.arange(steps + 1) - 0.5, numpy.arange(tokens + 1) - 0.5, shown, cmap=colours,
        vmin=0.0, vmax=top, edgecolors="white", linewidth=0.4,
    )  # fmt: skip
    ax.invert_yaxis()  # token 0 on top
    drawn = rows[rows["chosen"]]
    size = min(60.0, (3.6 * 72 / steps) ** 2)  # points squared: a ring fits into its column
    for colour, width in ((INK, 2.6), ("white", 1.3)):  # to be seen on dark and on light
        ax.scatter(
            drawn["decision"], drawn["token"], s=size, facecolors="none", edgecolors=colour,
            linewidths=width,
        )  # fmt: skip
    first = rows.drop_duplicates("decision").set_index("decision")
    _name_decisions(ax, first)
    _name_tokens(ax, rows, tokens)
    if step is not None:
        _above(ax, step, "▼", 1, fontsize=8)
    colour_bar(ax, mesh, "probability", aspect=25)
    return ax


def _name_decisions(ax: Axes, first: pandas.DataFrame) -> None:
    """The names below the columns; in cells, above them, which block and which cell they are of."""
    of = [f"{cell} block {block} " for cell, block in first[["cell", "block"]].to_numpy()]
    pairs = [(str(name), prefix) for name, prefix in zip(first["name"], of, strict=True)]
    in_blocks = all(name.startswith(prefix) for name, prefix in pairs)
    names = [name.removeprefix(prefix) for name, prefix in pairs]
    names = [n.replace("operation", "op").replace("combination", "combine") for n in names]
    flat = len(names) <= MOST_FLAT
    if len(names) <= MOST_NAMED:
        ax.set_xticks(range(len(names)), names, rotation=0 if flat else 90)
        ax.tick_params(axis="x", length=0, labelsize=SMALL if flat else 7.5)
    else:
        ax.set_xticks([])
    if not in_blocks:
        return
    blocks = first.groupby(["cell", "block"], sort=False)
    for _, group in blocks:
        block = group["block"].iloc[0]
        text = f"block {block}" if len(blocks) <= MOST_WORDS else str(block)
        _above(ax, group.index.to_numpy().mean(), text, 9)
        if group.index[0] > 0:  # before block 0 another cell ends
            colour, width = ("white", 2.6) if block else (INK, 1.2)
            ax.axvline(group.index[0] - 0.5, color=colour, linewidth=width)
    for cell, group in first.groupby("cell", sort=False):
        text = "one cell for both" if cell == "both" else f"{cell} cell"
        _above(ax, group.index.to_numpy().mean(), text, 21)


def _above(ax: Axes, column: float, text: str, height: float, **more: Any) -> None:
    style = {"ha": "center", "va": "bottom"} | more
    note(ax, text, (column, 1.0), (0, height), ("data", "axes fraction"), **style)


def _name_tokens(ax: Axes, rows: pandas.DataFrame, tokens: int) -> None:
    """Operations are named beside their tokens; what a token is elsewhere, a key below says."""
    operations = rows[rows["kind"] == "operation"].groupby("name", sort=False)["choice"].agg(tuple)
    same = operations.nunique() == 1
    names = operations.iloc[0] if same else ()
    labels = [f"{names[n]}  {n}" if n < len(names) else str(n) for n in range(tokens)]
    ax.set_yticks(range(tokens), labels)
    ax.tick_params(axis="y", length=0)
    keys = ["○ drawn"] if rows["chosen"].any() else []
    for _, group in rows[rows["kind"].ne("operation") | (not same)].groupby("kind", sort=False):
        options = group.drop_duplicates("token").sort_values("token")["choice"].tolist()
        listed = [f"{token} = {option}" for token, option in enumerate(options)]
        if sum(map(len, listed)) + 2 * len(listed) > LONGEST_KEY:
            listed = [*listed[:4], "...", listed[-1]]
        kind = str(group["kind"].iloc[0])
        keys.append(f"{KEYED.get(kind, kind)}: {', '.join(listed)}")
    ax.set_xlabel("\n".join(keys), fontsize=SMALL, color=INK, loc="left")

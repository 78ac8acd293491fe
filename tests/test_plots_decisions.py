"""Bars of one decision and the map of all: exact rows, and what stands on the axes."""

import io
import math
from itertools import pairwise

import numpy
import pytest
import torch
from matplotlib.collections import PathCollection, QuadMesh
from PIL import Image
from plot_helpers import words

from nasworkbench import CellSpace, GraphSpace, plots
from nasworkbench.controllers.policy import LSTMPolicy
from nasworkbench.errors import SettingsError
from nasworkbench.plots.decisions import (
    LEVELS,
    axis_top,
    decision_rows,
    draw_decision,
    draw_policy,
    policy_rows,
)
from nasworkbench.spaces.base import Decision

THREE = Decision("normal block 1 left input", "normal", 1, "hidden_state", ("0", "1", "2"))
OPERATIONS = Decision("normal block 0 left operation", "normal", 0, "operation", ("a", "b"))
LOGS = numpy.log([0.5, 0.3, 0.2])


def policy(space, seed=0):
    choices = [decision.choices for decision in space.decisions]
    return LSTMPolicy(choices, generator=torch.Generator().manual_seed(seed))


def shape(made):
    return Image.open(io.BytesIO(plots.png(made))).size


# --- rows -------------------------------------------------------------------------------------


def test_hidden_states_have_the_names_that_cells_give_them():
    assert THREE.labels == ("h[i-1]", "h[i]", "block 0")
    assert OPERATIONS.labels == ("a", "b")
    for inputs in (1, 2, 4):
        space = CellSpace(blocks=3, inputs=inputs)
        cell = space.sample(0).normal
        for decision in space.decisions[:15]:
            if decision.kind == "hidden_state":
                states = range(inputs + decision.block)
                assert decision.labels == tuple(map(cell.state_name, states))


def test_one_decision_is_a_row_per_option():
    padded = [*LOGS, -math.inf, -math.inf]
    rows = decision_rows(padded, THREE, token=1)
    assert rows["name"].tolist() == ["normal block 1 left input"] * 3
    assert rows["token"].tolist() == [0, 1, 2]
    assert rows["choice"].tolist() == ["h[i-1]", "h[i]", "block 0"]
    numpy.testing.assert_allclose(rows["probability"], [0.5, 0.3, 0.2])
    numpy.testing.assert_allclose(rows["log_prob"], LOGS)
    numpy.testing.assert_allclose(rows["even"], [1 / 3] * 3)
    assert rows["chosen"].tolist() == [False, True, False]
    assert not decision_rows(LOGS, THREE)["chosen"].any()


def test_all_decisions_of_a_real_policy():
    space = CellSpace(blocks=2, operations=("identity", "sep_conv_3x3", "max_pool_3x3"))
    tokens = space.sample_tokens(0)
    found = policy(space).log_distribution(torch.tensor([tokens]))[0]  # torch tracks it
    rows = policy_rows(found, space.decisions, tokens)
    assert len(rows) == sum(decision.choices for decision in space.decisions)
    assert rows["decision"].drop_duplicates().tolist() == list(range(20))
    assert rows.loc[rows["chosen"], "token"].tolist() == list(tokens)
    numpy.testing.assert_allclose(rows.groupby("decision")["probability"].sum(), 1, atol=1e-6)
    seventh = rows[rows["decision"] == 7].drop(columns="decision").reset_index(drop=True)
    expected = decision_rows(found[7], space.decisions[7], tokens[7])
    assert seventh.equals(expected)


def test_what_is_no_distribution_is_refused():
    with pytest.raises(SettingsError, match=r"left input.*3 choices must add up to 1, got 1\.5"):
        decision_rows(numpy.log([0.5, 0.5, 0.5]), THREE)
    with pytest.raises(SettingsError, match="must add up to 1, got nan"):
        decision_rows([math.nan] * 3, THREE)
    with pytest.raises(SettingsError, match=r"has 3 choices.*shape \(2,\)"):
        decision_rows(LOGS[:2], THREE)
    for token in (-1, 3):
        with pytest.raises(SettingsError, match=f"its token must be .* from 0 to 2, got {token}"):
            decision_rows(LOGS, THREE, token)


def test_a_batch_or_another_string_is_refused():
    two = numpy.stack([LOGS, LOGS])
    with pytest.raises(SettingsError, match=r"row for each of the 2 decisions.*\(1, 2, 3\).*\[0\]"):
        policy_rows(two[None], [THREE, THREE])
    with pytest.raises(SettingsError, match="row for each of the 1 decisions"):
        policy_rows(two, [THREE])
    with pytest.raises(SettingsError, match="tokens must be one per decision, 2; got 1"):
        policy_rows(two, [THREE, THREE], [0])


# --- bars -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("longest", "top"), [(0.05, 0.2), (0.18, 0.2), (0.19, 0.5), (0.45, 0.5), (0.46, 1), (1, 1)]
)
def test_an_axis_has_room_above_the_longest_bar(longest, top):
    assert axis_top([0.01, longest]) == top


def test_bars_and_the_drawn_one_told_apart_without_colour():
    _, ax = plots.figure()
    assert draw_decision(decision_rows(LOGS, THREE, 2), ax) is ax
    bars = ax.patches
    numpy.testing.assert_allclose([bar.get_width() for bar in bars], [0.5, 0.3, 0.2])
    colours = [bar.get_facecolor() for bar in bars]
    assert colours[0] == colours[1] != colours[2]
    assert words(ax) == ["0.500", "0.300", "0.200 ● drawn"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["h[i-1]", "h[i]", "block 0"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first option on top
    assert ax.get_xlim()[0] == 0
    (even,) = ax.get_lines()
    assert even.get_linestyle() == ":"
    assert even.get_xdata()[0] == pytest.approx(1 / 3)
    assert ax.get_legend().get_texts()[0].get_text() == "even: 1/3 = 0.333"
    assert ax.get_title(loc="left") == "normal block 1 left input"
    assert ax.get_xlabel() == "probability"


def test_bars_without_a_drawn_one_and_with_another_title():
    _, ax = plots.figure()
    draw_decision(decision_rows(LOGS, THREE), ax, "mine")
    assert not any("drawn" in word for word in words(ax))
    assert ax.get_title(loc="left") == "mine"


# --- the map ----------------------------------------------------------------------------------


def drawn_map(space, step=None):
    tokens = space.sample_tokens(1)
    with torch.no_grad():
        found = policy(space).log_distribution(torch.tensor([tokens]))[0]
    made, ax = plots.figure(size=(8, 4.7))
    assert draw_policy(policy_rows(found, space.decisions, tokens), ax, step=step) is ax
    return made, ax, found.exp().numpy(), tokens


def test_the_map_shows_every_probability_and_leaves_blank_what_is_none():
    space = CellSpace()
    made, ax, probabilities, tokens = drawn_map(space)
    (mesh,) = (c for c in ax.collections if isinstance(c, QuadMesh))
    shown = mesh.get_array().reshape(13, 50)
    choices = numpy.array([decision.choices for decision in space.decisions])
    blank = numpy.arange(13)[:, None] >= choices
    assert (numpy.ma.getmaskarray(shown) == blank).all()
    numpy.testing.assert_allclose(shown[~blank], probabilities.T[~blank], rtol=1e-5)
    assert mesh.get_clim() == (0, 1)  # the same scale for all policies
    assert mesh.get_cmap().N == LEVELS
    rings = [c for c in ax.collections if isinstance(c, PathCollection)]
    expected = [[step, token] for step, token in enumerate(tokens)]
    assert all(ring.get_offsets().tolist() == expected for ring in rings)
    assert made.axes[1].get_ylabel() == "probability"
    assert shape(made)[0] == pytest.approx(8 * 144, abs=2)


def test_the_map_names_decisions_blocks_cells_and_tokens():
    _, ax, _, _ = drawn_map(CellSpace())
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["left input", "right input", "left op", "right op", "combine"] * 10
    expected = [f"block {number}" for number in range(5)] * 2
    assert words(ax) == [*expected, "normal cell", "reduction cell"]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "identity  0"
    assert labels[12] == "sep_conv_7x7  12"
    key = ax.get_xlabel().split("\n")
    assert key[0] == "○ drawn"
    assert key[1] == (
        "input: 0 = h[i-1], 1 = h[i], 2 = block 0, 3 = block 1, 4 = block 2, 5 = block 3"
    )
    assert key[2] == "combination: 0 = add, 1 = concat"


def test_names_do_not_overlap_in_a_map_of_fifty_decisions():
    made, ax, _, _ = drawn_map(CellSpace(), step=12)
    made.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    boxes = [box for box in boxes if box.width]
    assert all(a.x1 <= b.x0 + 0.5 for a, b in pairwise(boxes))
    above = [text.get_window_extent() for text in ax.texts if text.get_text() != "▼"]
    pairs = [(a, b) for n, a in enumerate(above) for b in above[:n]]
    assert not any(a.overlaps(b) for a, b in pairs)
    assert "▼" in words(ax)
    whole = made.bbox
    assert all(box.x0 >= 0 and box.x1 <= whole.x1 for box in above)
    key = ax.xaxis.label.get_window_extent()
    assert key.x1 <= whole.x1
    assert key.y0 >= 0


def test_the_map_of_a_tied_space_and_of_a_graph_space():
    _, ax, _, _ = drawn_map(CellSpace(blocks=2, tied=True))
    assert words(ax) == ["block 0", "block 1", "one cell for both"]
    _, ax, _, _ = drawn_map(GraphSpace())
    assert words(ax) == []
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["wiring", *(f"node {n} op" for n in range(1, 5))]
    assert ax.get_xlabel().split("\n")[1].startswith("wiring: 0 = 0000, 1 = 0001")


def test_more_decisions_than_there_is_room_for_names():
    made, ax, _, _ = drawn_map(CellSpace(blocks=12))
    assert ax.get_xticklabels() == []
    assert words(ax)[:13] == [*map(str, range(12)), "0"]
    assert "..., 12 = block 10" in ax.get_xlabel()
    assert shape(made)[0] == pytest.approx(8 * 144, abs=2)


def test_a_map_of_nothing_drawn():
    rows = policy_rows(numpy.stack([LOGS, LOGS]), [THREE, THREE])
    _, ax = plots.figure()
    draw_policy(rows, ax)
    assert "drawn" not in ax.get_xlabel()

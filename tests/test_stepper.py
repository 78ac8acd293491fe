"""The stepper: its state without widgets, and the widget without a browser."""

import copy
import json
import math
import sys
import threading

import ipywidgets
import numpy
import pytest
import torch
from search_helpers import Coins

from nasworkbench import PPO, CellSpace, GraphSpace, RandomSearch, RegularizedEvolution, Reinforce
from nasworkbench.controllers import Outcome
from nasworkbench.errors import SettingsError, SpaceError, WorkbenchError
from nasworkbench.genotype import Cell, Genotype
from nasworkbench.nas_bench_graph import GraphArchitecture
from nasworkbench.widgets.common import VIEW, parts
from nasworkbench.widgets.stepper import ControllerStepper
from nasworkbench.widgets.stepper import widget as module
from nasworkbench.widgets.stepper.state import StepperState

FEW = ("identity", "sep_conv_3x3", "max_pool_3x3")
SMALL = CellSpace(blocks=2, operations=FEW)
TIED = CellSpace(blocks=2, operations=FEW, tied=True)
GRAPH = GraphSpace()
SPACES = pytest.mark.parametrize("space", [SMALL, TIED, GRAPH, CellSpace()], ids=repr)


def taught(space=SMALL, updates=3):
    """A controller that has learned a little, so that its probabilities differ."""
    controller = PPO(space, seed=0, learning_rate=0.02, batch_size=4)
    teach(controller, updates)
    return controller


def teach(controller, updates):
    for _ in range(updates):
        controller.tell([Outcome(p, float(p.tokens[0])) for p in controller.ask(4)])


def as_text(state):
    return json.dumps(state, default=lambda value: value.tolist())


# --- the state --------------------------------------------------------------------------------


@SPACES
def test_the_numbers_are_those_of_the_policy(space):
    controller = taught(space)
    state = StepperState(controller, seed=1)
    with torch.no_grad():
        log_probs, entropies = controller.policy.double().evaluate(torch.tensor([state.sequence]))
    for step in range(len(space.decisions)):
        state.go(step)
        numbers = state.numbers
        so_far = slice(0, step + 1)
        choices = [decision.choices for decision in space.decisions[so_far]]
        assert numbers["log_prob"][0] == pytest.approx(log_probs[0, step].item(), abs=1e-5)
        assert numbers["log_prob_sum"][0] == pytest.approx(
            log_probs[0, so_far].sum().item(), abs=1e-4
        )
        assert numbers["entropy"][0] == pytest.approx(entropies[0, step].item(), abs=1e-5)
        assert numbers["mean_entropy"][0] == pytest.approx(
            entropies[0, so_far].mean().item(), abs=1e-5
        )
        assert numbers["log_prob"][1] == pytest.approx(-math.log(choices[-1]))
        assert numbers["log_prob_sum"][1] == pytest.approx(-math.log(math.prod(choices)))
        assert numbers["entropy"][1] == pytest.approx(math.log(choices[-1]))
        assert numbers["mean_entropy"][1] == pytest.approx(numpy.log(choices).mean())


@SPACES
def test_the_controller_is_never_changed(space):
    controller = taught(space)
    before, text = copy.deepcopy(controller), as_text(controller.state_dict())
    threads = torch.get_num_threads()
    state = StepperState(controller)
    for _ in range(3):
        state.forward()
        state.resample()
    state.force(0)
    state.heat(0.1)
    state.refresh()
    assert as_text(controller.state_dict()) == text
    assert controller.policy.temperature == 1
    assert all(parameter.requires_grad for parameter in controller.policy.parameters())
    assert [p.tokens for p in controller.ask(3)] == [p.tokens for p in before.ask(3)]
    assert torch.get_num_threads() == threads


def test_forward_back_and_the_ends():
    state = StepperState(taught())
    string = state.sequence
    assert (state.step, state.tokens, state.genotype) == (0, string[:1], None)
    with pytest.raises(SpaceError, match="this is the first decision"):
        state.back()
    state.forward()
    assert (state.step, state.tokens) == (1, string[:2])
    assert state.decision is SMALL.decisions[1]
    assert state.token == string[1]
    state.back()
    state.go(19)
    assert state.at_end
    assert state.tokens == string
    assert state.genotype == SMALL.decode(string)
    with pytest.raises(SpaceError, match="this is the last decision"):
        state.forward()
    assert state.step == 19
    for wrong in (-1, 20, 1.0, True, "3", None):
        with pytest.raises(SpaceError, match=r"decision must be a whole number from 0 to 19, got"):
            state.go(wrong)
    assert (state.step, state.sequence) == (19, string)


def test_resample_keeps_what_was_decided_before():
    state = StepperState(taught(CellSpace()))
    first, before = state.sequence, state.log_distribution
    state.go(20)
    state.resample()
    assert state.sequence[:20] == first[:20]
    assert state.sequence[20:] != first[20:]
    assert state.step == 20
    # what a decision sees is what was decided before it
    numpy.testing.assert_allclose(state.log_distribution[:21], before[:21])
    CellSpace().check(state.sequence)


def test_the_same_seed_draws_the_same_and_another_seed_does_not():
    controller = taught(CellSpace())
    one, two, three = (
        StepperState(controller, 5),
        StepperState(controller, 5),
        StepperState(controller, 6),
    )
    assert one.sequence == two.sequence != three.sequence
    one.resample()
    assert one.sequence != two.sequence  # each has a generator of its own
    two.resample()
    assert one.sequence == two.sequence


def test_tokens_are_drawn_as_often_as_the_policy_says():
    state = StepperState(taught(SMALL, 12))
    state.go(17)
    expected = numpy.exp(state.log_distribution[17][:3])
    draws = 600
    counts = numpy.zeros(3)
    for _ in range(draws):
        state.resample()
        counts[state.token] += 1
    error = numpy.sqrt(expected * (1 - expected) / draws)
    assert (abs(counts / draws - expected) < 4 * error + 1e-9).all(), (counts / draws, expected)


def test_force_decides_by_token_or_by_name():
    state = StepperState(taught())
    first = state.sequence
    state.go(2)
    state.force("max_pool_3x3")
    assert (state.step, state.token, state.sequence[:2]) == (2, 2, first[:2])
    state.force(0)
    assert state.token == 0
    state.go(6)  # right input of block 1
    state.force("block 0")
    assert state.token == 2
    state.go(19)
    state.force("concat")
    assert state.genotype.reduction.blocks[1].combine == "concat"


@pytest.mark.parametrize("wrong", ["conv_9x9", "block 0", 3, -1, True, 1.0, None, ["add"], "2"])
def test_force_refuses_what_is_no_choice(wrong):
    state = StepperState(taught())
    state.go(2)
    string = state.sequence
    with pytest.raises(
        SpaceError, match=r"left operation: .* not one of its choices.*identity, .*tokens 0 to 2"
    ):
        state.force(wrong)
    assert state.sequence == string


def test_a_forced_choice_counts_in_what_follows():
    """The distributions after it are those given the forced token, before it they stay."""
    controller = taught(SMALL, 8)
    state = StepperState(controller)
    state.go(4)
    before = state.log_distribution
    state.force(1 - state.token)
    assert (state.log_distribution[:5] == before[:5]).all()
    with torch.no_grad():
        expected = controller.policy.log_distribution(torch.tensor([state.sequence]))[0]
    numpy.testing.assert_allclose(state.log_distribution, expected.double().numpy(), atol=1e-6)
    assert not numpy.allclose(state.log_distribution[5], before[5], atol=1e-7)


def test_refresh_reads_what_the_controller_has_learned():
    controller = taught(SMALL, 1)
    state = StepperState(controller)
    string, before = state.sequence, state.log_distribution
    teach(controller, 5)
    assert state.learned_since == 5
    state.resample()  # still from the policy that was read
    assert (state.log_distribution[0] == before[0]).all()
    string = state.sequence
    state.refresh()
    assert (state.sequence, state.learned_since, state.updates) == (string, 0, 6)
    with torch.no_grad():
        expected = controller.policy.log_distribution(torch.tensor([string]))[0]
    numpy.testing.assert_allclose(state.log_distribution, expected.double().numpy(), atol=1e-6)
    assert not numpy.allclose(state.log_distribution[0][:2], before[0][:2], atol=1e-3)


def test_temperature_flattens_and_sharpens_the_same_string():
    controller = taught(SMALL, 8)
    state = StepperState(controller)
    state.go(19)
    string, at_one = state.sequence, state.numbers["mean_entropy"][0]
    state.heat(10)
    assert state.numbers["mean_entropy"][0] > at_one
    state.heat(0.01)
    assert state.numbers["mean_entropy"][0] < at_one
    assert numpy.isfinite(state.numbers["log_prob_sum"][0])
    state.refresh()
    assert state.temperature == 0.01
    assert state.numbers["mean_entropy"][0] < at_one
    for wrong in (0, 0.001, 11, math.nan, "1", None):
        with pytest.raises(SettingsError, match=r"temperature must be .*0\.01 to 10"):
            state.heat(wrong)
    state.heat(1)
    assert state.sequence == string
    assert state.numbers["mean_entropy"][0] == at_one


def test_a_policy_that_is_broken_is_refused_and_the_old_one_stays():
    controller = taught()
    state = StepperState(controller)
    before = state.log_distribution
    with torch.no_grad():
        controller.policy.head_bias[3] = math.nan
    with pytest.raises(WorkbenchError, match="weights are not finite"):
        state.refresh()
    assert state.log_distribution is before
    state.resample()
    with pytest.raises(WorkbenchError, match="weights are not finite"):
        StepperState(controller)


@pytest.mark.parametrize("kind", [RandomSearch, RegularizedEvolution])
@pytest.mark.parametrize("face", [StepperState, ControllerStepper])
def test_a_controller_without_a_policy_is_refused(kind, face):
    with pytest.raises(
        WorkbenchError, match=rf"has a policy, a PPO or a Reinforce; got {kind.__name__}"
    ):
        face(kind(SMALL))


def test_what_is_no_controller_is_refused():
    class Search:
        controller = Reinforce(SMALL)

    with pytest.raises(WorkbenchError, match=r"got .*Search.*pass its \.controller"):
        StepperState(Search())
    with pytest.raises(WorkbenchError, match=r"takes a controller .*; got <class"):
        StepperState(PPO)
    for seed in (-1, 0.5, "a", True):
        with pytest.raises(SettingsError, match="seed must be a whole number"):
            StepperState(Reinforce(SMALL), seed)


def test_reinforce_steps_too():
    state = StepperState(Reinforce(SMALL))
    state.go(19)
    assert isinstance(state.genotype, Genotype)


# --- what is being built ------------------------------------------------------------------------


def set_to(state, tokens):
    for step, token in enumerate(tokens):
        state.go(step)
        state.force(token)


def test_blocks_are_drawn_as_they_become_complete():
    state = StepperState(taught())
    for step in range(20):
        state.go(step)
        complete = (step + 1) // 5
        found = state.pictures()
        cells = [cell for _, cell in found]
        expected = [n for n in (min(complete, 2), complete - 2) if n > 0]
        assert [len(cell.blocks) for cell in cells] == expected
        whole = SMALL.decode(state.sequence)
        for cell, role in zip(cells, (whole.normal, whole.reduction), strict=False):
            assert cell == Cell(role.blocks[: len(cell.blocks)])  # concat: the loose ends
    assert [caption for caption, _ in found] == [
        "normal cell: 2 of 2 blocks",
        "reduction cell: 2 of 2 blocks",
    ]
    assert tuple(cells) == (state.genotype.normal, state.genotype.reduction)


def test_one_cell_serves_as_both_in_a_tied_space():
    state = StepperState(taught(TIED))
    state.go(4)
    ((caption, cell),) = state.pictures()
    assert caption == "the cell, both normal and reduction: 1 of 2 blocks"
    assert len(cell.blocks) == 1
    state.go(9)
    ((_, cell),) = state.pictures()
    assert cell == state.genotype.normal == state.genotype.reduction


def test_a_block_in_progress_in_words():
    state = StepperState(taught())
    set_to(state, [0, 1, 1, 2, 0, 1, 2, 0, 1, 1])
    told = []
    for step in range(10):
        state.go(step)
        told.append(state.words())
    assert told[0] == "block 0: left = h[i-1] through ?, right = ?, combined by ?"
    assert told[1] == "block 0: left = h[i-1] through ?, right = h[i] through ?, combined by ?"
    assert told[3] == (
        "block 0: left = h[i-1] through sep_conv_3x3, right = h[i] through max_pool_3x3, "
        "combined by ?"
    )
    assert told[4].endswith("combined by add")
    assert told[5] == "block 1: left = h[i] through ?, right = ?, combined by ?"
    assert told[9] == (
        "block 1: left = h[i] through identity, right = block 0 through sep_conv_3x3, "
        "combined by concat"
    )


def test_a_graph_is_told_in_words_and_drawn_at_the_end():
    state = StepperState(taught(GRAPH))
    set_to(state, [3, "gcn", "gat", "skip", "fc"])  # the wiring 0012
    assert isinstance(state.genotype, GraphArchitecture)
    assert state.pictures() == [("the architecture", state.genotype)]
    assert state.words() == (
        "node 1 = gcn(input), node 2 = gat(input), node 3 = skip(node 1), node 4 = fc(node 2)"
    )
    state.go(1)
    assert (state.pictures(), state.genotype) == ([], None)
    assert state.words() == (
        "node 1 = gcn(input), node 2 = ?(input), node 3 = ?(node 1), node 4 = ?(node 2)"
    )


def test_a_space_of_ones_own():
    widget = ControllerStepper(Reinforce(Coins()))
    widget.force("tails")
    assert widget.state.words() == "first coin: tails"
    widget.forward()
    widget.force("edge")
    assert widget.state.words() == "first coin: tails; second coin: edge"
    assert widget.genotype == (1, 2)
    assert "cannot draw tuple" in widget.cells.value
    widget.static()
    widget.close()


# --- the widget -----------------------------------------------------------------------------------


@pytest.fixture
def widget():
    made = ControllerStepper(taught())
    yield made
    made.close()


def press(widget, name):
    widget.buttons[name].click()


def status(widget):
    return widget.status.value


def test_buttons_step_and_refuse_at_the_ends(widget):
    string = widget.state.sequence
    assert (widget.step, widget.tokens, widget.genotype) == (0, string[:1], None)
    press(widget, "Back")
    assert "this is the first decision" in status(widget)
    assert "nwb-problem" in status(widget)
    assert 'role="status"' in status(widget)
    press(widget, "Forward")
    assert (widget.step, widget.slider.value) == (1, 1)
    assert "first decision" not in status(widget)
    press(widget, "To end")
    assert (widget.step, widget.slider.value) == (19, 19)
    assert widget.genotype == SMALL.decode(string)
    press(widget, "Forward")
    assert "this is the last decision" in status(widget)
    press(widget, "To start")
    assert widget.step == 0
    assert widget.state.sequence == string


def test_the_face_shows_the_decision(widget):
    widget.go(7)
    assert "Decision 7, number 8 of 20" in widget.title.value
    assert "normal block 1 left operation" in widget.title.value
    name = FEW[widget.state.token]
    probability = math.exp(widget.state.numbers["log_prob"][0])
    assert f"{name} (P = {probability:.3f})" in widget.title.value
    bars = widget.bars.value
    assert bars.count('<th scope="row">') == 3
    assert bars.count("● drawn") == bars.count("<tr class") == 1
    assert "even, 1/3 = 0.333" in bars
    assert f"{widget.state.numbers['log_prob_sum'][0]:.3f}" in widget.numbers.value
    assert f"{widget.state.numbers['mean_entropy'][0]:.3f}" in widget.numbers.value
    assert "in nats" in widget.numbers.value
    assert "block 1: left = " in widget.sentence.value
    assert widget.cells.value.count("<img") == 1
    widget.to_end()
    assert widget.cells.value.count("<img") == 2
    widget.to_start()
    assert "no block is complete yet" in widget.cells.value


def test_the_slider_and_the_dropdown_as_a_browser_sets_them(widget):
    widget.slider.set_state({"value": 12})
    assert widget.step == 12
    assert [label for label, _ in widget.options.options] == list(FEW)
    assert widget.options.value == widget.state.token
    before = widget.state.sequence
    other = (widget.state.token + 1) % 3
    widget.options.set_state({"index": other})
    assert widget.state.sequence == before  # a choice alone changes nothing
    press(widget, "Force")
    assert widget.state.token == other
    assert widget.state.sequence[:12] == before[:12]
    assert "decided by hand" in status(widget)
    with pytest.raises(SpaceError, match="not one of its choices"):
        widget.force("conv_9x9")
    widget.go(0)
    assert [label for label, _ in widget.options.options] == ["h[i-1]", "h[i]"]


def test_resample_and_refresh(widget):
    widget.go(10)
    string = widget.state.sequence
    for _ in range(5):
        press(widget, "Resample")
    assert widget.state.sequence[:10] == string[:10]
    assert widget.state.sequence != string
    assert "decisions 10 to 19 are drawn anew" in status(widget)
    teach(widget.state.controller, 2)
    widget.back()
    assert "It has learned since (2 more)" in widget.numbers.value
    string = widget.state.sequence
    press(widget, "Refresh")
    assert widget.state.sequence == string
    assert "Read after 5 updates" in widget.numbers.value
    assert "learned since" not in widget.numbers.value
    with torch.no_grad():
        widget.state.controller.policy.head_bias.fill_(math.nan)
    numbers = widget.numbers.value
    press(widget, "Refresh")
    assert "weights are not finite" in status(widget)
    assert widget.numbers.value == numbers


def test_the_temperature(widget):
    widget.temperature.set_state({"value": 0.1})
    assert widget.state.temperature == 0.1
    assert "All at temperature 0.1" in widget.numbers.value
    widget.temperature.set_state({"value": 10.000000000000002})
    assert widget.state.temperature == 10
    widget.heat(0.5)
    assert widget.temperature.value == 0.5


def test_the_map_is_drawn_on_demand_and_only_when_it_changes(widget, monkeypatch):
    drawn = []
    real = module.draw_policy
    monkeypatch.setattr(module, "draw_policy", lambda *a, **k: drawn.append(1) or real(*a, **k))
    widget.forward()
    assert (drawn, "<img" in widget.map.value) == ([], False)
    widget.toggle.value = True
    assert (len(drawn), "<img" in widget.map.value) == (1, True)
    widget.forward()
    widget.back()
    assert len(drawn) == 1
    widget.resample()
    assert len(drawn) == 2
    widget.toggle.value = False
    assert "<img" not in widget.map.value


def test_a_cell_is_drawn_once(widget, monkeypatch):
    drawn = []
    real = module.drawn
    monkeypatch.setattr(module, "drawn", lambda thing: drawn.append(thing) or real(thing))
    for _ in range(2):
        for step in range(20):
            widget.go(step)
    assert len(drawn) == len({str(cell) for cell in drawn}) <= 4


def test_without_graphviz_cells_are_told_in_words(widget, monkeypatch):
    monkeypatch.setattr("nasworkbench.drawing.rendering.dot_available", lambda: False)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    widget.go(4)
    assert "<img" not in widget.cells.value
    assert "block 0 = " in widget.cells.value
    assert "drawing needs graphviz" in widget.cells.value


def test_static_shows_the_same_without_widgets(widget):
    widget.go(12)
    made = widget.static()
    bars, everything = made.axes[:2]
    assert bars.get_title(loc="left").startswith("decision 12, reduction block 0 left operation")
    assert f"{widget.state.numbers['log_prob_sum'][0]:.2f} nats" in bars.get_title(loc="left")
    assert len(bars.patches) == 3
    assert len(everything.get_xticklabels()) == 20
    assert made._repr_png_()[0].startswith(b"\x89PNG")
    data, _ = widget._repr_mimebundle_()
    assert VIEW in data
    assert "static()" in data["text/plain"]


def test_two_steppers_of_one_controller_do_not_disturb_each_other():
    controller = taught()
    one, two = ControllerStepper(controller, 1), ControllerStepper(controller, 1)
    one.go(7)
    one.resample()
    one.heat(0.1)
    assert (two.step, two.state.temperature) == (0, 1)
    assert two.state.sequence == ControllerStepper(controller, 1).state.sequence
    one.close()
    two.forward()
    assert two.step == 1


def test_close_leaves_nothing_behind():
    widget = ControllerStepper(taught())
    all_parts = [widget, *parts(widget)]
    assert all(part.comm is not None for part in all_parts)
    widget.close()
    assert all(part.comm is None for part in all_parts)
    widget.close()  # twice does no harm
    state = widget.state
    state.forward()  # and the state lives on
    assert state.step == 1


def test_callbacks_in_many_threads_keep_the_state_whole(widget):
    problems = []

    def work(name):
        try:
            for _ in range(15):
                press(widget, name)
        except Exception as error:
            problems.append(error)

    names = ("Forward", "Back", "Resample", "Force")
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    SMALL.check(widget.state.sequence)
    assert f"Decision {widget.step}," in widget.title.value


def test_every_control_has_a_name(widget):
    for part in parts(widget):
        if isinstance(part, ipywidgets.Button | ipywidgets.ToggleButton):
            assert part.description
            assert part.tooltip
        if isinstance(part, ipywidgets.IntSlider | ipywidgets.Dropdown | ipywidgets.FloatLogSlider):
            assert part.description

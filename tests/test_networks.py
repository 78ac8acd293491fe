"""The stacked network: any genotype builds and learns, and the parts do what they promise."""

from __future__ import annotations

import copy
import io
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasworkbench import zoo
from nasworkbench.errors import NetworkError
from nasworkbench.genotype import COMBINATIONS, OPERATIONS, Block, Cell, Genotype
from nasworkbench.networks import CellModule, CellNetwork, State, profile
from nasworkbench.networks import cell as cell_file

NASNET = zoo.get("nasnet-a")
SMALL = {"cells": 1, "filters": 4}


@st.composite
def any_cell(draw) -> Cell:
    """One to five blocks over all operations and combinations, and any output."""
    blocks = tuple(
        Block(
            draw(st.integers(0, number + 1)),
            draw(st.sampled_from(OPERATIONS)),
            draw(st.integers(0, number + 1)),
            draw(st.sampled_from(OPERATIONS)),
            draw(st.sampled_from(COMBINATIONS)),
        )
        for number in range(draw(st.integers(1, 5)))
    )
    states = st.integers(0, len(blocks) + 1)
    concat = draw(st.none() | st.sets(states, min_size=1).map(lambda s: tuple(sorted(s))))
    return Cell(blocks, concat)


any_genotype = st.builds(Genotype, any_cell(), any_cell())
few = settings(max_examples=25, deadline=None, derandomize=True)


def one_block(left_op: str, right_op: str, combine: str = "add") -> Genotype:
    cell = Cell((Block(0, left_op, 1, right_op, combine),))
    return Genotype(cell, cell)


def warmed_up(network: CellNetwork, size: int) -> CellNetwork:
    """In evaluation mode, with running statistics and affine weights that are not the defaults."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.5
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
        for _ in range(3):
            network(torch.randn(8, network.channels, size, size))
    return network.eval()


@few
@given(any_genotype, st.booleans(), st.booleans(), st.data())
def test_any_genotype_builds_and_learns(genotype, imagenet, bottleneck, data):
    stem, smallest = ("imagenet", 19) if imagenet else ("cifar", 3)
    height = data.draw(st.integers(smallest, smallest + 16), "height")
    width = data.draw(st.integers(smallest, smallest + 16), "width")
    torch.manual_seed(0)
    network = CellNetwork(
        genotype, cells=1, filters=4, classes=3, stem=stem, stem_filters=5, bottleneck=bottleneck
    )
    network.set_drop_path(progress=1, keep=0.7)
    images = torch.randn(3, 3, height, width)
    before = images.clone()
    logits = network(images)
    assert logits.shape == (3, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name  # nothing is built that is not used
        assert parameter.grad.isfinite().all(), name
    assert torch.equal(images, before)
    if stem == "cifar":  # drop path is off in evaluation: the same answer twice
        network.eval()
        assert torch.equal(network(images), network(images))


@few
@given(any_genotype, st.booleans())
def test_folded_is_the_same_function(genotype, imagenet):
    stem, size = ("imagenet", 41) if imagenet else ("cifar", 9)
    torch.manual_seed(0)
    network = warmed_up(CellNetwork(genotype, stem=stem, classes=5, **SMALL), size)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = network.folded()
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    images = torch.randn(4, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-4, atol=1e-4)
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


def test_folding_drops_the_auxiliary_head_and_leaves_the_original_training():
    network = CellNetwork(NASNET, auxiliary=True, **SMALL).train()
    folded = network.folded()
    assert network.training and network.auxiliary is not None
    assert not folded.training and folded.auxiliary is None
    assert isinstance(network(torch.randn(2, 3, 32, 32)), tuple)


@few
@given(any_cell(), st.sampled_from([1, 2]))
def test_sharing_changes_nothing(cell, stride):
    """A cell gives the same as when every operation reads a copy of its own: nothing is changed
    in place that another operation reads, forward or backward."""
    torch.manual_seed(0)

    def norm(channels):
        return nn.BatchNorm2d(channels)

    module = CellModule(cell, stride, 3, 5, 4, False, norm)
    inputs = [torch.randn(2, 3, 6, 7, requires_grad=True), torch.randn(2, 5, 6, 7)]
    inputs[1].requires_grad_()

    def fitted(fit, tensor):
        return tensor if fit is None else fit(tensor.relu())

    states = [fitted(module.fit_older, inputs[0]), fitted(module.fit_newer, inputs[1])]
    results = dict(enumerate(states))
    for number, block in zip(cell.used, module.blocks, strict=True):
        left = block.left(State(results[block.block.left].clone()))
        right = block.right(State(results[block.block.right].clone()))
        if block.join is None:
            results[2 + number] = left + right
        else:
            results[2 + number] = block.join(torch.cat([left, right], 1).relu())
    outputs = []
    for state in cell.concat:
        fit = module.fit_output[str(state)] if str(state) in module.fit_output else nn.Identity()
        outputs.append(fit(results[state].clone()))
    expected = torch.cat(outputs, 1)
    expected_gradients = torch.autograd.grad(expected.square().sum(), inputs, allow_unused=True)

    actual = module(State(inputs[0]), State(inputs[1])).tensor
    gradients = torch.autograd.grad(actual.square().sum(), inputs, allow_unused=True)
    torch.testing.assert_close(actual, expected)
    for one, other in zip(gradients, expected_gradients, strict=True):
        if other is None:
            assert one is None
        else:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@few
@given(any_genotype, st.booleans(), st.integers(19, 40))
def test_profile_counts_as_torch_does(genotype, bottleneck, size):
    network = CellNetwork(genotype, bottleneck=bottleneck, **SMALL).eval()
    shapes = {}

    def note(name, result):
        shapes[name] = getattr(result, "tensor", result).shape

    for name, layer in {"stem": network.entry, **network.cells}.items():
        layer.register_forward_hook(lambda _, __, result, name=name: note(name, result))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.randn(1, 3, size, size))
    result = profile(network, size)
    assert {name: (*shape[2:], shape[1]) for name, shape in shapes.items()} == result.endpoints
    assert 2 * result.mult_adds == counter.get_total_flops()
    assert result.parameters == sum(p.numel() for p in network.parameters())


def test_profile_leaves_the_network_alone():
    network = CellNetwork(NASNET, auxiliary=True, **SMALL).train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    result = profile(network, 40)  # any size: the auxiliary head has no part in it
    assert torch.equal(torch.rand(1), first)
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    assert result.endpoints["normal_2"] == (10, 10, 4 * 4 * 6)
    assert pickle.loads(pickle.dumps(result)) == result
    with pytest.raises(NetworkError, match="smallest image is 3 x 3"):
        profile(network, 2)
    with pytest.raises(NetworkError, match=r"image_size must be a whole number from 1, got '32'"):
        profile(network, "32")


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_the_whole_zoo_builds(name, stem):
    network = CellNetwork(zoo.get(name), stem=stem, bottleneck=zoo.entry(name).bottleneck, **SMALL)
    assert network(torch.randn(2, 3, 37, 36)).shape == (2, 10)


def test_drop_path_reaches_every_operation_but_identity(monkeypatch):
    seen = []
    monkeypatch.setattr(cell_file, "drop_path", lambda t, keep: seen.append(keep) or t)
    network = CellNetwork(NASNET, cells=1, filters=4)
    network.set_drop_path(progress=1, keep=0.6)
    network(torch.randn(2, 3, 8, 8))
    # Three normal cells with 8 of 10 paths, two reduction cells with 9 of 10.
    assert seen == [0.6] * (3 * 8 + 2 * 9)
    seen.clear()
    network.eval()(torch.randn(2, 3, 8, 8))
    assert set(seen) == {1.0}


def test_drop_path_is_set_cell_by_cell():
    network = CellNetwork(NASNET, cells=6, filters=1)
    network.set_drop_path(progress=1, keep=0.6, in_depth=True)
    keeps = [cell.keep for cell in network.cells.values()]
    assert len(keeps) == 20
    assert keeps == pytest.approx([1 - (number + 1) / 20 * 0.4 for number in range(20)])
    network.set_drop_path(progress=0.5, keep=0.6)
    assert {cell.keep for cell in network.cells.values()} == {0.8}
    with torch.device("meta"):
        network = CellNetwork(NASNET, cells=6, filters=4, stem="imagenet")
    assert len(network.cells) == 22  # the stem's two cells are counted
    with pytest.raises(NetworkError, match=r"progress .* from 0 to 1, got 2"):
        network.set_drop_path(progress=2, keep=0.6)


def test_drop_path_changes_the_answer_in_training_only():
    torch.manual_seed(0)
    network = CellNetwork(one_block("sep_conv_3x3", "avg_pool_3x3"), **SMALL)
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(network(images), network(images))
    network.set_drop_path(progress=1, keep=0.5)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_blocks_that_do_not_reach_the_output_are_never_built():
    extra = Block(0, "sep_conv_7x7", 1, "sep_conv_7x7")
    kept = Block(1, "sep_conv_3x3", 1, "identity")
    lean, fat = Cell((kept,)), Cell((extra, kept), concat=(3,))
    sizes = [
        sum(p.numel() for p in CellNetwork(Genotype(cell, cell), **SMALL).parameters())
        for cell in (lean, fat)
    ]
    assert sizes[0] == sizes[1]
    module = CellNetwork(Genotype(fat, fat), **SMALL).cells["normal_1"]
    assert len(module.blocks) == 1
    assert module.fit_older is None  # nobody reads it


def test_layers_that_do_not_reach_a_head_are_never_built():
    older_only = Cell((Block(0, "sep_conv_3x3", 0, "max_pool_3x3"),))
    network = CellNetwork(Genotype(older_only, older_only), cells=2, filters=4)
    reads = {layer.name: layer.inputs for layer in network.layout}
    assert reads == {
        "stem": (),
        "normal_1": ("stem",),
        "normal_2": ("normal_1",),
        "reduction_1": ("normal_2",),
        "normal_5": ("reduction_1",),
        "classifier": ("normal_5",),
    }
    assert list(network.cells) == ["normal_1", "normal_2", "reduction_1", "normal_5"]
    logits = network(torch.randn(2, 3, 12, 12))
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert profile(network, 12).endpoints["normal_2"] == (6, 6, 8)  # the factorised reduction


def test_first_cell_reads_the_stem_raw():
    network = CellNetwork(NASNET, cells=2, filters=4)
    first, second = network.cells["normal_0"], network.cells["normal_1"]
    assert first.fit_older is None and first.fit_newer[0].in_channels == 12
    assert first.fit_output["0"][0].in_channels == 12  # p is part of the output
    assert second.fit_older[0].in_channels == 12 and not second.fit_output
    fitting = CellNetwork(NASNET, cells=1, filters=4, stem_filters=4)
    assert not fitting.cells["normal_0"].fit_output


def test_layout_tells_who_reads_whom():
    network = CellNetwork(NASNET, cells=(2, 1, 1), filters=4, auxiliary=True)
    assert [(layer.name, layer.role, layer.inputs, layer.filters, layer.stage)
            for layer in network.layout] == [
        ("stem", "stem", (), 12, 0),
        ("normal_0", "normal", ("stem", "stem"), 24, 1),
        ("normal_1", "normal", ("stem", "normal_0"), 24, 1),
        ("reduction_0", "reduction", ("normal_0", "normal_1"), 32, 2),
        ("normal_2", "normal", ("normal_1", "reduction_0"), 48, 2),
        ("auxiliary", "auxiliary", ("normal_2",), 10, 2),
        ("reduction_1", "reduction", ("reduction_0", "normal_2"), 64, 3),
        ("normal_3", "normal", ("normal_2", "reduction_1"), 96, 3),
        ("classifier", "classifier", ("normal_3",), 10, 3),
    ]  # fmt: skip
    network = CellNetwork(
        NASNET, cells=1, filters=8, stem="imagenet", skip_reduction_layer_input=True
    )
    reads = {layer.name: layer.inputs for layer in network.layout}
    assert reads["stem_0"] == ("stem", "stem") and reads["stem_1"] == ("stem", "stem_0")
    assert reads["normal_0"] == ("stem_0", "stem_1")
    assert reads["reduction_0"] == ("stem_1", "normal_0")
    assert reads["normal_1"] == ("stem_1", "reduction_0")
    assert reads["reduction_1"] == ("reduction_0", "normal_1")
    assert reads["normal_2"] == ("reduction_0", "reduction_1")
    widths = [layer.width for layer in network.layout if layer.is_cell]
    assert widths == [2, 4, 8, 16, 16, 32, 32]
    assert network(torch.randn(2, 3, 33, 33)).shape == (2, 10)


def test_auxiliary_head_answers_in_training_only():
    network = CellNetwork(NASNET, classes=7, auxiliary=True, image_size=9, **SMALL)
    images = torch.randn(2, 3, 9, 9)
    logits, auxiliary = network(images)
    assert logits.shape == auxiliary.shape == (2, 7)
    auxiliary.sum().backward()
    assert network.auxiliary[-1].weight.grad is not None
    assert network.cells["reduction_1"].fit_newer[0].weight.grad is None  # it stands before
    assert network.cells["normal_1"].fit_newer[0].weight.grad is not None
    assert network.eval()(images).shape == (2, 7)
    assert network(torch.randn(2, 3, 20, 20)).shape == (2, 7)  # any size in evaluation
    with pytest.raises(
        NetworkError, match=r"built for images of 9 x 9, got 20 x 20.*image_size=20"
    ):
        network.train()(torch.randn(2, 3, 20, 20))


def test_initial_weights_are_scaled_by_fan_out():
    torch.manual_seed(0)
    network = CellNetwork(NASNET, cells=1, filters=96)
    cell = network.cells["reduction_1"]
    sep_7x7, pointwise = cell.blocks[0].right.layers[0], cell.blocks[0].right.layers[1]
    assert sep_7x7.groups > 1
    for layer, fan_out in ((sep_7x7, 49), (pointwise, 384), (network.entry[0], 9 * 288)):
        # Sampling error of a standard deviation over n values: 1 / sqrt(2 n), below 0.01 here.
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.03)
        assert layer.weight.abs().max().item() <= 2 * math.sqrt(2.6 / fan_out) * 1.0001
        assert layer.bias is None


def test_the_same_seed_makes_the_same_network():
    first, second, other = (
        torch.manual_seed(seed) and CellNetwork(NASNET, **SMALL).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["entry.0.weight"], other["entry.0.weight"])


def test_batch_norm_follows_the_stem():
    def norms(**options):
        network = CellNetwork(NASNET, **SMALL, **options)
        return {(m.momentum, m.eps) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}

    assert norms() == {(0.1, 1e-5)}
    assert norms(stem="imagenet", auxiliary=True) == {(0.0003, 1e-3)}


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_by_itself(channels):
    network = CellNetwork(NASNET, channels=channels, **SMALL)
    formats = []
    for cell in network.cells.values():
        cell.register_forward_hook(lambda *a: formats.append(a[2].tensor))
    network(torch.randn(2, channels, 12, 12))
    assert len(formats) == 5
    assert all(t.is_contiguous(memory_format=torch.channels_last) for t in formats)


def test_copies_files_and_autocast():
    torch.manual_seed(0)
    network = warmed_up(CellNetwork(NASNET, **SMALL), 12)
    images = torch.randn(2, 3, 12, 12)
    expected = network(images)
    assert torch.equal(copy.deepcopy(network)(images), expected)
    assert torch.equal(pickle.loads(pickle.dumps(network))(images), expected)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    again = CellNetwork(NASNET, **SMALL).eval()
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(again(images), expected)
    assert torch.equal(network(images.to(memory_format=torch.channels_last)), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network.train()(images).sum().backward()
    assert network.entry[0].weight.grad.isfinite().all()


def test_dropout_before_the_classifier():
    network = CellNetwork(NASNET, dropout=0.5, **SMALL)
    seen = []
    network.classifier.register_forward_hook(lambda *a: seen.append(a[1][0]))
    network(torch.randn(8, 3, 12, 12))
    network.eval()(torch.randn(8, 3, 12, 12))
    zeros = [(features == 0).float().mean().item() for features in seen]
    assert zeros[0] > 0.4 and zeros[1] < zeros[0] - 0.3

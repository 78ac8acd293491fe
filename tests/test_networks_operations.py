"""Every operation by itself: shapes at each stride and size, and what exactly it computes."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasworkbench.errors import NetworkError
from nasworkbench.genotype import OPERATIONS
from nasworkbench.networks import State, build_operation, drop_path, keep_probability
from nasworkbench.networks.operations import FactorizedReduction, Pointwise, conv

NORM = partial(nn.BatchNorm2d, momentum=0.1, eps=1e-5)


def kinds(module: nn.Module) -> list[str]:
    """The layers in a row, convolutions as "3x3 8->4 /2" (kernel, channels, stride)."""
    words = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            depthwise = "dw " if layer.groups > 1 else ""
            dilated = " rate 2" if layer.dilation == (2, 2) else ""
            kernel = "x".join(map(str, layer.kernel_size))
            stride = "" if layer.stride == (1, 1) else " /" + ",".join(map(str, layer.stride))
            words.append(
                f"{depthwise}{kernel} {layer.in_channels}->{layer.out_channels}{stride}{dilated}"
            )
        elif isinstance(layer, nn.BatchNorm2d | nn.ReLU):
            words.append({"BatchNorm2d": "bn", "ReLU": "relu"}[type(layer).__name__])
    return words


@pytest.mark.parametrize("bottleneck", [False, True], ids=["plain", "bottleneck"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_shapes_and_gradients_at_all_sizes(name, stride, bottleneck):
    torch.manual_seed(0)
    for channels in (4, 6):
        operation = build_operation(name, channels, 4, stride, NORM, bottleneck)
        for height in range(1, 10):
            width = (height * 5) % 9 + 1  # 1 to 9 in another order
            tensor = torch.randn(3, channels, height, width, requires_grad=True)
            result = operation(State(tensor))
            assert result.shape == (3, 4, math.ceil(height / stride), math.ceil(width / stride))
            result.square().sum().backward()
            assert tensor.grad is not None and tensor.grad.isfinite().all()
        assert all(p.grad is not None for p in operation.parameters())


@pytest.mark.parametrize(
    ("name", "stride", "layers"),
    [
        ("sep_conv_5x5", 2, ["dw 5x5 6->6 /2,2", "1x1 6->8", "bn", "relu",
                             "dw 5x5 8->8", "1x1 8->8", "bn"]),
        ("dil_sep_conv_3x3", 2, ["dw 3x3 6->6 /2,2 rate 2", "1x1 6->8", "bn"]),
        ("conv_1x1", 2, ["1x1 6->8 /2,2", "bn"]),
        ("conv_3x3", 2, ["3x3 6->8 /2,2", "bn"]),
        ("dil_conv_3x3", 1, ["3x3 6->8 rate 2", "bn"]),
        ("conv_1x7_7x1", 2, ["1x7 6->8 /1,2", "bn", "relu", "7x1 8->8 /2,1", "bn"]),
        ("conv_7x1_1x7", 2, ["1x7 6->8 /1,2", "7x1 8->8 /2,1", "bn"]),
        ("conv_1x3_3x1", 1, ["1x3 6->8", "bn", "relu", "3x1 8->8", "bn"]),
        ("identity", 2, ["1x1 6->8 /2,2", "bn"]),
        ("avg_pool_3x3", 2, ["1x1 6->8", "bn"]),
    ],
)  # fmt: skip
def test_layers_of_the_plain_form(name, stride, layers):
    assert kinds(build_operation(name, 6, 8, stride, NORM)) == layers


@pytest.mark.parametrize(
    ("name", "filters", "layers"),
    [
        ("conv_3x3", 8, ["1x1 6->2", "bn", "relu", "3x3 2->2 /2,2", "bn", "relu",
                         "1x1 2->8", "bn"]),
        ("conv_1x7_7x1", 8, ["1x1 6->2", "bn", "relu", "1x7 2->2 /1,2", "bn", "relu",
                             "7x1 2->2 /2,1", "bn", "relu", "1x1 2->8", "bn"]),
        ("conv_1x3_3x1", 8, ["1x1 6->3", "bn", "relu", "1x3 3->3 /1,2", "bn", "relu",
                             "3x1 3->3 /2,1", "bn", "relu", "1x1 3->8", "bn"]),
        ("conv_1x1", 8, ["1x1 6->8 /2,2", "bn"]),
        ("conv_3x3", 3, ["3x3 6->3 /2,2", "bn"]),  # a quarter of 3 is below 1
        ("conv_1x3_3x1", 3, ["1x1 6->1", "bn", "relu", "1x3 1->1 /1,2", "bn", "relu",
                             "3x1 1->1 /2,1", "bn", "relu", "1x1 1->3", "bn"]),
    ],
)  # fmt: skip
def test_layers_of_the_bottleneck_form(name, filters, layers):
    assert kinds(build_operation(name, 6, filters, 2, NORM, bottleneck=True)) == layers


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "pool" in name])
def test_pools_and_identity_cost_nothing_where_the_channels_fit(name):
    for stride in (1, 2):
        assert not list(build_operation(name, 8, 8, stride, NORM).parameters())
    assert not list(build_operation("identity", 8, 8, 1, NORM).parameters())
    tensor = torch.randn(1, 8, 3, 3)
    assert build_operation("identity", 8, 8, 1, NORM)(State(tensor)) is tensor


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if "pool" in name])
def test_pools_look_at_the_map_only(name, stride):
    """Against windows cut out by hand: nothing outside of the map counts."""
    size = int(name[-1])
    before = (size - 1) // 2
    for height, width in ((1, 1), (4, 5), (7, 6)):
        tensor = torch.arange(1.0, height * width + 1).reshape(1, 1, height, width) - 100  # < 0
        result = build_operation(name, 1, 1, stride, NORM)(State(tensor))
        for row in range(result.shape[2]):
            for column in range(result.shape[3]):
                top, left = row * stride - before, column * stride - before
                window = tensor[0, 0, max(top, 0) : top + size, max(left, 0) : left + size]
                expected = window.mean() if name.startswith("avg") else window.max()
                assert result[0, 0, row, column] == pytest.approx(expected.item())


def test_pools_and_identity_read_the_state_before_its_relu():
    tensor = -torch.ones(2, 4, 5, 5)
    for name in ("identity", "avg_pool_3x3", "max_pool_5x5"):
        assert (build_operation(name, 4, 4, 1, NORM)(State(tensor)) == -1).all()
    for name in ("conv_1x1", "conv_3x3", "sep_conv_3x3", "dil_sep_conv_5x5", "dil_conv_3x3"):
        operation = build_operation(name, 4, 4, 1, NORM).eval()
        assert (operation(State(tensor)) == 0).all()


def test_a_state_shares_its_relu_and_its_pools():
    state = State(torch.randn(2, 4, 6, 6))
    before = state.tensor.clone()
    assert state.relu() is state.relu()
    assert state.pool("max_pool_3x3", 2) is state.pool("max_pool_3x3", 2)
    assert state.pool("max_pool_3x3", 1).shape != state.pool("max_pool_3x3", 2).shape
    assert torch.equal(state.tensor, before)
    assert torch.equal(state.relu(), before.clamp(min=0))


@pytest.mark.parametrize("size", [(6, 6), (5, 7), (1, 1), (2, 3)])
@pytest.mark.parametrize("filters", [1, 4, 5])
def test_factorised_reduction(size, filters):
    """As the authors write it: pad right and below, drop the first row and column, subsample."""
    torch.manual_seed(0)
    reduction = FactorizedReduction(3, filters, NORM)
    tensor = torch.randn(2, 3, *size)
    shifted = F.pad(tensor, (0, 1, 0, 1))[:, :, 1:, 1:]
    halves = [] if reduction.even is None else [reduction.even.weight]
    paths = [tensor, shifted][-len(halves) - 1 :]
    expected = torch.cat(
        [
            F.conv2d(path[:, :, ::2, ::2], weight)
            for path, weight in zip(paths, [*halves, reduction.odd.weight], strict=True)
        ],
        dim=1,
    )
    assert reduction.odd.out_channels == filters - filters // 2
    assert expected.shape[1] == filters
    torch.testing.assert_close(reduction.eval()(tensor), expected / math.sqrt(1 + 1e-5))


def test_unknown_operation():
    with pytest.raises(NetworkError, match=r"unknown operation 'conv_9x9'.*sep_conv_7x7"):
        build_operation("conv_9x9", 4, 4, 1, NORM)


def test_drop_path_drops_whole_examples_and_keeps_the_expectation():
    torch.manual_seed(0)
    dropped = drop_path(torch.ones(20_000, 2, 3, 1), keep=0.7)
    per_example = dropped.flatten(1)
    assert (per_example == per_example[:, :1]).all()
    values = per_example[:, 0].unique().tolist()
    assert values == pytest.approx([0, 1 / 0.7])
    # Standard error of the mean: sqrt(0.3 / 0.7 / 20,000) = 0.0046.
    assert per_example[:, 0].mean().item() == pytest.approx(1, abs=0.02)
    tensor = torch.ones(2, 2, 2, 2)
    assert drop_path(tensor, keep=1.0) is tensor


def test_drop_path_schedules():
    # The authors' schedule on CIFAR, 6 @ 768: 20 cells, final keep probability 0.6.
    def in_depth(progress, cell):
        return keep_probability(progress, 0.6, cell, 20, in_depth=True)

    assert [in_depth(1, 0), in_depth(1, 19)] == pytest.approx([0.98, 0.6])
    assert [in_depth(0.5, 0), in_depth(0.5, 19)] == pytest.approx([0.99, 0.8])
    assert in_depth(0, 19) == 1
    # The paper's: in time only.
    assert [keep_probability(p, 0.6, cell=3, cells=20) for p in (0, 0.5, 1)] == [1, 0.8, 0.6]


@pytest.mark.parametrize(
    ("progress", "keep", "message"),
    [(1.5, 0.5, "progress .* from 0 to 1, got 1.5"), (-1, 0.5, "progress"),
     (0.5, 0, "above 0 to 1, got 0"), (0.5, 1.1, "got 1.1")],
)  # fmt: skip
def test_drop_path_out_of_range(progress, keep, message):
    with pytest.raises(NetworkError, match=message):
        keep_probability(progress, keep)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_pointwise_is_the_convolution(stride, layout):
    """The matrix product gives torch's convolution and its gradients, in its memory format."""
    torch.manual_seed(0)
    ours = conv(6, 4, 1, stride).double()
    assert isinstance(ours, Pointwise)
    theirs = nn.Conv2d(6, 4, 1, stride, bias=False).double()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 6, 7, 5, dtype=torch.float64).to(memory_format=layout)
    found, expected = ours(images), theirs(images)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=layout)
    found.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)

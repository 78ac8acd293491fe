"""The operations of a block as modules, and the hidden states that they read.

Separable convolutions, pools and identity follow the authors' code (``nasnet_utils.py``); the
other convolutions are plain, as the NASNet paper names them, or in the bottleneck form of the same
group's AmoebaNet code (``network_utils.py``). The order is ReLU, convolution, batch norm
(appendix A.4); no convolution has a bias, as a batch norm follows.

Padding is symmetric. TensorFlow's SAME padding is not, at stride 2 on maps of even size: a 3x3
kernel gets (0, 1) rows instead of (1, 1). This matters only to weights that were trained that way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import NetworkError, listed
from ..genotype import OPERATIONS

#: Makes the batch norm for so many channels: momentum and epsilon are the network's choice.
Norm = Callable[[int], nn.Module]


class State:
    """A hidden state of shape (batch, channels, height, width), and what its readers share.

    Most operations begin with a ReLU of the state and several read the same state. The ReLU (and
    a pool) is computed when first asked for and then kept: autograd stores it once, not once per
    reader. Nobody may change ``tensor`` or a shared result in place.
    """

    __slots__ = ("_pools", "_relu", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self._relu: Tensor | None = None
        self._pools: dict[tuple[str, int], Tensor] = {}

    def relu(self) -> Tensor:
        """The state after a ReLU."""
        if self._relu is None:
            self._relu = F.relu(self.tensor)
        return self._relu

    def pool(self, name: str, stride: int) -> Tensor:
        """The state after the pool of that name; see :func:`pool`."""
        key = name, stride
        if key not in self._pools:
            self._pools[key] = pool(self.tensor, name, stride)
        return self._pools[key]


def pool(tensor: Tensor, name: str, stride: int) -> Tensor:
    """``avg_pool_kxk`` or ``max_pool_kxk``; a map of side n becomes ceil(n / stride).

    The average is over the pixels of the map that the window covers, not over the padding.
    """
    size = int(name[-1])
    if name.startswith("avg_pool"):
        return F.avg_pool2d(tensor, size, stride, size // 2, count_include_pad=False)
    if size % 2:
        return F.max_pool2d(tensor, size, stride, size // 2)
    if stride > 1:
        return F.max_pool2d(tensor, size, stride, ceil_mode=True)
    # A window of even size has no middle; as TensorFlow's SAME, it begins at its own pixel.
    return F.max_pool2d(tensor, size, stride, size // 2)[:, :, 1:, 1:]


class Identity(nn.Module):
    """The state as it is: no copy, no weights."""

    def forward(self, state: State) -> Tensor:
        return state.tensor


class Pool(nn.Module):
    """A pool without a ReLU; a 1x1 convolution and batch norm only where the channels must fit."""

    def __init__(self, name: str, channels: int, filters: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.name, self.stride = name, stride
        self.fit = None if channels == filters else chain([[conv(channels, filters, 1)]], norm)

    def forward(self, state: State) -> Tensor:
        pooled = state.pool(self.name, self.stride)
        return pooled if self.fit is None else self.fit(pooled)

    def extra_repr(self) -> str:
        return f"{self.name}, stride={self.stride}"


class Convolutions(nn.Module):
    """The state's shared ReLU, then convolutions and batch norms in a row."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, state: State) -> Tensor:
        return self.layers(state.relu())


class FactorizedReduction(nn.Module):
    """Halve a map without losing every other pixel: two 1x1 convolutions on shifted grids.

    The first reads the pixels (0, 0), (0, 2), ..., the second (1, 1), (1, 3), ..., with zeros
    beyond the border; one batch norm over both. If ``filters`` is odd the second makes one more.
    There is no ReLU in here.
    """

    def __init__(self, channels: int, filters: int, norm: Norm) -> None:
        super().__init__()
        half = filters // 2
        self.even = conv(channels, half, 1, stride=2) if half else None
        self.odd = conv(channels, filters - half, 1)
        self.norm = norm(filters)

    def forward(self, tensor: Tensor) -> Tensor:
        # The shifted grid, cut out first: a quarter of what padding the whole map would copy.
        shifted = tensor[:, :, 1::2, 1::2]
        missing_rows, missing_columns = tensor.shape[2] % 2, tensor.shape[3] % 2
        if missing_rows or missing_columns:
            shifted = F.pad(shifted, (0, missing_columns, 0, missing_rows))
        result = self.odd(shifted)
        if self.even is not None:
            result = torch.cat([self.even(tensor), result], dim=1)
        return self.norm(result)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, on a CPU computed as the matrix product that it is.

    In the channels-last format a map lies in memory as a matrix of pixels by channels. For the
    small maps of a search torch's matrix product takes half the time of its convolution.
    """

    def forward(self, images: Tensor) -> Tensor:
        if not (images.is_cpu and images.is_contiguous(memory_format=torch.channels_last)):
            return super().forward(images)
        rows, columns = self.stride
        pixels = images[:, :, ::rows, ::columns].permute(0, 2, 3, 1)
        return F.linear(pixels, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def conv(
    channels: int,
    filters: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """A convolution without bias that makes a map of side n into one of ceil(n / stride).

    A flat kernel strides along its own axis only: 1x7 then 7x1 at stride 2 halve one side each.
    """
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    kind = Pointwise if height == width == groups == 1 else nn.Conv2d
    return kind(
        channels,
        filters,
        (height, width),
        stride=(1 if height < width else stride, 1 if width < height else stride),
        padding=(dilation * (height // 2), dilation * (width // 2)),
        dilation=dilation,
        groups=groups,
        bias=False,
    )


def separable(
    channels: int, filters: int, kernel: int, stride: int = 1, dilation: int = 1
) -> list[nn.Conv2d]:
    """A depthwise convolution, then a 1x1 one: nothing between them (appendix A.4)."""
    depthwise = conv(channels, channels, kernel, stride, dilation, groups=channels)
    return [depthwise, conv(channels, filters, 1)]


def chain(groups: Sequence[Sequence[nn.Conv2d]], norm: Norm) -> nn.Sequential:
    """Groups of convolutions, a batch norm after each group and a ReLU between the groups."""
    layers: list[nn.Module] = []
    for group in groups:
        if layers:
            layers.append(nn.ReLU(inplace=True))  # the batch norm's own result: nobody else's
        layers += [*group, norm(group[-1].out_channels)]
    return nn.Sequential(*layers)


#: The kernels (height, width) of the ordinary convolutions, one after another; the rate is 2
#: in "dil_conv": this project's choice, the smallest in the AmoebaNet code (the paper gives none).
KERNELS: dict[str, list[tuple[int, int]]] = {
    "conv_1x1": [(1, 1)],
    "conv_3x3": [(3, 3)],
    "dil_conv_3x3": [(3, 3)],
    "conv_1x3_3x1": [(1, 3), (3, 1)],
    "conv_1x7_7x1": [(1, 7), (7, 1)],
}


def build_operation(
    name: str, channels: int, filters: int, stride: int, norm: Norm, bottleneck: bool = False
) -> nn.Module:
    """The module of an operation: :class:`State` -> tensor of shape (batch, filters, ...).

    Args:
        name: one of ``OPERATIONS``.
        channels: of the state that it reads.
        filters: of its result, F.
        stride: 2 in a reduction cell where it reads one of the cell's inputs, else 1.
        norm: makes a batch norm.
        bottleneck: Google's form of the ordinary convolutions larger than 1x1: between two 1x1
            convolutions, on F/4 channels (3F/8 for 1x3 then 3x1); plain where that is below 1.

    Raises:
        NetworkError: an unknown operation.
    """
    if name.startswith(("avg_pool", "max_pool")):
        return Pool(name, channels, filters, stride, norm)
    if name == "identity" and stride == 1 and channels == filters:
        return Identity()
    if name == "identity":
        groups = [[conv(channels, filters, 1, stride)]]
    elif name.startswith("sep_conv"):  # always applied twice; the first one strides and fits
        size = int(name[-1])
        groups = [separable(channels, filters, size, stride), separable(filters, filters, size)]
    elif name.startswith("dil_sep_conv"):  # applied once, as in DARTS
        groups = [separable(channels, filters, int(name[-1]), stride, dilation=2)]
    elif name == "conv_7x1_1x7":  # as DARTS's code runs it: 1x7, then 7x1, with nothing between
        groups = [[conv(channels, filters, (1, 7), stride), conv(filters, filters, (7, 1), stride)]]
    elif name in KERNELS:
        groups = _ordinary(name, channels, filters, stride, bottleneck)
    else:
        raise NetworkError(f"unknown operation {name!r}; the operations are {listed(OPERATIONS)}")
    return Convolutions(chain(groups, norm))


def _ordinary(
    name: str, channels: int, filters: int, stride: int, bottleneck: bool
) -> list[list[nn.Conv2d]]:
    middle = filters * 3 // 8 if name == "conv_1x3_3x1" else filters // 4
    narrow = bottleneck and name != "conv_1x1" and middle >= 1
    width = middle if narrow else filters
    groups = [[conv(channels, width, 1)]] if narrow else []
    entering = width if narrow else channels
    for kernel in KERNELS[name]:
        dilation = 2 if name.startswith("dil") else 1
        groups.append([conv(entering, width, kernel, stride, dilation)])
        entering = width
    return [*groups, [conv(width, filters, 1)]] if narrow else groups

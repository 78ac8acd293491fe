"""What comes before and after the cells: the stem's convolution and the auxiliary classifier."""

from __future__ import annotations

from torch import nn

from .operations import Norm, chain, conv


def stem_convolution(stem: str, channels: int, filters: int, norm: Norm) -> nn.Sequential:
    """The first layer: a 3x3 convolution and batch norm, without a ReLU.

    CIFAR: stride 1, the map keeps its size. ImageNet: stride 2 without padding, 224 -> 111.
    """
    if stem == "cifar":
        return chain([[conv(channels, filters, 3)]], norm)
    valid = nn.Conv2d(channels, filters, 3, stride=2, bias=False)
    return chain([[valid]], norm)


def auxiliary_head(channels: int, side: int, classes: int, norm: Norm) -> nn.Sequential:
    """A second classifier in the middle of the network, for training only.

    5x5 average pool with stride 3, 1x1 convolution to 128, a convolution over the whole map to
    768, linear (authors' ``nasnet.py``); it reads the state after a ReLU.

    Args:
        side: side of the map that it reads, at least 5.
    """
    pooled = (side - 5) // 3 + 1
    whole = nn.Conv2d(128, 768, pooled, bias=False)
    return nn.Sequential(
        nn.AvgPool2d(5, stride=3),
        chain([[conv(channels, 128, 1)], [whole]], norm),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(768, classes),
    )

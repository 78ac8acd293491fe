"""Fold batch norms into the convolutions before them: the same function with fewer layers."""

from __future__ import annotations

from copy import deepcopy

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from .operations import FactorizedReduction


def fold(module: nn.Module) -> None:
    """Replace every convolution + batch norm in the module by one convolution with a bias.

    In place, for a module in evaluation mode: the running statistics become constants.
    """
    for child in module.modules():
        if isinstance(child, FactorizedReduction):
            _fold_reduction(child)
        elif isinstance(child, nn.Sequential):
            _fold_sequence(child)


def _fold_sequence(sequence: nn.Sequential) -> None:
    layers: list[nn.Module] = []
    for layer in sequence:
        if isinstance(layer, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    del sequence[:]
    sequence.extend(layers)


def _fold_reduction(reduction: FactorizedReduction) -> None:
    """Both convolutions take their part of the one batch norm."""
    norm = reduction.norm
    if not isinstance(norm, nn.BatchNorm2d):
        return
    half = norm.num_features - reduction.odd.out_channels
    if reduction.even is not None:
        reduction.even = fuse_conv_bn_eval(reduction.even, _part(norm, slice(0, half)))
    reduction.odd = fuse_conv_bn_eval(reduction.odd, _part(norm, slice(half, None)))
    reduction.norm = nn.Identity()


def _part(norm: nn.BatchNorm2d, channels: slice) -> nn.BatchNorm2d:
    """The batch norm of some of the channels."""
    part = deepcopy(norm)
    for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
        assert tensor is not None
        tensor.data = tensor.data[channels]
    return part

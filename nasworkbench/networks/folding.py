"""Fold batch norms into the convolutions before them: the same function with fewer layers."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_conv_bn_weights

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
    norm, first = reduction.norm, 0
    if not isinstance(norm, nn.BatchNorm2d):
        return
    for layer in filter(None, (reduction.even, reduction.odd)):
        last = first + layer.out_channels
        statistics = [norm.running_mean, norm.running_var, norm.weight, norm.bias]
        mean, variance, scale, shift = (s[first:last] for s in statistics if s is not None)
        layer.weight, layer.bias = fuse_conv_bn_weights(
            layer.weight, layer.bias, mean, variance, norm.eps, scale, shift
        )
        first = last
    reduction.norm = nn.Identity()

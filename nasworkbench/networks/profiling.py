"""What a network costs: parameters, multiply-adds and the shapes of its layers."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn

from . import layout as plan
from .network import CellNetwork


@dataclass(frozen=True)
class Profile:
    """What a network costs for one image.

    Args:
        parameters: trainable numbers of what is built, an auxiliary head included.
        auxiliary_parameters: those of the auxiliary head, 0 without one.
        mult_adds: multiply-adds of the convolutions and the classifier for one image; as in the
            papers, without batch norms, pools and the auxiliary head.
        endpoints: name of a layer -> (height, width, channels) of its output, in order.
    """

    parameters: int
    auxiliary_parameters: int
    mult_adds: int
    endpoints: dict[str, tuple[int, int, int]]


def profile(network: CellNetwork, image_size: int) -> Profile:
    """Count a network's parameters and multiply-adds for square images of this side.

    A batch of *no* images passes through the network: every layer sees the right shape, and
    nothing is computed.

    Raises:
        NetworkError: images too small for the network.
    """
    plan.check_image_size(image_size)
    network = _twin(network)
    mult_adds = 0
    endpoints: dict[str, tuple[int, int, int]] = {}

    def count(layer: nn.Module, _: object, result: torch.Tensor) -> None:
        nonlocal mult_adds
        assert isinstance(layer.weight, torch.Tensor)
        positions = result.shape[2] * result.shape[3] if result.ndim == 4 else 1
        mult_adds += layer.weight.numel() * positions  # each weight is used once per position

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)

    def watch(name: str, layer: nn.Module) -> None:
        def note(_: nn.Module, __: object, result) -> None:
            shape = getattr(result, "tensor", result).shape
            endpoints[name] = shape[2], shape[3], shape[1]

        layer.register_forward_hook(note)

    watch("stem", network.entry)
    for name, cell in network.cells.items():
        watch(name, cell)

    weight = network.classifier.weight
    with torch.no_grad():
        network(weight.new_empty(0, network.channels, image_size, image_size))
    return Profile(
        parameters=_trainable(network),
        auxiliary_parameters=0 if network.auxiliary is None else _trainable(network.auxiliary),
        mult_adds=mult_adds,
        endpoints=endpoints,
    )


def _twin(network: CellNetwork) -> CellNetwork:
    """The same network in evaluation mode: other module objects, the very same weights."""
    tensors = [*network.parameters(), *network.buffers()]
    return deepcopy(network, {id(tensor): tensor for tensor in tensors}).eval()


def _trainable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)

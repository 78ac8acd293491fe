"""What a network costs: parameters, multiply-adds and the shapes of its layers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import nn

from ..checks import whole
from ..errors import NetworkError
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
    nothing is computed. Torch's own ``FlopCounterMode`` counts the same (the tests compare); it
    takes seven to sixteen times as long, too long for a cell that is being edited.

    Raises:
        NetworkError: images too small for the network.
    """
    image_size = whole("image_size", image_size, error=NetworkError)
    mult_adds = 0

    def count(layer: nn.Module, _: object, result: torch.Tensor) -> None:
        nonlocal mult_adds
        assert isinstance(layer.weight, torch.Tensor)
        positions = result.shape[2] * result.shape[3] if result.ndim == 4 else 1
        mult_adds += layer.weight.numel() * positions  # each weight is used once per position

    modes = {module: module.training for module in network.modules()}
    with ExitStack() as restored, torch.no_grad():
        for module, mode in modes.items():
            restored.callback(setattr, module, "training", mode)
            if isinstance(module, nn.Conv2d | nn.Linear):
                restored.enter_context(module.register_forward_hook(count))
        sizes = (network.channels, image_size, image_size)
        network.eval()(network.classifier.weight.new_empty(0, *sizes))
    return Profile(
        parameters=_trainable(network),
        auxiliary_parameters=0 if network.auxiliary is None else _trainable(network.auxiliary),
        mult_adds=mult_adds,
        endpoints=network.endpoints(image_size),
    )


def _trainable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)

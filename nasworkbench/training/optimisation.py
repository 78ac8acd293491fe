"""What a recipe means for one network: the loss, the optimiser, the averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn, optim
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import SettingsError
from .recipe import Recipe


def step_loss(outputs: Any, labels: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """The loss of a step, and the logits of the main head."""
    smoothing = recipe.label_smoothing
    if not isinstance(outputs, tuple):
        return cross_entropy(outputs, labels, label_smoothing=smoothing), outputs
    logits, auxiliary = outputs
    loss = cross_entropy(logits, labels, label_smoothing=smoothing)
    side = cross_entropy(auxiliary, labels, label_smoothing=smoothing)
    return loss + recipe.auxiliary_weight * side, logits


def make_optimiser(network: nn.Module, recipe: Recipe) -> optim.SGD:
    """SGD with weight decay on weights only: batch norm and biases have one dimension."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=True,  # one call for all parameters: a tiny child has hundreds
    )


def make_average(network: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The moving average of weights and batch-norm statistics, if the recipe wants one."""
    if recipe.ema_decay is None:
        return None
    rule = get_ema_multi_avg_fn(recipe.ema_decay)
    return AveragedModel(network, multi_avg_fn=rule, use_buffers=True)


def find_drop_path(network: nn.Module, recipe: Recipe) -> Callable[..., None] | None:
    """The network's ``set_drop_path``; None if the recipe drops no paths.

    Raises:
        SettingsError: the network has none.
    """
    set_drop_path = getattr(network, "set_drop_path", None)
    if recipe.drop_path_keep < 1 and set_drop_path is None:
        raise SettingsError(
            f"recipe: drop_path_keep={recipe.drop_path_keep}, but {type(network).__name__} has no "
            "set_drop_path; use a CellNetwork, or drop_path_keep=1"
        )
    return set_drop_path if recipe.drop_path_keep < 1 else None

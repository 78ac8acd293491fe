"""ScheduledDropPath: paths through a cell are dropped at random, ever more often in training.

NASNet paper, section 4 and appendix A.5: plain drop path did not help, raising its probability
linearly over the training did. The authors' code multiplies in a second schedule, linear in depth.
"""

from __future__ import annotations

from torch import Tensor

from ..checks import number
from ..errors import NetworkError


def drop_path(tensor: Tensor, keep: float) -> Tensor:
    """Zero whole examples of a (batch, channels, height, width) tensor, and scale the others up.

    Each example is kept with probability ``keep`` and divided by it, so that the expectation stays
    the same and nothing needs to be rescaled in evaluation.
    """
    if keep >= 1:
        return tensor
    mask = tensor.new_empty((tensor.shape[0], 1, 1, 1)).bernoulli_(keep)
    return tensor * mask.div_(keep)


def keep_probability(
    progress: float, keep: float, cell: int = 0, cells: int = 1, in_depth: bool = False
) -> float:
    """The probability with which a path of one cell is kept at this point of the training.

    Args:
        progress: how much of the training is over, 0 to 1.
        keep: the final probability, above 0 and up to 1 (the authors: 0.6 on CIFAR, 0.7 for the
            large ImageNet model, 1 for the mobile one).
        cell: number of the cell from 0, those of the stem and the reduction cells included.
        cells: how many cells there are.
        in_depth: also linear in depth, as in the authors' code ("v3"); the paper's text has the
            schedule in time only.

    Raises:
        NetworkError: ``progress`` or ``keep`` out of range.
    """
    number("progress of the drop path", progress, 0, 1, error=NetworkError)
    number("keep of the drop path", keep, 0, 1, above=True, error=NetworkError)
    final = 1 - (cell + 1) / cells * (1 - keep) if in_depth else keep
    return 1 - progress * (1 - final)

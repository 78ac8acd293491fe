"""The child network: a genotype's cells, stacked as the NASNet paper stacks them (Figure 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .. import zoo
from ..checks import choice, instance, number, whole
from ..errors import NetworkError
from ..genotype import Drawable, Genotype
from .cell import CellModule
from .drop_path import keep_probability
from .folding import fold
from .heads import auxiliary_head, stem_convolution
from .layout import AUXILIARY_POOL, STEMS, Layer, lay_out, map_size, smallest_image, stage_sizes
from .notation import read_notation
from .operations import Norm, State

#: By stem: the batch norms' momentum (torch's convention: 1 - decay) and epsilon, and the side of
#: the images (the authors' ``nasnet.py``).
DEFAULTS = {"cifar": (0.1, 1e-5, 32), "imagenet": (0.0003, 1e-3, 224)}


class CellNetwork(Drawable, nn.Module):
    """A network for images of shape (batch, channels, height, width), built from a genotype.

    Three stages of N normal cells; a reduction cell before the second and the third halves the
    map and doubles F. The network keeps its weights in the memory format that is quickest for
    them (channels last) and brings the images into it.

    Args:
        genotype: the normal and the reduction cell, each with two inputs.
        cells: N, normal cells per stage; or three numbers, one per stage.
        filters: F, the channels of a hidden state in the first stage.
        classes: logits of the classifier.
        stem: ``cifar`` (the map keeps its size) or ``imagenet`` (it shrinks eightfold).
        channels: of the images.
        stem_filters: of the stem's convolution; by default 3 F (cifar) or 32 (imagenet).
        skip_reduction_layer_input: the cell after a reduction reads, as its older input, what the
            reduction read; on in the authors' large model only.
        auxiliary: build the auxiliary head, a second classifier for training.
        image_size: side of the (square) images; only the auxiliary head depends on it.
            By default 32 (cifar) or 224 (imagenet).
        dropout: probability of dropping a channel before the classifier.
        bottleneck: ordinary convolutions in the bottleneck form of the AmoebaNet code.

    Attributes:
        layout: one :class:`~nasworkbench.networks.Layer` per layer, in order.
        memory_format: of the weights and maps. Channels last makes training 1.5 times as fast on
            a CPU, and suits GPUs too.

    Raises:
        NetworkError: a setting out of range, or images too small for the network.
    """

    memory_format = torch.channels_last

    def __init__(
        self,
        genotype: Genotype,
        cells: int | Sequence[int] = 6,
        filters: int = 32,
        classes: int = 10,
        stem: str = "cifar",
        channels: int = 3,
        stem_filters: int | None = None,
        skip_reduction_layer_input: bool = False,
        auxiliary: bool = False,
        image_size: int | None = None,
        dropout: float = 0.0,
        bottleneck: bool = False,
    ) -> None:
        super().__init__()
        instance("genotype", genotype, Genotype, "zoo.get('nasnet-a')", NetworkError)
        choice("stem", stem, STEMS, NetworkError)
        least = 4 if stem == "imagenet" else 1  # the imagenet stem's first cell has F/4
        filters = whole(f"filters (F, with the {stem} stem)", filters, least, error=NetworkError)
        if stem_filters is None:
            stem_filters = 3 * filters if stem == "cifar" else 32
        classes = whole("classes", classes, error=NetworkError)
        channels = whole("channels", channels, error=NetworkError)
        stem_filters = whole("stem_filters", stem_filters, error=NetworkError)
        dropout = number("dropout", dropout, 0, 1, below=True, error=NetworkError)
        self.genotype = genotype
        self.classes, self.channels, self.stem = classes, channels, stem
        self.layout = lay_out(
            genotype,
            stage_sizes(cells),
            filters,
            classes,
            stem,
            stem_filters,
            skip_reduction_layer_input,
            auxiliary,
        )
        deepest = max(layer.halvings for layer in self.layout)
        self.smallest_image = smallest_image(stem, deepest - 1, side=2)  # a reduction needs 2 x 2
        momentum, eps, usual_size = DEFAULTS[stem]
        self.image_size = usual_size
        if image_size is not None:
            self.image_size = whole("image_size", image_size, error=NetworkError)
            self._check_size(self.image_size, self.image_size)

        norm = partial(nn.BatchNorm2d, momentum=momentum, eps=eps)
        by_name = {layer.name: layer for layer in self.layout}
        self.entry = stem_convolution(stem, channels, stem_filters, norm)
        self.cells = nn.ModuleDict()
        for layer in self.layout:
            if not layer.is_cell:
                continue
            normal = layer.role == "normal"
            # A layer that this cell ignores may be missing: any other stands in for its shape.
            older, newer = (by_name.get(name, self.layout[0]) for name in layer.pair)
            self.cells[layer.name] = CellModule(
                genotype.normal if normal else genotype.reduction,
                stride=1 if normal else 2,
                older=None if layer.pair[0] == layer.pair[1] else older.filters,
                newer=newer.filters,
                filters=layer.width,
                older_is_larger=older.halvings < layer.halvings - (not normal),
                norm=norm,
                bottleneck=bottleneck,
            )
        self.auxiliary: nn.Module | None = None
        if auxiliary:
            head = by_name["auxiliary"]
            self.auxiliary = self._build_auxiliary(head, by_name[head.inputs[0]].filters, norm)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(by_name[self.layout[-1].inputs[0]].filters, classes)
        self._last_use = {name: layer.name for layer in self.layout for name in layer.inputs}
        self._initialise()
        self.to(memory_format=self.memory_format)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits of shape (batch, classes).

        In training, with an auxiliary head: ``(logits, auxiliary_logits)``.

        Raises:
            NetworkError: images of another shape than (batch, channels, height, width), too small
                for the reduction cells, or of another size than the auxiliary head was built for.
        """
        self._check_images(images)
        images = images.contiguous(memory_format=self.memory_format)
        states = {"stem": State(self.entry(images))}
        auxiliary_logits = None
        for layer in self.layout:
            if layer.is_cell:
                older, newer = layer.pair
                states[layer.name] = self.cells[layer.name](states.get(older), states.get(newer))
            elif layer.role == "auxiliary" and self.auxiliary is not None and self.training:
                auxiliary_logits = self.auxiliary(states[layer.inputs[0]].relu())
            elif layer.role == "classifier":
                features = states[layer.inputs[0]].relu().mean((2, 3))
                logits = self.classifier(self.dropout(features))
            for name in layer.inputs:
                if self._last_use[name] == layer.name:
                    states.pop(name, None)  # its memory is free from here on
        return logits if auxiliary_logits is None else (logits, auxiliary_logits)

    def endpoints(self, image_size: int) -> dict[str, tuple[int, int, int]]:
        """``(height, width, channels)`` that the stem and each cell put out, in order.

        Args:
            image_size: side of the (square) images.
        """
        shapes = {}
        for layer in self.layout:
            if layer.role not in ("auxiliary", "classifier"):
                side = map_size(image_size, self.stem, layer.halvings)
                shapes[layer.name] = side, side, layer.filters
        return shapes

    @classmethod
    def from_notation(
        cls,
        genotype: str | Genotype,
        notation: str,
        stem: str = "imagenet",
        classes: int = 1000,
        **options: Any,
    ) -> CellNetwork:
        """The network of the paper's notation, as ``("nasnet-a", "4 @ 1056")``.

        Args:
            genotype: a name in the zoo, which also tells the form of the convolutions and whether
                the reduction cells stand in place of normal ones; or a genotype.
            notation: ``N @ P``: N normal cells per stage and P channels in the penultimate layer.
            stem: as in the constructor, like all further ``options``. The published large models
                bring a stem of 96 filters, and NASNet-A's ``skip_reduction_layer_input``.

        Raises:
            NetworkError: another notation, or a P that the genotype cannot have (says the
                nearest).
            WorkbenchError: no such name in the zoo.
        """
        if isinstance(genotype, Genotype):
            settings = read_notation(notation, genotype, stem)
            return cls(genotype, classes=classes, stem=stem, **(settings | options))
        entry = zoo.entry(genotype)
        settings = read_notation(notation, entry.genotype, stem) | {"bottleneck": entry.bottleneck}
        if entry.reductions_replace:
            settings["cells"] = (settings["cells"], settings["cells"] - 1, settings["cells"] - 1)
        return cls(entry.genotype, classes=classes, stem=stem, **(settings | options))

    def set_drop_path(self, progress: float, keep: float, in_depth: bool = False) -> None:
        """Set every cell's keep probability for a training that is ``progress`` (0 to 1) over.

        ScheduledDropPath: falls linearly over the training from 1 to ``keep``; ``in_depth``: also
        with the depth of the cell, as in the authors' code. No effect in evaluation.

        Raises:
            NetworkError: ``progress`` or ``keep`` out of range.
        """
        for place, cell in enumerate(self.cells.values()):
            assert isinstance(cell, CellModule)
            cell.keep = keep_probability(progress, keep, place, len(self.cells), in_depth)

    def folded(self) -> CellNetwork:
        """A copy for evaluation: batch norms folded into convolutions, no auxiliary head.

        It gives the same logits as this network does in evaluation, sooner. This network stays
        as it is.
        """
        copy = deepcopy(self).eval()
        copy.auxiliary = None
        fold(copy)
        return copy.requires_grad_(False).to(memory_format=self.memory_format)

    def _build_auxiliary(self, layer: Layer, channels: int, norm: Norm) -> nn.Module:
        side = map_size(self.image_size, self.stem, layer.halvings)
        if side < AUXILIARY_POOL:
            smallest = smallest_image(self.stem, layer.halvings, AUXILIARY_POOL)
            raise NetworkError(
                f"images of {self.image_size} x {self.image_size} leave a map of {side} x {side} "
                f"for the auxiliary head, whose pool needs {AUXILIARY_POOL}: the smallest "
                f"image_size is {smallest}, or build the network without it (auxiliary=False)"
            )
        return auxiliary_head(channels, side, self.classes, norm)

    def _check_images(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != self.channels or not images.is_floating_point():
            raise NetworkError(
                f"images must be a tensor of floating point numbers of shape (batch, "
                f"{self.channels}, height, width), got {tuple(images.shape)} of {images.dtype}"
            )
        self._check_size(*images.shape[2:])
        other_size = any(side != self.image_size for side in images.shape[2:])
        if self.auxiliary is not None and self.training and other_size:
            raise NetworkError(
                f"the auxiliary head was built for images of {self.image_size} x "
                f"{self.image_size}, got {images.shape[2]} x {images.shape[3]}; build the network "
                f"with image_size={images.shape[2]}"
            )

    def _check_size(self, *sides: int) -> None:
        if min(sides) < self.smallest_image:
            raise NetworkError(
                f"images of {' x '.join(map(str, sides))} are too small: a reduction cell needs a "
                f"map of at least 2 x 2, so with the {self.stem} stem the smallest image is "
                f"{self.smallest_image} x {self.smallest_image}"
            )

    def _initialise(self) -> None:
        """Variance scaling by fan-out (authors' ``nasnet.py``): truncated normal, 2 / fan_out.

        Cutting the normal distribution at two standard deviations shrinks its variance, for which
        TensorFlow's initialiser makes up by the factor 1.3. For a depthwise kernel TensorFlow's
        fan-out is its k x k. The linear layers keep torch's default: the classifier's scale hardly
        matters behind a batch norm and a mean over the map (this project's choice).
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels // module.groups * math.prod(module.kernel_size)
                std = math.sqrt(1.3 * 2 / fan_out)
                nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)

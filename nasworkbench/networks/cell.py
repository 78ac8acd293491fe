"""One cell as a module: fit the two inputs, run the blocks, concatenate the output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import NetworkError
from ..genotype import Block, Cell
from .drop_path import drop_path
from .layout import states_read
from .operations import FactorizedReduction, Norm, State, build_operation, chain, conv


class BlockModule(nn.Module):
    """Two operations and their combination.

    ``concat`` puts both results side by side and brings them back to F channels by a 1x1
    convolution, so that every hidden state has F channels (this project's choice; appendix A.4
    says that 1x1 convolutions are inserted where shapes must match).
    """

    def __init__(
        self, block: Block, left: nn.Module, right: nn.Module, join: nn.Module | None
    ) -> None:
        super().__init__()
        self.block, self.left, self.right, self.join = block, left, right, join

    def forward(self, states: dict[int, State], keep: float) -> State:
        left, right = self.left(states[self.block.left]), self.right(states[self.block.right])
        # Identity is never dropped, not even where it has become a 1x1 convolution.
        if self.block.left_op != "identity":
            left = drop_path(left, keep)
        if self.block.right_op != "identity":
            right = drop_path(right, keep)
        if self.join is None:
            return State(left + right)
        return State(self.join(torch.relu_(torch.cat([left, right], dim=1))))


class CellModule(nn.Module):
    """A normal cell (stride 1) or a reduction cell (stride 2).

    The newer input always passes ReLU, 1x1 convolution and batch norm to F channels. The older
    one passes the same if its channels differ, a factorised reduction if its map is larger, and
    is left as it is if it fits, or if both inputs are the same layer: the first cell after the
    image reads the stem raw (the authors' ``nasnet_utils.py``). Blocks from which the output
    cannot be reached are never built, nor is what only they would read.

    Args:
        cell: what to build; two inputs.
        stride: 2 halves the map: operations on the cell's inputs stride, those on blocks do not.
        older: channels of the older input, or None: both inputs are the same layer.
        newer: channels of the newer input.
        filters: F.
        older_is_larger: whether the older input's map is twice as large as the newer's.
        norm: makes a batch norm.
        bottleneck: see :func:`build_operation`.

    Raises:
        NetworkError: a cell with another number of inputs than two.
    """

    def __init__(
        self,
        cell: Cell,
        stride: int,
        older: int | None,
        newer: int,
        filters: int,
        older_is_larger: bool,
        norm: Norm,
        bottleneck: bool = False,
    ) -> None:
        super().__init__()
        if cell.inputs != 2:
            raise NetworkError(f"a network's cells have two inputs, this cell has {cell.inputs}")
        self.cell, self.filters = cell, filters
        self.keep = 1.0  # for drop path; CellNetwork.set_drop_path changes it
        needed = states_read(cell)

        self.fit_older: nn.Module | None = None
        self.fit_newer: nn.Module | None = None
        channels = {state: filters for state in range(cell.state_count)}
        if older is None:
            channels[0] = newer
        elif 0 in needed and older_is_larger:
            self.fit_older = FactorizedReduction(older, filters, norm)
        elif 0 in needed and older != filters:
            self.fit_older = chain([[conv(older, filters, 1)]], norm)
        if 1 in needed:
            self.fit_newer = chain([[conv(newer, filters, 1)]], norm)

        def operation(name: str, state: int) -> nn.Module:
            strides = stride if state < cell.inputs else 1
            return build_operation(name, channels[state], filters, strides, norm, bottleneck)

        self.blocks = nn.ModuleList()
        for block in (cell.blocks[number] for number in cell.used):
            left, right = (operation(name, state) for _, state, name in block.sides)
            concat = block.combine == "concat"
            join = chain([[conv(2 * filters, filters, 1)]], norm) if concat else None
            self.blocks.append(BlockModule(block, left, right, join))
        # An input that is part of the output must have the output's shape; no ReLU before these.
        self.fit_output = nn.ModuleDict()
        for state in cell.concat:
            if state < cell.inputs and stride > 1:
                self.fit_output[str(state)] = FactorizedReduction(channels[state], filters, norm)
            elif channels[state] != filters:
                self.fit_output[str(state)] = chain([[conv(channels[state], filters, 1)]], norm)

    def forward(self, older: State | None, newer: State | None) -> State:
        """The cell's output; an input that it does not read may be None."""
        keep = self.keep if self.training else 1.0
        states: dict[int, State] = {}
        if older is not None:
            states[0] = older if self.fit_older is None else State(self.fit_older(older.relu()))
        if newer is not None and self.fit_newer is not None:
            states[1] = State(self.fit_newer(newer.relu()))
        for number, block in zip(self.cell.used, self.blocks, strict=True):
            states[self.cell.inputs + number] = block(states, keep)
        return State(self._output(states))

    def _output(self, states: dict[int, State]) -> Tensor:
        outputs = []
        for state in self.cell.concat:
            tensor = states[state].tensor
            key = str(state)
            outputs.append(self.fit_output[key](tensor) if key in self.fit_output else tensor)
        return torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]

    def extra_repr(self) -> str:
        return f"filters={self.filters}"

"""GraphSpace: the search space of NAS-Bench-Graph, small graph networks of four nodes.

Qin et al., NeurIPS 2022, "NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search". Every
node applies one operation to *one* earlier node or to the input (0), so the graph is a tree that
grows out of the input, and the output joins its leaves. Nine wirings are all the trees of four
nodes.

Many token sequences are the same network. Two things make them so; which are the same is as in the
authors' code (``architecture.py`` of the PyPI package ``nas-bench-graph``, version 1.4.0):

*The order of siblings.* Nodes that read the same node can change places with all that hangs on
them.

*Skips that do nothing.* ``skip`` hands on what it reads. So it is :attr:`GraphArchitecture.idle`,
and can stand anywhere in the graph or be left out, if

- another node reads it: that one could as well read what the skip reads; or
- it is a leaf and, idle skips aside, no other node reads what it reads: the output would get the
  same without it; or
- it is a leaf that hands on the input itself: the authors' networks do not join the raw input, of
  another width, to the output.

A leaf skip that is left brings an inner node to the output beside that node's other readers (a
residual connection): that is another network. Two such skips of the same node are another one yet.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from ..checks import is_whole
from ..errors import GenotypeError, SpaceError, listed, shown
from ..genotype import FORMATS, Drawable, fields_of
from ..spaces.base import Decision, Space, Tokens, checked_names

NODES = (1, 2, 3, 4)
SKIP = "skip"

#: The paper's operations, in the order and with the names of the authors' code: graph attention
#: (2 heads), GCN, GIN, ChebNet, GraphSAGE, ARMA, k-GNN, fully connected, skip connection.
GRAPH_OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", SKIP)

#: The five of them with which the authors computed the data set ``proteins``.
PROTEINS_OPERATIONS = ("gcn", "sage", "arma", "fc", SKIP)

Wiring = tuple[int, ...]

#: Which node each node reads, 0 is the input: one wiring of each tree, in the authors' order.
WIRING_NAMES = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
WIRINGS: tuple[Wiring, ...] = tuple(tuple(map(int, name)) for name in WIRING_NAMES)

FORMAT = "nasworkbench.graph/1"


@dataclass(frozen=True)
class GraphArchitecture(Drawable):
    """Four nodes, numbered from 1; each reads the input (0) or an earlier node.

    Args:
        wiring: which node each node reads.
        operations: what each node does, out of :data:`GRAPH_OPERATIONS`.

    Raises:
        GenotypeError: not four of each, a node that reads itself or a later one, an unknown
            operation.
    """

    wiring: Wiring
    operations: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("wiring", "operations"):
            values = getattr(self, name)
            if not isinstance(values, list | tuple) or len(values) != len(NODES):
                raise GenotypeError(
                    f"{name} must be a list of 4, an entry for each node, got {shown(values)}"
                )
            object.__setattr__(self, name, tuple(values))
        for node, read, operation in zip(NODES, self.wiring, self.operations, strict=True):
            if not is_whole(read, 0, node - 1):
                raise GenotypeError(
                    f"node {node}: reads {shown(read)}; it may read 0 (the input) to {node - 1}"
                )
            if operation not in GRAPH_OPERATIONS:
                raise GenotypeError(
                    f"node {node}: unknown operation {shown(operation)}; the operations are "
                    f"{listed(GRAPH_OPERATIONS)}"
                )
        object.__setattr__(self, "wiring", tuple(map(int, self.wiring)))

    @property
    def leaves(self) -> tuple[int, ...]:
        """The nodes that no node reads."""
        return tuple(node for node in NODES if node not in self.wiring)

    @cached_property
    def _sources(self) -> tuple[int, ...]:
        """Of the input and of each node the nearest one before it that is not a skip."""
        sources = [0]
        for read in self.wiring:
            skips = read > 0 and self.operations[read - 1] == SKIP
            sources.append(sources[read] if skips else read)
        return tuple(sources)

    @cached_property
    def idle(self) -> tuple[int, ...]:
        """The skips that do nothing: see the head of this module."""
        skips = [node for node in NODES if self.operations[node - 1] == SKIP]
        passing = [node for node in skips if node in self.wiring]
        readers = Counter(self._sources[n] for n in NODES if n not in passing)
        return tuple(
            node
            for node in skips
            if node in passing or self._sources[node] == 0 or readers[self._sources[node]] == 1
        )

    @property
    def joined(self) -> tuple[int, ...]:
        """The leaves that the output joins: not those that hand on the input itself, unless there
        are no others."""
        raw = [n for n in self.leaves if self.operations[n - 1] == SKIP and self._sources[n] == 0]
        return tuple(node for node in self.leaves if node not in raw) or self.leaves

    @cached_property
    def key(self) -> str:
        """What the network computes, as text; equal for equal networks.

        Idle skips are left out, and behind each node is, in brackets and sorted, what reads it:
        ``input(gat,gcn(fc,skip))``. Four skips are ``input``.
        """
        readers: dict[int, list[int]] = {}
        for node in NODES:
            if node not in self.idle:
                readers.setdefault(self._sources[node], []).append(node)

        def text(node: int) -> str:
            name = self.operations[node - 1] if node else "input"
            if node not in readers:
                return name
            return f"{name}({','.join(sorted(map(text, readers[node])))})"

        return text(0)

    def to_json(self) -> str:
        """One line of JSON that :func:`nasworkbench.genotype.from_text` reads back."""
        wiring, operations = list(self.wiring), list(self.operations)
        return json.dumps({"format": FORMAT, "wiring": wiring, "operations": operations})

    @classmethod
    def from_dict(cls, record: object) -> GraphArchitecture:
        """The architecture that a parsed JSON text describes.

        Raises:
            GenotypeError: missing or unknown fields, or an architecture that cannot exist.
        """
        fields = fields_of(record, "a graph architecture", {"format", "wiring", "operations"})
        return cls(fields["wiring"], fields["operations"])

    def __str__(self) -> str:
        lines = [f"  {node}" for node in _nodes_in_words(self.wiring, self.operations)]
        joined = ", ".join(f"node {node}" for node in self.joined)
        return "\n".join(["Graph architecture", *lines, f"  output = {joined}"])


FORMATS[FORMAT] = GraphArchitecture.from_dict


class GraphSpace(Space[GraphArchitecture]):
    """The search space of NAS-Bench-Graph: one of nine wirings, then an operation for each node.

    With all nine operations 59,049 token sequences, 26,207 unique architectures.

    Args:
        operations: a subset of :data:`GRAPH_OPERATIONS`, in any order;
            :data:`PROTEINS_OPERATIONS` for the data set ``proteins``.

    Raises:
        SpaceError: no operations, unknown or repeated names.
    """

    def __init__(self, operations: Sequence[str] = GRAPH_OPERATIONS) -> None:
        self.operations = checked_names("operations", operations, GRAPH_OPERATIONS)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The wiring, an option for each of :data:`WIRINGS`, and the four operations."""
        nodes = [
            Decision(f"node {node} operation", "network", node - 1, "operation", self.operations)
            for node in NODES
        ]
        return (Decision("wiring", "network", 0, "wiring", WIRING_NAMES), *nodes)

    def decode(self, tokens: Sequence[int]) -> GraphArchitecture:
        wiring, *operations = self.check(tokens)
        return GraphArchitecture(WIRINGS[wiring], tuple(self.operations[op] for op in operations))

    def encode(self, genotype: GraphArchitecture) -> Tokens:
        if not isinstance(genotype, GraphArchitecture):
            raise SpaceError(f"this space holds graph architectures, got {shown(genotype)}")
        wiring, order = _renumbered(genotype.wiring)
        operations = [genotype.operations[node - 1] for node in order]
        pairs = zip(self.decisions[1:], operations, strict=True)
        return wiring, *(decision.token(operation) for decision, operation in pairs)

    def in_words(self, tokens: Sequence[int]) -> str:
        """The nodes; those that are not yet decided as ``?``."""
        wiring, *operations = tokens
        names = [self.operations[token] for token in operations]
        names += "?" * (len(NODES) - len(names))
        return ", ".join(_nodes_in_words(WIRINGS[wiring], names))

    def settings(self) -> dict[str, Any]:
        """The arguments that build this space again, ready for JSON."""
        return {"operations": list(self.operations)}

    def __repr__(self) -> str:
        return (
            f"GraphSpace({len(self.operations)} operations): {len(self.decisions)} decisions, "
            f"{self.size:,} token sequences"
        )


def _nodes_in_words(wiring: Wiring, operations: Sequence[str]) -> list[str]:
    """``node 2 = gcn(node 1)`` for each node."""
    names = ["input", *(f"node {node}" for node in NODES)]
    nodes = zip(names[1:], operations, wiring, strict=True)
    return [f"{name} = {operation}({names[read]})" for name, operation, read in nodes]


@cache  # there are 24 wirings
def _renumbered(wiring: Wiring) -> tuple[int, tuple[int, ...]]:
    """Which of :data:`WIRINGS` is the same tree, and its nodes by their old numbers."""
    for order in itertools.permutations(NODES):
        new = {0: 0} | {old: node for node, old in enumerate(order, 1)}
        same = tuple(new[wiring[old - 1]] for old in order)
        if same in WIRINGS:
            return WIRINGS.index(same), order
    raise AssertionError(f"{wiring} is not a tree")

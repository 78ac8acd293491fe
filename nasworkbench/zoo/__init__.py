"""The zoo: cells that other people published, each with its source.

The tables are files beside this one, in the notation of their source, so that they can be compared
by eye; the suffix is the dialect by which :mod:`nasworkbench.dialects` reads them. Mind the two
conventions: TensorFlow's tables number the states 0 = h[i], 1 = h[i-1]; DARTS's and ENAS's, like
this library, 0 = h[i-1], 1 = h[i]. In TensorFlow's ``used_hiddenstates`` 0 = goes into the concat.

NASNet-B and NASNet-C are not here: they exist only as drawings in the paper (appendix B), in spaces
of their own (B's cell takes four inputs and hands on every state), and nobody released their data.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from ..dialects import loads
from ..errors import SettingsError, listed
from ..genotype import Cell, Genotype


@dataclass(frozen=True)
class Entry:
    """A published genotype and what a builder must know about it.

    Attributes:
        name: its name in the zoo.
        genotype: both cells, in this library's numbering.
        source: where the table was read.
        bottleneck: the plain convolutions (1x1 excepted) run in the bottleneck form of the authors'
            code; AmoebaNet's published parameter counts need it.
        reductions_replace: a reduction cell *takes the place of* a normal cell of its stage
            (PNASNet-5) instead of before it.
        note: what to watch out for.
    """

    name: str
    genotype: Genotype
    source: str
    bottleneck: bool = False
    reductions_replace: bool = False
    note: str = ""


def names() -> tuple[str, ...]:
    """The names of all entries."""
    return tuple(_ENTRIES)


def get(name: str) -> Genotype:
    """The published genotype of this name.

    Raises:
        SettingsError: no such entry; the message lists the names.
    """
    return entry(name).genotype


def entry(name: str) -> Entry:
    """The published genotype of this name with its source and its notes.

    Raises:
        SettingsError: no such entry; the message lists the names.
    """
    try:
        return _ENTRIES[name]
    except (KeyError, TypeError):
        near = difflib.get_close_matches(str(name)[:80].lower(), _ENTRIES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SettingsError(
            f"the zoo has no genotype named {name!r}; {hint}The names are {listed(_ENTRIES)}"
        ) from None


# --- the tables --------------------------------------------------------------------------------


def _table(file: str) -> Genotype:
    """The genotype in a file of this folder; its suffix is its dialect."""
    path = Path(__file__).with_name(file)
    return loads(path.read_text(encoding="utf-8"), path.suffix[1:])


_SLIM_NASNET = "tensorflow/models research/slim/nets/nasnet/nasnet_utils.py @08eebbc"
_SLIM_PNASNET = "tensorflow/models research/slim/nets/nasnet/pnasnet.py @03cdc5f"
_TPU_SPECS = "tensorflow/tpu models/official/amoeba_net/model_specs.py"
_DARTS_SOURCE = "quark0/darts cnn/genotypes.py @f276dd3"

_RELEASED = _table("nasnet-a.slim")
_FIGURE = Genotype(Cell(_RELEASED.normal.blocks), Cell(_RELEASED.reduction.blocks))

_PUBLISHED = [
    Entry(
        "nasnet-a",
        _RELEASED,
        _SLIM_NASNET,
        note="As released: h[i-1] in the normal cell's concat (6F channels) and block 1, "
        "which block 3 reads, in the reduction cell's (4F). Checkpoints and parameter counts "
        "need it; the paper's Figure 4 joins 5 and 3 states, see nasnet-a-figure.",
    ),
    Entry(
        "nasnet-a-figure",
        _FIGURE,
        "NASNet paper (arXiv 1707.07012 v4), Figure 4; blocks from " + _SLIM_NASNET,
        note="Only unread blocks are concatenated (5F and 3F channels), as the paper's text "
        "and figure say. No published number belongs to this version.",
    ),
    Entry(
        "amoebanet-a",
        _table("amoebanet-a.slim"),
        _TPU_SPECS,
        bottleneck=True,
        note="The normal cell's concat holds h[i-1], which its blocks read as well.",
    ),
    Entry(
        "amoebanet-b",
        _table("amoebanet-b.slim"),
        _TPU_SPECS,
        bottleneck=True,
        note="The table's dil_2_separable_5x5_2 (reduction cell, block 2) runs without "
        "dilation in the authors' code, so a plain sep_conv_5x5 is stored.",
    ),
    Entry(
        "amoebanet-c",
        _table("amoebanet-c.slim"),
        _TPU_SPECS,
        bottleneck=True,
        note="The reduction cell's concat holds its input h[i], which passes a factorised "
        "reduction first.",
    ),
    Entry("amoebanet-d", _table("amoebanet-d.slim"), _TPU_SPECS, bottleneck=True),
    Entry(
        "pnasnet-5",
        _table("pnasnet-5.slim"),
        _SLIM_PNASNET,
        reductions_replace=True,
        note="One cell in both roles; with stride 2 it stands in place of a normal cell.",
    ),
    Entry(
        "enas-micro",
        _table("enas-micro.enas"),
        "melodyguan/enas @4bcfd73, the script for the final micro network",
        note="The architecture that the authors' script trains; the paper's figure shows "
        "another one, see enas-figure.",
    ),
    Entry(
        "enas-figure",
        _table("enas-figure.darts"),
        "sbl1996/hanser (third party): the cell of the ENAS paper's figure, read off by hand",
        note="Third-party reading of a drawing; differs from the authors' script. Other "
        "readings have avg_pool_3x3 on h[i] in the reduction cell's block 0. The reduction "
        "cell's concat holds its unread blocks.",
    ),
    Entry("darts-v1", _table("darts-v1.darts"), _DARTS_SOURCE + ", DARTS_V1"),
    Entry("darts-v2", _table("darts-v2.darts"), _DARTS_SOURCE + ", DARTS_V2"),
    Entry(
        "darts-nasnet",
        _FIGURE,
        _DARTS_SOURCE + ", NASNet",
        note="DARTS's version of NASNet-A: NASNet-A's blocks without h[i-1] in the normal "
        "concat and without block 1 in the reduction concat, as in nasnet-a-figure.",
    ),
    Entry(
        "darts-amoebanet",
        _table("darts-amoebanet.darts"),
        _DARTS_SOURCE + ", AmoebaNet",
        note="DARTS's version of AmoebaNet-A; other first block and other concat than the "
        "authors' amoebanet-a, and no bottleneck.",
    ),
]

_ENTRIES = {
    item.name: replace(item, genotype=replace(item.genotype, name=item.name)) for item in _PUBLISHED
}

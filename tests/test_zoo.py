"""The published cells, against what their sources say in other words or in another notation."""

import pytest

from nasworkbench import dialects, zoo
from nasworkbench.errors import WorkbenchError
from nasworkbench.genotype import Block, Cell, Genotype

PROMISED = {
    "nasnet-a",
    "amoebanet-a",
    "amoebanet-b",
    "amoebanet-c",
    "amoebanet-d",
    "pnasnet-5",
    "enas-micro",
    "darts-v1",
    "darts-v2",
    "darts-nasnet",
    "darts-amoebanet",
}


def test_every_promised_cell_is_there_with_a_name_and_a_source():
    assert set(zoo.names()) >= PROMISED
    for name in zoo.names():
        entry = zoo.entry(name)
        assert isinstance(entry.genotype, Genotype)
        assert entry.name == entry.genotype.name == name
        assert zoo.get(name) is entry.genotype
        assert "/" in entry.source or "Figure" in entry.source


def test_flags_of_the_builders():
    bottleneck = {name for name in zoo.names() if zoo.entry(name).bottleneck}
    assert bottleneck == {f"amoebanet-{letter}" for letter in "abcd"}
    assert [name for name in zoo.names() if zoo.entry(name).reductions_replace] == ["pnasnet-5"]


def test_nasnet_a_block_by_block():
    """The decoded table: c = h[i] is state 1, p = h[i-1] is state 0."""
    p, c = 0, 1
    normal = Cell(
        (
            Block(c, "sep_conv_5x5", p, "sep_conv_3x3"),
            Block(p, "sep_conv_5x5", p, "sep_conv_3x3"),
            Block(c, "avg_pool_3x3", p, "identity"),
            Block(p, "avg_pool_3x3", p, "avg_pool_3x3"),
            Block(c, "sep_conv_3x3", c, "identity"),
        ),
        (p, 2, 3, 4, 5, 6),
    )
    reduction = Cell(
        (
            Block(c, "sep_conv_5x5", p, "sep_conv_7x7"),
            Block(c, "max_pool_3x3", p, "sep_conv_7x7"),
            Block(c, "avg_pool_3x3", p, "sep_conv_5x5"),
            Block(3, "identity", 2, "avg_pool_3x3"),
            Block(2, "sep_conv_3x3", c, "max_pool_3x3"),
        ),
        (3, 4, 5, 6),
    )
    assert zoo.get("nasnet-a") == Genotype(normal, reduction)


@pytest.mark.parametrize(
    ("name", "normal", "reduction"),
    [
        ("nasnet-a", 6, 4),  # P = 24 F and the reductions' 256 = 4 * 64 channels need these
        ("nasnet-a-figure", 5, 3),
        ("amoebanet-a", 4, 5),
        ("amoebanet-b", 4, 2),
        ("amoebanet-c", 5, 6),
        ("amoebanet-d", 4, 3),
        ("pnasnet-5", 5, 5),
        ("enas-micro", 5, 4),
        ("darts-v1", 4, 4),
        ("darts-v2", 4, 4),
    ],
)
def test_how_many_states_are_concatenated(name, normal, reduction):
    genotype = zoo.get(name)
    assert (len(genotype.normal.concat), len(genotype.reduction.concat)) == (normal, reduction)


def test_tensorflow_s_table_and_darts_s_table_of_nasnet_agree():
    """Two projects, two numberings of the inputs, the same drawing of Figure 4."""
    text = """
Genotype(
  normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0),
          ('sep_conv_5x5', 0), ('sep_conv_3x3', 0),
          ('avg_pool_3x3', 1), ('skip_connect', 0),
          ('avg_pool_3x3', 0), ('avg_pool_3x3', 0),
          ('sep_conv_3x3', 1), ('skip_connect', 1)],
  normal_concat=[2, 3, 4, 5, 6],
  reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0),
          ('max_pool_3x3', 1), ('sep_conv_7x7', 0),
          ('avg_pool_3x3', 1), ('sep_conv_5x5', 0),
          ('skip_connect', 3), ('avg_pool_3x3', 2),
          ('sep_conv_3x3', 2), ('max_pool_3x3', 1)],
  reduce_concat=[4, 5, 6])
"""
    assert dialects.loads(text, "darts") == zoo.get("darts-nasnet")
    assert zoo.get("nasnet-a-figure").key == zoo.get("darts-nasnet").key
    assert zoo.get("nasnet-a").key != zoo.get("darts-nasnet").key
    assert zoo.get("nasnet-a").normal.blocks == zoo.get("darts-nasnet").normal.blocks


def test_pnasnet_agrees_with_its_third_party_darts_encoding():
    cell = (
        "[('sep_conv_5x5', 0), ('max_pool_3x3', 0), ('sep_conv_7x7', 1), ('max_pool_3x3', 1), "
        "('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 4), ('max_pool_3x3', 1), "
        "('sep_conv_3x3', 0), ('skip_connect', 1)]"
    )
    text = f"Genotype({cell}, range(2, 7), {cell}, range(2, 7))"
    assert dialects.loads(text, "darts") == zoo.get("pnasnet-5")


def test_amoebanet_b_stores_what_runs():
    block = zoo.get("amoebanet-b").reduction.blocks[2]
    assert block == Block(2, "sep_conv_5x5", 2, "max_pool_3x3")
    assert "dil_2_separable_5x5_2" in zoo.entry("amoebanet-b").note


def test_the_two_enas_cells_differ():
    assert zoo.get("enas-micro").key != zoo.get("enas-figure").key
    assert "hanser" in zoo.entry("enas-figure").source


@pytest.mark.parametrize("name", ["nasnet_a", "NASNet-A", "nasnet"])
def test_an_unknown_name_gets_the_names_and_the_nearest(name):
    with pytest.raises(WorkbenchError) as caught:
        zoo.get(name)
    assert repr(name) in str(caught.value)
    assert "did you mean 'nasnet-a'?" in str(caught.value)
    assert all(known in str(caught.value) for known in zoo.names())


@pytest.mark.parametrize("name", ["nasnet-b", "", None, ["nasnet-a"]])
def test_anything_else_is_a_workbench_error_too(name):
    with pytest.raises(WorkbenchError, match="no genotype named"):
        zoo.entry(name)


def test_the_docstring_says_why_nasnet_b_and_c_are_missing():
    assert zoo.__doc__ is not None
    assert "NASNet-B and NASNet-C" in zoo.__doc__ and "drawings" in zoo.__doc__

"""What a user hands in: the N @ P notation, settings and images, right and wrong."""

from __future__ import annotations

import pytest
import torch

from nasworkbench import zoo
from nasworkbench.errors import NetworkError, WorkbenchError
from nasworkbench.genotype import Block, Cell, Genotype
from nasworkbench.networks import CellNetwork, build

NASNET = zoo.get("nasnet-a")
SMALL = {"cells": 1, "filters": 4}


def on_meta(*arguments, **options) -> CellNetwork:
    with torch.device("meta"):
        return CellNetwork.from_notation(*arguments, **options)


def test_notation_tells_cells_and_filters():
    network = on_meta("nasnet-a", "4 @ 1056")
    assert [layer.filters for layer in network.layout[:3]] == [32, 44, 88]
    assert network.layout[-1].filters == 1000 and len(network.cells) == 12 + 4
    assert on_meta(NASNET, " 6@768 ", stem="cifar", classes=10).layout[0].filters == 96
    figure = zoo.get("nasnet-a-figure")  # five states in the normal cell's output
    assert on_meta(figure, "2 @ 640", stem="cifar").cells["normal_0"].filters == 32


def test_notation_knows_the_published_large_models():
    large = on_meta("nasnet-a", "6 @ 4032")
    reads = {layer.name: layer.inputs for layer in large.layout}
    assert large.layout[0].filters == 96
    assert reads["normal_6"] == ("normal_4", "reduction_0")
    plain = on_meta("nasnet-a", "6 @ 4032", stem_filters=32, skip_reduction_layer_input=False)
    reads = {layer.name: layer.inputs for layer in plain.layout}
    assert plain.layout[0].filters == 32
    assert reads["normal_6"] == ("normal_5", "reduction_0")
    pnasnet = on_meta("pnasnet-5", "4 @ 4320")
    assert pnasnet.layout[0].filters == 96
    stages = [layer.stage for layer in pnasnet.layout if layer.role == "normal"]
    assert stages == [1] * 4 + [2] * 3 + [3] * 3


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("5 @ 1538", r"multiple of 24; the nearest is 1536 \(F = 64\), got 1538"),
        ("2 @ 1", r"the nearest is 24"),
        ("2 @ 0", r"the nearest is 24"),
        ("4 x 1056", r'the notation is "N @ P".*got \'4 x 1056\''),
        ("-4 @ 1056", r'the notation is "N @ P"'),
        (4, r'the notation is "N @ P"'),
        ("0 @ 1056", r"cells is the number of normal cells per stage.*got 0"),
        ("4 @ 72", r"with the imagenet stem\) must be a whole number from 4, got 3"),
    ],
)
def test_notation_that_nothing_can_be(notation, message):
    with pytest.raises(NetworkError, match=message):
        on_meta("nasnet-a", notation)


def test_notation_of_an_unknown_name():
    with pytest.raises(WorkbenchError, match="nasnet-a"):
        CellNetwork.from_notation("nasnet-q", "4 @ 1056")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 0}, r"with the cifar stem\) must be a whole number from 1, got 0"),
        (
            {"filters": 3, "stem": "imagenet"},
            r"with the imagenet stem\) must be a whole number from 4",
        ),
        ({"filters": 2.0}, r"got 2.0"),
        ({"cells": 0}, r"per stage.*got 0"),
        ({"cells": (1, 2)}, r"or three of them, got \(1, 2\)"),
        ({"cells": (1, 0, 1)}, r"got \(1, 0, 1\)"),
        ({"cells": "six"}, r"got 'six'"),
        ({"cells": None}, r"got None"),
        ({"stem": "mnist"}, r"stem must be one of cifar and imagenet, got 'mnist'"),
        ({"classes": 0}, r"classes must be a whole number from 1, got 0"),
        ({"channels": 0}, r"channels must be a whole number from 1, got 0"),
        ({"stem_filters": -1}, r"stem_filters must be a whole number from 1, got -1"),
        ({"dropout": 1.0}, r"dropout must be a finite number from 0 and below 1, got 1.0"),
        ({"image_size": 2}, r"2 x 2 are too small.*smallest image is 3 x 3"),
        ({"image_size": 18, "stem": "imagenet"}, r"smallest image is 19 x 19"),
        ({"image_size": 0}, r"image_size must be a whole number from 1, got 0"),
        ({"image_size": 8, "auxiliary": True}, r"map of 4 x 4.*needs 5.*smallest image_size is 9"),
        ({"image_size": 130, "auxiliary": True, "stem": "imagenet"}, None),
        ({"image_size": 32, "auxiliary": True, "stem": "imagenet"}, r"image_size is 67"),
    ],
)
def test_settings_that_no_network_has(options, message):
    arguments = {"cells": 1, "filters": 4} | options
    if message is None:
        CellNetwork(NASNET, **arguments)
        return
    with pytest.raises(NetworkError, match=message):
        CellNetwork(NASNET, **arguments)


def test_the_smallest_auxiliary_image_that_the_message_names_works():
    network = CellNetwork(NASNET, auxiliary=True, image_size=67, stem="imagenet", **SMALL)
    assert len(network(torch.randn(2, 3, 67, 67))) == 2
    with pytest.raises(NetworkError, match="image_size is 67"):
        CellNetwork(NASNET, auxiliary=True, image_size=66, stem="imagenet", **SMALL)


@pytest.mark.parametrize(("stem", "smallest"), [("cifar", 3), ("imagenet", 19)])
def test_images_too_small(stem, smallest):
    network = CellNetwork(NASNET, stem=stem, **SMALL).eval()
    assert network.smallest_image == smallest
    assert network(torch.randn(1, 3, smallest, smallest)).shape == (1, 10)
    for shape in ((smallest - 1, 40), (40, smallest - 1)):
        with pytest.raises(NetworkError, match=f"smallest image is {smallest} x {smallest}"):
            network(torch.randn(1, 3, *shape))


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 3, 8, 8), torch.zeros(1, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)],
)
def test_images_of_another_kind(images):
    with pytest.raises(NetworkError, match=r"floating point numbers of shape \(batch, 1, height"):
        CellNetwork(NASNET, channels=1, **SMALL)(images)


def test_a_genotype_by_name_or_with_other_inputs():
    with pytest.raises(
        NetworkError, match=r"genotype must be a Genotype, got 'nasnet-a'.*zoo\.get"
    ):
        CellNetwork("nasnet-a")
    wide = Cell((Block(2, "identity", 1, "conv_1x1"),), inputs=3)
    with pytest.raises(NetworkError, match=r"two inputs.*this cell has 3"):
        CellNetwork(Genotype(wide, wide), **SMALL)


def test_build_makes_the_network_of_an_architecture():
    sizes = {"cells": 1, "filters": 4, "classes": 7, "channels": 1, "image_size": 8}
    network = build(NASNET, **sizes, dropout=0.5)
    assert isinstance(network, CellNetwork) and network.genotype is NASNET
    assert network.dropout.p == 0.5
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 7)
    with pytest.raises(NetworkError, match="classes must be a whole number"):
        build(NASNET, **(sizes | {"classes": 0}))

    class Chain:
        pass

    class ChainNetwork(torch.nn.Linear):
        def __init__(self, chain, *, cells, filters, classes, channels, image_size):
            super().__init__(channels * image_size**2, classes)

    with pytest.raises(NetworkError, match=r"from .*Chain.*; networks are built from Genotype"):
        build(Chain(), **sizes)
    build.register(Chain, ChainNetwork)
    assert build(Chain(), **sizes).out_features == 7

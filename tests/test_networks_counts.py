"""Published sizes: parameters to the unit, multiply-adds, and the shapes of all layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasworkbench import zoo
from nasworkbench.networks import CellNetwork, profile


def on_meta(name: str, notation: str, stem: str, **options) -> CellNetwork:
    with torch.device("meta"):
        return CellNetwork.from_notation(name, notation, stem=stem, **options)


def parameters(module: nn.Module) -> int:
    return sum(tensor.numel() for tensor in module.parameters())


def running_statistics(module: nn.Module) -> int:
    return sum(b.numel() for name, b in module.named_buffers() if "num_batches" not in name)


MOBILE = ("nasnet-a", "4 @ 1056", "imagenet")
LARGE = ("nasnet-a", "6 @ 4032", "imagenet")
CIFAR = ("nasnet-a", "6 @ 768", "cifar")


@pytest.mark.parametrize(
    ("network", "classes", "trainable", "total"),
    [
        (MOBILE, 1000, 5_289_978, 5_326_716),  # as Keras prints them
        (LARGE, 1000, 88_753_150, 88_949_818),  # as Keras prints them
        (MOBILE, 1001, 5_291_035, 5_327_773),
        (LARGE, 1001, 88_757_183, 88_953_851),
        (("pnasnet-5", "4 @ 4320", "imagenet"), 1000, 86_057_668, 86_234_656),
        (("pnasnet-5", "3 @ 1080", "imagenet"), 1000, 5_064_487, None),
        (CIFAR, 10, 3_346_538, 3_383_786),
        (CIFAR, 100, 3_415_748, None),
        (("nasnet-a", "4 @ 768", "cifar"), 10, 2_320_618, None),
        (("nasnet-a", "2 @ 768", "cifar"), 10, 1_294_698, None),
        (("nasnet-a", "2 @ 576", "cifar"), 10, 757_906, None),
        (("nasnet-a", "2 @ 384", "cifar"), 10, 363_194, None),
        (("nasnet-a", "2 @ 192", "cifar"), 10, 110_562, None),
        (("amoebanet-a", "6 @ 512", "cifar"), 10, 2_567_754, None),
        (("amoebanet-a", "6 @ 576", "cifar"), 10, 3_218_266, None),
    ],
)
def test_parameters_of_published_networks(network, classes, trainable, total):
    name, notation, stem = network
    built = on_meta(name, notation, stem, classes=classes)
    assert parameters(built) == trainable
    if total is not None:
        assert parameters(built) + running_statistics(built) == total


def test_amoebanet_a_with_190_filters():
    """86.7M. F/2 = 95 is odd: its one factorised reduction splits into 47 + 48 filters over 96
    channels. A count that floors both halves lacks one of them, 96 weights: 86,739,245."""
    built = on_meta("amoebanet-a", "6 @ 3040", "imagenet", stem_filters=96)
    assert parameters(built) == 86_739_341 == 86_739_245 + 96


@pytest.mark.parametrize(("filters", "plain"), [(32, 2.83e6), (36, 3.55e6)], ids=["F=32", "F=36"])
def test_amoebanet_a_is_published_with_bottlenecks(filters, plain):
    with torch.device("meta"):
        built = CellNetwork(zoo.get("amoebanet-a"), cells=6, filters=filters, bottleneck=False)
    assert parameters(built) == pytest.approx(plain, rel=0.005)


@pytest.mark.parametrize(
    ("network", "channels"),
    [(MOBILE, 18_369), (LARGE, 98_334), (CIFAR, 18_624), (("nasnet-a", "2 @ 768", "cifar"), 7_872)],
)
def test_batch_norm_channels(network, channels):
    name, notation, stem = network
    built = on_meta(name, notation, stem)
    norms = [module for module in built.modules() if isinstance(module, nn.BatchNorm2d)]
    assert sum(norm.num_features for norm in norms) == channels


def test_as_many_arrays_as_keras_has():
    mobile, large = on_meta(*MOBILE), on_meta(*LARGE)
    statistics = [name for name, _ in mobile.named_buffers() if "num_batches" not in name]
    assert len(list(mobile.parameters())) == 742
    assert len(list(mobile.parameters())) + len(statistics) == 1126
    statistics = [name for name, _ in large.named_buffers() if "num_batches" not in name]
    assert len(list(large.parameters())) + len(statistics) == 1546


@pytest.mark.parametrize(
    ("network", "classes", "head"),
    [(CIFAR, 10, 1_631_498), (MOBILE, 1000, 2_411_240), (LARGE, 1000, 4_567_784)],
)
def test_auxiliary_heads(network, classes, head):
    name, notation, stem = network
    size = {"6 @ 768": 32, "4 @ 1056": 224, "6 @ 4032": 331}[notation]
    options = {"classes": classes, "image_size": size}
    without = on_meta(name, notation, stem, **options)
    built = on_meta(name, notation, stem, auxiliary=True, **options)
    assert parameters(built) - parameters(without) == head
    if stem == "cifar":
        assert parameters(built) == 4_978_036
        counted = profile(built, size)
        assert (counted.parameters, counted.auxiliary_parameters) == (4_978_036, 1_631_498)
        assert counted.mult_adds == profile(without, size).mult_adds


@pytest.mark.parametrize(
    ("network", "size", "mult_adds"),
    [
        (MOBILE, 224, 563.6e6),
        (LARGE, 331, 23_783.4e6),
        (("pnasnet-5", "4 @ 4320", "imagenet"), 331, 24.94e9),
        (("pnasnet-5", "3 @ 1080", "imagenet"), 224, 587.2e6),
        (CIFAR, 32, 544.3e6),
        (("nasnet-a", "4 @ 768", "cifar"), 32, 388.3e6),
        (("nasnet-a", "2 @ 768", "cifar"), 32, 232.2e6),
        (("nasnet-a", "2 @ 576", "cifar"), 32, 136.4e6),
        (("nasnet-a", "2 @ 384", "cifar"), 32, 65.8e6),
        (("nasnet-a", "2 @ 192", "cifar"), 32, 20.3e6),
    ],
)
def test_multiply_adds(network, size, mult_adds):
    name, notation, stem = network
    classes = 1000 if stem == "imagenet" else 10
    counted = profile(on_meta(name, notation, stem, classes=classes), size)
    assert counted.mult_adds == pytest.approx(mult_adds, rel=1e-3)


@pytest.mark.parametrize(
    ("notation", "stem", "size", "published", "counted"),
    [
        # (parameters, mult-adds). These rows do not follow from the released cell; "5 @ 1538" is
        # not even a multiple of 24, so that the nearest, 1536, is counted.
        ("7 @ 2304", "cifar", 32, (27.6e6, None), (32_590_954, None)),
        ("7 @ 1920", "imagenet", 299, (22.6e6, 4.93e9), (24_613_292, 5.37e9)),
        ("5 @ 1536", "imagenet", 299, (10.9e6, 2.35e9), (12_263_416, 2.69e9)),
    ],
)
def test_rows_that_the_released_cell_does_not_give(notation, stem, size, published, counted):
    options = {"classes": 1000, "stem_filters": 96} if stem == "imagenet" else {"classes": 10}
    result = profile(on_meta("nasnet-a", notation, stem, **options), size)
    assert result.parameters == counted[0]
    assert result.parameters > 1.05 * published[0]
    if counted[1] is not None:
        assert result.mult_adds == pytest.approx(counted[1], rel=2e-3)
        assert result.mult_adds > 1.05 * published[1]


#: Height and width of the stem, and (side, channels) of each stage, from the authors' tests.
ENDPOINTS = {
    "6 @ 768": (("stem", 32, 96), (32, 192), (16, 256), (16, 384), (8, 512), (8, 768), 18),
    "4 @ 1056": (("stem_1", 28, 88), (28, 264), (14, 352), (14, 528), (7, 704), (7, 1056), 12),
    "6 @ 4032": (
        ("stem_1", 42, 336), (42, 1008), (21, 1344), (21, 2016), (11, 2688), (11, 4032), 18
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("network", "size"),
    [(CIFAR, 32), (MOBILE, 224), (LARGE, 331)],
    ids=["cifar", "mobile", "large"],
)
def test_endpoint_shapes(network, size):
    name, notation, stem = network
    built = on_meta(name, notation, stem)
    endpoints = profile(built, size).endpoints
    (stem_name, *stem_shape), one, red_0, two, red_1, three, cells = ENDPOINTS[notation]
    third = cells // 3
    expected = {stem_name: tuple(stem_shape), "reduction_0": red_0, "reduction_1": red_1}
    for number in range(cells):
        expected[f"normal_{number}"] = (one, two, three)[number // third]
    for endpoint, (side, channels) in expected.items():
        assert endpoints[endpoint] == (side, side, channels), endpoint
    assert list(endpoints) == [layer.name for layer in built.layout if layer.name != "classifier"]
    assert [endpoints[layer.name][2] for layer in built.layout[:-1]] == [
        layer.filters for layer in built.layout[:-1]
    ]

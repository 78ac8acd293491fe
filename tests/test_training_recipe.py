"""Recipes and augmentation, against numbers worked out by hand."""

import dataclasses
import json

import numpy
import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax

from nasworkbench.errors import SettingsError
from nasworkbench.training import Recipe
from nasworkbench.training.augmentation import Augmentation
from nasworkbench.training.optimisation import make_optimiser, step_loss


def test_the_cosine_falls_in_one_period():
    recipe = Recipe(learning_rate=0.4, final_learning_rate=0.1)
    wanted = {0: 0.4, 1 / 3: 0.325, 0.5: 0.25, 2 / 3: 0.175, 1: 0.1}
    for progress, value in wanted.items():
        assert recipe.learning_rate_at(progress) == pytest.approx(value)
    assert Recipe(schedule="constant", learning_rate=0.4).learning_rate_at(0.9) == 0.4


# --- recipes ------------------------------------------------------------------------------------


def test_the_papers_recipes():
    search = Recipe.paper_search()
    assert (search.epochs, search.crop, search.flip, search.cutout) == (20, "upsample", True, 0)
    assert (search.schedule, search.momentum, search.nesterov) == ("cosine", 0.9, False)
    final = Recipe.paper_final()
    assert (final.epochs, final.batch_size, final.learning_rate) == (600, 32, 0.025)
    assert (final.weight_decay, final.clip_norm, final.auxiliary_weight) == (5e-4, 5.0, 0.4)
    assert (final.drop_path_keep, final.drop_path_in_depth, final.cutout) == (0.6, True, 16)


def test_settings_make_the_same_recipe():
    recipe = Recipe(epochs=3, ema_decay=0.99, time_limit=5, crop="pad")
    assert Recipe(**json.loads(json.dumps(recipe.settings()))) == recipe


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("epochs", 0, "a whole number from 1"),
        ("epochs", 2.0, "a whole number from 1"),
        ("batch_size", True, "a whole number from 1"),
        ("learning_rate", 0, "a finite number above 0"),
        ("learning_rate", float("nan"), "a finite number above 0"),
        ("learning_rate", float("inf"), "a finite number above 0"),
        ("learning_rate", "0.1", "a finite number above 0"),
        ("schedule", "linear", "one of cosine and constant"),
        ("momentum", 1.0, "a finite number from 0 and below 1"),
        ("nesterov", 1, "True or False"),
        ("weight_decay", -1e-4, "a finite number from 0"),
        ("clip_norm, unless None,", 0.0, "a finite number above 0"),
        ("label_smoothing", 1.0, "a finite number from 0 and below 1"),
        ("auxiliary_weight", -0.4, "a finite number from 0"),
        ("drop_path_keep", 0.0, "a finite number above 0 to 1"),
        ("drop_path_in_depth", None, "True or False"),
        ("ema_decay, unless None,", 1.0, "a finite number above 0 and below 1"),
        ("amp", "yes", "True or False"),
        ("bn_momentum, unless None,", 1.5, "a finite number above 0 to 1"),
        ("crop", "random", "one of none, pad and upsample"),
        ("flip", 0.5, "True or False"),
        ("cutout", -1, "a whole number from 0"),
        ("evaluate_every", 0, "a whole number from 1"),
        ("time_limit, unless None,", 0, "a finite number above 0"),
        ("workers", -1, "a whole number from 0"),
        ("final_learning_rate", 0.5, "at most learning_rate=0.025"),
    ],
)
def test_values_out_of_range_name_the_field(field, value, allowed):
    with pytest.raises(SettingsError) as error:
        Recipe(**{field.split(",")[0]: value})
    assert str(error.value) == f"recipe: {field} must be {allowed}, got {value!r}"


def test_scalars_of_numpy_and_torch_are_numbers_of_a_recipe():
    recipe = Recipe(
        epochs=numpy.int32(3),
        learning_rate=torch.tensor(0.5),
        flip=numpy.bool_(True),
        clip_norm=numpy.float64(2),
    )
    assert recipe == Recipe(epochs=3, learning_rate=0.5, flip=True, clip_norm=2.0)
    assert json.loads(json.dumps(recipe.settings())) == recipe.settings()


def test_every_field_of_a_recipe_is_checked():
    for field in dataclasses.fields(Recipe):
        with pytest.raises(SettingsError, match=field.name):
            Recipe(**{field.name: object()})
    with pytest.raises(SettingsError, match="nesterov needs a momentum"):
        Recipe(nesterov=True, momentum=0.0)


# --- what a recipe means for a network ----------------------------------------------------------


def test_decayed_parameters_are_the_weights_of_convolutions_and_linear_layers():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    decayed, spared = make_optimiser(network, Recipe(weight_decay=0.25)).param_groups
    wanted = {id(m.weight) for m in network if isinstance(m, (nn.Conv2d, nn.Linear))}
    assert {id(p) for p in decayed["params"]} == wanted and decayed["weight_decay"] == 0.25
    assert len(spared["params"]) == 4 and spared["weight_decay"] == 0


def test_label_smoothing_and_the_auxiliary_loss():
    labels = torch.tensor([0, 2])
    logits = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.0, 0.0]])
    side = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])

    def by_hand(scores, smoothing):
        target = torch.full((2, 3), smoothing / 3)
        target[[0, 1], labels] += 1 - smoothing
        return -(target * log_softmax(scores, 1)).sum(1).mean().item()

    loss, main = step_loss(logits, labels, Recipe())
    assert loss.item() == pytest.approx(by_hand(logits, 0.0)) and main is logits
    recipe = Recipe(label_smoothing=0.1, auxiliary_weight=0.4)
    loss, main = step_loss((logits, side), labels, recipe)
    assert loss.item() == pytest.approx(by_hand(logits, 0.1) + 0.4 * by_hand(side, 0.1))
    assert main is logits


# --- augmentation -------------------------------------------------------------------------------


def augmented(images, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return Augmentation(Recipe(**options), images.shape[-1], generator)(images)


def test_flips_are_drawn_for_each_image():
    images = torch.randn(2000, 1, 2, 4)[:, :, :, :4].repeat(1, 1, 2, 1)
    result = augmented(images, flip=True)
    same = (result == images).flatten(1).all(1)
    turned = (result == images.flip(-1)).flatten(1).all(1)
    assert (same ^ turned).all()
    assert same.float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_padded_crops_are_shifts_by_up_to_an_eighth_equally_likely():
    side = 16
    images = torch.zeros(5000, 1, side, side)
    images[:, :, 8, 8] = 1.0
    result = augmented(images, crop="pad")
    assert result.shape == images.shape
    _, _, rows, columns = result.nonzero(as_tuple=True)
    assert len(rows) == 5000
    counts = torch.bincount((rows - 6) * 5 + columns - 6, minlength=25)
    assert set(rows.tolist()) == set(columns.tolist()) == {6, 7, 8, 9, 10}
    assert counts.min() > 140 and counts.max() < 260  # 200 each


@pytest.mark.parametrize(("side", "spare"), [(32, 8), (28, 7), (8, 2), (14, 3)])
def test_upsampled_crops_come_from_five_quarters_of_the_side(side, spare):
    across = torch.arange(side).float().expand(600, 1, side, side)
    result = augmented(across, crop="upsample")
    assert result.shape == across.shape
    # Enlarging keeps the values at the borders: the leftmost and rightmost crops show them.
    assert result.min() == 0 and result.max() == side - 1
    starts = result[:, 0, 0, 0].unique()
    assert len(starts) == spare + 1
    assert (result[:, 0, 0] == result[:, 0, -1]).all()


def test_the_hole_of_cutout_has_its_centre_anywhere_and_is_clipped():
    side, hole = 16, 6
    images = torch.ones(6000, 2, side, side)
    result = augmented(images, cutout=hole)
    assert torch.equal(result[:, 0], result[:, 1])
    empty = result[:, 0] == 0
    heights, widths = empty.any(2).sum(1), empty.any(1).sum(1)
    assert torch.equal(empty.sum((1, 2)), heights * widths)  # always a rectangle
    assert heights.max() == hole and heights.min() == hole // 2
    first = empty.any(2).int().argmax(1)  # first row: centre - 3, or 0 for the centres 0 to 3
    share = torch.bincount(first, minlength=side) / 6000
    assert share[0].item() == pytest.approx(4 / 16, abs=0.03)
    assert share[1:13].tolist() == pytest.approx([1 / 16] * 12, abs=0.02)
    assert share[13:].sum() == 0


def test_a_hole_larger_than_the_image_leaves_no_error():
    assert (augmented(torch.ones(4, 1, 4, 4), cutout=99) == 0).all()


def test_augmentation_is_reproducible_and_leaves_its_input_alone():
    images = torch.randn(8, 3, 8, 8)
    before, options = images.clone(), {"crop": "pad", "flip": True, "cutout": 3}
    first, again = augmented(images, 5, **options), augmented(images, 5, **options)
    assert torch.equal(first, again) and torch.equal(images, before)
    assert not torch.equal(first, augmented(images, 6, **options))

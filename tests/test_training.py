"""The training loop against numbers worked out by hand."""

import dataclasses
import json
import math
import time

import pytest
import torch
from PIL import Image
from torch import nn

from nasworkbench import data, zoo
from nasworkbench.data import Dataset, FileSplit
from nasworkbench.errors import SettingsError
from nasworkbench.networks import CellNetwork
from nasworkbench.training import Recipe, evaluate, find_device, train
from nasworkbench.training.batches import Batches


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def touched():
    raise AssertionError("the test data were touched")


def tiny_set(count=24, side=4, channels=1, classes=3, test=touched):
    generator = torch.Generator().manual_seed(7)
    images = torch.randint(256, (count, channels, side, side), generator=generator).byte()
    pair = images, torch.arange(count) % classes
    return Dataset.from_tensors("tiny", pair, pair, test=test)


def small_network(seed=0, width=16):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 10),
        )


class Linear(nn.Module):
    """Logits linear in the pixels, with what a cell network may have besides."""

    def __init__(self, pixels=16, classes=3, auxiliary=False, normed=False):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.main = nn.Linear(pixels, classes)
            self.side = nn.Linear(pixels, classes) if auxiliary else None
        self.norm = nn.BatchNorm2d(1) if normed else nn.Identity()
        self.drop_path_calls = []

    def forward(self, images):
        pixels = self.norm(images).flatten(1)
        logits = self.main(pixels)
        return (logits, self.side(pixels)) if self.side is not None and self.training else logits

    def set_drop_path(self, progress, keep, in_depth=False):
        self.drop_path_calls.append((progress, keep, in_depth))


PLAIN = Recipe(epochs=1, batch_size=24, clip_norm=None, weight_decay=0.0, momentum=0.0)


def weights(network):
    return [p.detach().clone() for p in network.parameters()]


# --- learning, determinism, what is touched -----------------------------------------------------


def test_it_learns_the_digits(digits):
    network = small_network()
    recipe = Recipe(epochs=6, learning_rate=0.05, bn_momentum=0.3)
    result = train(network, digits, recipe)
    assert result.status == "ok" and result.cause is None
    assert result.validation_accuracy > 0.94
    assert evaluate(network, digits.test, digits) > 0.94
    assert [record["epoch"] for record in result.history] == [1, 2, 3, 4, 5, 6]
    last = result.history[-1]
    assert last["validation_accuracy"] == result.validation_accuracy
    assert last["loss"] < result.history[0]["loss"] and last["train_accuracy"] > 0.94
    assert 0 < sum(record["seconds"] for record in result.history) <= result.seconds
    json.dumps(result.history)


def test_a_child_network_learns_with_auxiliary_head_and_drop_path(digits):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CellNetwork(zoo.get("nasnet-a"), cells=1, filters=4, channels=1)
    recipe = Recipe(epochs=2, learning_rate=0.1, bn_momentum=0.3, drop_path_keep=0.9)
    small = dataclasses.replace(digits, train=digits.train.select(torch.arange(320)))
    result = train(network, small, recipe)
    assert result.status == "ok" and result.history[1]["loss"] < result.history[0]["loss"]


def test_the_same_seed_gives_the_same_result_and_keeps_the_global_random_state():
    own = tiny_set(side=8)
    recipe = Recipe(epochs=3, batch_size=5, crop="pad", flip=True, cutout=2)

    def run(seed):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = nn.Sequential(
                nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5), nn.Linear(16, 3)
            )
        result = train(network, own, recipe, seed=seed)
        return weights(network), [record["loss"] for record in result.history]

    state = torch.random.get_rng_state()
    first, losses = run(seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(3)
    second, again = run(seed=1)
    assert all(map(torch.equal, first, second)) and losses == again
    other, _ = run(seed=2)
    assert not all(map(torch.equal, first, other))


def test_test_data_are_never_touched():
    own = tiny_set(test=touched)
    result = train(Linear(), own, Recipe(epochs=2, crop="pad", ema_decay=0.5))
    assert result.status == "ok"
    with pytest.raises(AssertionError, match="touched"):
        _ = own.test


def test_every_image_is_seen_once_an_epoch_normalised():
    own = tiny_set(count=23)
    seen = []

    class Spy(Linear):
        def forward(self, images):
            if self.training:
                seen.append(images.clone())
            return super().forward(images)

    train(Spy(), own, Recipe(epochs=2, batch_size=5))
    assert [len(batch) for batch in seen] == [5, 5, 5, 4, 4] * 2
    wanted = (own.train.images / 255 - own.mean[0]) / own.std[0]
    for epoch in (seen[:5], seen[5:]):
        images = torch.cat(epoch).flatten(1)
        nearest = torch.cdist(images, wanted.flatten(1)).min(0)
        assert nearest.values.max() < 1e-3 and len(nearest.indices.unique()) == 23
    assert not torch.equal(torch.cat(seen[:5]), torch.cat(seen[5:]))


def test_large_splits_are_normalised_batch_by_batch_to_the_same_values(monkeypatch):
    own = tiny_set(channels=3)
    at_once = Batches(own.train, own, torch.device("cpu"))
    monkeypatch.setattr("nasworkbench.training.batches.NORMALISED_AT_ONCE", 0)
    later = Batches(own.train, own, torch.device("cpu"))
    assert at_once.images.dtype == torch.float32 and later.images.dtype == torch.uint8
    order = torch.arange(23, -1, -1)
    for (a, x), (b, y) in zip(at_once.of(7, order), later.of(7, order), strict=True):
        assert torch.equal(a, b) and torch.equal(x, y)


@pytest.mark.parametrize("workers", [0, 1])
def test_images_in_files_are_trained_on_like_images_in_memory(tmp_path, workers):
    pixels = torch.randint(256, (12, 8, 8, 3), generator=torch.Generator().manual_seed(0)).byte()
    paths = [str(tmp_path / f"{number}.png") for number in range(12)]
    for image, path in zip(pixels, paths, strict=True):
        Image.fromarray(image.numpy()).save(path)
    files = FileSplit(paths, torch.arange(12) % 3, image_size=8)
    in_files = Dataset.from_tensors("files", files, files)
    in_memory = Dataset.from_tensors("memory", files.in_memory(), files.in_memory())
    first, second = Linear(pixels=192), Linear(pixels=192)
    recipe = Recipe(epochs=2, batch_size=5, flip=True, workers=workers)
    assert train(first, in_files, recipe).status == train(second, in_memory, recipe).status == "ok"
    assert all(map(torch.equal, weights(first), weights(second)))


# --- steps, worked out by hand ------------------------------------------------------------------


def test_one_step_is_sgd_with_weight_decay_on_weights_only():
    own, network = tiny_set(), Linear(normed=True)
    images = (own.train.images / 255 - own.mean[0]) / own.std[0]
    twin = Linear(normed=True)
    loss = nn.functional.cross_entropy(twin(images), own.train.labels)
    loss.backward()
    recipe = dataclasses.replace(PLAIN, learning_rate=0.1, weight_decay=0.5)
    result = train(network, own, recipe)
    assert result.history[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for after, before in zip(network.parameters(), twin.parameters(), strict=True):
        decay = 0.5 * before if before.ndim > 1 else 0
        wanted = before - 0.1 * (before.grad + decay)
        assert torch.allclose(after, wanted, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_over_two_steps(nesterov):
    own, network, twin = tiny_set(), Linear(), Linear()
    images = (own.train.images / 255 - own.mean[0]) / own.std[0]
    velocity = [torch.zeros_like(p) for p in twin.parameters()]
    for _ in range(2):
        twin.zero_grad()
        nn.functional.cross_entropy(twin(images), own.train.labels).backward()
        with torch.no_grad():
            for v, p in zip(velocity, twin.parameters(), strict=True):
                v.mul_(0.9).add_(p.grad)
                p -= 0.1 * (p.grad + 0.9 * v if nesterov else v)
    recipe = dataclasses.replace(
        PLAIN, epochs=2, learning_rate=0.1, momentum=0.9, nesterov=nesterov, schedule="constant"
    )
    train(network, own, recipe)
    for ours, wanted in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, wanted, atol=1e-5)


def test_gradients_are_clipped_to_a_norm():
    own, network = tiny_set(), Linear()
    before = weights(network)
    train(network, own, dataclasses.replace(PLAIN, learning_rate=1.0, clip_norm=0.01))
    change = [b - a for b, a in zip(before, network.parameters(), strict=True)]
    norm = torch.sqrt(sum((c**2).sum() for c in change))
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


def test_the_auxiliary_head_is_trained_and_not_asked_in_validation():
    network = Linear(auxiliary=True)
    before = network.side.weight.detach().clone()
    result = train(network, tiny_set(), PLAIN)
    assert result.status == "ok" and not torch.equal(before, network.side.weight)


def test_the_learning_rate_follows_the_steps():
    result = train(Linear(), tiny_set(), Recipe(epochs=2, batch_size=6, learning_rate=1.0))
    rates = [record["learning_rate"] for record in result.history]
    # 4 steps an epoch: the last steps are number 3 and number 7 of 8
    assert rates == pytest.approx([(1 + math.cos(math.pi * k / 8)) / 2 for k in (3, 7)])


def test_drop_path_is_set_before_every_step():
    network = Linear()
    recipe = Recipe(epochs=2, batch_size=12, drop_path_keep=0.6, drop_path_in_depth=True)
    train(network, tiny_set(), recipe)
    assert network.drop_path_calls == [(k / 4, 0.6, True) for k in range(4)]
    silent = Linear()
    train(silent, tiny_set(), Recipe(epochs=1))
    assert silent.drop_path_calls == []


def test_drop_path_needs_a_network_that_has_it():
    with pytest.raises(SettingsError, match=r"drop_path_keep=0\.6.*Sequential.*CellNetwork"):
        train(small_network(), tiny_set(), Recipe(drop_path_keep=0.6))


def test_batch_norm_momentum_is_set():
    network = small_network()
    train(network, tiny_set(side=8), Recipe(epochs=1))
    assert network[1].momentum == 0.1
    train(network, tiny_set(side=8), Recipe(epochs=1, bn_momentum=0.3))
    assert network[1].momentum == 0.3 and network[4].momentum == 0.3


def test_averaged_weights_are_validated_and_kept():
    own, network, twin = tiny_set(), Linear(), Linear()
    images = (own.train.images / 255 - own.mean[0]) / own.std[0]
    average = None
    for _ in range(3):
        twin.zero_grad()
        nn.functional.cross_entropy(twin(images), own.train.labels).backward()
        with torch.no_grad():
            for p in twin.parameters():
                p -= 0.5 * p.grad
        now = weights(twin)
        pairs = zip(average or now, now, strict=True)
        average = [0.8 * a + 0.2 * n for a, n in pairs]
    recipe = dataclasses.replace(
        PLAIN, epochs=3, learning_rate=0.5, schedule="constant", ema_decay=0.8
    )
    result = train(network, own, recipe)
    for ours, wanted in zip(network.parameters(), average, strict=True):
        assert torch.allclose(ours, wanted, atol=1e-5)
    assert result.validation_accuracy == evaluate(network, own.validation, own)


# --- ends other than "ok" -----------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1e6, 1e30])
def test_a_loss_that_explodes_ends_as_diverged(digits, rate):
    recipe = Recipe(epochs=5, learning_rate=rate, clip_norm=None, weight_decay=1.0)
    result = train(small_network(), digits, recipe)
    assert result.status == "diverged" and "epoch" in result.cause
    assert result.validation_accuracy is None and len(result.history) < 5


def test_a_network_that_gives_nan_ends_as_diverged():
    class Broken(Linear):
        def forward(self, images):
            return super().forward(images) * float("nan")

    result = train(Broken(), tiny_set(), Recipe(epochs=3))
    assert (result.status, result.history) == ("diverged", ()) and "nan" in result.cause


def test_logits_that_are_not_finite_in_validation_end_as_diverged():
    class BrokenLater(Linear):
        def forward(self, images):
            logits = super().forward(images)
            return logits if self.training else logits / 0

    result = train(BrokenLater(), tiny_set(), Recipe(epochs=3))
    assert result.status == "diverged" and "logits" in result.cause


def test_the_time_limit_stops_between_batches():
    class Slow(Linear):
        def forward(self, images):
            time.sleep(0.02)
            return super().forward(images)

    result = train(Slow(), tiny_set(), Recipe(epochs=10**6, batch_size=4, time_limit=0.3))
    assert result.status == "timeout" and "0.3 s" in result.cause
    assert result.validation_accuracy is None and 0.3 < result.seconds < 10


@pytest.mark.parametrize("last", [6, 8, 10])  # the second epoch: first batch, third, validation
def test_a_request_to_stop_is_heard_before_the_next_batch(last):
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) == last

    own = tiny_set()  # 4 batches of training and 1 of validation an epoch
    result = train(Linear(), own, Recipe(epochs=9, batch_size=6), should_stop=should_stop)
    assert result.status == "stopped" and "request" in result.cause
    assert len(asked) == last and len(result.history) == 1


def test_on_epoch_is_given_the_history():
    records = []
    result = train(Linear(), tiny_set(), Recipe(epochs=3), on_epoch=records.append)
    assert tuple(records) == result.history and len(records) == 3


@pytest.mark.parametrize("callback", ["on_epoch", "on_step", "should_stop"])
def test_an_interrupt_passes_through(callback):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Linear(), tiny_set(), Recipe(epochs=2), **{callback: interrupt})


def test_validation_comes_when_asked_and_after_the_last_epoch():
    result = train(Linear(), tiny_set(), Recipe(epochs=5, evaluate_every=2))
    accuracies = [record["validation_accuracy"] for record in result.history]
    assert [value is not None for value in accuracies] == [False, True, False, True, True]
    assert result.validation_accuracy == accuracies[-1]


@pytest.mark.parametrize("evaluate_every", [1, 2, 9])
def test_on_step_is_called_after_every_step(evaluate_every):
    calls, network = [], Linear()
    before = network.main.weight.detach().clone()

    def on_step(step, steps):
        assert not torch.equal(network.main.weight, before)  # the step has been made
        calls.append((step, steps))

    recipe = Recipe(epochs=3, batch_size=7, evaluate_every=evaluate_every)
    result = train(network, tiny_set(), recipe, on_step=on_step)  # 24 images: 4 batches of 6
    assert result.status == "ok"
    assert calls == [(step, 12) for step in range(1, 13)]


def test_on_step_of_a_run_that_is_stopped():
    """Asked to stop before the third batch: two steps have been made."""
    calls = []
    recipe = Recipe(epochs=3, batch_size=6)
    result = train(
        Linear(),
        tiny_set(),
        recipe,
        should_stop=lambda: len(calls) == 2,
        on_step=lambda step, steps: calls.append((step, steps)),
    )
    assert result.status == "stopped"
    assert calls == [(1, 12), (2, 12)]


# --- evaluation and devices ---------------------------------------------------------------------


def test_evaluate_counts_right_answers_and_keeps_the_mode():
    class Says(nn.Module):
        def forward(self, images):
            return torch.eye(3)[torch.ones(len(images)).long()]

    own, network = tiny_set(count=25), Says().train()
    for batch_size in (1, 7, 100):
        accuracy = evaluate(network, own.train, own, batch_size=batch_size)
        assert accuracy == pytest.approx(8 / 25)
    assert network.training


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", 3.5])
def test_devices_that_this_machine_does_not_have(device):
    with pytest.raises(SettingsError, match=f"device must be 'cpu' or one .*, got {device!r}"):
        find_device(device)
    with pytest.raises(SettingsError, match="'cpu'"):
        train(Linear(), tiny_set(), PLAIN, device=device)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_seeds_out_of_range(seed):
    with pytest.raises(SettingsError, match=f"seed must be a whole number from 0, got {seed!r}"):
        train(Linear(), tiny_set(), PLAIN, seed=seed)

"""A run on a pretrained network: its head, the features that are kept, fine-tuning, going on after interruptions."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console

from models.card import ModelCard, read_card
from models.preprocessing import scaled
from tests.samples import SHIPPED_MODEL, sample_split
from tests.training.test_fit import InterruptAt, interrupted_in_process
from training import fit, recipe, transfer
from training.base import Base, load_base
from training.errors import PublishError, TrainingError
from training.features import FrozenFeatures
from training.photo_augmentation import PhotoAugmentation
from training.settings import TrainingSettings

QUIET = Console(quiet=True)
IMAGES = sample_split().training_pictures


@pytest.fixture
def body(tmp_path: Path) -> Path:
    """A network with normalization, as most of those that are pretrained, for grey images of 28×28."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(name="normalization"),
            layers.ReLU(),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
        ]
    )
    path = tmp_path / "body.keras"
    model.save(path)
    return path


def run(folder: Path, base: Path, *, console: Console = QUIET, **given: Any) -> ModelCard:
    settings = settings_in(folder, base, **given)
    return fit.run(settings, sample_split(), console, load_base(settings))


def settings_in(folder: Path, base: Path, **given: Any) -> TrainingSettings:
    few = {"epochs": 3, "learning_rate": 0.01, "dense": 16}
    return TrainingSettings(
        output=folder / "models" / "net.keras", runs_dir=folder / "runs", base=str(base), **few | given
    )


def test_a_head_on_the_body_of_a_model_learns_from_few_images(tmp_path: Path) -> None:
    before = SHIPPED_MODEL.read_bytes()
    card = run(tmp_path, SHIPPED_MODEL, epochs=20, dense=100)
    assert SHIPPED_MODEL.read_bytes() == before
    assert card.evaluation is not None
    assert card.evaluation.test.accuracy > 0.8
    assert card.training is not None
    assert card.training.recipe == "transfer"
    assert card.input.preparation == "resize"  # what the split says of its images, not what the base's card says

    network = keras.saving.load_model(tmp_path / "models" / "net.keras", compile=False)
    old, new = keras.saving.load_model(SHIPPED_MODEL, compile=False).layers[:-1], network.layers
    for layer in (one for one in old if one.weights):
        (same,) = (one for one in new if one.name == layer.name)
        assert all(map(np.array_equal, layer.get_weights(), same.get_weights()))
    assert [layer.name for layer in network.layers[-3:]] == ["dense_2", "dropout_2", "predictions"]
    assert read_card(tmp_path / "models" / "net.keras") == card
    assert {file.name for run_dir in (tmp_path / "runs").glob("20*") for file in run_dir.iterdir()} == {
        "architecture.png", "best-cnn-model.card.json", "best-cnn-model.h5", "card.json", "confusion-matrix.png",
        "data-sha256", "history.csv", "learning-curves.png", "mistakes.html", "settings.json",
    }  # fmt: skip


def test_features_are_computed_once_for_all_runs_and_anew_for_other_images(
    tmp_path: Path, body: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, folder = load_base(settings_in(tmp_path, body)), tmp_path / "features"
    expected = base.body.predict(scaled(IMAGES, base.input), verbose=0)
    assert np.allclose(FrozenFeatures(base, folder, QUIET)("images", IMAGES), expected, atol=1e-5)
    (kept,) = folder.iterdir()

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    with monkeypatch.context() as context:
        context.setattr(base.body, "predict", fail)
        assert np.allclose(FrozenFeatures(base, folder, QUIET)("images", IMAGES), expected, atol=1e-5)
        with pytest.raises(AssertionError, match="computed again"):
            FrozenFeatures(base, folder, QUIET)("images", 255 - IMAGES)
    other = Base(base.name, base.body, base.input.model_copy(update={"scale": 1.0}), ())
    assert not np.allclose(FrozenFeatures(other, folder, QUIET)("images", IMAGES), expected, atol=1e-5)

    kept.write_bytes(kept.read_bytes()[:200])
    assert np.allclose(FrozenFeatures(base, folder, QUIET)("images", IMAGES), expected, atol=1e-5)
    assert np.load(kept).shape == expected.shape


def test_fine_tuning_changes_the_base_but_not_the_means_it_was_pretrained_with(tmp_path: Path, body: Path) -> None:
    pretrained = keras.saving.load_model(body)
    card = run(tmp_path, body, fine_tune_epochs=8, fine_tune_learning_rate=0.003, epochs=1, patience=8)
    assert card.training is not None
    assert [epoch.epoch for epoch in card.training.history] == list(range(1, 10))
    assert card.training.best_epoch > 1
    network = keras.saving.load_model(tmp_path / "models" / "net.keras", compile=False)
    assert not any(isinstance(layer, keras.layers.RandomFlip) for layer in network.layers)
    gamma, beta, mean, variance = network.get_layer("normalization").get_weights()
    old_gamma, old_beta, old_mean, old_variance = pretrained.get_layer("normalization").get_weights()
    assert np.array_equal(mean, old_mean)
    assert np.array_equal(variance, old_variance)
    assert np.array_equal((gamma, beta), (old_gamma, old_beta))
    assert not np.array_equal(network.layers[1].get_weights()[0], pretrained.layers[0].get_weights()[0])


@interrupted_in_process
@pytest.mark.parametrize("epoch", [1, 2, 3], ids=["in the head", "before fine-tuning", "in fine-tuning"])
def test_an_interrupted_run_is_gone_on_with(
    tmp_path: Path, body: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    wanted = {"epochs": 2, "fine_tune_epochs": 2}
    whole = run(tmp_path / "whole", body, **wanted)
    usual = recipe.fit_callbacks
    with monkeypatch.context() as context:
        context.setattr(recipe, "fit_callbacks", lambda *given: [*usual(*given), InterruptAt(epoch)])
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, body, **wanted)
    card = run(tmp_path, body, resume=True, **wanted)
    assert card.training is not None
    assert whole.training is not None
    assert [one.epoch for one in card.training.history] == [1, 2, 3, 4]
    assert len(list((tmp_path / "runs").glob("20*"))) == 1
    if epoch != 1:  # the head's shuffling and dropout begin anew
        for one, other in zip(card.training.history[:2], whole.training.history[:2], strict=True):
            assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-4)
    with pytest.raises(TrainingError, match="was interrupted; start one without --resume"):
        run(tmp_path, body, resume=True, **wanted)


def test_a_run_that_could_not_publish_is_gone_on_with_and_not_fitted_again(
    tmp_path: Path, body: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PublishError("the disk is full")

    with monkeypatch.context() as context:
        context.setattr(fit, "publish", full)
        with pytest.raises(PublishError):
            run(tmp_path, body)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(recipe, "fit", fail)
    card = run(tmp_path, body, resume=True)
    assert card.training is not None
    assert len(card.training.history) == 3


def test_images_of_another_size_than_the_base_takes_are_refused(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(2, 3)]).save(tmp_path / "body.keras")
    with pytest.raises(TrainingError, match="takes images of 32 × 32 × 3, and sample has 28 × 28 × 1"):
        run(tmp_path, tmp_path / "body.keras")


def test_photographs_are_changed_the_same_way_by_the_same_random_numbers() -> None:
    images = np.repeat(IMAGES, 3, axis=3)
    augmentation = PhotoAugmentation()
    first, again, other = (augmentation(images, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == images.shape
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 255
    alike = [
        max(np.corrcoef(one.ravel(), way.ravel())[0, 1] for way in (image, image[:, ::-1]))
        for one, image in zip(first, images, strict=True)
    ]
    assert np.median(alike) > 0.7


def test_names_of_the_new_layers_are_free(body: Path, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, body)
    base = load_base(settings)
    once = transfer.network_on(base, 10, settings)
    once.save(tmp_path / "once.keras")
    again = load_base(settings_in(tmp_path, tmp_path / "once.keras"))
    names = [layer.name for layer in transfer.network_on(again, 10, settings).layers]
    assert names[-3:] == ["dense_2", "dropout_2", "predictions"]

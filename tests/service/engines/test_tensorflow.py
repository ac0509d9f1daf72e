"""Loading, warming and calling real Keras models: the shipped one, a notebook's, and ones that do not fit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from models.card import ModelFileError, OodStatistics, read_card, write_card
from models.ood import OodScorer
from models.preprocessing import open_image, prepare, scaled
from service.engines.tensorflow import batch_sizes
from service.model_files.loading import DeviceError, limit_threads, load_classifier
from service.settings import Device
from tests.fakes import FakeEngine
from tests.samples import SAMPLE_FILES, encoded, label_of, needs_full_set, pixels_of
from training.data import load_fashion_mnist
from training.ood_images import separation


def sample_input() -> np.ndarray:
    return np.stack([pixels_of(file) for file in SAMPLE_FILES])[..., np.newaxis].astype(np.float32) / 255


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def save(*stack: layers.Layer) -> Path:
        path = tmp_path / "model.h5"
        keras.Sequential(stack).save(path)
        return path

    return save


def test_answers_equal_kerass_own_whatever_the_batch_size(shipped_model: Path) -> None:
    classifier, _ = load_classifier(shipped_model, "cpu", (), 64)
    images = sample_input()
    expected = keras.saving.load_model(shipped_model).predict(images, verbose=0)
    for rows in (1, 3, 64, 65, 200):
        answers = classifier.predict(images[:rows])
        assert answers.shape == (rows, 10)
        assert answers.dtype == np.float32
        assert np.abs(answers - expected[:rows]).max() < 1e-5


def test_the_shipped_model_is_right_about_most_real_images(shipped_model: Path) -> None:
    classifier, source = load_classifier(shipped_model, "auto", (), 64)
    answers = classifier.predict(sample_input()).argmax(axis=1)
    right = answers == [label_of(file) for file in SAMPLE_FILES]
    assert right.mean() > 0.88
    assert source == "card read from the file"


@needs_full_set
def test_the_shipped_model_is_as_good_as_its_card_says(shipped_model: Path) -> None:
    classifier, _ = load_classifier(shipped_model, "cpu", (), 64)
    card, split = read_card(shipped_model), load_fashion_mnist(None, 0.2, 42)
    assert card is not None
    assert card.evaluation is not None
    assert card.data is not None
    answers = classifier.predict(scaled(split.test_pictures, card.input)).argmax(axis=1)
    assert (answers == split.test_labels).mean() == pytest.approx(card.evaluation.test.accuracy, abs=2e-4)
    assert split.sha256 == card.data.sha256


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (8, (1, 2, 3, 4, 5, 6, 7, 8)),
        (50, (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 50)),
    ],
)
def test_warmed_batch_sizes_are_four_to_each_doubling_and_the_largest(largest: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(largest) == sizes


def test_familiarity_is_told_from_the_logits_and_from_what_the_last_layer_is_given(shipped_model: Path) -> None:
    classifier, _ = load_classifier(shipped_model, "cpu", (), 64)
    model = keras.saving.load_model(shipped_model, compile=False)
    features = keras.Model(model.inputs, model.layers[-1].input).predict(sample_input()[:64], verbose=0)
    model.layers[-1].activation = keras.activations.linear
    logits = model.predict(sample_input()[:64], verbose=0)
    answer = classifier.answer(sample_input()[:64])
    assert answer.familiarity == pytest.approx(OodScorer(classifier.card.familiarity)(features, logits), abs=1e-4)
    assert answer.probabilities.argmax(axis=1).tolist() == logits.argmax(axis=1).tolist()


@pytest.mark.parametrize("use_bias", [True, False])
def test_networks_that_end_otherwise_have_no_familiarity_and_answer_all_the_same(
    tmp_path: Path, use_bias: bool
) -> None:
    keras.utils.set_random_seed(0)
    start = keras.Input((6, 6, 1))
    flat = keras.layers.Flatten()(start)
    apart = keras.Model(start, keras.layers.Softmax()(keras.layers.Dense(3, use_bias=use_bias)(flat)))
    together = keras.Model(start, keras.layers.Dense(3, use_bias=use_bias, activation="softmax")(flat))
    images = np.random.default_rng(0).random((5, 6, 6, 1), np.float32)
    known = OodStatistics(quantiles=(0, 1), energy_spread=1)
    for name, model in (("apart", apart), ("together", together)):
        model.save(tmp_path / f"{name}.h5")
        card = FakeEngine.card_for(6, 6, 1).model_copy(update={"familiarity": known})
        write_card(tmp_path / f"{name}.h5", card)
        classifier, _ = load_classifier(tmp_path / f"{name}.h5", "cpu", (), 8)
        answer = classifier.answer(images)
        assert answer.probabilities == pytest.approx(model.predict(images, verbose=0), abs=1e-5)
        assert (answer.familiarity is None) == (name == "apart")


def test_what_is_no_clothing_is_less_familiar_than_what_is(shipped_model: Path) -> None:
    classifier, _ = load_classifier(shipped_model, "cpu", (), 64)
    wanted = classifier.card.input
    random = np.random.default_rng(0)
    strange = [
        prepare(open_image(content, 1_000_000), wanted)
        for _ in range(64)
        for content in (
            encoded(np.full((90, 90, 3), random.integers(0, 256, 3), np.uint8)),
            encoded(random.integers(0, 256, (28, 28), np.uint8)),
        )
    ]
    known = classifier.answer(sample_input()[:64]).familiarity
    unknown = classifier.answer(scaled(np.stack(strange[:64]), wanted)).familiarity
    assert known is not None
    assert unknown is not None
    assert separation(known, unknown) > 0.9


def test_only_the_warmed_batch_sizes_ever_reach_the_network(
    shipped_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, _ = load_classifier(shipped_model, "cpu", (), 16)
    seen: list[int] = []
    call = classifier._call

    def noted(batch: tf.Tensor) -> Any:
        seen.append(batch.shape[0])
        return call(batch)

    monkeypatch.setattr(classifier, "_call", noted)
    classifier.warm()
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]
    del seen[:]
    for rows in range(1, 40):
        assert len(classifier.predict(np.zeros((rows, 28, 28, 1), np.float32))) == rows
    assert set(seen) == {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16}


def test_threads_are_limited_before_tensorflow_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, int] = {}
    for kind in ("intra", "inter"):
        name = f"set_{kind}_op_parallelism_threads"
        monkeypatch.setattr(tf.config.threading, name, partial(given.__setitem__, kind))
    limit_threads(3)
    assert given == {"intra": 3, "inter": 3}


def test_a_notebooks_file_is_served_without_a_card(bare_model_file: Path) -> None:
    classifier, source = load_classifier(bare_model_file, "cpu", (), 64)
    assert classifier.card.name == "from-notebook"
    assert classifier.card.input.model_dump() == {
        "height": 8, "width": 8, "channels": 3, "scale": 1 / 255, "preparation": "resize",
    }  # fmt: skip
    assert "no card" in source
    assert "numbered" in source


def test_class_names_can_be_given_for_a_file_without_a_card(bare_model_file: Path) -> None:
    classifier, source = load_classifier(bare_model_file, "cpu", ("red", "green", "blue"), 64)
    assert classifier.card.class_names == ("red", "green", "blue")
    assert "settings" in source


def test_a_network_that_rescales_itself_is_given_plain_pixels(save: Callable[..., Path]) -> None:
    path = save(keras.Input((4, 4, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax"))
    classifier, _ = load_classifier(path, "cpu", (), 64)
    assert classifier.card.input.scale == 1


def test_a_network_of_grey_images_without_a_channel_axis_is_served(save: Callable[..., Path]) -> None:
    path = save(keras.Input((28, 28)), layers.Flatten(), layers.Dense(10, "softmax"))
    classifier, _ = load_classifier(path, "cpu", (), 64)
    images = sample_input()[:3]
    expected = keras.saving.load_model(path).predict(images[..., 0], verbose=0)
    assert np.abs(classifier.predict(images) - expected).max() < 1e-5


def test_a_functional_network_is_served(tmp_path: Path) -> None:
    image = keras.Input((6, 6, 3))
    left, right = (layers.Conv2D(2, size, padding="same")(image) for size in (1, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Add()([left, right]))
    path = tmp_path / "functional.h5"
    keras.Model(image, layers.Dense(2, "softmax")(pooled)).save(path)
    classifier, _ = load_classifier(path, "cpu", (), 64)
    assert classifier.predict(np.zeros((1, 6, 6, 3), np.float32)).shape == (1, 2)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        ((keras.Input((4,)), layers.Dense(2, "softmax")), r"takes \(None, 4\)"),
        ((keras.Input((4, 4, 1)), layers.Conv2D(2, 1, activation="softmax")), "no image classifier"),
        ((keras.Input((None, None, 1)), layers.GlobalMaxPooling2D(), layers.Dense(2, "softmax")), "fixed size"),
        ((keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1, "sigmoid")), "2 classes or more"),
        ((keras.Input((4, 4, 2)), layers.Flatten(), layers.Dense(2, "softmax")), "2 channels"),
        ((keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)), "end the model with a softmax"),
    ],
    ids=["vector", "segmentation", "any size", "one class", "two channels", "logits"],
)
def test_a_network_of_another_kind_is_refused(
    save: Callable[..., Path], stack: tuple[layers.Layer, ...], reason: str
) -> None:
    with pytest.raises(ModelFileError, match=reason):
        load_classifier(save(*stack), "cpu", (), 64)


def test_a_network_of_two_inputs_is_refused(tmp_path: Path) -> None:
    inputs = [keras.Input((4, 4, 1)), keras.Input((4, 4, 1))]
    path = tmp_path / "two.h5"
    keras.Model(inputs, layers.Dense(2, "softmax")(layers.Flatten()(layers.Add()(inputs)))).save(path)
    with pytest.raises(ModelFileError, match="one input"):
        load_classifier(path, "cpu", (), 64)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2, "softmax")])
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    model.save(tmp_path / "nan.h5")
    with pytest.raises(ModelFileError, match="no numbers"):
        load_classifier(tmp_path / "nan.h5", "cpu", (), 64)


def test_a_lambda_layer_is_never_run(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Lambda(lambda x: x), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    model.save(tmp_path / "lambda.h5")
    with pytest.raises(ModelFileError, match="'Lambda', which is not among the layers"):
        load_classifier(tmp_path / "lambda.h5", "cpu", (), 64)


def test_a_card_that_does_not_fit_its_network_is_refused(model_file: Path) -> None:
    write_card(model_file, FakeEngine.card_for(8, 9, 3))
    with pytest.raises(ModelFileError, match=r"\(8, 9, 3, 3\), but the model has \(8, 8, 3, 3\)"):
        load_classifier(model_file, "cpu", (), 64)


def test_too_few_class_names_are_refused(bare_model_file: Path) -> None:
    with pytest.raises(ModelFileError, match="as many class names"):
        load_classifier(bare_model_file, "cpu", ("red", "green"), 64)


@pytest.mark.parametrize(("device", "name"), [("auto", "Fast GPU"), ("gpu", "Fast GPU"), ("cpu", "CPU")])
def test_a_gpu_is_taken_where_there_is_one_and_its_memory_on_demand(
    shipped_model: Path, monkeypatch: pytest.MonkeyPatch, device: Device, name: str
) -> None:
    done: list[tuple[str, object, object]] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: ["gpu 0"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *given: done.append(("visible", *given)))
    experimental = tf.config.experimental
    monkeypatch.setattr(experimental, "set_memory_growth", lambda *given: done.append(("growth", *given)))
    monkeypatch.setattr(experimental, "get_device_details", lambda _gpu: {"device_name": "Fast GPU"})
    classifier, _ = load_classifier(shipped_model, device, (), 64)
    assert classifier.device == name
    assert done == ([("visible", [], "GPU")] if device == "cpu" else [("growth", "gpu 0", True)])


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_missed(shipped_model: Path) -> None:
    with pytest.raises(DeviceError, match="use --device auto"):
        load_classifier(shipped_model, "gpu", (), 64)

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

from models.card import ImageInput, ModelFileError, OodStatistics, read_card, write_card
from models.decoding import open_image
from models.ood import OodScorer
from models.preprocessing import prepared_pixels, scaled
from models.specification import Facts, Finding
from service.engines.base import DeviceError
from service.engines.findings import log_findings
from service.engines.tensorflow import TensorFlowLoader, batch_sizes
from service.settings import Device
from tests.applications import tensorflow_engine
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
    engine = tensorflow_engine(shipped_model)
    images = sample_input()
    expected = keras.saving.load_model(shipped_model).predict(images, verbose=0)
    for rows in (1, 3, 64, 65, 200):
        answers = engine.predict(images[:rows])
        assert answers.shape == (rows, 10)
        assert answers.dtype == np.float32
        assert np.abs(answers - expected[:rows]).max() < 1e-5


def test_the_shipped_model_is_right_about_most_real_images(shipped_model: Path) -> None:
    engine = tensorflow_engine(shipped_model, "auto")
    answers = engine.predict(sample_input()).argmax(axis=1)
    right = answers == [label_of(file) for file in SAMPLE_FILES]
    assert right.mean() > 0.88
    assert {finding.source for finding in engine.findings} == {"the card in the file"}


@needs_full_set
def test_the_shipped_model_is_as_good_as_its_card_says(shipped_model: Path) -> None:
    engine = tensorflow_engine(shipped_model)
    card, split = read_card(shipped_model), load_fashion_mnist(None, 0.2, 42)
    assert card is not None
    assert card.evaluation is not None
    assert card.data is not None
    answers = engine.predict(scaled(split.test_pictures, card.input)).argmax(axis=1)
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


def test_the_ood_score_is_made_of_the_logits_and_of_the_last_layers_input(shipped_model: Path) -> None:
    engine = tensorflow_engine(shipped_model)
    model = keras.saving.load_model(shipped_model, compile=False)
    features = keras.Model(model.inputs, model.layers[-1].input).predict(sample_input()[:64], verbose=0)
    model.layers[-1].activation = keras.activations.linear
    logits = model.predict(sample_input()[:64], verbose=0)
    answer = engine.infer(sample_input()[:64])
    assert answer.ood_scores == pytest.approx(OodScorer(engine.card.familiarity)(features, logits), abs=1e-4)
    assert answer.scores.argmax(axis=1).tolist() == logits.argmax(axis=1).tolist()


@pytest.mark.parametrize("use_bias", [True, False])
def test_models_that_end_otherwise_have_no_ood_score_and_answer_all_the_same(tmp_path: Path, use_bias: bool) -> None:
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
        engine = tensorflow_engine(tmp_path / f"{name}.h5", "cpu", max_batch_size=8)
        answer = engine.infer(images)
        assert answer.scores == pytest.approx(model.predict(images, verbose=0), abs=1e-5)
        assert (answer.ood_scores is None) == (name == "apart")


def test_what_is_no_clothing_has_a_lower_ood_score_than_what_is(shipped_model: Path) -> None:
    engine = tensorflow_engine(shipped_model)
    wanted = engine.card.input
    random = np.random.default_rng(0)
    strange = [
        prepared_pixels(open_image(content, 1_000_000), wanted)
        for _ in range(64)
        for content in (
            encoded(np.full((90, 90, 3), random.integers(0, 256, 3), np.uint8)),
            encoded(random.integers(0, 256, (28, 28), np.uint8)),
        )
    ]
    known = engine.infer(sample_input()[:64]).ood_scores
    unknown = engine.infer(scaled(np.stack(strange[:64]), wanted)).ood_scores
    assert known is not None
    assert unknown is not None
    assert separation(known, unknown) > 0.9


def test_only_the_warmed_batch_sizes_ever_reach_the_network(
    shipped_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = tensorflow_engine(shipped_model, max_batch_size=16)
    seen: list[int] = []
    forward_pass = engine._forward_pass

    def noted(batch: tf.Tensor) -> Any:
        seen.append(batch.shape[0])
        return forward_pass(batch)

    monkeypatch.setattr(engine, "_forward_pass", noted)
    engine.warm()
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]
    del seen[:]
    for rows in range(1, 40):
        assert len(engine.predict(np.zeros((rows, 28, 28, 1), np.float32))) == rows
    assert set(seen) == {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16}


def test_threads_are_limited_before_tensorflow_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, int] = {}
    for kind in ("intra", "inter"):
        name = f"set_{kind}_op_parallelism_threads"
        monkeypatch.setattr(tf.config.threading, name, partial(given.__setitem__, kind))
    TensorFlowLoader("cpu", 3, Facts(), 8)
    assert given == {"intra": 3, "inter": 3}


def test_a_notebooks_file_is_served_without_a_card(bare_model_file: Path) -> None:
    engine = tensorflow_engine(bare_model_file)
    assert engine.card.name == "from-notebook"
    assert engine.card.input == ImageInput(
        height=8, width=8, channels=3, scale=1 / 255, fit="stretch", interpolation="bilinear"
    )
    guessed = {finding.field for finding in engine.findings if finding.guessed}
    assert guessed == {"class_names", "pixels", "channel_order", "fit", "interpolation"}


def test_class_names_can_be_given_for_a_file_without_a_card(bare_model_file: Path) -> None:
    engine = tensorflow_engine(bare_model_file, "cpu", Facts(class_names=("red", "green", "blue")))
    assert engine.card.class_names == ("red", "green", "blue")
    assert Finding("class_names", "red, green, blue", "an option", guessed=False) in engine.findings


def test_a_network_that_rescales_itself_is_given_plain_pixels(save: Callable[..., Path]) -> None:
    path = save(keras.Input((4, 4, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, "softmax"))
    engine = tensorflow_engine(path)
    assert engine.card.input.scale == 1


def test_a_network_of_grey_images_without_a_channel_axis_is_served(save: Callable[..., Path]) -> None:
    path = save(keras.Input((28, 28)), layers.Flatten(), layers.Dense(10, "softmax"))
    engine = tensorflow_engine(path)
    images = sample_input()[:3]
    expected = keras.saving.load_model(path).predict(images[..., 0], verbose=0)
    assert np.abs(engine.predict(images) - expected).max() < 1e-5


def test_a_functional_network_is_served(tmp_path: Path) -> None:
    image = keras.Input((6, 6, 3))
    left, right = (layers.Conv2D(2, size, padding="same")(image) for size in (1, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Add()([left, right]))
    path = tmp_path / "functional.h5"
    keras.Model(image, layers.Dense(2, "softmax")(pooled)).save(path)
    engine = tensorflow_engine(path)
    assert engine.predict(np.zeros((1, 6, 6, 3), np.float32)).shape == (1, 2)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        ((keras.Input((5,)), layers.Dense(2, "softmax")), "takes 5 values"),
        ((keras.Input((4, 4, 1)), layers.Conv2D(2, 1, activation="softmax")), "no image classifier"),
        ((keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1, "softmax")), "say with --head"),
        ((keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, "tanh")), "say with --head"),
        ((keras.Input((4, 4, 2)), layers.Flatten(), layers.Dense(2, "softmax")), "images of 2 channels"),
        ((keras.Input((3, 4, 4)), layers.Flatten(), layers.Dense(2, "softmax")), "channels first"),
    ],
    ids=["vector", "segmentation", "one class", "no probabilities", "two channels", "channels first"],
)
def test_a_network_of_another_kind_is_refused(
    save: Callable[..., Path], stack: tuple[layers.Layer, ...], reason: str
) -> None:
    with pytest.raises(ModelFileError, match=reason):
        tensorflow_engine(save(*stack))


def test_a_network_of_two_inputs_is_refused(tmp_path: Path) -> None:
    inputs = [keras.Input((4, 4, 1)), keras.Input((4, 4, 1))]
    path = tmp_path / "two.h5"
    keras.Model(inputs, layers.Dense(2, "softmax")(layers.Flatten()(layers.Add()(inputs)))).save(path)
    with pytest.raises(ModelFileError, match="has 2 inputs"):
        tensorflow_engine(path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2, "softmax")])
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    model.save(tmp_path / "nan.h5")
    with pytest.raises(ModelFileError, match="no numbers"):
        tensorflow_engine(tmp_path / "nan.h5")


def test_a_lambda_layer_is_never_run(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Lambda(lambda x: x), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    model.save(tmp_path / "lambda.h5")
    with pytest.raises(ModelFileError, match="it has a Lambda, which is Python code"):
        tensorflow_engine(tmp_path / "lambda.h5")


def test_a_card_that_does_not_fit_its_network_is_refused(model_file: Path) -> None:
    write_card(model_file, FakeEngine.card_for(8, 9, 3))
    with pytest.raises(ModelFileError, match="takes images of 8×9, but the model takes 8×8"):
        tensorflow_engine(model_file)


def test_too_few_class_names_are_refused(bare_model_file: Path) -> None:
    told = r"--class-names or --labels names 2 classes, but the model has 3; give all .*the names are red, green"
    with pytest.raises(ModelFileError, match=told):
        tensorflow_engine(bare_model_file, "cpu", Facts(class_names=("red", "green")))


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
    engine = tensorflow_engine(shipped_model, device)
    assert engine.device == name
    assert done == ([("visible", [], "GPU")] if device == "cpu" else [("growth", "gpu 0", True)])


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_missed(shipped_model: Path) -> None:
    with pytest.raises(DeviceError, match="use --device auto"):
        tensorflow_engine(shipped_model, "gpu")


@pytest.mark.parametrize("by_option", [True, False])
def test_pixels_that_are_scaled_twice_are_told_and_who_says_so_is_not_told_to_say_it(
    save: Callable[..., Path], caplog: pytest.LogCaptureFixture, by_option: bool
) -> None:
    path = save(keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3, "softmax"))
    given = Facts(pixels="0..1")
    if not by_option:
        path.with_name(f"{path.stem}.card.json").write_text(given.model_dump_json(include={"pixels"}))
    with caplog.at_level("INFO", "service"):
        log_findings(tensorflow_engine(path, options=given if by_option else Facts()))
    (record,) = [record for record in caplog.records if "scaled before the model" in record.getMessage()]
    assert "is that meant?" in record.getMessage()
    assert record.levelname == ("INFO" if by_option else "WARNING")
    assert ("say it with" in record.getMessage()) != by_option

"""Models as other people build and save them: each is asked over HTTP, and answers as it does in its author's hands."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
import keras
import numpy as np
import pytest
from fastapi.testclient import TestClient
from keras import layers
from PIL import Image, ImageOps

from models.card import ModelFileError
from models.decoding import open_image
from models.preprocessing import prepared_pixels, scaled
from models.specification import Facts
from service.settings import ServiceSettings
from tests.applications import application, context_of, tensorflow_engine
from tests.samples import encoded

HEIGHT, WIDTH = 20, 30
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
PNG = {"Content-Type": "image/png"}

Raw = np.ndarray
Probabilities = Callable[[Raw], np.ndarray]


def softmax(logits: Raw) -> np.ndarray:
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def sigmoid(logits: Raw) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def two_classes(one: Raw) -> np.ndarray:
    return np.array([1 - one[0], one[0]])


def as_they_are(values: Raw) -> np.ndarray:
    return values


def model_of(*last: layers.Layer, first: tuple[layers.Layer, ...] = (), loss: Any = None) -> keras.Model:
    keras.utils.set_random_seed(1)
    body = [layers.Conv2D(4, 3, activation="relu"), layers.Flatten()]
    model = keras.Sequential([layers.Input((HEIGHT, WIDTH, 3)), *first, *body, *last])
    if loss is not None:
        model.compile("adam", loss)
    return model


def own_output(model: keras.Model, values: np.ndarray) -> Raw:
    """What `model` makes of one image, as its author would ask it."""
    return np.asarray(model.predict(values[np.newaxis], verbose=0)[0], np.float32).ravel()


def asked(path: Path, **options: Any) -> dict[str, Any]:
    """What /predict, TensorFlow Serving's :predict and :classify answer, and the card."""
    engine = tensorflow_engine(path, options=Facts(**options), max_batch_size=2)
    image = encoded(PIXELS)
    with TestClient(application(ServiceSettings(access_log=False), engine)) as client:
        answer = client.post("/predict", content=image, headers=PNG, params={"top_k": 1000})
        assert answer.status_code == 200, answer.text
        by_index = sorted(answer.json()["probabilities"], key=lambda entry: entry["index"])
        row = context_of(client).prediction.repository.default.current.card.input
        values = np.asarray(PIXELS[..., ::-1] if row.channel_order == "bgr" else PIXELS, np.float32)
        values = values * np.asarray(row.scale, np.float32) + np.asarray(row.offset, np.float32)
        name = f"/v1/models/{engine.card.name}"
        raw = client.post(f"{name}:predict", json={"instances": [values.tolist()]})
        classified = client.post(f"{name}:classify", json={"examples": [{"input": values.tolist()}]})
        return {
            "answer": answer.json(),
            "probabilities": np.array([entry["probability"] for entry in by_index]),
            "raw": np.array(raw.json()["predictions"][0]),
            "classified": np.array([value for _, value in classified.json()["results"][0]]),
            "card": client.get("/model-card").json(),
        }


HEADS: dict[str, tuple[tuple[layers.Layer, ...], Any, Probabilities, str]] = {
    "softmax": ((layers.Dense(3, "softmax"),), None, as_they_are, "softmax"),
    "softmax layer": ((layers.Dense(3), layers.Softmax()), None, as_they_are, "softmax"),
    "softmax, loss from logits": (
        (layers.Dense(3, "softmax"),),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        as_they_are,
        "softmax",
    ),
    "logits": ((layers.Dense(3),), keras.losses.SparseCategoricalCrossentropy(from_logits=True), softmax, "logits"),
    "logits, no loss": ((layers.Dense(3),), None, softmax, "logits"),
    "one sigmoid": ((layers.Dense(1, "sigmoid"),), "binary_crossentropy", two_classes, "sigmoid"),
    "one logit": (
        (layers.Dense(1),),
        keras.losses.BinaryCrossentropy(from_logits=True),
        lambda values: two_classes(sigmoid(values)),
        "logits",
    ),
    "sigmoids, categorical": ((layers.Dense(4, "sigmoid"),), "categorical_crossentropy", as_they_are, "sigmoid"),
    "multi-label": ((layers.Dense(4, "sigmoid"),), "binary_crossentropy", as_they_are, "multi-label"),
    "multi-label logits": (
        (layers.Dense(4),),
        keras.losses.BinaryCrossentropy(from_logits=True),
        sigmoid,
        "multi-label",
    ),
}


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("kind", HEADS)
def test_every_head_gives_its_probabilities_and_its_own_output(kind: str, suffix: str, tmp_path: Path) -> None:
    last, loss, probabilities, head = HEADS[kind]
    model = model_of(*last, loss=loss)
    model.save(tmp_path / f"model.{suffix}")
    own = own_output(model, PIXELS / np.float32(255))
    found = asked(tmp_path / f"model.{suffix}")
    assert found["card"]["head"] == head
    assert found["probabilities"] == pytest.approx(probabilities(own), abs=1e-5)
    assert found["classified"] == pytest.approx(probabilities(own), abs=1e-5)
    assert found["raw"] == pytest.approx(own, abs=1e-5)


def test_a_multi_label_models_labels_are_all_that_reach_the_threshold(tmp_path: Path) -> None:
    model = model_of(layers.Dense(4, "sigmoid"), loss="binary_crossentropy")
    model.save(tmp_path / "model.h5")
    names = ("cat", "dog", "owl", "cow")
    found = asked(tmp_path / "model.h5", class_names=names, label_threshold=0.45)
    reached = found["probabilities"] >= 0.45
    assert found["answer"]["labels"] == [name for name, there in zip(names, reached, strict=True) if there]


def test_a_head_can_be_given_and_one_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model_of(layers.Dense(4)).save(tmp_path / "model.h5")
    assert asked(tmp_path / "model.h5", head="multi-label")["card"]["head"] == "multi-label"
    with pytest.raises(ModelFileError, match="name another with --head"):
        tensorflow_engine(tmp_path / "model.h5", options=Facts(head="softmax"))


def scaled_inside(kind: str) -> keras.Model:
    """A model that takes pixels of 0 to 255, and scales them in the way of its `kind`."""
    keras.utils.set_random_seed(2)
    start = layers.Input((HEIGHT, WIDTH, 3))
    match kind:
        case "rescaling":
            values = layers.Rescaling(1 / 255)(start)
        case "behind augmentation":
            augmented = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1)])
            values = layers.Rescaling(1 / 127.5, -1)(augmented(start))
        case "in a nested model":
            values = keras.Sequential([layers.Resizing(10, 10), layers.Rescaling(1 / 255)])(start)
        case "normalization":
            values = layers.Normalization(mean=(123.0, 117.0, 104.0), variance=(3364.0, 3249.0, 3306.0))(start)
        case "preprocess_input":
            values = keras.applications.mobilenet_v2.preprocess_input(start)
        case "preprocess_input of the kind caffe":
            values = keras.applications.vgg16.preprocess_input(start)
        case "turned channels":
            values = start[..., ::-1] / 255
        case _:
            values = start * (1 / 255) - 0.5
    maps = layers.Conv2D(4, 3, activation="relu")(values)
    return keras.Model(start, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(maps)))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize(
    "kind",
    [
        "rescaling",
        "behind augmentation",
        "in a nested model",
        "normalization",
        "preprocess_input",
        "preprocess_input of the kind caffe",
        "turned channels",
        "operators",
    ],
)
def test_a_model_that_scales_the_pixels_itself_is_given_them_as_they_are(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    model = scaled_inside(kind)
    model.save(tmp_path / f"model.{suffix}")
    found = asked(tmp_path / f"model.{suffix}")
    assert found["probabilities"] == pytest.approx(own_output(model, PIXELS.astype(np.float32)), abs=1e-5)
    source = next(source for source in found["card"]["sources"] if source["field"] == "pixels")
    assert source["value"] == "0..255"
    assert not source["guessed"]


def test_a_rescaling_that_expects_0_to_1_is_given_that(tmp_path: Path) -> None:
    model = model_of(layers.Dense(3, "softmax"), first=(layers.Rescaling(2, -1),))
    model.save(tmp_path / "model.h5")
    found = asked(tmp_path / "model.h5")
    assert found["probabilities"] == pytest.approx(own_output(model, PIXELS / np.float32(255)), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "preprocess"),
    [
        ({"pixels": "0..1"}, lambda pixels: pixels / np.float32(255)),
        ({"pixels": "0..255"}, lambda pixels: pixels.astype(np.float32)),
        ({"pixels": "-1..1"}, keras.applications.mobilenet_v2.preprocess_input),
        ({"pixels": "caffe"}, keras.applications.vgg16.preprocess_input),
        ({"pixels": "torch"}, keras.applications.densenet.preprocess_input),
        ({"pixels": "0..1", "channel_order": "bgr"}, lambda pixels: pixels[..., ::-1] / np.float32(255)),
    ],
    ids=["0..1", "0..255", "-1..1", "caffe", "torch", "bgr"],
)
def test_pixels_are_given_as_the_options_say(options: dict[str, Any], preprocess: Any, tmp_path: Path) -> None:
    model = model_of(layers.Dense(3, "softmax"))
    model.save(tmp_path / "model.h5")
    found = asked(tmp_path / "model.h5", **options)
    own = own_output(model, preprocess(PIXELS.astype(np.float32)))
    assert found["probabilities"] == pytest.approx(own, abs=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_models_of_half_precision_answer_with_their_own_values(policy: str, tmp_path: Path) -> None:
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = model_of(layers.Dense(3, "softmax"))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    model.save(tmp_path / "model.keras")
    found = asked(tmp_path / "model.keras")
    assert found["raw"] == pytest.approx(own_output(model, PIXELS / np.float32(255)), abs=1e-5)


def test_a_model_of_any_size_is_served_at_the_one_that_is_given(tmp_path: Path) -> None:
    start = layers.Input((None, None, 3))
    maps = layers.Conv2D(4, 3, activation="relu")(start)
    model = keras.Model(start, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(maps)))
    model.save(tmp_path / "model.keras")
    found = asked(tmp_path / "model.keras", image_size=(HEIGHT, WIDTH))
    assert found["probabilities"] == pytest.approx(own_output(model, PIXELS / np.float32(255)), abs=1e-5)
    engine = tensorflow_engine(tmp_path / "model.keras", max_batch_size=1)
    assert (engine.card.input.height, engine.card.input.width) == (224, 224)
    assert "image_size" in {finding.field for finding in engine.findings if finding.guessed}


def test_a_model_of_a_fixed_batch_size_answers_one_and_many(tmp_path: Path) -> None:
    start = layers.Input(batch_shape=(4, HEIGHT, WIDTH, 3))
    maps = layers.Conv2D(4, 3, activation="relu")(start)
    model = keras.Model(start, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(maps)))
    model.save(tmp_path / "model.h5")
    images = np.random.default_rng(1).random((7, HEIGHT, WIDTH, 3), np.float32)
    own = np.concatenate([model(images[:4]), model(images[3:])[1:]])
    assert tensorflow_engine(tmp_path / "model.h5", max_batch_size=8).predict(images) == pytest.approx(own, abs=1e-5)


def test_of_several_outputs_one_is_chosen_by_name(tmp_path: Path) -> None:
    start = layers.Input((HEIGHT, WIDTH, 3))
    maps = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(start))
    kind, old = layers.Dense(3, "softmax", name="kind")(maps), layers.Dense(1, "sigmoid", name="old")(maps)
    model = keras.Model(start, [kind, old])
    model.save(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match=r"'kind' \(3,\), 'old' \(1,\); say with --output"):
        tensorflow_engine(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match="no output 'sort'"):
        tensorflow_engine(tmp_path / "model.h5", options=Facts(output="sort"))
    own = model.predict(PIXELS[np.newaxis] / np.float32(255), verbose=0)
    assert asked(tmp_path / "model.h5", output="kind")["probabilities"] == pytest.approx(own[0][0], abs=1e-5)
    assert asked(tmp_path / "model.h5", output="old")["raw"] == pytest.approx(own[1][0], abs=1e-5)


def test_maps_of_one_value_are_classes_too(tmp_path: Path) -> None:
    start = layers.Input((HEIGHT, WIDTH, 3))
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(start)
    model = keras.Model(start, layers.Conv2D(3, 1, activation="softmax")(pooled))
    model.save(tmp_path / "model.h5")
    own = own_output(model, PIXELS / np.float32(255))
    assert asked(tmp_path / "model.h5")["probabilities"] == pytest.approx(own, abs=1e-5)


def test_attention_and_recurrent_layers_are_served(tmp_path: Path) -> None:
    start = layers.Input((HEIGHT, WIDTH, 3))
    rows = layers.Reshape((9, -1))(layers.Conv2D(4, 3, strides=2)(start))
    mixed = layers.MultiHeadAttention(2, 4)(rows, rows)
    both = layers.Bidirectional(layers.LSTM(5))(layers.LayerNormalization()(mixed))
    model = keras.Model(start, layers.Dense(3, "softmax")(both))
    model.save(tmp_path / "model.keras")
    own = own_output(model, PIXELS / np.float32(255))
    assert asked(tmp_path / "model.keras")["probabilities"] == pytest.approx(own, abs=1e-5)


def test_28_by_28_and_10_classes_are_not_fashion_mnist_unless_the_card_says_so(tmp_path: Path) -> None:
    digits = keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, "softmax")])
    digits.save(tmp_path / "digits.h5")
    engine = tensorflow_engine(tmp_path / "digits.h5", max_batch_size=1)
    assert engine.card.class_names == tuple(f"class {index}" for index in range(10))


def test_names_and_a_card_beside_the_file_are_read(tmp_path: Path) -> None:
    model = model_of(layers.Dense(3, "softmax"))
    model.save(tmp_path / "model.h5")
    (tmp_path / "class_indices.json").write_text(json.dumps({"owl": 2, "cat": 0, "dog": 1}))
    assert asked(tmp_path / "model.h5")["card"]["class_names"] == ["cat", "dog", "owl"]
    (tmp_path / "labels.txt").write_text("0 Class 1\r\n1 Class 2\r\n2 Class 3\r\n")
    assert asked(tmp_path / "model.h5")["card"]["class_names"] == ["Class 1", "Class 2", "Class 3"]
    (tmp_path / "model.card.json").write_text(json.dumps({"class_names": ["a", "b", "c"], "pixels": "-1..1"}))
    found = asked(tmp_path / "model.h5")
    assert found["card"]["class_names"] == ["a", "b", "c"]
    own = own_output(model, PIXELS / np.float32(127.5) - 1)
    assert found["probabilities"] == pytest.approx(own, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "cat\ndog\n"),
        ("model.labels.txt", "0 cat\n1 dog\n"),
        ("class_indices.json", '{"cat": 0, "dog": 1}'),
        ("model.card.json", '{"class_names": ["cat", "dog"]}'),
    ],
)
def test_a_file_with_too_few_names_is_told_with_what_it_has_and_what_is_needed(
    bare_model_file: Path, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / "model.h5").write_bytes(bare_model_file.read_bytes())
    (tmp_path / name).write_text(content)
    told = (
        f"{name} names 2 classes, but the model has 3; give all of them in its order, there or with --class-names "
        "(the names are cat, dog)"
    )
    with pytest.raises(ModelFileError, match=re.escape(told)):
        tensorflow_engine(tmp_path / "model.h5")


@pytest.mark.parametrize(
    ("name", "pixels", "preprocess"),
    [
        ("MobileNetV2", "-1..1", keras.applications.mobilenet_v2.preprocess_input),
        ("MobileNetV3Small", "0..255", keras.applications.mobilenet_v3.preprocess_input),
    ],
)
def test_networks_of_keras_applications_are_given_the_pixels_of_their_own_preprocess_input(
    name: str, pixels: str, preprocess: Any, tmp_path: Path
) -> None:
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
    model.save(tmp_path / "model.keras")
    engine = tensorflow_engine(tmp_path / "model.keras", max_batch_size=1)
    found = next(finding for finding in engine.findings if finding.field == "pixels")
    assert found.value == pixels
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    own = model.predict(preprocess(image[np.newaxis].astype(np.float32)), verbose=0)
    assert engine.predict(scaled(image, engine.card.input)[np.newaxis]) == pytest.approx(own, abs=1e-5)


def test_a_network_of_keras_applications_inside_of_a_model_is_named_in_the_warning(tmp_path: Path) -> None:
    body = keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3), include_top=False, pooling="avg")
    keras.Sequential([body, layers.Dense(2, "softmax")]).save(tmp_path / "model.keras")
    engine = tensorflow_engine(tmp_path / "model.keras", max_batch_size=1)
    (found,) = [finding for finding in engine.findings if finding.field == "pixels"]
    assert (found.value, found.guessed) == ("0..1", True)
    assert "mobilenetv2_1.00_96 of keras.applications was pretrained on -1..1" in found.source


@pytest.mark.parametrize("kind", ["head", "bottom"])
def test_teachable_machines_export_needs_no_option(kind: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    body = keras.applications.MobileNetV2(alpha=0.35, weights=None, input_shape=(224, 224, 3), include_top=False)
    model = keras.Sequential(
        [
            keras.Sequential([body, layers.GlobalAveragePooling2D()]),
            keras.Sequential([layers.Dense(10, "relu"), layers.Dense(2, "softmax", use_bias=kind == "bottom")]),
        ]
    )
    model.build((None, 224, 224, 3))
    model.save(tmp_path / "keras_model.h5")
    (tmp_path / "labels.txt").write_text("0 Cat\n1 Dog\n")
    engine = tensorflow_engine(tmp_path / "keras_model.h5", max_batch_size=1)
    told = {finding.field: finding for finding in engine.findings}
    assert engine.card.class_names == ("Cat", "Dog")
    if kind == "bottom":  # Teachable Machine's last layer has no bias
        assert told["pixels"].guessed
        return
    # Only of the zip as it was exported is that sure: programs ask such a model in other ways, too.
    assert {finding.field for finding in engine.findings if finding.guessed} == {
        "pixels",
        "fit",
        "interpolation",
        "channel_order",
    }
    with ZipFile(tmp_path / "converted_keras.zip", "w") as archive:
        for part in ("keras_model.h5", "labels.txt"):
            archive.write(tmp_path / part, part)
    exported = tensorflow_engine(tmp_path / "converted_keras.zip", max_batch_size=1)
    assert exported.card.input == engine.card.input
    assert not any(finding.guessed for finding in exported.findings)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 401, 3), np.uint8))
    example = ImageOps.fit(photo, (224, 224), Image.Resampling.LANCZOS)  # as its example does it
    own = model.predict(np.asarray(example, np.float32)[np.newaxis] / 127.5 - 1, verbose=0)
    found = scaled(
        prepared_pixels(open_image(encoded(np.asarray(photo)), 1_000_000), engine.card.input), engine.card.input
    )
    assert engine.predict(found[np.newaxis]) == pytest.approx(own, abs=1e-5)


@pytest.mark.parametrize("shape", [(None, None, None, 3), (1, HEIGHT, WIDTH, 3)], ids=["any size", "one at a time"])
def test_what_a_normalization_was_adapted_to_is_kept_where_the_model_is_made_for_one_size(
    shape: tuple[int | None, ...], tmp_path: Path
) -> None:
    normalization = layers.Normalization()
    normalization.adapt(PIXELS[np.newaxis].astype(np.float32))
    start = layers.Input(batch_shape=shape)
    maps = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(normalization(start)))
    model = keras.Model(start, layers.Dense(3, "softmax")(maps))
    model.save(tmp_path / "model.keras")
    found = asked(tmp_path / "model.keras", image_size=(HEIGHT, WIDTH))
    assert found["probabilities"] == pytest.approx(own_output(model, PIXELS.astype(np.float32)), abs=1e-5)


@pytest.mark.parametrize(
    ("scaling", "pixels"),
    [
        (layers.Rescaling(1, -127.5), "0..255"),
        (layers.Rescaling(-1 / 255, 1), "0..255"),
        (layers.Normalization(mean=120, variance=100), "0..255"),
        (layers.Normalization(mean=0.5, variance=0.06), "0..1"),
        (layers.Rescaling(255), "0..1"),
    ],
    ids=["offset alone", "inverted", "low contrast", "of values up to 1", "enlarged"],
)
def test_the_pixels_are_those_that_come_to_lie_around_0(scaling: layers.Layer, pixels: str, tmp_path: Path) -> None:
    model_of(layers.Dense(3, "softmax"), first=(scaling,)).save(tmp_path / "model.keras")
    findings = tensorflow_engine(tmp_path / "model.keras", max_batch_size=1).findings
    assert [(one.value, one.guessed) for one in findings if one.field == "pixels"] == [(pixels, False)]


def test_a_mean_of_probabilities_is_one_and_a_layer_may_be_called_twice(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    start = layers.Input((HEIGHT, WIDTH, 3))
    dropout = layers.Dropout(0.5)
    flat = dropout(layers.Flatten()(dropout(start)))
    model = keras.Model(start, layers.Average()([layers.Dense(3, "softmax")(flat), layers.Dense(3, "softmax")(flat)]))
    model.save(tmp_path / "model.keras")
    found = asked(tmp_path / "model.keras")
    assert found["card"]["head"] == "softmax"
    assert found["probabilities"] == pytest.approx(own_output(model, PIXELS / np.float32(255)), abs=1e-5)


def test_a_file_that_breaks_what_reads_it_ends_its_own_load_alone(tmp_path: Path) -> None:
    model_of(layers.Dense(3, "softmax")).save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        del file["model_weights"].attrs["layer_names"]
        file["model_weights"].attrs["layer_names"] = 3
    with pytest.raises(ModelFileError, match=r"model\.h5"):
        tensorflow_engine(tmp_path / "model.h5")


def sequence_model(*shape: int | None, first: layers.Layer) -> keras.Model:
    return keras.Sequential([layers.Input(shape), first, layers.Flatten(), layers.Dense(3, "softmax")])


@pytest.mark.parametrize(
    ("shape", "first", "reason"),
    [
        ((30, 63), layers.LSTM(4), r"sequences, 30 steps of 63 values; .* say --image-size 30x63"),
        ((30, 63), layers.Conv1D(4, 3), "sequences, 30 steps of 63 values"),
        ((30, 63), layers.Dense(4), "sequences, 30 steps of 63 values"),
        ((40, 1), layers.LSTM(4), "sequences, 40 steps of 1 values"),
        ((32000, 1), layers.Conv1D(2, 8, 1000), "sequences, 32,000 steps of 1 values"),
        ((None, 13), layers.LSTM(4), "sequences, any number of steps of 13 values"),
        ((12,), layers.Dense(4), "it takes 12 values"),
        ((48,), layers.Dense(4), "it takes 48 values"),
        ((32, 32, 4), layers.Conv2D(4, 3), "images of 4 channels, and grey ones and RGB are served"),
        ((3, 32, 32), layers.Permute((2, 3, 1)), "with the channels first"),
        ((4, 21, 21), layers.Permute((2, 3, 1)), "with the channels first"),
    ],
)
def test_what_takes_no_images_is_refused_with_what_it_takes(
    shape: tuple[int | None, ...], first: layers.Layer, reason: str, tmp_path: Path
) -> None:
    sequence_model(*shape, first=first).save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match=reason):
        tensorflow_engine(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("shape", "first", "options", "guessed"),
    [
        ((28, 28), layers.Flatten(), Facts(), False),
        ((28, 28), layers.Reshape((28, 28, 1)), Facts(), False),
        ((28, 28), layers.LSTM(4), Facts(), True),
        ((28, 28), layers.LSTM(4), Facts(image_size=(28, 28)), False),
        ((30, 63), layers.LSTM(4), Facts(image_size=(30, 63)), False),
        ((784,), layers.Dense(4), Facts(), True),
        ((784,), layers.Dense(4), Facts(image_size=(28, 28)), False),
    ],
)
def test_rows_of_values_are_an_image_where_that_is_said_or_likely(
    shape: tuple[int, ...], first: layers.Layer, options: Facts, guessed: bool, tmp_path: Path
) -> None:
    sequence_model(*shape, first=first).save(tmp_path / "model.keras")
    findings = tensorflow_engine(tmp_path / "model.keras", options=options).findings
    assert [one.guessed for one in findings if one.field == "image_size"] == [guessed]

"""`--base`: what part of a Keras file is taken, what pixels it is given, and one clear line for what is no use."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from models.card import ImageInput, ModelCard, write_card
from training.base import APPLICATIONS, Base, load_base
from training.errors import TrainingError
from training.settings import TrainingSettings

IMAGES = np.random.default_rng(0).uniform(0, 1, (4, 16, 16, 3)).astype(np.float32)


def body(edge: int | None = 16, *first: keras.layers.Layer) -> keras.Sequential:
    """Two convolutions, of feature maps (batch, height, width, 6)."""
    convolutions = [layers.Conv2D(count, 3, strides=2, activation="relu") for count in (4, 6)]
    return keras.Sequential([keras.Input((edge, edge, 3)), *first, *convolutions])


def classifier(*head: keras.layers.Layer) -> keras.Sequential:
    return keras.Sequential([keras.Input((16, 16, 3)), *body().layers, layers.GlobalAveragePooling2D(), *head])


def loaded(path: Path, model: keras.Model | None = None, **given: Any) -> Base:
    if model is not None:
        model.save(path)
    return load_base(TrainingSettings(base=str(path), **given))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_network_without_a_head_is_taken_whole_and_its_feature_maps_are_averaged(tmp_path: Path, suffix: str) -> None:
    model = body()
    base = loaded(tmp_path / f"body{suffix}", model)
    assert base.body.output_shape == (None, 6)
    assert np.allclose(base.body(IMAGES), np.mean(model(IMAGES), axis=(1, 2)), atol=1e-6)
    assert "as it is" in base.notes[0]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_normalization_in_a_model_inside_keeps_its_mean(tmp_path: Path, suffix: str) -> None:
    normalization = layers.Normalization()
    normalization.adapt(IMAGES)
    model = keras.Sequential([keras.Input((16, 16, 3)), body(16, normalization)])
    base = loaded(tmp_path / f"body{suffix}", model)
    assert np.allclose(base.body(IMAGES), np.mean(model(IMAGES), axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    "head",
    [
        [layers.Dense(5, activation="softmax", name="last")],
        [layers.Dropout(0.5), layers.Dense(5, name="last"), layers.Softmax()],
        [layers.Dense(5, name="last"), layers.Activation("sigmoid")],
        [keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="softmax", name="last")])],
    ],
    ids=["softmax", "logits and softmax", "activation", "a model inside"],
)
def test_a_classifier_is_cut_before_its_last_dense_layer(tmp_path: Path, head: list[keras.layers.Layer]) -> None:
    model = classifier(*head)
    base = loaded(tmp_path / "model.keras", model)
    inside = keras.Model(model.inputs[0], model.layers[2].output)
    assert np.allclose(base.body(IMAGES), inside(IMAGES), atol=1e-6)
    assert "without its last layer last of 5 units" in base.notes[0]


def test_a_network_for_images_of_any_size_is_given_one(tmp_path: Path) -> None:
    model = body(None)
    base = loaded(tmp_path / "body.keras", model, image_size=20)
    assert base.body.input_shape == (None, 20, 20, 3)
    assert loaded(tmp_path / "body.keras").body.input_shape == (None, 224, 224, 3)
    images = np.ones((1, 20, 20, 3), np.float32)
    assert np.allclose(base.body(images), np.mean(model(images), axis=(1, 2)), atol=1e-6)


def test_what_the_card_in_its_file_says_of_pixels_counts(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    classifier(layers.Dense(2, activation="softmax")).save(path)
    own = ImageInput(
        height=16,
        width=16,
        channels=3,
        channel_order="bgr",
        scale=(1, 2, 3),
        offset=4,
        fit="stretch",
        interpolation="area",
    )
    write_card(path, ModelCard(name="own", class_names=("a", "b"), input=own))
    assert loaded(path).input == own
    assert loaded(path, fit="crop").input == own.model_copy(update={"fit": "crop"})


def test_a_network_that_scales_pixels_itself_is_given_them_as_they_are(tmp_path: Path) -> None:
    base = loaded(tmp_path / "body.keras", body(16, layers.Rescaling(1 / 127.5, -1, name="scaling")))
    assert (base.input.scale, base.input.offset) == (1, 0)
    assert "its layer scaling scales them" in base.notes[1]


def test_a_name_of_keras_applications_tells_the_pixels_and_the_option_overrules_it(tmp_path: Path) -> None:
    path = tmp_path / "my-MobileNet_v2.keras"
    base = loaded(path, body())
    assert (base.input.scale, base.input.offset) == (1 / 127.5, -1)
    assert "--pixels says otherwise" in base.notes[1]
    caffe = loaded(path, pixels="caffe").input
    assert (caffe.scale, caffe.channel_order) == (1, "bgr")


def test_pixels_that_are_only_assumed_are_told(tmp_path: Path) -> None:
    base = loaded(tmp_path / "body.keras", body())
    assert base.input == ImageInput(
        height=16, width=16, channels=3, scale=1 / 255, fit="crop", interpolation="antialias"
    )
    assert "ASSUMED" in base.notes[1]


@pytest.mark.parametrize("name", ["mobilenetv2", "MobileNetV3Small"])
def test_a_network_of_keras_applications_is_named_in_any_case(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    make = getattr(keras.applications, APPLICATIONS[name.lower()])
    asked: dict[str, Any] = {}

    def without_download(**given: Any) -> keras.Model:
        asked.update(given)
        return make(**{**given, "weights": None})

    monkeypatch.setattr(keras.applications, APPLICATIONS[name.lower()], without_download)
    base = load_base(TrainingSettings(base=name, image_size=64))
    assert asked == {"include_top": False, "weights": "imagenet", "input_shape": (64, 64, 3)}
    assert (base.input.scale, base.input.offset) == ((1 / 127.5, -1) if name == "mobilenetv2" else (1, 0))


def test_weights_that_cannot_be_downloaded_are_one_line_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(**_: Any) -> keras.Model:
        raise Exception("URL fetch failure on https://example.org: no route to host")  # noqa: TRY002 # as Keras does

    monkeypatch.setattr(keras.applications, "MobileNetV2", no_network)
    with pytest.raises(TrainingError, match=r"no route to host.*MobileNetV2\(include_top=False\)\.save.*--base"):
        load_base(TrainingSettings(base="mobilenetv2"))


def two_inputs() -> keras.Model:
    one, other = keras.Input((16, 16, 3)), keras.Input((16, 16, 3))
    return keras.Model([one, other], layers.Add()([one, other]))


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (two_inputs, {}, "one input"),
        (lambda: keras.Sequential([keras.Input((16,)), layers.Dense(2)]), {}, "one input"),
        (body, {"image_size": 32}, "takes images of 16×16 with 3 channels, and .* ask for 32×32 with 3"),
        (body, {"channels": 1}, "ask for 16×16 with 1"),
        (lambda: keras.Sequential([keras.Input((16, 16, 3)), layers.Reshape((16, 48))]), {}, "expected feature maps"),
    ],
)
def test_a_network_that_takes_no_such_images_is_refused(
    tmp_path: Path, model: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        loaded(tmp_path / "model.keras", model(), **given)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"neither a Keras file nor one of keras\.applications.*such as mobilenetv2"
    ):
        load_base(TrainingSettings(base="mobilnetv2"))
    (tmp_path / "notes.h5").write_text("no model")
    with pytest.raises(TrainingError, match=r"notes\.h5 cannot be read"):
        loaded(tmp_path / "notes.h5")


@pytest.mark.parametrize(
    ("given", "message"),
    [({"base": "x", "recipe": "strong"}, "without --base"), ({"fine_tune_epochs": 2}, "with --base only")],
)
def test_settings_that_do_not_go_together_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**given)

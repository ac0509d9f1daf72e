"""Embeddings are the input of the last dense layer, as Keras itself has it, by both engines and whatever the model.

What is special in Keras alone is tried with TensorFlow alone: to convert a model takes seconds.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models.specification import Facts
from service.engines.base import Engine
from service.engines.light.engine import LightEngine
from service.engines.light.loader import LightLoader
from service.model_files.snapshot import ModelFileLimits
from tests.applications import tensorflow_engine
from tests.samples import CONVERTED, SAMPLE_FILES, pixels_of

Load = Callable[[Path], Engine]


def _light_engine(path: Path) -> Engine:
    engine = LightLoader(Facts(), ModelFileLimits(), CONVERTED).load(path)
    assert isinstance(engine, LightEngine)
    return engine


@pytest.fixture(params=[tensorflow_engine, _light_engine], ids=["tensorflow", "light"])
def load(request: pytest.FixtureRequest) -> Load:
    keras.utils.set_random_seed(5)
    function: Load = request.param
    return function


def _saved(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "model.keras")
    return folder / "model.keras"


def _images(rows: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).random((rows, *shape), np.float32)


def _assert_embeddings(engine: Engine, features: keras.Model, whole: keras.Model, images: np.ndarray) -> None:
    """That the engine's are `features` of `images`, and its scores those of the `whole` model."""
    found, wanted = engine.infer(images), features.predict(images, verbose=0)
    assert found.embeddings is not None
    assert found.embeddings.dtype == np.float32
    assert found.embeddings.shape == (len(images), engine.embedding_dimension)
    assert wanted.std() > 0
    assert found.embeddings == pytest.approx(
        wanted.reshape(len(images), -1), abs=1e-4 * max(1.0, float(np.abs(wanted).max()))
    )
    own = found.scores if found.outputs is None else found.outputs
    assert own == pytest.approx(whole.predict(images, verbose=0).reshape(own.shape), abs=1e-4)


@pytest.mark.parametrize("rows", [1, 3, 70])
def test_of_the_shipped_model(load: Load, shipped_model: Path, rows: int) -> None:
    model = keras.saving.load_model(shipped_model, compile=False)
    images = np.stack([pixels_of(file) for file in SAMPLE_FILES[:rows]])[..., np.newaxis].astype(np.float32) / 255
    engine = load(shipped_model)
    assert engine.embedding_dimension == 100
    _assert_embeddings(engine, keras.Model(model.inputs, model.layers[-1].input), model, images)


def test_of_a_functional_model_with_a_branch(load: Load, tmp_path: Path) -> None:
    given = keras.Input((12, 10, 3))
    maps = layers.Conv2D(6, 3, padding="same", activation="relu")(given)
    pooled = layers.GlobalAveragePooling2D()(layers.Add()([maps, layers.Conv2D(6, 1)(maps)]))
    model = keras.Model(given, layers.Dense(1, "sigmoid")(layers.Dropout(0.3)(pooled)))
    engine = load(_saved(model, tmp_path))
    _assert_embeddings(engine, keras.Model(given, model.layers[-1].input), model, _images(5, 12, 10, 3))


@pytest.mark.parametrize("apart", [layers.Softmax(), layers.Activation("softmax")], ids=["Softmax", "Activation"])
def test_of_a_dense_layer_whose_activation_stands_apart(tmp_path: Path, apart: layers.Layer) -> None:
    given = keras.Input((6, 6, 1))
    flat = layers.Flatten()(layers.Conv2D(2, 3)(given))
    model = keras.Model(given, apart(layers.Dense(3)(flat)))
    _assert_embeddings(tensorflow_engine(_saved(model, tmp_path)), keras.Model(given, flat), model, _images(4, 6, 6, 1))


def test_of_models_within_a_model(load: Load, tmp_path: Path) -> None:
    """As a network fitted on top of a pretrained one has them, and as Teachable Machine writes them."""
    body = keras.Sequential([layers.Input((9, 9, 3)), layers.Conv2D(5, 3), layers.GlobalMaxPooling2D()], name="body")
    head = keras.Sequential([layers.Input((5,)), layers.Dense(7, "relu"), layers.Dense(4)], name="head")
    model = keras.Sequential([layers.Input((9, 9, 3)), body, head, layers.Softmax()])
    engine = load(_saved(model, tmp_path))
    hidden = keras.Model(model.inputs, head.layers[0](body(model.inputs[0])))
    assert engine.embedding_dimension == 7
    _assert_embeddings(engine, hidden, model, _images(3, 9, 9, 3))
    assert [layer.type for layer in engine.summary.layers] == [
        *("Conv2D", "GlobalMaxPooling2D", "Dense", "Dense", "Softmax")
    ]


def test_of_a_dense_layer_over_one_place(tmp_path: Path) -> None:
    given = keras.Input((8, 8, 3))
    place = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(6, 3)(given))
    model = keras.Model(given, layers.Flatten()(layers.Dense(3, "softmax")(place)))
    engine = tensorflow_engine(_saved(model, tmp_path))
    assert engine.embedding_dimension == 6
    _assert_embeddings(engine, keras.Model(given, place), model, _images(2, 8, 8, 3))


def test_of_a_model_without_any_other_layer_they_are_its_pixels(tmp_path: Path) -> None:
    given = keras.Input((4, 3, 1))
    flat = layers.Flatten()(given)
    model = keras.Model(given, layers.Dense(2, "softmax")(flat))
    _assert_embeddings(tensorflow_engine(_saved(model, tmp_path)), keras.Model(given, flat), model, _images(3, 4, 3, 1))


def _no_dense(given: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Softmax()(layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(given)))


def _dense_at_each_place(given: keras.KerasTensor) -> keras.KerasTensor:
    return layers.GlobalAveragePooling2D()(layers.Dense(3, "softmax")(given))


def _mean_of_two(given: keras.KerasTensor) -> keras.KerasTensor:
    flat = layers.Flatten()(given)
    return layers.Average()([layers.Dense(3, "softmax")(flat), layers.Dense(3, "softmax")(flat)])


@pytest.mark.parametrize(
    ("load", "build"),
    [
        (_light_engine, _no_dense),
        (tensorflow_engine, _no_dense),
        (tensorflow_engine, _dense_at_each_place),
        (tensorflow_engine, _mean_of_two),
    ],
)
def test_a_model_that_ends_otherwise_has_none_and_answers_all_the_same(
    load: Load, tmp_path: Path, build: Callable[[keras.KerasTensor], keras.KerasTensor]
) -> None:
    given = keras.Input((6, 6, 3))
    model = keras.Model(given, build(given))
    engine, images = load(_saved(model, tmp_path)), _images(3, 6, 6, 3)
    found = engine.infer(images)
    assert engine.embedding_dimension is None
    assert found.embeddings is None
    assert found.scores == pytest.approx(model.predict(images, verbose=0), abs=1e-5)

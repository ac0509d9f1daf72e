"""A model inside of a model, as transfer learning makes it, is looked into like any other."""

from typing import get_args

import keras
import numpy as np
import pytest
from keras import layers

from models.head import conversion_of
from service.engines.keras_summary import named_layers, summarize
from service.explain.attribution import attribute, scored_model
from service.explain.kernels import kernels_of
from service.explain.layers import layer_outputs
from service.explain.results import ConvolutionTrace, Method
from service.explain.trace import trace

IMAGE = np.random.default_rng(0).random((12, 10, 3), np.float32) * 255
METHODS = get_args(Method)


def body(name: str = "body") -> keras.Model:
    """A functional model with a shortcut, as those of keras.applications are."""
    start = keras.Input((12, 10, 3))
    first = layers.Conv2D(4, 3, padding="same", name="first")(start)
    normal = layers.ReLU(name="relu")(layers.BatchNormalization(name="normal")(first))
    second = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(normal)
    added = layers.Add(name="added")([normal, second])
    return keras.Model(start, layers.MaxPooling2D(name="pool")(added), name=name)


def in_sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Rescaling(1 / 255, name="rescale"),
            body(),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax", name="classes"),
        ]
    )


def in_functional() -> keras.Model:
    start = keras.Input((12, 10, 3))
    inside = body()(layers.Rescaling(1 / 255, name="rescale")(start), training=False)
    return keras.Model(
        start, layers.Dense(3, activation="softmax", name="classes")(layers.GlobalAveragePooling2D(name="mean")(inside))
    )


def in_two() -> keras.Model:
    """Operators between layers, and a model inside of the model inside of it."""
    start = keras.Input((12, 10, 3))
    return keras.Model(
        start,
        layers.Dense(3, activation="softmax", name="classes")(
            layers.GlobalAveragePooling2D(name="mean")(
                keras.Sequential([layers.Rescaling(1 / 255, name="rescale"), body()], name="prepared")(start * 1.0)
            )
        ),
    )


NESTED = [in_sequential, in_functional, in_two]


@pytest.fixture(params=NESTED)
def nested(request: pytest.FixtureRequest) -> keras.Model:
    keras.utils.set_random_seed(1)
    return request.param()


@pytest.fixture
def flat(nested: keras.Model) -> keras.Model:
    """The same network with nothing inside of anything."""
    start = keras.Input((12, 10, 3))
    first = layers.Conv2D(4, 3, padding="same", name="first")(layers.Rescaling(1 / 255, name="rescale")(start))
    normal = layers.ReLU(name="relu")(layers.BatchNormalization(name="normal")(first))
    second = layers.Conv2D(4, 3, padding="same", activation="relu", name="second")(normal)
    pooled = layers.MaxPooling2D(name="pool")(layers.Add(name="added")([normal, second]))
    mean = layers.GlobalAveragePooling2D(name="mean")(pooled)
    model = keras.Model(start, layers.Dense(3, activation="softmax", name="classes")(mean))
    inside = named_layers(nested)
    for layer in model.layers[1:]:
        layer.set_weights(inside[layer.name].get_weights())
    return model


MAKING = ["rescale", "first", "normal", "relu", "second", "added", "pool", "mean", "classes"]


def test_the_summary_lists_what_is_inside(nested: keras.Model) -> None:
    summary = summarize(nested, "nested", "0")
    assert [layer.name for layer in summary.layers if layer.type != "Dropout"] == MAKING
    assert sum(layer.parameters for layer in summary.layers) == summary.parameters == nested.count_params()
    second = next(layer for layer in summary.layers if layer.name == "second")
    assert (second.kernel_size, second.output_shape) == ((3, 3), (12, 10, 4))


def test_maps_are_those_of_the_same_layers_without_a_model_inside(nested: keras.Model, flat: keras.Model) -> None:
    outputs = layer_outputs(nested, IMAGE)
    assert list(outputs) == MAKING
    expected = layer_outputs(flat, IMAGE)
    for name, values in outputs.items():
        assert values == pytest.approx(expected[name], abs=1e-5), name
    (only,) = layer_outputs(nested, IMAGE, "added").values()
    assert np.array_equal(only, outputs["added"])


@pytest.mark.parametrize("method", METHODS)
def test_what_speaks_for_a_class_is_what_speaks_for_it_without_a_model_inside(
    nested: keras.Model, flat: keras.Model, method: Method
) -> None:
    black = np.zeros_like(IMAGE)
    conversion = conversion_of("softmax", "softmax", 3)
    found, expected = (attribute(scored_model(model, conversion), IMAGE, black, method, 1) for model in (nested, flat))
    assert found.values == pytest.approx(expected.values, abs=1e-5)
    assert found.score == pytest.approx(expected.score, abs=1e-5)
    assert np.abs(found.values).max() > 0


def test_kernels_and_arithmetic_are_found_inside(nested: keras.Model) -> None:
    assert kernels_of(nested, None, None).layer == "first"
    assert kernels_of(nested, "second", 2).weights.shape == (4, 1, 3, 3)
    maps = layer_outputs(nested, IMAGE)
    for row, column in ((0, 0), (5, 9), (11, 4)):
        traced = trace(nested, IMAGE, "second", 3, row, column)
        assert isinstance(traced, ConvolutionTrace)
        assert traced.value == pytest.approx(maps["second"][row, column, 3], abs=1e-6)
        assert max(0, traced.total) == pytest.approx(traced.value, abs=1e-4)
    pooled = trace(nested, IMAGE, "pool", 0, 2, 2)
    assert pooled.value == pytest.approx(maps["added"][4:6, 4:6, 0].max(), abs=1e-6)


def test_a_name_that_is_there_twice_is_put_behind_its_models() -> None:
    start = keras.Input((12, 10, 3))
    apart = [body("left")(start), body("right")(start)]
    joined = layers.Flatten(name="flat")(layers.Concatenate(name="joined")(apart))
    model = keras.Model(start, layers.Dense(2, name="first")(joined))
    named = named_layers(model)
    twice = {name for layer in body().layers[1:] for name in (layer.name, f"right/{layer.name}")} - {"first"}
    assert named.keys() == twice | {"left/first", "first", "joined", "flat"}
    assert named["first"] is model.layers[-1]
    maps = layer_outputs(model, IMAGE)
    assert maps.keys() == named.keys() - {"flat"}
    assert not np.allclose(maps["second"], maps["right/second"])


def test_the_summary_tells_which_layers_each_one_reads(nested: keras.Model) -> None:
    inputs = {layer.name: layer.inputs for layer in summarize(nested, "x", "0").layers}
    # Where an operator lies before it, nothing is claimed.
    assert inputs["rescale"] in (("",), None)
    assert inputs["first"] == ("rescale",)
    assert inputs["relu"] == ("normal",)
    assert inputs["added"] == ("relu", "second")
    assert inputs["mean"] == ("pool",)

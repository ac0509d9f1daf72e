"""The summary of models other than the textbook's; that one is tested through its route."""

import keras
from keras import layers

from service.engines.keras_summary import summarize
from service.explain.summary import summary_table


def functional_network() -> keras.Model:
    image = keras.Input((6, 6, 3))
    left = layers.SeparableConv2D(2, 3, strides=2, padding="same", activation="relu")(image)
    right = layers.AveragePooling2D(2)(layers.Conv2D(2, 1)(image))
    pooled = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(layers.Add()([left, right])))
    return keras.Model(image, layers.Dense(2, activation="softmax")(pooled))


def test_a_functional_network_is_summarized() -> None:
    model = functional_network()
    summary = summarize(model, "x", "0")
    assert [entry.type for entry in summary.layers] == [layer.__class__.__name__ for layer in model.layers[1:]]
    assert summary.input_shape == (6, 6, 3)
    assert summary.parameters == model.count_params()
    assert summary.parameters - summary.trainable_parameters == 4  # the moving mean and variance
    separable = next(entry for entry in summary.layers if entry.type == "SeparableConv2D")
    assert (separable.strides, separable.kernel_size, separable.output_shape) == ((2, 2), (3, 3), (3, 3, 2))


def test_what_varies_has_no_size() -> None:
    model = keras.Sequential([keras.Input((None, None, 1)), layers.ZeroPadding2D(1), layers.GlobalMaxPooling2D()])
    padding = summarize(model, "x", "0").layers[0]
    assert padding.output_shape == (None, None, 1)
    assert padding.padding == "((1, 1), (1, 1))"


def test_one_dimensional_sizes_are_sizes_too() -> None:
    model = keras.Sequential([keras.Input((8, 2)), layers.Conv1D(3, 2)])
    assert summarize(model, "x", "0").layers[0].kernel_size == (2,)


def test_the_table_does_not_depend_on_the_terminal(monkeypatch) -> None:
    model = functional_network()
    monkeypatch.setenv("COLUMNS", "30")
    assert "Param #" in summary_table(model)

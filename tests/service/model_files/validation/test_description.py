"""What a description may name, wherever in it that stands, and what becomes of how a model was compiled."""

import json
from typing import Any

import keras
import pytest
from keras import layers, ops

from models.card import ModelFileError
from service.model_files.validation.description import check_description, safe_description


def described(model: keras.Model) -> Any:
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def part(name: str, module: str | None = None, config: Any = None, **more: Any) -> dict[str, Any]:
    return {"class_name": name, "module": module, "config": {} if config is None else config, **more}


def tensor(layer: str = "a") -> dict[str, Any]:
    return part("__keras_tensor__", config={"shape": [None, 4], "dtype": "float32", "keras_history": [layer, 0, 0]})


def node(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": list(args), "kwargs": kwargs}


def called(layer: dict[str, Any], *nodes: Any) -> dict[str, Any]:
    return {"class_name": "Functional", "config": {"layers": [layer | {"inbound_nodes": list(nodes)}]}}


DENSE = part("Dense", "keras.layers")
CODE = part("__lambda__", config={"value": "4wEAAAA="})
FILL = part("Full", "keras.src.ops.numpy", registered_name="Full")

HOSTILE: dict[str, tuple[Any, str]] = {
    "a lambda in a layer's setting": (part("Dense", config={"activation": CODE}), "it has a Lambda"),
    "a Lambda within a wrapper": (
        part("TimeDistributed", "keras.layers", {"layer": part("Lambda", "keras.layers", {"function": CODE})}),
        "it has a Lambda",
    ),
    "a Lambda within a nested model": (
        part("Sequential", config={"layers": [part("Functional", config={"layers": [part("Lambda")]})]}),
        "it has a Lambda",
    ),
    "a lambda as an argument of a call": (called(DENSE, node(tensor(), mask=CODE)), "it has a Lambda"),
    "a lambda in how it was built": (DENSE | {"build_config": {"input_shape": CODE}}, "it has a Lambda"),
    "a function of another module": (
        part("Activation", config={"activation": part("function", "os", "system")}),
        "the function 'system' of os",
    ),
    "a function of Python": (part("Dense", config={"activation": part("function", "builtins", "eval")}), "'eval'"),
    "a function of Keras that reads": (
        part("Dense", config={"activation": part("function", "keras.activations", "deserialize")}),
        "'deserialize'",
    ),
    "a known function by another registered name": (
        part("function", "builtins", "relu", registered_name="evil>relu"),
        "only Keras's activations",
    ),
    "an activation that somebody wrote": (
        part("Dense", config={"activation": "my_swish"}),
        "the activation 'my_swish'",
    ),
    "a custom layer": (part("Capsule", None, registered_name="Custom>Capsule"), "'Custom>Capsule', which is not among"),
    "a custom layer of the older format": (part("Custom>Capsule"), "'Custom>Capsule'.*a custom layer's code is not"),
    "a layer of another library": (part("Dense", "keras_hub.layers"), "'Dense' of keras_hub.layers"),
    "a saved model in a layer": (
        part("TFSMLayer", "keras.layers", {"filepath": "/etc"}),
        "layer TFSMLayer, which runs",
    ),
    "a layer of PyTorch": (part("TorchModuleWrapper", "keras.layers"), "another framework"),
    "a layer of words": (part("StringLookup", "keras.layers", {"vocabulary": "/etc/passwd"}), "looks words up"),
    "a loop in an operation": (part("Map", "keras.src.ops.core", registered_name="Map"), "'Map' of keras.src.ops.core"),
    "a function that loads": (part("load_model", "keras.saving"), "'load_model' of keras.saving"),
    "a type of TensorFlow": (part("__typespec__", "os", [], spec_name="system"), "'__typespec__' of os"),
    "a type of TensorFlow in the older format": ({"class_name": "TypeSpec", "type_spec": "x"}, "'TypeSpec'"),
    "a tensor of TensorFlow in the older format": ({"class_name": "CompositeTensor"}, "'CompositeTensor'"),
    "a graph of TensorFlow": (part("TensorFlowOpLayer", config={"node_def": "ReadFile"}), "'TensorFlowOpLayer'"),
    "an array of objects": (part("__numpy__", config={"value": [1], "dtype": "object"}), "no array of numbers"),
    "an array of long texts": (
        part("__numpy__", config={"value": ["a"], "dtype": "S999999999"}),
        "no array of numbers",
    ),
    "an array of text for numbers": (
        part("__tensor__", config={"value": ["a"], "dtype": "float32"}),
        "no array of num",
    ),
    "an array of nothing": (part("__numpy__", config={"dtype": "float32"}), "no array of numbers"),
    "an array that is made while the model is built": (called(FILL, node([1 << 40], 1.0)), "takes no other layer's"),
    "the same around a tensor that nobody sees": (
        called(FILL, node([1 << 40], part("__numpy__", config={"value": 1, "dtype": "int8", "x": tensor()}))),
        "takes no other layer's",
    ),
    "a class that is no text": (part(["Dense"], None), "no text"),  # type: ignore[arg-type]
    "a module that is no text": (part("Dense", 3), "no text"),  # type: ignore[arg-type]
    "too many parts": ([DENSE] * 100_001, "more than 100,000 parts"),
    "too deep": (json.loads("[" * 90 + "]" * 90), "nested too deeply"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_run_or_load_something_is_refused_in_any_place(name: str) -> None:
    description, reason = HOSTILE[name]
    with pytest.raises(ModelFileError, match=reason):
        check_description(description)


def test_a_refusal_quotes_little() -> None:
    with pytest.raises(ModelFileError) as refused:
        check_description(part("x" * 10_000, "keras." + "y" * 10_000))
    assert len(str(refused.value)) < 400


def everything() -> keras.Model:
    start = keras.Input((8, 8, 3))
    values = ops.pad(start[:, 1:, ..., :] / 127.5 - ops.array([1.0, 1.0, 1.0]), [[0, 0], [1, 1], [1, 1], [0, 0]])
    values = layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1])(ops.cast(values, "float32"))
    values = layers.Conv2D(4, 3, activation=layers.LeakyReLU(0.1), dtype="mixed_bfloat16", kernel_regularizer="l2")(
        values
    )
    values = layers.Reshape((-1, 4))(layers.Activation(keras.activations.mish)(values))
    values = layers.MultiHeadAttention(2, 2)(values, values)
    values = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(values)
    values = layers.RNN([layers.GRUCell(3), layers.LSTMCell(3)])(layers.TimeDistributed(layers.Dense(3))(values))
    inner = keras.Sequential([layers.Dense(4, kernel_constraint="max_norm"), layers.Dropout(0.1)])
    values = layers.SpectralNormalization(layers.Dense(4))(inner(values))
    inner.compile("adam", loss=lambda truth, guess: guess)
    model = keras.Model(start, keras.activations.softmax(ops.relu(values)))
    model.compile("sgd", loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_whatever_keras_itself_writes_of_its_layers_is_let_through() -> None:
    model = everything()
    description = safe_description(described(model))
    compiled = description.pop("compile_config")
    assert "compile_config" not in json.dumps(description)
    assert compiled.keys() == {"loss"}
    assert compiled["loss"]["config"]["from_logits"] is True
    again = keras.saving.deserialize_keras_object(description)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


@pytest.mark.parametrize("policy", ["int8", "float8", keras.dtype_policies.DTypePolicyMap()])
def test_quantized_layers_are_let_through(policy: Any) -> None:
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(4, dtype=policy if not isinstance(policy, str) else None)]
    )
    if isinstance(policy, str):
        model.layers[0].quantize(policy)
    check_description(described(model))


@pytest.mark.parametrize("loss", [{"class_name": "evil", "module": "os", "config": "system"}, ["mse"], {"a": "mse"}, 3])
def test_a_loss_that_is_not_keras_own_is_left_out(loss: Any) -> None:
    assert safe_description(DENSE | {"compile_config": {"loss": loss, "optimizer": "adam"}}) == DENSE


def test_a_model_of_keras_2_is_let_through_to_be_upgraded() -> None:
    old = {
        "class_name": "Sequential",
        "config": [
            part(
                "Convolution2D", config={"init": "glorot_uniform", "activation": "linear", "inner_activation": "relu"}
            ),
            part(
                "BatchNormalizationV1", config={"dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}
            ),
            part("CuDNNLSTM", config={"kernel_initializer": {"class_name": "VarianceScaling", "config": {}}}),
            part("TFOpLambda", config={"function": "math.truediv"}),
            part("SlicingOpLambda", config={"function": "__operators__.getitem"}),
            part("Merge", config={"mode": "concat", "shape": {"class_name": "__tuple__", "items": [1, 2]}}),
            part("Dense", "tf_keras.layers", {"shape": {"class_name": "TensorShape", "items": [None, 2]}}),
        ],
    }
    check_description(old)

"""The lists of what may be loaded, against Keras as it is installed: what a new version brings must be decided upon."""

import importlib
import types

import keras
import pytest
from keras.src.ops.operation import Operation

from service.model_files.validation import allowed_layers, allowed_operations
from service.model_files.validation.allowed_layers import is_layer, is_part
from service.model_files.validation.allowed_operations import is_operation

MODULES = tuple(allowed_operations.OPERATIONS)


def classes_in(module: types.ModuleType) -> set[str]:
    return {name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")}


def functions_in(module: types.ModuleType) -> set[str]:
    return {name for name, value in vars(module).items() if isinstance(value, types.FunctionType)}


def test_each_layer_of_keras_is_allowed_or_refused() -> None:
    refused = allowed_layers.CODE | allowed_layers.WORDS | allowed_layers.FRAMEWORKS | allowed_layers.BASES
    assert allowed_layers.LAYERS | refused == classes_in(keras.layers)
    assert allowed_layers.LAYERS.isdisjoint(refused)
    assert allowed_layers.OLD_LAYERS.isdisjoint(classes_in(keras.layers))


def test_what_was_old_is_no_other_part_of_keras() -> None:
    for name in allowed_layers.OLD_LAYERS:
        assert not is_part(name, None)
        assert not is_operation(name, None)


@pytest.mark.parametrize("module", MODULES)
def test_each_operation_of_keras_is_allowed_or_refused(module: str) -> None:
    there = importlib.import_module(module)
    names = {
        name
        for name, value in vars(there).items()
        if isinstance(value, type) and issubclass(value, Operation) and value.__module__ == module
    }
    refused = allowed_operations.WITH_FUNCTIONS.get(module, frozenset())
    assert allowed_operations.OPERATIONS[module] | refused == names
    assert allowed_operations.OPERATIONS[module].isdisjoint(refused)


@pytest.mark.parametrize(
    ("module", "ours", "left_out"),
    [
        (keras.initializers, allowed_layers.INITIALIZERS, {"Initializer"}),
        (keras.regularizers, allowed_layers.REGULARIZERS, {"Regularizer"}),
        (keras.constraints, allowed_layers.CONSTRAINTS, {"Constraint"}),
        (keras.dtype_policies, allowed_layers.DTYPE_POLICIES, {"AWQDTypePolicy", "GPTQDTypePolicy"}),
        (keras.quantizers, allowed_layers.QUANTIZERS, {"AWQConfig", "GPTQConfig", "QuantizationConfig", "Quantizer"}),
    ],
)
def test_each_part_of_keras_is_allowed_or_left_out(
    module: types.ModuleType, ours: frozenset[str], left_out: set[str]
) -> None:
    assert {name for name in ours if hasattr(module, name)} | left_out == classes_in(module)


def test_each_activation_of_keras_is_allowed() -> None:
    assert functions_in(keras.activations) - {"get", "serialize", "deserialize"} == allowed_layers.ACTIVATIONS


@pytest.mark.parametrize(
    "module",
    [
        None,
        "keras.layers",
        "keras.src.layers.core.dense",
        "keras.src.layers.preprocessing.image_preprocessing.random_crop",
        "keras.layers.experimental.preprocessing",
        "keras.src.engine.functional",
        "keras.engine.sequential",
        "tf_keras.layers",
        "tf_keras.src.engine.functional",
        "tensorflow.keras.layers",
        "tensorflow.python.keras.layers.core",
        "tensorflow.python.keras.engine.training",
    ],
)
def test_layers_are_known_in_the_modules_of_each_keras(module: str | None) -> None:
    assert is_layer("Dense", module)


@pytest.mark.parametrize(
    "module",
    [
        "os",
        "keras.utils",
        "keras.src.layers.core.dense_test",
        "keras.src.export",
        "keras_hub.layers",
        "tensorflow.keras.layers; import os",
        "keras.layers\n",
        "keras.src.ops.numpy",
        "kerasx.layers",
        "",
    ],
)
def test_in_no_other_module_they_are(module: str) -> None:
    assert not is_layer("Dense", module)
    assert not is_part("GlorotUniform", module)


def test_parts_are_known_in_their_own_modules_only() -> None:
    assert is_part("GlorotUniform", "keras.initializers")
    assert is_part("GlorotUniform", "keras.src.initializers.random_initializers")
    assert is_part("DTypePolicy", "keras")
    assert not is_part("GlorotUniform", "keras.regularizers")
    assert not is_part("get", "keras.initializers")
    assert is_operation("TrueDivide", "keras.src.ops.numpy")
    assert not is_operation("TrueDivide", "keras.src.ops.core")
    assert not is_operation("Map", "keras.src.ops.core")

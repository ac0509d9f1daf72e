"""Model files of Keras 2 answer in Keras 3 what they answered in TensorFlow 2.15, or are refused with what to do.

`make_old_files` made the files in `old-files`. What can no longer be installed is made from them by rewriting.
"""

import copy
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from models.card import ModelFileError
from service.model_files.upgrade.model_file import upgrade_file, upgraded
from tests.samples import SHIPPED_MODEL

FOLDER = Path(__file__).with_name("old-files")
EXPECTED = json.loads((FOLDER / "expected.json").read_text())

Config = dict[str, Any]


def images(shape: tuple[int, ...], largest: float) -> np.ndarray:
    return (np.arange(np.prod(shape)) * 37 % 101 / 100 * largest).reshape(shape).astype(np.float32)


def old_file(name: str, folder: Path) -> Path:
    return Path(shutil.copy(FOLDER / name, folder / name))


def read_config(path: Path) -> Config:
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            text = archive.read("config.json")
    else:
        with h5py.File(path) as file:
            text = file.attrs["model_config"]
    config: Config = json.loads(text)
    return config


def rewrite(path: Path, change: Callable[[Config], object]) -> None:
    config = read_config(path)
    change(config)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)


def check_answers(path: Path, name: str, rtol: float = 1e-5) -> keras.Model:
    """Upgrades and loads the file, and compares its answers with those of the old file `name` in TensorFlow 2.15."""
    upgrade_file(path)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    wanted = np.array(EXPECTED[name]["outputs"])
    answers = np.asarray(model(images((2, *model.input_shape[1:]), EXPECTED[name]["largest"]), training=False))
    assert answers == pytest.approx(wanted, abs=rtol * np.abs(wanted).max())
    return model


@pytest.mark.parametrize("name", [name for name in EXPECTED if not name.startswith("mixed")])
def test_old_files_answer_as_they_did(name: str, tmp_path: Path) -> None:
    check_answers(old_file(name, tmp_path), name)


def test_mixed_precision_answers_as_exactly_as_16_bits_are(tmp_path: Path) -> None:
    model = check_answers(old_file("mixed.h5", tmp_path), "mixed.h5", rtol=2e-3)
    assert model.layers[0].compute_dtype == "float16"


def test_a_file_that_needs_nothing_stays_as_it_was_byte_for_byte(tmp_path: Path) -> None:
    new = tmp_path / "new.keras"
    keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]).save(new)
    for path in (Path(shutil.copy(SHIPPED_MODEL, tmp_path)), new):
        before = path.read_bytes()
        upgrade_file(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["nested.h5", "nested.keras"])
def test_a_second_upgrade_changes_nothing(name: str, tmp_path: Path) -> None:
    path = old_file(name, tmp_path)
    upgrade_file(path)
    before = path.read_bytes()
    upgrade_file(path)
    assert path.read_bytes() == before


def test_the_description_that_is_given_stays_as_it_was(tmp_path: Path) -> None:
    for name in EXPECTED:
        config = read_config(FOLDER / name)
        before = copy.deepcopy(config)
        assert upgraded(config) != before, name
        assert config == before, name


def test_a_description_of_more_than_64_kib_is_written_back(tmp_path: Path) -> None:
    path = old_file("teachable.h5", tmp_path)
    rewrite(path, lambda config: config.update(note="x" * 100_000))
    check_answers(path, "teachable.h5")
    assert len(read_config(path)["note"]) == 100_000


def without_input_layer(config: Config) -> None:
    """As Keras 2.2.3 to 2.3.1 wrote a Sequential model."""
    layers = config["config"]["layers"]
    first = layers.pop(0)
    layers[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]


def built_by_a_batch(config: Config) -> None:
    """As of a Sequential model that got its shape from the first batch."""
    first = config["config"]["layers"].pop(0)
    config["config"]["build_input_shape"] = [7, *first["config"]["batch_input_shape"][1:]]


def as_list(config: Config) -> None:
    """As Keras 2.0 to 2.2.2 did, without names for models."""
    without_input_layer(config)
    config["config"] = config["config"]["layers"]


def models_as_lists(config: Config) -> None:
    config["config"] = config["config"]["layers"][1:]
    for model in config["config"]:
        model["config"] = model["config"]["layers"]
        if model["config"][0]["class_name"] == "InputLayer":
            first = model["config"].pop(0)
            model["config"][0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]


def as_in_tensorflow_1(config: Config) -> None:
    """As 2.1.6-tf and 2.2.4-tf did: `dtype` everywhere, other names of classes and distributions."""
    for layer in config["config"]["layers"]:
        layer["config"]["input_dtype"] = "float32"
        for key, part in layer["config"].items():
            if key.endswith("initializer"):
                part["config"]["dtype"] = "float32"
        if "kernel_initializer" in layer["config"]:
            scaling = {"scale": 1.0, "mode": "fan_avg", "distribution": "normal", "seed": None, "dtype": "float32"}
            layer["config"]["kernel_initializer"] = {"class_name": "VarianceScaling", "config": scaling}


def as_model(config: Config) -> None:
    """As Keras before Functional had a name, with BatchNormalization's names of TensorFlow 1 and 2.0."""
    config["class_name"] = "Model"
    for layer in config["config"]["layers"]:
        if layer["class_name"] != "Functional":
            continue
        layer["class_name"] = "Model"
        for inner in layer["config"]["layers"]:
            if inner["class_name"] == "BatchNormalization":
                inner["class_name"] = "BatchNormalizationV2" if inner["name"] == "stem/bn" else "BatchNormalizationV1"
                inner["config"] |= {"renorm": False, "fused": None, "virtual_batch_size": None}


def with_shapes_described(config: Config) -> None:
    for layer in config["config"]["layers"]:
        if "batch_input_shape" in layer["config"]:
            shape = layer["config"]["batch_input_shape"]
            layer["config"]["batch_input_shape"] = {"class_name": "TensorShape", "items": [7, *shape[1:]]}


VARIANTS: dict[str, tuple[str, Callable[[Config], None]]] = {
    "without an InputLayer": ("kinds.h5", without_input_layer),
    "built by a batch": ("deferred.h5", built_by_a_batch),
    "a list of layers": ("kinds.h5", as_list),
    "lists of layers in a list": ("teachable.h5", models_as_lists),
    "TensorFlow 1": ("kinds.h5", as_in_tensorflow_1),
    "Model": ("nested.h5", as_model),
    "TensorShape of a fixed batch": ("kinds.h5", with_shapes_described),
}


@pytest.mark.parametrize("kind", VARIANTS)
def test_what_older_versions_wrote_answers_the_same(kind: str, tmp_path: Path) -> None:
    name, change = VARIANTS[kind]
    path = old_file(name, tmp_path)
    rewrite(path, change)
    model = check_answers(path, name)
    assert model.input_shape[0] is None


def filed_by_2_13(weights: bytes, separator: str) -> bytes:
    """Renames the layers in `model.weights.h5` as Keras 2.13 did: the second layer of a class was number 2."""
    moved = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as source, h5py.File(moved, "w") as target:

        def copy_variables(name: str, item: Any) -> None:
            if not name.endswith("vars"):
                return
            parts = re.sub(r"_(\d)(?=/)", lambda number: f"_{2 * int(number[1])}", name)
            path = parts.replace("layers/", "_layer_checkpoint_dependencies/").rpartition("/")[0]
            group = target.require_group(path.replace("/", separator)) if path else target
            source.copy(item, group, "vars")

        source.visititems(copy_variables)
    return moved.getvalue()


@pytest.mark.parametrize("separator", ["/", "\\"])
@pytest.mark.parametrize("name", ["shared.keras", "recurrent.keras", "augmented.keras"])
def test_archives_of_keras_2_13_keep_their_weights(name: str, separator: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with zipfile.ZipFile(FOLDER / name) as old, zipfile.ZipFile(path, "w") as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, filed_by_2_13(content, separator) if part == "model.weights.h5" else content)
        new.writestr("model_card.json", "{}")
    check_answers(path, name)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("model_card.json") == b"{}"


def test_archives_whose_weights_are_not_those_described_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "swapped.keras"
    with zipfile.ZipFile(path, "w") as new:
        for name, part in (("nested", "config.json"), ("augmented", "model.weights.h5")):
            with zipfile.ZipFile(FOLDER / f"{name}.keras") as old:
                new.writestr(part, old.read(part))
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"its weights are those of \d layers of the kind .* save it anew"):
        upgrade_file(path)
    assert path.read_bytes() == before


def test_the_state_of_random_layers_is_no_weight(tmp_path: Path) -> None:
    path = old_file("kinds.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]["activation"]
        group.attrs["weight_names"] = [b"activation/StateVar:0"]
        group["activation/StateVar:0"] = np.zeros(3, np.int64)
    check_answers(path, "kinds.h5")


def test_operations_in_hdf5_of_keras_3_are_found(tmp_path: Path) -> None:
    start = keras.Input((4, 4, 3))
    outputs = keras.layers.Flatten()((start / 127.5 - 1.0)[..., ::-1])
    model = keras.Model(start, keras.layers.Dense(2)(outputs))
    path = tmp_path / "operations.h5"
    keras.saving.save_model(model, path)
    upgrade_file(path)
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    batch = images((2, 4, 4, 3), 255)
    assert np.asarray(loaded(batch)) == pytest.approx(np.asarray(model(batch)), abs=1e-5)


LAYERS: dict[str, tuple[str, Config, str, Config]] = {
    "no layer of Keras 3": (
        "RandomHeight",
        {"factor": 0.2, "dtype": "float32"},
        "Activation",
        {"activation": "linear"},
    ),
    "policy": ("Flatten", {"dtype": {"class_name": "Policy", "config": {"name": "float16"}}}, "Flatten", {}),
    "old GRU": ("GRU", {"units": 2, "implementation": 1, "time_major": False}, "GRU", {"reset_after": False}),
    "tf.nn.softmax": ("Dense", {"units": 2, "activation": "softmax_v2"}, "Dense", {"activation": "softmax"}),
    "function": (
        "Activation",
        {"activation": {"class_name": "function", "config": "relu", "module": "builtins"}},
        "Activation",
        {"activation": "relu"},
    ),
    "axis": ("Softmax", {"axis": [-1]}, "Softmax", {"axis": -1}),
    "unknown initializer": (
        "PReLU",
        {"alpha_initializer": {"class_name": "Gone", "config": {"seed": 1}}},
        "PReLU",
        {},
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_arguments_that_changed_are_rewritten_into_what_keras_takes(kind: str) -> None:
    old_class, arguments, new_class, wanted = LAYERS[kind]
    layer = {"class_name": old_class, "config": {"name": "layer", "batch_input_shape": [None, 4, 3], **arguments}}
    description = upgraded({"class_name": "Sequential", "config": {"name": "model", "layers": [layer]}})
    start, new = description["config"]["layers"]
    assert (start["class_name"], start["config"]["batch_shape"]) == ("InputLayer", [None, 4, 3])
    assert new["class_name"] == new_class
    assert new["config"].items() >= wanted.items()
    assert keras.layers.deserialize(new).name == "layer"


def first(config: Config, class_name: str) -> Config:
    """The first layer of that class, wherever it is."""
    layers = config["config"]["layers"]
    found = [layer for layer in layers if layer["class_name"] == class_name]
    deeper = [first(layer, class_name) for layer in layers if isinstance(layer["config"].get("layers"), list)]
    return next(iter([*found, *(layer for layer in deeper if layer)]), {})


def set_in(class_name: str, **given: Any) -> Callable[[Config], None]:
    return lambda config: first(config, class_name)["config"].update(given)


def rename(old: str, new: str) -> Callable[[Config], None]:
    return lambda config: first(config, old).update(class_name=new)


def freeze_a_model_in_a_model(config: Config) -> None:
    config["config"]["layers"][1]["config"]["layers"].append(
        {"class_name": "Dense", "config": {"name": "more", "kernel_initializer": {}}}
    )


REFUSED: dict[str, tuple[str, Callable[[Config], None], str]] = {
    "Keras 1, class": (
        "kinds.h5",
        rename("Conv2D", "Convolution2D"),
        r"Keras 1 \(Convolution2D\); load it with Keras 1",
    ),
    "Keras 1, Merge": ("shared.h5", rename("Concatenate", "Merge"), r"Keras 1 \(Merge\).*anew"),
    "Keras 1, argument": ("kinds.h5", set_in("Conv2D", nb_filter=3, border_mode="same"), r"Keras 1 \(border_mode\)"),
    "unknown function": (
        "tf-mode.h5",
        set_in("TFOpLambda", function="linalg.matmul" + 100 * "x"),
        r"TensorFlow function 'linalg\.matmulx{47}', which has no counterpart",
    ),
    "function of other arguments": ("functions.h5", set_in("TFOpLambda", function="math.pow"), "function 'math.pow'"),
    "groups": (
        "nested.h5",
        set_in("DepthwiseConv2D", groups=2),
        "DepthwiseConv2D has groups=2.*train and save it anew",
    ),
    "time_major": ("recurrent.h5", set_in("GRU", time_major=True), "GRU has time_major=True"),
    "renorm": ("nested.h5", set_in("BatchNormalization", renorm=True), "BatchNormalization has renorm=True"),
    "CuDNN": ("recurrent.h5", rename("GRU", "CuDNNGRU"), "CuDNNGRU keeps weights in an order of its own.*GRU in its"),
    "hard_sigmoid": ("kinds.h5", set_in("Activation", activation="hard_sigmoid"), "another function in Keras 3"),
    "no shape": (
        "deferred.h5",
        lambda config: (config["config"].pop("build_input_shape", None), config["config"]["layers"].pop(0)),
        "does not say what shape its input has.*save it anew",
    ),
    "frozen": ("teachable.h5", freeze_a_model_in_a_model, "model 'base' .* frozen, but layers in it are not"),
    "no layers": ("nested.h5", lambda config: config["config"].pop("layers"), "names no layers"),
    "not Keras": ("nested.h5", lambda config: config["config"].pop("output_layers"), "not as any Keras writes it"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_answer_otherwise_is_refused_with_what_to_do(kind: str, tmp_path: Path) -> None:
    name, change, reason = REFUSED[kind]
    path = old_file(name, tmp_path)
    rewrite(path, change)
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match=reason):
        upgrade_file(path)
    assert path.read_bytes() == before


CALLS: dict[str, tuple[str, list[Any]]] = {
    "a function by a tensor": ("math.divide", [["start", 0, 0, {"y": ["start", 0, 0]}]]),
    "a number by a tensor": ("math.truediv", [["_CONSTANT_VALUE", -1, 1.0, {"y": ["start", 0, 0]}]]),
    "a matrix": ("math.multiply", [["start", 0, 0, {"y": [[1.0, 2.0]]}]]),
    "no operand": ("math.multiply", [["start", 0, 0, {}]]),
    "two calls that differ": ("math.multiply", [["start", 0, 0, {"y": 1.0}], ["start", 0, 0, {"y": 2.0}]]),
    "channels first": ("nn.bias_add", [["start", 0, 0, {"bias": [1.0], "data_format": "NCHW"}]]),
    "integers": ("cast", [["start", 0, 0, {"dtype": "uint8"}]]),
    "a part": ("__operators__.getitem", [["start", 0, 0, {"slice_spec": [{"start": 1, "stop": 2, "step": None}]}]]),
    "a number of a batch": ("__operators__.getitem", [["start", 0, 0, {"slice_spec": 0}]]),
    "another axis": ("math.reduce_mean", [["start", 0, 0, {"axis": [0]}]]),
    "the batch": ("reshape", [["start", 0, 0, {"shape": [2, -1]}]]),
    "an unknown size": ("reshape", [["start", 0, 0, {"shape": [-1, -1]}]]),
    "another interpolation": ("image.resize", [["start", 0, 0, {"size": [2, 2], "method": "area"}]]),
    "antialiased": ("image.resize", [["start", 0, 0, {"size": [2, 2], "antialias": True}]]),
    "the batches": ("concat", [[["start", 0, 0, {"axis": 0}], ["start", 0, 0, {"axis": 0}]]]),
    "approximate": ("nn.gelu", [["start", 0, 0, {"approximate": True}]]),
    "softmax of rows": ("nn.softmax", [["start", 0, 0, {"axis": 1}]]),
}


@pytest.mark.parametrize("kind", CALLS)
def test_calls_that_no_layer_stands_for_are_refused(kind: str) -> None:
    function, nodes = CALLS[kind]
    layers = [
        {
            "class_name": "InputLayer",
            "config": {"batch_input_shape": [None, 4, 4, 3], "name": "start"},
            "name": "start",
        },
        {"class_name": "TFOpLambda", "config": {"function": function}, "name": "call", "inbound_nodes": nodes},
    ]
    config = {"layers": layers, "input_layers": [["start", 0, 0]], "output_layers": [["call", 0, 0]]}
    with pytest.raises(ModelFileError, match=f"function '{function}', which has no counterpart"):
        upgraded({"class_name": "Functional", "config": config})


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [("keras_version", b"1.2.2", r"Keras 1 \(1\.2\.2\)"), ("backend", b"theano", "mirrors the kernels")],
)
def test_what_the_file_says_of_its_origin_counts(attribute: str, value: bytes, reason: str, tmp_path: Path) -> None:
    path = old_file("kinds.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs[attribute] = value
    with pytest.raises(ModelFileError, match=reason):
        upgrade_file(path)


def test_without_weights_a_file_is_refused(tmp_path: Path) -> None:
    path = old_file("kinds.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        del file["model_weights"]
    with pytest.raises(ModelFileError, match="holds no weights"):
        upgrade_file(path)

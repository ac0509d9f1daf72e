"""Models of layers as Keras 2 described them, in Keras 3's form: Sequential and Functional, also one in another.

Knows no files, and no Keras.
"""

from typing import Any

from models.card import ModelFileError
from service.model_files.upgrade.layers import (
    SAVE_ANEW,
    Description,
    dtype_name,
    of_any_batch,
    plain_name,
    shape,
    upgraded_layer,
)
from service.model_files.upgrade.operations import OPERATIONS, upgraded_operation

MODELS = frozenset({"Functional", "Model", "Sequential"})
_INNER = ("layer", "backward_layer")  # what TimeDistributed and Bidirectional wrap
_WRITTEN_BESIDE_CONFIG = {"build_config", "compile_config"}  # building follows from the graph; we never train
_PARTS_OF_A_TENSOR = 3  # [name of a layer, node, output], maybe followed by arguments


def upgraded_model(entry: Description, depth: int = 0) -> Description:
    """The description of a model (class_name, config, …) for Keras 3, as a new one. Raises ModelFileError."""
    config = entry["config"]
    if isinstance(config, list):  # Sequential of Keras 2.2.2 and older
        config = {"layers": config}
    name = config.get("name") or entry.get("name") or f"{entry['class_name'].lower()}_{depth}"
    config = {**config, "name": plain_name(name)}
    entry = {key: value for key, value in entry.items() if key not in _WRITTEN_BESIDE_CONFIG}
    if "layers" not in config:
        raise ModelFileError("its description of the model names no layers; save the whole model, not a subclass of it")
    if entry["class_name"] == "Sequential":
        module, config = "keras", _sequential(config, depth)
    else:
        module, config = "keras.src.models.functional", _functional(config, depth)
        entry["class_name"] = "Functional"
    # Without the model's own `trainable`, by which Keras 2 and 3 order a nested model's weights in HDF5 differently:
    # by that of its layers they order them alike. See `check_order_of_weights`.
    config.pop("trainable", None)
    return {**entry, "module": module, "registered_name": None, "config": config}


def check_order_of_weights(model: Description, depth: int = 0) -> None:
    """Raises ModelFileError where HDF5 has weights in an order that no description makes Keras 3 expect.

    That is within a model in a model: if it is frozen, but not all its layers are, Keras 2 filed it under what is not
    trained, and Keras 3 looks for some of it under what is.
    """
    layers = _layers(model)
    for layer in layers:
        if layer["class_name"] not in MODELS:
            continue
        check_order_of_weights(layer, depth + 1)
        config = layer["config"]
        mixed = isinstance(config, dict) and config.get("trainable") is False and _any_trained(layer)
        if mixed and depth > 0 and any(_has_weights(other) for other in layers if other is not layer):
            raise ModelFileError(
                f"its model {config.get('name')!r:.60} in a model is frozen, but layers in it are not; {SAVE_ANEW}, "
                "set `trainable = True` for the whole model, and save it anew"
            )


def _layers(model: Description) -> list[Description]:
    config = model["config"]
    layers: list[Description] = config if isinstance(config, list) else config.get("layers", [])
    return layers


def _any_trained(model: Description) -> bool:
    return any(
        _any_trained(layer)
        if layer["class_name"] in MODELS
        else _has_weights(layer) and layer["config"].get("trainable", True)
        for layer in _layers(model)
    )


def _has_weights(layer: Description) -> bool:
    named = layer["class_name"] in MODELS | {"Normalization"}
    return named or any(key == "layer" or key.endswith("initializer") for key in layer["config"])


def _upgraded_entry(entry: Description, depth: int) -> Description:
    if entry["class_name"] in MODELS:
        return upgraded_model(entry, depth + 1)
    if entry["class_name"] in OPERATIONS:
        return upgraded_operation(entry)
    upgraded = upgraded_layer({key: value for key, value in entry.items() if key not in _WRITTEN_BESIDE_CONFIG})
    for key in _INNER:
        inner = upgraded["config"].get(key)
        if isinstance(inner, dict) and "class_name" in inner:
            upgraded["config"][key] = _upgraded_entry(inner, depth)
    return upgraded


def _sequential(config: Description, depth: int) -> Description:
    layers = [_upgraded_entry(layer, depth) for layer in _named_apart(config["layers"])]
    if layers and layers[0]["class_name"] != "InputLayer":
        given = _input_of(config)
        if given:
            layers.insert(0, _input_layer(given, layers[0]))
        elif depth == 0:
            raise ModelFileError(
                f"its Sequential model does not say what shape its input has; {SAVE_ANEW}, call "
                "`model.build((None, height, width, channels))`, and save it anew"
            )
    rest = {key: value for key, value in config.items() if key != "build_input_shape"}
    return {**rest, "layers": layers}


def _named_apart(layers: list[Description]) -> list[Description]:
    """Models without a name (Keras 2.2.2 and older), named by their places, as no two layers may have one name."""
    return [
        {**layer, "name": f"sequential_{place}"} if isinstance(layer["config"], list) and "name" not in layer else layer
        for place, layer in enumerate(layers)
    ]


def _input_of(entry: Description) -> Description | None:
    """`batch_shape` and `dtype` of what goes into a layer, a model or a model's config, where it says so."""
    config = entry.get("config", entry)
    config = {"layers": config} if isinstance(config, list) else config
    batch_shape = shape(config.get("batch_input_shape"))
    if batch_shape:
        dtype = dtype_name(config.get("dtype"))
        return {
            "batch_shape": of_any_batch(batch_shape),
            "dtype": dtype if dtype in {"float16", "float64"} else "float32",
        }
    given = _input_of(config["layers"][0]) if config.get("layers") else None
    built = shape(config.get("build_input_shape"))
    if given is None and isinstance(built, list) and built and not isinstance(built[0], list):
        given = {"batch_shape": of_any_batch(built), "dtype": "float32"}
    return given


def _input_layer(given: Description, first: Description) -> Description:
    name = f"{first['config']['name']}_input"
    return {
        "class_name": "InputLayer",
        "config": {**given, "name": name},
        "module": "keras.layers",
        "registered_name": None,
    }


def _functional(config: Description, depth: int) -> Description:
    layers = config["layers"]
    models = {plain_name(layer["name"]): layer["class_name"] for layer in layers if layer["class_name"] in MODELS}
    upgraded = [_upgraded_entry(layer, depth) for layer in layers]
    for layer in upgraded:
        layer["name"] = plain_name(layer["name"])
        layer["inbound_nodes"] = [_inputs(node) for node in layer.get("inbound_nodes", [])]
    ends = {key: _unwrapped(config[key]) for key in ("input_layers", "output_layers")}
    _count_nodes_from_0(upgraded, ends, models)
    return {**config, "layers": upgraded, **ends}


def _inputs(node: Any) -> list[list[Any]]:
    """A node's inputs, each [name, node, output, arguments], as a list, also where there is one."""
    inputs = [node] if node and isinstance(node[0], str) else node
    return [[plain_name(name), *rest] for name, *rest in inputs]


def _unwrapped(ends: Any) -> Any:
    """[["name", 0, 0]] and deeper as ["name", 0, 0]: Keras 3 would take and return a list of one tensor."""
    while isinstance(ends, list) and len(ends) == 1:
        ends = ends[0]
    if _is_tensor(ends):
        return [plain_name(ends[0]), *ends[1:]]
    return [[plain_name(name), *rest] for name, *rest in ends]


def _is_tensor(end: Any) -> bool:
    return isinstance(end, list) and len(end) >= _PARTS_OF_A_TENSOR and isinstance(end[0], str)


def _count_nodes_from_0(layers: list[Description], ends: Description, models: dict[str, str]) -> None:
    """Counts the calls of nested models as Keras 3 does.

    Keras 2 counted the call that a model's own inputs made as the first one, but not for each kind of model. The
    lowest number that is used is that of the first call, as every call that is described leads to an output. Keras 3
    counts from 0, but among the outputs of a model takes 1 off for a Functional one.
    """
    inner = [tensor for layer in layers for node in layer["inbound_nodes"] for tensor in node]
    outer = [end for part in ends.values() for end in ([part] if _is_tensor(part) else part)]
    for name, class_name in models.items():
        uses = [tensor for tensor in (*inner, *outer) if tensor[0] == name]
        first = min((tensor[1] for tensor in uses), default=0)
        for tensor in uses:
            tensor[1] -= first
        if class_name != "Sequential":
            for end in outer:
                end[1] += end[0] == name

"""One layer's description as Keras 2 wrote it, in Keras 3's arguments. Knows neither graphs nor files, and no Keras."""

from typing import Any

from models.card import ModelFileError

Description = dict[str, Any]

_ANY: tuple[Any, ...] = ()
# What Keras 3 no longer takes, with the values under which a layer computes the same without it; any, where it never
# touches what is computed from weights that are there already.
_EVERY_LAYER = {"batch_input_shape": _ANY, "input_dtype": _ANY, "input_dim": _ANY, "input_shape": _ANY}
_RECURRENT = {"time_major": (False, None), "implementation": _ANY, "input_length": _ANY}
_KERNEL = {"kernel_initializer": _ANY, "kernel_regularizer": _ANY, "kernel_constraint": _ANY}
_ONE_GROUP = {"groups": (1, None)}
_DROPPED: dict[str, dict[str, Any]] = {
    "BatchNormalization": {
        "renorm": (False, None),
        "virtual_batch_size": (None,),
        "fused": _ANY,
        "renorm_clipping": _ANY,
        "renorm_momentum": _ANY,
        "adjustment": _ANY,
    },
    "Conv2DTranspose": _ONE_GROUP,
    "ConvLSTM2D": {"unroll": _ANY, **_RECURRENT},
    "DepthwiseConv2D": {"filters": _ANY, **_ONE_GROUP, **_KERNEL},
    "GRU": _RECURRENT,
    "LSTM": _RECURRENT,
    "RNN": _RECURRENT,
    "SeparableConv2D": {**_ONE_GROUP, **_KERNEL},
    "SimpleRNN": _RECURRENT,
    "SpatialDropout2D": {"noise_shape": _ANY, "trainable": _ANY},
    "MultiHeadAttention": {"query_shape": _ANY, "key_shape": _ANY, "value_shape": _ANY},
}
_RENAMED = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"}
_RENAMED_ACTIVATIONS = {"softmax_v2": "softmax"}  # activation=tf.nn.softmax
# They turn and cut training pictures only, as the other Random layers; Keras 3 has no such layer.
_ONLY_WHILE_TRAINING = {"RandomHeight", "RandomWidth"}
_NEEDS_KERAS_2 = {"CuDNNGRU": "GRU", "CuDNNLSTM": "LSTM"}
_INITIALIZERS = frozenset(
    """Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros""".split()  # noqa: SIM905 - shorter so
)
SAVE_ANEW = "load it with the Keras 2 that wrote it"


def upgraded_layer(entry: Description) -> Description:
    """`entry` (class_name, config, and what else Keras wrote) for Keras 3; a new one, `entry` stays as it was.

    Raises ModelFileError for what Keras 3 computes differently, or cannot.
    """
    name: str = entry["class_name"]
    name = _RENAMED.get(name, name)
    if name in _NEEDS_KERAS_2:
        raise ModelFileError(
            f"its {name} keeps weights in an order of its own; {SAVE_ANEW}, copy the weights into the same model with "
            f"{_NEEDS_KERAS_2[name]} in its place, and save that"
        )
    config = {key: _upgraded_part(key, value) for key, value in entry["config"].items()}
    if "name" in config:
        config["name"] = plain_name(config["name"])
    config = _input_layer(config) if name == "InputLayer" else _without_dropped(name, config)
    if "dtype" in config:
        config["dtype"] = dtype_name(config["dtype"])
    if name in {"BatchNormalization", "Concatenate", "Softmax"}:
        config |= _single_axis(config)
    if name == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if name == "GRU":
        config.setdefault("reset_after", False)  # what it was before Keras had the argument; Keras 3 takes True
    if name == "ThresholdedReLU":
        name, config = "ReLU", {"threshold": config.pop("theta", 1.0), **config}
    if name in _ONLY_WHILE_TRAINING:
        kept = {key: config[key] for key in ("name", "trainable", "dtype") if key in config}
        name, config = "Activation", {**kept, "activation": "linear"}
    # With its module, as Keras 3 wants one for what a layer wraps.
    return {**entry, "class_name": name, "config": config, "module": "keras.layers", "registered_name": None}


def plain_name(name: str) -> str:
    """A layer's name without slashes, which Keras 3 refuses in names; nothing else goes by them, not even weights."""
    return name.replace("/", "_")


def dtype_name(dtype: Any) -> Any:
    """The name of a dtype or of a mixed precision policy, which may be described as a Policy; None for "infer"."""
    if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict):
        dtype = dtype["config"].get("name")
    return None if dtype in {"infer", "_infer"} else dtype


def shape(value: Any) -> Any:
    """A shape, which may be described as a TensorShape, as a list."""
    return value["items"] if isinstance(value, dict) and value.get("class_name") == "TensorShape" else value


def of_any_batch(batch_shape: list[Any]) -> list[Any]:
    """The shape without the number of images with which it was built: layers for images take any number."""
    return [None, *batch_shape[1:]]


def _input_layer(config: Description) -> Description:
    config = dict(config)
    batch_shape = shape(config.pop("batch_input_shape", None))
    if batch_shape is not None:
        config["batch_shape"] = of_any_batch(batch_shape)
    if not config.pop("ragged", False):
        return config
    raise ModelFileError("its input is ragged; it is no model for images")


def _without_dropped(name: str, config: Description) -> Description:
    dropped = _EVERY_LAYER | _DROPPED.get(name, {})
    for key, harmless in dropped.items():
        if key in config and harmless and config[key] not in harmless:
            raise ModelFileError(
                f"its {name} has {key}={config[key]!r:.60}, which Keras 3 cannot compute; build the model without it, "
                "train and save it anew"
            )
    return {key: value for key, value in config.items() if key not in dropped}


def _single_axis(config: Description) -> Description:
    axis = config.get("axis")
    return {"axis": axis[0]} if isinstance(axis, list) and len(axis) == 1 else {}


def _upgraded_part(key: str, value: Any) -> Any:
    if key.endswith("activation"):
        return _activation(value)
    if key.endswith("initializer") and isinstance(value, dict):
        return _initializer(value)
    return value


def _activation(value: Any) -> Any:
    name = value.get("config") if isinstance(value, dict) and value.get("class_name") == "function" else value
    if name == "hard_sigmoid":
        raise ModelFileError(
            "its activation 'hard_sigmoid' is another function in Keras 3 (slope 1/6, not 1/5); build the model with "
            "'sigmoid' in its place, train and save it anew"
        )
    return _RENAMED_ACTIVATIONS.get(name, name) if isinstance(name, str) else value


def _initializer(value: Description) -> Description:
    """Keras 3's form of it. Every weight comes from the file, so that what it would draw does not matter."""
    if value.get("class_name") not in _INITIALIZERS:
        return {"class_name": "Zeros", "config": {}, "module": "keras.initializers", "registered_name": None}
    config = {key: part for key, part in (value.get("config") or {}).items() if key not in {"dtype", "partition_info"}}
    if value["class_name"] == "VarianceScaling" and config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    return {**value, "config": config}

"""What one TensorFlow function is among Keras 3's layers, by its name and arguments. Knows no graph and no Keras."""

from collections.abc import Callable
from typing import Any, NamedTuple

from models.card import ModelFileError
from service.model_files.upgrade.layers import Description

_ACTIVATIONS = {
    "identity": "linear",
    "math.sigmoid": "sigmoid",
    "math.softplus": "softplus",
    "math.tanh": "tanh",
    "nn.elu": "elu",
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.selu": "selu",
    "nn.sigmoid": "sigmoid",
    "nn.silu": "silu",
    "nn.softmax": "softmax",
    "nn.softplus": "softplus",
    "nn.swish": "silu",
    "nn.tanh": "tanh",
    "stop_gradient": "linear",
}
_HARMLESS = {"name": (None,), "axis": (None, -1), "beta": (None, 1.0)}


class Layer(NamedTuple):
    """What computes the same in Keras 3; `module` is Keras's own for what is no layer, but an operation."""

    class_name: str
    config: Description
    module: str = "keras.layers"


def layer_of(function: str, arguments: Description) -> Layer | None:
    """The layer that does to a tensor, or for "concat" to several, what the function does with these arguments."""
    if function in _ACTIVATIONS and _only_harmless(arguments):
        return Layer("Activation", {"activation": _ACTIVATIONS[function]})
    reader = _READERS.get(function)
    return reader(arguments) if reader else None


def unknown(function: str) -> ModelFileError:
    """What to raise for a function that no layer stands for."""
    return ModelFileError(
        f"it calls the TensorFlow function {function[:60]!r}, which has no counterpart here; compute that before the "
        "model, or with a layer of Keras, and save the model anew"
    )


def rescaling(
    function: str,
    constant: Any,
    scale: Callable[[float], float] | None = None,
    offset: Callable[[float], float] | None = None,
    factor: float = 1.0,
) -> Layer:
    """Multiplies by `factor` or what `scale` makes of the constant, and adds what `offset` makes of it."""
    values = constant if isinstance(constant, list) else [constant]
    if not values or not all(isinstance(value, (int, float)) for value in values) or (scale and 0 in values):
        raise unknown(function)

    def each(of: Callable[[float], float]) -> float | list[float]:
        made = [float(of(float(value))) for value in values]
        return made if isinstance(constant, list) else made[0]

    return Layer("Rescaling", {"scale": each(scale) if scale else factor, "offset": each(offset) if offset else 0.0})


def _only_harmless(arguments: Description) -> bool:
    return all(value in _HARMLESS.get(key, ()) for key, value in arguments.items())


def _bias_add(arguments: Description) -> Layer | None:
    if str(arguments.get("data_format") or "NHWC").startswith("NC"):
        return None
    return rescaling("nn.bias_add", arguments.get("bias"), offset=lambda value: value)


def _cast(arguments: Description) -> Layer | None:
    # A Rescaling by 1, as every other layer leaves integers what they are.
    return Layer("Rescaling", {"scale": 1.0, "offset": 0.0}) if arguments.get("dtype") == "float32" else None


def _getitem(arguments: Description) -> Layer | None:
    """`x[..., ::-1]` or `x[:, :, :, ::-1]`: RGB to BGR, or back."""
    spec = arguments.get("slice_spec")
    if not isinstance(spec, list) or not spec or not all(isinstance(part, dict) for part in spec):
        return None
    last = {"start": None, "stop": None, "step": -1}
    whole = [part for part in spec[:-1] if "class_name" not in part and not any(part.values())]
    dotted = [part for part in spec[:-1] if part.get("class_name") == "__ellipsis__"]
    if spec[-1] != last or len(whole) + len(dotted) != len(spec) - 1 or (not dotted and len(whole) != 3):
        return None
    return _flip(-1)


def _reverse(arguments: Description) -> Layer | None:
    return _flip(-1) if arguments.get("axis") in ([-1], [3]) else None


def _flip(axis: int) -> Layer:
    return Layer("Flip", {"axis": axis}, "keras.src.ops.numpy")


def _pooling(class_name: str) -> Callable[[Description], Layer | None]:
    def read(arguments: Description) -> Layer | None:
        if arguments.get("axis") not in ([1, 2], [-3, -2]):
            return None
        return Layer(class_name, {"keepdims": bool(arguments.get("keepdims"))})

    return read


def _reshape(arguments: Description) -> Layer | None:
    wanted = arguments.get("shape")
    if not isinstance(wanted, list) or wanted[:1] != [-1] or not all(isinstance(size, int) for size in wanted):
        return None
    return Layer("Reshape", {"target_shape": wanted[1:]}) if all(size > 0 for size in wanted[1:]) else None


def _resize(arguments: Description) -> Layer | None:
    size, method = arguments.get("size"), arguments.get("method") or "bilinear"
    if not isinstance(size, list) or method not in {"bilinear", "nearest", "bicubic"}:
        return None
    if arguments.get("preserve_aspect_ratio") or arguments.get("antialias"):
        return None
    return Layer("Resizing", {"height": size[0], "width": size[1], "interpolation": method})


def _concat(arguments: Description) -> Layer | None:
    axis = arguments.get("axis")
    return Layer("Concatenate", {"axis": axis}) if isinstance(axis, int) and axis != 0 else None


def _leaky_relu(arguments: Description) -> Layer | None:
    alpha = arguments.get("alpha", 0.2)
    return Layer("LeakyReLU", {"negative_slope": alpha}) if isinstance(alpha, (int, float)) else None


def _gelu(arguments: Description) -> Layer | None:
    return None if arguments.get("approximate") else Layer("Activation", {"activation": "gelu"})


_READERS: dict[str, Callable[[Description], Layer | None]] = {
    "__operators__.getitem": _getitem,
    "cast": _cast,
    "concat": _concat,
    "image.resize": _resize,
    "math.negative": lambda _: Layer("Rescaling", {"scale": -1.0, "offset": 0.0}),
    "math.reduce_max": _pooling("GlobalMaxPooling2D"),
    "math.reduce_mean": _pooling("GlobalAveragePooling2D"),
    "nn.bias_add": _bias_add,
    "nn.gelu": _gelu,
    "nn.leaky_relu": _leaky_relu,
    "reshape": _reshape,
    "reverse": _reverse,
}

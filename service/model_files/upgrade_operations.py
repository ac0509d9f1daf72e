"""TensorFlow functions called inside a Keras 2 model, as Keras 3's layers: `x / 127.5` becomes a Rescaling.

Knows neither the rest of the graph nor files, and no Keras.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from models.card import ModelFileError

Description = dict[str, Any]
Tensor = list[Any]  # [name of a layer, node, output]

OPERATIONS = frozenset({"TFOpLambda", "SlicingOpLambda"})
_CONSTANT = "_CONSTANT_VALUE"  # stands where the name of a layer would
_ARITHMETIC = {
    "__operators__.add": "add",
    "math.add": "add",
    "math.subtract": "subtract",
    "math.multiply": "multiply",
    "math.truediv": "divide",
    "math.divide": "divide",
    "realdiv": "divide",
}
_OF_TWO_TENSORS = {"add": "Add", "subtract": "Subtract", "multiply": "Multiply"}
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


class Call(NamedTuple):
    """A function, its operands in order (tensors, and constants in a Constant), and its other arguments."""

    function: str
    operands: list[Any]
    arguments: Description

    @property
    def tensors(self) -> list[Tensor]:
        """The operands that are tensors."""
        return [operand for operand in self.operands if not isinstance(operand, Constant)]


class Constant(NamedTuple):
    """A number, or one for each channel, that the file holds in place of a tensor."""

    value: Any


class Layer(NamedTuple):
    """What computes the same in Keras 3; `module` is Keras's own for what is no layer, but an operation."""

    class_name: str
    config: Description
    module: str = "keras.layers"


def upgraded_operation(entry: Description) -> Description:
    """The layer of Keras 3 that does what the `entry` of a TFOpLambda or SlicingOpLambda does.

    Its inbound_nodes name the same tensors. Raises ModelFileError where there is none.
    """
    function = str(entry["config"].get("function"))
    calls = [_call(function, node) for node in entry.get("inbound_nodes", [])]
    layers = [_layer(call) for call in calls]
    if not layers or any(layer != layers[0] for layer in layers):
        raise _unknown(function)
    layer = layers[0]
    config = {"name": entry["name"], **layer.config}
    if layer.module == "keras.layers":
        config |= {"trainable": False, "dtype": "float32"}  # no policy: these functions compute in what they are given
    upgraded = {"class_name": layer.class_name, "config": config, "name": entry["name"]}
    if "module" in entry or layer.module != "keras.layers":
        # Keras looks a class without module up among its layers.
        upgraded |= {"module": layer.module, "registered_name": None}
    return {**upgraded, "inbound_nodes": [[[*tensor[:3], {}] for tensor in call.tensors] for call in calls]}


def _call(function: str, node: list[Any]) -> Call:
    """Reads [name, node, output, arguments], or a list of such, of which "y" in the arguments may be another."""
    inputs = [node] if node and isinstance(node[0], str) else node
    arguments = dict(inputs[0][3]) if inputs and len(inputs[0]) > 3 else {}
    operands = [Constant(one[2]) if one[0] == _CONSTANT else one for one in inputs]
    for key in ("x", "y"):
        if key in arguments:
            value = arguments.pop(key)
            operands.append(value if _is_tensor(value) else Constant(value))
    return Call(function, operands, arguments)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)


def _layer(call: Call) -> Layer:
    function, arguments = call.function, call.arguments
    if function in _ARITHMETIC and set(arguments) <= {"name"}:
        return _arithmetic(_ARITHMETIC[function], call)
    if len(call.operands) == 1 and function in _ACTIVATIONS and _only_harmless(arguments):
        return Layer("Activation", {"activation": _ACTIVATIONS[function]})
    reader = _READERS.get(function)
    layer = reader(arguments) if reader and call.tensors == call.operands else None
    if layer is None or (len(call.tensors) != 1 and layer.class_name != "Concatenate"):
        raise _unknown(function)
    return layer


def _arithmetic(operation: str, call: Call) -> Layer:
    if len(call.operands) == 2 and len(call.tensors) == 2 and operation in _OF_TWO_TENSORS:
        return Layer(_OF_TWO_TENSORS[operation], {})
    if len(call.operands) != 2 or len(call.tensors) != 1:
        raise _unknown(call.function)
    constant_first = isinstance(call.operands[0], Constant)
    constant = next(operand.value for operand in call.operands if isinstance(operand, Constant))
    if operation == "divide" and not constant_first:
        return _rescaling(call.function, constant, scale=lambda value: 1 / value)
    if operation == "multiply":
        return _rescaling(call.function, constant, scale=lambda value: value)
    if operation == "subtract" and constant_first:
        return _rescaling(call.function, constant, factor=-1.0, offset=lambda value: value)
    if operation == "subtract":
        return _rescaling(call.function, constant, offset=lambda value: -value)
    if operation == "add":
        return _rescaling(call.function, constant, offset=lambda value: value)
    raise _unknown(call.function)


def _rescaling(
    function: str,
    constant: Any,
    scale: Callable[[float], float] | None = None,
    offset: Callable[[float], float] | None = None,
    factor: float = 1.0,
) -> Layer:
    """Multiplies by `factor` or what `scale` makes of the constant, and adds what `offset` makes of it."""
    values = constant if isinstance(constant, list) else [constant]
    if not values or not all(isinstance(value, (int, float)) for value in values) or (scale and 0 in values):
        raise _unknown(function)

    def each(of: Callable[[float], float]) -> float | list[float]:
        made = [float(of(float(value))) for value in values]
        return made if isinstance(constant, list) else made[0]

    return Layer("Rescaling", {"scale": each(scale) if scale else factor, "offset": each(offset) if offset else 0.0})


def _only_harmless(arguments: Description) -> bool:
    return all(value in _HARMLESS.get(key, ()) for key, value in arguments.items())


def _bias_add(arguments: Description) -> Layer | None:
    if str(arguments.get("data_format") or "NHWC").startswith("NC"):
        return None
    return _rescaling("nn.bias_add", arguments.get("bias"), offset=lambda value: value)


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


def _unknown(function: str) -> ModelFileError:
    return ModelFileError(
        f"it calls the TensorFlow function {function[:60]!r}, which has no counterpart here; compute that before the "
        "model, or with a layer of Keras, and save the model anew"
    )

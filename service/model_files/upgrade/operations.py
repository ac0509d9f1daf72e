"""TensorFlow functions called inside a Keras 2 model, as Keras 3's layers: `x / 127.5` becomes a Rescaling.

Knows neither the rest of the graph nor files, and no Keras.
"""

from typing import Any, NamedTuple

from service.model_files.upgrade.functions import Layer, layer_of, rescaling, unknown
from service.model_files.upgrade.layers import Description, plain_name

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


def upgraded_operation(entry: Description) -> Description:
    """The layer of Keras 3 that does what the `entry` of a TFOpLambda or SlicingOpLambda does.

    Its inbound_nodes name the same tensors. Raises ModelFileError where there is none.
    """
    function = str(entry["config"].get("function"))
    calls = [_call(function, node) for node in entry.get("inbound_nodes", [])]
    layers = [_layer(call) for call in calls]
    if not layers or any(layer != layers[0] for layer in layers):
        raise unknown(function)
    layer = layers[0]
    config = {"name": plain_name(entry["name"]), **layer.config}
    if layer.module == "keras.layers":
        config |= {"trainable": False, "dtype": "float32"}  # no policy: these functions compute in what they are given
    return {
        "class_name": layer.class_name,
        "config": config,
        "module": layer.module,
        "registered_name": None,
        "name": entry["name"],
        "inbound_nodes": [[[*tensor[:3], {}] for tensor in call.tensors] for call in calls],
    }


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
    layer = layer_of(function, arguments) if call.tensors == call.operands else None
    if layer is None or (len(call.tensors) != 1 and layer.class_name != "Concatenate"):
        raise unknown(function)
    return layer


def _arithmetic(operation: str, call: Call) -> Layer:
    if len(call.operands) == 2 and len(call.tensors) == 2 and operation in _OF_TWO_TENSORS:
        return Layer(_OF_TWO_TENSORS[operation], {})
    if len(call.operands) != 2 or len(call.tensors) != 1:
        raise unknown(call.function)
    constant_first = isinstance(call.operands[0], Constant)
    constant = next(operand.value for operand in call.operands if isinstance(operand, Constant))
    if operation == "divide" and not constant_first:
        return rescaling(call.function, constant, scale=lambda value: 1 / value)
    if operation == "multiply":
        return rescaling(call.function, constant, scale=lambda value: value)
    if operation == "subtract" and constant_first:
        return rescaling(call.function, constant, factor=-1.0, offset=lambda value: value)
    if operation == "subtract":
        return rescaling(call.function, constant, offset=lambda value: -value)
    if operation == "add":
        return rescaling(call.function, constant, offset=lambda value: value)
    raise unknown(call.function)

"""Whether the description of a model names nothing but what only computes. Knows no file.

Keras builds an object, or finds a function, for whatever a description names, by module and class. So everything in it
that has a `class_name` must be on the lists of `allowed_layers` and `allowed_operations`, whatever its place.
"""

from typing import Any

from models.card import ModelFileError
from service.model_files.validation import allowed_layers
from service.model_files.validation.allowed_layers import ACTIVATIONS, is_layer, is_part
from service.model_files.validation.allowed_operations import is_operation

_DEEPEST = 60
_MOST_PARTS = 100_000
_FUNCTION_MODULES = {"builtins", "keras.activations"}
_NUMBERS = {"bool", "bfloat16", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}
# How both formats write what JSON has no word for. Not among them: __lambda__, __typespec__, TypeSpec, CompositeTensor,
# each of which has something looked up or run.
_PLAIN = {
    "__keras_tensor__",
    "__slice__",
    "__ellipsis__",
    "__bytes__",
    "__tuple__",
    "TensorShape",
}
_ARRAYS = {"__numpy__", "__tensor__"}
_INSTEAD = "build the model from Keras's own layers in its place, load the weights into that, and save it"


def check_description(description: Any) -> None:
    """Raise ModelFileError where the description, parsed from JSON, names what is no layer or part of Keras's own."""
    _Check().of(description, "model", 0)


def safe_description(description: Any) -> dict[str, Any]:
    """The description, once checked, without how the model was compiled.

    Keras would compile each model inside of it again, even where it is told to compile none. Of the outermost, which it
    does leave, the loss stays where it is one of Keras's own, for what it tells of the last layer. Raises
    ModelFileError.
    """
    if not isinstance(description, dict):
        raise ModelFileError("its description of the model is no object of JSON; save the model anew")
    safe = {key: _without_compile_config(value) for key, value in description.items() if key != "compile_config"}
    check_description(safe)
    compiled = description.get("compile_config")
    loss = compiled.get("loss") if isinstance(compiled, dict) else None
    return safe | {"compile_config": {"loss": loss}} if is_plain_loss(loss) else safe


def _without_compile_config(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without_compile_config(value) for key, value in part.items() if key != "compile_config"}
    if isinstance(part, list):
        return [_without_compile_config(value) for value in part]
    return part


def is_plain_loss(loss: Any) -> bool:
    """Whether `loss` is one of Keras's own, as both formats describe it, with nothing in it but plain values."""
    if not isinstance(loss, dict):
        return isinstance(loss, str)
    config = loss.get("config")
    plain = isinstance(config, str) or (
        isinstance(config, dict) and all(isinstance(value, str | int | float | None) for value in config.values())
    )
    return plain and loss.get("module") in {"keras.losses", "builtins"} and isinstance(loss.get("class_name"), str)


class _Check:
    """One walk through a description."""

    def __init__(self) -> None:
        self._parts = 0

    def of(self, part: Any, key: str, depth: int) -> None:
        """Check `part`, which stands under `key`."""
        if depth > _DEEPEST:
            raise ModelFileError("its description of the model is nested too deeply")
        if isinstance(part, dict):
            if "class_name" in part:
                self._parts += 1
                if self._parts > _MOST_PARTS:
                    raise ModelFileError(f"its description of the model has more than {_MOST_PARTS:,} parts")
                _check_class(part)
            for name, value in part.items():
                self.of(value, name, depth + 1)
        elif isinstance(part, list):
            for value in part:
                if key == "inbound_nodes":
                    _check_node(value)
                self.of(value, "" if key == "inbound_nodes" else key, depth + 1)
        elif key.endswith("activation") and isinstance(part, str) and part not in ACTIVATIONS:
            raise ModelFileError(
                f"it has the activation {part!r:.60}, which is not Keras's own: its code is not in the file; {_INSTEAD}"
            )


def _check_class(part: dict[str, Any]) -> None:
    name, module, registered = part["class_name"], part.get("module"), part.get("registered_name")
    if not isinstance(name, str) or not isinstance(module, str | None):
        raise ModelFileError("its description of the model has a part whose class or module is no text; save it anew")
    if name == "function":
        return _check_function(part)
    if name in _ARRAYS:
        return _check_numbers(name, part.get("config"))
    if registered not in (None, name):
        raise _refusal(f"{registered}", module)
    if not (name in _PLAIN or is_layer(name, module) or is_part(name, module) or is_operation(name, module)):
        raise _refusal(name, module)
    return None


def _check_function(part: dict[str, Any]) -> None:
    name, module, registered = part.get("config"), part.get("module"), part.get("registered_name")
    plain = isinstance(name, str) and name in ACTIVATIONS and module in _FUNCTION_MODULES
    if not plain or registered not in (None, name, "function"):
        raise ModelFileError(
            f"it names the function {name!r:.60}{_of(module)}, and of functions only Keras's activations are loaded; "
            f"{_INSTEAD}"
        )


def _check_numbers(name: str, config: Any) -> None:
    """An array in the description: of numbers, and as large as it looks."""
    dtype = config.get("dtype") if isinstance(config, dict) else None
    if not isinstance(dtype, str) or dtype not in _NUMBERS or not _only_numbers(config.get("value")):
        raise ModelFileError(f"{name!r} in its description of the model is no array of numbers; save the model anew")


def _only_numbers(value: Any) -> bool:
    return all(map(_only_numbers, value)) if isinstance(value, list) else isinstance(value, int | float)


def _check_node(node: Any) -> None:
    """A call of a layer that is given no other layer's output would be computed while the model is built."""
    if isinstance(node, dict) and not _takes_a_tensor(node, 0):
        raise ModelFileError("one of its layers takes no other layer's output; save the model anew")


def _takes_a_tensor(part: Any, depth: int) -> bool:
    if depth > _DEEPEST:
        return False
    if isinstance(part, dict):
        if "class_name" in part:  # inside of what is no tensor itself Keras sees none
            return bool(part["class_name"] == "__keras_tensor__")
        return any(_takes_a_tensor(value, depth + 1) for value in part.values())
    return isinstance(part, list) and any(_takes_a_tensor(value, depth + 1) for value in part)


def _of(module: Any) -> str:
    return f" of {module:.60}" if isinstance(module, str) else ""


def _refusal(name: str, module: str | None) -> ModelFileError:
    if name in allowed_layers.CODE or name == "__lambda__":
        return ModelFileError(f"it has a Lambda, which is Python code, and none from a file is run here; {_INSTEAD}")
    if name in allowed_layers.WORDS:
        return ModelFileError(f"it has a layer {name}, which looks words up and is not loaded here; {_INSTEAD}")
    if name in allowed_layers.FRAMEWORKS:
        return ModelFileError(f"it has a layer {name}, which runs what another framework wrote; {_INSTEAD}")
    return ModelFileError(
        f"it has {name!r:.60}{_of(module)}, which is not among the layers and parts of Keras's own that are loaded "
        f"here, and a custom layer's code is not in the file; {_INSTEAD}"
    )

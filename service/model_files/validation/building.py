"""Whether Keras can build what a description says in bounded time, and what in it need not be built. Knows no file.

The description must have been checked, and upgraded: so each of its models has the form that Keras 3 reads.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

from models.card import ModelFileError
from service.model_files.validation.allowed_layers import DTYPE_POLICIES, MODELS

# The largest networks of keras.applications have about 1,050 layers, all of them called once.
_MOST_LAYERS = 2_500
_MOST_CALLS = 5_000
# Keras builds a Sequential model anew with each layer that it adds, and looks through all layers of another for one
# that can be called, until none is left.
_MOST_CALLS_OF_SEQUENTIAL = 20_000
_MOST_ATTEMPTS = 20_000
_ZEROS: dict[str, Any] = {"class_name": "Zeros", "config": {}, "module": "keras.initializers", "registered_name": None}


def quick_to_build(part: Any) -> Any:
    """The description with zeros in place of all initial values, which those in the file replace anyway.

    Some take minutes to draw. And recurrent layers compute in a loop, not in a graph with a copy for each step.
    """
    if isinstance(part, list):
        return [quick_to_build(value) for value in part]
    if not isinstance(part, dict):
        return part
    return {key: _quick(key, value) for key, value in part.items()}


def _quick(key: str, value: Any) -> Any:
    if key.endswith("initializer") and value is not None:
        return dict(_ZEROS)
    return False if key == "unroll" and value is True else quick_to_build(value)


def check_building(description: Any) -> None:
    """Raise ModelFileError where Keras would take long to build the model, or would never be done."""
    try:
        _Building().check(description)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"its description of the model is not as any Keras writes it ({type(error).__name__}: {error!s:.80}); save "
            "the model anew"
        ) from error


class _Building:
    """One walk through a description, and what was counted on it."""

    def __init__(self) -> None:
        self._layers = self._in_sequential = self._attempts = 0

    def check(self, description: Any) -> None:
        calls = self._calls(description)
        if self._layers > _MOST_LAYERS:
            raise ModelFileError(f"it has {self._layers:,} layers, and at most {_MOST_LAYERS:,} are built")
        if calls > _MOST_CALLS:
            raise ModelFileError(
                f"its layers are called {min(calls, 10**12):,} times, those of its inner models at each of their "
                f"calls, and at most {_MOST_CALLS:,} calls are built"
            )
        if self._in_sequential > _MOST_CALLS_OF_SEQUENTIAL:
            raise ModelFileError(
                "it has Sequential models of too many layers, which would take minutes to build; build them with "
                "keras.Model(inputs, outputs), copy the weights, and save that"
            )

    def _calls(self, entry: dict[str, Any]) -> int:
        """How many layers compute when this layer or model is called once."""
        self._layers += 1
        layers = entry["config"].get("layers") if entry["class_name"] in MODELS else None
        if layers is None:
            return 1 + sum(map(self._calls, _layers_in(list(entry["config"].values()))))
        if entry["class_name"] == "Sequential":
            self._in_sequential += len(layers) ** 2 // 2
        else:
            self._check_order(layers)
        return sum(self._calls(layer) * max(1, len(_nodes(layer))) for layer in layers)

    def _check_order(self, layers: list[dict[str, Any]]) -> None:
        """Walk through the layers as Keras does, which calls each as soon as all its inputs are there."""
        made = {layer["name"]: int(not _nodes(layer)) for layer in layers}
        waiting = {layer["name"]: deque(list(_sources(node)) for node in _nodes(layer)) for layer in layers}
        while waiting := {name: nodes for name, nodes in waiting.items() if nodes}:
            called = False
            for name, nodes in waiting.items():
                self._attempts += 1
                while nodes and all(made.get(source, 0) > node for source, node in nodes[0]):
                    nodes.popleft()
                    made[name] += 1
                    called = True
            if not called:
                raise ModelFileError(
                    f"its layer {min(waiting)!r:.60} waits for what no other layer makes; save the model anew"
                )
            if self._attempts > _MOST_ATTEMPTS:
                raise ModelFileError("its layers stand in too great a disorder to be built; save the model anew")


def _layers_in(part: Any) -> Iterator[dict[str, Any]]:
    """The outermost layers and models in it: whatever has a class and a name of its own."""
    if isinstance(part, dict):
        config = part.get("config")
        if isinstance(config, dict) and "name" in config and part.get("class_name") not in DTYPE_POLICIES:
            yield part
            return
        part = list(part.values())
    if isinstance(part, list):
        for value in part:
            yield from _layers_in(value)


def _nodes(layer: dict[str, Any]) -> list[Any]:
    return layer.get("inbound_nodes") or []


def _sources(node: Any) -> Iterator[tuple[str, int]]:
    """The layers, and which of their calls, whose outputs a call is given: in Keras 3's form, or in Keras 2's."""
    if isinstance(node, list):
        yield from ((name, place) for name, place, *_ in node)
    else:
        yield from _tensors_in([node["args"], node["kwargs"]] if node else [])


def _tensors_in(part: Any) -> Iterator[tuple[str, int]]:
    if isinstance(part, dict):
        if part.get("class_name") == "__keras_tensor__" and part["config"].get("keras_history"):
            name, place, *_ = part["config"]["keras_history"]
            yield name, place
            return
        part = list(part.values())
    if isinstance(part, list):
        for value in part:
            yield from _tensors_in(value)

"""Arrays of numbers as JSON. Knows no HTTP."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

from service.explain.results import strongest_first

_DECIMALS = 6


def rounded(values: npt.NDArray[Any], decimals: int = _DECIMALS) -> Any:
    """The numbers as lists of lists, which are as deep as there are axes."""
    return np.round(values.astype(np.float64), decimals).tolist()


def layers_as_json(outputs: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """A list of what each layer makes: maps (height, width, channels), each map by itself, or values (units,)."""
    return to_json([_layer(name, values) for name, values in outputs.items()])


def _layer(name: str, values: npt.NDArray[np.float32]) -> Mapping[str, Any]:
    common = {"layer": name, "shape": values.shape, "strongest": strongest_first(values).tolist()}
    if values.ndim == 3:
        return {**common, "maps": rounded(values.transpose(2, 0, 1)), "values": None}
    return {**common, "maps": None, "values": rounded(values)}

"""What is found out about a model and its answers: plain data, which can be sent to another process. Knows no Keras."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

Method = Literal["grad-cam", "grad-cam++", "saliency", "smoothgrad", "occlusion", "integrated-gradients"]
KernelScale = Literal["fixed", "symmetric"]


class Attribution(NamedTuple):
    """How much each pixel speaks for class `class_index`: `values`, float32 (height, width).

    Those of occlusion and integrated gradients may be negative, for pixels that speak against it; of the others they
    are 0 or more. `score` is what was explained, `baseline_score` the same of a black image, and `probability` the
    model's own for the class.
    """

    values: Floats
    class_index: int
    probability: float
    score: float
    baseline_score: float


class Kernels(NamedTuple):
    """The kernels of one layer: float32 (filters, input channels, height, width), and the biases (filters,).

    `channel` is the only input channel that is there, or None where all are. Mean, standard deviation and histogram are
    those of all weights of the layer, biases left out; a histogram has one edge more than counts.
    """

    layer: str
    channel: int | None
    weights: Floats
    biases: Floats | None
    mean: float
    standard_deviation: float
    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]


class Window(NamedTuple):
    """What a layer read for one value.

    `values` are float32 (channels, height, width) of the layer's input, 0 where the window reaches beyond it; `rows`
    and `columns` say where in that input they are, with numbers below 0 or past the end for the padding around it.
    """

    values: Floats
    rows: list[int]
    columns: list[int]
    inside: npt.NDArray[np.bool_]


class ConvolutionTrace(NamedTuple):
    """One value of a convolution: `products` = window's values × `kernel`, both (channels, height, width).

    `total` is the sum of the products and the bias; `value` is what the model itself has there, after `activation`.
    """

    layer: str
    window: Window
    kernel: Floats
    bias: float
    products: Floats
    total: float
    activation: str
    value: float


class PoolingTrace(NamedTuple):
    """One value of a pooling. `chosen` is the row and column, in the window, of the largest, or None for a mean."""

    layer: str
    kind: str
    window: Window
    chosen: tuple[int, int] | None
    value: float


def strongest_first(values: Floats) -> npt.NDArray[np.intp]:
    """The numbers of the maps (height, width, channels) or values (units,), the one of the highest mean first."""
    means = values.mean(axis=(0, 1)) if values.ndim == 3 else values
    return np.argsort(-means, kind="stable")

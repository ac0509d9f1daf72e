"""How large the network's maps are, layer by layer, and which images are too small for it. Knows no Keras."""

from collections.abc import Sequence
from typing import NamedTuple

from training.errors import TrainingError
from training.settings import MOST_IMAGE_SIZE, NAMED_DATA, TrainingSettings

KERNEL = 3
WINDOW = 2


class _Lost(NamedTuple):
    """The layer at which no pixel is left, and the height and width of the maps that it is given."""

    layer: str
    size: int
    height: int
    width: int


def stride_of_each(filters: Sequence[int], strides: Sequence[int]) -> Sequence[int]:
    """The stride of each convolution; `strides` has one for all of them or one for each."""
    return tuple(strides) * len(filters) if len(strides) == 1 else strides


def ensure_large_enough(height: int, width: int, settings: TrainingSettings) -> None:
    """Raises TrainingError where images of `height` × `width` pixels leave a layer of the network without a pixel."""
    padding, strides = settings.padding, stride_of_each(settings.filters, settings.strides)
    lost = _lost(height, width, padding, strides)
    if lost is None:
        return
    changes = []
    most = next(count for count in range(len(strides), -1, -1) if not _lost(height, width, padding, strides[:count]))
    if most:
        changes.append(f"keep at most {most} of --filters")
    ones = (1,) * len(strides)
    if padding == "valid" and not _lost(height, width, "same", strides):
        changes.append("use --padding same")
    if strides != ones and not _lost(height, width, padding, ones):
        changes.append("use --strides 1")
    least = _least_size(padding, strides)
    if least <= MOST_IMAGE_SIZE:
        own = "--data with images of your own and " if settings.data in NAMED_DATA else ""
        changes.append(f"use {own}--image-size {least} or more")
    raise TrainingError(
        f"images of {height}×{width} are too small: {lost.layer} of {len(strides)} reads {lost.size}×{lost.size} "
        f"pixels, and the maps that reach it have {lost.height}×{lost.width}, so that none is left; "
        f"{', or '.join(changes)}"
    )


def _lost(height: int, width: int, padding: str, strides: Sequence[int]) -> _Lost | None:
    for place, stride in enumerate(strides, 1):
        if padding == "valid" and min(height, width) < KERNEL:
            return _Lost(f"convolution {place}", KERNEL, height, width)
        height, width = (_convolved(extent, padding, stride) for extent in (height, width))
        if min(height, width) < WINDOW:
            return _Lost(f"pooling {place}", WINDOW, height, width)
        height, width = height // WINDOW, width // WINDOW
    return None


def _convolved(extent: int, padding: str, stride: int) -> int:
    return ((extent - KERNEL) // stride if padding == "valid" else (extent - 1) // stride) + 1


def _least_size(padding: str, strides: Sequence[int]) -> int:
    """The height and width of which one pixel is left: each layer's, from the last to the first."""
    size = 1
    for stride in reversed(strides):
        size = (size * WINDOW - 1) * stride + (KERNEL if padding == "valid" else 1)
    return size

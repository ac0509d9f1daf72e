"""The ways that people scale pixels of 0 to 255 for a model, and the words for them. Knows no image."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

ChannelOrder = Literal["rgb", "bgr"]
PixelRange = Literal["0..1", "-1..1", "0..255", "caffe", "torch"]
PerChannel = float | tuple[float, float, float]


class PixelScaling(NamedTuple):
    """What becomes of a pixel: pixel × `scale` + `offset`, the same for all channels or one for each in the order."""

    scale: PerChannel
    offset: PerChannel = 0.0
    channel_order: ChannelOrder | None = None
    """None where either will do."""


def _by_mean_and_deviation(mean: tuple[float, ...], deviation: tuple[float, ...]) -> PixelScaling:
    red, green, blue = (1 / (255 * one) for one in deviation)
    below = tuple(-one / spread for one, spread in zip(mean, deviation, strict=True))
    return PixelScaling((red, green, blue), (below[0], below[1], below[2]), "rgb")


# `caffe` and `torch` subtract the mean of ImageNet's pixels, as `keras.applications.imagenet_utils` defines them.
PIXEL_RANGES: dict[PixelRange, PixelScaling] = {
    "0..1": PixelScaling(1 / 255),
    "-1..1": PixelScaling(1 / 127.5, -1.0),
    "0..255": PixelScaling(1.0),
    "caffe": PixelScaling(1.0, (-103.939, -116.779, -123.68), "bgr"),
    "torch": _by_mean_and_deviation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def channel_order_of(pixel_range: str) -> ChannelOrder | None:
    """The order of the channels that comes with a word for pixels; None where either will do, or for no such word."""
    return next((known.channel_order for word, known in PIXEL_RANGES.items() if word == pixel_range), None)


def pixel_range_of(scale: PerChannel, offset: PerChannel) -> str:
    """The word for this scale and offset, or in numbers where there is none."""
    for word, known in PIXEL_RANGES.items():
        if np.allclose(scale, known.scale, rtol=1e-3) and np.allclose(offset, known.offset, rtol=1e-3, atol=1e-6):
            return word
    return f"× {scale} + {offset}"


def option_values_joined(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line, with `--pixels -1..1` made `--pixels=-1..1`: argparse takes it for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--pixels":
            joined[-1] = f"--pixels={argument}"
        else:
            joined.append(argument)
    return joined

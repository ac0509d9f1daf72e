"""The ways to prepare an image that are tried: fit, interpolation, pixels, channels. Knows no model and no label."""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np

from models.card import Fit, ImageInput, Interpolation
from models.pixels import PIXEL_RANGES, ChannelOrder, PixelRange, PixelScaling, channel_order_of, pixel_range_of
from models.preprocessing import Pixels
from models.specification import Facts
from service.check.pictures import Resizing, resizing_of

_ORDERS: tuple[ChannelOrder, ...] = ("rgb", "bgr")


def fits_to_try(assumed: ImageInput, options: Facts) -> list[ImageInput]:
    """What is assumed first, then other fits; none of them where an option says which, or the model cuts out itself."""
    return _with_others("fit", get_args(Fit), assumed, options)


def interpolations_to_try(assumed: ImageInput, options: Facts) -> list[ImageInput]:
    """The same of interpolations."""
    return _with_others("interpolation", get_args(Interpolation), assumed, options)


def that_differ(inputs: Sequence[ImageInput], pixels: Mapping[Resizing, Pixels]) -> list[ImageInput]:
    """The first of `inputs`, and those that make other pixels of the pictures."""
    first = pixels[resizing_of(inputs[0])]
    return [inputs[0], *(one for one in inputs[1:] if not np.array_equal(pixels[resizing_of(one)], first))]


def inputs_to_try(assumed: ImageInput, options: Facts, fits: Sequence[Fit]) -> list[ImageInput]:
    """Every combination, what is assumed first. What the options say is in all of them."""
    pixels = list(dict.fromkeys(_pixels(assumed, options)))
    tried = [
        assumed.model_copy(update={"fit": fit, "scale": one.scale, "offset": one.offset, "channel_order": order})
        for fit in fits
        for one in pixels
        for order in _orders(assumed, options, one)
    ]
    return [assumed, *(one for one in dict.fromkeys(tried) if one != assumed)]


def pixels_of(taken: ImageInput) -> PixelRange | str:
    """The word for how pixels are scaled, or numbers where there is none."""
    return pixel_range_of(taken.scale, taken.offset)


def _with_others(field: str, words: Sequence[str], assumed: ImageInput, options: Facts) -> list[ImageInput]:
    """`assumed`, and it with each other of `words` in `field`, where that is open."""
    if getattr(options, field) is not None or assumed.preparation != "resize":
        return [assumed]
    return [assumed, *(assumed.model_copy(update={field: word}) for word in words if word != getattr(assumed, field))]


def _pixels(assumed: ImageInput, options: Facts) -> Iterator[PixelScaling]:
    own = pixels_of(assumed)
    # Just as the card has it, which may be another float than the word's.
    yield PixelScaling(assumed.scale, assumed.offset, channel_order_of(own))
    if options.scale is None:
        yield from (
            one
            for word, one in PIXEL_RANGES.items()
            if word != own and not (assumed.channels == 1 and isinstance(one.offset, tuple))
        )


def _orders(assumed: ImageInput, options: Facts, pixels: PixelScaling) -> list[ChannelOrder]:
    if assumed.channels == 1:
        return [assumed.channel_order]
    orders = (assumed.channel_order,) if options.channel_order else _ORDERS
    return [order for order in orders if pixels.channel_order in (None, order)]

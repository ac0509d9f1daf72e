"""The ways to prepare an image that are tried: fit, pixels, order of the channels. Knows no model and no label."""

from collections.abc import Iterator, Mapping

import numpy as np

from models.card import Fit, ImageInput
from models.pixels import PIXEL_RANGES, ChannelOrder, PixelRange, PixelScaling, channel_order_of, pixel_range_of
from models.preprocessing import Pixels
from models.specification import Facts

_FITS: tuple[Fit, ...] = ("stretch", "crop", "pad")
_ORDERS: tuple[ChannelOrder, ...] = ("rgb", "bgr")


def fits_to_try(assumed: ImageInput, options: Facts) -> tuple[Fit, ...]:
    """What is assumed first, then the others; none of them where an option says which, or the model cuts out itself."""
    if options.fit is not None or assumed.preparation != "resize":
        return (assumed.fit,)
    return (assumed.fit, *(fit for fit in _FITS if fit != assumed.fit))


def fits_that_differ(pixels: Mapping[Fit, Pixels], assumed: Fit) -> tuple[Fit, ...]:
    """Of pictures in the model's own proportions, each fit makes the same: only what is assumed is left then."""
    first = pixels[assumed]
    return (assumed, *(fit for fit, one in pixels.items() if fit != assumed and not np.array_equal(one, first)))


def inputs_to_try(assumed: ImageInput, options: Facts, fits: tuple[Fit, ...]) -> list[ImageInput]:
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

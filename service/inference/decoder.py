"""From an encoded image to the model's pixels, without holding up the event loop. Knows no HTTP and no Keras."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from models.card import ImageInput
from models.preprocessing import Pixels, PreparationChoice, Seen, look, open_image, plain_pixels
from service.errors import DeadlineExceeded, MalformedRequest, Overloaded

Value = TypeVar("Value")

# Up to about this size, decoding takes less time than handing the work to a thread and back.
SMALL_IMAGE_PIXELS = 128 * 128
# Each decoder at work holds one decoded image of up to max_pixels, each image that waits its encoded bytes.
DECODERS = 2
MOST_WAITING = 32


class Decoder:
    """Decodes small images at once and large ones on a thread, a bounded number at a time."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._limiter = CapacityLimiter(DECODERS)

    async def pixels(
        self, content: bytes, wanted: ImageInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> Pixels:
        """One image as the model sees it, uint8 (height, width, channels).

        `deadline` is a time of `time.monotonic()`. Raises ImageError, MalformedRequest where there are no bytes,
        Overloaded where too many large images wait, or DeadlineExceeded where one waits too long.
        """
        pixels = plain_pixels(content, wanted)
        return pixels if pixels is not None else (await self.seen(content, wanted, deadline, preparation)).pixels

    async def seen(
        self, content: bytes, wanted: ImageInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> Seen:
        """One image as the model and as a person sees it. Raises as `pixels` does."""
        if not content:
            raise MalformedRequest("the image is empty: 0 bytes arrived")
        image = open_image(content, self._max_pixels)
        if image.width * image.height <= SMALL_IMAGE_PIXELS:
            return look(image, wanted, preparation)
        return await self.on_a_thread(partial(look, image, wanted, preparation), deadline)

    async def on_a_thread(self, decode: Callable[[], Value], deadline: float) -> Value:
        """What `decode` returns or raises: as long a work as decoding a large image, and bounded with those.

        Raises Overloaded and DeadlineExceeded as `pixels` does.
        """
        if self._limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} large images wait to be decoded; send the request again later")
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await to_thread.run_sync(decode, limiter=self._limiter)
        except TimeoutError:
            raise DeadlineExceeded("the image was not decoded in time; send it again later, or a smaller one") from None

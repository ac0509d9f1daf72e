"""Encoded image → the model's pixels, without holding up the event loop. Knows no HTTP and no engine."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from models.card import ImageInput
from models.decoding import open_image
from models.preprocessing import Pixels, PreparationChoice, PreparedImage, plain_pixels, prepare
from service.errors import DeadlineExceeded, Overloaded

Value = TypeVar("Value")

# Up to about this size, decoding takes less time than handing the work to a thread and back.
SMALL_IMAGE_PIXELS = 128 * 128
# Each decoder at work holds one decoded image of up to max_pixels, each image that waits its encoded bytes.
DECODERS = 2
MOST_WAITING = 32


class Decoder:
    """Decodes small images at once and large ones on a thread, a bounded number at a time."""

    def __init__(self, max_pixels: int) -> None:
        """Images of more than `max_pixels`, width times height, are refused."""
        self._max_pixels = max_pixels
        self._limiter = CapacityLimiter(DECODERS)

    async def pixels(
        self, content: bytes, wanted: ImageInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> Pixels:
        """One image as the model sees it, uint8 (height, width, channels).

        `deadline` is a time of `time.monotonic()`. Raises ImageError, Overloaded where too many large images wait, or
        DeadlineExceeded where one waits too long.
        """
        pixels = plain_pixels(content, wanted)
        return pixels if pixels is not None else (await self.prepared(content, wanted, deadline, preparation)).pixels

    async def prepared(
        self, content: bytes, wanted: ImageInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> PreparedImage:
        """One image as the model and as a person sees it. Raises as `pixels` does."""
        image = open_image(content, self._max_pixels)
        if image.width * image.height <= SMALL_IMAGE_PIXELS:
            return prepare(image, wanted, preparation)
        return await self.on_a_thread(partial(prepare, image, wanted, preparation), deadline)

    async def on_a_thread(self, work: Callable[[], Value], deadline: float) -> Value:
        """What `work` returns or raises: as long as decoding a large image, and bounded together with that.

        Raises Overloaded and DeadlineExceeded as `pixels` does.
        """
        if self._limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} large images wait to be decoded; send the request again later")
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await to_thread.run_sync(work, limiter=self._limiter)
        except TimeoutError:
            raise DeadlineExceeded("the image was not decoded in time; send it again later, or a smaller one") from None

"""From an encoded picture to the network's pixels, without holding up the event loop. Knows no HTTP and no Keras."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from models.card import PictureInput
from models.preprocessing import Pixels, PreparationChoice, Seen, look, open_picture, plain_pixels
from service.errors import DeadlineExceeded, MalformedRequest, Overloaded

Value = TypeVar("Value")

# Up to about this size, decoding takes less time than handing the work to a thread and back.
SMALL_PICTURE_PIXELS = 128 * 128
# Each decoder at work holds one decoded picture of up to max_pixels, each picture that waits its encoded bytes.
DECODERS = 2
MOST_WAITING = 32


class Decoder:
    """Decodes small pictures at once and large ones on a thread, a bounded number at a time."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._limiter = CapacityLimiter(DECODERS)

    async def pixels(
        self, content: bytes, wanted: PictureInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> Pixels:
        """One picture as the network sees it, uint8 (height, width, channels).

        `deadline` is a time of `time.monotonic()`. Raises PictureError, MalformedRequest where there are no bytes,
        Overloaded where too many large pictures wait, or DeadlineExceeded where one waits too long.
        """
        pixels = plain_pixels(content, wanted)
        return pixels if pixels is not None else (await self.seen(content, wanted, deadline, preparation)).pixels

    async def seen(
        self, content: bytes, wanted: PictureInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> Seen:
        """One picture as the network and as a person sees it. Raises as `pixels` does."""
        if not content:
            raise MalformedRequest("the picture is empty: 0 bytes arrived")
        picture = open_picture(content, self._max_pixels)
        if picture.width * picture.height <= SMALL_PICTURE_PIXELS:
            return look(picture, wanted, preparation)
        return await self.on_a_thread(partial(look, picture, wanted, preparation), deadline)

    async def on_a_thread(self, decode: Callable[[], Value], deadline: float) -> Value:
        """What `decode` returns or raises: as long a work as decoding a large picture, and bounded with those.

        Raises Overloaded and DeadlineExceeded as `pixels` does.
        """
        if self._limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} large pictures wait to be decoded; send the request again later")
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await to_thread.run_sync(decode, limiter=self._limiter)
        except TimeoutError:
            raise DeadlineExceeded(
                "the picture was not decoded in time; send it again later, or a smaller one"
            ) from None

"""Encoded image → the model's pixels, without holding up the event loop. Knows no HTTP and no engine."""

from functools import partial

from models.card import ImageInput
from models.decoding import open_image
from models.preprocessing import Pixels, PreparationChoice, PreparedImage, plain_pixels, prepare
from service.inference.thread_pool import ThreadPool

# Up to about this size, decoding takes less time than handing the work to a thread and back.
SMALL_IMAGE_PIXELS = 128 * 128


class Decoder:
    """Decodes small images at once and large ones on a thread."""

    def __init__(self, max_pixels: int, threads: ThreadPool) -> None:
        """Images of more than `max_pixels`, width times height, are refused."""
        self._max_pixels = max_pixels
        self._threads = threads

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
        return await self._threads.run(partial(prepare, image, wanted, preparation), deadline)

"""Encoded image → the model's pixels, without holding up the event loop. Knows no HTTP and no engine."""

import math
from typing import cast

from PIL import Image

from models.card import ImageInput
from models.decoding import open_scanned, scanned
from models.image_formats import format_of
from models.preprocessing import Pixels, PreparationChoice, PreparedImage, plain_pixels, prepare
from service.inference.decoding_messages import Question
from service.inference.decoding_processes import PROCESSES, DecodingProcesses
from service.inference.waiting_bytes import WaitingBytes

# Up to about this size, decoding takes less time than handing the work to a process and back. In so many bytes nothing
# that these formats can say takes long: decoders of others are slow, or run threads of their own.
SMALL_IMAGE_PIXELS = 128 * 128
SMALL_IMAGE_BYTES = 64 << 10
_SMALL_FORMATS = frozenset(("PNG", "JPEG", "GIF", "WEBP"))
_FEW_SCANS = 20
# A product in front of something that is not plain takes 10 µs a pixel to be told from it (`models.segmentation`).
_SMALL_PHOTO_PIXELS = 48 * 48


class Decoder:
    """Decodes small images at once and all others in processes that can be ended."""

    def __init__(self, max_pixels: int, most_waiting: int, waiting: WaitingBytes, processes: int = PROCESSES) -> None:
        """Images of more than `max_pixels`, width times height, are refused; at most `most_waiting` wait."""
        self._max_pixels = max_pixels
        self._processes = DecodingProcesses(max_pixels, most_waiting, waiting, processes=processes)

    def start(self) -> None:
        """Start the processes, in the background; without it the first large image has to wait for them."""
        self._processes.start()

    async def close(self) -> None:
        """End the processes, whatever they are at."""
        await self._processes.close()

    def at_once(self, content: bytes, wanted: ImageInput, preparation: PreparationChoice = "auto") -> Pixels | None:
        """As `pixels`, but None for an image that could take long. Raises ImageError."""
        pixels = plain_pixels(content, wanted)
        if pixels is None and (image := self._small(content, _few_pixels(wanted, preparation))):
            return prepare(image, wanted, preparation).pixels
        return pixels

    async def pixels(
        self, content: bytes, wanted: ImageInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> Pixels:
        """One image as the model sees it, uint8 (height, width, channels), decoded in a process.

        `deadline` is a time of `time.monotonic()`; by then, or where the caller is cancelled, the work is ended. Raises
        ImageError, Overloaded where too many images wait, DeadlineExceeded, or Unavailable where no process can be had.
        """
        question = Question(content, wanted, preparation, shown=False)
        return (await self._processes.decode(question, deadline)).pixels

    async def prepared(
        self, content: bytes, wanted: ImageInput, deadline: float, preparation: PreparationChoice = "auto"
    ) -> PreparedImage:
        """One image, small or not, as the model and as a person sees it. Raises as `pixels` does."""
        if image := self._small(content, _few_pixels(wanted, preparation)):
            return prepare(image, wanted, preparation)
        question = Question(content, wanted, preparation, shown=True)
        pixels, upright, frame = await self._processes.decode(question, deadline)
        return PreparedImage(pixels, cast("Image.Image", upright), frame)

    def _small(self, content: bytes, most_pixels: int) -> Image.Image | None:
        """An image that is cheap to decode and to prepare for certain, opened. Raises ImageError."""
        if content and (format_of(content) not in _SMALL_FORMATS or len(content) > SMALL_IMAGE_BYTES):
            return None
        found = scanned(content)
        if found.size is None or math.prod(found.size) > most_pixels or found.scans > _FEW_SCANS:
            return None
        image = open_scanned(found, self._max_pixels)
        return image if math.prod(image.size) <= most_pixels else None  # a damaged head may tell two sizes


def _few_pixels(wanted: ImageInput, preparation: PreparationChoice) -> int:
    product = wanted.preparation == "product-photo" and preparation == "auto"
    return _SMALL_PHOTO_PIXELS if product else SMALL_IMAGE_PIXELS

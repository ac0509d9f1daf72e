"""From an encoded picture to the network's input, without holding up the event loop. Knows no HTTP and no Keras."""

from anyio import CapacityLimiter, to_thread
from PIL import Image

from models.card import PictureInput
from models.picture import NetworkInput, open_picture, prepare, scaled

# Up to about this size, decoding takes less time than handing the work to a thread and back.
SMALL_PICTURE_PIXELS = 128 * 128
# Each decoder at work holds one decoded picture of up to max_pixels.
DECODERS = 2


class Decoder:
    """Decodes small pictures at once and large ones on a thread, a bounded number at a time."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._limiter = CapacityLimiter(DECODERS)

    async def network_input(self, content: bytes, wanted: PictureInput) -> NetworkInput:
        """One picture as float32 (height, width, channels). Raises PictureError."""
        picture = open_picture(content, self._max_pixels)
        if picture.width * picture.height <= SMALL_PICTURE_PIXELS:
            return _decode(picture, wanted)
        return await to_thread.run_sync(_decode, picture, wanted, limiter=self._limiter)


def _decode(picture: Image.Image, wanted: PictureInput) -> NetworkInput:
    return scaled(prepare(picture, wanted), wanted)

"""What a worker and its decoding processes tell each other, byte by byte. Knows no decoder and no asyncio.

Each message is a head of fixed size and the bytes that it announces. Nothing is unpickled: a decoder that an image took
over can tell the worker wrong pixels, and no more than that.
"""

import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from models.card import ImageInput
from models.image_errors import BrokenImage, EmptyImage, ImageError, TooComplex, TooManyPixels, UnknownFormat
from models.preprocessing import Pixels, PreparationChoice, PreparedImage
from models.product_photo import Frame

READY = b"+"

# Bytes of the card's JSON and of the image; whether it is prepared as the card says; whether it is shown to a person.
QUESTION_HEAD = struct.Struct("<IQ??")
# The kind; height, width and channels of the pixels; width, height and channels of the upright image; the frame. Of a
# refusal, the first number is the length of its text.
ANSWER_HEAD = struct.Struct("<B6I4d")
_REFUSALS: dict[int, type[ImageError]] = dict(
    enumerate((EmptyImage, UnknownFormat, BrokenImage, TooManyPixels, TooComplex), start=1)
)
_PREPARED = 0
_MOST_TEXT_BYTES = 10_000
_MODES = {1: "L", 3: "RGB"}
_MOST_UPRIGHT_EDGE = 4096


class ImpossibleAnswer(Exception):
    """It is no answer to the question: an image took the decoder over, or the decoder failed in its memory."""


class Question(NamedTuple):
    """An encoded image and how it is to be prepared; `shown` where a person is to see it, too."""

    content: bytes
    wanted: ImageInput
    preparation: PreparationChoice
    shown: bool

    def packed(self) -> tuple[bytes, bytes]:
        """Its head with the card, and the image."""
        card = self.wanted.model_dump_json().encode()
        return QUESTION_HEAD.pack(len(card), len(self.content), self.preparation == "auto", self.shown) + card, (
            self.content
        )


class Answer(NamedTuple):
    """An image as the model sees it, and, where a person is to see it, upright; `frame` is what `pixels` show of it."""

    pixels: Pixels
    upright: Image.Image | None
    frame: Frame


class AnswerHead(NamedTuple):
    """What the head of an answer says, found possible."""

    refusal: type[ImageError] | None
    pixels: tuple[int, int, int]
    upright: tuple[int, int, int]
    frame: Frame

    @classmethod
    def read(cls, head: bytes, question: Question) -> "AnswerHead":
        """Of ANSWER_HEAD.size bytes. Raises ImpossibleAnswer where they are none to `question`."""
        kind, *numbers = ANSWER_HEAD.unpack(head)
        (height, width, channels), (across, down, bands) = numbers[:3], numbers[3:6]
        read = cls(_REFUSALS.get(kind), (height, width, channels), (across, down, bands), Frame(*numbers[6:]))
        wanted = question.wanted
        if read.refusal:
            possible = height <= _MOST_TEXT_BYTES
        else:
            possible = kind == _PREPARED and read.pixels == (wanted.height, wanted.width, wanted.channels)
            edge = max(_MOST_UPRIGHT_EDGE, 2 * wanted.height, 2 * wanted.width)
            possible &= (
                0 < min(across, down) <= max(across, down) <= edge and bands in _MODES
                if question.shown
                else (read.upright == (0, 0, 0))
            )
        if not possible:
            raise ImpossibleAnswer(head)
        return read

    @property
    def size(self) -> int:
        """How many bytes follow."""
        return self.pixels[0] if self.refusal else int(np.prod(self.pixels) + np.prod(self.upright))

    def answer(self, body: bytes) -> Answer:
        """What the answer with that `body` says. Raises the ImageError that it is, if it is one."""
        if self.refusal:
            raise self.refusal(body.decode("utf-8", "replace"))
        end = int(np.prod(self.pixels))
        width, height, bands = self.upright
        upright = Image.frombytes(_MODES[bands], (width, height), body[end:]) if bands else None
        return Answer(np.frombuffer(body, np.uint8, end).reshape(self.pixels), upright, self.frame)


def packed_answer(prepared: PreparedImage, *, shown: bool) -> bytes:
    """The message that tells `prepared`; of the upright image only where that is `shown`."""
    upright = prepared.upright
    size = (*upright.size, len(upright.getbands())) if shown else (0, 0, 0)
    head = ANSWER_HEAD.pack(_PREPARED, *prepared.pixels.shape, *size, *prepared.frame)
    return b"".join((head, prepared.pixels.tobytes(), upright.tobytes() if shown else b""))


def packed_refusal(error: ImageError) -> bytes:
    """The message that tells `error`."""
    text = str(error).encode()[:_MOST_TEXT_BYTES]
    (kind,) = (kind for kind, refusal in _REFUSALS.items() if type(error) is refusal)
    return ANSWER_HEAD.pack(kind, len(text), *[0] * 9) + text

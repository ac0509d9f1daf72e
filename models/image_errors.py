"""What can be wrong with an image, for whoever sent it. Knows no format and no HTTP."""

from typing import ClassVar


class ImageError(ValueError):
    """An image that cannot be used. The text says what arrived and what is expected.

    ImageError
      ├─ EmptyImage      there are no bytes
      ├─ UnknownFormat   the first bytes are of no format that is read
      ├─ BrokenImage     the format is known, the content cannot be decoded
      ├─ TooManyPixels   width × height is over the limit
      └─ TooComplex      it consists of too much, or takes too much time or memory to be decoded
    """

    code: ClassVar[str] = "broken_image"
    position = 0
    """Which of several images it is, 0 for the first; set by whoever decodes several."""


class EmptyImage(ImageError):
    """There are no bytes."""

    code = "empty_image"


class UnknownFormat(ImageError):
    """The first bytes are of no format that is read."""

    code = "unknown_format"


class BrokenImage(ImageError):
    """The format is known, but the content cannot be decoded."""

    code = "broken_image"


class TooManyPixels(ImageError):
    """Width times height is over the limit."""

    code = "too_many_pixels"


class TooComplex(ImageError):
    """It consists of more parts than images do, or takes more time or memory to be decoded than it is given."""

    code = "too_complex"

"""Which format an encoded image has, by its first bytes. Knows no decoder, and of what is not read only its name."""

import re
from importlib.util import find_spec

from PIL import features

from models.heif_scan import is_avif, is_heic
from models.image_errors import UnknownFormat

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# What each format that is read begins with. Pillow's own list is longer; what is left out never reaches a parser.
_READ = {
    "PNG": re.compile(PNG_SIGNATURE),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "AVIF": re.compile(rb"....ftyp", re.DOTALL),
    "HEIF": re.compile(rb"....ftyp", re.DOTALL),
    "TIFF": re.compile(rb"II\*\0|MM\0\*"),
}
_BRANDED = {"AVIF": is_avif, "HEIF": is_heic}
if not features.check("avif"):
    del _READ["AVIF"]  # this build of Pillow cannot decode it
if not find_spec("pillow_heif"):
    del _READ["HEIF"]  # left out where its licence, the GPL, does not suit
FORMATS = tuple(_READ)
# What stands further behind says nothing of the format any more.
_MOST_BYTES = 2_000
_FOREIGN = tuple(
    (re.compile(begin, re.DOTALL | re.IGNORECASE), name, advice)
    for begin, name, advice in (
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL", "save it as JPEG or PNG"),
        (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", "JPEG 2000", "save it as JPEG or PNG"),
        (rb"8BPS", "a Photoshop file", "export it as JPEG or PNG"),
        (rb"%PDF", "a PDF", "save its page as PNG"),
        (rb"FUJIFILMCCD|IIR[OS]|MMOR|IIU\0|....ftypcrx", "a camera's RAW", "develop it, or send its JPEG"),
        (rb"II\+\0|MM\0\+", "a BigTIFF", "save it as PNG, or as a plain TIFF"),
        (rb"....ftyp(?:avi[fs]|hei|hev)", "AVIF or HEIC, which this installation cannot decode", "save it as JPEG"),
        (rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", "a video", "send one frame of it as JPEG or PNG"),
        (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf", "an archive", "unpack it, and send the images in it"),
        (rb"\s*(?:<\?xml.{,1000}|<!--.{,1000}|)<svg", "SVG", "save it as PNG"),
        (rb"\s*<(?:!DOCTYPE html|html|head|body)", "a page of HTML", "send the image that it shows"),
        (rb"data:image/", "the text of a data URL", "send the bytes that it encodes"),
    )
)


def format_of(content: bytes) -> str:
    """The name of the format of an encoded image, from its first bytes alone.

    Raises UnknownFormat, which names some formats that are not read, and says what to do.
    """
    for form, begin in _READ.items():
        if begin.match(content) and (form not in _BRANDED or _BRANDED[form](content)):
            return form
    known = f"an image in a format that is read here: {', '.join(FORMATS)}"
    for begin, name, advice in _FOREIGN:
        if begin.match(content[:_MOST_BYTES]):
            raise UnknownFormat(f"the content is {name}, not {known}; {advice}")
    raise UnknownFormat(f"the content is not {known}")

"""From the body of a request to encoded images: as it is, in a multipart form, or as base64 in JSON.

Knows no call and no model. What a body is, its content decides before its declared type: many programs declare none,
or that of something else. `parameters` are everywhere the names that the call reads from the address: a field of a
form that has one of them is refused, so that it is not silently without effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from models.image_errors import UnknownFormat
from models.image_formats import format_of
from models.printable import printable
from service.errors import MalformedRequest, UnsupportedMediaType
from service.http.base64_text import decode_base64
from service.http.first_bytes import CURL_D, describe
from service.http.json_bodies import JsonBounds, kind_of, parse_json
from service.http.multipart import Part, read_form

_FORM = "multipart/form-data"
# Pages and programs send a few fields of their own beside the images; they are read and left alone.
_MOST_OTHER_FIELDS = 16
_MOST_NAMED = 5
_LONGEST_VALUE = 40
# Every image has one, most within their first bytes; a text that begins as one of them, such as BMW, has none.
_ZERO = b"\0"
_ONE = 'send the image as the body, as multipart field \'file\', or as JSON {"image": "<base64>"}'
_MANY = 'send the images as multipart fields \'files\', or as JSON {"images": ["<base64>"]}'


@dataclass(frozen=True)
class UploadedFile:
    """One file of a request: the name it was sent under, or what stands for it, and its bytes."""

    name: str
    content: bytes


class SentImages(NamedTuple):
    """The images of a request, at least one; and whether they were sent as a list, which may have just one."""

    files: list[UploadedFile]
    listed: bool


def image_in(body: bytes, content_type: str, parameters: Iterable[str] = ()) -> bytes:
    """The one encoded image in `body`, which was declared as `content_type`.

    Raises MalformedRequest where there is none or more than one, and UnsupportedMediaType for a body of another kind.
    """
    if body.startswith(b"--") and _media_type(content_type) == _FORM:
        return _image_of_form(body, content_type, parameters)
    try:
        format_of(body)
    except UnknownFormat as error:
        if not body:
            raise MalformedRequest(f"the request has no image: its body has 0 bytes; {_ONE}") from None
        media_type = _media_type(content_type)
        if media_type == _FORM:
            return _image_of_form(body, content_type, parameters)
        if is_json(body, content_type):
            return _single(_object_of_json(body, JsonBounds(), _ONE))
        raise UnsupportedMediaType(f"{error}; {_what_arrived(body, media_type, _ONE)}") from None
    if _ZERO not in body:
        raise MalformedRequest(f"the image lost line ends and zero bytes on its way; {CURL_D}")
    return body


def images_in(body: bytes, content_type: str, max_images: int, parameters: Iterable[str] = ()) -> list[UploadedFile]:
    """The encoded images in `body`, at least one, in the order in which they were sent.

    Raises MalformedRequest, also for more than `max_images`, and UnsupportedMediaType for a body of another kind.
    """
    media_type = _media_type(content_type)
    if media_type == _FORM:
        return _uploaded(_parts_of_form(body, content_type, max_images, parameters))
    if is_json(body, content_type):
        return _listed(_object_of_json(body, _bounds(max_images), _MANY), max_images)
    if is_image(body):
        raise UnsupportedMediaType(f"the body is one image, as /predict takes it; {_MANY}")
    raise UnsupportedMediaType(f"the body is not {_FORM}; {_what_arrived(body, media_type, _MANY)}")


def one_or_more_in(body: bytes, content_type: str, max_images: int, parameters: Iterable[str] = ()) -> SentImages:
    """What `image_in` or `images_in` finds in `body`, whichever takes it. Raises as they do."""
    if not is_image(body):
        if _media_type(content_type) == _FORM:
            parts = _parts_of_form(body, content_type, max_images, parameters)
            return SentImages(_uploaded(parts), listed=len(parts) > 1 or parts[0].name.startswith("files"))
        if is_json(body, content_type):
            given = _object_of_json(body, _bounds(max_images), f"{_ONE}; or {_MANY}")
            if "images" in given:
                return SentImages(_listed(given, max_images), listed=True)
            return SentImages([UploadedFile("image", _single(given))], listed=False)
    return SentImages([UploadedFile("body", image_in(body, content_type))], listed=False)


def is_json(body: bytes, content_type: str) -> bool:
    """Whether `body`, which was declared as `content_type`, is to be read as JSON."""
    media_type = _media_type(content_type)
    if media_type.endswith(("/json", "+json")):
        return True
    # Others begin neither with a bracket nor with a byte order mark.
    return media_type != _FORM and body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))


def _image_of_form(body: bytes, content_type: str, parameters: Iterable[str]) -> bytes:
    files = _files(body, content_type, "file", 1, parameters)
    files = [part for part in files if part.name == "file"] or files
    if len(files) > 1:
        raise MalformedRequest(f"the form has {_named(files)}; expected one, in the field 'file'")
    return files[0].content


def _parts_of_form(body: bytes, content_type: str, max_images: int, parameters: Iterable[str]) -> list[Part]:
    files = _files(body, content_type, "files", max_images, parameters)
    if len(files) > max_images:
        raise MalformedRequest(f"the form has {_named(files)}; expected at most {max_images}")
    return files


def _uploaded(parts: list[Part]) -> list[UploadedFile]:
    return [UploadedFile(part.filename or part.name, part.content) for part in parts]


def _files(body: bytes, content_type: str, field: str, max_files: int, parameters: Iterable[str]) -> list[Part]:
    """All files of the form, because programs name fields as they like; `field` is the name that is advised."""
    parts = read_form(content_type, body, max_files + _MOST_OTHER_FIELDS)
    files = [part for part in parts if _is_file(part)]
    if len(files) < len(parts):
        texts = {part.name: part.content for part in parts if not _is_file(part)}
        for name in parameters:
            if name in texts:
                value = texts[name][:_LONGEST_VALUE].decode("utf-8", "replace")
                raise MalformedRequest(
                    f"the form has a field {name!r}, which is a parameter: those go into the address, as "
                    f"?{urlencode({name: value})}"
                )
    if not files:
        found = ", ".join(repr(part.name) for part in parts) or "none"
        raise MalformedRequest(
            f"the form has no file; its fields, which are text: {found:.300}; send the image in a field {field!r} "
            "with a filename"
        )
    return files


def _is_file(part: Part) -> bool:
    if part.filename is not None:
        return bool(part.filename or part.content)  # a page sends neither where no file was chosen
    return part.media_type.startswith("image/") or is_image(part.content)


def is_image(content: bytes) -> bool:
    """Whether `content` is an encoded image, by its first bytes, and has not lost its zero bytes on its way."""
    try:
        return bool(format_of(content)) and _ZERO in content
    except UnknownFormat:
        return False


def _named(files: list[Part]) -> str:
    names = ", ".join(f"{part.name!r:.60}" for part in files[:_MOST_NAMED])
    return f"{len(files)} files, in the fields {names}{', …' if len(files) > _MOST_NAMED else ''}"


def _single(given: dict[str, Any]) -> bytes:
    if given.keys() == {"b64"}:  # as TensorFlow Serving's clients write an image
        return _image_of_value(given, "the body")
    if given.keys() != {"image"}:
        raise _other_keys(given, "image", _ONE)
    return _image_of_value(given["image"], "'image'")


def _bounds(max_images: int) -> JsonBounds:
    beside = JsonBounds()
    return JsonBounds(beside.values + 2 * max_images, beside.lists, beside.names + 2 * max_images)


def _listed(given: dict[str, Any], max_images: int) -> list[UploadedFile]:
    if given.keys() != {"images"}:
        raise _other_keys(given, "images", _MANY)
    values = given["images"]
    if type(values) is not list or not 1 <= len(values) <= max_images:
        found = f"a list of {len(values):,}" if type(values) is list else kind_of(values)
        raise MalformedRequest(f"'images' is {found}, expected a list of 1 to {max_images} images")
    places = (f"images[{place}]" for place in range(len(values)))
    return [UploadedFile(place, _image_of_value(value, place)) for place, value in zip(places, values, strict=False)]


def _object_of_json(body: bytes, bounds: JsonBounds, advice: str) -> dict[str, Any]:
    given = parse_json(body, bounds)
    if type(given) is not dict:
        raise MalformedRequest(f"the body is JSON, {kind_of(given)}; {advice}")
    return given


def _other_keys(given: dict[str, Any], expected: str, advice: str) -> MalformedRequest:
    found = f"{', '.join(map(repr, given)):.200}" or "nothing"
    beside = "; parameters go into the address, as ?top_k=3" if expected in given else ""
    return MalformedRequest(f"the JSON has {found}, expected {expected!r} alone{beside}; {advice}")


def _image_of_value(value: Any, where: str) -> bytes:
    if type(value) is dict and value.keys() == {"b64"}:
        value, where = value["b64"], f"{where}: 'b64'"
    if type(value) is not str:
        raise MalformedRequest(
            f"{where} is {kind_of(value)}, expected base64 text; numbers are read at /v1/models/NAME:predict"
        )
    return decode_base64(value, where)


def _what_arrived(body: bytes, media_type: str, advice: str) -> str:
    return f"it is declared as {printable(media_type)[:80] or 'nothing'} and {describe(body, advice)}"


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()

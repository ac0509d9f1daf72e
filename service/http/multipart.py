"""Reads a multipart form (RFC 7578) into memory. Knows nothing of images."""

from collections.abc import AsyncIterable
from typing import NamedTuple

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import MalformedRequest


class Part(NamedTuple):
    """One field of a form; `filename` is None for a field that is no file."""

    name: str
    filename: str | None
    content: bytes


async def read_form(content_type: str, chunks: AsyncIterable[bytes], max_parts: int) -> list[Part]:
    """The parts of a form whose body comes in `chunks`, which must be bounded. Nothing is written to a disk.

    Raises MalformedRequest, also where there are more than `max_parts`.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise MalformedRequest("the multipart form cannot be read: its Content-Type names no boundary")
    collector = _Collector(max_parts)
    parser = MultipartParser(boundary, collector.callbacks())  # type: ignore[arg-type] # its dictionary needs no keys
    try:
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except MultipartParseError as error:
        raise MalformedRequest(f"the multipart form cannot be read: {error}") from error
    if not collector.ended:
        raise MalformedRequest("the multipart form is cut short: its last boundary is missing")
    return collector.parts


class _Collector:
    """What the parser calls, and what has come of it."""

    def __init__(self, max_parts: int) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._max_parts = max_parts
        self._header_name = self._header_value = self._disposition = b""
        self._content: list[bytes] = []

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._take_header_name,
            "on_header_value": self._take_header_value,
            "on_header_end": self._end_header,
            "on_part_data": self._take_content,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        if len(self.parts) == self._max_parts:
            raise MalformedRequest(f"the multipart form has more than the {self._max_parts} parts that are read")
        self._disposition = b""
        self._content = []

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _take_content(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        filename = options.get(b"filename")
        self.parts.append(
            Part(
                options.get(b"name", b"").decode(errors="replace"),
                None if filename is None else filename.decode(errors="replace"),
                b"".join(self._content),
            )
        )

    def _end(self) -> None:
        self.ended = True

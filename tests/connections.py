"""HTTP over bare asyncio streams: cheap enough for thousands of requests, and exact about what was sent."""

import asyncio
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.processes import Service

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


def as_request(
    content: bytes = b"", path: str = "/predict", content_type: str = "image/png", method: str = "POST", extra: str = ""
) -> bytes:
    """`extra` are further lines of the head, each with its line end."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{extra}"
    if method == "POST":
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    length = headers.get("content-length")
    # Without a length, as of an answer to what is no HTTP, the end of the connection ends it.
    content = await (reader.read() if length is None else reader.readexactly(int(length)))
    return Answer(int(first.split()[1]), headers, content)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, image: bytes) -> Answer:
    writer.write(as_request(image))
    return await read_answer(reader)


async def connect(service: Service) -> Connection:
    return await connect_to(service.url)


async def connect_to(url: str) -> Connection:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


async def close(connection: Connection) -> None:
    """Close it, whatever became of it."""
    _, writer = connection
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return  # the other side was first


def by_class(body: Any) -> list[float]:
    return [entry["probability"] for entry in sorted(body["probabilities"], key=lambda entry: entry["index"])]

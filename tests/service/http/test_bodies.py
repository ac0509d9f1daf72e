"""How a body is read as its pieces come. What slow and endless ones are told is tried on the running service, too."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request

from service.errors import MalformedRequest, Overloaded, RequestTimeout
from service.http.bodies import BodyLimits, read_body, until_disconnected
from service.inference.waiting_bytes import WaitingBytes

GONE = {"type": "http.disconnect"}


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def request_of(messages: Iterable[dict[str, Any]]) -> Request:
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    return Request({"type": "http", "headers": []}, receive)


def read(limits: BodyLimits, *messages: dict[str, Any]) -> bytes:
    return asyncio.run(read_body(request_of(messages), limits))


def test_a_body_is_all_its_pieces() -> None:
    limits = BodyLimits(100, 10, WaitingBytes(1000))
    assert read(limits, piece(b"one "), piece(b""), piece(b"two", more=False)) == b"one two"
    assert limits.waiting.count == 0


def test_an_empty_piece_is_when_the_server_has_waited_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 11.0])
    # The module's name for it alone: the event loop asks for the time, too.
    monkeypatch.setattr("service.http.bodies.time", SimpleNamespace(monotonic=lambda: next(clock)))
    limits = BodyLimits(100, 10, WaitingBytes(1000))
    with pytest.raises(RequestTimeout, match="only 4 bytes of the body came in 11 s"):
        read(limits, piece(b"half"), piece(b""))
    assert limits.waiting.count == 0


def test_a_client_who_leaves_half_way_has_sent_no_request() -> None:
    limits = BodyLimits(100, 10, WaitingBytes(1000))
    with pytest.raises(MalformedRequest, match="left after 4 bytes"):
        read(limits, piece(b"half"), GONE)
    assert limits.waiting.count == 0


def test_no_more_of_unfinished_bodies_is_held_than_may() -> None:
    limits = BodyLimits(100, 10, WaitingBytes(1000))
    limits.waiting.count = limits.waiting.most
    with pytest.raises(Overloaded, match="requests of 1,000 bytes wait already"):
        read(limits, piece(b"x"))
    assert limits.waiting.count == limits.waiting.most


def test_a_client_who_left_is_known_by_the_servers_word_for_it() -> None:
    asyncio.run(until_disconnected(request_of([piece(b"", more=False), GONE])))

"""The renderer draws each picture once and one at a time, and forgets failures."""

import asyncio
import threading

import pytest

from service.insight.render import Renderer


def test_a_picture_is_drawn_once_however_many_ask() -> None:
    drawn: list[int] = []

    def draw() -> bytes:
        drawn.append(threading.get_ident())
        return b"picture"

    async def scenario() -> list[bytes]:
        renderer = Renderer()
        return await asyncio.gather(*(renderer.draw("key", draw) for _ in range(10)))

    assert asyncio.run(scenario()) == [b"picture"] * 10
    assert len(drawn) == 1
    assert drawn[0] != threading.get_ident()


def test_different_pictures_are_never_drawn_at_the_same_time() -> None:
    at_work = 0
    most = 0

    def draw() -> bytes:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        at_work -= 1
        return b""

    async def scenario() -> None:
        renderer = Renderer()
        await asyncio.gather(*(renderer.draw(key, draw) for key in range(20)))

    asyncio.run(scenario())
    assert most == 1


def test_a_failure_is_not_remembered() -> None:
    outcomes = iter([RuntimeError("no"), b"yes"])

    def draw() -> bytes:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def scenario() -> bytes:
        renderer = Renderer()
        with pytest.raises(RuntimeError):
            await renderer.draw("key", draw)
        return await renderer.draw("key", draw)

    assert asyncio.run(scenario()) == b"yes"

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


def test_a_picture_waits_until_the_one_before_is_drawn() -> None:
    begun, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> bytes:
        begun.set()
        go_on.wait()
        order.append("first")
        return b""

    def second() -> bytes:
        order.append("second")
        return b""

    async def scenario() -> None:
        renderer = Renderer()
        tasks = [asyncio.create_task(renderer.draw("first", first))]
        await asyncio.to_thread(begun.wait)
        tasks.append(asyncio.create_task(renderer.draw("second", second)))
        # A thread of its own would have been given the second picture by the time that another one has come and gone.
        await asyncio.to_thread(lambda: None)
        assert order == []
        go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert order == ["first", "second"]


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

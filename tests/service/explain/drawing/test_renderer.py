"""The renderer draws images one at a time, each once if it is to be remembered, and forgets failures."""

import asyncio
import threading

import pytest

from service.errors import Overloaded
from service.explain.drawing.renderer import MOST_WAITING, Renderer


def test_a_image_is_drawn_once_however_many_ask() -> None:
    drawn: list[int] = []

    def draw() -> bytes:
        drawn.append(threading.get_ident())
        return b"image"

    async def scenario() -> list[bytes]:
        renderer = Renderer()
        return await asyncio.gather(*(renderer.draw(draw, "key") for _ in range(10)))

    assert asyncio.run(scenario()) == [b"image"] * 10
    assert len(drawn) == 1
    assert drawn[0] != threading.get_ident()


def test_a_image_waits_until_the_one_before_is_drawn() -> None:
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
        tasks = [asyncio.create_task(renderer.draw(first, "first"))]
        await asyncio.to_thread(begun.wait)
        tasks.append(asyncio.create_task(renderer.draw(second, "second")))
        # A thread of its own would have been given the second image by the time that another one has come and gone.
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
            await renderer.draw(draw, "key")
        return await renderer.draw(draw, "key")

    assert asyncio.run(scenario()) == b"yes"


def test_a_image_without_a_key_is_drawn_each_time() -> None:
    drawn = iter([b"one", b"two"])

    async def scenario() -> list[bytes]:
        renderer = Renderer()
        return [await renderer.draw(lambda: next(drawn)) for _ in range(2)]

    assert asyncio.run(scenario()) == [b"one", b"two"]


def test_no_more_images_wait_than_may() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        begun.set()
        go_on.wait()
        return b"drawn"

    async def scenario() -> list[object]:
        renderer = Renderer()
        tasks = [asyncio.create_task(renderer.draw(slow)) for _ in range(MOST_WAITING + 2)]
        await asyncio.to_thread(begun.wait)
        go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    *drawn, refused = asyncio.run(scenario())
    assert drawn == [b"drawn"] * (MOST_WAITING + 1)
    assert isinstance(refused, Overloaded)

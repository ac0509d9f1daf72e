"""The renderer draws one thing at a time on a thread of its own, and refuses more than may wait."""

import asyncio
import threading

from service.errors import Overloaded
from service.explain.drawing.renderer import MOST_WAITING, Renderer


def test_a_drawing_waits_until_the_one_before_is_made() -> None:
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
        tasks = [asyncio.create_task(renderer.draw(first))]
        await asyncio.to_thread(begun.wait)
        tasks.append(asyncio.create_task(renderer.draw(second)))
        # A thread of its own would have been given the second image by the time that another one has come and gone.
        await asyncio.to_thread(lambda: None)
        assert order == []
        go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())
    assert order == ["first", "second"]


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

"""Long work beside the event loop: never more at once than there are threads, whoever still waits for it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from service.errors import DeadlineExceeded, Overloaded
from service.inference.thread_pool import ThreadPool
from service.logs import REQUEST_ID


def soon() -> float:
    return time.monotonic() + 60


def run(scenario: Callable[[ThreadPool], Awaitable[None]]) -> None:
    async def with_pool() -> None:
        pool = ThreadPool(threads=2, most_waiting=3)
        try:
            await scenario(pool)
        finally:
            pool.close()

    asyncio.run(with_pool())


class Held:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self) -> int:
        self.begun.release()
        self.go_on.wait()
        return threading.get_ident()


async def hold(pool: ThreadPool, held: Held, times: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(pool.run(held, soon())) for _ in range(times)]
    for _ in range(2):
        await asyncio.to_thread(held.begun.acquire)
    return tasks


def test_work_leaves_the_event_loop_and_keeps_the_requests_id() -> None:
    async def scenario(pool: ThreadPool) -> None:
        REQUEST_ID.set("7")
        assert await pool.run(lambda: (REQUEST_ID.get(), threading.get_ident()), soon()) != ("7", threading.get_ident())
        assert await pool.run(REQUEST_ID.get, soon()) == "7"

    run(scenario)


def test_what_work_raises_is_passed_on() -> None:
    async def scenario(pool: ThreadPool) -> None:
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 / 0, soon())
        assert pool.unfinished == 0

    run(scenario)


def test_past_the_threads_and_those_that_wait_it_is_overloaded() -> None:
    async def scenario(pool: ThreadPool) -> None:
        held = Held()
        tasks = await hold(pool, held, 5)
        with pytest.raises(Overloaded, match="3 large requests wait"):
            await pool.run(held, soon())
        held.go_on.set()
        assert len(set(await asyncio.gather(*tasks))) == 2
        assert await pool.run(held, soon())

    run(scenario)


def test_work_that_nobody_waits_for_any_more_keeps_its_thread_until_it_ends() -> None:
    async def scenario(pool: ThreadPool) -> None:
        held = Held()
        tasks = await hold(pool, held, 2)
        with pytest.raises(DeadlineExceeded, match="in time"):
            await pool.run(held, time.monotonic() - 1)
        assert pool.unfinished == 2  # what had not begun is gone
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert pool.unfinished == 2
        waiting = [asyncio.create_task(pool.run(held, soon())) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await pool.run(held, soon())
        held.go_on.set()
        await asyncio.gather(*waiting)

    run(scenario)

"""Several tasks of one kind beside each other. Knows nothing of what they do."""

import asyncio
from collections.abc import Awaitable, Callable


async def together(work: Callable[[], Awaitable[None]], times: int) -> None:
    """Call `work` so many times and wait for all; where one fails the others are cancelled, and its error is raised."""
    tasks = [asyncio.ensure_future(work()) for _ in range(times)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Reads the message of a call within limits of time and memory. Knows no method.

How much of a message has come is not told before all of it is there. So one that takes long is taken to hold as much as
any may, and there are only so many of those.
"""

import asyncio
from typing import Any

import grpc

from service.errors import MalformedRequest, Overloaded, RequestTimeout

# Most messages are there at once. Until then what comes is bounded by the network.
_SOON_S = 1.0


class Receiving:
    """The messages that are on their way to one server."""

    def __init__(self, timeout_s: float, most_slow: int) -> None:
        """Each comes within `timeout_s`; of those that take longer than a second there are `most_slow` at most."""
        self._timeout_s, self._most_slow = timeout_s, most_slow
        self._slow: dict[asyncio.Timeout, None] = {}  # in the order in which they came
        self._given_up: set[asyncio.Timeout] = set()

    async def message(self, context: Any) -> bytes:
        """That of the call. Raises RequestTimeout, Overloaded where it had to make room, or MalformedRequest."""
        timeout = asyncio.timeout(self._timeout_s)
        late = asyncio.get_running_loop().call_later(_SOON_S, self._is_late, timeout)
        try:
            async with timeout:
                content = await context.read()
        except TimeoutError:
            if timeout in self._given_up:
                raise Overloaded(
                    f"{self._most_slow} messages are on their way for longer than {_SOON_S:g} s, as many as have room "
                    "(--max-waiting-bytes); send the request again later, at once"
                ) from None
            raise RequestTimeout(
                f"the message did not come in {self._timeout_s:.0f} s; send it at once, or a smaller image"
            ) from None
        finally:
            late.cancel()
            self._slow.pop(timeout, None)
            self._given_up.discard(timeout)
        if content is grpc.aio.EOF:
            raise MalformedRequest("the call has no message, expected one")
        return bytes(content)

    def _is_late(self, timeout: asyncio.Timeout) -> None:
        self._slow[timeout] = None
        if len(self._slow) > self._most_slow:
            longest = next(iter(self._slow))
            del self._slow[longest]
            self._given_up.add(longest)
            longest.reschedule(asyncio.get_running_loop().time())

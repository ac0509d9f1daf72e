"""Ends a connection so that its client can read the answer, though it still sends. Knows nothing of either.

Where a connection is closed while something comes, the system tells the client at once that it is no more, and the
client loses what it has not read yet.
"""

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable

from service.server.write_coalescing import CoalescedWrites

# As nginx has it: so long at most, and about so long while nothing comes.
MOST_S = 30.0
SILENCE_S = 5.0
# Whoever sends as much is not about to come to an end.
MOST_BYTES = 128 << 20


class LingeringClose(CoalescedWrites):
    """A transport that, once closed, waits for the client to end, too, where that still sends.

    What comes meanwhile is to be given to `discard`. The client has time and bytes within bounds.
    """

    def __init__(
        self,
        transport: Transport,
        loop: AbstractEventLoop,
        still_sends: Callable[[], bool],
        most_s: Callable[[], float],
    ) -> None:
        super().__init__(transport, loop)
        self._still_sends = still_sends
        self._most_s = most_s
        self._came_bytes = self._looked_at_bytes = 0
        self._until = 0.0
        self.lingers = False

    def close(self) -> None:
        """Send what is held, and close: at once, or when the client has ended."""
        if self.lingers:
            return
        if self._transport.is_closing() or not self._still_sends():
            super().close()
            return
        self.lingers = True
        self._send()
        if self._transport.can_write_eof():  # TLS has no such thing; the answer says that the connection ends
            self._transport.write_eof()
        self._transport.resume_reading()
        most_s = min(MOST_S, self._most_s())
        self._until = self._loop.time() + most_s
        self._loop.call_later(min(SILENCE_S, most_s), self._look)

    def is_closing(self) -> bool:
        """Whether it ends. Asked for each answer, for which `__getattr__` takes too long."""
        return self.lingers or self._transport.is_closing()

    def discard(self, size: int) -> None:
        """Count what came of the client since `close`."""
        self._came_bytes += size
        if self._came_bytes > MOST_BYTES:
            self._transport.abort()

    def _look(self) -> None:
        if self._transport.is_closing():
            return
        if self._came_bytes == self._looked_at_bytes or self._loop.time() >= self._until:
            self._transport.abort()
            return
        self._looked_at_bytes = self._came_bytes
        self._loop.call_later(min(SILENCE_S, self._until - self._loop.time()), self._look)

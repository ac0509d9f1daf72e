"""How many clients may be connected at once, and which of them makes room for another. Knows no request.

Past the limit of open files a process accepts nobody, and health probes least of all.
"""

import logging
import time
from typing import Protocol

from service.logs import LOGGER

# What the process needs beside its clients: models, other processes, logs.
RESERVED_FILES = 128
_TELL_EVERY_S = 60.0

log = logging.getLogger(LOGGER)


class Client(Protocol):
    """A connection that can be closed."""

    def let_go(self) -> None:
        """Close it at once."""


class ConnectionLimit:
    """The clients of this process, and those of them that wait: for their first request, or for their next."""

    def __init__(self, most: int) -> None:
        """At most `most`, of which some may be refused all but health."""
        self._most = most
        self._connected: set[Client] = set()
        self._idle: dict[Client, None] = {}  # the one that waits for longest first
        self._let_go = 0
        self._told = float("-inf")

    @property
    def exceeded(self) -> bool:
        """Whether there are more than may be, as none of them was idle."""
        return len(self._connected) > self._most

    def enter(self, client: Client) -> None:
        """Count a new client; where it is one too many, the one that is idle for longest is let go."""
        self._connected.add(client)
        if self.exceeded:
            self._tell()
            if self._idle:
                oldest = next(iter(self._idle))
                self.leave(oldest)
                oldest.let_go()
        self._idle[client] = None

    def begin(self, client: Client) -> None:
        """The client has sent a request."""
        self._idle.pop(client, None)

    def end(self, client: Client) -> None:
        """It was answered."""
        self._idle[client] = None

    def leave(self, client: Client) -> None:
        """It is gone."""
        self._connected.discard(client)
        self._idle.pop(client, None)

    def _tell(self) -> None:
        self._let_go += 1
        if (now := time.monotonic()) - self._told >= _TELL_EVERY_S:
            log.warning(
                "%d clients are connected, as many as may be (--max-connections, open files); for each further one an "
                "idle one is let go, or it is refused: %d since the last such line",
                self._most,
                self._let_go,
            )
            self._told, self._let_go = now, 0


def most_connections(wanted: int) -> int:
    """`wanted`, or as many as the system has open files for, after that limit was raised as far as it goes."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft < needed:
        soft = min(needed, hard) if hard != resource.RLIM_INFINITY else needed
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - RESERVED_FILES))

"""How many connections a process keeps open, and which one goes where a new one has no room. Knows no call.

A process that may open no more files cannot be connected to at all, by those who ask for its health neither. So there
are fewer connections than files, the one that idles longest makes room for a new one, and where none idles there is
some room left for short requests.
"""

import logging
from contextlib import suppress
from typing import Protocol

from service.logs import LOGGER

log = logging.getLogger(LOGGER)

# Connections beyond the limit: each is told so, or asks for the service's health, and is closed.
_SPARE_CONNECTIONS = 64
# What a process has open beside its connections: libraries, model files, temporary files, pipes.
_OTHER_FILES = 192
# Of the limit: below it the connections are taken to be fewer again.
_FEWER_AGAIN = 0.9


class Closable(Protocol):
    """A connection, as far as it matters here."""

    def close_idle(self) -> None:
        """Close it, on which nothing is being answered."""


class ConnectionLimit:
    """The connections of one process. It says in the log when they become too many, and when that is over."""

    def __init__(self, most: int) -> None:
        """There may be `most`, and a few more for a moment."""
        self.most = most
        self._open: set[Closable] = set()
        self._idle: dict[Closable, None] = {}  # in the order in which they came to idle
        self._spare: dict[Closable, None] = {}
        self._had_no_room: int | None = None

    def opened(self, connection: Closable) -> bool:
        """Whether `connection` may ask for anything. If not it may ask for health, or be told that it is one too many.

        May close another one.
        """
        if len(self._open) >= self.most:
            self._count_one_without_room()
            if not self._idle:
                self._spare[connection] = None
                if len(self._spare) > _SPARE_CONNECTIONS:
                    self._close_first(self._spare)
                return False
            self._open.discard(self._close_first(self._idle))
        self._open.add(connection)
        self._idle[connection] = None
        return True

    def busy(self, connection: Closable) -> None:
        """A request has come on it, to be answered now."""
        self._idle.pop(connection, None)

    def idle(self, connection: Closable) -> None:
        """What came is answered."""
        if connection in self._open:
            self._idle[connection] = None

    def closed(self, connection: Closable) -> None:
        """It is no more."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        self._spare.pop(connection, None)
        if self._had_no_room is not None and len(self._open) < _FEWER_AGAIN * self.most:
            log.warning(
                "fewer than %d connections are open again; meanwhile %d had no room", self.most, self._had_no_room
            )
            self._had_no_room = None

    def _count_one_without_room(self) -> None:
        if self._had_no_room is None:
            self._had_no_room = 0
            log.warning(
                "%d connections are open, as many as may; those that idle longest are closed, and where none idles "
                "new ones get 503",
                self.most,
            )
        self._had_no_room += 1

    @staticmethod
    def _close_first(connections: dict[Closable, None]) -> Closable:
        first = next(iter(connections))
        del connections[first]
        first.close_idle()
        return first


def most_connections(wanted: int, ways: int = 1) -> int:
    """So many of `wanted` connections as the system lets a process have by each of so many `ways`.

    It is asked to let the process have more files.
    """
    return _most(wanted * ways) // ways


def _most(wanted: int) -> int:
    # There is no such limit on Windows.
    with suppress(ImportError):
        import resource  # noqa: PLC0415

        needed = wanted + _SPARE_CONNECTIONS + _OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < needed:
            more = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            # A system may have yet another limit, which it does not tell.
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
                soft = more
        if soft != resource.RLIM_INFINITY and soft < needed:
            possible = max(soft - _SPARE_CONNECTIONS - _OTHER_FILES, soft // 4)
            log.warning(
                "each process may open %d files (ulimit -n), which is room for %d connections instead of %d",
                soft,
                possible,
                wanted,
            )
            return possible
    return wanted

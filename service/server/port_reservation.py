"""A port that several processes are to listen at, each by a socket of its own: held for them. Knows no protocol.

The system shares a port between processes that ask for it (SO_REUSEPORT), those of another service too, which would
then get half of the calls without a word. So the port is taken alone first, and opened to the workers then.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from service.server.listening import bind


@contextmanager
def port_reserved(host: str, port: int, option: str) -> Iterator[int]:
    """Hold `port`, or a free one where that is 0, at each address of `host` while this lasts. Raises AddressError."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(held) for held in bind(host, port, _held, option)]
        number: int = sockets[0].getsockname()[1]
        if not hasattr(socket, "SO_REUSEPORT"):  # as on Windows: nobody could listen there beside these
            stack.close()
        yield number


def _held(family: int, address: tuple[object, ...], *, alone: bool) -> socket.socket:
    held = socket.socket(family)
    try:
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if alone else 1)
        try:
            held.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            # It may be but a connection of a service that has ended, which the system remembers for a minute.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(address)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with suppress(AttributeError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        held.close()
        raise
    return held

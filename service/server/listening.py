"""The address that is listened on: taken before anything is loaded, and answered on once all is. Knows no call.

Until then connections are refused, and none waits in vain: whoever probes the service learns that it is not ready.
"""

import asyncio
import errno
import logging
import os
import selectors
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.logs import LOGGER
from service.server.early_end import ending_at_signals
from service.server.unix_socket import bound_file

log = logging.getLogger(LOGGER)

# A family or an address that a name stands for and that this machine does not have; another one may do.
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


# Of the event loop, until a connection that it accepted is among those that are told of the end.
_PASSES_UNTIL_MADE = 3


class AddressError(Exception):
    """Nobody can listen at that address. The text says why, and what to do."""


_called_at_shutdown: list[Callable[[], object]] = []


def on_shutdown(call: Callable[[], object]) -> None:
    """Have `call` called when this process begins to end, before it waits for those who are connected."""
    _called_at_shutdown.append(call)


def bind(
    host: str, port: int, bound: "Callable[..., socket.socket] | None" = None, option: str = "--port"
) -> list[socket.socket]:
    """Sockets that hold the port at each address of `host`, without listening yet. Raises AddressError.

    With port 0 it is a free one, the same at all addresses. `bound` makes each of them; the port is that of `option`.
    """
    bound = bound or _bound
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no name"
        raise AddressError(
            f"--host {host} stands for no address ({reason}); give one of this machine's, or 0.0.0.0 for all of them"
        ) from error
    addresses = list(dict.fromkeys((family, address) for family, *_, address in found))
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, (ip, _, *rest) in addresses:
        try:
            sockets.append(bound(family, (ip, port, *rest), alone=len(addresses) == 1))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise _explained(error, host, port, option) from error
            missing = error
        else:
            port = port or sockets[0].getsockname()[1]
    if missing and not sockets:
        raise _explained(missing, host, port, option) from missing
    return sockets


@contextmanager
def bound(host: str, port: int, uds: Path | None) -> Iterator[list[socket.socket]]:
    """The sockets of `uds`, or else of `host` and `port`, while this lasts. Raises AddressError."""
    if not uds:
        yield bind(host, port)
        return
    with ExitStack() as stack:
        try:
            sockets = [stack.enter_context(bound_file(uds))]
        except OSError as error:
            raise AddressError(_explained_file(error, uds)) from error
        yield sockets


def place_of(host: str, sockets: Sequence[socket.socket], *, tls: bool = False) -> str:
    """Where the service can be asked, as the log says it."""
    if sockets[0].family == getattr(socket, "AF_UNIX", None):
        return f"unix socket {sockets[0].getsockname()}{' (https)' if tls else ''}"
    name = f"[{host}]" if ":" in host else host or "0.0.0.0"  # noqa: S104 - it is only shown
    return f"{'https' if tls else 'http'}://{name}:{sockets[0].getsockname()[1]}"


def announce(place: str) -> None:
    """Say in the log that the service can be asked."""
    log.info("Uvicorn running on %s (Press CTRL+C to quit)", place)


class Server(uvicorn.Server):
    """uvicorn's, which can be ended while the application is loaded, and says in one line if another was faster."""

    def __init__(self, config: uvicorn.Config, place: str | None = None, temporary: Path | None = None) -> None:
        """`place` is announced if given.

        `temporary` is removed where the process is ended so early that it cannot do so itself.
        """
        super().__init__(config)
        self._place = place
        self._temporary = temporary

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        with ending_at_signals(self._temporary):
            self.config.load()
        await super()._serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and start the application. Exits where another program that bound the port listens by now."""
        try:
            for bound in sockets or ():
                bound.listen(self.config.backlog)  # uvloop would go on without a word where it cannot
        except OSError as error:
            log.error("%s", _explained(error, self.config.host, self.config.port))  # noqa: TRY400 - for a person
            sys.exit(STARTUP_FAILURE)
        await super().startup(sockets)
        if self._place:
            announce(self._place)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer those who are connected, and end. A busy loop learns of the end before it accepts who came earlier."""
        for call in _called_at_shutdown:
            call()
        with selectors.DefaultSelector() as waiting:
            for listening in sockets or ():
                waiting.register(listening, selectors.EVENT_READ)
            for _ in range(self.config.backlog):  # the loop accepts one connection in each pass
                await asyncio.sleep(0)
                if not waiting.select(0):
                    break
        for _ in range(_PASSES_UNTIL_MADE):
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def _bound(family: int, address: tuple[object, ...], *, alone: bool) -> socket.socket:
    bound = socket.socket(family)
    try:
        if os.name == "posix":  # elsewhere it would take the port from whoever has it
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` is every address of either kind, unless those of the other kind are bound beside it.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if alone else 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _explained_file(error: OSError, uds: Path) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"another process listens at --uds {uds}; end that, or take another path"
        case errno.EEXIST:
            return f"--uds {uds} is there already, and is no socket; take another path, or remove it"
        case errno.ENOENT | errno.ENOTDIR:
            return f"--uds {uds} is in no folder that there is; make that first"
    return f"--uds {uds} cannot be listened at: {error.strerror or error}; take a shorter path, where you may write"


def _explained(error: OSError, host: str, port: int, option: str = "--port") -> AddressError:
    match error.errno:
        case errno.EADDRINUSE:
            text = f"port {port} of {host} is in use; end what listens there, or take another {option} (0: a free one)"
        case errno.EACCES:
            text = f"port {port} of {host} may not be used without special rights; take a {option} from 1024 on"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            text = f"--host {host} is no address of this machine; give one that is, or 0.0.0.0 for all of them"
        case _:
            text = f"port {port} of {host} cannot be listened on: {error.strerror or error}"
    return AddressError(text)

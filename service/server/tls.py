"""TLS before a connection: the certificate is read before anything is loaded, and nobody shakes hands for long.

A connection counts from the first moment on. uvicorn would not know of one before its handshake is over, for which it
waits a minute. Knows no call.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn, cast

from service.server.connection_limit import ConnectionLimit


class CertificateError(Exception):
    """The certificate or its key cannot be used. The text says why, and what to do."""


@cache
def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """What this service shows to clients: TLS 1.2 or later. Raises CertificateError."""
    for option, path in (("--tls-certificate", certificate), ("--tls-key", key)):
        try:
            if path:
                path.read_bytes()
        except OSError as error:
            raise CertificateError(f"{option} {path} cannot be read: {error.strerror}") from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    where = f"--tls-key {key}" if key else f"--tls-certificate {certificate}"
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except _EncryptedKeyError:
        raise CertificateError(
            f"the key in {where} is encrypted, and nobody is there to give its password; give an unencrypted one, "
            "which others cannot read (openssl pkey -in KEY -out NEW)"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"the key in {where} is not that of the first certificate in {certificate}; give the one it is for"
        else:
            text = (
                f"--tls-certificate {certificate} is no certificate, or there is no key in {where}; both are PEM, with "
                f"lines of -----BEGIN CERTIFICATE and PRIVATE KEY ({error.reason or 'nothing of them is there'})"
            )
        raise CertificateError(text) from error
    return context


class Handshake(asyncio.Protocol):
    """What stands on a connection until its client has shaken hands, for `timeout_s` at most."""

    def __init__(
        self,
        *given: Any,
        files: tuple[Path, Path | None],
        made: Callable[..., asyncio.Protocol],
        limit: ConnectionLimit,
        timeout_s: float,
        **named: Any,
    ) -> None:
        """`made` makes what speaks afterwards, of what else is given. It is one of those that `limit` counts."""
        self._context = tls_context(*files)
        self._limit = limit
        self._timeout_s = timeout_s
        self._make = partial(made, *given, **named)
        self._socket: socket.socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. The loop's own `start_tls` is for connections on which nothing comes before it."""
        own_socket = transport.get_extra_info("socket")
        self._socket = socket.fromfd(own_socket.fileno(), own_socket.family, own_socket.type)
        cast("asyncio.Transport", transport).abort()  # the connection goes on by its second name
        self._limit.opened(self)
        self._task = asyncio.get_running_loop().create_task(self._shake())

    def close_idle(self) -> None:
        """Make room for another connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    async def _shake(self) -> None:
        # What is no TLS, does not come, or leaves is an OSError, as ssl.SSLError is.
        with suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Shaken(self._hand_over),
                self._socket,
                ssl=self._context,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=self._timeout_s,
            )
        self._limit.closed(self)

    def _hand_over(self, encrypted: asyncio.Transport) -> None:
        self._limit.closed(self)  # before the connection is counted, for which this one would make room
        connection = self._make()
        encrypted.set_protocol(connection)
        connection.connection_made(encrypted)


class _Shaken(asyncio.Protocol):
    """What is told by the event loop that hands were shaken."""

    def __init__(self, then: Callable[[asyncio.Transport], None]) -> None:
        self._then = then

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._then(cast("asyncio.Transport", transport))


class _EncryptedKeyError(Exception):
    pass


def _no_password() -> NoReturn:
    raise _EncryptedKeyError

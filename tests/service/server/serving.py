"""Real connections to our protocol within the test's own event loop, around an application of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from service.server.connection import Connection
from service.server.connection_limit import ConnectionLimit
from tests.connections import Connection as ClientConnection
from tests.connections import close


class Serving:
    """What was connected, from either side."""

    def __init__(self) -> None:
        self.protocols: list[Connection] = []
        self._port = 0
        self._clients: list[ClientConnection] = []

    async def connect(self) -> ClientConnection:
        client = await asyncio.open_connection("127.0.0.1", self._port)
        self._clients.append(client)
        return client


@asynccontextmanager
async def serving(app: Any, most: int = 100, receive_timeout_s: float = 10, **options: Any) -> AsyncIterator[Serving]:
    """`options` are uvicorn's."""
    config = uvicorn.Config(app, log_config=None, ws="none", **options)
    config.load()
    here, state, limit = Serving(), ServerState(), ConnectionLimit(most)

    def accept() -> Connection:
        loop = asyncio.get_running_loop()
        given = {"receive_timeout_s": receive_timeout_s, "limit": limit}
        here.protocols.append(Connection(config, state, {}, loop, **given))
        return here.protocols[-1]

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    here._port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        for client in here._clients:
            await close(client)
        server.close()
        await server.wait_closed()

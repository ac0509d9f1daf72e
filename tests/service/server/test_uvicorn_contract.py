"""What `service/server` overrides of uvicorn and relies on in it, which uvicorn promises to nobody.

Where this fails after an upgrade, read `Connection` and `Supervisor` against the new uvicorn before raising its bound.
"""

import asyncio
import inspect
from multiprocessing import connection
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from service.server.connection import Connection
from service.server.listening import Server
from service.server.request_limits import BoundedRequests
from service.server.supervisor import Process as OurProcess
from service.server.supervisor import Supervisor


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers nothing."""


def config() -> uvicorn.Config:
    return uvicorn.Config(nothing, workers=2, timeout_worker_healthcheck=7, log_config=None)


def overridden(ours: type, theirs: type) -> set[str]:
    return {name for name in vars(ours) if not name.startswith("_") and name in dir(theirs)}


def test_what_is_overridden_is_there_and_takes_the_same() -> None:
    assert overridden(BoundedRequests, HttpToolsProtocol) == {
        "connection_made", "data_received", "eof_received", "shutdown",
        "on_message_begin", "on_headers_complete", "on_body", "on_message_complete", "on_response_complete",
    }  # fmt: skip
    assert overridden(Connection, HttpToolsProtocol) == {
        "connection_made", "connection_lost", "eof_received", "on_headers_complete", "on_response_complete",
    }  # fmt: skip
    assert overridden(Supervisor, Multiprocess) == {
        "init_processes", "keep_subprocess_alive", "terminate_all", "join_all", "handle_hup",
    }  # fmt: skip
    assert overridden(Server, uvicorn.Server) == {"startup", "shutdown"}
    assert list(inspect.signature(uvicorn.Server._serve).parameters) == ["self", "sockets"]
    assert overridden(OurProcess, Process) == {"server"}
    for ours, theirs in (
        (BoundedRequests, HttpToolsProtocol),
        (Connection, HttpToolsProtocol),
        (Supervisor, Multiprocess),
        (Server, uvicorn.Server),
    ):
        for name in overridden(ours, theirs):
            own, other = (inspect.signature(getattr(kind, name)).parameters for kind in (ours, theirs))
            assert list(own) == list(other), name


def test_a_connection_has_what_ours_looks_at() -> None:
    async def scenario() -> None:
        protocol = HttpToolsProtocol(config(), ServerState(), {}, asyncio.get_running_loop())
        assert protocol.cycle is None
        assert len(protocol.pipeline) == 0
        assert protocol.loop is asyncio.get_running_loop()
        assert hasattr(protocol, "transport")
        assert {
            "response_complete", "response_started", "disconnected", "keep_alive", "message_event",
        } <= set(RequestResponseCycle.__init__.__code__.co_names)  # fmt: skip
        assert protocol.flow is None  # made by connection_made, as ours is
        assert callable(protocol._unset_keepalive_if_required)

    asyncio.run(scenario())


def test_requests_that_wait_are_where_ours_looks() -> None:
    """The last that came is first in `pipeline`, and reading goes on by `resume_reading` alone."""
    source = inspect.getsource(HttpToolsProtocol)
    assert "self.pipeline.appendleft((self.cycle, app))" in source
    assert "self.pipeline.pop()" in source
    assert {"pause_reading", "resume_reading"} <= set(dir(FlowControl))
    assert FlowControl.__init__.__code__.co_varnames == ("self", "transport")
    assert "read_paused" in FlowControl.__init__.__code__.co_names


def test_a_supervisor_has_what_ours_looks_at() -> None:
    supervisor = Multiprocess(config(), [])
    assert supervisor.processes == []
    assert not supervisor.should_exit.is_set()
    assert supervisor.sockets == []
    assert supervisor.config.timeout_worker_healthcheck == 7
    worker = Process(supervisor.config, [])
    assert isinstance(worker.parent_conn, connection.Connection)
    assert worker.process.exitcode is None  # not started; its sentinel is there once it is
    assert {"pid", "exitcode"} <= {
        name for name, _ in inspect.getmembers(Process, lambda part: isinstance(part, property))
    }
    assert callable(worker.kill)
    assert supervisor.signal_queue == []
    assert callable(supervisor.handle_signals)
    assert worker._server is None
    assert not worker.server.started


def test_an_application_that_is_loaded_is_not_loaded_again() -> None:
    given = config()
    assert not given.loaded
    given.load()
    assert given.loaded
    assert "if not config.loaded:" in inspect.getsource(uvicorn.Server._serve)

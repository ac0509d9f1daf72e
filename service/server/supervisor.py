"""The parent of several workers: replaces those that die. Knows what a worker is told, and not what it does."""

import logging
import os
import signal
import time
from multiprocessing.connection import wait
from socket import socket
from typing import cast

from uvicorn.config import Config
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess

from service.logs import LOGGER
from service.metrics import REPLACEMENT
from service.server.early_end import ENDING_SIGNALS
from service.server.listening import Server, announce
from service.server.reload_signal import sighup_held

log = logging.getLogger(LOGGER)

# How long to wait before a worker is started again that could not start: what was in its way may be gone by then.
RETRY_S = 10.0

# How often the parent looks for signals while it waits for a worker's answer.
_LOOKS_S = 0.1

# How long a worker that loads its model may take to end.
_EARLY_END_S = 1.0


class Process(multiprocess.Process):
    """uvicorn's worker, with our server in it."""

    @property
    def server(self) -> Server:
        """Made in the worker."""
        if self._server is None:
            self._server = Server(self.config)
        return cast("Server", self._server)


class Supervisor(Multiprocess):
    """uvicorn's, but for what keeps a running service running.

    SIGHUP is passed on, so that each worker takes over a new model while it answers. And a worker that cannot start
    ends the service only while none has ever answered: later on the others go on, and it is tried again.
    """

    could_not_start = False
    """Whether it ended because no worker could."""

    def __init__(self, config: Config, sockets: list[socket], place: str = "") -> None:
        """Workers of `config` on `sockets`, which are bound; `place` is what they are announced as."""
        super().__init__(config, sockets)
        self._place = place
        self._any_answered = False
        self._answered: set[multiprocess.Process] = set()
        self._again_at: dict[multiprocess.Process, float] = {}

    def init_processes(self) -> None:
        """Start all workers."""
        for _ in range(self.processes_num):
            self.processes.append(Process(self.config, self.sockets))
            with sighup_held():
                self.processes[-1].start()

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that died, or that do not answer."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            started = self._started(process)
            if self._told_to_end():
                return  # as workers are that have ended because of it
            if started is None:
                self._mourn(place, process)
            elif started:
                if not self._any_answered:
                    announce(self._place)
                self._any_answered = True
                self._answered.add(process)

    def terminate_all(self) -> None:
        """Tell all workers to end. Nobody listens from then on: who comes is refused, instead of waiting in vain."""
        super().terminate_all()
        for listening in self.sockets:
            listening.close()

    def join_all(self) -> None:
        """Wait for all workers to end; not for long where they have answered nobody yet, and owe nobody an answer."""
        for process in self.processes:
            if process not in self._answered:
                process.process.join(_EARLY_END_S)
                process.process.kill()
            process.join()

    def handle_hup(self) -> None:
        """Tell each worker that there may be a new model."""
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)

    def _started(self, process: multiprocess.Process) -> bool | None:
        """Whether a worker takes requests yet; None where it died, or does not say so in time."""
        deadline = time.monotonic() + self.config.timeout_worker_healthcheck
        try:
            process.parent_conn.send(b"ping")
            # uvicorn waits for the pipe alone, which stays open here though the other side is gone.
            while not (ready := wait([process.parent_conn, process.process.sentinel], _LOOKS_S)):
                if self._told_to_end() or time.monotonic() > deadline:
                    return None
            return bool(process.parent_conn.recv()) if process.parent_conn in ready else None
        except (OSError, EOFError):
            return None

    def _told_to_end(self) -> bool:
        if not set(ENDING_SIGNALS).isdisjoint(self.signal_queue):
            self.handle_signals()
        return self.should_exit.is_set()

    def _mourn(self, place: int, process: multiprocess.Process) -> None:
        process.kill()  # it may be one that hangs
        process.process.join()
        # Ended by itself and not by a signal, before it took any request.
        could_not_start = (process.exitcode or 0) > 0 and process not in self._answered
        if not could_not_start:
            log.warning("worker %s died (%s) and is replaced", process.pid, process.exitcode)
            self._replace(place, process)
        elif not self._any_answered:
            log.error("worker %s could not start", process.pid)
            self.could_not_start = True
            self.should_exit.set()
        elif process not in self._again_at:
            log.error("a worker could not start; the others go on, and it is tried again in %g s", RETRY_S)
            self._again_at[process] = time.monotonic() + RETRY_S
        elif time.monotonic() > self._again_at[process]:
            log.info("worker %s is started again", process.pid)
            self._replace(place, process)

    def _replace(self, place: int, process: multiprocess.Process) -> None:
        self._answered.discard(process)
        self._again_at.pop(process, None)
        os.environ[REPLACEMENT] = "1"  # all that are started from now on
        self.processes[place] = Process(self.config, self.sockets)
        with sighup_held():
            self.processes[place].start()

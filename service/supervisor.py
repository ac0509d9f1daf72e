"""The parent of several workers: replaces those that die. Knows what a worker is told, and not what it does."""

import logging
import os
import signal
import time
from multiprocessing.connection import wait

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from service.logs import LOGGER
from service.sighup import sighup_held

log = logging.getLogger(LOGGER)

# How long to wait before a worker is started again that could not start: a model file may have been mended meanwhile.
RETRY_S = 10.0


class Supervisor(Multiprocess):
    """uvicorn's, but for what keeps a running service running.

    SIGHUP is passed on, so that each worker takes over a new model while it answers. And a worker that cannot start
    ends the service only while none has ever answered: later on the others go on, and it is tried again.
    """

    _answered = False
    _again_at = 0.0

    def init_processes(self) -> None:
        """Start all workers."""
        with sighup_held():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that died, or that do not answer."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            started = self._started(process)
            if started is not None:
                self._answered = self._answered or started
            elif process.exitcode != STARTUP_FAILURE:
                self._replace(place)
            elif not self._answered:
                self.should_exit.set()
            elif not self._again_at:
                log.error("a worker could not start; the others go on, and it is tried again in %g s", RETRY_S)
                self._again_at = time.monotonic() + RETRY_S
            elif time.monotonic() > self._again_at:
                self._again_at = 0.0
                self._replace(place)

    def terminate_all(self) -> None:
        """Tell all workers to end. Nobody listens from then on: who comes is refused, instead of waiting in vain."""
        super().terminate_all()
        for listening in self.sockets:
            listening.close()

    def handle_hup(self) -> None:
        """Tell each worker that there may be a new model."""
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)

    def _started(self, process: Process) -> bool | None:
        """Whether a worker takes requests yet; None where it died, or does not say so in time."""
        try:
            process.parent_conn.send(b"ping")
            # uvicorn waits for the pipe alone, which stays open here though the other side is gone.
            ready = wait([process.parent_conn, process.process.sentinel], self.config.timeout_worker_healthcheck)
            return bool(process.parent_conn.recv()) if process.parent_conn in ready else None
        except (OSError, EOFError):
            return None

    def _replace(self, place: int) -> None:
        process = self.processes[place]
        process.kill()
        process.join()
        if process.exitcode == STARTUP_FAILURE:  # it was only just about to end
            log.info("worker %s is started again", process.pid)
        else:
            log.warning("worker %s died (%s) and is replaced", process.pid, process.exitcode)
        self.processes[place] = Process(self.config, self.sockets)
        with sighup_held():
            self.processes[place].start()

"""The explaining process as the serving process has it: started, asked, ended. Knows no Keras and no HTTP."""

import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from threading import Lock
from typing import Any

from service.explain.process.messages import Call, receive_answer, send

# Not imported here: it would bring Keras along.
CHILD = "service.explain.process.child"
# What explains for seconds gets the processor time that predictions leave.
NICENESS = 10


class ExplainingProcess:
    """One of them. Both methods wait, and belong on threads; `end` may be called while `ask` waits on another one."""

    def __init__(self) -> None:
        """Start it. Raises OSError where the system has no room for another process."""
        self._one_at_a_time = Lock()
        self._connection, theirs = socket.socketpair()
        # Nothing is ever written there: it closes when the process ends, without a word on the connection.
        end, kept_open = os.pipe()
        self._end = os.fdopen(end, "rb")
        with theirs, os.fdopen(kept_open, "wb"):
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-X", "utf8", "-m", CHILD, str(theirs.fileno())],
                pass_fds=(theirs.fileno(), kept_open),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                process_group=0,  # so that it can be ended together with what it starts
            )
        os.setpriority(os.PRIO_PROCESS, self._process.pid, NICENESS)  # before it has imported anything

    @property
    def pid(self) -> int:
        """The number that the system knows it by, and the group of whatever it starts."""
        return self._process.pid

    def fileno(self) -> int:
        """What becomes readable when the process ends."""
        return self._end.fileno()

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        ended = select.poll()
        ended.register(self)
        return not ended.poll(0)

    def ask(self, call: Call, file: int | None = None) -> Any:
        """What the call returns or raises there; with LOAD goes the open model `file`.

        Raises EndOfConversation where the process ended before it answered.
        """
        with self._one_at_a_time:
            send(self._connection, call, file)
            return receive_answer(self._connection).result()

    def end(self) -> None:
        """End it at once, and whatever it has started; who waits for its answer is told that there will be none."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with self._one_at_a_time:
            self._connection.close()
            self._end.close()

"""The decoding processes of one worker: started, asked, ended and replaced. Knows no decoder and no HTTP.

A decoder cannot be told to stop; its process can be ended. Each image has a process to itself, and its place is free
again once that has answered, or has ended and another one stands there.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import NamedTuple

from models.image_errors import BrokenImage, ImageError, TooComplex
from service.errors import STOPPING, DeadlineExceeded, NotReady, Overloaded, Unavailable
from service.inference import decoding_process
from service.inference.decoding_messages import ANSWER_HEAD, READY, Answer, AnswerHead, ImpossibleAnswer, Question
from service.inference.waiting_bytes import WaitingBytes
from service.logs import LOGGER

# Each at work holds one decoded image of up to max_pixels, each image that waits its encoded bytes.
PROCESSES = 2
_START_S = 30.0
# Requests that waited for the service come first.
_START_AFTER_S = 1.0
# Each thread of a library takes room that is the image's. Pieces of memory above 4 MB go back to the system at once.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}

log = logging.getLogger(LOGGER)


class _Process(NamedTuple):
    """One that answers questions."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def ended(self) -> bool:
        return self.process.returncode is not None or self.reader.at_eof()

    async def answer(self, question: Question) -> Answer:
        """Raises ImageError; OSError or EOFError where the process has ended, ImpossibleAnswer."""
        self.writer.writelines(question.packed())
        await self.writer.drain()
        head = AnswerHead.read(await self.reader.readexactly(ANSWER_HEAD.size), question)
        return head.answer(await self.reader.readexactly(head.size))

    async def end(self) -> int:
        """Its status, negative for a signal, once it has ended, which it is made to."""
        self.writer.close()
        with suppress(ProcessLookupError):
            self.process.kill()
        return await self.process.wait()


class DecodingProcesses:
    """A few processes, each with one image at a time. The images that wait are bounded in number and time."""

    def __init__(
        self,
        max_pixels: int,
        most_waiting: int,
        waiting: WaitingBytes,
        memory_bytes: int | None = None,
        cpu_seconds: float = decoding_process.CPU_SECONDS,
        processes: int = PROCESSES,
    ) -> None:
        """At most `most_waiting` images wait for one of the `processes`; their bytes are among `waiting`.

        Images of more than `max_pixels`, width times height, are refused. So are those for which a process needs more
        than `memory_bytes`, or `cpu_seconds` of processor time. Processes start when they are needed.
        """
        limits = (max_pixels, memory_bytes or decoding_process.memory_for(max_pixels), cpu_seconds)
        self._command = (sys.executable, "-m", decoding_process.__name__, *map(str, limits))
        self._cpu_seconds = cpu_seconds
        # None stands for a process that is to be started by whoever needs it.
        self._idle: asyncio.Queue[_Process | None] = asyncio.Queue()
        for _ in range(processes):
            self._idle.put_nowait(None)
        self._most_waiting = most_waiting
        self._waiting = 0
        self._waiting_bytes = waiting
        self._running: set[_Process] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self) -> None:
        """Start all of them in a moment, in the background, before they are needed."""
        self._in_background(self._start_soon())

    async def close(self) -> None:
        """End all of them, whatever they are at."""
        self._closed = True
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(one.end() for one in self._running))

    async def decode(self, question: Question, deadline: float) -> Answer:
        """The answer to `question`. If it is not there by `deadline`, of `time.monotonic()`, the work is ended.

        So it is where the caller is cancelled. Raises ImageError; Overloaded where too many wait, DeadlineExceeded,
        Unavailable where no process can be started, NotReady once closed.
        """
        if self._closed:
            raise NotReady(STOPPING)
        if self._idle.empty() and self._waiting >= self._most_waiting:
            raise Overloaded(
                f"{self._waiting} images wait to be decoded, as many as may (--max-queue-size); send the request again "
                "later"
            )
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                one = await self._next_process(len(question.content))
                return await self._answer(one, question)
        except TimeoutError:
            raise DeadlineExceeded("the image was not decoded in time; send it again later, or a smaller one") from None

    async def _next_process(self, size: int) -> _Process | None:
        self._waiting += 1
        self._waiting_bytes.count += size
        try:
            self._waiting_bytes.ensure_room()
            return await self._idle.get()
        finally:
            self._waiting -= 1
            self._waiting_bytes.count -= size

    async def _answer(self, one: _Process | None, question: Question) -> Answer:
        good = False
        try:
            if one and one.ended:  # with nothing to do, so that nobody noticed
                await self._retired(one)
                one = None
            one = one or await self._started()
            answer = await one.answer(question)
            good = True
        except ImageError:
            good = True
            raise
        except (OSError, EOFError, ImpossibleAnswer) as error:
            raise await self._why_ended(one, error) from error
        finally:
            if good:
                self._idle.put_nowait(one)
            elif not self._closed:
                self._in_background(self._replace(one))
        return answer

    async def _why_ended(self, one: _Process | None, error: Exception) -> Exception:
        """What the sender of the image is told."""
        status = 0
        if one:
            # What has ended is not killed: asyncio would lose its status.
            status = await (one.end() if isinstance(error, ImpossibleAnswer) else one.process.wait())
        if self._closed:
            return NotReady(STOPPING)
        if status == -signal.SIGPROF:
            return TooComplex(
                f"the image takes more than {self._cpu_seconds:g} s of processor time to be decoded; send a smaller "
                "one, or a JPEG that is not progressive"
            )
        if status >= 0:
            return RuntimeError(f"a decoding process ended with status {status}")
        log.warning("a decoding process was ended by signal %d: %r", -status, error)
        if status == -signal.SIGKILL and not isinstance(error, ImpossibleAnswer):
            return Overloaded("the system ended the process that decoded the image; send it again later")
        return BrokenImage("the image makes its decoder fail: it is damaged; save it anew")

    async def _started(self) -> _Process:
        try:
            async with asyncio.timeout(_START_S):
                one = await _start(self._command)
        except (OSError, EOFError, TimeoutError) as error:
            log.error("no process can be started to decode images: %r", error)  # noqa: TRY400 - it says all
            raise Unavailable("large images cannot be decoded at present; send it again later") from error
        self._running.add(one)
        if self._closed:
            await self._retired(one)
            raise NotReady(STOPPING)
        return one

    async def _start_soon(self) -> None:
        await asyncio.sleep(_START_AFTER_S)
        for _ in range(self._idle.qsize()):
            one = self._idle.get_nowait()
            if one:
                self._idle.put_nowait(one)
            else:
                self._in_background(self._replace(None))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _replace(self, one: _Process | None) -> None:
        """Put another one into the place of `one`, once that has ended."""
        if one:
            await self._retired(one)
        other = None
        with suppress(Unavailable):
            other = await self._started()
        self._idle.put_nowait(other)

    async def _retired(self, one: _Process) -> None:
        await one.end()
        self._running.discard(one)


async def _start(command: tuple[str, ...]) -> _Process:
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl+C is for the worker
                env=os.environ | _ENVIRONMENT,
            )
        one = _Process(process, *await asyncio.open_unix_connection(sock=ours))
    except BaseException:
        ours.close()  # it ends itself then
        raise
    try:
        await one.reader.readexactly(len(READY))
    except BaseException:
        await one.end()
        raise
    return one

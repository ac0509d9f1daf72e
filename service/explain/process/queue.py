"""The line before the explaining process: one call at a time, and a few that wait.

The process is started for the first call, or where one is about to come; it is ended after idling, and replaced where
it dies or has to be ended in the middle of a call. Knows no Keras and no HTTP. All public methods belong to the event
loop.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from service.engines.base import Engine
from service.errors import STOPPING, DeadlineExceeded, InferenceFailed, NotReady, Overloaded
from service.explain.process.loaded_models import LoadedModels
from service.explain.process.messages import Call, EndOfConversation
from service.explain.process.parent import ExplainingProcess
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

MOST_WAITING = 8
IDLE_S = 300.0
# Of the time that a call may take. With less left than this no process is started for it.
_LEAST_SHARE = 0.1
# After so much of it the process gives up by itself, and is there for the next call.
_OWN_SHARE = 0.9


class _Waiting:
    """One call, `engine` where it is about a model, and who waits; `call` is None where nothing is to be called yet."""

    def __init__(self, engine: Engine | None, call: tuple[str, tuple[Any, ...]] | None, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.engine, self.call = engine, call
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.arrived = loop.time()
        self.deadline = self.arrived + timeout_s

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class ExplanationQueue:
    """The line, and the process behind it if there is one at present."""

    def __init__(self, timeout_s: float) -> None:
        """A call is to be answered within `timeout_s`. Starting the process and loading a model do not count.

        The process is ended where one call keeps it for longer than that.
        """
        self._timeout_s = timeout_s
        self._waiting: list[_Waiting] = []
        self._current: _Waiting | None = None
        self._arrived = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._open = True
        self._models = LoadedModels()

    @property
    def process(self) -> ExplainingProcess | None:
        """The process, while there is one."""
        return self._models.process

    async def call(self, engine: Engine | None, method: str, *arguments: Any) -> Any:
        """What a method returns or raises: of what explains the model of `engine`, or of what needs no model.

        Raises Overloaded, NotReady, DeadlineExceeded, or InferenceFailed. Cancel it to give up.
        """
        if not self._open:
            raise NotReady(STOPPING)
        if sum(one.call is not None for one in self._unanswered()) > MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} explanations wait to be made; send the request again later")
        try:
            return await self._enter(_Waiting(engine, (method, arguments), self._timeout_s)).answer
        except InferenceFailed as error:
            log.error("%s failed: %s", method, error.__cause__)  # noqa: TRY400 - the traceback is the other process's
            raise

    def warm(self, engine: Engine) -> None:
        """Start the process and load that model, unless it is there or others wait; calls that come go first."""
        if self._open and not self._unanswered() and engine not in self._models:
            for needed in (None, engine):
                self._enter(_Waiting(needed, None, self._timeout_s)).answer.add_done_callback(_say_failure)

    def drop(self, engine: Engine) -> None:
        """Forget the model of `engine`; without any, the process ends."""
        if self._models.drop(engine):
            self._arrived.set()

    async def close(self) -> None:
        """Give up on whoever waits, and end the process."""
        self._open = False
        if self._serving:
            self._serving.cancel()
            with suppress(asyncio.CancelledError):
                await self._serving
        for one in self._unanswered():
            one.fail(NotReady(STOPPING))
        await self._models.end()
        self._models.close()

    def _enter(self, one: _Waiting) -> _Waiting:
        self._waiting.append(one)
        self._arrived.set()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return one

    def _unanswered(self) -> list[_Waiting]:
        return [one for one in (self._current, *self._waiting) if one and not one.answer.done()]

    async def _serve(self) -> None:
        while True:
            self._current = None
            self._current = await self._next()
            try:
                result = await self._answer(self._current)
            except EndOfConversation as error:
                log.warning("the process that explains is gone: %s", error)
                await self._models.end()
                self._current.fail(NotReady("the process that explains ended at this request; send it again"))
            except Exception as error:  # whatever it is, it is told to who asked, and the next one is answered
                self._current.fail(error)
            else:
                if not self._current.answer.done():
                    self._current.answer.set_result(result)

    async def _next(self) -> _Waiting:
        """Whoever came first of those who still wait for an answer; if none does, what is to be made ready for them."""
        while True:
            self._arrived.clear()
            await self._models.tidy()
            self._waiting = [one for one in self._waiting if not one.answer.done()]
            if self._waiting:
                one = next((one for one in self._waiting if one.call), self._waiting[0])
                self._waiting.remove(one)
                return one
            try:
                await self._arrival()
            except TimeoutError:
                log.info("nothing was explained for %g s: the process that explains ends", IDLE_S)
                await self._models.end()

    async def _arrival(self) -> None:
        """Until something is to be done. Raises TimeoutError where there is a process, and nothing for a long time."""
        process, loop = self.process, asyncio.get_running_loop()
        if process is None:
            await self._arrived.wait()
            return
        loop.add_reader(process, self._arrived.set)
        try:
            async with asyncio.timeout(IDLE_S):
                await self._arrived.wait()
        finally:
            loop.remove_reader(process)

    async def _answer(self, one: _Waiting) -> Any:
        loop = asyncio.get_running_loop()
        if self.process is None and one.deadline - loop.time() < _LEAST_SHARE * self._timeout_s:
            raise self._too_late()
        began = loop.time()
        try:
            number = await self._models.prepare(one.engine)
        finally:
            for each in (one, *self._waiting):
                each.deadline += loop.time() - max(began, each.arrived)
        if one.call is None:
            return None
        # Who waited long is given up on in the middle of a call; that is no reason to end the process.
        call = Call(number, *one.call, _OWN_SHARE * self._timeout_s)
        try:
            return await self._models.ask(call, self._timeout_s, self._too_late(), self._expire)
        except DeadlineExceeded as error:
            raise self._too_late() from error

    def _expire(self) -> float:
        """Tell those whose deadline has come; that of whoever is next."""
        now = asyncio.get_running_loop().time()
        for one in self._unanswered():
            if one.deadline <= now:
                one.fail(self._too_late())
        return min((one.deadline for one in self._unanswered()), default=float("inf"))

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"this was not explained within {self._timeout_s:g} s; --request-timeout-s allows more")


def _say_failure(warmed: asyncio.Future[Any]) -> None:
    if not warmed.cancelled() and (error := warmed.exception()):
        log.warning("what explains the model did not start: %s", error)

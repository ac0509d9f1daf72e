"""The line before the explaining process: one call at a time, and a few that wait.

The process is started for the first call, or where one is about to come; it is ended after idling, and replaced where
it dies or has to be ended in the middle of a call. Knows no Keras and no HTTP. All public methods belong to the event
loop.
"""

import asyncio
import itertools
import logging
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from service.engines.base import Engine
from service.errors import STOPPING, DeadlineExceeded, InferenceFailed, NotReady, Overloaded
from service.explain.process.messages import DROP, LOAD, START, Call, EndOfConversation, LoadableModel
from service.explain.process.parent import ExplainingProcess
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

MOST_WAITING = 8
MOST_MODELS = 3
# For the process, and for each model in it: seconds of imports, and many more on a machine that is busy.
START_S = 60.0
IDLE_S = 300.0
# Of the time that a call may take. With less left than this no process is started for it.
_LEAST_SHARE = 0.1


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
        """A call is to be answered within `timeout_s`. Starting the process and loading a model do not count."""
        self._timeout_s = timeout_s
        self._waiting: deque[_Waiting] = deque()
        self._current: _Waiting | None = None
        self._arrived = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._open = True
        self._process: ExplainingProcess | None = None
        self._thread = ThreadPoolExecutor(1, "explanations")
        self._next_number = itertools.count()
        self._numbers: dict[Engine, int] = {}
        self._loaded: OrderedDict[int, None] = OrderedDict()  # the one that was used last at the end
        self._dropped: list[int] = []

    @property
    def process(self) -> ExplainingProcess | None:
        """The process, while there is one."""
        return self._process

    async def call(self, engine: Engine | None, method: str, *arguments: Any) -> Any:
        """What a method returns or raises: of what explains the model of `engine`, or of what needs no model.

        Raises Overloaded, NotReady, DeadlineExceeded, or InferenceFailed. Cancel it to give up.
        """
        if not self._open:
            raise NotReady(STOPPING)
        so_many = sum(not one.answer.done() and one.call is not None for one in (*self._waiting, self._current) if one)
        if so_many > MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} explanations wait to be made; send the request again later")
        try:
            return await self._enter(_Waiting(engine, (method, arguments), self._timeout_s)).answer
        except InferenceFailed as error:
            log.error("%s failed: %s", method, error.__cause__)  # noqa: TRY400 - the traceback is the other process's
            raise

    def warm(self, engine: Engine) -> None:
        """Start the process with that model, unless it is there or others are waited for."""
        if self._open and not self._waiting and not self._current and self._numbers.get(engine) not in self._loaded:
            self._enter(_Waiting(engine, None, self._timeout_s)).answer.add_done_callback(_say_failure)

    def drop(self, engine: Engine) -> None:
        """Forget the model of `engine`; without any, the process ends."""
        number = self._numbers.pop(engine, None)
        if number is not None:
            self._dropped.append(number)
            self._arrived.set()

    async def close(self) -> None:
        """Give up on whoever waits, and end the process."""
        self._open = False
        if self._serving:
            self._serving.cancel()
            with suppress(asyncio.CancelledError):
                await self._serving
        for one in (*self._waiting, self._current):
            if one:
                one.fail(NotReady(STOPPING))
        await self._end()
        self._thread.shutdown(wait=False)

    def _enter(self, one: _Waiting) -> _Waiting:
        self._waiting.append(one)
        self._arrived.set()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return one

    async def _serve(self) -> None:
        while True:
            self._current = None
            self._current = await self._next()
            try:
                result = await self._answer(self._current)
            except EndOfConversation as error:
                log.warning("the process that explains is gone: %s", error)
                await self._end()
                self._current.fail(NotReady("the process that explains ended at this request; send it again"))
            except Exception as error:  # whatever it is, it is told to who asked, and the next one is answered
                self._current.fail(error)
            else:
                if not self._current.answer.done():
                    self._current.answer.set_result(result)

    async def _next(self) -> _Waiting:
        """Whoever comes first of those who still wait."""
        while True:
            self._arrived.clear()
            await self._forget_dropped()
            while self._waiting:
                one = self._waiting.popleft()
                if not one.answer.done():
                    return one
            try:
                async with asyncio.timeout(IDLE_S if self._process else None):
                    await self._arrived.wait()
            except TimeoutError:
                log.info("nothing was explained for %g s: the process that explains ends", IDLE_S)
                await self._end()

    async def _answer(self, one: _Waiting) -> Any:
        loop = asyncio.get_running_loop()
        late = DeadlineExceeded(f"this was not explained within {self._timeout_s:g} s; --request-timeout-s allows more")
        left = one.deadline - loop.time()
        if left <= 0 or (self._process is None and left < _LEAST_SHARE * self._timeout_s):
            raise late
        began = loop.time()
        try:
            number = await self._prepare(one.engine)
        finally:
            for each in (one, *self._waiting):
                each.deadline += loop.time() - max(began, each.arrived)
        if one.call is None:
            return None
        method, arguments = one.call
        return await self._ask(Call(number, method, arguments), one.deadline - loop.time(), late)

    async def _prepare(self, engine: Engine | None) -> int | None:
        """Have the process run, and the model of `engine` in it; the number that it has there."""
        late = NotReady(f"what explains the model did not start within {START_S:g} s; send the request again later")
        if self._process and not self._process.alive:  # it may have died while it had nothing to do
            await self._end()
        if self._process is None:
            try:
                self._process = ExplainingProcess()
            except OSError as error:
                raise NotReady(f"what explains the model cannot be started ({error.strerror or error})") from error
            log.info("process %d explains from now on", self._process.pid)
            await self._ask(Call(None, START), START_S, late)
        if engine is None or engine.source is None:
            return None
        number = self._numbers.get(engine)
        if number is None or number not in self._loaded:
            try:
                file = engine.source.fileno()
            except ValueError as error:
                raise NotReady(f"{error}; send the request again") from error
            if len(self._loaded) >= MOST_MODELS:
                oldest, _ = self._loaded.popitem(last=False)
                await self._ask(Call(oldest, DROP), START_S, late)
            number = self._numbers.setdefault(engine, next(self._next_number))
            model = LoadableModel(engine.card, engine.version, engine.source.max_bytes)
            await self._ask(Call(number, LOAD, (model,)), START_S, late, file)
            self._loaded[number] = None
        self._loaded.move_to_end(number)
        return number

    async def _ask(self, call: Call, within_s: float, late: Exception, file: int | None = None) -> Any:
        """What the process answers. Where that takes longer than `within_s` the process is ended; raises `late`."""
        if self._process is None:
            raise late
        asking = asyncio.get_running_loop().run_in_executor(self._thread, self._process.ask, call, file)
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # where nobody waits any longer
        await asyncio.wait({asking}, timeout=max(0.0, within_s))
        if not asking.done():
            log.warning("the process that explains is ended: %s", late)
            await self._end()
            raise late
        return asking.result()

    async def _forget_dropped(self) -> None:
        dropped = [number for number in self._dropped if number in self._loaded]
        self._dropped.clear()
        if not self._process or not dropped:
            return
        if len(dropped) == len(self._loaded):
            await self._end()
            return
        for number in dropped:
            self._loaded.pop(number, None)
            late = NotReady("a model was not dropped")
            with suppress(EndOfConversation, NotReady):
                await self._ask(Call(number, DROP), START_S, late)

    async def _end(self) -> None:
        process, self._process = self._process, None
        self._loaded.clear()
        if process:
            await asyncio.to_thread(process.end)


def _say_failure(warmed: asyncio.Future[Any]) -> None:
    if not warmed.cancelled() and (error := warmed.exception()):
        log.warning("what explains the model did not start: %s", error)

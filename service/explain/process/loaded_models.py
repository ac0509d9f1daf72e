"""The explaining process and the models that are loaded in it, each when it is first asked for. Knows no Keras."""

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from service.engines.base import Engine
from service.errors import NotReady, ServiceError
from service.explain.process.messages import DROP, LOAD, START, Call, EndOfConversation, LoadableModel
from service.explain.process.parent import ExplainingProcess
from service.logs import LOGGER

log = logging.getLogger(LOGGER)

MOST_MODELS = 3
# For the process, and for each model in it: seconds of imports, and many more on a machine that is busy.
START_S = 60.0

# Tells whoever's time is up by then that it is, and returns the time, of the event loop's clock, of the next.
Expire = Callable[[], float]


class LoadedModels:
    """One process at most at a time. Everything but `drop` and `end` is for one task only."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self.process: ExplainingProcess | None = None
        self._thread = ThreadPoolExecutor(1, "explanations")
        self._next_number = itertools.count()
        self._numbers: dict[Engine, int] = {}
        self._loaded: OrderedDict[int, None] = OrderedDict()  # the one that was used last at the end
        self._dropped: list[int] = []

    def __contains__(self, engine: Engine) -> bool:
        """Whether its model is loaded."""
        return self._numbers.get(engine) in self._loaded

    async def prepare(self, engine: Engine | None) -> int | None:
        """Have the process run, and the model of `engine` in it; the number that it has there. Raises NotReady.

        NothingToExplain where the model's file is not what it was. EndOfConversation where the process ends.
        """
        if self.process is None:
            await self._start()
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
                await self.ask(Call(oldest, DROP), START_S, _not_started())
            number = self._numbers.setdefault(engine, next(self._next_number))
            model = LoadableModel(engine.card, engine.version, engine.source.max_bytes)
            await self.ask(Call(number, LOAD, (model,)), START_S, _not_started(), file=file)
            self._loaded[number] = None
        self._loaded.move_to_end(number)
        return number

    async def ask(
        self, call: Call, within_s: float, late: ServiceError, expire: Expire | None = None, file: int | None = None
    ) -> Any:
        """What the process answers. Where that takes longer than `within_s` the process is ended; raises `late`.

        `expire` is called meanwhile. Raises EndOfConversation where the process ends.
        """
        if self.process is None:
            raise late
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        asking = loop.run_in_executor(self._thread, self.process.ask, call, file)
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # where nobody waits any longer
        while not asking.done():
            if loop.time() >= end:
                log.warning("the process that explains is ended: %s", late)
                await self.end()
                raise late
            until = min(end, expire()) if expire else end
            await asyncio.wait({asking}, timeout=max(0.0, until - loop.time()))
        return asking.result()

    def drop(self, engine: Engine) -> bool:
        """Note that the model of `engine` is not needed any longer, for `tidy`; False where it never was."""
        number = self._numbers.pop(engine, None)
        if number is not None:
            self._dropped.append(number)
        return number is not None

    async def tidy(self) -> None:
        """Drop in the process what was dropped; without any model left, end it, and where it died by itself."""
        if self.process and not self.process.alive:
            log.warning("the process that explains ended while it had nothing to do")
            await self.end()
        dropped = [number for number in self._dropped if number in self._loaded]
        self._dropped.clear()
        if dropped and len(dropped) == len(self._loaded):
            await self.end()
            return
        for number in dropped:
            self._loaded.pop(number, None)
            with suppress(EndOfConversation, NotReady):
                await self.ask(Call(number, DROP), START_S, _not_started())

    async def end(self) -> None:
        """End the process, if there is one."""
        process, self.process = self.process, None
        self._loaded.clear()
        if process:
            await asyncio.to_thread(process.end)

    def close(self) -> None:
        """Let go of the thread that waits for answers."""
        self._thread.shutdown(wait=False)

    async def _start(self) -> None:
        try:
            self.process = ExplainingProcess()
        except OSError as error:
            raise NotReady(f"what explains the model cannot be started ({error.strerror or error})") from error
        log.info("process %d explains from now on", self.process.pid)
        await self.ask(Call(None, START), START_S, _not_started())


def _not_started() -> NotReady:
    return NotReady(f"what explains the model did not start within {START_S:g} s; send the request again later")

"""The live model: one thread for the network, an event loop that stays free, and an end that answers what was begun."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from service.errors import NotReady
from service.inference.live_model import LiveModel
from tests.fakes import FakeClassifier

BATCH = np.zeros((1, 4, 4, 1), np.float32)


class SlowClassifier(FakeClassifier):
    """Answers once it is allowed to, and remembers on which threads it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed = threading.Event()
        self.called = threading.Event()
        self.threads: set[int] = set()

    def predict(self, batch: Any) -> Any:
        self.threads.add(threading.get_ident())
        self.called.set()
        self.allowed.wait()
        return super().predict(batch)


def test_the_event_loop_is_free_while_the_network_works() -> None:
    async def scenario() -> None:
        classifier = SlowClassifier()
        live = LiveModel(classifier)
        answer = asyncio.create_task(live.predict(BATCH))
        await asyncio.to_thread(classifier.called.wait)
        assert not answer.done()
        classifier.allowed.set()
        assert (await answer).shape == (1, 3)
        live.close()

    asyncio.run(scenario())


def test_everything_runs_on_one_thread_that_is_not_the_event_loops() -> None:
    async def scenario() -> None:
        classifier = SlowClassifier()
        classifier.allowed.set()
        live = LiveModel(classifier)
        await asyncio.gather(*(live.predict(BATCH) for _ in range(20)))
        inspected = await live.inspect(lambda _network: threading.get_ident())
        assert classifier.threads == {inspected}
        assert inspected != threading.get_ident()
        live.close()

    asyncio.run(scenario())


def test_closing_answers_what_was_begun_and_refuses_what_is_new() -> None:
    async def scenario() -> None:
        classifier = SlowClassifier()
        live = LiveModel(classifier)
        begun = [asyncio.create_task(live.predict(BATCH)) for _ in range(3)]
        await asyncio.to_thread(classifier.called.wait)
        closing = asyncio.create_task(asyncio.to_thread(live.close))
        classifier.allowed.set()
        assert len(await asyncio.gather(*begun)) == 3
        await closing
        assert not live.ready
        with pytest.raises(NotReady):
            await live.predict(BATCH)

    asyncio.run(scenario())


def test_a_failure_reaches_its_caller_and_the_next_one_is_answered() -> None:
    class Moody(FakeClassifier):
        def predict(self, batch: Any) -> Any:
            if batch.max() > 1:
                raise RuntimeError("too bright")
            return super().predict(batch)

    async def scenario() -> None:
        live = LiveModel(Moody())
        with pytest.raises(RuntimeError, match="too bright"):
            await live.predict(BATCH + 2)
        assert (await live.predict(BATCH)).shape == (1, 3)
        live.close()

    asyncio.run(scenario())

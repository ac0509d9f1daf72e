"""Every request that was sent, and what became of it: the sum must come out, and nothing may be wrong."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos.answers import IMAGES, Right
from tests.chaos.questions import Question, predict
from tests.connections import Answer, Connection, close, connect, read_answer
from tests.processes import Service

PROBLEM = "application/problem+json"
RIGHT, WRONG, ERROR, LATE, LEFT = "right", "wrong", "connection error", "not in time", "left early"
NO_CONNECTION = "no connection"


@dataclass
class Ledger:
    """`refusals` are the statuses that a caller who did nothing wrong may be given, each as a problem document."""

    refusals: frozenset[int] = frozenset()
    timeout_s: float = 60
    sent: int = 0
    became: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    # Of each request that is not answered yet: our own port, by which the other side's connection is found.
    in_flight: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _wanted: int = 0
    _reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, connection: Connection, question: Question) -> bool:
        """Enter one request and what becomes of it; False where the connection is of no more use."""
        reader, writer = connection
        name = f"chaos-{id(self):x}-{next(self._numbers)}"
        self.sent += 1
        self.in_flight[name] = writer.get_extra_info("sockname")[1]
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout_s):
                writer.write(question.request.replace(b"\r\n", b"\r\nX-Request-ID: %b\r\n" % name.encode(), 1))
                await writer.drain()
                if question.leave_early:
                    self.became[LEFT] += 1
                    return False
                answer = await read_answer(reader)
        except TimeoutError:
            self.became[LATE] += 1
            self.late.append(question.name)
            return False
        except (OSError, asyncio.IncompleteReadError):
            self.became[ERROR] += 1
            return False
        finally:
            del self.in_flight[name]
        self.seconds.append(time.perf_counter() - began)
        self._enter(question, answer, name)
        return answer.headers.get("connection") != "close" and not question.unfinished

    async def so_many_right(self, wanted: int) -> None:
        """Wait until there are so many right answers in all."""
        self._wanted = wanted
        self._reached.clear()
        await self._reached.wait()

    def nobody_there(self) -> None:
        """Enter a request that found nobody to be sent to."""
        self.sent += 1
        self.became[NO_CONNECTION] += 1

    def check(self) -> None:
        """Whoever was asked answered rightly or not at all, and nothing is missing in the books."""
        assert not self.wrong, (len(self.wrong), self.wrong[:5])
        assert self.became.total() == self.sent
        assert not self.in_flight

    def p99_ms(self) -> float:
        return sorted(self.seconds)[int(0.99 * (len(self.seconds) - 1))] * 1000

    def _enter(self, question: Question, answer: Answer, name: str) -> None:
        fault = _fault(question, answer, name, self.refusals)
        if fault:
            self.wrong.append(f"{question.name}: {fault}: {answer.status} {answer.content[:200]!r}")
            self.became[WRONG] += 1
        else:
            self.became[RIGHT if answer.status == 200 else str(answer.status)] += 1
            if 0 < self._wanted <= self.became[RIGHT]:
                self._reached.set()


def _fault(question: Question, answer: Answer, name: str, refusals: frozenset[int]) -> str | None:
    if not question.plain_refusal and answer.headers.get("x-request-id") != name:
        return f"another request's id, {answer.headers.get('x-request-id')}"
    if answer.status == 200:
        try:
            return question.judge(answer)
        except (ValueError, KeyError, TypeError) as error:
            return f"of no known form, {error!r}"
    return _fault_of_refusal(question, answer, refusals)


def _fault_of_refusal(question: Question, answer: Answer, refusals: frozenset[int]) -> str | None:
    if answer.status not in refusals | question.refusals:
        return "a status that is not documented here"
    if answer.status == 503 and "retry-after" not in answer.headers:
        return "503 without Retry-After"
    return None if question.plain_refusal or _is_problem(answer) else "no problem document"


def _is_problem(answer: Answer) -> bool:
    try:
        if answer.headers.get("content-type") == PROBLEM:
            return bool(answer.body["status"] == answer.status and answer.body["title"] and answer.body["detail"])
        return bool(answer.body["error"])  # as TensorFlow Serving's and Triton's clients expect it
    except (ValueError, KeyError):
        return False


async def call(
    service: Service,
    ledger: Ledger,
    stop: asyncio.Event,
    questions: Callable[[], Question],
    requests_a_connection: int = 100,
) -> None:
    """Ask one question after another, each when the one before is settled, on a new connection now and then."""
    connection: Connection | None = None
    while not stop.is_set():
        if connection is None:
            try:
                connection = await connect(service)
            except OSError:
                ledger.nobody_there()
                # It is refused at once: asked again in the next turn of the loop it would be all that is done.
                await asyncio.sleep(0.05)
                continue
        for _ in range(requests_a_connection):
            if not await ledger.ask(connection, questions()) or stop.is_set():
                break
        await close(connection)
        connection = None


def images_in_turn(right: Right, first: int) -> Callable[[], Question]:
    numbers = itertools.count(first)
    return lambda: predict(next(numbers) % len(IMAGES), right)


@asynccontextmanager
async def load(service: Service, ledger: Ledger, right: Right, connections: int, requests_a_connection: int = 100):
    """So many clients ask about all images, out of step, for as long as this lasts; then the books are checked."""
    async with asking(service, ledger, right, connections, requests_a_connection):
        yield
    ledger.check()


@asynccontextmanager
async def asking(service: Service, ledger: Ledger, right: Right, connections: int, requests_a_connection: int = 100):
    """The same beside other load, so that the books cannot be checked yet."""
    stop = asyncio.Event()
    clients = [
        asyncio.create_task(call(service, ledger, stop, images_in_turn(right, number * 37), requests_a_connection))
        for number in range(connections)
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*clients)

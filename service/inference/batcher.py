"""Many waiting callers share one call of a function: a queue bounded in rows, deadlines, and one worker thread.

Knows neither Keras nor HTTP: rows go in, as many results come out. The public methods belong to the event loop that
the batcher was made on; `_work` and what it calls run on the worker thread. The two meet in `_inbox` and in
`call_soon_threadsafe`, and nowhere else.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar

from service.errors import STOPPING, DeadlineExceeded, InferenceFailed, NotReady, Overloaded
from service.logs import LOGGER
from service.metrics import BATCH_SIZE, INFERENCE_SECONDS, QUEUE_DEPTH, QUEUE_WAIT_SECONDS

Row = TypeVar("Row")
Result = TypeVar("Result")

log = logging.getLogger(LOGGER)


class BatchLimits(NamedTuple):
    """How many rows one call may have, how many may wait, and how many seconds a row waits for company."""

    batch_rows: int
    queue_rows: int
    wait_s: float = 0.0


class _Request:
    """What one caller waits for: the results of all its rows, whole once none is missing."""

    __slots__ = ("answer", "arrived", "deadline", "missing", "results", "timer")

    def __init__(self, answer: asyncio.Future[Any], rows: int, arrived: float, deadline: float) -> None:
        self.answer = answer
        self.arrived = arrived
        self.deadline = deadline
        self.missing = rows
        self.results: list[Any] = [None] * rows
        self.timer: asyncio.TimerHandle


class _Entry(NamedTuple):
    """On its way to the worker: the `place`-th row of a request."""

    request: _Request
    place: int
    row: Any


# On its way back: an entry with its result, or with the error that it failed by.
_Outcome = tuple[_Entry, Any, BaseException | None]


class Batcher(Generic[Row, Result]):
    """Gathers rows while the worker is busy, and hands it all that wait, up to `batch_rows`, as soon as it is free."""

    def __init__(self, function: Callable[[list[Row]], Sequence[Result]], limits: BatchLimits) -> None:
        """`function` is given 1 to `batch_rows` rows and returns one result for each, in order.

        Only the worker thread calls it. The batcher must be made on a running event loop.
        """
        self._function = function
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[list[_Entry] | None] = SimpleQueue()
        self._unanswered: set[_Request] = set()
        self._ended = asyncio.Event()
        self._told_waiting = 0
        self._busy_since: float | None = None
        self.open = True
        self.waiting_rows = 0
        self._worker = Thread(target=self._work, name="batcher", daemon=True)
        self._worker.start()

    @property
    def backed_up(self) -> bool:
        """Whether a row that comes now has to wait for more than the batch that is being worked on and one more."""
        return self.waiting_rows > 2 * self._limits.batch_rows

    @property
    def busy_s(self) -> float:
        """For how many seconds the worker has been at its present batch; 0 while it has none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def ensure_capacity(self, rows: int) -> None:
        """Find out, before any work is put into them, whether `rows` would be taken now.

        Raises Overloaded where they would not fit into the queue, NotReady once the batcher is closed.
        """
        if not self.open:
            raise NotReady(STOPPING)
        if self.waiting_rows + rows > self._limits.queue_rows:
            raise Overloaded(
                f"{self.waiting_rows} images wait for the model and at most {self._limits.queue_rows} may; "
                "send the request again later"
            )

    def submit(self, rows: Sequence[Row], deadline: float) -> asyncio.Future[list[Result]]:
        """One result for each of `rows`, in order: all of them, or none and an error. Cancel it to give up.

        `deadline` is a time of `time.monotonic()`. Raises Overloaded or NotReady at once. The future may raise
        DeadlineExceeded, InferenceFailed where `function` failed, or NotReady where the batcher was closed meanwhile.
        """
        request = self._accept(len(rows), deadline)
        self._inbox.put([_Entry(request, place, row) for place, row in enumerate(rows)])
        return request.answer

    async def close(self, timeout_s: float) -> None:
        """Take nothing new, answer what was accepted, and end the worker; give up on all of it after `timeout_s`."""
        self.open = False
        self._inbox.put(None)
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        except TimeoutError:
            log.error("the model still works after %g s; %d requests are given up", timeout_s, len(self._unanswered))  # noqa: TRY400
            for request in self._unanswered:
                _fail(request, NotReady("the service stopped before the model came to this request"))

    def _accept(self, rows: int, deadline: float) -> _Request:
        self.ensure_capacity(rows)
        now = time.monotonic()
        request = _Request(self._loop.create_future(), rows, now, deadline)
        request.timer = self._loop.call_later(max(0.0, deadline - now), _expire, request)
        self._unanswered.add(request)
        self.waiting_rows += rows
        return request

    def _settle(self, outcomes: list[_Outcome]) -> None:
        """Hand the worker's outcomes to those who wait for them. On the event loop."""
        self.waiting_rows -= len(outcomes)
        QUEUE_DEPTH.inc(self.waiting_rows - self._told_waiting)
        self._told_waiting = self.waiting_rows
        for (request, place, _), result, error in outcomes:
            request.results[place] = result
            request.missing -= 1
            if error is not None:
                _fail(request, error)
            if not request.missing:
                self._unanswered.discard(request)
                request.timer.cancel()
                if not request.answer.done():
                    request.answer.set_result(request.results)

    def _work(self) -> None:
        rows: deque[_Entry] = deque()
        closing = False
        while not (closing and not rows):
            closing = self._gather(rows, closing) or closing
            self._busy_since = time.monotonic()
            if rows:
                self._tell(self._settle, self._run_batch(rows))
            self._busy_since = None
        self._tell(self._ended.set)

    def _gather(self, rows: deque[_Entry], closing: bool) -> bool:
        """Move what has come in to `rows`; wait where there is nothing. True where the end has come in."""
        while True:
            try:
                if closing or len(rows) >= self._limits.batch_rows:
                    entries = self._inbox.get_nowait()
                elif not rows:
                    entries = self._inbox.get()
                else:
                    start = rows[0].request.arrived + self._limits.wait_s
                    entries = self._inbox.get(timeout=max(0.0, start - time.monotonic()))
            except Empty:
                return False
            if entries is None:
                return True
            rows.extend(entries)

    def _run_batch(self, rows: deque[_Entry]) -> list[_Outcome]:
        """Take the first rows whose callers still wait, call the function once, and say what became of each row."""
        batch: list[_Entry] = []
        given_up: list[_Outcome] = []
        now = time.monotonic()
        while rows and len(batch) < self._limits.batch_rows:
            entry = rows.popleft()
            if entry.request.answer.done() or entry.request.deadline <= now:
                given_up.append((entry, None, _too_late()))
            else:
                batch.append(entry)
        if not batch:
            return given_up
        try:
            results = self._call_function(batch)
        except BaseException as error:  # whatever it is: the callers are told, and the worker lives on
            log.exception("a batch of %d rows failed", len(batch))
            if len(batch) == 1:
                return [*given_up, _failed(batch[0], error)]
            # One of them may be at fault: no row shall fail for its neighbours.
            return [*given_up, *map(self._run_alone, batch)]
        return [*given_up, *zip(batch, results, repeat(None))]

    def _run_alone(self, entry: _Entry) -> _Outcome:
        try:
            (result,) = self._call_function([entry])
        except BaseException as error:
            log.error("a row of that batch failed alone, too: %s", error)  # noqa: TRY400 - as the batch, told above
            return _failed(entry, error)
        return entry, result, None

    def _call_function(self, batch: list[_Entry]) -> Sequence[Result]:
        started = time.monotonic()
        QUEUE_WAIT_SECONDS.observe(started - batch[0].request.arrived)
        results = self._function([entry.row for entry in batch])
        INFERENCE_SECONDS.observe(time.monotonic() - started)
        BATCH_SIZE.observe(len(batch))
        if len(results) != len(batch):
            raise RuntimeError(f"{len(results)} results came back for {len(batch)} rows")
        return results

    def _tell(self, function: Callable[..., None], *given: object) -> None:
        """Have `function` called on the event loop, unless that has been closed over a worker that was given up."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *given)


def _failed(entry: _Entry, cause: BaseException) -> _Outcome:
    # Each caller gets an error of its own: raising one and the same in many tasks would mix their tracebacks.
    error = InferenceFailed("the service failed at this request; its log says more")
    error.__cause__ = cause
    return entry, None, error


def _fail(request: _Request, error: BaseException) -> None:
    if not request.answer.done():
        request.answer.set_exception(error)


def _expire(request: _Request) -> None:
    _fail(request, _too_late())


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the model did not come to this request in time; send it again later")

"""The batcher alone, with functions that do what the test says and no sooner."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from service.errors import DeadlineExceeded, InferenceFailed, NotReady, Overloaded
from service.inference.batcher import Batcher, BatchLimits, _expire

LIMITS = BatchLimits(batch_rows=4, queue_rows=10)


class Held:
    """A function of rows that ends when it is allowed to; each result is the row times 10."""

    def __init__(self, *, held: bool = True) -> None:
        self.batches: list[list[int]] = []
        self._begun = threading.Semaphore(0)
        self._allowed = threading.Semaphore(0)
        self._held = held

    def __call__(self, rows: list[int]) -> Sequence[int]:
        self.batches.append(rows)
        self._begun.release()
        if self._held:
            self._allowed.acquire()
        return [row * 10 for row in rows]

    async def begun(self) -> None:
        await asyncio.to_thread(self._begun.acquire)

    def let(self, batches: int = 1) -> None:
        self._allowed.release(batches)

    def let_all(self) -> None:
        self._held = False
        self._allowed.release(100)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def soon() -> float:
    return time.monotonic() + 60


def test_a_row_that_finds_the_worker_idle_starts_a_batch_at_once() -> None:
    async def scenario() -> None:
        function = Held(held=False)
        batcher = Batcher(function, LIMITS)
        assert await batcher.submit([1], soon()) == [10]
        assert await batcher.submit([2], soon()) == [20]
        assert function.batches == [[1], [2]]
        await batcher.close(1)

    run(scenario)


def test_rows_that_come_while_the_worker_is_busy_share_the_next_batch() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        others = [batcher.submit([row], soon()) for row in (2, 3, 4)]
        function.let_all()
        assert await asyncio.gather(first, *others) == [[10], [20], [30], [40]]
        assert function.batches == [[1], [2, 3, 4]]
        await batcher.close(1)

    run(scenario)


def test_a_batch_has_at_most_so_many_rows_whoever_brought_them() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        three, two, four = (batcher.submit(rows, soon()) for rows in ([2, 3, 4], [5, 6], [7, 8, 9, 10]))
        function.let_all()
        assert await asyncio.gather(first, three, two, four) == [[10], [20, 30, 40], [50, 60], [70, 80, 90, 100]]
        assert function.batches == [[1], [2, 3, 4, 5], [6, 7, 8, 9], [10]]
        await batcher.close(1)

    run(scenario)


def test_a_request_may_bring_more_rows_than_one_batch_holds() -> None:
    async def scenario() -> None:
        function = Held(held=False)
        batcher = Batcher(function, LIMITS)
        assert await batcher.submit(range(10), soon()) == [row * 10 for row in range(10)]
        assert function.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        await batcher.close(1)

    run(scenario)


def test_a_row_may_wait_for_company() -> None:
    async def scenario() -> None:
        function = Held(held=False)
        # For ever, as a test is concerned: only a full batch can end this wait.
        batcher = Batcher(function, LIMITS._replace(wait_s=1000))
        answers = [batcher.submit([row], soon()) for row in (1, 2, 3)]
        await asyncio.sleep(0)
        assert function.batches == []
        answers.append(batcher.submit([4], soon()))
        await asyncio.gather(*answers)
        assert function.batches == [[1, 2, 3, 4]]
        await batcher.close(1)

    run(scenario)


def test_the_wait_for_company_ends() -> None:
    async def scenario() -> None:
        batcher = Batcher(Held(held=False), LIMITS._replace(wait_s=0.01))
        assert await batcher.submit([1], soon()) == [10]
        await batcher.close(1)

    run(scenario)


def test_closing_ends_the_wait_for_company() -> None:
    async def scenario() -> None:
        batcher = Batcher(Held(held=False), LIMITS._replace(wait_s=1000))
        answer = batcher.submit([1], soon())
        await batcher.close(60)
        assert await answer == [10]

    run(scenario)


def test_more_rows_than_the_queue_holds_are_refused_at_once_and_later_taken() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        taken = [batcher.submit([row] * 5, soon()) for row in (1, 2)]
        with pytest.raises(Overloaded, match=r"10 images wait .* at most 10"):
            batcher.submit([3], soon())
        with pytest.raises(Overloaded):
            batcher.ensure_capacity(1)
        assert batcher.backed_up
        function.let_all()
        await asyncio.gather(*taken)
        assert not batcher.backed_up
        assert batcher.waiting_rows == 0
        batcher.ensure_capacity(10)
        with pytest.raises(Overloaded):
            batcher.ensure_capacity(11)
        assert await batcher.submit([3], soon()) == [30]
        await batcher.close(1)

    run(scenario)


def test_a_caller_who_gives_up_while_waiting_is_dropped_before_the_function_sees_its_row() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        gone, stays = batcher.submit([2, 3], soon()), batcher.submit([4], soon())
        gone.cancel()
        function.let_all()
        assert await asyncio.gather(first, stays) == [[10], [40]]
        assert function.batches == [[1], [4]]
        assert batcher.waiting_rows == 0
        await batcher.close(1)

    run(scenario)


def test_a_caller_who_gives_up_in_flight_takes_nothing_from_its_neighbours() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        gone, stays = batcher.submit([2], soon()), batcher.submit([3], soon())
        function.let()
        await function.begun()
        gone.cancel()
        function.let_all()
        assert await asyncio.gather(first, stays) == [[10], [30]]
        assert function.batches == [[1], [2, 3]]
        assert batcher.waiting_rows == 0
        await batcher.close(1)

    run(scenario)


def test_a_row_past_its_deadline_is_answered_so_and_never_reaches_the_function() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        late, stays = batcher.submit([2], time.monotonic() + 0.01), batcher.submit([3], soon())
        with pytest.raises(DeadlineExceeded, match="in time"):
            await late
        function.let_all()
        assert await asyncio.gather(first, stays) == [[10], [30]]
        assert function.batches == [[1], [3]]
        await batcher.close(1)

    run(scenario)


def test_a_row_that_comes_too_late_is_dropped_though_the_event_loop_has_not_noticed() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        late, stays = batcher.submit([2], time.monotonic()), batcher.submit([3], soon())
        function.let_all()
        # The event loop does nothing until the worker has taken its next batch: no timer can have run before.
        while len(function.batches) < 2:
            pass
        assert function.batches == [[1], [3]]
        await asyncio.gather(first, stays)
        with pytest.raises(DeadlineExceeded):
            await late
        await batcher.close(1)

    run(scenario)


def test_an_answer_can_be_late_while_the_function_works_on_it() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        late = batcher.submit([1], soon())
        await function.begun()
        (request,) = batcher._unanswered
        _expire(request)  # as its timer does
        with pytest.raises(DeadlineExceeded):
            await late
        function.let_all()
        assert await batcher.submit([2], soon()) == [20]
        assert batcher.waiting_rows == 0
        await batcher.close(1)

    run(scenario)


class NoSevens(Held):
    """Fails at any batch that has a seven in it."""

    def __call__(self, rows: list[int]) -> Sequence[int]:
        results = super().__call__(rows)
        if 7 in rows:
            raise ValueError("seven")
        return results


def test_one_bad_row_never_fails_its_neighbours(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        function = NoSevens()
        batcher = Batcher(function, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        good, bad, other = (batcher.submit([row], soon()) for row in (6, 7, 8))
        function.let_all()
        assert await asyncio.gather(first, good, other) == [[10], [60], [80]]
        with pytest.raises(InferenceFailed, match="its log says more") as caught:
            await bad
        assert str(caught.value.__cause__) == "seven"
        assert function.batches == [[1], [6, 7, 8], [6], [7], [8]]
        assert batcher.waiting_rows == 0
        await batcher.close(1)

    run(scenario)


def test_a_failure_reaches_every_caller_of_the_batch_each_with_its_own_error_and_the_worker_lives_on() -> None:
    async def scenario() -> None:
        function = Held()
        healthy = False

        def fail(rows: list[int]) -> Sequence[int]:
            results = function(rows)
            if not healthy:
                raise SystemExit("even this")
            return results

        batcher = Batcher(fail, LIMITS)
        first = batcher.submit([1], soon())
        await function.begun()
        others = [batcher.submit([2], soon()), batcher.submit([3, 4], soon())]
        function.let_all()
        errors = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(error) for error in errors] == [InferenceFailed] * 3
        assert len(set(map(id, errors))) == 3
        healthy = True
        assert await batcher.submit([5], soon()) == [50]
        await batcher.close(1)

    run(scenario)


@pytest.mark.parametrize("results", [[], [1, 2, 3]])
def test_as_many_results_must_come_back_as_rows_went_in(results: list[int]) -> None:
    async def scenario() -> None:
        batcher: Batcher[int, int] = Batcher(lambda rows: results, LIMITS)
        with pytest.raises(InferenceFailed) as caught:
            await batcher.submit([1, 2], soon())
        assert str(caught.value.__cause__) == f"{len(results)} results came back for 1 rows"
        await batcher.close(1)

    run(scenario)


def test_closing_answers_what_was_accepted_and_refuses_what_is_new() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        accepted = [batcher.submit([row], soon()) for row in range(8)]
        await function.begun()
        closing = asyncio.create_task(batcher.close(60))
        await asyncio.sleep(0)
        with pytest.raises(NotReady, match="stopping"):
            batcher.submit([9], soon())
        function.let_all()
        assert await asyncio.gather(*accepted) == [[row * 10] for row in range(8)]
        await closing
        assert not batcher.open

    run(scenario)


def test_closing_gives_up_on_a_function_that_does_not_end() -> None:
    async def scenario() -> None:
        function = Held()
        batcher = Batcher(function, LIMITS)
        answer, waits = batcher.submit([1], soon()), batcher.submit([2], soon())
        await function.begun()
        await batcher.close(0.01)
        for given_up in (answer, waits):
            with pytest.raises(NotReady, match="stopped before"):
                await given_up
        function.let_all()
        batcher._worker.join()

    run(scenario)


def test_a_worker_that_ends_after_the_event_loop_harms_nobody() -> None:
    function = Held()

    async def scenario() -> Batcher[int, int]:
        batcher = Batcher(function, LIMITS)
        batcher.submit([1], soon()).cancel()
        answer = batcher.submit([2], soon())
        await function.begun()
        await batcher.close(0.01)
        with pytest.raises(NotReady):
            await answer
        return batcher

    batcher = asyncio.run(scenario())
    function.let_all()
    batcher._worker.join()  # pytest fails the test if the thread ends by an exception

"""Decoding in processes: the same pixels, bounds of time, memory and number, and processes that end."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np
import psutil
import pytest
from PIL import Image

from models.card import ImageInput
from models.decoding import open_image
from models.image_errors import BrokenImage, TooComplex, TooManyPixels
from models.preprocessing import prepare
from service.errors import DeadlineExceeded, NotReady, Overloaded, Unavailable
from service.inference import decoding_process, decoding_processes
from service.inference.decoding_messages import ANSWER_HEAD, AnswerHead, ImpossibleAnswer, Question
from service.inference.decoding_processes import PROCESSES, DecodingProcesses
from service.inference.waiting_bytes import WaitingBytes
from tests.attacks.pictures import bmp_of_short_lines
from tests.samples import encoded

WANTED = ImageInput(height=4, width=5, channels=3, scale=1 / 255)
PIXELS = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
PHOTO = encoded(PIXELS, "JPEG")
MAX_PIXELS = 25_000_000
MOST_WAITING = 8
Scenario = Callable[[DecodingProcesses], Awaitable[None]]


@pytest.fixture(autouse=True)
def _started_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding_processes, "_START_AFTER_S", 0)


def question(content: bytes = PHOTO, *, shown: bool = False, wanted: ImageInput = WANTED) -> Question:
    return Question(content, wanted, "auto", shown)


def soon() -> float:
    return time.monotonic() + 60


def run(scenario: Scenario, *limits: float, waiting: int = 1_000_000) -> None:
    """With processes of those limits, started; none of them may be left behind. `waiting` bytes may wait."""

    async def with_processes() -> None:
        processes = DecodingProcesses(MAX_PIXELS, MOST_WAITING, WaitingBytes(waiting), *limits)
        processes.start()
        try:
            await scenario(processes)
        finally:
            await processes.close()

    asyncio.run(with_processes())
    assert children() == []


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "decoding_process" in " ".join(child.cmdline())
    ]


async def all_started(processes: DecodingProcesses) -> list[psutil.Process]:
    await until(lambda: len(processes._running) == processes._idle.qsize() == PROCESSES)
    found = children()
    assert len(found) == PROCESSES
    return found


async def all_suspended(processes: DecodingProcesses) -> list[psutil.Process]:
    """They have started, and will not answer until they are resumed."""
    found = await all_started(processes)
    for child in found:
        child.suspend()
    return found


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)


def test_the_pixels_are_those_that_are_decoded_here() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    contents = [PHOTO, encoded(PIXELS[..., 0]), encoded(PIXELS, "WEBP", exif=exif), encoded(PIXELS, "AVIF")]
    contents += [encoded(PIXELS, "HEIF"), encoded(PIXELS, "TIFF", compression="tiff_lzw"), PHOTO[:-2]]
    cards = [WANTED, ImageInput(height=28, width=28, channels=1, scale=(1 / 255), preparation="product-photo")]

    async def scenario(processes: DecodingProcesses) -> None:
        for content in contents:
            for wanted in cards:
                here = prepare(open_image(content, MAX_PIXELS), wanted)
                there = await processes.decode(question(content, shown=True, wanted=wanted), soon())
                assert np.array_equal(there.pixels, here.pixels)
                assert there.upright is not None
                assert np.array_equal(np.asarray(there.upright), np.asarray(here.upright))
                assert there.frame == here.frame

    run(scenario)


def test_what_is_wrong_with_an_image_is_told_and_the_process_goes_on() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        before = await all_started(processes)
        with pytest.raises(BrokenImage, match="JPEG image cannot be decoded: it is cut short"):
            await processes.decode(question(PHOTO[:-10_000]), soon())
        with pytest.raises(TooManyPixels, match=r"5,001 × 5,000 pixels, and at most 25,000,000"):
            await processes.decode(question(encoded(Image.new("1", (5001, 5000)))), soon())
        assert children() == before

    run(scenario)


def test_an_image_that_takes_too_long_ends_its_process_and_is_refused() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        before = await all_started(processes)
        with pytest.raises(TooComplex, match=r"more than 0\.1 s of processor time.*send a smaller one"):
            await processes.decode(question(bmp_of_short_lines()), soon())
        await all_started(processes)
        assert len({*before, *children()}) == PROCESSES + 1

    run(scenario, 1 << 30, 0.1)


def test_an_image_that_takes_too_much_memory_is_refused() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        with pytest.raises(TooComplex, match="more memory to be decoded than there is for it"):
            await processes.decode(question(encoded(Image.new("RGB", (5000, 5000)))), soon())
        await processes.decode(question(), soon())

    run(scenario, 160 << 20)


def test_the_deadline_ends_the_work_and_the_place_is_taken_until_it_has_ended() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        before = await all_suspended(processes)
        with pytest.raises(DeadlineExceeded, match="not decoded in time"):
            await processes.decode(question(), time.monotonic() + 0.05)
        assert processes._idle.qsize() == PROCESSES - 1
        await until(lambda: processes._idle.qsize() == PROCESSES)
        assert len(set(before) & set(children())) == PROCESSES - 1

    run(scenario)


def test_the_work_ends_where_nobody_waits_for_it() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        before = await all_suspended(processes)
        asking = asyncio.create_task(processes.decode(question(), soon()))
        await until(lambda: processes._idle.qsize() == PROCESSES - 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: processes._idle.qsize() == PROCESSES)
        assert len(set(before) & set(children())) == PROCESSES - 1

    run(scenario)


def test_images_that_wait_are_bounded_in_number() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        started = await all_suspended(processes)
        tasks = [asyncio.create_task(processes.decode(question(), soon())) for _ in range(PROCESSES + MOST_WAITING)]
        await until(lambda: processes._waiting == MOST_WAITING)
        with pytest.raises(Overloaded, match=f"{MOST_WAITING} images wait to be decoded, as many as may"):
            await processes.decode(question(), soon())
        for child in started:
            child.resume()
        assert len(await asyncio.gather(*tasks)) == PROCESSES + MOST_WAITING

    run(scenario)


def test_and_in_bytes() -> None:
    size = len(question().content)

    async def scenario(processes: DecodingProcesses) -> None:
        started = await all_suspended(processes)
        tasks = [asyncio.create_task(processes.decode(question(), soon())) for _ in range(PROCESSES + 2)]
        await until(lambda: processes._waiting == 2)
        with pytest.raises(Overloaded, match=f"requests of {2 * size:,} bytes wait already.* .--max-waiting-bytes"):
            await processes.decode(question(), soon())
        for child in started:
            child.resume()
        assert len(await asyncio.gather(*tasks)) == PROCESSES + 2
        assert processes._waiting_bytes.count == 0

    run(scenario, waiting=2 * size)


def test_a_process_that_ended_while_it_was_idle_is_replaced() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        before = await all_started(processes)
        for child in before:
            child.kill()
        await until(lambda: all(one.ended for one in processes._running))
        await processes.decode(question(), soon())

    run(scenario)


@pytest.mark.parametrize(
    ("ending", "error", "text"),
    [
        (signal.SIGKILL, Overloaded, "the system ended the process"),
        (signal.SIGSEGV, BrokenImage, "makes its decoder fail"),
    ],
)
def test_a_process_that_is_ended_at_work_fails_its_image_alone(
    ending: signal.Signals, error: type[Exception], text: str
) -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        before = await all_suspended(processes)
        tasks = [asyncio.create_task(processes.decode(question(), soon())) for _ in before]
        await until(processes._idle.empty)
        first, *others = before
        first.send_signal(ending)
        for child in before:
            with suppress(psutil.NoSuchProcess):  # the one that was killed
                child.resume()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [result for result in results if isinstance(result, Exception)]
        assert len(failed) == 1
        assert isinstance(failed[0], error)
        assert text in str(failed[0])
        await all_started(processes)
        assert set(others) <= set(children())

    run(scenario)


def test_where_none_can_be_started_the_image_is_refused_and_the_next_one_tries_again() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        await all_started(processes)
        command, processes._command = processes._command, ("/nowhere",)
        for child in children():
            child.kill()
        await until(lambda: all(one.ended for one in processes._running))
        with pytest.raises(Unavailable, match="cannot be decoded at present"):
            await processes.decode(question(), soon())
        processes._command = command
        await processes.decode(question(), soon())

    run(scenario)


def test_closing_ends_what_is_at_work() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        await all_suspended(processes)
        tasks = [asyncio.create_task(processes.decode(question(), soon())) for _ in range(PROCESSES)]
        await until(processes._idle.empty)
        await processes.close()
        assert children() == []
        for told in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(told, NotReady)
        with pytest.raises(NotReady):
            await processes.decode(question(), soon())

    run(scenario)


def test_processes_are_bounded_and_let_predictions_go_first() -> None:
    async def scenario(processes: DecodingProcesses) -> None:
        for child in await all_started(processes):
            assert child.nice() == min(19, psutil.Process().nice() + 10)
            assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
            assert child.rlimit(psutil.RLIMIT_DATA) == (200 << 20, 200 << 20)

    run(scenario, 200 << 20)


def test_a_process_imports_nothing_but_what_decoding_needs() -> None:
    listed = f"import sys, {decoding_process.__name__}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", listed], check=True, capture_output=True, text=True).stdout.split()
    assert {"cv2", "PIL", "models.preprocessing"} <= set(modules)
    assert not {"keras", "tensorflow", "fastapi", "starlette", "uvicorn", "asyncio", "service.errors"} & set(modules)


def head(kind: int = 0, pixels: tuple[int, ...] = (4, 5, 3), upright: tuple[int, ...] = (0, 0, 0)) -> bytes:
    return ANSWER_HEAD.pack(kind, *pixels, *upright, 0, 0, 1, 1)


def test_an_answer_is_believed_only_as_far_as_it_is_one_to_the_question() -> None:
    assert AnswerHead.read(head(), question()).size == 60
    assert AnswerHead.read(head(upright=(640, 480, 3)), question(shown=True)).size == 60 + 640 * 480 * 3
    for wrong in (
        head(pixels=(4, 5, 1)),
        head(pixels=(2**32 - 1, 5, 3)),
        head(upright=(640, 480, 3)),
        head(kind=1, pixels=(2**32 - 1, 0, 0)),
        head(kind=6),
        head(kind=255),
    ):
        with pytest.raises(ImpossibleAnswer):
            AnswerHead.read(wrong, question())
    for wrong in (head(), head(upright=(640, 480, 2)), head(upright=(2**31, 480, 3)), head(upright=(0, 480, 3))):
        with pytest.raises(ImpossibleAnswer):
            AnswerHead.read(wrong, question(shown=True))

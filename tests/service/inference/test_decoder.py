"""Decoding: small images at once, large ones off the event loop and a bounded number of them, errors passed on."""

import asyncio
import threading
import time

import numpy as np
import pytest
from PIL import Image

from models.card import ImageInput
from models.preprocessing import BrokenImage, PreparationChoice, Seen, TooManyPixels
from models.product_photo import WHOLE
from service.errors import DeadlineExceeded, Overloaded
from service.inference import decoder as decoder_module
from service.inference.decoder import DECODERS, MOST_WAITING, Decoder
from tests.samples import encoded

WANTED = ImageInput(height=4, width=4, channels=1, scale=1 / 255)
LARGE = encoded(Image.new("L", (600, 600), 200))


def soon() -> float:
    return time.monotonic() + 60


def threads_of_decoding(monkeypatch: pytest.MonkeyPatch, content: bytes) -> set[int]:
    threads = set()
    look = decoder_module.look

    def noted(image: Image.Image, wanted: ImageInput, preparation: PreparationChoice) -> Seen:
        threads.add(threading.get_ident())
        return look(image, wanted, preparation)

    monkeypatch.setattr(decoder_module, "look", noted)
    pixels = asyncio.run(Decoder(1_000_000).pixels(content, WANTED, soon()))
    assert pixels.shape == (4, 4, 1)
    assert pixels.dtype == np.uint8
    return threads


def test_a_image_of_the_networks_own_size_needs_no_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_of_decoding(monkeypatch, encoded(Image.new("L", (4, 4)))) == set()


def test_a_small_image_is_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_of_decoding(monkeypatch, encoded(Image.new("L", (28, 28)))) == {threading.get_ident()}


def test_a_large_image_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threading.get_ident() not in threads_of_decoding(monkeypatch, LARGE)


def test_what_is_wrong_with_a_image_is_passed_on() -> None:
    noise = encoded(np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8))
    with pytest.raises(TooManyPixels):
        asyncio.run(Decoder(1000).pixels(noise, WANTED, soon()))
    with pytest.raises(BrokenImage):
        asyncio.run(Decoder(100_000).pixels(noise[:-5000], WANTED, soon()))


def test_large_images_that_wait_are_bounded_in_number_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slow(image: Image.Image, wanted: ImageInput, preparation: PreparationChoice) -> Seen:
        go_on.wait()
        return Seen(np.zeros((4, 4, 1), np.uint8), image, WHOLE)

    async def fill(decoder: Decoder, waiting: int) -> None:
        while decoder._limiter.statistics().tasks_waiting < waiting:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)

    async def scenario() -> None:
        decoder = Decoder(1_000_000)
        tasks = [asyncio.create_task(decoder.pixels(LARGE, WANTED, soon())) for _ in range(DECODERS + MOST_WAITING - 1)]
        try:
            await fill(decoder, MOST_WAITING - 1)
            with pytest.raises(DeadlineExceeded, match="not decoded in time"):
                await decoder.pixels(LARGE, WANTED, time.monotonic() - 1)
            tasks.append(asyncio.create_task(decoder.pixels(LARGE, WANTED, soon())))
            await fill(decoder, MOST_WAITING)
            with pytest.raises(Overloaded, match="wait to be decoded"):
                await decoder.pixels(LARGE, WANTED, soon())
        finally:
            go_on.set()
        assert len(await asyncio.gather(*tasks)) == DECODERS + MOST_WAITING

    monkeypatch.setattr(decoder_module, "look", slow)
    asyncio.run(scenario())

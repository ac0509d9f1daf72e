"""Decoding: small images at once, large ones off the event loop, errors passed on."""

import asyncio
import threading
import time

import numpy as np
import pytest
from PIL import Image

from models.card import ImageInput
from models.decoding import BrokenImage, TooManyPixels
from models.preprocessing import PreparationChoice, PreparedImage
from service.inference import decoder as decoder_module
from service.inference.decoder import Decoder
from service.inference.thread_pool import ThreadPool
from tests.samples import encoded

WANTED = ImageInput(height=4, width=4, channels=1, scale=1 / 255)
LARGE = encoded(Image.new("L", (600, 600), 200))


def soon() -> float:
    return time.monotonic() + 60


def threads_of_decoding(monkeypatch: pytest.MonkeyPatch, content: bytes) -> set[int]:
    threads = set()
    original = decoder_module.prepare

    def noted(image: Image.Image, wanted: ImageInput, preparation: PreparationChoice) -> PreparedImage:
        threads.add(threading.get_ident())
        return original(image, wanted, preparation)

    monkeypatch.setattr(decoder_module, "prepare", noted)
    pixels = asyncio.run(Decoder(1_000_000, ThreadPool()).pixels(content, WANTED, soon()))
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
        asyncio.run(Decoder(1000, ThreadPool()).pixels(noise, WANTED, soon()))
    with pytest.raises(BrokenImage):
        asyncio.run(Decoder(100_000, ThreadPool()).pixels(noise[:-5000], WANTED, soon()))

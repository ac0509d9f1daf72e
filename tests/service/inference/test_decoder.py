"""Decoding: small pictures at once, large ones off the event loop, errors passed on."""

import asyncio
import threading

import numpy as np
import pytest
from PIL import Image

from models.card import PictureInput
from models.picture import BrokenPicture, TooManyPixels
from service.inference import decoder as decoder_module
from service.inference.decoder import Decoder
from tests.samples import encoded

WANTED = PictureInput(height=4, width=4, channels=1, scale=1 / 255)


def threads_of_decoding(monkeypatch: pytest.MonkeyPatch, content: bytes) -> set[int]:
    threads = set()
    decode = decoder_module._decode

    def noted(picture: Image.Image, wanted: PictureInput) -> np.ndarray:
        threads.add(threading.get_ident())
        return decode(picture, wanted)

    monkeypatch.setattr(decoder_module, "_decode", noted)
    values = asyncio.run(Decoder(1_000_000).network_input(content, WANTED))
    assert values.shape == (4, 4, 1)
    assert values.dtype == np.float32
    return threads


def test_a_small_picture_is_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_of_decoding(monkeypatch, encoded(Image.new("L", (28, 28)))) == {threading.get_ident()}


def test_a_large_picture_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threading.get_ident() not in threads_of_decoding(monkeypatch, encoded(Image.new("L", (600, 600))))


def test_what_is_wrong_with_a_picture_is_passed_on() -> None:
    noise = encoded(np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8))
    with pytest.raises(TooManyPixels):
        asyncio.run(Decoder(1000).network_input(noise, WANTED))
    with pytest.raises(BrokenPicture):
        asyncio.run(Decoder(100_000).network_input(noise[:-5000], WANTED))

"""Every method of the explainer: what goes in and comes out can be sent to the process that explains, and back."""

import socket
import threading
from typing import Any

import numpy as np
import pytest

from models.card import read_card
from models.decoding import open_image
from models.preprocessing import prepare, scaled
from service.explain.explainer import Explainer
from service.explain.keras_explainer import KerasExplainer, load_explainer
from service.explain.process.messages import Answer, Call, receive_answer, receive_call, send
from service.model_files.snapshot import ModelFileLimits
from tests.applications import tensorflow_engine
from tests.samples import ANKLE_BOOT, SHIPPED_MODEL

CARD = read_card(SHIPPED_MODEL)


@pytest.fixture(scope="module")
def explainer() -> KerasExplainer:
    assert CARD is not None
    engine = tensorflow_engine(SHIPPED_MODEL)
    return load_explainer(SHIPPED_MODEL, engine.card, engine.version, ModelFileLimits())


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return all(map(equal, one, other))
    return bool(np.array_equal(one, other))


def sent(message: Any, receive: Any) -> Any:
    """What comes out of the other end of a connection."""
    one, other = socket.socketpair()
    with one, other:
        threading.Thread(target=send, args=(one, message)).start()
        return receive(other)


def test_what_each_method_takes_and_gives_can_be_sent_to_another_process(explainer: KerasExplainer) -> None:
    assert CARD is not None
    prepared = prepare(open_image(ANKLE_BOOT.read_bytes(), 1_000_000), CARD.input)
    image = scaled(prepared.pixels, CARD.input)
    calls: dict[str, tuple[Any, ...]] = {
        "summary_table": (),
        "draw_diagram": ("png",),
        "kernels": ("conv2d_1", 3),
        "draw_kernels": (None, None, "fixed", "svg"),
        "feature_maps": (image, "conv2d", 100_000),
        "layer_output": (image, "conv2d", 100_000),
        "draw_feature_maps": (image, None, True, "png"),
        "attribution": (image, "grad-cam", None),
        "draw_attribution": (prepared, image, "saliency", 3, "png"),
        "trace": (image, "conv2d", 0, 5, 5),
    }
    assert calls.keys() == {name for name in vars(Explainer) if not name.startswith("_")}
    for name, given in calls.items():
        (_, method, arguments, _), _ = sent(Call(1, name, given), receive_call)
        found = getattr(explainer, method)(*arguments)
        assert equal(found, sent(tuple(Answer(found)), receive_answer).result()), name


def test_what_is_explained_is_made_once_for_a_version(explainer: KerasExplainer) -> None:
    assert CARD is not None
    image = np.zeros((28, 28, 1), np.float32)
    explainer.attribution(image, "saliency", None)
    scored = explainer._scored
    explainer.attribution(image, "saliency", 3)
    assert explainer._scored is scored

"""A browser for the tests of the page."""

from collections.abc import Callable, Iterator

import keras
import pytest
from keras import layers
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.browser import CHROMIUM, is_own, wait_until_it_explains
from tests.processes import Service, running_service


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
    )
    yield browser
    browser.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages; none of them may fail in silence or ask another host."""
    complaints: list[str] = []
    contexts = []

    def open_page(url: str, **options: object) -> Page:
        context = browser.new_context(**{"locale": "en-US", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: None if is_own(request.url, url) else complaints.append(request.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(opened: Callable[..., Page], service: Service) -> Page:
    page = opened(service.url)
    expect(page.locator("#status")).to_have_text("Ready. Give it a picture.")
    return page


@pytest.fixture(scope="session")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A network of 96×96×3 with every way of reading that the page explains."""
    keras.utils.set_random_seed(3)
    image = keras.Input((96, 96, 3))
    start = layers.Rescaling(1 / 127.5, -1, name="rescale")(image)
    start = layers.Conv2D(6, 3, strides=2, padding="valid", activation="relu", name="strided")(start)
    start = layers.AveragePooling2D(3, strides=2, padding="same", name="mean")(start)
    start = layers.ZeroPadding2D(1, name="zeros")(start)
    start = layers.DepthwiseConv2D(3, padding="valid", name="depthwise")(start)
    start = layers.ReLU(6.0, name="relu6")(layers.BatchNormalization(name="normal")(start))
    apart = layers.Conv2D(6, 3, dilation_rate=2, padding="same", name="apart")(start)
    start = layers.Activation("relu", name="rectified")(layers.Add(name="added")([start, apart]))
    pooled = layers.GlobalAveragePooling2D(name="whole")(start)
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="classes")(pooled))
    file = tmp_path_factory.mktemp("varied") / "varied.keras"
    model.save(file)
    with running_service("--model-path", file) as service:
        wait_until_it_explains(service)
        yield service

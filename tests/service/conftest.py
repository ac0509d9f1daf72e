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


@pytest.fixture(scope="module")
def explaining(service: Service) -> None:
    """Its first explanation waits for TensorFlow; the tests that use this do not."""
    wait_until_it_explains(service)


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
    start = layers.Dense(6, name="weighed")(start)
    pooled = layers.GlobalAveragePooling2D(name="whole")(start)
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="classes")(pooled))
    file = tmp_path_factory.mktemp("varied") / "varied.keras"
    model.save(file)
    with running_service("--model-path", file) as service:
        wait_until_it_explains(service)
        yield service


@pytest.fixture(scope="session")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A network of 28×28×3 with branches, and with layers of which less is true than of those that one expects."""
    keras.utils.set_random_seed(4)
    image = keras.Input((28, 28, 3))
    start = layers.Conv2D(6, 1, padding="same", name="start")(image)
    start = layers.Conv2D(6, 3, padding="same", groups=3, activation=layers.ReLU(), name="grouped")(start)
    left = layers.MaxPooling2D(2, padding="same", name="pooled")(start)
    right = layers.Conv2D(4, 1, strides=2, activation="softmax", name="strided")(start)
    left = layers.SpatialDropout2D(0.125, name="dropped")(left)
    right = layers.ReLU(negative_slope=0.2, threshold=0.5, name="cut")(right)
    apart = layers.LeakyReLU(0.0003, name="leaky")(layers.SeparableConv2D(5, 3, strides=3, name="apart")(left))
    single = layers.DepthwiseConv2D(1, dilation_rate=2, name="single")(right)
    right = layers.Dense(3, activation="softmax", name="weighed")(right)
    whole = layers.GlobalAveragePooling2D(name="whole")(single * 2.0)
    flat = [layers.Flatten(name=name)(maps) for name, maps in (("left", left), ("right", right), ("last", apart))]
    both = layers.Concatenate(name="both")([*flat, whole])
    model = keras.Model(image, layers.Dense(3, activation="softmax", name="classes")(both))
    file = tmp_path_factory.mktemp("branched") / "branched.keras"
    model.save(file)
    with running_service("--model-path", file) as service:
        wait_until_it_explains(service)
        yield service

"""What is opened below the layers: how sizes change, the kernels, and the network as a drawing."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import pytest
from axe_playwright_python.sync_playwright import Axe
from keras import layers
from playwright.sync_api import Page, expect

from service.explain.drawing.diagram import NO_GRAPHVIZ
from tests.browser import (
    CHROMIUM,
    answered,
    give,
    open_map,
    shown,
)
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, left_out_without

pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    pytest.mark.usefixtures("explaining"),
]


def loaded(page: Page, part: str) -> None:
    expect(page.locator(f"#{part} .drawing img")).not_to_have_js_property("naturalWidth", 0)


def test_kernels_and_the_drawing_of_the_network_are_asked_for_when_they_are_opened(
    opened: Callable[..., Page], service: Service
) -> None:
    asked: list[str] = []
    page = opened(service.url)
    page.on("request", lambda request: asked.append(request.url.removeprefix(service.url)))
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    assert not [address for address in asked if address.startswith(("/plot/kernels?", "/plot?"))]
    page.locator("#kernels summary").click()
    loaded(page, "kernels")
    expect(page.locator("#kernels img")).to_have_attribute(
        "alt", "The kernels of conv2d and the histogram of its weights"
    )
    page.select_option("#kernels-layer", "conv2d_1")
    loaded(page, "kernels")
    page.locator("#diagram summary").click()
    page.select_option("#diagram-style", "blocks")
    loaded(page, "diagram")
    assert [address for address in asked if "kernels" in address] == [
        f"/plot/kernels?layer={layer}&format=png" for layer in ("conv2d", "conv2d_1")
    ]
    assert "/plot?style=blocks&format=png" in asked


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_the_network_is_drawn_as_keras_draws_it(opened: Callable[..., Page], service: Service) -> None:
    page = opened(service.url, color_scheme="dark")
    page.locator("#diagram summary").click()
    loaded(page, "diagram")
    # Dark lines on a light ground, in dark mode as well.
    expect(page.locator("#diagram img")).to_have_css("background-color", "rgb(255, 255, 255)")


def test_where_graphviz_is_missing_it_is_told_and_the_blocks_are_drawn(
    opened: Callable[..., Page], service: Service
) -> None:
    page = opened(service.url)
    problem = {"title": "Service Unavailable", "status": 503, "detail": NO_GRAPHVIZ}
    page.route("**/plot?style=graph&*", lambda route: route.fulfill(status=503, json=problem))
    page.locator("#diagram summary").click()
    expect(page.locator("#diagram [role=status]")).to_contain_text("needs Graphviz, which is not installed where the")
    page.select_option("#diagram-style", "blocks")
    loaded(page, "diagram")
    expect(page.locator("#diagram [role=status]")).to_be_empty()


def test_a_model_without_convolutions_says_so_and_has_no_sliders(opened: Callable[..., Page], tmp_path: Path) -> None:
    stack = [layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, "softmax")]
    keras.Sequential(stack).save(tmp_path / "dense.keras")
    with running_service("--model-path", tmp_path / "dense.keras") as service:
        page = opened(service.url)
        expect(page.locator("#sum")).to_have_text("Parameters: 195, in 1 of 2 layers.")
        page.locator("#kernels summary").click()
        expect(page.locator("#kernels [role=status]")).to_have_text(
            "This model has no convolution, so there are no kernels to draw."
        )
        expect(page.locator("#kernels-choice")).to_be_hidden()
        expect(page.locator("#sizes")).to_be_hidden()


def test_the_drawings_are_sent_the_key(opened: Callable[..., Page]) -> None:
    with running_service("--api-keys", hashlib.sha256(b"sesame").hexdigest()) as closed:
        page = opened(closed.url)
        page.fill("#key", "sesame")
        page.press("#key", "Enter")
        expect(page.locator("#sum")).to_contain_text("333,526")
        page.locator("#kernels summary").click()
        loaded(page, "kernels")


def test_the_sizes_that_the_page_tells_are_those_of_keras(page: Page) -> None:
    settings = [
        (extent, size, stride, dilation, padding)
        for extent in (1, 2, 5, 7, 28, 33, 96)
        for size in (1, 2, 3, 4, 5, 11)
        for stride, dilation in ((1, 1), (2, 1), (3, 1), (5, 1), (1, 2), (1, 3))
        for padding in ("valid", "same")
        if padding == "same" or (size - 1) * dilation + 1 <= extent
    ]
    found = page.evaluate(
        """async (settings) => {
          const { alongEdge } = await import("/web/windows.js");
          return settings.map(([extent, size, stride, dilation, padding]) =>
            alongEdge(extent, { size, stride, dilation, padding }).count);
        }""",
        settings,
    )
    for (extent, size, stride, dilation, padding), count in zip(settings, found, strict=True):
        convolution = layers.Conv2D(1, size, strides=stride, dilation_rate=dilation, padding=padding)
        assert convolution.compute_output_shape((1, extent, extent, 1))[1:3] == (count, count)
        if dilation == 1:
            pooling = layers.MaxPooling2D(size, strides=stride, padding=padding)
            assert pooling.compute_output_shape((1, extent, extent, 1))[1:3] == (count, count)


def test_the_sliders_start_at_the_layers_numbers_and_follow_the_layer_that_is_chosen(
    opened: Callable[..., Page], varied: Service
) -> None:
    page = shown(opened, varied)
    page.locator("#sizes summary").click()
    result, formula = page.locator("#sizes-result"), page.locator("#sizes-formula")
    expect(result).to_have_text("96×96 becomes 47×47.")
    expect(formula).to_have_text("⌊(96 − 3) / 2⌋ + 1 = 47. At the end 1 are left over, and are not read.")
    open_map(page, "apart", 0)
    expect(page.locator("#sizes-layer")).to_have_value("apart")
    expect(result).to_have_text("24×24 becomes 24×24.")
    expect(page.locator("#sizes-dilation")).to_contain_text("a kernel of 3 reaches over 5 places")
    # Keras refuses a stride beside a dilation.
    expect(page.locator("#sizes-stride")).to_have_attribute("max", "1")
    expect(page.locator("#sizes-dilation")).to_contain_text("The stride stays 1")
    page.select_option("#sizes-layer", "mean")
    expect(formula).to_contain_text("⌈47 / 2⌉ = 24. 1 before and 1 after the edge are padding")
    page.select_option("#sizes-padding", "valid")
    expect(formula).to_contain_text("⌊(47 − 3) / 2⌋ + 1 = 23. All of the input is read")
    page.locator("#sizes-stride").fill("3")
    expect(result).to_have_text("47×47 becomes 15×15.")
    page.locator("#sizes-size").fill("2")
    expect(formula).to_contain_text("Keras refuses such a layer")
    expect(page.locator("#sizes-out")).to_be_hidden()
    page.click("#sizes-real")
    expect(result).to_have_text("47×47 becomes 24×24.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_of_the_lessons_keeps_people_from_using_them(
    opened: Callable[..., Page], varied: Service, scheme: str, width: int
) -> None:
    page = shown(opened, varied, color_scheme=scheme, viewport={"width": width, "height": 900})
    open_map(page, "apart", 2)
    for part in ("sizes", "kernels", "diagram"):
        page.locator(f"#{part} summary").click()
    page.select_option("#diagram-style", "blocks")
    loaded(page, "kernels")
    loaded(page, "diagram")
    violations = Axe().run(page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(
        "[...document.querySelectorAll('main > section')].every((p) => p.scrollWidth <= p.clientWidth)"
    )

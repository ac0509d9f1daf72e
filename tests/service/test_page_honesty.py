"""What the page says of any model: how sure it is, what it does not know, what fits that model, and nothing stale."""

import hashlib
import io
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import keras
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser import BAG, CHROMIUM, answered, first_held, give, wait_until_it_explains
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, left_out_without

pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    pytest.mark.usefixtures("explaining"),
]


@pytest.fixture(scope="module")
def fruit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A network of 32×32×3 → 3 without a card, with layers that have no arithmetic or make nothing to be drawn."""
    path = tmp_path_factory.mktemp("fruit") / "fruit.keras"
    layers = keras.layers
    keras.utils.set_random_seed(1)
    parts = [layers.DepthwiseConv2D(3), layers.Reshape((900, 3)), layers.Conv1D(4, 9, strides=9), layers.Flatten()]
    keras.Sequential([layers.Input((32, 32, 3)), *parts, layers.Dense(3, "softmax")]).save(path)
    path.with_name("labels.txt").write_text("apple\nbanana\ncherry\n")
    with running_service("--model-path", path) as service:
        yield service


def answer_of(route: Route) -> dict[str, Any]:
    """The service's answer to the bag: what the browser sends cannot be read here."""
    answer: dict[str, Any] = httpx.post(route.request.url, files={"file": BAG.read_bytes()}).json()
    return answer


def with_probabilities(page: Page, *probabilities: float) -> None:
    """Let the service be as sure as that of the first classes."""

    def change(route: Route) -> None:
        answer = answer_of(route)
        for entry, probability in zip(answer["probabilities"], probabilities, strict=False):
            entry["probability"] = probability
        route.fulfill(json={**answer, "probability": probabilities[0]})

    page.route("**/predict?*", change)


@pytest.mark.parametrize(
    ("probabilities", "shown"),
    [
        ((0.99999, 0.00001, 0.0), [">99.9%", "<0.1%", "0%"]),
        ((1.0, *[0.0] * 9), ["100%", "0%", "0%"]),
        ((1.0, 1e-9, 0.0), [">99.9%", "<0.1%", "0%"]),
        ((0.9994, 0.0006, 0.0004), ["99.9%", "0.1%", "<0.1%"]),
        ((0.9996, 0.0004, 0.0), [">99.9%", "<0.1%", "0%"]),
    ],
)
def test_what_is_nearly_certain_is_not_said_to_be_certain(
    page: Page, probabilities: tuple[float, ...], shown: list[str]
) -> None:
    with_probabilities(page, *probabilities)
    give(page, BAG)
    expect(page.locator("#label")).to_have_text(f"Bag, {shown[0]}")
    assert page.locator("#bars .value").all_inner_texts()[:3] == shown


def test_what_is_less_probable_than_all_others_together_is_not_said_to_be_it(page: Page) -> None:
    with_probabilities(page, 0.49, 0.48, 0.03)
    give(page, BAG)
    expect(page.locator("#status")).to_contain_text("Most probable, though not certain: Bag. Model version")


def test_an_unfamiliar_picture_is_warned_of_in_a_box_beside_the_answer(page: Page) -> None:
    familiarity = page.locator("#familiarity")
    give(page, BAG)
    answered(page, "Bag")
    expect(familiarity).to_have_class("quiet")
    expect(familiarity).to_have_text(re.compile("^>?[0-9]+% of the validation pictures are less typical"))
    page.click("#open-drawing")
    page.click("#use-drawing")
    expect(familiarity).to_have_class("warning")
    expect(familiarity).to_contain_text("take the answer with care")
    expect(page.locator("#status")).to_contain_text("take the answer with care")
    assert familiarity.evaluate("box => getComputedStyle(box).borderStyle") == "solid"


def test_where_a_model_has_no_ood_score_the_page_says_that_nobody_knows(
    opened: Callable[..., Page], fruit: Service
) -> None:
    page = opened(fruit.url)
    give(page, BAG)
    expect(page.locator("#familiarity")).to_contain_text("is not known: this model has no out-of-distribution score")


def test_the_arithmetic_of_another_place_does_not_stand_while_the_next_is_computed(page: Page) -> None:
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    page.locator("#stages .maps button").first.click()
    expect(page.locator("#value")).to_be_visible()
    held: list[Route] = []
    page.route("**/trace?*", lambda route: held.append(route))  # noqa: PLW0108 - it is looked into
    page.fill("#row", "3")
    page.press("#row", "Tab")
    expect(page.locator("#arithmetic")).to_have_text("Waiting for the answer …")
    first_held(page, held).fulfill(status=504, json={"status": 504, "detail": "this was not explained within 10 s"})
    expect(page.locator("#error")).to_have_text("This took too long: this was not explained within 10 s")
    expect(page.locator("#arithmetic")).to_be_empty()


def test_what_another_version_explains_is_not_shown_with_this_answer(page: Page) -> None:
    def change(route: Route) -> None:
        layers = httpx.post(route.request.url, files={"file": BAG.read_bytes()}, timeout=60).text
        route.fulfill(body=layers, content_type="application/json", headers={"Model-Version": "0123456789ab"})

    page.route("**/plot/**", change)
    give(page, BAG)
    answered(page, "Bag")
    expect(page.locator("#maps-note")).to_contain_text("another version of the model answers")
    expect(page.locator("#stages .maps")).to_have_count(0)
    page.locator("#bars button").first.click()
    expect(page.locator("#error")).to_contain_text("another version of the model answers")


def test_an_answer_of_another_version_brings_that_models_card(page: Page) -> None:
    def change(route: Route) -> None:
        answer = answer_of(route)
        answer["model"]["version"] = "0123456789ab"
        route.fulfill(json=answer)

    page.route("**/predict?*", change)
    before = page.locator(".curves").get_attribute("src")
    with page.expect_request("**/model-card*"):
        give(page, BAG)
    answered(page, "Bag")
    expect(page.locator(".curves")).not_to_have_attribute("src", before or "")


def test_the_services_english_follows_a_sentence_in_the_pages_language(
    opened: Callable[..., Page], service: Service, tmp_path: Path
) -> None:
    page = opened(service.url, locale="ko-KR")
    notes = tmp_path / "notes.txt"
    notes.write_text("no picture")
    give(page, notes)
    expect(page.locator("#error")).to_contain_text("서비스가 이 파일을 읽을 수 없습니다: ")
    expect(page.locator("#error")).to_contain_text("not an image in a format that is read here")


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_the_learning_curves_are_as_bright_as_the_page(
    opened: Callable[..., Page], service: Service, scheme: str, bright: bool
) -> None:
    page = opened(service.url, color_scheme=scheme)
    curves = page.locator(".curves")
    expect(curves).not_to_have_js_property("naturalWidth", 0)
    pixels = np.asarray(Image.open(io.BytesIO(curves.screenshot())).convert("L"))
    assert (np.median(pixels) > 128) == bright
    # Lines and words stand out from that ground.
    assert np.abs(pixels.astype(int) - np.median(pixels)).max() > 100


def test_a_layer_without_arithmetic_or_maps_is_said_to_have_none(opened: Callable[..., Page], fruit: Service) -> None:
    wait_until_it_explains(fruit)
    page = opened(fruit.url)
    give(page, BAG)
    page.locator("#stages .maps button").first.click()
    expect(page.locator("#arithmetic")).to_contain_text("How a DepthwiseConv2D comes to its values is not worked out")
    stage = page.locator("#stages .stage", has_text="conv1d")
    expect(stage).to_contain_text("Nothing is drawn of what this layer makes")


def test_a_model_of_other_things_offers_no_clothing(opened: Callable[..., Page], fruit: Service) -> None:
    page = opened(fruit.url)
    expect(page.locator("#status")).to_have_text("Ready. Give it a picture.")
    expect(page.locator("#samples button")).to_have_count(0)
    page.click("#open-drawing")
    expect(page.locator("#drawing-text")).to_have_text("This network knows: apple, banana, cherry")
    # Photographs are rarely light on black.
    expect(page.locator("#paper")).to_have_css("background-color", "rgb(255, 255, 255)")
    with page.expect_request("**/predict?*"):
        page.click("#use-drawing")
    expect(page.locator("#label")).not_to_be_empty()
    white = page.locator("#sent").evaluate("canvas => [...canvas.getContext('2d').getImageData(9, 9, 1, 1).data]")
    assert white == [255, 255, 255, 255]


def run(command: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_command_of_a_sample_runs_in_an_empty_folder(page: Page, tmp_path: Path) -> None:
    page.locator("#samples button").nth(8).click()
    answered(page, "Bag")
    expect(page.locator("#save")).to_be_hidden()
    assert '"label":"Bag"' in run(page.locator("#curl").inner_text(), tmp_path)


@pytest.mark.parametrize("name", ["my bag.png", 'a "bag", $HOME; it\'s `mine`!.png'])
def test_the_command_names_the_persons_file_as_it_is_called(page: Page, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(BAG.read_bytes())
    give(page, file)
    answered(page, "Bag")
    expect(page.locator("#save")).to_be_hidden()
    assert '"label":"Bag"' in run(page.locator("#curl").inner_text(), tmp_path)


def test_what_is_in_no_file_yet_can_be_saved_where_the_command_finds_it(page: Page, tmp_path: Path) -> None:
    page.click("#open-drawing")
    page.click("#use-drawing")
    expect(page.locator("#save")).to_have_text("Save it as drawing.png, so that the command finds it")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / download.value.suggested_filename)
    label = page.locator("#label").inner_text().partition(",")[0]
    assert f'"label":"{label}"' in run(page.locator("#curl").inner_text(), tmp_path)


def test_the_command_of_a_service_with_keys_takes_one_from_the_environment(opened: Callable[..., Page]) -> None:
    key = "sesame"
    with running_service("--engine", "fake", "--api-keys", hashlib.sha256(key.encode()).hexdigest()) as closed:
        page = opened(closed.url)
        page.fill("#key", key)
        page.press("#key", "Enter")
        expect(page.locator("#key-form")).to_be_hidden()
        give(page, BAG)
        expect(page.locator("#label")).not_to_be_empty()
        command = page.locator("#curl").inner_text()
        assert key not in command
        assert '"label"' in run(f"API_KEY={key}; cd {BAG.parent}; {command}", BAG.parent)
        assert httpx.get(f"{closed.url}/model-card").status_code == httpx.codes.UNAUTHORIZED

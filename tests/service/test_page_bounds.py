"""The page with what is large, refused, or answered by something else than the service."""

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import keras
import numpy as np
import pytest
from PIL import Image, ImageCms
from playwright.sync_api import Page, Route, expect

from tests.browser import BAG, CHROMIUM, answered, first_held, give
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, DRAWINGS, left_out_without

pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    pytest.mark.usefixtures("explaining"),
]


HTML = {"content_type": "text/html", "body": "<html><title>nginx</title></html>"}
NOTE = """() => {
  window.sent = [];
  const own = window.fetch;
  window.fetch = (address, options) => {
    if (options?.body) window.sent.push(options.body.get("file").size);
    return own(address, options);
  };
}"""


def swapped_profile() -> bytes:
    """A colour profile in which red is green: whoever follows it shows other colours than the pixels say."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


def photograph() -> bytes:
    """12 megapixels of a handbag on red paper, with a sensor's noise, stored lying down as phones do."""
    drawing = next(file for file in DRAWINGS if "bag" in file.name)
    paper = Image.new("RGB", (3000, 4000), (250, 150, 150))
    bag = Image.open(drawing).convert("RGBA").resize((1800, 1800))
    paper.paste(bag, (600, 1100), bag)
    pixels = np.asarray(paper, np.int16) + np.random.default_rng(4).integers(-12, 13, (4000, 3000, 3), np.int16)
    lying = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = io.BytesIO()
    lying.save(content, "JPEG", quality=90, exif=exif, icc_profile=swapped_profile())
    return content.getvalue()


def test_a_large_photograph_is_sent_smaller_and_gets_the_same_answer(
    page: Page, service: Service, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(photograph())
    assert photo.stat().st_size > 1_000_000
    whole = httpx.post(f"{service.url}/predict", files={"file": photo.read_bytes()}, timeout=60).json()
    page.evaluate(NOTE)
    with page.expect_response("**/predict?*") as response:
        give(page, photo)
    answered(page, whole["label"])
    expect(page.locator("#shrunk")).to_have_text("(sent smaller: 1200×1600 pixels instead of 3000×4000)")
    assert page.evaluate("window.sent[0]") < 1_000_000
    probability = {entry["index"]: entry["probability"] for entry in response.value.json()["probabilities"]}
    for entry in whole["probabilities"]:
        assert probability[entry["index"]] == pytest.approx(entry["probability"], abs=0.05)
    # Upright, and in the colours that the service sees, whatever a profile says of them.
    red, green, _ = page.locator("#sent").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(canvas.width / 2, 20, 1, 1).data].slice(0, 3)"
    )
    assert red > green + 50


@pytest.mark.parametrize("size", [None, 1_500_000])
def test_small_pictures_and_what_the_browser_cannot_decode_are_sent_as_they_are(
    page: Page, tmp_path: Path, size: int | None
) -> None:
    file = BAG
    if size:
        file = tmp_path / "photo.heic"
        file.write_bytes(b"\0\0\0\x18ftypheic" + bytes(size))
    page.evaluate(NOTE)
    with page.expect_response("**/predict?*"):
        give(page, file)
    assert page.evaluate("window.sent[0]") == file.stat().st_size
    if size:
        expect(page.locator("#error")).to_contain_text("the HEIF image cannot be read")
    else:
        answered(page, "Bag")
        expect(page.locator("#shrunk")).to_be_empty()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ({"status": 413, **HTML}, "as much as the 0 MB of this picture (413)"),
        ({"status": 502, **HTML}, "answers in its place (502)"),
        ({"status": 504, **HTML}, "answers in its place (504)"),
        ({"status": 403, **HTML}, "Something else than this service has answered (403)"),
        ({"status": 200, **HTML}, "Something else than this service has answered (200)"),
        ({"status": 503, "json": {"message": "no healthy upstream"}}, "answers in its place (503)"),
        (
            {"status": 422, "json": {"status": 422, "detail": "the image is damaged"}},
            ": the image is damaged",
        ),
        (None, "The service cannot be reached"),
    ],
)
def test_a_refusal_is_told_in_words_and_nothing_of_the_answer_before_stays(
    page: Page, refusal: dict[str, Any] | None, words: str
) -> None:
    give(page, BAG)
    answered(page, "Bag")
    page.locator("#stages .maps button").first.click()
    expect(page.locator("#value")).to_be_visible()
    held: list[Route] = []
    page.route("**/predict?*", lambda route: held.append(route))  # noqa: PLW0108 - it is looked into
    give(page, ANKLE_BOOT)
    expect(page.locator("#status")).to_have_text("Waiting for the answer …")
    for part in ("#answer", "#detail"):
        expect(page.locator(part)).to_be_hidden()
    expect(page.locator("#stages .maps")).to_have_count(0)
    if refusal:
        first_held(page, held).fulfill(**refusal)
    else:
        first_held(page, held).abort()
    expect(page.locator("#error")).to_contain_text(words)
    expect(page.locator("#status")).to_be_empty()
    expect(page.locator("#answer")).to_be_hidden()
    expect(page.locator("#stages .maps")).to_have_count(0)


def test_a_device_that_is_offline_is_told_so_and_the_next_picture_works(page: Page) -> None:
    page.context.set_offline(True)
    page.locator("#samples button").nth(8).click()
    expect(page.locator("#error")).to_contain_text("This device is offline")
    page.context.set_offline(False)
    page.locator("#samples button").nth(8).click()
    answered(page, "Bag")
    expect(page.locator("#error")).to_be_empty()


def test_a_late_refusal_of_an_earlier_picture_is_not_shown(page: Page) -> None:
    held: list[Route] = []
    page.route("**/predict?*", lambda route: route.continue_() if held else held.append(route))
    give(page, ANKLE_BOOT)
    late = first_held(page, held)
    give(page, BAG)
    answered(page, "Bag")
    with page.expect_response("**/predict?*"):
        late.fulfill(status=502, **HTML)
    page.evaluate("new Promise(requestAnimationFrame)")
    answered(page, "Bag")
    expect(page.locator("#error")).to_be_empty()


@pytest.fixture(scope="module")
def large_models(bare_model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A network of 224×224×3 → 1,000 with many layers, whose classes have numbers for names; and a small one."""
    folder = tmp_path_factory.mktemp("large")
    layers = keras.layers
    keras.utils.set_random_seed(1)
    first = [layers.Conv2D(24, 3, padding="same"), layers.AveragePooling2D(8)]
    last = [layers.GlobalAveragePooling2D(), layers.Dense(1000, "softmax")]
    keras.Sequential([layers.Input((224, 224, 3)), *first, *(layers.ReLU() for _ in range(24)), *last]).save(
        folder / "large.keras"
    )
    (folder / "large.labels.txt").write_text("\n".join(map(str, range(1, 1001))))
    shutil.copy(bare_model_file, folder / "letters.h5")
    (folder / "letters.labels.txt").write_text("a\nA\nb\n")
    with running_service("--model-path", folder) as service:
        yield service


def test_of_a_large_model_the_answer_comes_alone_and_the_rest_in_pieces(
    opened: Callable[..., Page], large_models: Service
) -> None:
    page = opened(large_models.url, viewport={"width": 390, "height": 900})
    expect(page.locator("#model")).to_contain_text("large, version ")
    expect(page.locator("#model")).to_contain_text("1,000 classes, pictures of 224×224×3")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    give(page, DRAWINGS[0])
    expect(page.locator("#status")).to_contain_text("Model version")
    assert posts[0].startswith(f"{large_models.url}/predict?")
    # The most probable classes, and any other one by its name; explained is the one of that name and not that number.
    bars = page.locator("#bars button")
    expect(bars).to_have_count(20)
    expect(page.locator("#classes-note")).to_have_text("The 20 most probable of 1,000 classes.")
    page.fill("#find-class", "77")
    expect(page.locator("#classes-note")).to_have_text(re.compile("^19 found among"))
    expect(bars).to_have_count(19)
    bars.get_by_text("77", exact=True).click()
    expect(page.locator("#why")).to_contain_text("Red speaks for “77”")
    # Of the layers only those in view are asked for, each alone, and as a picture what is too much.
    stages = page.locator("#stages .stage")
    expect(stages).to_have_count(1 + 24)
    stages.nth(1).scroll_into_view_if_needed()
    expect(stages.nth(1).locator("img")).to_be_visible()
    stages.nth(2).scroll_into_view_if_needed()
    expect(stages.nth(2).locator(".maps button")).to_have_count(24)
    stages.nth(3).scroll_into_view_if_needed()
    stages.nth(3).locator(".maps button").first.click()
    # That layer has no arithmetic to be shown, but its values are the service's.
    _, number, _, layer = page.locator("#detail-title").inner_text().split()
    url = f"{large_models.url}/plot/feature-maps?format=json&layer={layer}"
    numbers = httpx.post(url, content=DRAWINGS[0].read_bytes(), timeout=60).json()["layers"][0]
    largest = max(max(row) for row in numbers["maps"][int(number)])
    expect(page.locator("#arithmetic")).to_contain_text(f"value = {largest:.4f}")
    named = stages.nth(3).locator(".maps button").evaluate_all("all => all.map((one) => one.title)")
    assert named == [f"Map {number} of {layer}" for number in range(24)]
    maps = [post for post in posts if "feature-maps" in post]
    assert all("layer=" in post for post in maps)
    assert len(maps) < 24
    page.select_option("#part", index=1)
    stages.nth(3).scroll_into_view_if_needed()
    expect(stages.nth(3).locator(".output .bar")).to_have_count(20)
    expect(stages.nth(3)).to_contain_text("and 980 more")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_another_model_can_be_chosen_and_every_call_asks_it(opened: Callable[..., Page], large_models: Service) -> None:
    page = opened(large_models.url)
    page.select_option("#which-model", "letters")
    expect(page.locator("#model")).to_contain_text("letters, version ")
    expect(page.locator("#samples button")).to_have_count(0)
    expect(page.locator("#card-text")).to_contain_text("This file says nothing of how it was trained.")
    expect(page.locator("#card-text")).to_contain_text("Only assumed, so look whether it is right: pixels 0..1")
    give(page, BAG)
    expect(page.locator("#status")).to_contain_text("Model version")
    assert page.locator("#curl").inner_text().endswith('&model=letters"')
    for name in ("A", "a"):
        page.locator("#bars").get_by_text(name, exact=True).click()
        expect(page.locator("#why")).to_contain_text(f"Red speaks for “{name}”")
    expect(page.locator("#stages .maps button")).to_have_count(8)
    versions = json.loads(httpx.post(f"{large_models.url}/v2/repository/index").text)
    (version,) = (model["version"] for model in versions if model["name"] == "letters")
    assert f"version {version}" in page.locator("#model").inner_text()


def test_a_model_that_is_not_there_is_told(opened: Callable[..., Page], large_models: Service) -> None:
    page = opened(f"{large_models.url}/?model=none")
    expect(page.locator("#error")).to_contain_text("there is no model 'none'; there are 'large', 'letters'")

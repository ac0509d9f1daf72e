"""The page at /, in a real browser on a real service: every way of giving a picture, and everything that it shows."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from models.card import ClassFigures, Evaluation, Score, read_card, write_card
from tests.browser import BAG, CHROMIUM, answered, first_held, give, traced
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, left_out_without

pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    pytest.mark.usefixtures("explaining"),
]

WEB = Path(__file__).parents[2] / "service" / "web"


def test_a_sample(page: Page) -> None:
    samples = page.locator("#samples button")
    expect(samples).to_have_count(10)
    samples.nth(9).click()
    answered(page, "Ankle boot")


def test_a_file(page: Page) -> None:
    give(page, BAG)
    answered(page, "Bag")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_that_is_dropped_or_pasted(page: Page, way: str) -> None:
    page.evaluate(
        """([way, bytes]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(bytes)], "bag.png", { type: "image/png" }));
          const event = way === "drop"
            ? new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: carried, bubbles: true });
          document.body.dispatchEvent(event);
        }""",
        [way, list(BAG.read_bytes())],
    )
    answered(page, "Bag")


def test_the_camera(page: Page) -> None:
    page.click("#open-camera")
    expect(page.locator("#video")).to_have_js_property("paused", False)
    expect(page.locator("#video")).not_to_have_js_property("videoWidth", 0)
    page.click("#take-picture")
    expect(page.locator("#camera")).not_to_be_visible()
    expect(page.locator("#status")).to_contain_text("Model version")


def test_without_a_camera_the_page_says_so(page: Page) -> None:
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('none')); }")
    page.click("#open-camera")
    expect(page.locator("#error")).to_contain_text("There is no camera here")


def test_a_drawing(page: Page) -> None:
    page.click("#open-drawing")
    box = page.locator("#paper").bounding_box()
    assert box is not None
    x, y = box["x"], box["y"]
    # A pair of trousers.
    for leg in (100, 170):
        page.mouse.move(x + 135, y + 30)
        page.mouse.down()
        for step in range(11):
            page.mouse.move(x + 135 + (leg - 135) * step / 10, y + 30 + 22 * step)
        page.mouse.up()
    page.click("#use-drawing")
    answered(page, "Trouser")


def test_the_bars_are_the_apis_numbers(page: Page, service: Service) -> None:
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    answer = httpx.post(f"{service.url}/predict", files={"file": ANKLE_BOOT.read_bytes()}).json()
    bars = page.locator("#bars button")
    expect(bars).to_have_count(10)
    for bar, entry in zip(bars.all(), answer["probabilities"], strict=True):
        expect(bar).to_contain_text(entry["label"])
        shown = float(bar.locator(".value").inner_text().strip("<>%"))
        assert shown == pytest.approx(100 * entry["probability"], abs=0.11)
    assert f"{100 * answer['familiarity']:.0f}%" in page.locator("#familiarity").inner_text()
    assert answer["model"]["version"] in page.locator("#status").inner_text()


def test_one_call_for_the_answer_and_one_for_the_insides(page: Page) -> None:
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url) if request.method == "POST" else None)
    give(page, BAG)
    answered(page, "Bag")
    assert sorted(call.partition("?")[0].rpartition("/")[2] for call in calls) == ["feature-maps", "predict"]
    # All maps of all layers are there.
    expect(page.locator("#stages .stage")).to_have_count(9)
    expect(page.locator("#stages .maps button")).to_have_count(32 + 32 + 64 + 64)


def test_the_answer_does_not_wait_for_the_insides(page: Page) -> None:
    held: list[Route] = []
    page.route("**/plot/feature-maps?*", lambda route: held.append(route))  # noqa: PLW0108 - it is looked into
    give(page, BAG)
    answered(page, "Bag")
    expect(page.locator("#maps-note")).to_contain_text("is being computed")
    first_held(page, held).continue_()
    expect(page.locator("#stages .maps button")).to_have_count(32 + 32 + 64 + 64)
    expect(page.locator("#maps-note")).to_be_empty()


def test_what_keeps_the_insides_away_is_told_and_the_answer_stays(page: Page) -> None:
    problem = {"title": "Service Unavailable", "status": 503, "detail": "8 explanations wait to be made"}
    page.route("**/plot/feature-maps?*", lambda route: route.fulfill(status=503, json=problem))
    give(page, BAG)
    expect(page.locator("#maps-note")).to_contain_text("8 explanations wait to be made")
    answered(page, "Bag")


def test_the_maps_are_drawn_from_the_numbers(page: Page, service: Service) -> None:
    give(page, BAG)
    answered(page, "Bag")
    url = f"{service.url}/plot/feature-maps?format=json"
    maps = httpx.post(url, files={"file": BAG.read_bytes()}, timeout=60).json()["layers"][1]["maps"]
    brightest = max(range(32), key=lambda number: max(map(max, maps[number])))
    canvas = page.get_by_role("button", name=f"Map {brightest} of max_pooling2d", exact=True).locator("canvas")
    size, yellow = canvas.evaluate(
        """canvas => {
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          let yellow = 0;
          for (let place = 0; place < data.length; place += 4) yellow += data[place] > 240 && data[place + 1] > 220;
          return [[canvas.height, canvas.width], yellow];
        }"""
    )
    assert size == [14, 14]
    assert yellow >= 1


@pytest.mark.parametrize(("layer", "number"), [("conv2d", 3), ("max_pooling2d", 7), ("conv2d_1", 20)])
def test_the_arithmetic_of_a_pixel_is_traces(page: Page, service: Service, layer: str, number: int) -> None:
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    page.get_by_role("button", name=f"Map {number} of {layer}", exact=True).click()
    page.fill("#row", "9")
    page.fill("#column", "4")
    with page.expect_response(lambda response: "row=9&column=4" in response.url):
        page.press("#column", "Tab")
    place = {"layer": layer, "filter": number, "row": 9, "column": 4}
    trace = traced(service, place)
    expect(page.locator("#value")).to_have_text(f"{trace['value']:.4f}")
    arithmetic = page.locator("#arithmetic").inner_text()
    if trace["kind"] == "convolution":
        assert f"bias {trace['bias']:.4f} = {trace['total']:.4f}" in arithmetic
        sums = [sum(map(sum, rows)) for rows in trace["products"]]
        assert f"sum {max(sums, key=abs):.4f}" in arithmetic
    else:
        row, column = trace["chosen"]
        chosen = page.locator("#arithmetic td.chosen")
        expect(chosen).to_have_text(f"{trace['window']['values'][0][row][column]:.3f}")


def test_a_click_on_the_map_chooses_a_place_and_padding_is_marked(page: Page) -> None:
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    page.get_by_role("button", name="Map 0 of conv2d", exact=True).click()
    page.locator("#map").click(position={"x": 3, "y": 3})
    expect(page.locator("#row")).to_have_value("0")
    expect(page.locator("#column")).to_have_value("0")
    expect(page.locator("#arithmetic td.padding")).to_have_count(5)
    expect(page.locator("#arithmetic")).to_contain_text("padding around the edge")


@pytest.mark.parametrize(
    "method", ["grad-cam", "grad-cam++", "saliency", "smoothgrad", "occlusion", "integrated-gradients"]
)
def test_a_class_shows_what_speaks_for_it_over_both_pictures(page: Page, method: str) -> None:
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    before = [page.locator(f"#{name}").evaluate("canvas => canvas.toDataURL()") for name in ("sent", "seen")]
    page.select_option("#method", method)
    page.locator("#bars button", has_text="Ankle boot").click()
    expect(page.locator("#why")).to_have_text(f"Red speaks for “Ankle boot”, blue against it ({method}).")
    after = [page.locator(f"#{name}").evaluate("canvas => canvas.toDataURL()") for name in ("sent", "seen")]
    assert before[0] != after[0]
    assert before[1] != after[1]
    page.click("#hide-why")
    assert before == [page.locator(f"#{name}").evaluate("canvas => canvas.toDataURL()") for name in ("sent", "seen")]


def test_a_cell_of_the_confusion_matrix_is_put_into_words(page: Page, service: Service) -> None:
    matrix = httpx.get(f"{service.url}/model-card").json()["evaluation"]["confusion_matrix"]
    cells = page.locator(".matrix button")
    expect(cells).to_have_count(100)
    cells.nth(60).click()
    expect(page.locator("#cell")).to_have_text(
        f"{matrix[6][0]} of 1,000 test pictures of “Shirt” were taken for “T-shirt/top”."
    )


def test_a_chosen_cell_stays_when_the_learning_curves_come(page: Page) -> None:
    held: list[Route] = []
    page.route("**/plot/history*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
    page.reload()
    page.locator(".matrix button").nth(60).click()
    expect(page.locator("#cell")).to_contain_text("“Shirt”")
    first_held(page, held).continue_()
    expect(page.locator(".curves")).to_be_visible()
    expect(page.locator("#cell")).to_contain_text("“Shirt”")


def test_the_command_that_is_shown_does_the_same(page: Page, service: Service) -> None:
    give(page, BAG)
    answered(page, "Bag")
    shown = page.locator("#curl").inner_text()
    assert shown == (f'curl -F "file=@{BAG.name};type=image/png" "{service.url}/predict?top_k=1000&return_input=true"')
    page.click("#copy")
    expect(page.locator("#status")).to_have_text("Copied.")


def test_both_languages_have_every_text(opened: Callable[..., Page], service: Service) -> None:
    english, korean = (
        {found[1] for found in re.finditer(r'^  "?([\w+-]+)"?:', (WEB / name).read_text(), re.MULTILINE)}
        for name in ("english.js", "korean.js")
    )
    assert english == korean >= {"title", "grad-cam++", "whatConvolution"}
    korean_page = opened(service.url, locale="ko-KR")
    expect(korean_page.locator("h1")).to_have_text("신경망 들여다보기")
    expect(korean_page.locator("html")).to_have_attribute("lang", "ko")
    give(korean_page, BAG)
    expect(korean_page.locator("#status")).to_contain_text("예측: Bag.")
    korean_page.get_by_role("button", name="conv2d의 특성 맵 0", exact=True).click()
    expect(korean_page.locator("#arithmetic")).to_contain_text("절편")
    korean_page.select_option("#language", "en")
    expect(korean_page.locator("h1")).to_have_text("See inside the network")
    expect(korean_page.locator("#label")).to_contain_text("Bag")
    korean_page.reload()
    expect(korean_page.locator("h1")).to_have_text("See inside the network")
    assert "undefined" not in korean_page.locator("body").inner_text()


def test_everything_can_be_reached_with_the_keyboard(page: Page) -> None:
    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab does not come to {selector}")

    tab_to("#samples button")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    answered(page, "Shirt")
    tab_to("#bars button")
    page.keyboard.press("Enter")
    expect(page.locator("#why")).to_contain_text("Red speaks for")
    expect(page.locator("#stages .maps button").first).to_be_visible()
    tab_to("#stages .maps button")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#detail-title")).to_have_text("Map 5 of conv2d")
    tab_to("#row")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#value")).to_be_visible()
    tab_to(".matrix button")
    page.keyboard.press("Enter")
    expect(page.locator("#cell")).to_contain_text("were recognised")


def test_a_file_that_is_no_picture_is_told_in_words_and_the_next_one_works(page: Page, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no picture")
    give(page, notes)
    expect(page.locator("#error")).to_contain_text("not an image in a format that is read here")
    expect(page.locator("#status")).to_have_text("")
    give(page, BAG)
    answered(page, "Bag")
    expect(page.locator("#error")).to_have_text("")


def test_a_late_answer_to_an_earlier_picture_is_not_shown(page: Page) -> None:
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/predict?*", hold_the_first)
    give(page, ANKLE_BOOT)
    late = first_held(page, held)
    give(page, BAG)
    answered(page, "Bag")
    with page.expect_response("**/predict?*"):
        late.continue_()
    page.evaluate("new Promise(requestAnimationFrame)")
    answered(page, "Bag")


def test_what_is_nothing_of_the_kind_is_not_to_be_trusted(page: Page) -> None:
    page.click("#open-drawing")
    page.click("#use-drawing")
    expect(page.locator("#familiarity")).to_contain_text("take the answer with care")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_keeps_people_from_using_it(
    opened: Callable[..., Page], service: Service, scheme: str, width: int
) -> None:
    page = opened(service.url, color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    expect(page.locator("#samples button")).to_have_count(10)
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    page.locator("#bars button").first.click()
    expect(page.locator("#why")).to_contain_text("Red speaks for")
    page.locator("#stages .maps button").first.click()
    expect(page.locator("#value")).to_be_visible()
    violations = Axe().run(page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    # Wide things scroll in themselves; the page does not.
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.click("#open-drawing")
    assert Axe().run(page).response["violations"] == []


def test_nothing_is_cut_off_at_any_width(page: Page) -> None:
    give(page, ANKLE_BOOT)
    answered(page, "Ankle boot")
    page.locator("#stages .maps button").first.click()
    expect(page.locator("#value")).to_be_visible()
    for width in (390, 768, 1000, 1280, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        wider = page.evaluate(
            """() => [...document.querySelectorAll("html, main > section, .answer, .answer > *, figure")]
                 .filter((part) => part.scrollWidth > part.clientWidth)
                 .map((part) => part.className || part.localName)"""
        )
        assert wider == [], width


def test_names_of_classes_are_text_whatever_they_say(
    opened: Callable[..., Page], model_file: Path, tmp_path: Path
) -> None:
    card = read_card(model_file)
    assert card is not None
    image = "<img src=x onerror=\"document.title='owned'\">"
    names = f"{image}cat", f"<script>document.title='owned'</script>{image}", f"</p>{image}"
    figures = tuple(ClassFigures(name=name, precision=1, recall=1, f1=1, pictures=1) for name in names)
    score = Score(loss=0, accuracy=1)
    evaluation = Evaluation(
        validation=score, test=score, per_class=figures, confusion_matrix=((1, 0, 0), (0, 1, 0), (0, 0, 1))
    )
    hostile = {"name": f"{image}model", "class_names": names, "evaluation": evaluation}
    write_card(model_file, card.model_copy(update=hostile))
    with running_service("--model-path", model_file) as service:
        page = opened(service.url)
        give(page, BAG)
        expect(page.locator("#bars button")).to_have_count(3)
        expect(page.locator("#label")).to_contain_text("<img src=x onerror=")
        page.locator(".matrix button").first.click()
        expect(page.locator("#cell")).to_contain_text("of “<img src=x")
        assert page.locator("img[src=x], #label img, #bars img, script:not([src])").count() == 0
        assert "owned" not in page.title()


def test_a_multi_label_models_answer_is_all_its_labels_or_none(opened: Callable[..., Page], tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "sigmoid")])
    kernel, _ = model.get_weights()
    model.set_weights([np.zeros_like(kernel), np.array([2, -2, 1], np.float32)])
    model.compile(loss="binary_crossentropy")
    model.save(tmp_path / "rooms.keras")
    (tmp_path / "labels.txt").write_text("chair\ntable\nwindow\n")
    with running_service("--model-path", tmp_path / "rooms.keras") as service:
        page = opened(service.url)
        give(page, BAG)
        expect(page.locator("#label")).to_have_text("chair, window")
        expect(page.locator("#status")).to_contain_text("It is: chair, window.")
    with running_service("--model-path", tmp_path / "rooms.keras", "--label-threshold", "0.9") as service:
        page = opened(service.url)
        give(page, BAG)
        expect(page.locator("#label")).to_have_text("None is probable enough; most of all chair, 88.1%")


def test_a_service_with_keys_asks_for_one(opened: Callable[..., Page]) -> None:
    with running_service("--api-keys", hashlib.sha256(b"sesame").hexdigest()) as closed:
        page = opened(closed.url)
        expect(page.locator("#error")).to_contain_text("needs an API key")
        page.fill("#key", "wrong")
        page.press("#key", "Enter")
        expect(page.locator("#error")).to_contain_text("not one that this service knows")
        page.fill("#key", "sesame")
        page.get_by_role("button", name="Use this key").click()
        expect(page.locator("#status")).to_have_text("Ready. Give it a picture.")
        give(page, BAG)
        answered(page, "Bag")
        expect(page.locator("#card img")).not_to_have_js_property("naturalWidth", 0)


def test_the_page_may_load_nothing_but_its_own(service: Service) -> None:
    response = httpx.get(service.url)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert httpx.get(f"{service.url}/web/nothing.js").json()["status"] == 404
    assert json.loads(httpx.get(f"{service.url}/web/../settings.py").text)["status"] == 404

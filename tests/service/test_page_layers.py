"""What the page says of the layers: sentences that follow their numbers, the parameters, and that the row goes on."""

import re
from collections.abc import Callable, Iterator

import httpx
import keras
import pytest
from keras import layers
from playwright.sync_api import Browser, Page, expect

from tests.browser import CHROMIUM, give, shown
from tests.processes import Service, running_service
from tests.samples import ANKLE_BOOT, left_out_without

pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    pytest.mark.usefixtures("explaining"),
]


def what(page: Page, layer: str) -> str:
    stage = page.locator("#stages .stage").filter(has=page.get_by_role("heading", name=layer, exact=True))
    return stage.locator(".what").last.inner_text()


@pytest.mark.parametrize(
    ("layer", "said", "never"),
    [
        ("rescale", "Multiplies each value by a fixed number", "kernel"),
        (
            "strided",
            "adds nothing around the edge: the kernel stays inside. A stride of 2×2 moves the window that far each "
            "time. The maps change from 96×96 to 47×47. ReLU: what is below 0 becomes 0",
            "halves",
        ),
        ("mean", "Takes the mean of each window of 3×3", "largest"),
        (
            "mean",
            "what lies there does not count. A stride of 2 takes every second place, which halves the maps. The maps "
            "change from 47×47 to 24×24",
            "zeros",
        ),
        (
            "zeros",
            "leaves the rest as it is. The maps change from 24×24 to 26×26",
            "stay",
        ),
        ("depthwise", "over each map by itself", "all maps"),
        ("normal", "the mean and the variance that it had in training", "kernel"),
        ("relu6", "ReLU: what is below 0 becomes 0, and the rest stays. What is above 6 becomes 6.", "kernel"),
        ("apart", "its 3×3 weights reach over 5×5 places. Padding “same” adds zeros", "halves"),
        ("apart", "The maps keep their size, 24×24.", "change"),
        ("added", "a shortcut around the layers between", "kernel"),
        ("rectified", "ReLU: what is below 0 becomes 0", "kernel"),
        ("whole", "the mean of each whole map of 24×24: one number for each map, 6 in all", "window"),
        ("weighed", "Each unit weighs the values of one place", "every value"),
        ("classes", "every value of the layer before, and adds them up. Turns the scores into probabilities", "place"),
    ],
)
def test_what_is_said_of_a_layer_follows_its_own_numbers(varied_page: Page, layer: str, said: str, never: str) -> None:
    words = what(varied_page, layer)
    # Of a large network each kind of layer is explained once, and afterwards what is its own.
    if layer == "apart":
        assert words.startswith("Conv2D. Dilation 2×2 leaves gaps")
    assert said in words
    assert never not in words


@pytest.mark.parametrize(
    ("layer", "said", "never"),
    [
        ("start", "so nothing is lost at the edge. The maps keep their size", "zeros"),
        ("grouped", "3 groups. Each filter (6 in all) slides a kernel of 3×3 over the maps of one group", "over all"),
        ("grouped", "Padding “same” adds zeros around the edge", "halves"),
        ("grouped", "Then the function ReLU changes each value.", "none"),
        ("pooled", "without loss. A stride of 2 takes every second place, which halves the maps", "edge"),
        ("strided", "A stride of 2 takes every second place", "nothing is lost"),
        ("dropped", "While training, some whole maps are left out", "values"),
        ("cut", "of what is below 0.5, the distance to 0.5 is multiplied by 0.2 and made negative", "below 0 "),
        ("apart", "A stride of 3×3 moves the window that far each time. The maps change from 14×14 to 4×4.", "halves"),
        ("leaky", "what is below 0 is multiplied by 0.0003", "by 0,"),
        ("single", "the maps are not mixed. Padding “valid” adds nothing around the edge", "all maps"),
        ("single", "The maps keep their size", "gaps"),
        ("weighed", "Each unit weighs the values of one place, and adds them up: place by place", "every value"),
        ("weighed", "Turns the scores of each place into probabilities that sum to 1 there.", "kernel"),
        ("whole", "the mean of each whole map: one number for each map, 4 in all", "?"),
        ("classes", "Each unit weighs every value of the layer before", "place"),
    ],
)
def test_what_is_true_of_most_layers_is_not_said_of_the_others(
    branched_page: Page, layer: str, said: str, never: str
) -> None:
    words = what(branched_page, layer)
    assert said in words
    assert never not in words


@pytest.mark.parametrize(("layer", "count"), [("left", "1,176"), ("right", "588"), ("last", "80")])
def test_a_flatten_shows_what_it_reads_and_not_what_is_listed_before_it(
    branched_page: Page, layer: str, count: str
) -> None:
    stage = branched_page.locator("#stages .stage").filter(
        has=branched_page.get_by_role("heading", name=layer, exact=True)
    )
    expect(stage.get_by_role("img", name=f"{count} values", exact=True)).to_be_visible()


@pytest.fixture(scope="module")
def rarer_page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Of a network with layers that others seldom have."""
    keras.utils.set_random_seed(5)
    image = keras.Input((8, 8, 3))
    start = layers.RandomFlip(name="flipped")(image)
    start = layers.Resizing(12, 12, name="resized")(layers.GaussianNoise(0.1, name="noisy")(start))
    start = layers.PReLU(name="learned")(layers.Conv2D(1, 3, padding="same", name="one")(start))
    gate = layers.Reshape((1, 1, 1), name="shaped")(layers.GlobalAveragePooling2D()(start))
    start = layers.Flatten()(layers.Multiply(name="gated")([start, gate]))
    file = tmp_path_factory.mktemp("rarer") / "rarer.keras"
    keras.Model(image, layers.Dense(3, activation="softmax")(start)).save(file)
    context = browser.new_context(locale="en-US")
    with running_service("--model-path", file) as service:
        page = context.new_page()
        page.goto(service.url)
        expect(page.locator("#stages .stage")).to_have_count(11)
        yield page
    context.close()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("flipped", "While training, changes the pictures at random"),
        ("noisy", "While training, changes values at random"),
        ("resized", "Resizes the maps that it reads. The maps change from 8×8 to 12×12."),
        ("one", "Each filter (1 in all) slides a kernel of 3×3 over all maps"),
        ("learned", "what is below 0 is multiplied by a weight that was learned"),
        ("shaped", "Gives the same values another shape."),
        ("gated", "where one is small, little is left of the other"),
    ],
)
def test_layers_that_are_seldom_met_are_explained_too(rarer_page: Page, layer: str, said: str) -> None:
    assert said in what(rarer_page, layer)


def test_the_facts_of_a_layer_are_its_own(branched_page: Page) -> None:
    for layer, fact in (("grouped", "3 groups"), ("dropped", "12.5% while training")):
        stage = branched_page.locator("#stages .stage").filter(
            has=branched_page.get_by_role("heading", name=layer, exact=True)
        )
        expect(stage.locator(".facts").filter(has_text=fact)).to_have_count(1)


@pytest.fixture(scope="module")
def branched_page(browser: Browser, branched: Service) -> Iterator[Page]:
    """One page with an answer for those who only read."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(branched.url)
    give(page, ANKLE_BOOT)
    expect(page.locator("#stages .maps").first).to_be_visible()
    yield page
    context.close()


@pytest.fixture(scope="module")
def varied_page(browser: Browser, varied: Service) -> Iterator[Page]:
    """One page for those who only read."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(varied.url)
    expect(page.locator("#stages .stage")).to_have_count(14)
    yield page
    context.close()


def test_the_shipped_models_convolution_keeps_its_size_and_its_pooling_halves_it(page: Page) -> None:
    assert "Padding “same” adds zeros" in what(page, "conv2d")
    assert "The maps keep their size, 28×28." in what(page, "conv2d")
    assert "halves the maps. The maps change from 28×28 to 14×14." in what(page, "max_pooling2d")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_parameters_are_added_up_on_the_screen(opened: Callable[..., Page], service: Service, width: int) -> None:
    page = opened(service.url, viewport={"width": width, "height": 900})
    total = page.locator("#sum")
    expect(total).to_have_text("Parameters: 320 + 18,496 + 313,700 + 1,010 = 333,526, in 4 of 8 layers.")
    total.scroll_into_view_if_needed()
    box = total.bounding_box()
    assert box is not None
    assert 0 <= box["x"] < box["x"] + box["width"] <= width
    for layer, count in (("conv2d", "320"), ("conv2d_1", "18,496"), ("dense", "313,700"), ("dense_1", "1,010")):
        stage = page.locator("#stages .stage").filter(has=page.get_by_role("heading", name=layer, exact=True))
        expect(stage).to_contain_text(f"{count} parameters")


def test_parameters_that_are_not_trained_are_told(opened: Callable[..., Page], varied: Service) -> None:
    summary = httpx.get(f"{varied.url}/model-summary").json()
    terms = [f"{layer['parameters']:,}" for layer in summary["layers"] if layer["parameters"]]
    sentence = f"Parameters: {' + '.join(terms)} = {summary['parameters']:,}, in 6 of 13 layers. Of these 12 are not"
    expect(opened(varied.url).locator("#sum")).to_contain_text(sentence)


@pytest.mark.parametrize("way", ["button", "keys"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_layer_is_reached_and_it_is_seen_that_there_are_more(
    opened: Callable[..., Page], service: Service, width: int, way: str
) -> None:
    page = shown(opened, service, viewport={"width": width, "height": 900}, reduced_motion="reduce")
    row, stages = page.locator("#stages"), page.locator("#stages .stage")
    expect(row).to_have_attribute("data-after", "")
    expect(row).not_to_have_attribute("data-before", "")
    expect(page.locator("#stages-shown")).to_have_text(re.compile(r"^Stages 1 to \d of 9; scroll sideways"))
    expect(page.locator("#stages-back")).to_be_disabled()
    on = page.locator("#stages-on")
    reached: set[int] = set()
    for _ in range(60):
        reached |= {place for place in range(9) if row.evaluate(IN_VIEW, place)}
        if row.get_attribute("data-after") is None:
            break
        before = row.evaluate("row => row.scrollLeft")
        if way == "button":
            on.click()
        else:
            row.focus()
            page.keyboard.press("ArrowRight")
        page.wait_for_function(MOVED_OR_AT_ITS_END, arg=before)
    assert reached == set(range(9))
    expect(stages.last).to_be_in_viewport()
    expect(on).to_be_disabled()
    expect(row).to_have_attribute("data-before", "")


# The page is told where the row is a frame after it has moved: by then `before` may be as far as it goes.
MOVED_OR_AT_ITS_END = """before => {
  const row = document.getElementById("stages");
  const more = row.scrollLeft < row.scrollWidth - row.clientWidth - 1;
  return row.hasAttribute("data-after") === more && (row.scrollLeft > before || !more);
}"""
IN_VIEW = """(row, place) => {
  const [all, own] = [row, row.children[place]].map((each) => each.getBoundingClientRect());
  return own.right > all.left && own.left < all.right;
}"""

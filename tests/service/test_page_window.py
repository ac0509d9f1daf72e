"""The window that a map is read through: where it opens, and how it is moved, played and worked out."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser import CHROMIUM, give, maps_of, open_map, shown, traced
from tests.processes import Service
from tests.samples import ANKLE_BOOT, left_out_without

pytestmark = [
    left_out_without(CHROMIUM is not None, "Debian's package chromium"),
    pytest.mark.usefixtures("explaining"),
]


def test_the_arithmetic_opens_at_the_maps_largest_value(opened: Callable[..., Page], service: Service) -> None:
    page = shown(opened, service)
    for layer in ("conv2d", "max_pooling2d", "conv2d_1"):
        for number, rows in list(enumerate(maps_of(service, layer)))[:6]:
            open_map(page, layer, number)
            most = max(map(max, rows))
            expect(page.locator("#value")).to_have_text(f"{most:.4f}")
            if most > min(map(min, rows)):
                row, column = (int(page.locator(name).input_value()) for name in ("#row", "#column"))
                assert rows[row][column] == most


@pytest.mark.parametrize(("layer", "read"), [("conv2d", 1), ("max_pooling2d", 32), ("conv2d_1", 32)])
def test_pointing_at_a_place_works_its_value_out_without_the_service(
    opened: Callable[..., Page], service: Service, layer: str, read: int
) -> None:
    page = shown(opened, service)
    open_map(page, layer, 5)
    if layer != "max_pooling2d":
        expect(page.locator("#kernel-part")).to_be_visible()
        expect(page.locator("#reads-channel option")).to_have_count(read)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    rows = maps_of(service, layer)[5]
    box = page.locator("#map").bounding_box()
    assert box is not None
    cell = box["width"] / len(rows)
    before = page.locator("#reads-map").evaluate("canvas => canvas.toDataURL()")
    for row, column in ((0, 0), (3, 7), (len(rows) - 1, len(rows) - 1)):
        page.mouse.move(box["x"] + (column + 0.5) * cell, box["y"] + (row + 0.5) * cell)
        expect(page.locator("#map-text")).to_have_text(f"Row {row}, column {column}: {rows[row][column]:.4f}")
        place = {"layer": layer, "filter": 5, "row": row, "column": column}
        trace = traced(service, place)
        expect(page.locator("#value")).to_have_text(f"{trace['value']:.4f}")
        if trace["kind"] == "convolution":
            expect(page.locator("#arithmetic")).to_contain_text(f"= {trace['total']:.4f}")
            outside = sum(not inside for line in trace["window"]["inside"] for inside in line)
            expect(page.locator("#arithmetic td.padding")).to_have_count(outside)
        assert page.locator("#reads-map").evaluate("canvas => canvas.toDataURL()") != before
    # Away from the map, the place that was chosen is shown again.
    page.mouse.move(0, 0)
    assert page.locator("#reads-map").evaluate("canvas => canvas.toDataURL()") == before
    assert asked == []


def test_the_window_follows_a_drag_and_the_service_is_asked_where_it_ends(
    opened: Callable[..., Page], service: Service
) -> None:
    page = shown(opened, service)
    open_map(page, "conv2d", 5)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("?")[2]))
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    for step in range(8):
        page.mouse.move(box["x"] + 20 + 20 * step, box["y"] + 40)
    page.mouse.up()
    row, column = (page.locator(name).input_value() for name in ("#row", "#column"))
    expect(page.locator("#map-text")).to_contain_text(f"Row {row}, column {column}: ")
    assert asked == [f"layer=conv2d&filter=5&row={row}&column={column}"]


def test_the_arrow_keys_move_the_window(opened: Callable[..., Page], service: Service) -> None:
    page = shown(opened, service)
    open_map(page, "max_pooling2d", 3)
    page.fill("#row", "4")
    page.fill("#column", "6")
    page.locator("#map").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator("#row")).to_have_value("5")
    expect(page.locator("#column")).to_have_value("6")
    expect(page.locator("#arithmetic th[scope=row]").first).to_have_text("10")
    expect(page.locator("#arithmetic th[scope=col]").first).to_have_text("12")


def test_nothing_moves_before_it_is_asked_for_and_playing_moves_row_by_row(
    opened: Callable[..., Page], service: Service
) -> None:
    page = opened(service.url)
    page.clock.install(time=0)
    give(page, ANKLE_BOOT)
    expect(page.locator("#stages .maps").first).to_be_visible()
    open_map(page, "max_pooling2d", 3)
    page.fill("#row", "2")
    page.fill("#column", "12")
    page.press("#column", "Tab")
    words = page.locator("#map-text")
    expect(words).to_contain_text("Row 2, column 12: ")
    page.clock.pause_at(timedelta(days=1).total_seconds())  # from here on time passes only as it is told to
    page.clock.run_for(5000)
    expect(words).to_contain_text("Row 2, column 12: ")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.click("#play")
    expect(words).to_contain_text("Row 2, column 13: ")
    expect(page.locator("#arithmetic")).to_have_js_property("ariaLive", "off")
    page.clock.run_for(310)
    expect(words).to_contain_text("Row 3, column 0: ")
    expect(page.locator("#arithmetic td.chosen")).to_have_count(1)
    assert asked == []
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(5000)
    expect(words).to_contain_text("Row 3, column 0: ")
    expect(page.locator("#row")).to_have_value("3")
    # At the end it stays.
    page.fill("#row", "13")
    page.fill("#column", "13")
    page.press("#column", "Tab")
    page.click("#play")
    expect(words).to_contain_text("Row 0, column 0: ")
    page.clock.run_for(400 * 14 * 14)
    expect(words).to_contain_text("Row 13, column 13: ")
    expect(page.get_by_role("button", name="Play: move the window")).to_be_visible()


def test_with_less_motion_the_window_moves_by_one_place_each_time(
    opened: Callable[..., Page], service: Service
) -> None:
    page = shown(opened, service, reduced_motion="reduce")
    open_map(page, "conv2d", 5)
    page.fill("#row", "0")
    page.fill("#column", "27")
    page.press("#column", "Tab")
    page.get_by_role("button", name="Next place").click()
    expect(page.locator("#map-text")).to_contain_text("Row 1, column 0: ")
    expect(page.get_by_role("button", name="Next place")).to_be_visible()


@pytest.mark.parametrize("layer", ["strided", "mean", "apart", "depthwise"])
def test_the_window_of_any_stride_padding_and_dilation_is_that_of_trace(
    opened: Callable[..., Page], varied: Service, layer: str
) -> None:
    page = shown(opened, varied)
    open_map(page, layer, 1)
    page.mouse.move(0, 0)
    expect(page.locator("#reads-text")).to_contain_text("Reads map")
    if layer in ("strided", "apart"):
        expect(page.locator("#kernel-part")).to_be_visible()  # which moves the map when it comes
    rows = maps_of(varied, layer)[1]
    row, column = len(rows) - 1, len(rows[0]) - 2
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.move(
        box["x"] + (column + 0.5) * box["width"] / len(rows[0]), box["y"] + (row + 0.5) * box["height"] / len(rows)
    )
    expect(page.locator("#map-text")).to_have_text(f"Row {row}, column {column}: {rows[row][column]:.4f}")
    if layer == "depthwise":  # the service has no arithmetic for it, so that none is claimed
        expect(page.locator("#arithmetic")).to_have_text(
            f"value = {rows[row][column]:.4f}How a DepthwiseConv2D comes to its values is not worked out here; this is "
            "the value alone."
        )
        return
    place = {"layer": layer, "filter": 1, "row": row, "column": column}
    trace = traced(varied, place)
    for scope, name in (("row", "rows"), ("col", "columns")):
        numbers = page.locator("#arithmetic table").first.locator(f"th[scope={scope}]").all_inner_texts()
        assert numbers == [str(number) for number in trace["window"][name]]


def test_with_groups_the_maps_that_are_read_have_their_own_numbers(
    opened: Callable[..., Page], branched: Service
) -> None:
    page = shown(opened, branched)
    open_map(page, "grouped", 3)
    page.mouse.move(0, 0)
    expect(page.locator("#reads-channel option")).to_have_text(["2", "3"])
    captions = page.locator("#arithmetic caption").filter(has_text="read in map")
    assert sorted(captions.all_inner_texts()) == ["read in map 2", "read in map 3"]
    expect(page.locator("#arithmetic")).to_contain_text("ReLU(")
    page.select_option("#reads-channel", index=1)
    expect(captions).to_have_text(["read in map 3"])
    expect(page.locator("#reads-text")).to_have_text("Reads map 3")


@pytest.mark.parametrize(
    ("layer", "words"),
    [("apart", "Reads maps 0 to 5, of which map 0 is shown"), ("single", "Reads map 2"), ("pooled", "Reads map 2")],
)
def test_it_is_told_how_many_maps_are_read(
    opened: Callable[..., Page], branched: Service, layer: str, words: str
) -> None:
    page = shown(opened, branched)
    open_map(page, layer, 2)
    expect(page.locator("#reads-text")).to_have_text(words)


def test_a_softmax_is_not_said_to_follow_from_one_sum(opened: Callable[..., Page], branched: Service) -> None:
    page = shown(opened, branched)
    open_map(page, "strided", 1)
    expect(page.locator("#arithmetic")).to_contain_text(", …) = ")
    expect(page.locator("#arithmetic")).to_contain_text("the sums that the other maps have in the same place")

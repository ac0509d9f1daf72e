"""What tests of the page share: the browser, and how a person gives a picture and reads the answer."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, Route, expect

from tests.processes import Service
from tests.samples import ANKLE_BOOT, SAMPLE_FILES

CHROMIUM = shutil.which("chromium")
# What explains has to start, and steps back behind all else on a machine that has other work.
expect.set_options(timeout=60_000)
BAG = next(file for file in SAMPLE_FILES if "bag" in file.name)


def wait_until_it_explains(service: Service) -> None:
    """The start of what explains, seconds after a page is first opened, is no test's subject."""
    for call in ("attribution?method=saliency", "feature-maps?format=json"):
        url, image = f"{service.url}/plot/{call}", ANKLE_BOOT.read_bytes()
        # 504 while it starts.
        headers = {"Content-Type": "image/png"}
        answers = (httpx.post(url, content=image, headers=headers, timeout=None) for _ in range(6))
        assert any(answer.status_code == httpx.codes.OK for answer in answers)


def give(page: Page, file: Path) -> None:
    page.set_input_files("#file", file)


def answered(page: Page, label: str) -> None:
    expect(page.locator("#label")).to_contain_text(label)
    expect(page.locator("#status")).to_contain_text(f"It is: {label}.")


def is_own(address: str, url: str) -> bool:
    return address.startswith((url.partition("?")[0], "data:", "blob:"))


def shown(opened: Callable[..., Page], service: Service, **options: object) -> Page:
    """The page with an answer and all maps."""
    page = opened(service.url, **options)
    give(page, ANKLE_BOOT)
    expect(page.locator("#stages .maps").first).to_be_visible()
    return page


def open_map(page: Page, layer: str, number: int) -> None:
    page.get_by_role("button", name=f"Map {number} of {layer}", exact=True).click()
    expect(page.locator("#value")).to_be_visible()


def maps_of(service: Service, layer: str) -> list[list[list[float]]]:
    url = f"{service.url}/plot/feature-maps?layer={layer}&format=json"
    answer = httpx.post(url, content=ANKLE_BOOT.read_bytes(), timeout=60)
    maps: list[list[list[float]]] = answer.json()["layers"][0]["maps"]
    return maps


def traced(service: Service, place: Mapping[str, str | int]) -> dict[str, Any]:
    """The arithmetic of one value, as the service tells it."""
    answer = httpx.post(f"{service.url}/trace", params=place, content=ANKLE_BOOT.read_bytes(), timeout=60)
    found: dict[str, Any] = answer.json()
    return found


def first_held(page: Page, held: list[Route]) -> Route:
    """The first of the calls that a test holds back, once the page has made it."""
    while not held:
        page.wait_for_timeout(10)  # in which Playwright hands over what the page does
    return held[0]

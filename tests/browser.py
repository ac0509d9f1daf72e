"""What tests of the page share: the browser, and how a person gives a picture and reads the answer."""

import shutil
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.samples import SAMPLE_FILES

CHROMIUM = shutil.which("chromium")
# What explains has to start for it, on a machine that has other work.
FIRST_EXPLANATION_MS = 60_000
BAG = next(file for file in SAMPLE_FILES if "bag" in file.name)


def give(page: Page, file: Path) -> None:
    page.set_input_files("#file", file)


def answered(page: Page, label: str) -> None:
    expect(page.locator("#label")).to_contain_text(label)
    expect(page.locator("#status")).to_contain_text(f"It is: {label}.")


def is_own(address: str, url: str) -> bool:
    return address.startswith((url.partition("?")[0], "data:", "blob:"))

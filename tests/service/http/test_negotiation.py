"""The media type that is answered with."""

import pytest

from service.http.negotiation import choose_media_type

PLOTS = ("image/png", "image/svg+xml")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", "image/png"),
        ("", "image/png"),
        ("image/*", "image/png"),
        ("image/svg+xml", "image/svg+xml"),
        ("IMAGE/SVG+XML", "image/svg+xml"),
        ("text/html, image/svg+xml;q=0.8, image/png;q=0.9", "image/png"),
        ("image/png;q=0.1, image/*", "image/svg+xml"),
        ("*/*, image/png;q=0", "image/svg+xml"),
        ("image/png;q=broken, image/svg+xml;q=0.2", "image/svg+xml"),
        ("image/svg+xml;level=1", "image/svg+xml"),
        ("text/html", "image/png"),
    ],
)
def test_the_preferred_type_is_chosen_the_first_where_any_will_do(accept: str, chosen: str) -> None:
    assert choose_media_type(accept, PLOTS) == chosen


def test_what_no_program_sends_is_not_read_to_its_end() -> None:
    assert choose_media_type("x/y," * 10_000 + "image/svg+xml", PLOTS) == "image/png"

"""Where drawings go."""

from pathlib import Path

import pytest

from service.predict.explanations import drawing_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/x.jpg", "/a/x.jpg"),
        ("_/a/x.jpg", "/a/x.jpg"),
        ("../x.jpg", "__/x.jpg"),
        ("../x.jpg", "/../x.jpg"),
        ("_/x.jpg", "___/x.jpg"),
        ("__/x.jpg", "____/x.jpg"),
    ],
)
def test_two_pictures_never_share_a_drawing(tmp_path: Path, one: str, other: str) -> None:
    drawings = [drawing_of(path, tmp_path) for path in (one, other)]
    assert drawings[0] != drawings[1]
    assert all(drawing.resolve().is_relative_to(tmp_path.resolve()) for drawing in drawings)

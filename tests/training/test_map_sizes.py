"""Which images are too small for the network: exactly those of which Keras cannot build it."""

import re

import pytest

from training.errors import TrainingError
from training.map_sizes import ensure_large_enough
from training.network import build_network
from training.settings import TrainingSettings


def fits(height: int, width: int, settings: TrainingSettings) -> bool:
    try:
        ensure_large_enough(height, width, settings)
    except TrainingError:
        return False
    return True


def keras_builds(height: int, width: int, settings: TrainingSettings) -> bool:
    """Whether a network with pixels in all of its maps comes of it; some versions raise, others go on with none."""
    given = {name: getattr(settings, name) for name in ("padding", "strides", "pooling")}
    try:
        network = build_network(height, width, 1, 2, settings.filters, 2, 0.1, **given)
    except ValueError:
        return False
    return all(min(layer.output.shape[1:]) >= 1 for layer in network.layers)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [(1,), (2,), (3, 1), (1, 3)])
def test_what_is_refused_is_what_keras_cannot_build(padding: str, strides: tuple[int, ...]) -> None:
    settings = TrainingSettings(filters=(1, 1), padding=padding, strides=strides)
    sizes = [(size, size) for size in (3, 4, 6, 7, 9, 10, 17, 18, 23, 24)] + [(6, 40), (40, 6)]
    answers = [fits(*size, settings) for size in sizes]
    assert answers == [keras_builds(*size, settings) for size in sizes]
    assert set(answers) == {True, False}


@pytest.mark.parametrize(
    ("given", "layer", "changes"),
    [
        ({}, "pooling 5 of 6 reads 2×2 pixels, and the maps that reach it have 1×1", ["at most 4", "--image-size 64"]),
        (
            {"padding": "valid"},
            "convolution 4 of 6 reads 3×3 pixels, and the maps that reach it have 1×1",
            ["at most 3", "--image-size 190"],
        ),
        ({"strides": (4,)}, "pooling 2 of 6", ["at most 1 of --filters"]),
    ],
)
def test_the_error_names_the_layer_and_what_to_change(given: dict[str, object], layer: str, changes: list[str]) -> None:
    settings = TrainingSettings(filters=(1,) * 6, **given)
    with pytest.raises(TrainingError, match=r"images of 28×28 are too small: ") as refused:
        ensure_large_enough(28, 28, settings)
    text = str(refused.value)
    assert layer in text
    assert all(change in text for change in changes)


@pytest.mark.parametrize("size", [4, 8, 20])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2,), (3, 1, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_each_change_that_is_named_helps(padding: str, strides: tuple[int, ...], size: int) -> None:
    settings = TrainingSettings(filters=(1, 1, 1), padding=padding, strides=strides, data="my-images")
    if fits(size, size, settings):
        return
    with pytest.raises(TrainingError) as refused:
        ensure_large_enough(size, size, settings)
    text = str(refused.value)
    if most := re.search(r"at most (\d)", text):
        kept = int(most[1])
        fewer = {"filters": (1,) * kept, "strides": strides[:kept]}
        assert fits(size, size, settings.model_copy(update=fewer))
    for option, changed in (("--padding same", {"padding": "same"}), ("--strides 1", {"strides": (1,)})):
        assert (option in text) <= fits(size, size, settings.model_copy(update=changed))
    least = re.search(r"--image-size (\d+)", text)
    assert least
    assert fits(int(least[1]), int(least[1]), settings)
    assert not fits(int(least[1]) - 1, int(least[1]) - 1, settings)


@pytest.mark.parametrize(("data", "asked"), [("mnist", True), ("my-images", False)])
def test_images_of_ones_own_are_asked_for_where_those_of_the_data_have_one_size(data: str, asked: bool) -> None:
    with pytest.raises(TrainingError) as refused:
        ensure_large_enough(28, 28, TrainingSettings(filters=(1,) * 6, data=data))
    assert ("use --data with images of your own" in str(refused.value)) == asked

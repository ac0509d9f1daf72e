"""What is known of a model, put together from several sources."""

import pytest

from models.card import ImageInput, ModelCard, ModelFileError
from models.specification import Facts, Source, specify

DEFAULT = Source(
    Facts(
        name="model",
        class_names=("class 0", "class 1"),
        image_size=(8, 6),
        fit="stretch",
        interpolation="bilinear",
        pixels="0..1",
        channel_order="rgb",
        preparation="resize",
    ),
    "the default",
    guessed=True,
)


def test_the_first_source_that_speaks_counts() -> None:
    sources = [
        Source(Facts(pixels="-1..1"), "an option"),
        Source(Facts(pixels="0..255", class_names=("cat", "dog")), "labels.txt"),
        DEFAULT,
    ]
    card, findings = specify(sources, 3, None)
    assert (card.input.scale, card.input.offset) == (1 / 127.5, -1)
    assert card.class_names == ("cat", "dog")
    assert (card.input.height, card.input.width) == (8, 6)
    told = {finding.field: (finding.value, finding.source, finding.guessed) for finding in findings}
    assert told["pixels"] == ("-1..1", "an option", False)
    assert told["class_names"] == ("cat, dog", "labels.txt", False)
    assert told["fit"] == ("stretch", "the default", True)


def test_caffe_brings_its_order_of_channels_and_refuses_another() -> None:
    card, _ = specify([Source(Facts(pixels="caffe"), "an option"), DEFAULT], 3, None)
    assert card.input.channel_order == "bgr"
    with pytest.raises(ValueError, match="channel order bgr, not rgb"):
        Facts(pixels="caffe", channel_order="rgb")


def test_a_grey_image_has_no_mean_for_each_channel() -> None:
    with pytest.raises(ModelFileError, match="a grey image one channel"):
        specify([Source(Facts(pixels="torch"), "an option"), DEFAULT], 1, None)


def test_names_that_repeat_are_refused() -> None:
    with pytest.raises(ModelFileError, match="two classes have the same name"):
        specify([Source(Facts(class_names=("a", "a")), "an option"), DEFAULT], 3, None)


def test_the_rest_of_a_card_is_kept() -> None:
    card = ModelCard(
        name="old",
        class_names=("a", "b"),
        input=ImageInput(height=8, width=6, channels=3, scale=1),
        label_threshold=0.7,
    )
    found, _ = specify(
        [Source(Facts(class_names=("c", "d")), "an option"), Source(Facts.of_card(card), "card")], 3, card
    )
    assert found == card.model_copy(update={"class_names": ("c", "d")})

"""The charts are images of the card, in both formats, the same each time."""

import io
from pathlib import Path

import pytest
from PIL import Image

from models.card import ModelCard, read_card
from models.charts import confusion_matrix, learning_curves


@pytest.fixture(scope="module")
def card(shipped_model: Path) -> ModelCard:
    card = read_card(shipped_model)
    assert card is not None
    return card


def test_learning_curves_show_every_epoch(card: ModelCard) -> None:
    assert card.training is not None
    image = learning_curves(card.training, "svg").decode()
    assert f"kept: epoch {card.training.best_epoch}" in image
    assert all(text in image for text in ("training", "validation", "Loss (cross-entropy)", "Accuracy", "epoch"))


def test_the_confusion_matrix_shows_names_counts_and_accuracy(card: ModelCard) -> None:
    assert card.evaluation is not None
    image = confusion_matrix(card.class_names, card.evaluation, "svg").decode()
    assert all(name in image for name in card.class_names)
    assert f"{card.evaluation.test.accuracy:.2%} right" in image
    assert all(f">{count}<" in image for row in card.evaluation.confusion_matrix for count in row)


def test_of_more_classes_than_there_is_room_for_some_are_named_and_no_cell_has_a_number(card: ModelCard) -> None:
    assert card.evaluation is not None
    many = 300
    counts = tuple(tuple(7 * (row == column) for column in range(many)) for row in range(many))
    evaluation = card.evaluation.model_copy(update={"confusion_matrix": counts})
    image = confusion_matrix(tuple(f"kind {number}" for number in range(many)), evaluation, "svg").decode()
    assert ">kind 290<" in image
    assert ">kind 299<" not in image
    assert ">7<" not in image
    assert max(Image.open(io.BytesIO(confusion_matrix(("x",) * many, evaluation, "png"))).size) < 3000


def test_png_is_a_image_of_readable_size(card: ModelCard) -> None:
    assert card.training is not None
    assert card.evaluation is not None
    for content in (learning_curves(card.training, "png"), confusion_matrix(card.class_names, card.evaluation, "png")):
        width, height = Image.open(io.BytesIO(content)).size
        assert width > 700
        assert height > 500


def test_the_same_card_gives_the_same_bytes(card: ModelCard) -> None:
    assert card.training is not None
    assert learning_curves(card.training, "svg") == learning_curves(card.training, "svg")

"""Which combination is chosen of results that are made up."""

import numpy as np
import pytest

from models.card import ImageInput
from service.check.judgement import is_worse, judged
from service.check.orders import Order, orders_to_try, suggested
from service.check.scoring import Result

ASSUMED = ImageInput(height=8, width=8, channels=3, scale=1 / 255, fit="stretch")
ORDER = Order("alphabetical", (0, 1))


def result(right: int, loss: float = 0.5, count: int = 100, **changes: object) -> Result:
    likelihoods = -loss + np.linspace(-0.1, 0.1, count)
    return Result(ASSUMED.model_copy(update=changes), ORDER, np.arange(count) < right, likelihoods)


def test_a_difference_by_chance_changes_nothing() -> None:
    found = judged([result(70), result(73, fit="crop")], (ASSUMED, ORDER), 0.5, {})
    assert found.chosen is found.assumed
    assert found.open == {"fit": ("crop", "stretch")}
    assert found.told == ()


def test_a_clear_difference_is_told() -> None:
    found = judged(
        [result(60), result(73, fit="crop"), result(72, fit="crop", channel_order="bgr")], (ASSUMED, ORDER), 0.5, {}
    )
    assert (found.told, found.changed) == (("fit",), ("fit",))
    assert found.open == {"channel_order": ("bgr", "rgb")}


def test_the_likelihood_decides_where_as_many_are_right() -> None:
    found = judged([result(70, 0.9), result(70, 0.4, scale=1 / 127.5, offset=-1.0)], (ASSUMED, ORDER), 0.5, {})
    assert found.changed == ("pixels",)
    assert found.told == ("pixels",)


def test_more_right_answers_count_more_than_the_likelihood() -> None:
    assert is_worse(result(50, 0.1), result(70, 0.9))
    assert not is_worse(result(70, 0.9), result(50, 0.1))


def test_another_opinion_decides_what_is_open() -> None:
    found = judged([result(70), result(71, scale=1 / 127.5, offset=-1.0)], (ASSUMED, ORDER), 0.5, {"pixels": "-1..1"})
    assert (found.told, found.by_normalization) == ((), ("pixels",))
    assert found.changed == ("pixels",)
    clear = judged(
        [result(90), result(20, 3, scale=1 / 127.5, offset=-1.0)], (ASSUMED, ORDER), 0.5, {"pixels": "-1..1"}
    )
    assert clear.told == ("pixels",)
    assert clear.changed == ()


def test_what_is_no_better_than_chance_tells_nothing() -> None:
    found = judged([result(50), result(58, fit="crop")], (ASSUMED, ORDER), 0.5, {})
    assert not found.better_than_chance
    assert found.changed == ()


def test_thousands_of_pictures_can_be_compared() -> None:
    found = judged([result(900, count=2000), result(1900, count=2000, fit="pad")], (ASSUMED, ORDER), 0.5, {})
    assert found.told == ("fit",)


@pytest.mark.parametrize(
    ("folders", "names", "expected"),
    [
        (("cat", "dog"), ("Dog", "CAT"), {"by name": (1, 0)}),
        (("t_shirt_top",), ("Bag", "T-shirt/top"), {"by name": (1,)}),
        (("cat", "dog"), ("class 0", "class 1"), {"alphabetical": (0, 1), "reversed": (1, 0)}),
        (("1", "10", "2"), ("a", "b", "c"), {"alphabetical": (0, 1, 2), "numeric": (0, 2, 1)}),
        (("0", "2"), ("a", "b", "c"), {"by number": (0, 2)}),
        (("cat", "dog"), ("a", "b", "c"), {}),
    ],
)
def test_orders_that_need_no_picture(
    folders: tuple[str, ...], names: tuple[str, ...], expected: dict[str, tuple[int, ...]]
) -> None:
    assert {order.words: order.outputs for order in orders_to_try(folders, names)} == expected


def test_the_order_that_pictures_suggest() -> None:
    scores = np.array([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.3, 0.5, 0.2]], np.float32)
    assert suggested(scores, np.array([0, 1, 0]), 2) == (1, 2)
    assert suggested(scores, np.array([0, 0, 0]), 2) is None

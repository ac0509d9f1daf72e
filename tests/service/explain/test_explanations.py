"""What is shown of the model's inside is what Keras itself computes, and what each method promises holds."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_args

import keras
import numpy as np
import pytest
from keras import layers

from models.card import ImageInput
from models.head import conversion_of
from models.preprocessing import ModelInput, scaled
from service.errors import DeadlineExceeded, NotInModel
from service.explain import attribution
from service.explain.deadline import within
from service.explain.kernels import kernels_of
from service.explain.layers import layer_outputs
from service.explain.results import Attribution, ConvolutionTrace, Method, PoolingTrace, strongest_first
from service.explain.trace import trace
from tests.samples import ANKLE_BOOT, SAMPLE_FILES, SHIPPED_MODEL, pixels_of

GREY = ImageInput(height=28, width=28, channels=1, scale=1 / 255)
BOOT = scaled(pixels_of(ANKLE_BOOT)[..., np.newaxis], GREY)
METHODS = get_args(Method)


@cache
def scored(model: keras.Model) -> attribution.ScoredModel:
    return attribution.scored_model(model, conversion_of("softmax", "softmax", model.output_shape[-1]))


def attribute(model: keras.Model, image: ModelInput, method: Method, index: int | None) -> Attribution:
    return attribution.attribute(scored(model), image, np.zeros_like(image), method, index)


@pytest.fixture(scope="module")
def shipped() -> keras.Model:
    return keras.saving.load_model(SHIPPED_MODEL, compile=False)


@pytest.fixture(scope="module")
def branching() -> keras.Model:
    """A functional model of colour images: odd sizes, strides, groups, dilation, a shortcut, average pooling."""
    keras.utils.set_random_seed(3)
    start = keras.Input((13, 10, 3))
    wide = layers.Conv2D(4, (3, 5), strides=(2, 3), padding="same", use_bias=False, name="wide")(start)
    apart = layers.Conv2D(6, 2, dilation_rate=2, activation="tanh", name="apart")(start)
    grouped = layers.Conv2D(6, 3, padding="same", groups=3, activation="elu", name="grouped")(apart)
    added = layers.Add(name="added")([apart, grouped])
    pooled = layers.AveragePooling2D(3, strides=2, padding="same", name="pooled")(added)
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(pooled), layers.GlobalMaxPooling2D()(wide)])
    return keras.Model(start, layers.Softmax()(layers.Dense(3)(joined)))


COLOURED = np.random.default_rng(0).random((13, 10, 3), np.float32)


def test_the_outputs_of_the_layers_are_kerass_own(shipped: keras.Model) -> None:
    outputs = layer_outputs(shipped, BOOT)
    assert {name: values.shape for name, values in outputs.items()} == {
        "conv2d": (28, 28, 32),
        "max_pooling2d": (14, 14, 32),
        "conv2d_1": (14, 14, 64),
        "max_pooling2d_1": (7, 7, 64),
        "dense": (100,),
        "dense_1": (10,),
    }
    values = BOOT[np.newaxis]
    for layer in shipped.layers:
        values = layer(values, training=False)
        if layer.name in outputs:
            assert outputs[layer.name] == pytest.approx(np.asarray(values)[0], abs=1e-5)


def test_one_layer_can_be_asked_for(branching: keras.Model) -> None:
    (values,) = layer_outputs(branching, COLOURED, "added").values()
    assert values.shape == (11, 8, 6)
    with pytest.raises(NotInModel, match=r"layer: 'elsewhere' has no maps.*it has apart, grouped"):
        layer_outputs(branching, COLOURED, "elsewhere")


def test_the_strongest_map_is_the_one_of_the_highest_mean() -> None:
    maps = np.zeros((2, 2, 3), np.float32)
    maps[0, 0] = (1, 5, 3)
    assert strongest_first(maps).tolist() == [1, 2, 0]
    assert strongest_first(np.array([0, 2, 1], np.float32)).tolist() == [1, 2, 0]


def test_kernels_are_the_layers_weights_by_filter_and_channel(shipped: keras.Model) -> None:
    first, second = kernels_of(shipped, None, None), kernels_of(shipped, "conv2d_1", 5)
    kernel, bias = shipped.layers[0].get_weights()
    assert first.weights.shape == (32, 1, 3, 3)
    assert np.array_equal(first.weights[7, 0], kernel[:, :, 0, 7])
    assert np.array_equal(first.biases, bias)
    assert (first.mean, first.standard_deviation) == pytest.approx((kernel.mean(), kernel.std()))
    assert first.counts.sum() == kernel.size
    assert second.weights.shape == (64, 1, 3, 3)
    assert np.array_equal(second.weights[9, 0], shipped.layers[2].get_weights()[0][:, :, 5, 9])
    with pytest.raises(NotInModel, match="channel: 32 is not one of the 32 input channels of conv2d_1"):
        kernels_of(shipped, "conv2d_1", 32)


def test_kernels_without_biases_have_none(branching: keras.Model) -> None:
    assert kernels_of(branching, "wide", None).biases is None


@pytest.mark.parametrize("layer", ["conv2d", "conv2d_1"])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (13, 5), (7, 13)])
def test_the_arithmetic_gives_the_networks_value(shipped: keras.Model, layer: str, row: int, column: int) -> None:
    for channel in (0, 3, 31):
        traced = trace(shipped, BOOT, layer, channel, row, column)
        assert isinstance(traced, ConvolutionTrace)
        assert traced.value == pytest.approx(layer_outputs(shipped, BOOT, layer)[layer][row, column, channel], abs=1e-5)
        assert traced.products == pytest.approx(traced.window.values * traced.kernel)
        assert max(0, traced.products.sum() + traced.bias) == pytest.approx(traced.value, abs=1e-5)
        assert traced.total == pytest.approx(traced.products.sum() + traced.bias, abs=1e-5)
        assert traced.activation == "relu"


def test_padding_is_told_from_the_image(shipped: keras.Model) -> None:
    window = trace(shipped, BOOT, "conv2d", 0, 0, 27).window
    assert (window.rows, window.columns) == ([-1, 0, 1], [26, 27, 28])
    assert window.inside.tolist() == [[False] * 3, [True, True, False], [True, True, False]]
    assert not window.values[0][~window.inside].any()


@pytest.mark.parametrize("layer", ["wide", "apart", "grouped"])
def test_strides_dilation_and_groups_are_followed(branching: keras.Model, layer: str) -> None:
    activation = branching.get_layer(layer).activation
    height, width, filters = branching.get_layer(layer).output.shape[1:]
    for row in range(height):
        for column in range(width):
            traced = trace(branching, COLOURED, layer, (row + column) % filters, row, column)
            assert isinstance(traced, ConvolutionTrace)
            assert float(activation(np.float32(traced.total))) == pytest.approx(traced.value, abs=1e-5)


def test_an_activation_that_is_a_layer_is_named() -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Conv2D(1, 2, activation=layers.LeakyReLU(0.1), name="own")]
    )
    traced = trace(model, np.ones((4, 4, 1), np.float32), "own", 0, 0, 0)
    assert isinstance(traced, ConvolutionTrace)
    assert traced.activation == "LeakyReLU"


def test_a_maximum_is_shown_where_it_stands(shipped: keras.Model) -> None:
    before = layer_outputs(shipped, BOOT, "conv2d")["conv2d"]
    traced = trace(shipped, BOOT, "max_pooling2d", 4, 6, 9)
    assert isinstance(traced, PoolingTrace)
    assert (traced.window.rows, traced.window.columns) == ([12, 13], [18, 19])
    assert np.array_equal(traced.window.values[0], before[12:14, 18:20, 4])
    assert traced.chosen is not None
    assert traced.window.values[0][traced.chosen] == traced.value == before[12:14, 18:20, 4].max()


def test_a_mean_is_that_of_the_part_that_is_inside(branching: keras.Model) -> None:
    height, width, channels = branching.get_layer("pooled").output.shape[1:]
    for row in range(height):
        for column in range(width):
            traced = trace(branching, COLOURED, "pooled", column % channels, row, column)
            assert isinstance(traced, PoolingTrace)
            assert traced.chosen is None
            assert traced.window.values[0][traced.window.inside].mean() == pytest.approx(traced.value, abs=1e-5)


@pytest.mark.parametrize(
    ("layer", "place", "part"),
    [
        ("conv2d", (32, 0, 0), "filter: 32 is past the 32"),
        ("conv2d", (0, 28, 0), "row: 28 is past the 28"),
        ("max_pooling2d", (0, 0, 14), "column: 14 is past the 14"),
        ("dense", (0, 0, 0), "it has conv2d, max_pooling2d"),
    ],
)
def test_a_place_that_is_not_there_is_told(
    shipped: keras.Model, layer: str, place: tuple[int, int, int], part: str
) -> None:
    with pytest.raises(NotInModel, match=part):
        trace(shipped, BOOT, layer, *place)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("which", ["shipped", "branching"])
def test_every_method_explains_the_answer_or_another_class(
    request: pytest.FixtureRequest, which: str, method: Method
) -> None:
    model = request.getfixturevalue(which)
    image = BOOT if which == "shipped" else COLOURED
    probabilities = np.asarray(model(image[np.newaxis]))[0]
    answer, other = attribute(model, image, method, None), attribute(model, image, method, 1)
    assert answer.class_index == probabilities.argmax()
    assert answer.probability == pytest.approx(probabilities.max(), abs=1e-5)
    assert other.class_index == 1
    for found in (answer, other):
        assert found.values.shape == image.shape[:2]
        assert np.isfinite(found.values).all()
        if method not in ("occlusion", "integrated-gradients"):
            assert found.values.min() >= 0
    if which == "shipped":
        assert answer.values.max() > 0
        assert not np.array_equal(answer.values, other.values)
    again = attribute(model, image, method, None)
    assert np.array_equal(answer.values, again.values)


def test_asking_leaves_nothing_behind_in_the_network(shipped: keras.Model, branching: keras.Model) -> None:
    def remembered() -> int:
        return sum(len(layer._outbound_nodes) for layer in (*shipped.layers, *branching.layers))

    def ask() -> None:
        for method in METHODS:
            attribute(shipped, BOOT, method, None)
            attribute(branching, COLOURED, method, None)
        layer_outputs(shipped, BOOT)
        trace(shipped, BOOT, None, 0, 0, 0)

    ask()
    before = remembered()
    ask()
    assert remembered() == before


def test_a_network_of_images_without_a_channel_axis_is_explained_too() -> None:
    keras.utils.set_random_seed(0)
    flat = keras.Sequential([keras.Input((6, 5)), layers.Flatten(), layers.Dense(2, activation="softmax")])
    image = np.random.default_rng(0).random((6, 5, 1), np.float32)
    assert attribute(flat, image, "saliency", 0).values.min() >= 0
    found = attribute(flat, image, "integrated-gradients", 0)
    assert found.values.shape == (6, 5)
    assert found.values.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-4)


def test_the_score_is_the_logit(shipped: keras.Model) -> None:
    scores = [attribute(shipped, BOOT, "saliency", index).score for index in range(10)]
    assert np.exp(scores) / np.exp(scores).sum() == pytest.approx(np.asarray(shipped(BOOT[np.newaxis]))[0], abs=1e-5)


@pytest.mark.parametrize("index", [9, 0])
def test_integrated_gradients_sum_to_the_difference_of_the_outputs(shipped: keras.Model, index: int) -> None:
    for file in SAMPLE_FILES[::20]:
        image = scaled(pixels_of(file)[..., np.newaxis], GREY)
        found = attribute(shipped, image, "integrated-gradients", index)
        difference = found.score - found.baseline_score
        assert found.values.sum() == pytest.approx(difference, abs=0.05 * max(1, abs(difference)))


def test_portions_do_not_change_what_speaks_for_a_class(branching: keras.Model) -> None:
    whole = scored(branching)
    assert whole.rows_at_once == 32
    one_by_one = whole._replace(rows_at_once=1)
    for method in METHODS:
        black = np.zeros_like(COLOURED)
        together, alone = (attribution.attribute(of, COLOURED, black, method, 0) for of in (whole, one_by_one))
        assert alone.values == pytest.approx(together.values, abs=1e-5), method


def test_rows_of_large_layers_go_through_the_network_a_few_at_a_time() -> None:
    """With its 32 rows at once, a network of MobileNetV2's size took 3 GB for its gradients."""
    start = keras.Input((224, 224, 3))
    maps = layers.ReLU()(layers.Conv2D(128, 3, padding="same")(start))
    large = keras.Model(start, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(maps)))
    assert scored(large).rows_at_once == 3


def test_of_a_large_network_less_is_computed_and_the_image_is_still_covered() -> None:
    assert attribution.patches((28, 28), 25_000) == attribution.patches((28, 28), 10**9)
    for most, expected in ((10**6, 225), (125, 121), (1, 36)):
        boxes = attribution.patches((224, 224), most)
        assert len(boxes) == expected
        covered = np.zeros((224, 224), bool)
        for box in boxes:
            covered[box] = True
        assert covered.all()


def test_fewer_steps_still_sum_to_the_difference_of_the_outputs(shipped: keras.Model) -> None:
    whole = scored(shipped)
    few = whole._replace(rows_in_time=0)
    black = np.zeros_like(BOOT)
    for method in ("integrated-gradients", "smoothgrad", "occlusion"):
        found, all_of_it = (attribution.attribute(of, BOOT, black, method, 9).values for of in (few, whole))
        assert np.corrcoef(found.ravel(), all_of_it.ravel())[0, 1] > 0.65, method
    found = attribution.attribute(few, BOOT, black, "integrated-gradients", 9)
    assert found.values.sum() == pytest.approx(found.score - found.baseline_score, rel=0.1)


def test_an_attribution_stops_at_its_deadline(shipped: keras.Model) -> None:
    with within(0), pytest.raises(DeadlineExceeded, match="longer than a request may"):
        attribute(shipped, BOOT, "occlusion", 9)


def test_saliency_is_the_gradient(branching: keras.Model) -> None:
    found = attribute(branching, COLOURED, "saliency", 0)
    strongest = np.unravel_index(found.values.argmax(), found.values.shape)
    for sign in (1, -1):
        moved = COLOURED.copy()
        moved[strongest] += np.float32(sign * 1e-2)
        changed = attribute(branching, moved, "saliency", 0).score - found.score
        # Three channels are moved at once; one of them is the strongest.
        assert abs(changed) <= 3.1e-2 * found.values.max()


def test_covering_what_is_marked_costs_more_than_covering_elsewhere(shipped: keras.Model) -> None:
    images = np.stack([scaled(pixels_of(file)[..., np.newaxis], GREY) for file in SAMPLE_FILES])
    probabilities = np.asarray(shipped(images))
    answers = probabilities.argmax(axis=1)
    random = np.random.default_rng(0)
    marked, elsewhere = images.copy(), images.copy()
    for image, hidden, other in zip(images, marked, elsewhere, strict=True):
        values = attribute(shipped, image, "grad-cam", None).values
        sums = np.array([[values[y : y + 7, x : x + 7].sum() for x in range(22)] for y in range(22)])
        top, left = np.unravel_index(sums.argmax(), sums.shape)
        hidden[top : top + 7, left : left + 7] = 0
        row, column = random.integers(0, 22, 2)
        other[row : row + 7, column : column + 7] = 0
    rows = np.arange(len(answers))
    lost = (probabilities - np.asarray(shipped(marked)))[rows, answers].mean()
    lost_elsewhere = (probabilities - np.asarray(shipped(elsewhere)))[rows, answers].mean()
    assert len(images) == 200
    assert lost > lost_elsewhere


def test_a_network_without_maps_is_told_and_its_pixels_can_still_be_explained() -> None:
    keras.utils.set_random_seed(0)
    flat = keras.Sequential([keras.Input((6, 5, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")])
    image = np.random.default_rng(0).random((6, 5, 1), np.float32)
    missing: list[tuple[Callable[[], Any], str]] = [
        (lambda: attribute(flat, image, "grad-cam", None), "no feature maps"),
        (lambda: kernels_of(flat, None, None), "no layer with kernels"),
        (lambda: trace(flat, image, None, 0, 0, 0), "no layer with arithmetic"),
    ]
    for call, part in missing:
        with pytest.raises(NotInModel, match=part):
            call()
    found: Attribution = attribute(flat, image, "integrated-gradients", 0)
    assert found.values.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-4)


def test_every_value_of_a_strided_valid_and_averaging_network_is_traced_as_keras_has_it() -> None:
    """The network of `cnn-train --padding valid --strides 2,1 --pooling average`."""
    keras.utils.set_random_seed(5)
    network = keras.Sequential(
        [
            keras.Input((20, 17, 1)),
            layers.Conv2D(2, 3, strides=2, activation="relu", name="first"),
            layers.AveragePooling2D(2, name="mean"),
            layers.Conv2D(2, 3, name="second"),
        ]
    )
    image = np.random.default_rng(5).random((20, 17, 1), np.float32)
    for name, values in layer_outputs(network, image).items():
        for row, column, channel in np.ndindex(*values.shape):
            traced = trace(network, image, name, channel, row, column)
            assert traced.window.inside.all()
            assert traced.value == pytest.approx(values[row, column, channel], abs=1e-6)
            if isinstance(traced, PoolingTrace):
                assert traced.kind == "mean"
                assert traced.window.values.mean() == pytest.approx(traced.value, abs=1e-6)
            else:
                made = max(0.0, traced.total) if traced.activation == "relu" else traced.total
                assert made == pytest.approx(traced.value, abs=1e-5)

"""Pictures of coloured discs, and small models of which is known how they take them."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image

from models.card import ImageInput
from models.pixels import PIXEL_RANGES
from models.preprocessing import scaled

EDGE = 16
COLOURS = {"amber": (220, 90, 20), "bush": (200, 180, 20), "coal": (45, 45, 45), "dust": (200, 200, 200)}
NAMES = tuple(COLOURS)


def drawing(label: int, random: np.random.Generator) -> np.ndarray:
    """Four times as wide as high: the disc of the class in the middle, others at the sides, uint8 (16, 64, 3)."""
    rows, columns = np.mgrid[:EDGE, : 4 * EDGE]
    pixels = random.integers(100, 140, (EDGE, 4 * EDGE, 3))
    others = random.integers(0, 4, 2)
    for place, colour in ((2 * EDGE, label), (EDGE // 2, others[0]), (4 * EDGE - EDGE // 2, others[1])):
        inside = (rows - EDGE / 2) ** 2 + (columns - place) ** 2 < 36
        pixels[inside] = np.array(list(COLOURS.values())[colour]) + random.normal(0, 45, 3)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def drawings(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    return np.stack([drawing(label, random) for label in labels]), labels


def write_drawings(folder: Path, count: int, names: tuple[str, ...] | None = NAMES) -> Path:
    """`count` pictures, in a subfolder for each class, or without."""
    pixels, labels = drawings(count, 1)
    for number, (one, label) in enumerate(zip(pixels, labels, strict=True)):
        place = folder / names[label] if names else folder
        place.mkdir(exist_ok=True, parents=True)
        Image.fromarray(one).save(place / f"{number}.png")
    return folder


def write_stripes(folder: Path, count: int) -> Path:
    """Half of them striped, which is lost where neighbours are averaged; 32×32, in a subfolder for each class."""
    random = np.random.default_rng(0)
    for number in range(count):
        name = ("flat", "striped")[number % 2]
        pixels = np.full((2 * EDGE, 2 * EDGE), random.integers(60, 165), np.uint8)
        if name == "striped":
            pixels[:, 0::2], pixels[:, 1::2] = random.integers(60, 130), 250
        (folder / name).mkdir(exist_ok=True, parents=True)
        Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def brightness_model() -> keras.Model:
    """One sigmoid unit over the mean of 16×16 grey pixels, of 0..1: above a half from 170 of 255 on."""
    model = keras.Sequential(
        [
            keras.layers.Input((EDGE, EDGE, 1)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights([np.array([[40.0]]), np.array([-40 * 170 / 255])])
    return model


def fitted_model(pixels: str, order: str, outputs: tuple[int, ...]) -> keras.Model:
    """Fitted to the middle of drawings, scaled so, with the output of each class in that order."""
    keras.utils.set_random_seed(3)
    images, labels = drawings(800, 0)
    known = PIXEL_RANGES[pixels]
    taken = ImageInput(height=EDGE, width=EDGE, channels=3, scale=known.scale, offset=known.offset, channel_order=order)
    model = keras.Sequential(
        [
            keras.layers.Input((EDGE, EDGE, 3)),
            keras.layers.Conv2D(12, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(outputs), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    cropped = images[:, :, 3 * EDGE // 2 : 5 * EDGE // 2]
    model.fit(scaled(cropped, taken), np.array(outputs)[labels], epochs=8, batch_size=20, verbose=0)
    return model


def remembering_model(pixels: str, order: str) -> keras.Model:
    """Its normalization, in a model inside of it, remembers drawings that were scaled so."""
    keras.utils.set_random_seed(4)
    images, _ = drawings(100, 0)
    known = PIXEL_RANGES[pixels]
    taken = ImageInput(height=EDGE, width=EDGE, channels=3, scale=known.scale, offset=known.offset, channel_order=order)
    body = keras.Sequential(
        [
            keras.layers.Input((EDGE, EDGE, 3)),
            keras.layers.Conv2D(16, 3),
            keras.layers.BatchNormalization(),
        ]
    )
    seen = np.asarray(body.layers[0](scaled(images[:, :, 24:40], taken)))
    gamma, beta, *_ = body.layers[1].get_weights()
    body.layers[1].set_weights([gamma, beta, seen.mean((0, 1, 2)), seen.var((0, 1, 2))])
    return keras.Sequential(
        [
            keras.layers.Input((EDGE, EDGE, 3)),
            body,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )

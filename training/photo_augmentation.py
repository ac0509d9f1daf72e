"""Changes photographs by Keras's layers, while fitting only: the network that is published has none of them."""

import keras
import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_LARGEST_SEED = 2**31


class PhotoAugmentation:
    """Mirrors, moves, enlarges and lights photographs a little; the same random numbers give the same images."""

    def __init__(self) -> None:
        self._layers = (
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomTranslation(0.04, 0.04, fill_mode="nearest"),
            keras.layers.RandomZoom(0.06, fill_mode="nearest"),
            keras.layers.RandomBrightness(0.08),
        )

    def __call__(self, images: Images, random: np.random.Generator) -> Floats:
        """Uint8 (batch, height, width, channels) → float32 of the same shape, 0 to 255."""
        changed = keras.ops.cast(images, "float32")
        for layer in self._layers:
            # The state of its generator is what a layer's random numbers come from, else from those of before.
            layer.generator.state.assign([int(random.integers(_LARGEST_SEED)), 0])
            changed = layer(changed, training=True)
        return np.asarray(keras.ops.convert_to_numpy(changed), np.float32).clip(0, 255)

"""Whether a Keras model was exported by Teachable Machine, and how that prepares images. Knows no card of its own."""

import keras

from models.specification import Facts

WORDS = "built as Teachable Machine exports it"
# Its own example crops with Pillow's LANCZOS, and scales by 127.5 minus 1.
FACTS = Facts(pixels="-1..1", channel_order="rgb", fit="crop", interpolation="lanczos")
_SIZE = (224, 224, 3)


def is_teachable_machine(model: keras.Model) -> bool:
    """Whether it is a MobileNet with its mean in one model, and two dense layers, a softmax without bias, in another.

    No file says where it came from, and nothing else is built so.
    """
    layers = [layer for layer in getattr(model, "layers", []) if not isinstance(layer, keras.layers.InputLayer)]
    if model.input_shape[1:] != _SIZE or [type(layer) for layer in layers] != [keras.Sequential] * 2:
        return False
    body, head = ([one for one in part.layers if not isinstance(one, keras.layers.InputLayer)] for part in layers)
    if [type(layer).__name__ for layer in body] != ["Functional", "GlobalAveragePooling2D"]:
        return False
    if [type(layer).__name__ for layer in head] != ["Dense", "Dense"]:
        return False
    last = head[-1]
    mobile = any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in body[0].layers)
    return mobile and not last.use_bias and last.activation is keras.activations.softmax

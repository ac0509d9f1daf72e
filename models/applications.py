"""On what pixels the networks of `keras.applications` were pretrained, told by their names. Knows no Keras.

Whoever fits one anew may have scaled them otherwise, so this is no more than a hint.
"""

import re

from models.pixels import PixelRange

# As the `preprocess_input` of each has it; the first one is for those that scale pixels themselves.
_NETWORKS: tuple[tuple[str, PixelRange], ...] = (
    (r"mobilenetv3|efficientnet|convnext", "0..255"),
    (r"mobilenet|inception|xception|nasnet|resnet(50|101|152)v2", "-1..1"),
    (r"vgg1[69]|resnet(50|101|152)", "caffe"),
    (r"densenet", "torch"),
)


def pretraining_pixels(name: str) -> PixelRange | None:
    """The pixels of the network that is named, or after which something is named: `MobileNetV2`, `resnet50-cats.h5`."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((pixels for pattern, pixels in _NETWORKS if re.search(pattern, letters)), None)

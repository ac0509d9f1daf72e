"""How a convolution or a pooling reads what is before it, in the field's words. Knows no Keras and no drawing."""

from service.engines.model_summary import LayerSummary


def reading(layer: LayerSummary) -> tuple[str, ...]:
    """Such as ("kernel 3×3", "stride 1×1", "padding same"); a pooling's kind comes first. Empty for other layers."""
    words = []
    if layer.pool_size:
        words += ["average pooling" if "Average" in layer.type else "max pooling", f"window {times(layer.pool_size)}"]
    elif layer.kernel_size:
        words.append(f"kernel {times(layer.kernel_size)}")
    else:
        return ()
    if layer.strides:
        words.append(f"stride {times(layer.strides)}")
    if layer.padding:
        words.append(f"padding {layer.padding}")
    return tuple(words)


def times(numbers: tuple[int, ...]) -> str:
    """Sizes as they are written: 3×3."""
    return "×".join(str(number) for number in numbers)

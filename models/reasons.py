"""What other libraries say of an error, as short as a message can have it. Knows none of them."""

_MOST_CHARACTERS = 200


def first_line(error: Exception) -> str:
    """The first line of the error's text, cut short: Keras quotes whole descriptions."""
    text = str(error).strip()
    return f"{text.splitlines()[0]:.{_MOST_CHARACTERS}}" if text else type(error).__name__

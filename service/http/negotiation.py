"""Which of several media types to answer with, from the Accept header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

# No program wishes for more; what follows is not read.
_LONGEST = 2000


def choose_media_type(accept: str, offered: Sequence[str]) -> str:
    """The one of `offered` that `accept` prefers; the first where it takes any, or none of them.

    To answer with another type than those asked for is allowed, and kinder to a person with a browser than a refusal.
    """
    wishes = [_parse(part) for part in accept[:_LONGEST].split(",")]

    def quality(media_type: str) -> tuple[float, int]:
        family = media_type.partition("/")[0] + "/*"
        fitting = [
            (specificity, weight)
            for name, weight in wishes
            for specificity, pattern in enumerate(("*/*", family, media_type))
            if name == pattern
        ]
        # The most specific range that fits decides, whatever its place.
        weight = max(fitting)[1] if fitting else 0.0
        return weight, -offered.index(media_type)

    return max(offered, key=quality)


def _parse(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                return name.lower(), float(value)
            except ValueError:
                return name.lower(), 0.0
    return name.lower(), 1.0
